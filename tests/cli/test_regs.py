#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""inspect --regs: what is shown of notes, when, and that notes of any size are survived.

What the notes of each architecture mean is judged by gdb, in ../interop/test_gdb.py.
"""
import json
import os
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import elfgen
import harness

RIP, RSP = 0xffffffff81234567, 0xffffc90000012345
# struct fxregs_state: fctrl, st0 to st7 of 10 bytes each in 16, xmm0 to xmm15, mxcsr
FX = bytearray(512)
struct.pack_into("<H", FX, 0, 0x37f)
struct.pack_into("<I", FX, 24, 0x1f80)
FX[32:42] = bytes(range(0xa0, 0xaa))
FX[160:176] = bytes(range(0xb0, 0xc0))
ST0, XMM0 = 0xa9a8a7a6a5a4a3a2a1a0, 0xbfbebdbcbbbab9b8b7b6b5b4b3b2b1b0


def write_core(path, notes):
    core = elfgen.Core()
    raw = b"".join(elfgen.note("<", *n) for n in notes)
    at = core.ehdr_size + 2 * core.phdr_size
    core.segments = [elfgen.Segment(4, at, 0, 0, len(raw), 0),
                     elfgen.Segment(1, at + len(raw), 0, 0x100000, 4096, 4096)]
    with open(path, "wb") as f:
        f.write(b"".join(data for _, data in core.tables()) + raw + bytes(4096))
    return path


def registers(tool, path, *options):
    run = tool.run("inspect", "--json", *options, path)
    told = json.loads(run.out) if run.out else {"cpus": [{"registers": {}}]}
    return run, told, {n: int(v, 16) for n, v in told["cpus"][0]["registers"].items()}


def check_text(tap, tool, core):
    run = tool.run("inspect", "--regs", core)
    text = run.out.decode()
    tap.check(f"rip {RIP:#x}" in text and "xmm0" not in text and "gdb" not in text and "st0" not in text,
              "--regs: what a kernel uses", run)
    run = tool.run("inspect", "--regs", "-v", core)
    rows = {w[0]: w[1:] for w in map(str.split, run.out.decode().split("\n")) if w}
    tap.equal([rows.get(n) for n in ("rdx", "rip", "xmm0", "st0", "fs_base", "fop")],
              [["0x" + "0" * 16, "gdb", "3", "DWARF", "1"], [f"{RIP:#x}", "gdb", "16", "DWARF", "16"],
               [f"{XMM0:#x}", "gdb", "40", "DWARF", "17"], [f"{ST0:#x}", "gdb", "24", "DWARF", "33"],
               ["0x" + "0" * 16, "gdb", "58", "DWARF", "58"], ["0x0000", "gdb", "39", "DWARF", "-"]],
              "--regs -v: all, with their numbers", run)


def check_json(tap, tool, core):
    run, told, regs = registers(tool, core, "--regs")
    tap.equal([regs.get(n) for n in ("rip", "rsp", "xmm0", "xmm1", "st0", "mxcsr", "fctrl")],
              [RIP, RSP, XMM0, 0, ST0, 0x1f80, 0x37f], "--regs --json: values", run)
    tap.equal([told["numbers"].get(n) for n in ("rdx", "xmm15", "fop")],
              [{"gdb": 3, "dwarf": 1}, {"gdb": 55, "dwarf": 32}, {"gdb": 39, "dwarf": -1}],
              "--regs --json: numbers", run)
    run, _, regs = registers(tool, core)
    tap.check(regs.get("rip") == RIP and "xmm0" not in regs, "inspect --json: what a kernel uses", run)


def check_conversion(tap, tool, folder, core):
    for form in ("elf", "kdump"):
        out = os.path.join(folder, "out." + form)
        tool.run("convert", "-f", "-q", "--format", form, core, out)
        run, _, regs = registers(tool, out, "--regs")
        tap.equal((regs.get("xmm0"), regs.get("rip")), (XMM0, RIP), f"{form}: has them", run)
        run = tool.run("inspect", "--compare", core, out)
        tap.equal(run.status, harness.OK, f"{form}: is the same", run)


def check_sizes(tap, tool, folder):
    """A note of the FPU that is shorter or longer; many of them; one without a CPU."""
    status, path = elfgen.prstatus("<", pid=7, rip=RIP, rsp=RSP), os.path.join(folder, "sizes")
    for size in (0, 1, 511, 512, 513, 4096):
        run, _, regs = registers(tool, write_core(path, [("CORE", 1, status), ("CORE", 2, bytes(size))]), "--regs")
        tap.check(not run.faults() and regs.get("rip") == RIP and ("xmm0" in regs) == (size >= 512),
                  f"a note of {size} bytes", run)
    run, told, _ = registers(tool, write_core(path, [("CORE", 2, bytes(FX))] * 9000), "--regs")
    tap.check(not run.faults() and len(told["cpus"]) == 8192, "more notes than CPUs that any machine has", run)


def test(tap, tool, folder):
    core = write_core(os.path.join(folder, "core"),
                      [("CORE", 1, elfgen.prstatus("<", pid=7, rip=RIP, rsp=RSP)), ("CORE", 2, bytes(FX))])
    check_text(tap, tool, core)
    check_json(tap, tool, core)
    check_conversion(tap, tool, folder, core)
    check_sizes(tap, tool, folder)


harness.main(test)
