#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Dumps that others' tools made: SADUMP by our own reader, LKCD, S390DUMP and Xen through libkdumpfile."""
import json
import os
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import foreigngen
import harness
import kdumpread

# Neighbours, holes of all lengths, a page at the end of a block of 1024 and one behind it.
PFNS = [0, 1, 2, 3, 10, 11, 12, 100, 1023, 1024, 4095, 4096, 5000, 5001, 20000]
PAGES = {pfn: foreigngen.page(pfn, "zero" if pfn in (2, 11, 4096) else "data") for pfn in PFNS}


def write(folder, name, data):
    path = os.path.join(folder, name)
    with open(path, "wb") as f:
        f.write(data)
    return path


def frames(report, state):
    found = []
    for row in report["memory"]:
        if row["state"] == state:
            first = int(row["start"], 0) // report["page_size"]
            found += range(first, first + row["pages"])
    return found


def check_memory(tap, tool, folder, name, files, pages, status=harness.OK, **states):
    """Which pages there are, and that each of them has its bytes. Returns what inspect says."""
    run = tool.run("inspect", "--json", *files)
    if not tap.equal(run.status, status, f"{name}: inspect", run):
        return {}
    report = json.loads(run.out)
    tap.equal(frames(report, "present"), sorted(pages), f"{name}: pages")
    for state, wanted in states.items():
        tap.equal(frames(report, state), sorted(wanted), f"{name}: {state} pages")
    out = os.path.join(folder, "out.raw")
    run = tool.run("convert", "-f", "-q", "--format", "raw", *files, out)
    if tap.equal(run.status, status, f"{name}: convert to raw", run):
        # What is made of an input that is not whole is not called so.
        with open(out if status == harness.OK else out + ".incomplete", "rb") as f:
            raw = f.read()
        size = foreigngen.PAGE
        wrong = [hex(pfn) for pfn in range(len(raw) // size)
                 if raw[pfn * size:(pfn + 1) * size] != pages.get(pfn, bytes(size))]
        tap.none(wrong + ([] if len(raw) > max(pages) * size else ["the end is missing"]),
                 f"{name}: contents of the pages")
    return report


def check_sadump(tap, tool, folder):
    kinds = [("partition", {}), ("media file", {"media": True}), ("set of three disks", {"disks": 3})]
    for name, how in kinds:
        files = [write(folder, f"sa.{i}", data) for i, data in
                 enumerate(foreigngen.sadump(PAGES, excluded=(4, 5, 99), **how))]
        # The disks of a set may be named in any order.
        report = check_memory(tap, tool, folder, f"SADUMP, {name}", files[::-1], PAGES,
                              excluded=(4, 5, 99))
        tap.equal((report.get("architecture"), report.get("format")), ("x86_64", "sadump"),
                  f"SADUMP, {name}: machine and format")
        tap.equal([cpu["registers"].get("rip") for cpu in report.get("cpus", [])],
                  ["0xffffffff81000000"], f"SADUMP, {name}: registers")
    check_registers(tap, tool, folder, "SADUMP",
                    write(folder, "sa", foreigngen.sadump(PAGES, cpus=CPUS)[0]))
    check_sadump_sets(tap, tool, folder)
    check_sadump_damage(tap, tool, folder)


CPUS = [{"rip": 0xffffffff81000000 + i, "rsp": 0xffff888000001000 * (i + 1) & 2 ** 64 - 1, "rax": i,
         "r15": 2 ** 64 - 1 - i, "cr0": 0x80050033, "cr3": 0x1000 * i} for i in range(3)]
AREA = {"r15": 0, "rax": 10, "rip": 16, "rsp": 19}  # struct user_regs_struct, in words


def prstatus(notes):
    """(pid, registers) of each NT_PRSTATUS (include/uapi/linux/elfcore.h) in NOTES."""
    return [(struct.unpack_from("<I", desc, 32)[0],
             {reg: struct.unpack_from("<Q", desc, 112 + 8 * word)[0] for reg, word in AREA.items()})
            for owner, kind, desc in notes if (owner, kind) == (b"CORE", 1)]


def check_registers(tap, tool, folder, name, path):
    """Registers that are in no note of PATH are in those of what is made of it, and stay there."""
    kdump, elf, again = (os.path.join(folder, n) for n in ("regs.kdump", "regs.elf", "regs.again"))
    for how, source, out in (("kdump", path, kdump), ("elf", kdump, elf), ("kdump", elf, again)):
        run = tool.run("convert", "-f", "-q", "--format", how, source, out)
        tap.equal(run.status, harness.OK, f"{name}: convert to {how}", run)
        run = tool.run("inspect", "--json", out)
        cpus = json.loads(run.out)["cpus"] if run.status == harness.OK else []
        tap.equal([{reg: int(cpu["registers"].get(reg, "-1"), 0) for reg in CPUS[0]} for cpu in cpus],
                  CPUS, f"{name}: registers in {os.path.basename(out)}")
        run = tool.run("inspect", "--compare", path, out)
        tap.equal(run.status, harness.OK, f"{name}: the same is in {os.path.basename(out)}", run)
    tap.equal(prstatus(kdumpread.Dump(again).notes()),
              [(i + 1, {reg: cpu[reg] for reg in AREA}) for i, cpu in enumerate(CPUS)],
              f"{name}: NT_PRSTATUS by another reader")


def check_sadump_sets(tap, tool, folder):
    files = [write(folder, f"sa.{i}", data) for i, data in
             enumerate(foreigngen.sadump(PAGES, disks=3))]
    for what, names in (("one is missing", files[:2]), ("the first is missing", files[1:]),
                        ("one is there twice", [files[0], files[1], files[1]])):
        run = tool.run("inspect", *names)
        tap.check(run.status == harness.USAGE and not run.faults() and "disk" in run.err,
                  f"SADUMP, disk set, {what}: is said", run)
    large = {p: PAGES[p] * 2 for p in PFNS}
    run = tool.run("inspect", "--json",
                   write(folder, "sa.0", foreigngen.sadump(large, block=8192)[0]))
    tap.equal(frames(json.loads(run.out or "{\"memory\": []}"), "present"), PFNS,
              "SADUMP, blocks of 8 KiB: pages", run)
    narrow = write(folder, "sa.0", foreigngen.sadump(PAGES, wide=False)[0])
    report = check_memory(tap, tool, folder, "SADUMP, 32 bits", [narrow], PAGES)
    tap.equal(report.get("word_bits"), 32, "SADUMP, 32 bits: word")


def check_sadump_damage(tap, tool, folder):
    whole = foreigngen.sadump(PAGES)[0]
    part = len(whole) - 2 * foreigngen.PAGE
    cut = write(folder, "cut", whole[:part])
    there = {p: PAGES[p] for p in PFNS[:-2]}
    check_memory(tap, tool, folder, "SADUMP, cut off", [cut], there, status=harness.DAMAGED,
                 unreadable=PFNS[-2:])
    bad = []
    for size in harness.sample(range(0, part, 4099), 3, "cut"):
        run = tool.run("inspect", "--json", write(folder, "cut", whole[:size]))
        bad += run.faults() + ([] if run.status else [f"cut to {size} bytes: no complaint"])
    tap.none(bad, "SADUMP, cut at any place: is told")
    bad = []
    for at in harness.sample((*range(0, 168, 4), *range(4096, 4096 + 120, 4), 8192), 3, "header"):
        data = whole[:at] + b"\xff\xff\xff\xff" + whole[at + 4:]
        run = tool.run("inspect", "--quick", write(folder, "bad", data))
        bad += [f"{at:#x}: {fault}" for fault in run.faults()]
    tap.none(bad, "SADUMP, numbers at their largest: no crash")


def has_library(tool, path):
    """Can this program read LKCD? Without libkdumpfile it only says what it is."""
    run = tool.run("inspect", "--quick", path)
    return not (run.status == harness.FAILED and "is a LKCD dump" in run.err)


def check_lkcd(tap, tool, folder):
    kinds = [("raw", {}), ("run lengths", {"compression": foreigngen.RLE}),
             ("gzip", {"compression": foreigngen.GZIP}),
             ("version 8, big-endian", {"order": ">", "machine": "s390x", "version": 8,
                                        "start": 65536})]
    backwards = {pfn: PAGES[pfn] for pfn in (*PFNS[8:], *PFNS[:8])}
    for name, how in kinds:
        path = write(folder, "lkcd", foreigngen.lkcd(backwards, **how))
        report = check_memory(tap, tool, folder, f"LKCD, {name}", [path], PAGES)
        tap.equal(report.get("byte_order"), "big-endian" if "order" in how else "little-endian",
                  f"LKCD, {name}: byte order")
        tap.equal(report.get("architecture"), how.get("machine", "x86_64"),
                  f"LKCD, {name}: machine")
        run = tool.run("inspect", "--quick", path)
        tap.check(b"through libkdumpfile" in run.out, f"LKCD, {name}: by whom it is read", run)
    check_lkcd_damage(tap, tool, folder)


def check_lkcd_damage(tap, tool, folder):
    path = write(folder, "lkcd", foreigngen.lkcd(PAGES, end=False))
    report = check_memory(tap, tool, folder, "LKCD without its end", [path], PAGES,
                          status=harness.DAMAGED)
    tap.equal(report.get("complete"), False, "LKCD without its end: is not complete")
    whole, bad = foreigngen.lkcd(PAGES), []
    for size in (262144, 262144 + 8, 262144 + 16, 262144 + 4000, len(whole) - 5000, len(whole) - 9):
        run = tool.run("inspect", "--json", write(folder, "cut", whole[:size]))
        bad += run.faults() + ([] if run.status else [f"cut to {size} bytes: no complaint"])
    tap.none(bad, "LKCD, cut at any place: is told")
    run = tool.run("inspect", write(folder, "lkcd", foreigngen.lkcd(PAGES, version=11)))
    tap.check(run.status == harness.FAILED and not run.faults() and "version 11" in run.err,
              "LKCD of a version that nobody knows: is said", run)
    twice = foreigngen.lkcd(PAGES, end=False) + foreigngen.lkcd({3: PAGES[3]})[262144:]
    run = tool.run("inspect", "--json", write(folder, "twice", twice))
    tap.check(run.status == harness.DAMAGED and not run.faults(),
              "LKCD with a page twice: is damaged", run)
    if run.out:
        tap.equal(frames(json.loads(run.out), "present"), PFNS, "LKCD with a page twice: pages")


def check_s390dump(tap, tool, folder):
    few = {p: d for p, d in PAGES.items() if p < 2000}
    data = foreigngen.s390dump(2000, few)
    report = check_memory(tap, tool, folder, "S390DUMP", [write(folder, "s390", data)],
                          {p: few.get(p, bytes(foreigngen.PAGE)) for p in range(2000)})
    tap.equal((report.get("architecture"), report.get("byte_order")), ("s390x", "big-endian"),
              "S390DUMP: machine")
    run = tool.run("inspect", write(folder, "cut", data[:-8000]))
    tap.check(run.status in (harness.FAILED, harness.DAMAGED) and not run.faults(),
              "S390DUMP, cut off: is told", run)


def s390_regs(tool, path):
    run = tool.run("inspect", "--json", "--regs", path)
    return run, [c["registers"] for c in json.loads(run.out)["cpus"]] if run.out else []


def check_s390_registers(tap, tool, folder):
    gprs, vector = [0x1111 * n for n in range(16)], bytes(range(16, 32)) * 32
    pages = {**foreigngen.lowcore(0xabcdef, gprs, 0x10000, 0x20000 | 0x3ff), 0x20: vector.ljust(4096, b"\0"),
             **foreigngen.lowcore(0x1234, gprs[::-1], 0x30000)}
    path, out = write(folder, "s390", foreigngen.s390dump(100, pages, (0x10000, 0, 0x30000))), \
        os.path.join(folder, "out")
    run, cpus = s390_regs(tool, path)
    tap.equal([(c["pswa"], c["r3"], c["r15"], c["prefix"], c.get("v16"), c.get("v3l")) for c in cpus],
              [("0xabcdef", "0x3333", "0xffff", "0x10000", "0x101112131415161718191a1b1c1d1e1f",
                "0x18191a1b1c1d1e1f"), ("0x1234", "0xcccc", "0x0", "0x30000", None, None)],
              "S390DUMP: registers of its CPUs", run)
    for form in ("elf", "kdump"):
        tool.run("convert", "-f", "-q", "--format", form, path, out)
        again, told = s390_regs(tool, out)
        tap.equal([{n: c[n] for n in c if n in have} for c, have in zip(told, cpus)], cpus,
                  f"S390DUMP: they are notes of the {form} dump", again)
        run = tool.run("inspect", "--compare", path, out)
        tap.equal(run.status, harness.OK, f"S390DUMP: the {form} dump is the same", run)
    for what, where, count in (("outside of memory", [0xfffff000, 0x10000], None),
                               ("at the end of memory", [100 * 4096 - 0x1300, 0x10000], None),
                               ("without end", [0x10000] * 512, 65535)):
        run, cpus = s390_regs(tool, write(folder, "bad", foreigngen.s390dump(100, pages, where, count)))
        tap.check(not run.faults() and len(cpus) == len(where) and cpus[-1].get("pswa") == "0xabcdef",
                  f"S390DUMP: prefix areas {what}", run)
        tap.equal(run.status, harness.OK if count else harness.DAMAGED, f"S390DUMP: {what}: is told", run)
    bad = {**pages, **foreigngen.lowcore(0xabcdef, gprs, 0x10000, 0x7fffffffffffffff)}
    run, cpus = s390_regs(tool, write(folder, "bad", foreigngen.s390dump(100, bad, (0x10000,))))
    tap.check(run.status == harness.DAMAGED and not run.faults() and cpus[0].get("r3") == "0x3333" and
              "v16" not in cpus[0], "S390DUMP: vectors outside of memory", run)


def check_xencore(tap, tool, folder):
    data = foreigngen.xencore({p: PAGES[p] for p in (*PFNS[4:], *PFNS[:4])})
    report = check_memory(tap, tool, folder, "Xen dump-core", [write(folder, "xen", data)], PAGES)
    tap.equal(report.get("architecture"), "x86_64", "Xen dump-core: machine")
    check_registers(tap, tool, folder, "Xen dump-core",
                    write(folder, "xen", foreigngen.xencore(PAGES, cpus=CPUS)))
    run = tool.run("inspect", write(folder, "cut", data[:-3000]))
    tap.check(run.status in (harness.FAILED, harness.DAMAGED) and not run.faults() and
              "string table" in run.err, "Xen dump-core, cut off: is told", run)


    for what, at, value in (("section headers of no size", 58, 0), ("of a size of their own", 58, 32),
                            ("a machine that is not x86", 18, 183)):
        bad = data[:at] + value.to_bytes(2, "little") + data[at + 2:]
        run = tool.run("inspect", write(folder, "bad", bad))
        tap.check(run.status == harness.FAILED and not run.faults(),
                  f"Xen dump-core, {what}: is said", run)


def check_not_a_file(tap, tool, folder):
    """The library wants a plain file; and it must not be asked about just anything."""
    path = write(folder, "lkcd", foreigngen.lkcd(PAGES))
    with open(path, "rb") as f:
        run = tool.run("inspect", "--json", "-", stdin=f)
    tap.equal(run.status, harness.OK, "LKCD from standard input", run)
    garbage = write(folder, "garbage", b"\x5a" * 100000)
    run = tool.run("inspect", garbage)
    tap.check(run.status == harness.FAILED and "not a dump" in run.err,
              "what is no dump is not taken for memory", run)


def test(tap, tool, folder):
    check_sadump(tap, tool, folder)
    if not has_library(tool, write(folder, "lkcd", foreigngen.lkcd(PAGES))):
        tap.skip("LKCD, S390DUMP, Xen dump-core", "built without libkdumpfile")
        return
    for check in (check_lkcd, check_s390dump, check_s390_registers, check_xencore, check_not_a_file):
        check(tap, tool, folder)


harness.main(test)
