#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Page tables of all layouts, described in tests/data/vtop-*.txt: where addresses lie, by inspect --vtop.

The numbers in the descriptions come from the manuals of the CPUs and the kernel's headers."""
import glob
import json
import os
import random
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import harness
from tables import Tables


def vtop(tool, path, addresses, *options):
    with open(path + ".ask", "w", encoding="ascii") as f:
        f.write("".join(f"{a:#x}\n" for a in addresses))
    with open(path + ".ask", "rb") as f:
        return tool.run("inspect", "--json", *options, "--vtop", "-", path, stdin=f)


def check_tables(tap, tool, path, folder):
    text = Tables(path)
    core = os.path.join(folder, "core")
    text.build(core)
    run = vtop(tool, core, [v for v, _, _ in text.vtops])
    wanted = harness.FAILED if any(p is None for _, p, _ in text.vtops) else harness.OK
    if not tap.equal(run.status, wanted, f"{text.name}: status", run):
        return
    for (vaddr, paddr, size), got in zip(text.vtops, json.loads(run.out)["addresses"], strict=True):
        if paddr is None:
            tap.check("error" in got, f"{text.name}: {vaddr:#x} is not mapped", got)
            continue
        found = (int(got.get("paddr", "-1"), 0), int(got.get("bytes", "-1"), 0) if size else None)
        tap.equal([hex(n or 0) for n in found], [hex(n or 0) for n in (paddr, size)],
                  f"{text.name}: {vaddr:#x}")
    if text.entries:
        check_hostile(tap, tool, text, core)


def check_hostile(tap, tool, text, core):
    """Entries that lie: nothing hangs or crashes, whatever comes out."""
    rng = random.Random(text.name)
    places = [(pfn, at) for pfn, page in sorted(text.entries.items()) for at in sorted(page)]
    bad = []
    for _ in harness.sample(range(8), 4, text.name):
        old = {pfn: dict(page) for pfn, page in text.entries.items()}
        for pfn, at in rng.sample(places, max(1, len(places) // 8)):
            text.entries[pfn][at] = rng.randrange(256)
        text.build(core)
        run = vtop(tool, core, [v for v, _, _ in text.vtops])
        filtered = tool.run("filter", "-f", "-q", "-d", "31", core, core + ".out")
        if run.status not in (harness.OK, harness.FAILED) or run.faults() or filtered.faults() or \
                filtered.status not in (harness.OK, harness.DAMAGED):
            bad.append(f"{run.status} {run.err} {filtered.status} {filtered.err}")
        text.entries = old
    tap.none(bad, f"{text.name}: lying entries")


def check_lines(tap, tool, folder):
    """What --vtop - takes: the first word of a line, as of /proc/kallsyms, however long the line is."""
    text, core, ask = (Tables(os.path.join(harness.DATA, "vtop-x86_64.txt")),
                       os.path.join(folder, "core"), os.path.join(folder, "lines"))
    text.build(core)
    mapped = [v for v, p, _ in text.vtops if p is not None][:4]
    tails = (" T " + "long" * 40 + "\t[module]\n", "\r\n\n \t \n", " x" * 40000 + "\n", "")
    lines = "\n" + "".join(f"{' ' * i}{v:x}{t}" for i, (v, t) in enumerate(zip(mapped, tails, strict=True)))
    for more, status in ((b"", harness.OK), (b"\n\n  ffff_ no\n" + b"0\n" * 9, harness.USAGE),
                         (b"\n" + b"f" * 70000, harness.USAGE), (b"\n\0\xff \x1b", harness.USAGE)):
        with open(ask, "wb") as f:
            f.write(lines.encode() + more)
        with open(ask, "rb") as f:
            run = tool.run("inspect", "--json", "--vtop", "-", core, stdin=f)
        tap.equal((run.status, [int(a["vaddr"], 0) for a in json.loads(run.out)["addresses"]]),
                  (status, mapped), f"lines of all lengths, and {more[:12]}", run)
        line = lines.count("\n") + more.count(b"\n", 0, more.find(b"f")) + 1
        tap.check(not more or f"line {line} of standard input: '" in run.err, "which line it is", run)


def test(tap, tool, folder):
    check_lines(tap, tool, folder)
    paths = sorted(glob.glob(os.path.join(harness.DATA, "vtop-*.txt")))
    if os.environ.get("EMULATOR"):  # an emulated host is slow, and the layouts are the same data there
        paths = harness.sample(paths, 3, "vtop")
    for path in paths:
        check_tables(tap, tool, path, folder)


if __name__ == "__main__":
    harness.main(test, harness.SmallTool)
