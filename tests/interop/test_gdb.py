#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Names, numbers, places and widths of registers, by gdb's word.

For each architecture a core is made whose registers all differ. gdb, which has its own idea of the
notes, says what it finds in each register and which number it has in the remote protocol; and of
a program whose variables lie in registers, what it calls each DWARF number. GDB_MULTIARCH names
another gdb than the gdb-multiarch that is installed; what it does not know is skipped.
"""
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import elfgen
import harness

MEMORY = 0x100000
PRSTATUS, PRFPREG, AUXV, AT_HWCAP = 1, 2, 6, 16

# In .debug_info gcc has numbers for ppc64 that are not those of the psABI and of .eh_frame (rs6000.cc,
# rs6000_debugger_regno()), and gdb follows it; it knows none for the segments and FPU of x86-64.
PPC64 = {"lr", "ctr", "xer", "vscr", "vrsave", *(f"vr{n}" for n in range(32))}

# name; class, order, machine, e_flags; size of struct elf_prstatus; where the registers begin in it;
# further notes (owner, type, size), AT_HWCAP; how gdb calls it; names with another DWARF number there.
ROWS = [
    ("x86_64", 64, "<", 62, 0, 336, 112, [("CORE", PRFPREG, 512)], 0, "i386:x86-64", {"fs_base", "gs_base"}),
    ("i686", 32, "<", 3, 0, 144, 72, [("CORE", PRFPREG, 108), ("LINUX", 0x46e62b7f, 512)], 0, "i386", set()),
    ("aarch64", 64, "<", 183, 0, 392, 112, [("CORE", PRFPREG, 528)], 0, "aarch64", {"tpidr_el1"}),
    ("arm", 32, "<", 40, 0x5000000, 148, 72, [("LINUX", 0x400, 260)], 0x3040, "arm", set()),
    ("riscv64", 64, "<", 243, 5, 376, 112, [("CORE", PRFPREG, 264)], 0, "riscv:rv64", set()),
    ("s390x", 64, ">", 22, 0, 336, 112,
     [("CORE", PRFPREG, 136), ("LINUX", 0x306, 8), ("LINUX", 0x307, 4), ("LINUX", 0x309, 128),
      ("LINUX", 0x30a, 256), ("LINUX", 0x30b, 32)], 0x4c00, "s390:64-bit", set()),
    ("ppc64", 64, ">", 21, 1, 504, 112,
     [("CORE", PRFPREG, 264), ("LINUX", 0x100, 544), ("LINUX", 0x102, 256)], 0, "powerpc:common64", PPC64),
    ("ppc64le", 64, "<", 21, 2, 504, 112,
     [("CORE", PRFPREG, 264), ("LINUX", 0x100, 544), ("LINUX", 0x102, 256)], 0, "powerpc:common64", PPC64),
    ("mips64", 64, "<", 8, 0x80000000, 480, 112, [], 0, "mips:isa64r2", set()),
    ("mips", 32, "<", 8, 0x70001000, 256, 72, [], 0, "mips:isa32r2", set()),
    ("loongarch64", 64, "<", 258, 0x43, 480, 112, [("CORE", PRFPREG, 268)], 0, "Loongarch64", set()),
    ("openrisc", 32, ">", 92, 0, 212, 72, [], 0, "or1k", set()),
]


# Bits of a register that gdb leaves alone.
KEPT = {"fop": 0x7ff, "pc": ~1}
# Zero, whatever a note says.
ZERO = {("mips", "r0"), ("mips64", "r0")}


def find_gdb():
    return os.environ.get("GDB_MULTIARCH") or shutil.which("gdb-multiarch")


def ask(gdb, *commands):
    # Without a terminal nothing is paged; HOME keeps the user's settings and history out of it.
    run = subprocess.run([gdb, "-nx", "-batch", *(w for c in commands for w in ("-ex", c))],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         timeout=120, check=False, env={**os.environ, "HOME": "/nonexistent"})
    return run.stdout.decode("utf-8", "replace")


# ---- a core whose registers differ ----

def pattern(size, salt):
    """Bytes that differ from place to place; no float of them is a NaN that someone might quieten."""
    generator = random.Random(salt)
    return bytes(generator.randrange(1, 0x7d) for _ in range(size))


def make_core(path, row):
    _, bits, order, machine, flags, size, _, others, hwcap, _, _ = row
    word = struct.Struct(order + ("Q" if bits == 64 else "I"))
    notes = elfgen.note(order, "CORE", PRSTATUS, pattern(size, 1))
    for number, (owner, kind, length) in enumerate(others):
        notes += elfgen.note(order, owner, kind, pattern(length, 2 + number))
    if hwcap:
        auxv = b"".join(map(word.pack, (AT_HWCAP, hwcap, 0, 0)))
        notes += elfgen.note(order, "CORE", AUXV, auxv)
    core = elfgen.Core(bits=bits, order=order, machine=machine, flags=flags)
    at = core.ehdr_size + 2 * core.phdr_size
    core.segments = [elfgen.Segment(4, at, 0, 0, len(notes), 0),
                     elfgen.Segment(1, at + len(notes), 0, MEMORY, 4096, 4096)]
    with open(path, "wb") as f:
        f.write(b"".join(data for _, data in core.tables()) + notes + bytes(4096))


# ---- what gdb has in it ----

# Name, Nr, Rel, Offset, Size, then the type and what was asked for; gdb 16 adds whether it is expedited.
ROW = re.compile(r"^ ?(\S+) +(\d+) +(\d+) +(\d+) +(\d+) (.*?) *$")
REMOTE = re.compile(r".* (-?\d+) +(-?\d+)( +[a-z]+)?$")


def registers(gdb, core):
    """name: (number in the remote protocol, value or None, bytes). Those that gdb shows as a part of
    another one have no name: here they are called by their number."""
    numbers, values, table = {}, {}, None
    for line in ask(gdb, f"core-file {core}", "maint print remote-registers",
                    "maint print raw-registers").splitlines():
        if line.lstrip().startswith("Name "):
            table = numbers if "Rmt Nr" in line else values
        row = ROW.match(line) if table is not None else None
        if not row:
            continue
        last, remote = row[6].split()[-1], REMOTE.match(row[6])
        if table is numbers and remote:
            numbers[row[2]] = (row[1], int(remote[1]), int(row[5]))
        elif table is values and last.startswith("0x"):
            values[row[2]] = int(last, 16)
    return {number if name == "''" else name: (number, values.get(nr), size)
            for nr, (name, number, size) in numbers.items()}


def named(theirs, known):
    """THEIRS by our names, for those that have none there."""
    return {**theirs, **{n: theirs[k] for n, k in known.items() if n not in theirs and k in theirs}}


def check_core(tap, tool, gdb, folder, row):
    """What gdb has of the registers."""
    name, core = row[0], os.path.join(folder, row[0] + ".core")
    make_core(core, row)
    run = tool.run("inspect", "--json", "--regs", core)
    told = json.loads(run.out) if run.out else {"cpus": [{"registers": {}}], "numbers": {}}
    ours = {k: int(v, 16) for k, v in told["cpus"][0]["registers"].items()}
    known = {n: v["gdb"] for n, v in told["numbers"].items() if v["gdb"] >= 0}
    theirs = named(registers(gdb, core), known)
    if not tap.check(theirs, f"{name}: gdb reads the core", run):
        return theirs
    wrong = [f"{n}: {k}, gdb {theirs.get(n)}" for n, k in known.items() if theirs.get(n, (-1,))[0] != k]
    tap.none(wrong, f"{name}: {len(known)} numbers in the remote protocol")
    tap.none([n for n in ours if n in theirs and n not in known], f"{name}: all that gdb knows have one")
    # Where gdb takes only a part of what the note has: of segments, flags, cr, vscr.
    shared = [n for n in ours if n in theirs and theirs[n][1] is not None and (name, n) not in ZERO]
    wrong = [f"{n}: {ours[n]:#x}, gdb {theirs[n][1]:#x}" for n in shared
             if ours[n] & KEPT.get(n, -1) & (1 << 8 * theirs[n][2]) - 1 != theirs[n][1] & KEPT.get(n, -1)]
    tap.check(len(shared) >= 16 and len({ours[n] for n in shared}) > len(shared) * 3 // 4,
              f"{name}: {len(shared)} registers, which differ", shared)
    tap.none(wrong, f"{name}: they have the values that gdb has")
    tap.none([n for n in known if n not in ours and n != "zero"],
             f"{name}: each with a number is read from a note")
    return theirs


# ---- DWARF ----

def uleb(n):
    out = bytearray()
    while n > 0x7f:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    return bytes(out) + bytes([n])


def debug_sections(order, word, numbers):
    """.debug_abbrev and .debug_info of a unit with a variable vN of 4 bytes in each DWARF register N."""
    # 1: compile unit with children: name, language; 2: base type: size, encoding, name;
    # 3: variable: name, type, location
    abbrev = bytes([1, 0x11, 1, 3, 8, 0x13, 0xb, 0, 0, 2, 0x24, 0, 0xb, 0xb, 0x3e, 0xb, 3, 8, 0, 0,
                    3, 0x34, 0, 3, 8, 0x49, 0x13, 2, 0x18, 0, 0, 0])
    dies = b"\x01a.c\0\x0c"
    at = 11 + len(dies)
    dies += bytes([2, 4, 7]) + b"u32\0"
    for n in numbers:
        where = b"\x90" + uleb(n)
        dies += b"\x03" + b"v%d\0" % n + struct.pack(order + "I", at) + uleb(len(where)) + where
    dies += b"\0"
    head = struct.pack(order + "HIB", 4, 0, word)
    return abbrev, struct.pack(order + "I", len(head) + len(dies)) + head + dies


def make_program(path, row, numbers):
    _, bits, order, machine, flags, *_ = row
    abbrev, info = debug_sections(order, bits // 8, numbers)
    names = b"\0.text\0.debug_abbrev\0.debug_info\0.shstrtab\0"
    core = elfgen.Core(bits=bits, order=order, machine=machine, flags=flags, kind=2)
    pieces, at, table = [], core.ehdr_size, []
    word = "Q" if bits == 64 else "I"

    def header(name, kind, flags_, addr, off, size):
        return struct.pack(order + "II" + word * 4 + "II" + word * 2, names.index(name), kind, flags_,
                           addr, off, size, 0, 0, 4 if kind else 0, 0)

    table.append(header(b"\0", 0, 0, 0, 0, 0))
    for name, kind, flags_, addr, data in ((b".text", 1, 6, 0x10000, bytes(64)),
                                           (b".debug_abbrev", 1, 0, 0, abbrev),
                                           (b".debug_info", 1, 0, 0, info),
                                           (b".shstrtab", 3, 0, 0, names)):
        table.append(header(name, kind, flags_, addr, at, len(data)))
        pieces.append(data.ljust(elfgen.align(len(data), 8), b"\0"))
        at += len(pieces[-1])
    core.shoff = at
    head = bytearray(core.ehdr())
    struct.pack_into(order + "HH", head, core.ehdr_size - 4, len(table), len(table) - 1)
    with open(path, "wb") as f:
        f.write(bytes(head) + b"".join(pieces) + b"".join(table))


def check_dwarf(tap, tool, gdb, folder, row, theirs):
    """A variable of 4 bytes is one end of its register, and no two have the same 4 bytes."""
    name, program = row[0], os.path.join(folder, row[0] + ".elf")
    core = os.path.join(folder, name + ".core")
    run = tool.run("inspect", "--json", "--regs", core)
    told = json.loads(run.out) if run.out else {"cpus": [{"registers": {}}], "numbers": {}}
    values = {n: int(v, 16) for n, v in told["cpus"][0]["registers"].items()}
    wanted = {v["dwarf"]: n for n, v in told["numbers"].items() if v["dwarf"] >= 0}
    tap.equal(len(wanted), sum(v["dwarf"] >= 0 for v in told["numbers"].values()),
              f"{name}: no DWARF number twice")
    make_program(program, row, wanted)
    said = ask(gdb, f"file {program}", f"core-file {core}",
               *(c for n in wanted for c in (f"echo of {n}:", f"print/x v{n}", "echo \\n")))
    found = {int(n): int(v, 16) for n, v in re.findall(r"^of (\d+):\$\d+ = 0x([0-9a-f]+)", said, re.M)}
    if not tap.check(found, f"{name}: gdb reads the program", said):
        return
    judged = {d: n for d, n in wanted.items() if n in values and n not in row[10] and
              (name, n) not in ZERO and (d in found or n in theirs)}
    wrong = [f"{d}: {n} is {values[n]:#x}, gdb {found.get(d, 0):#x}" for d, n in judged.items()
             if f"{found.get(d, 0) & KEPT.get(n, -1):08x}" not in f"{values[n] & KEPT.get(n, -1):034x}"]
    tap.none(wrong, f"{name}: {len(judged)} of {len(wanted)} DWARF numbers")
    tap.check(len(judged) >= 16, f"{name}: gdb knows them", said)


def test(tap, tool, folder):
    gdb = find_gdb()
    if not gdb:
        raise harness.Skip("no gdb-multiarch, and GDB_MULTIARCH names none")
    for row in ROWS:
        if "Undefined item" in ask(gdb, f"set architecture {row[9]}"):
            tap.skip(row[0], f"this gdb has no {row[9]}")
            continue
        check_dwarf(tap, tool, gdb, folder, row, check_core(tap, tool, gdb, folder, row))


harness.main(test)
