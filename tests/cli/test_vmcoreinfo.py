#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Dumps without a VMCOREINFO note: it is looked for in memory, weighed, or taken from a file, and
stands as a note in what is written."""
import json
import os
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import elfgen
import harness
import kdumpread

BASE, PAGES = 0x1000000, 64
KERNEL = 0xffffffff80000000


def info(release="6.1.0-test", root=KERNEL + 0x10000, more=""):
    return (f"OSRELEASE={release}\nPAGESIZE=4096\nSYMBOL(init_uts_ns)={KERNEL + 0x3000:x}\n"
            f"SYMBOL(swapper_pg_dir)={root:x}\nOFFSET(uts_namespace.name)=4\n"
            f"NUMBER(phys_base)={BASE}\nNUMBER(pgtable_l5_enabled)=0\n{more}").encode()


RIGHT, OLD = info(), info("5.10.0-old", more="SYMBOL(prb)=0\n" * 9)
LOST = info(root=KERNEL + 0x20000, more="CRASHTIME=1\n" * 5)


def machine(path, texts, order="<", notes=b"", size=4096):
    """A kernel of 6.1.0-test in a page of 2 MiB, and TEXTS: page number to what it begins with."""
    core = elfgen.Core(order=order, machine=62)
    memory = bytearray(PAGES * size)
    names = b"".join(n.encode().ljust(65, b"\0") for n in
                     ("Linux", "host", "6.1.0-test", "#1", "x86_64", "(none)"))
    memory[0x3004:0x3004 + len(names)] = names
    for at, value in ((0x10ff8, BASE + 0x11067), (0x11ff0, BASE + 0x12067), (0x12000, BASE | 0x1e3)):
        struct.pack_into(order + "Q", memory, at, value)
    for page, text in texts.items():
        memory[page * 4096:page * 4096 + len(text)] = text
    at = 64 + 56 * 2
    core.segments = [elfgen.Segment(elfgen.PT_NOTE, at, 0, 0, len(notes), 0),
                     elfgen.Segment(elfgen.PT_LOAD, 8192, 0, BASE, len(memory), len(memory))]
    with open(path, "wb") as f:
        for offset, data in (*core.tables(), (at, notes), (8192, bytes(memory))):
            f.seek(offset)
            f.write(data)
    return path


def note(text, owner="VMCOREINFO"):
    return elfgen.note("<", owner, 0, text)


def told(tool, path, *options):
    run = tool.run("inspect", *options, "--json", "--quick", path)
    report = json.loads(run.out) if run.out else {}
    return run, report.get("vmcoreinfo", "").encode(), report.get("kernel", {})


def check_scan(tap, tool, folder):
    for name, texts, address, count in (
            ("alone", {40: RIGHT}, BASE + 40 * 4096, 1),
            ("as a note in memory", {40: note(RIGHT)}, BASE + 40 * 4096 + 24, 1),
            ("behind one of an older kernel", {33: OLD, 40: RIGHT}, BASE + 40 * 4096, 2),
            ("before one whose tables are gone", {40: RIGHT, 41: LOST}, BASE + 40 * 4096, 2),
            ("twice, the longer one counts", {40: RIGHT, 50: RIGHT + b"CRASHTIME=77\n"},
             BASE + 50 * 4096, 2),
            ("beside half a one", {30: RIGHT[:30], 40: RIGHT}, BASE + 40 * 4096, 1)):
        path = machine(os.path.join(folder, "core"), texts)
        run, text, kernel = told(tool, path)
        tap.check(run.status == harness.OK and len(run.warnings()) == 1 and
                  f"kernel 6.1.0-test, found in memory at {address:#x}" in run.err and
                  f"({count} found)" in run.err, f"{name}: is found, and told", run)
        tap.check(text.startswith(RIGHT) and kernel.get("release") == "6.1.0-test" and
                  "translation" in kernel, f"{name}: serves", kernel)


def check_written(tap, tool, folder):
    path = machine(os.path.join(folder, "core"), {40: RIGHT}, notes=note(b"x" * 5, "OTHER"))
    for command in ("convert", "filter"):
        out = os.path.join(folder, "out")
        run = tool.run(command, "-f", path, out)
        tap.equal(run.status, harness.OK, f"{command}", run)
        dump = kdumpread.Dump(out)
        tap.check((b"VMCOREINFO", 0, RIGHT) in dump.notes() and
                  (b"OTHER", 0, b"x" * 5) in dump.notes(), f"{command}: notes", dump.notes())
        tap.equal(bytes(dump.vmcoreinfo), RIGHT, f"{command}: the header tells where it lies")
        tap.equal(tool.run("inspect", "--quick", out).warnings(), [], f"{command}: nothing is looked for")
        tap.equal(tool.run("inspect", "--compare", path, out).status, harness.OK,
                  f"{command}: the same as its source")


def check_options(tap, tool, folder):
    path = machine(os.path.join(folder, "core"), {40: RIGHT}, notes=note(OLD))
    tap.equal(told(tool, path)[1], OLD, "a note is enough")
    tap.equal(told(tool, path, "--vmcoreinfo=scan")[1], RIGHT, "scan: in place of the note")
    own = os.path.join(folder, "info.txt")
    with open(own, "wb") as f:
        f.write(RIGHT + b"MINE=1\n")
    for form in (("--vmcoreinfo", own), (f"--vmcoreinfo={own}",)):
        tap.equal(told(tool, path, *form)[1], RIGHT + b"MINE=1\n", f"a file, {len(form)} words")
    run = tool.run("inspect", "--vmcoreinfo", path)
    tap.equal(run.out, OLD, "inspect without a value prints it", run)
    path = machine(os.path.join(folder, "core"), {40: RIGHT})
    run, text, kernel = told(tool, path, "--vmcoreinfo=none")
    tap.check(run.status == harness.OK and not text and not run.warnings() and
              "translation" not in kernel, "none: nothing is looked for", run)
    run = tool.run("inspect", "--quick", "--vmcoreinfo=none", path)
    tap.check(run.out.count(b"there is no VMCOREINFO note, and memory was not looked through for one") == 2,
              "none: that nothing was looked for is what is said", run.out.decode())
    for what, name, word, status in (
            ("no such file", os.path.join(folder, "none.txt"), "No such file", harness.FAILED),
            ("a file that is something else", path, "is no VMCOREINFO", harness.USAGE)):
        run = tool.run("filter", "-f", "--vmcoreinfo", name, path, os.path.join(folder, "out"))
        tap.check(run.status == status and word in run.err, what, run)


def check_none(tap, tool, folder):
    path = machine(os.path.join(folder, "core"), {40: b"OSRELEASE=\n"})
    out = os.path.join(folder, "out")
    run = tool.run("filter", "-f", "-d", "31", path, out)
    tap.check(run.status == harness.OK and "has no VMCOREINFO (--vmcoreinfo FILE" in run.err,
              "none anywhere: what helps", run)
    tap.equal(len(run.warnings()), 2, "none anywhere: not a line for each fact", run)
    run = tool.run("inspect", "--quick", path)
    tap.equal(run.out.count(b"there is no VMCOREINFO, neither as a note nor in memory"), 2,
              "none anywhere: inspect tells where it was looked for", run.out.decode())
    run = tool.run("dmesg", path)
    tap.check(run.status == harness.FAILED and len(run.lines()) == 1 and
              "neither as a note nor in memory (--vmcoreinfo FILE" in run.err,
              "none anywhere: dmesg says what helps", run)
    tap.equal(len(kdumpread.Dump(out).kept()), PAGES, "none anywhere: all is kept")


def check_many(tap, tool, folder):
    """More texts than are remembered; a text that never ends."""
    path = machine(os.path.join(folder, "core"),
                   {n: RIGHT for n in range(20, 64)} | {19: RIGHT + b"A=" + b"b" * 100000})
    run, text, _ = told(tool, path)
    tap.check(run.status == harness.OK and text.startswith(RIGHT), "many, one without an end", run)


def test(tap, tool, folder):
    check_scan(tap, tool, folder)
    check_written(tap, tool, folder)
    check_options(tap, tool, folder)
    check_none(tap, tool, folder)
    check_many(tap, tool, folder)


if __name__ == "__main__":
    harness.main(test)
