#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""filter stays within the memory it promises: 8 MiB + 1 MiB for each thread + 1 bit for each page.

Run under RLIMIT_DATA of just that (mapped input does not count), so that more is a failure."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import elfgen
import harness
import kimage

GIB = 1 << 30


def empty_machine(path, size):
    """A core of SIZE bytes of memory, all of it a hole of the file: many pages, nothing to read."""
    notes = elfgen.note("<", "CORE", 1, elfgen.prstatus("<", 1))
    core = elfgen.Core()
    core.segments = [elfgen.Segment(elfgen.PT_NOTE, 4096, 0, 0, len(notes), len(notes)),
                     elfgen.Segment(elfgen.PT_LOAD, 8192, 0xffff888000000000, 0, size, size)]
    with open(path, "wb") as f:
        for offset, data in core.tables():
            f.seek(offset)
            f.write(data)
        f.seek(4096)
        f.write(notes)
        f.truncate(8192 + size)


def promise(pages, threads):
    return 8 * harness.MIB + threads * harness.MIB + (pages + 7) // 8


def test(tap, tool, folder):
    with open(tool.path, "rb") as f:
        instrumented = b"__tsan_init" in f.read()
    if tool.sanitized or instrumented:
        raise harness.Skip("sanitizers take memory of their own")
    big, real = os.path.join(folder, "big"), os.path.join(folder, "real")
    empty_machine(big, 2 * GIB)
    image = kimage.Image(kimage.Text(os.path.join(harness.DATA, "mem-all.txt")), "6.12")
    image.write(real)
    out = os.path.join(folder, "out")
    pages = sum(last + 1 - first for first, last in image.text.ram)
    for dump, nr, level, codecs in ((big, 2 * GIB // 4096, "0", ("zlib",)),
                                    (real, pages, "31", ("none", "zlib", "lzo", "zstd"))):
        for codec in codecs:
            for threads in (1, 2, 8):
                for how in ([], ["--non-mmap"]) if dump is real else ([],):
                    run = tool.filter("-f", "-d", level, "--compress", codec, "--num-threads", str(threads), *how,
                                      dump, out, data=promise(nr, threads), seconds=100)
                    tap.check(run.status == harness.OK, f"{os.path.basename(dump)}: level {level}, {codec}, "
                              f"{threads} threads {' '.join(how)}", str(run))


harness.main(test)
