#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Input that fails while it is read or mapped: EIO, a file that shrinks, one that stalls, a file system
that is gone. All of it through a FUSE server (tests/lib/fusefs.py), as root.

The pages that cannot be had, and no others, are missing; they are counted; nothing is invented;
nothing hangs."""
import json
import os
import random
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import faults
import fusefs
import harness
import kdumpread

PAGES = 400         # of the source
SECONDS = 60
PAGE = 4096         # of the host, too: what fails, fails for all of it


def get(path):
    with open(path, "rb") as f:
        return f.read()


class Input:
    """One dump of the source: its bytes, and where each page lies in them, as (start, end) pieces."""

    def __init__(self, name, data, places, heads=()):
        self.name, self.data, self.places = name, data, places
        self.heads = heads      # of records: what follows one that cannot be read is lost

    def breaks(self, bad):
        """Does a head lie in the same host page as something bad?"""
        return any(a // PAGE <= head // PAGE <= b // PAGE or a // PAGE <= (head + 15) // PAGE <= b // PAGE
                   for head in self.heads for a, b in bad)

    def lost(self, bad, end=None):
        """Pages that cannot be had when the host pages with the bytes of BAD, or those from END on, cannot."""
        gone = [(a // PAGE * PAGE, -(-b // PAGE) * PAGE) for a, b in bad]
        gone += [] if end is None else [(end, len(self.data))]
        return {pfn for pfn, pieces in self.places.items()
                if any(a < stop and start < b for start, stop in pieces for a, b in gone)}

    def of(self, pfn):
        """Some bytes in the middle of a page."""
        start, end = self.places[pfn][0]
        return [((start + end) // 2, (start + end) // 2 + 1)]


def elf_input(path, noise):
    return Input("elf", get(path), {noise.FIRST + i: [(PAGE * (i + 1), PAGE * (i + 2))]
                                    for i in range(PAGES)})


def raw_input(noise):
    return Input("raw", b"".join(noise.pages), {noise.FIRST + i: [(PAGE * i, PAGE * (i + 1))]
                                                for i in range(PAGES)})


def kdump_places(path):
    """(pieces of each page: data and descriptor; the Dump)"""
    dump, places = kdumpread.Dump(path), {}
    for pfn in dump.held():
        at, size, _ = dump.descriptor(pfn)
        desc = dump.table + dump.places()[pfn] * kdumpread.DESC
        places[pfn] = [(at, at + size), (desc, desc + kdumpread.DESC)]
    return places, dump


def kdump_input(path):
    places, _ = kdump_places(path)
    return Input("kdump", get(path), places)


def stream_input(path):
    data, flat = get(path), path + ".flat"
    kdumpread.unflatten(data, flat)
    places, _ = kdump_places(flat)
    records = sorted(kdumpread.records(data))

    def in_stream(start, end):
        for offset, size, at in records:
            a, b = max(start, offset), min(end, offset + size)
            if a < b:
                yield at + a - offset, at + b - offset
    return Input("flattened", data, {pfn: [p for piece in pieces for p in in_stream(*piece)]
                                     for pfn, pieces in places.items()},
                 [at - 16 for _, _, at in records])


class Bench:
    def __init__(self, tap, tool, folder):
        self.tap, self.tool, self.folder = tap, tool, folder
        source = self.path("source")
        self.noise = faults.Noise(source, PAGES)
        self.pfns = set(range(self.noise.FIRST, self.noise.FIRST + PAGES))
        level0 = ("filter", "-q", "-d", 0, "--compress", "zlib", source)
        tool.run(*level0, self.path("kdump"))
        tool.run(*level0, "-F", "-o", self.path("stream"))
        self.inputs = [elf_input(source, self.noise), kdump_input(self.path("kdump")),
                       stream_input(self.path("stream")), raw_input(self.noise)]
        self.mount = fusefs.Mount(self.path("mount"))

    def path(self, name):
        return os.path.join(self.folder, name)

    def operand(self, which):
        """How the file is named to the program."""
        base = f"@{self.noise.FIRST * PAGE:x}" if which.name == "raw" else ""
        return self.mount.path("in") + base

    def run(self, which, command, **how):
        """(Run, the file's reads) with WHICH as input, that fails as HOW says."""
        with self.mount:
            self.mount.files = {"in": fusefs.File(which.data, **how)}
            words = [self.operand(which) if word == "IN" else word for word in command]
            run = self.tool.run(*words, seconds=SECONDS)
            return run, self.mount.files["in"].reads

    def commands(self):
        """(name, command, whether it writes out.kdump)"""
        out = self.path("out.kdump")
        return (("convert", ("convert", "-f", "--json", "--progress", "none", "IN", out), True),
                ("filter", ("filter", "-f", "--json", "--progress", "none", "-d", 0, "--compress",
                            "none", "--num-threads", 3, "IN", out), True),
                ("verify", ("inspect", "--verify", "--json", "IN"), False))

    def wrong_pages(self, lost):
        """Complaints about out.kdump: LOST pages are missing and no others; contents are right."""
        dump, bad = kdumpread.Dump(self.path("out.kdump")), []
        there = {pfn for pfn in dump.held() if dump.has(pfn)}
        if lost is not None and there != self.pfns - lost:
            missing, extra = self.pfns - lost - there, there & lost
            bad.append(f"{len(missing)} pages too few {sorted(missing)[:3]}, "
                       f"{len(extra)} too many {sorted(extra)[:3]}")
        bad += [f"page {pfn:#x} is invented" for pfn in there
                if dump.page(pfn) != self.noise.page(pfn)]
        return bad

    def problems(self, which, lost, statuses, **how):
        """
        All commands on an input. LOST: the pages that must be missing, None when that depends on
        the moment. STATUSES: that are right, of convert and filter, and of verify.
        """
        bad = []
        for name, command, writes in self.commands():
            run, _ = self.run(which, command, **how)
            bad += [f"{name}: {b}" for b in run.faults()]
            if run.status not in statuses[not writes]:
                bad.append(f"{name}: status {run.status}, {run.err}")
            if run.status in (harness.FAILED, harness.INCOMPLETE) and writes:
                if len(run.errors()) != 1:
                    bad.append(f"{name}: not one line of error: {run.err}")
                continue
            if not run.out:
                continue
            report = json.loads(run.out)
            count = report["pages"]["unreadable"] if name == "verify" else \
                report.get("unreadable_pages")
            if lost is not None and count is not None and count != len(lost):
                bad.append(f"{name}: {count} pages unreadable, {len(lost)} are: {run.err}")
            if writes:
                wrong = self.wrong_pages(lost)
                bad += [f"{name}: {b}" for b in wrong]
                there = kdumpread.Dump(self.path("out.kdump"))
                short = any(not there.has(pfn) for pfn in there.held()) or \
                    len(there.held()) < PAGES
                if short and run.status != harness.DAMAGED:
                    bad.append(f"{name}: pages are missing, status {run.status}")
        return bad


WHOLE = ((harness.OK,), (harness.OK,))
DAMAGED = ((harness.DAMAGED,), (harness.DAMAGED,))
CUT = ((harness.DAMAGED,), (harness.INCOMPLETE,))
# Cut off while it is opened is cut off when it is opened.
ANY = ((harness.OK, harness.DAMAGED), (harness.OK, harness.DAMAGED, harness.INCOMPLETE))
NO_DUMP = ((harness.FAILED, harness.DAMAGED), (harness.FAILED, harness.DAMAGED, harness.INCOMPLETE))


# ---- checks ----

def check_whole(bench, which):
    bench.tap.none(bench.problems(which, set(), WHOLE), f"{which.name}: nothing is wrong")
    bench.tap.none(bench.problems(which, set(), WHOLE, direct=True),
                   f"{which.name}: nothing is wrong, past the page cache")


def check_eio(bench, which):
    """Bad sectors in pages: some by themselves, some in a row, the first one and the last."""
    first, last = min(bench.pfns), max(bench.pfns)
    row = [(which.places[first + 300][0][0], which.places[first + 330][0][0])]
    for name, bad in (("one page", which.of(first + 77)), ("a row of pages", row),
                      ("the first and the last page", which.of(first) + which.of(last)),
                      ("every 50th", [x for i in range(first, last, 50) for x in which.of(i)])):
        lost, statuses = which.lost(bad), DAMAGED
        if which.breaks(bad):
            lost, statuses = None, CUT
        bench.tap.none(bench.problems(which, lost, statuses, bad=bad),
                       f"{which.name}: EIO in {name}: {len(lost or [])} pages are missing")


def check_eio_direct(bench, which):
    """The same past the page cache: a read that reaches a bad place is short, then fails."""
    bad = which.of(min(bench.pfns) + 77)
    lost = {pfn for pfn, pieces in which.places.items()
            if any(a < stop and start < b for start, stop in pieces for a, b in bad)}
    run, _ = bench.run(which, bench.commands()[0][1], bad=bad, direct=True)
    bench.tap.check(run.status == harness.DAMAGED and not run.faults(),
                    f"{which.name}: EIO past the page cache", run)
    bench.tap.none(bench.wrong_pages(None), f"{which.name}: EIO past the page cache: contents")
    there = kdumpread.Dump(bench.path("out.kdump"))
    gone = {pfn for pfn in there.held() if not there.has(pfn)}
    bench.tap.check(lost <= gone and len(gone) <= len(which.lost(bad)),
                    f"{which.name}: EIO past the page cache: what is missing", gone, lost)


def check_eio_headers(bench, which):
    """Bad sectors in each of the first places of the file."""
    first = min(start for pieces in which.places.values() for start, _ in pieces)
    bad = []
    for at in range(0, min(first + PAGE, 8 * PAGE), PAGE):
        bad += [f"EIO at {at:#x}: {b}"
                for b in bench.problems(which, None, NO_DUMP, bad=[(at, at + 1)])]
    bench.tap.none(bad, f"{which.name}: EIO in headers")


def check_cut(bench, which):
    """Cut off when it is opened, in the middle of a page."""
    end = which.places[min(bench.pfns) + PAGES // 2][0][0] + 100
    short = Input(which.name, which.data[:end], which.places)
    lost = None
    if which.name == "elf":
        lost = which.lost([], end)
    bench.tap.none(bench.problems(short, lost, CUT), f"{which.name}: cut off at {end:#x}")


def check_shrinks(bench, which):
    """It gets shorter at some moment, at page borders and between them."""
    rng, bad = random.Random(which.name), []
    _, reads = bench.run(which, bench.commands()[0][1])
    for i in range(6):
        size = rng.randrange(len(which.data) // 3, len(which.data))
        size = size // PAGE * PAGE if i % 2 else size
        moment = rng.randrange(1, reads)
        # Past the page cache where it ends inside a page: the kernel fills such a page up with
        # zeros before it learns the new length (fuse_short_read()), and nobody can tell for a while.
        # On a file system of the kernel's own this is test_shrink's.
        bad += [f"{size} of {len(which.data)} bytes from read {moment} of {reads} on: {b}"
                for b in bench.problems(which, None, ANY, cut=(moment, size), direct=size % PAGE != 0)]
    bench.tap.none(bad, f"{which.name}: shrinks while it is read")


def check_loses_end(bench, which):
    """Only the last bytes go, in the middle of a page: no page beyond it is ever touched."""
    last = max(bench.pfns)
    end = which.places[last][0][1] - 100
    _, reads = bench.run(which, bench.commands()[0][1])
    bad = []
    for moment in (reads // 2, reads * 9 // 10):
        bad += [f"from read {moment} of {reads} on: {b}"
                for b in bench.problems(which, None, ANY, cut=(moment, end))]
    bench.tap.none(bad, f"{which.name}: loses its last bytes while it is read")


def check_stalls(bench, which):
    """Reads that take long."""
    stalls = {n: 0.3 for n in (0, 5, 100, 101)}
    bench.tap.none(bench.problems(which, set(), WHOLE, stalls=stalls), f"{which.name}: stalls")


def check_dies(bench, which):
    """The file system is gone."""
    _, reads = bench.run(which, bench.commands()[0][1])
    bad = []
    for moment in (0, 3, reads // 2, reads - 1):
        bad += [f"at read {moment} of {reads}: {b}"
                for b in bench.problems(which, None, ((*NO_DUMP[0], harness.OK),
                                                      (*NO_DUMP[1], harness.OK)), dies=moment)]
    bench.tap.none(bad, f"{which.name}: the file system is gone")


CHECKS = {check.__name__[6:]: check for check in (
    check_whole, check_eio, check_eio_direct, check_eio_headers, check_cut, check_shrinks,
    check_loses_end, check_stalls, check_dies)}


# What a kdump dump keeps mapped is lost there, and an emulator tells the handler a wrong address
# (tests/unit/sigbus.h).
MAPPED = (("eio_headers", "kdump"), ("dies", "kdump"))


def test(tap, tool, folder):
    fusefs.enter()
    bench = Bench(tap, tool, folder)
    for name in harness.selected(CHECKS):
        for which in bench.inputs:
            if tool.emulated and (name, which.name) in MAPPED:
                tap.skip(f"{which.name}: {name}", "a lost page cannot be replaced in an emulator")
            else:
                CHECKS[name](bench, which)


harness.main(test, harness.SmallTool)
