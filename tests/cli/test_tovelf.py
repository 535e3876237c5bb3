#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""tovelf: the address space that page tables map, as segments of an ELF core.

What must come out follows from tests/data/vtop-*.txt, mem-*.txt and what is built here."""
import os
import re
import shutil
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import coreread
import elfgen
import harness
import kimage
from tables import Tables

SECONDS = 60


def tovelf(tool, path, out, *options, **more):
    more.setdefault("seconds", SECONDS)
    return tool.run("tovelf", "-f", "--num-threads", "2", *options, "-o", out, path, **more)


# ---- layouts of page tables ----

def in_memory(text, paddr):
    return any(x.start <= paddr < x.data for x in text.loads)


def check_layout(tap, tool, path, folder):
    """Every address that a description maps is there, with its bytes, and no other one."""
    text = Tables(path)
    core, out = os.path.join(folder, "core"), os.path.join(folder, "out")
    text.build(core)
    run = tovelf(tool, core, out)
    if run.status == harness.FAILED and "no address space" in run.err:
        mapped = [v for v, paddr, _ in text.vtops if paddr is not None]
        return tap.check(not mapped, f"{text.name}: nothing is known of its page tables", run)
    if not tap.check(run.status in (harness.OK, harness.DAMAGED), f"{text.name}: status", run):
        return None
    made, wrong = coreread.Core(out), []
    for vaddr, paddr, _ in text.vtops:
        load = made.at(vaddr)
        if paddr is None or not in_memory(text, paddr):
            if load and vaddr >= kernel_start(text):
                wrong.append(f"{vaddr:#x} is in a segment")
        elif vaddr < kernel_start(text):
            pass  # of a process
        elif not load and "again and again" in run.err:
            pass  # s390x: the description maps one page by many entries
        elif not load:
            wrong.append(f"{vaddr:#x} is in no segment")
        else:
            page = text.page(paddr // text.page_size)
            if made.data[load.off + vaddr - load.vaddr] != page[paddr % text.page_size]:
                wrong.append(f"{vaddr:#x}: another byte")
            if load.paddr + vaddr - load.vaddr != paddr and made.wide:
                wrong.append(f"{vaddr:#x}: p_paddr says {load.paddr + vaddr - load.vaddr:#x}")
    return tap.none(wrong, f"{text.name}: {len(text.vtops)} addresses, {len(made.loads)} segments", run)


def kernel_start(text):
    """Where addresses of processes end, where the layout has them in the same table."""
    return 1 << 63 if text.core.machine in (62, 243) else 0


# ---- a machine ----

def direct(image, paddr):
    return image.direct(paddr)


def check_pages(image, made, kept):
    """Complaints: each page of KEPT is where the linear map has it, no other page is in any segment."""
    wrong, offsets = [], {}
    for load in made.loads:
        for at in range(0, load.size, kimage.PAGE):
            pfn = (load.paddr + at) // kimage.PAGE
            if pfn not in kept:
                wrong.append(f"page {pfn:#x} at {load.vaddr + at:#x} should be left out")
            if offsets.setdefault(pfn, load.off + at) != load.off + at:
                wrong.append(f"page {pfn:#x} is stored twice")
    for pfn in kept:
        got = made.read(image.direct(pfn * kimage.PAGE), kimage.PAGE)
        if got != image.page(pfn):
            wrong.append(f"page {pfn:#x}: {'missing' if got is None else 'other bytes'}")
    if len(set(offsets.values())) != len(offsets):
        wrong.append("two pages share a place")
    return wrong


def check_machine(tap, tool, folder):
    image = kimage.Image(kimage.Text(os.path.join(harness.DATA, "mem-all.txt")), "6.1")
    core, out = os.path.join(folder, "machine"), os.path.join(folder, "machine.elf")
    image.write(core)
    everything = set(image.text.pages())
    run = tovelf(tool, core, out)
    made = coreread.Core(out)
    tap.equal(run.status, harness.OK, "a machine: status", run)
    tap.none(check_pages(image, made, everything), "a machine: all its pages, each once", run)
    tap.none([hex(x.vaddr) for x in made.overlaps()], "a machine: no two segments overlap")
    tap.equal(made.flags & 1, 0, "a machine: not marked as incomplete")
    check_threads(tap, made)
    check_printed(tap, tool, run, core, out, folder)

    run = tovelf(tool, core, out, "-d", "31")
    tap.none(check_pages(image, coreread.Core(out), set(image.kept(31))), "-d 31: what it keeps", run)
    run = tovelf(tool, core, out, "-l", "kernel")
    tap.none(check_pages(image, coreread.Core(out), set(image.kept(30))), "-l kernel: what it keeps", run)

    run = tovelf(tool, core, out, "--no-direct-map")
    made = coreread.Core(out)
    tap.check(made.read(kimage.TEXT_VADDR, 64) == image.page(image.text.image[0])[:64],
              "--no-direct-map: the image is there", run)
    tap.none([hex(x.vaddr) for x in made.loads if 0 <= x.vaddr - image.direct(0) < 1 << 40],
             "--no-direct-map: the linear map is not", run)
    run = tovelf(tool, core, out, "--no-vmemmap")
    less = coreread.Core(out)
    pfn = next(iter(image.text.pages()))
    tap.check(less.at(image.vmemmap_vaddr(pfn)) is None, "--no-vmemmap: no struct pages", run)
    tap.none(check_pages(image, less, everything), "--no-vmemmap: everything else", run)

    with open(out + ".stream", "wb") as f:
        run = tool.run("tovelf", core, stdout=f, seconds=SECONDS)
    tovelf(tool, core, out)
    stream, file = coreread.Core(out + ".stream"), coreread.Core(out)
    tap.equal([(x.vaddr, x.paddr, x.size) for x in stream.loads],
              [(x.vaddr, x.paddr, x.size) for x in file.loads], "into a pipe: the same segments", run)
    tap.none(check_pages(image, stream, everything), "into a pipe: the same pages", run)
    return image, core


def check_threads(tap, made):
    """Two CPUs: what the notes say, and in the order of the notes."""
    tap.equal([pid for pid, _ in made.threads()], [1, 279], "a machine: threads")
    tap.equal([(n, k) for n, k, _ in made.notes if n == "LINUX"], [("LINUX", 0x700)],
              "a machine: a note of a kind that belongs to no CPU is there once")
    tap.equal([(int(x[0]), int(x[3])) for x in made.tasks()], [(1, 0), (279, 1)],
              "a machine: what threads are")


def check_printed(tap, tool, run, image, out, folder):
    """The script for gdb where it is found; without it, gdb's own commands do."""
    line = [x for x in run.lines() if x.startswith("open it with: ")]
    script = re.search(rf"gdb -c {re.escape(out)} -x (\S+/dumptool-gdb\.py) -ex 'kernel-symbols vmlinux'$", line[-1])
    tap.check(script and os.path.isfile(script[1]), "a machine: the command line for gdb", run)
    if tool.emulated or os.path.exists("/usr/local/share/dumptool"):
        return tap.skip("a machine: the command line without a script", "the program finds one")
    alone = os.path.join(folder, "dumptool")
    shutil.copy(tool.path, alone)
    run = tool.run("tovelf", "-f", "-o", out, image, name=alone, seconds=SECONDS)
    return tap.check(run.lines() and re.search(rf"gdb -c {re.escape(out)} -ex 'add-symbol-file vmlinux -o "
                                               rf"0x{kimage.KERNEL_OFFSET:x}", run.lines()[-1]),
                     "a machine: the command line without a script", run)


# ---- hostile tables ----

ROOT = 0x1010000


class Hostile:
    """16 MiB + some pages, x86-64, the root at ROOT; entries as they are set."""

    def __init__(self, pages):
        self.entries = {}
        self.start, self.size = 0x1000000, pages * 4096
        # the image, so that the table is believed: as in vtop-x86_64.txt
        self.set(ROOT, 511, 0x1011067)
        self.set(0x1011000, 510, 0x1012067)
        self.set(0x1012000, 0, 0x10001e3)

    def set(self, table, index, value):
        self.entries[table + 8 * index] = value

    def build(self, path):
        info = ("OSRELEASE=6.1.0-test\nPAGESIZE=4096\nSYMBOL(_stext)=ffffffff80000000\n"
                "SYMBOL(swapper_pg_dir)=ffffffff80010000\nNUMBER(phys_base)=16777216\n"
                "NUMBER(pgtable_l5_enabled)=0\n")
        memory = bytearray(self.size)
        for at, value in self.entries.items():
            memory[at - self.start:at - self.start + 8] = value.to_bytes(8, "little")
        notes = elfgen.note("<", "VMCOREINFO", 0, info.encode())
        core = elfgen.Core()
        core.segments = [elfgen.Segment(elfgen.PT_NOTE, 0x1000, 0, 0, len(notes), len(notes)),
                         elfgen.Segment(elfgen.PT_LOAD, 0x4000, 0, self.start, self.size, self.size)]
        with open(path, "wb") as f:
            for offset, data in core.tables():
                f.seek(offset)
                f.write(data)
            f.seek(0x1000)
            f.write(notes)
            f.seek(0x4000)
            f.write(memory)


def one_page_everywhere(h):
    """A table that maps one page 512 times, in every entry of one that is in every entry of one ..."""
    for i in range(512):
        h.set(0x1015000, i, 0x1019063)
        h.set(0x1014000, i, 0x1015067)
        h.set(0x1013000, i, 0x1014067)
    for i in range(256, 510):
        h.set(ROOT, i, 0x1013067)


def itself(h):
    """The root in its own entries, all but that of the image."""
    for i in range(256, 511):
        h.set(ROOT, i, ROOT | 0x67)


def in_turns(h):
    """Two tables of different pages in turns, so that no entry is like the one before it."""
    for i in range(512):
        for table in (0x1013000, 0x1014000):
            h.set(table, i, 0x1013067 if i % 2 else 0x1014067)
    for i in range(256, 510):
        h.set(ROOT, i, 0x1013067 if i % 2 else 0x1014067)


def all_pages_in_disorder(h):
    """Circles whose last level maps many pages, none next to its neighbour."""
    in_turns(h)
    for i in range(512):
        h.set(0x1013000, i, 0x1000063 + (i * 7919 % 0x20) * 4096)


HOSTILE = (one_page_everywhere, itself, in_turns, all_pages_in_disorder)


def check_hostile(tap, tool, folder):
    core, out = os.path.join(folder, "hostile"), os.path.join(folder, "hostile.elf")
    for build in HOSTILE:
        h = Hostile(32)
        build(h)
        h.build(core)
        run = tovelf(tool, core, out, data=64 * harness.MIB)
        name = build.__name__.replace("_", " ")
        if not tap.check(run.status in (harness.OK, harness.DAMAGED) and not run.faults(),
                         f"{name}: an output, in {run.seconds:.1f} s", run):
            continue
        tap.check("left out after" in run.err or "in circles" in run.err, f"{name}: it is told", run)
        made = coreread.Core(out)
        stored = {x.off + at for x in made.loads for at in range(0, x.size, 4096)}
        tap.check(len(stored) <= 32 and len(made.loads) <= 1 << 20,
                  f"{name}: {len(made.loads)} segments of {len(stored)} pages")
        tap.check(made.read(0xffffffff80010ff8, 8) is not None, f"{name}: the image is there still", run)


# ---- the command line ----

def check_usage(tap, tool, folder, core):
    for words in (["--pid", "0"], ["--pid", "x"], ["-P", "zz"], ["-d", "32"], ["-l", "most"],
                  ["--no-such-option"]):
        run = tool.run("tovelf", "-o", os.path.join(folder, "none"), *words, core)
        tap.equal(run.status, harness.USAGE, f"tovelf {' '.join(words)}", run)
    out = os.path.join(folder, "there")
    with open(out, "wb"):
        pass
    run = tool.run("tovelf", "-o", out, core)
    tap.check(run.status == harness.FAILED and os.path.getsize(out) == 0, "a file that exists stays", run)
    run = tovelf(tool, core, core)
    tap.check(run.status == harness.FAILED and "is the input" in run.err, "not over its input", run)
    run = tovelf(tool, core, out, "--pid", "77")
    tap.equal(run.status, harness.FAILED, "--pid of a process that is not known", run)


def test(tap, tool, folder):
    for _, path in harness.sample(harness.descriptions("vtop-"), 3 if os.environ.get("EMULATOR") else 1,
                                  "tovelf"):
        check_layout(tap, tool, path, folder)
    _, core = check_machine(tap, tool, folder)
    check_hostile(tap, tool, folder)
    check_usage(tap, tool, folder, core)


if __name__ == "__main__":
    harness.main(test)
