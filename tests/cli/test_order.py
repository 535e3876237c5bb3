#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A little-endian ppc64 machine in a big-endian ELF file, as QEMU writes it: the CPUs or memory tell."""
import json
import os
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import elfgen
import harness

LINEAR = 0xc000000000000000
PAGE = 65536
VARIABLE = 0x8000   # of vmap_area_list, in the only page
INFO = f"""OSRELEASE=6.1.0-test
PAGESIZE={PAGE}
SYMBOL(swapper_pg_dir)={LINEAR:x}
SYMBOL(vmap_area_list)={LINEAR + VARIABLE:x}
"""


def prstatus(msr):
    """struct elf_prstatus of ppc64: pid at 32, r0 at 112, nip and msr behind 32 registers."""
    desc = bytearray(504)
    struct.pack_into(">i", desc, 32, 77)
    struct.pack_into(">34Q", desc, 112, *range(0x1111, 0x1111 + 32), LINEAR + 0x40, msr)
    return bytes(desc)


def write_core(path, msr, pointer, info=INFO):
    """A page of memory that holds a pointer, behind big-endian headers and notes."""
    notes = elfgen.note(">", "CORE", 1, prstatus(msr))
    notes += elfgen.note(">", "VMCOREINFO", 0, info.encode()) if info else b""
    core = elfgen.Core(order=">", machine=21)
    core.segments = [elfgen.Segment(elfgen.PT_NOTE, 0x1000, 0, 0, len(notes), 0),
                     elfgen.Segment(elfgen.PT_LOAD, PAGE, LINEAR, 0, PAGE, PAGE)]
    with open(path, "wb") as f:
        for offset, data in core.tables() + [(0x1000, notes)]:
            f.seek(offset)
            f.write(data)
        f.seek(PAGE + VARIABLE)
        f.write(pointer)
        f.truncate(2 * PAGE)


def identity(tool, path, *options):
    run = tool.run("inspect", "--json", "--quick", *options, path)
    told = json.loads(run.out) if run.status == harness.OK else {}
    cpu = (told.get("cpus") or [{}])[0]
    regs = cpu.get("registers", {})
    return (told.get("architecture"), told.get("byte_order"), cpu.get("pid"),
            [int(str(regs.get(name, "0")), 0) for name in ("r0", "r31", "pc")]), run


def test(tap, tool, folder):
    core, copy = os.path.join(folder, "core"), os.path.join(folder, "copy")
    here, there = (struct.pack(order + "Q", LINEAR + VARIABLE) for order in "<>")
    regs = (77, [0x1111, 0x1130, LINEAR + 0x40])
    little, big = ("ppc64le", "little-endian", *regs), ("ppc64", "big-endian", *regs)
    for msr, pointer, info, wanted, what in (
            (0x8000000000001033, here, INFO, little, "CPU and memory are little-endian"),
            (0x8000000000001033, here, None, little, "the CPU is, nothing is known of the kernel"),
            (0x1002, here, INFO, little, "memory is, the CPU is in firmware"),
            (0x8000000000001032, there, INFO, big, "CPU and memory are big-endian"),
            (0x8000000000001032, bytes(8), INFO, big, "a null pointer says nothing")):
        write_core(core, msr, pointer, info)
        got, run = identity(tool, core)
        tap.equal(got, wanted, what, run)
        for form in "elf", "kdump":
            run = tool.run("convert", "-q", "-f", "--format", form, core, copy)
            tap.equal(run.status, harness.OK, f"{what}: to {form}", run)
            got, run = identity(tool, copy)
            tap.equal(got, wanted, f"{what}: and it is so in {form}", run)
    got, run = identity(tool, core, "--arch", "ppc64le")
    tap.equal(got, little, "the user says so", run)


if __name__ == "__main__":
    harness.main(test)
