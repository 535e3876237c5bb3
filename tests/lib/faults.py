# SPDX-License-Identifier: GPL-2.0-or-later
"""For tests of what is left when the system fails: the preloaded library (tests/fault/shim.c), inputs,
and judges of a dump that nobody finished."""
import os
import random
import subprocess
import sys

import harness

sys.path.insert(0, os.path.join(harness.TESTS, "interop"))
import elfgen
import elfread
import kdumpread
import kimage


def has_loader(path):
    """Does the ELF file name a dynamic loader? It stands behind the program headers."""
    with open(path, "rb") as f:
        return b"/ld" in f.read(4096)


def build_shim(folder, sanitized):
    """The library of shim.c: DUMPTOOL_SHIM, or compiled here, by CC (for the host of the program)."""
    if os.environ.get("EMULATOR") and not has_loader(os.path.join(os.environ["builddir"], "dumptool")):
        raise harness.Skip("the program is linked statically, so that nothing can be preloaded")
    ready = os.environ.get("DUMPTOOL_SHIM", "")
    if os.path.exists(ready):
        return ready
    shim = os.path.join(folder, "shim.so")
    command = [*os.environ.get("CC", "cc").split(), "-shared", "-fPIC", "-O1", "-o", shim,
               os.path.join(harness.TESTS, "fault", "shim.c"), "-ldl"]
    if sanitized:
        command.append("-DSHIM_WITHOUT_MALLOC")
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as why:
        raise harness.Skip(f"shim.c cannot be compiled: {why}") from None
    return shim


class Lab:
    """The program, inputs, the shim."""

    def __init__(self, tap, tool, folder):
        self.tap, self.tool, self.folder = tap, tool, folder
        self.shim = build_shim(folder, tool.sanitized)
        self.image = kimage.Image(kimage.Text(os.path.join(harness.DATA, "mem-small.txt")), "6.16",
                                  vmemmap="4k")
        self.vmcore, self.dump = self.path("vmcore"), self.path("dump")
        self.image.write(self.vmcore)
        self.makedumpfile = self.path("makedumpfile")
        os.symlink(tool.path, self.makedumpfile)

    def path(self, name):
        return os.path.join(self.folder, name)

    def clean(self):
        if os.path.exists(self.dump):
            os.unlink(self.dump)

    def failing(self, **how):
        """The environment in which the shim fails the system so."""
        env = {f"SHIM_{k.upper()}": str(v) for k, v in how.items()}
        return {"SHIM": self.shim, **env}

    def filter(self, *args, env=None, out=None, **more):
        """A run into a new dump."""
        self.clean()
        return self.tool.filter(*args, self.vmcore, out or self.dump, env=env, **more)

    def counts(self, *args):
        """(writes, bytes, fsyncs, allocations) of a run that nothing stops."""
        env = self.failing(count=self.path("counts"))
        run = self.filter(*args, "--num-threads", 1, env=env)
        self.tap.equal(run.status, harness.OK, f"filter {' '.join(map(str, args))} undisturbed",
                       run)
        with open(self.path("counts"), encoding="ascii") as f:
            return [int(word) for word in f.read().split()]

    def page(self, pfn):
        return self.image.page(pfn)


def readable(path, page):
    """(number of pages that can be read, complaints); PAGE tells what must stand in one."""
    try:
        dump = kdumpread.Dump(path)
    except kdumpread.Bad:
        return 0, []        # not even headers
    good, wrong = 0, []
    for pfn in dump.held():
        try:
            if not dump.has(pfn):
                continue
            got = dump.page(pfn)
        except kdumpread.Bad as why:
            wrong.append(str(why))
            continue
        if got != page(pfn):
            wrong.append(f"page {pfn:#x} is {got[:40]!r}, not {page(pfn)[:40]!r}")
        good += 1
    return good, wrong


def stump_problems(run, path, page):
    """
    What is wrong with an incomplete dump, or with how the run that left it ended. Where nothing at
    all could be written it failed, and no file is left, or an empty one where -f found one.
    """
    bad = run.faults()
    if run.status == harness.FAILED and (not os.path.exists(path) or not os.path.getsize(path)):
        return bad + ([] if len(run.errors()) == 1 else [f"lines of error: {run.errors()}"])
    if run.status != harness.INCOMPLETE:
        return bad + [f"status {run.status}"]
    if len(run.errors()) != 1:
        bad.append(f"{len(run.errors())} lines of error: {run.errors()}")
    return bad + mark_problems(path, page)


def mark_problems(path, page):
    if not os.path.exists(path):
        return []
    bad = [] if kdumpread.is_marked(path) else ["not marked incomplete"]
    return bad + readable(path, page)[1]


def whole_problems(path, wanted, page):
    """What is wrong with a dump that was written to its end: marked if a page could not be had."""
    try:
        dump = kdumpread.Dump(path)
    except kdumpread.Bad as why:
        return [f"not marked, and not readable: {why}"]
    missing = sum(not dump.has(pfn) for pfn in dump.held())
    bad = [f"marked: {dump.incomplete}, {missing} pages missing"] if dump.incomplete != bool(missing) else []
    if dump.kept() != sorted(wanted):
        bad.append(f"{len(dump.kept())} pages, wanted {len(wanted)}")
    return bad + readable(path, page)[1]


def check_whole(lab, level, name):
    lab.tap.none(whole_problems(lab.dump, lab.image.kept(level), lab.page), name)


class Noise:
    """A larger input, that takes a while: pages of half noise, half text."""
    FIRST, COUNT = 0x1000, 4096

    def __init__(self, path, count=COUNT):
        self.pfns = range(self.FIRST, self.FIRST + count)
        half = random.Random(7).randbytes(2048)
        self.pages = [half[i % 512:] + half[:i % 512] + b"%08x" % i * 256
                      for i in range(count)]
        core = elfgen.Core()
        core.segments = [elfgen.Segment(elfgen.PT_LOAD, 4096, 0, self.FIRST * 4096,
                                        count * 4096, count * 4096)]
        with open(path, "wb") as f:
            for _, data in core.tables():
                f.write(data)
            f.seek(4096)
            f.writelines(self.pages)

    def page(self, pfn):
        return self.pages[pfn - self.FIRST]


def elf_pages(path, page):
    """(page frames that an ELF core has, as far as the file goes; those whose bytes are wrong)"""
    core, good, wrong = elfread.Core(path), set(), []
    for low, high, off in core.loads:
        for pfn in range(low // 4096, -(-high // 4096)):
            start, end = max(low, pfn * 4096), min(high, (pfn + 1) * 4096)
            got = core.data[off + start - low:off + end - low]
            if len(got) < end - start:
                continue
            good.add(pfn)
            if got != page(pfn)[start % 4096:start % 4096 + end - start]:
                wrong.append(pfn)
    return good, wrong


def elf_marked(path):
    with open(path, "rb") as f:
        return f.read(49)[48:] == b"\1"
