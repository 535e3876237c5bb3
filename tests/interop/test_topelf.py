#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""topelf --for crash, gdb and drgn, in their hands: what they print of the core is what the raw dump has.

Environment: DUMPTOOL_CORPUS; CRASH, GDB, DRGN name others than those that are installed; DUMPTOOL_VMLINUX is
the vmlinux of x86_64-6.1, without which crash cannot be asked.
"""
import os
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import elfsegs
import harness

# Dumps that tell virtual addresses, and that tell none.
DUMPS = ["x86_64-6.1/kdump/proc-vmcore.elf", "x86_64-6.1/qemu/elf.elf", "arm64/qemu-elf.dump",
         "arm64/kdump-vmcore", "riscv64/qemu-elf.dump", "s390x/qemu-elf.dump", "ppc64el/qemu-elf.dump",
         "armhf-lpae/qemu-elf.dump", "i386-pae/qemu-elf.dump", "loong64/qemu-elf.dump"]
CRASH = "set scroll off\nsys\nbt -a\nlog\nps\nmod\nquit\n"


def ask(*command, text=None):
    run = subprocess.run(command, input=text, capture_output=True, text=True, errors="replace", timeout=600,
                         check=False)
    return run.stdout + run.stderr


def program(variable, name):
    return os.environ.get(variable) or shutil.which(name)


def symbol(tool, dump, name):
    out = tool.run("inspect", "--vmcoreinfo", dump, seconds=60).out.decode()
    found = re.search(rf"^SYMBOL\({name}\)=(\w+)$", out, re.M)
    return int(found.group(1), 16) if found else None


def check_gdb(tap, tool, gdb, dump, core):
    """gdb finds the names of the kernel where the symbol is, by virtual address."""
    at = symbol(tool, dump, "init_uts_ns")
    if at is None:
        tap.skip(f"{dump}: gdb", "its VMCOREINFO is no note")
        return
    # struct new_utsname begins behind a reference count, if there is one
    raw = tool.run("dumpmem", dump, f"{at:x}", "100", seconds=60).out.decode()
    wanted = bytes.fromhex("".join(line.split(": ", 1)[1][:47] for line in raw.splitlines()))
    out = ask(gdb, "-nx", "-batch", "-ex", "set architecture auto", "-ex", f"core-file {core}",
              "-ex", f"x/256ub {at:#x}")
    found = bytes(int(n) for line in re.findall(r"^0x\w+[^:]*:\s+(.*)$", out, re.M) for n in line.split())
    tap.check(b"Linux" in wanted and found == wanted, f"{dump}: gdb reads init_uts_ns", out[-500:])


def check_drgn(tap, folder, drgn, dump, core, wanted):
    script = os.path.join(folder, "ask.py")
    with open(script, "w", encoding="ascii") as f:
        f.write(f"""
import drgn
for at, physical in {[(at, physical) for at, physical, _ in wanted]!r}:
    try:
        print(prog.read(at, 64, physical).hex())
    except drgn.FaultError:
        print("fault")
""")
    out = ask(drgn, "-q", "-c", core, "--no-default-symbols", script).split()
    tap.equal(out[-len(wanted):], [hexed for _, _, hexed in wanted], f"{dump}: drgn reads the same")


def places(tool, dump, table):
    """(address, is it physical, bytes in hexadecimal): of some segments, and where nothing is."""
    # S/390 has its lowcore at address 0; of ppc64 drgn wants the vmlinux for any virtual address.
    virtual = "ppc64" not in dump
    found = [(0, False, "fault")] if virtual and "s390x" not in dump else []
    for s in table.loads[::max(1, len(table.loads) // 8)]:
        with open(table.path, "rb") as f:
            f.seek(s.off)
            found.append((s.paddr, True, f.read(64).hex()))
    at = symbol(tool, dump, "init_uts_ns")
    if at is not None and virtual:
        raw = tool.run("dumpmem", dump, f"{at:x}", "40", seconds=60).out.decode()
        found.append((at, False, "".join(line.split(": ", 1)[1][:47] for line in raw.splitlines()).replace(" ", "")))
    return found


def check_crash(tap, tool, folder, dump):
    crash, vmlinux = program("CRASH", "crash"), os.environ.get("DUMPTOOL_VMLINUX")
    if not crash or not vmlinux:
        tap.skip(f"{dump}: crash", "DUMPTOOL_VMLINUX is unset, or crash is not installed")
        return
    core = os.path.join(folder, "crash.elf")
    tool.run("topelf", "-f", "--for", "crash", "-o", core, dump, seconds=120)

    def session(path):
        out = ask(crash, "-s", *os.environ.get("CRASH_FLAGS", "").split(), vmlinux, path, text=CRASH)
        return [line for line in out.split("\n") if "DUMP" not in line]

    raw = session(dump)
    tap.check(len(raw) > 100, f"{dump}: crash opens the raw dump", *raw[:5])
    tap.equal(session(core), raw, f"{dump}: crash prints the same of topelf --for crash")


def check_first(tap, tool, dump, core):
    """crash takes the lowest segment of a core of 32-bit Arm for where memory begins, whatever the level."""
    run = tool.run("topelf", "-f", "--for", "crash", "-o", core, dump, seconds=120)
    tap.equal(min(s.paddr for s in elfsegs.Table(core).loads), min(s.paddr for s in elfsegs.Table(dump).loads),
              f"{dump}: memory begins where it does", run)


def test(tap, tool, folder):
    corpus = os.environ.get("DUMPTOOL_CORPUS")
    if not corpus:
        raise harness.Skip("DUMPTOOL_CORPUS is unset")
    gdb, drgn = program("GDB", "gdb-multiarch") or program("GDB", "gdb"), program("DRGN", "drgn")
    for name in harness.selected(DUMPS):
        dump, core = os.path.join(corpus, name), os.path.join(folder, "core")
        if not os.path.exists(dump):
            tap.skip(name, "it is not there")
            continue
        for reader, asked in (("gdb", gdb), ("drgn", drgn)):
            run = tool.run("topelf", "-f", "--for", reader, "-o", core, dump, seconds=120)
            table = elfsegs.Table(core)
            tap.check(run.status == harness.OK, f"{name}: topelf --for {reader}", run)
            tap.none(elfsegs.crash_rules(table), f"{name}, {reader}: the rules of crash")
            if not asked:
                tap.skip(f"{name}: {reader}", "it is not installed")
            elif reader == "gdb":
                if "x86_64" in name or "multiarch" in gdb:
                    check_gdb(tap, tool, gdb, dump, core)
                else:
                    tap.skip(f"{name}: gdb", "GDB is no gdb-multiarch")
            else:
                check_drgn(tap, folder, drgn, dump, core, places(tool, dump, table))
        if "x86_64" in name:
            check_crash(tap, tool, folder, dump)
        if "armhf" in name:
            check_first(tap, tool, dump, core)


harness.main(test)
