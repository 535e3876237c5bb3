#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The same input gives the same bytes on every host: DUMPTOOL against DUMPTOOL_REFERENCE, which was
built for a machine of another byte order or word size."""
import os
import random
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import elfgen
import eras
import harness
import kimage
import machine

PLAIN = (("-d", 31, "--compress=none"),)
CODECS = PLAIN + (("-d", 0, "--compress=zlib", "--num-threads", 3), ("-d", 31, "--compress=lzo"),
                  ("-d", 31, "--compress=zstd"), ("-d", 31, "-F"))


PAGE, BORDER = 4096, 1 << 32


def output(tool, args, path):
    """What a run leaves: its status, its stream, the file."""
    if os.path.exists(path):
        os.unlink(path)
    run = tool.run(*args, data=None, seconds=120)
    data = b""
    if os.path.exists(path):
        with open(path, "rb") as f:
            data = f.read()
    return run, (run.status, run.out, data)


def check_same(tap, tools, name, args, path):
    (run, got), (other, wanted) = (output(tool, args, path) for tool in tools)
    tap.check(got == wanted and not run.faults() and (got[1] or got[2]), f"{name}: the same bytes",
              run, other, f"{len(got[1])} and {len(wanted[1])} bytes of output",
              f"{len(got[2])} and {len(wanted[2])} bytes of file")


def check_input(tap, tools, name, source, out, ways):
    for way in ways:
        files = (source,) if "-F" in way else (source, out)
        check_same(tap, tools, f"{name}: {' '.join(map(str, way))}", ("filter", *way, *files), out)
    check_same(tap, tools, f"{name}: inspect", ("inspect", "--json", source), out)


# (first byte of memory, place in the file, bytes): in the file and in memory across 4 GiB, and beyond.
LARGE = ((0x100000, 0x10000, 0x40000), (0x1fffe0000, 0xfffe0000, 0x40000),
         (0x300000000, 0x17fff0000, 0x10000))
WHOLE = ((0, 0x10000, 0x140000000),)        # one hole of 5 GiB, but for some pages
HUGE_WAYS = (("filter", "-d", 0, "--compress=lzo"), ("filter", "-d", 1, "--compress=none"),
             ("convert", "--format=kdump", "--compress=zlib"))
LARGE_WAYS = HUGE_WAYS + (("filter", "-d", 0, "-E"), ("convert", "--format=elf"))


def write_large(path, loads):
    """An ELF core, all of it holes but for the first and last pages of each part and those around 4 GiB."""
    core = elfgen.Core()
    core.segments = [elfgen.Segment(elfgen.PT_LOAD, offset, 0xffff888000000000 + paddr, paddr, size, size)
                     for paddr, offset, size in loads]
    rng = random.Random(1)
    with open(path, "wb") as f:
        for offset, data in core.tables():
            f.seek(offset)
            f.write(data)
        for _, offset, size in loads:
            places = [offset, offset + size - PAGE]
            places += [at for at in (BORDER - PAGE, BORDER) if offset <= at < offset + size]
            for at in places:
                f.seek(at)
                f.write(rng.randbytes(PAGE // 2))
        f.truncate(max(offset + size for _, offset, size in loads))


def check_large(tap, tools, source, out):
    """Dumps that are larger than the address space of a 32-bit host."""
    for name, loads, ways in (("beyond 4 GiB", LARGE, LARGE_WAYS), ("5 GiB", WHOLE, HUGE_WAYS)):
        if loads is WHOLE and os.environ.get("SAMPLE") != "0":
            tap.skip(name, "it takes a minute: with SAMPLE=0")
            continue
        write_large(source, loads)
        note = ("--vmcoreinfo", "none")     # nor is it looked for
        for command, *way in ways:
            check_same(tap, tools, f"{name}: {command} {' '.join(map(str, way))}",
                       (command, *way, *note, source, out), out)
        for how in "--json", "--verify":
            check_same(tap, tools, f"{name}: inspect {how}", ("inspect", how, *note, source), out)
        os.unlink(source)


def test(tap, tool, folder):
    if not os.environ.get("DUMPTOOL_REFERENCE"):
        raise harness.Skip("DUMPTOOL_REFERENCE is unset: no program of another host")
    tools = (tool, harness.find_tool("DUMPTOOL_REFERENCE"))
    source, out = os.path.join(folder, "vmcore"), os.path.join(folder, "out")
    for era, levels in (("4.3", 4), ("6.6", 4), ("7.1", 5)):
        text = kimage.Text(os.path.join(harness.DATA, "mem-small.txt"))
        kimage.Image(text, eras.ERAS[era], levels=levels, vmemmap="4k").write(source)
        check_input(tap, tools, f"Linux {era}", source, out, CODECS)
        check_same(tap, tools, f"Linux {era}: dmesg", ("dmesg", source), out)
        os.unlink(source)
    for name, path in harness.descriptions("model-"):
        machine.Machine(path).build(source)
        check_input(tap, tools, name, source, out, PLAIN)
        os.unlink(source)
    for name, path in harness.descriptions("elf-"):
        elfgen.Description(path).build(source)
        check_input(tap, tools, name, source, out, PLAIN)
        os.unlink(source)
    check_large(tap, tools, source, out)


harness.main(test)
