#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""All commands stay within the memory that is promised: 8 MiB + 1 MiB for each thread + 1 bit for each
page, whatever the dump comes in.

Run under RLIMIT_DATA of just that (mapped input does not count, nor what is unpacked on disk), so that
more is a failure."""
import fcntl
import os
import re
import shutil
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import btfgen
import elfgen
import foreigngen
import harness
import kdumpgen
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


def scattered_machine(path, pages):
    """A kdump dump that was filtered down to every other page; all that are left are zero."""
    abi, block = kdumpgen.Abi(8, 8, "<"), 4096
    half = pages // 8
    blocks = 2 * half // block
    header = abi.encode(kdumpgen.HEADER, {
        "signature": b"KDUMP   ", "header_version": 6, "utsname": bytes(4 * 65) + b"x86_64",
        "block_size": block, "sub_hdr_size": 1, "bitmap_blocks": blocks, "max_mapnr": pages,
        "nr_cpus": 1})
    sub = abi.encode(kdumpgen.SUB_HEADER, {"dump_level": 31, "max_mapnr_64": pages})
    data = (2 + blocks) * block + pages // 2 * kdumpgen.DESC
    with open(path, "wb") as f:
        f.write(header.ljust(block, b"\0") + sub.ljust(block, b"\0"))
        f.write(b"\xff" * half + b"\x55" * half)
        f.write(struct.pack("<qIIQ", data, block, 0, 0) * (pages // 2))
        f.write(bytes(block))


def checkered_machine(path, pages):
    """A SADUMP partition whose bitmaps tell of every other page that it is left out, or there and zero;
    the pages are a hole of the file."""
    block, half = 4096, pages // 8
    states = foreigngen.sadump_states(({},), True).ljust(block, b"\0")
    head = b"sadump\0\0" + struct.pack("<II", 1, 0) + bytes(16)
    head += struct.pack("<13I", 0, 0, block, 0, 1, half // block, half // block, pages, 0, 0, 0, 0, 1)
    head += struct.pack("<IQQQQ", 0, pages, 0, 0, 0)
    with open(path, "wb") as f:
        f.write(foreigngen.sadump_part(block, 0, 0) + head.ljust(block, b"\0") + states)
        f.write(b"\xff" * half + b"\xaa" * half)
        f.truncate(f.tell() + pages // 2 * block)


def promise(pages, threads):
    return 8 * harness.MIB + threads * harness.MIB + (pages + 7) // 8


class Bench:
    """The program, and machines of so many pages."""

    def __init__(self, tap, tool, folder):
        self.tap, self.tool, self.folder = tap, tool, folder
        self.big, self.real = self.path("big"), self.path("real")
        empty_machine(self.big, 2 * GIB)
        image = kimage.Image(kimage.Text(os.path.join(harness.DATA, "mem-all.txt")), "6.12")
        image.write(self.real)
        scattered_machine(self.path("scattered"), 8 * GIB // 4096)
        checkered_machine(self.path("checkered"), 4 * GIB // 4096)
        self.pages = {"big": 2 * GIB // 4096, "scattered": 8 * GIB // 4096,
                      "checkered": 4 * GIB // 4096,
                      "real": sum(last + 1 - first for first, last in image.text.ram)}

    def path(self, name):
        return os.path.join(self.folder, name)

    def check(self, machine, threads, *command, status=harness.OK):
        """COMMAND in the memory that is promised for the machine and so many threads."""
        more = ("--num-threads", str(threads))
        run = self.tool.run(*command, *more, seconds=100, data=promise(self.pages[machine], threads))
        name = " ".join(os.path.basename(word) for word in command)
        self.tap.check(run.status == status, f"{name}, {threads} threads", run)

    def make(self, source, name, *options):
        """A file of another kind out of SOURCE; how much memory that takes does not matter."""
        run = self.tool.run("convert", "-q", "-f", *options, source, "-o", self.path(name), seconds=100)
        self.tap.equal(run.status, harness.OK, f"made: {name}", run)
        return self.path(name)


def check_filter(bench):
    out = bench.path("out")
    for machine, level, codecs in (("big", "0", ("zlib",)),
                                   ("real", "31", ("none", "zlib", "lzo", "zstd"))):
        for codec in codecs:
            for threads in (1, 2, 8) if machine == "real" else (1, 8):
                for how in ([], ["--non-mmap"]) if machine == "real" else ([],):
                    bench.check(machine, threads, "filter", "-f", "-d", level, "--compress", codec, *how,
                                bench.path(machine), out)


def check_inputs(bench):
    """Whatever the dump comes in: pages that are stored one by one, streams, compressed files."""
    out = bench.path("out")
    for machine in ("big", "real"):
        source = bench.path(machine)
        inputs = [bench.make(source, f"{machine}.{codec}", "--compress", codec)
                  for codec in ("zlib", "zstd")]
        inputs.append(bench.make(source, f"{machine}.flattened", "-F"))
        if shutil.which("xz"):
            with open(f"{inputs[0]}.xz", "wb") as f:
                subprocess.run(["xz", "-1", "-c", inputs[0]], stdout=f, check=True)
            run = bench.tool.run("inspect", "--quick", f"{inputs[0]}.xz", "--spool-dir", bench.folder)
            if "cannot unpack" not in run.err:
                inputs.append(f"{inputs[0]}.xz")
        else:
            bench.tap.skip(f"{machine}.zlib.xz", "there is no program xz")
        for path in inputs:
            spool = ["--spool-dir", bench.folder] if path.endswith(".xz") else []
            commands = [("convert", "-f", "--format", form, *spool, path, out)
                        for form in ("kdump", "elf", "raw")]
            commands += [("filter", "-f", "-d", "31", "-c", *spool, path, out),
                         ("inspect", "--verify", *spool, path)]
            cases = [(threads, command) for command in commands for threads in (1, 8)]
            for threads, command in harness.sample(cases, 3, os.path.basename(path)):
                bench.check(machine, threads, *command)


def check_outputs(bench):
    """Of a mapped ELF core."""
    for machine in ("big", "real"):
        for threads in (1, 8):
            for form in (["elf"], ["raw"], ["kdump", "-F"]):
                bench.check(machine, threads, "convert", "-f", "--format", *form, bench.path(machine),
                            "-o", bench.path("out"))
            bench.check(machine, threads, "inspect", "--verify", bench.path(machine))


def check_scattered(bench):
    """A million runs of one page each cost no more than any other pages do."""
    out = bench.path("out")
    for machine in ("scattered", "checkered"):
        source = bench.path(machine)
        commands = [("convert", "-f", "--format", *form, source, "-o", out)
                    for form in (["kdump"], ["elf"], ["raw"], ["kdump", "-F"])]
        commands += [("filter", "-f", "-d", "31", "-c", source, out), ("inspect", "--verify", source)]
        cases = [(threads, command) for command in commands for threads in (1, 8)]
        for threads, command in harness.sample(cases, 3, machine):
            bench.check(machine, threads, *command)


def peak(tool, *command):
    """(status, what was said, bytes that the program took at most): asked of the system while it waits to
    write into a pipe that is full."""
    back, front = os.pipe()
    os.write(front, bytes(fcntl.fcntl(front, fcntl.F_SETPIPE_SZ, 4096)))
    process = tool.start(*command, stdout=front, text=True)
    os.close(front)
    waits = 0
    while process.poll() is None and waits < 5:
        time.sleep(0.02)
        with open(f"/proc/{process.pid}/status", encoding="ascii") as f:
            text = f.read()
        waits = waits + 1 if "\nState:\tS" in text else 0
    used = re.search(r"VmHWM:\s*(\d+) kB", text)
    with open(back, "rb") as f:
        f.read()
    _, err = process.communicate()
    return process.returncode, err, int(used[1]) << 10 if used else 0


def check_completion(bench):
    """What VMCOREINFO lacks costs what the manual says, and is left out where that is not there."""
    tool, text, path = bench.tool, bench.path("text"), bench.path("types")
    with open(text, "w", encoding="ascii") as f:
        f.write("ram 0x0-0x9f\nram 0x400-0x1fff\nimage 0x400-0x13ff\npool 0x1400-0x17ff\n")
    image = kimage.Image(kimage.Text(text), "6.1")
    lines = image.vmcoreinfo()
    types = btfgen.from_facts(lines)
    types.types += types.pack("III", 0, btfgen.PTR << 24, 0) * 150000
    types.strings += b"a name of some length\0" * 200000
    blob = types.blob()
    image.memory.write(image.symbol("no_line_names_this", len(blob), 4096), blob)
    image.map_image()
    image.write(path, lines)
    whole = peak(tool, "dmesg", path)
    bench.tap.check(tool.run("dmesg", path, data=4 * harness.MIB).status == harness.OK, "4 MiB without them")
    image.write_notes(path, [line for line in lines if "printk_info.ts_nsec" not in line])
    lacks = peak(tool, "dmesg", path)
    more = lacks[2] - whole[2]
    bench.tap.check(whole[0] == lacks[0] == 0 and "ts_nsec) by BTF" in lacks[1] and
                    len(blob) < more < 1.5 * len(blob) + harness.MIB,
                    f"types of {len(blob)} bytes take {more}: {lacks[1]}")
    run = tool.run("dmesg", path, data=4 * harness.MIB + 3 * len(blob) // 2)
    bench.tap.check(run.status == harness.FAILED and " MiB of memory would be needed" in run.err,
                    "where they take more than half of what is left: not read, and said", run)


CHECKS = {check.__name__[6:]: check for check in (check_filter, check_inputs, check_outputs,
                                                   check_scattered, check_completion)}


def test(tap, tool, folder):
    with open(tool.path, "rb") as f:
        instrumented = b"__tsan_init" in f.read()
    if tool.sanitized or instrumented:
        raise harness.Skip("sanitizers take memory of their own")
    if tool.emulated:
        raise harness.Skip("the emulator takes memory of its own")
    bench = Bench(tap, tool, folder)
    for name in harness.selected(CHECKS):
        CHECKS[name](bench)


harness.main(test)
