#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""VMCOREINFO without one of its lines, or with a value that makes no sense.

Whatever is missing or wrong, filter -d 31 must write a dump, in time, of at least the pages that
level 31 keeps; and say so when it is larger."""
import collections
import os
import re
import shutil
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import eras
import harness
import kdumpread
import kimage

FORMS = {"4.3": {}, "5.4": {}, "7.1": {"levels": 5}}    # eras whose values are put to extremes
EXTREMES = (0, 1, -1, 1 << 31, 1 << 63, (1 << 64) - 1)
GARBAGE = ("garbage", "", "0x", "-", "9" * 60, "4 4", "\x1b[31m\xff", "\0\0")
SECONDS = 10

# Wrong values that a kernel might really have: nothing in the dump contradicts them. A flag is one
# of 64, a destructor one of a few. Nobody can do better than believe them, and leave out what they
# say is user data or cache.
BELIEVABLE = {
    r"NUMBER\(PG_\w+\)": (0, 1),
    r"NUMBER\(PG_head_mask\)": (1, 1 << 31, 1 << 63),
    r"NUMBER\(HUGETLB_PAGE_DTOR\)": (0, 1),
}

# No level asks for these pages to go, and many kernels do not have the key: no warning is due.
OPTIONAL = ("NUMBER(PG_hwpoison)", "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)")

Case = collections.namedtuple("Case", "name key lines value")


def believable(case):
    return any(re.fullmatch(key, case.key) and case.value in values
               for key, values in BELIEVABLE.items())


def missing(lines):
    """Each line removed in turn; then all of each kind; then all."""
    for i, line in enumerate(lines):
        key = line.split("=")[0]
        yield Case(f"without {key}", key, lines[:i] + lines[i + 1:], None)
    for kind in ("SYMBOL", "SIZE", "OFFSET", "LENGTH", "NUMBER"):
        yield Case(f"without any {kind}", kind, [x for x in lines if not x.startswith(kind)], None)
    yield Case("without any line", "", [], None)


def spelled(key, value):
    """VALUE as it would stand behind KEY: addresses in hexadecimal."""
    if not isinstance(value, int):
        return value
    return f"{value % (1 << 64):x}" if key.startswith(("SYMBOL", "KERNELOFFSET")) else str(value)


def wrong(lines):
    """Each value replaced by each extreme and by garbage."""
    for i, line in enumerate(lines):
        key, _, was = line.partition("=")
        for value in EXTREMES + GARBAGE:
            text = spelled(key, value)
            if text != was:
                yield Case(f"{key}={text!r}"[:70], key, lines[:i] + [f"{key}={text}"] +
                           lines[i + 1:], value)


def disorder(lines):
    """A text that is not what a kernel writes, as a whole."""
    yield Case("every line twice", "", lines + lines, None)
    yield Case("the other way round", "", lines[::-1], None)
    yield Case("a line without end", "", lines + ["A" * 9000], None)
    yield Case("lines without a value", "", lines + ["=", "NUMBER(", "OFFSET()=", "SYMBOL"], None)


def problems(run, dump_path, wanted):
    """Why this run is not what it has to be; the dump may hold more pages than WANTED."""
    bad = run.faults()
    if run.status not in (harness.OK, harness.DAMAGED):
        return bad + [f"status {run.status}"]
    dump = kdumpread.Dump(dump_path)
    if dump.incomplete:
        bad.append("marked incomplete")
    kept = set(dump.kept())
    lost = wanted - kept
    if lost:
        bad.append(f"lost {len(lost)} pages, the first is {min(lost):#x}")
    if kept - wanted and not run.warnings():
        bad.append(f"silently keeps {len(kept - wanted)} pages too many")
    return bad


def excused(case, problem):
    """Is this what nobody can do better?"""
    if problem.startswith("silently") and case.key in OPTIONAL:
        return True
    return problem.startswith(("lost", "silently")) and believable(case)


def grouped(complaints):
    """One line for all the cases that have a key and the kind of a problem in common."""
    groups = {}
    for case, problem, said in complaints:
        groups.setdefault((case.key, problem.split()[0]), []).append((case, problem, said))
    return [f"{members[0][0].name}: {members[0][1]}" +
            (f" (and {len(members) - 1} more values: "
             f"{', '.join(m[0].name.partition('=')[2] for m in members[1:])})"[:160]
             if len(members) > 1 else "") + f"; said: {members[0][2]}"
            for members in groups.values()]


class Suite:
    """All cases of one machine."""

    def __init__(self, tap, tool, folder, era, **form):
        self.tap, self.tool, self.folder, self.era = tap, tool, folder, era
        text = kimage.Text(os.path.join(harness.DATA, "mem-small.txt"))
        self.image = kimage.Image(text, era, vmemmap="4k", **form)
        self.wanted = set(self.image.kept(31))
        for i in range(harness.WORKERS):
            own = os.path.join(folder, f"worker{i}")
            shutil.rmtree(own, ignore_errors=True)
            os.makedirs(own)
            self.image.write(os.path.join(own, "vmcore"))

    def attempt(self, case, folder):
        """Complaints about one case."""
        path, out = os.path.join(folder, "vmcore"), os.path.join(folder, "dump")
        self.image.write_notes(path, case.lines)
        run = self.tool.filter("-f", "--progress", "none", "-d", 31, "-l", path, out, seconds=SECONDS)
        said = (run.lines() or ["nothing"])[0].split(": ", 1)[-1][:150]
        return [(case, problem, said) for problem in problems(run, out, self.wanted)
                if not excused(case, problem)]

    def check(self, cases, name):
        cases = list(cases)
        bad = [b for found in harness.parallel(self.attempt, cases, self.folder) for b in found]
        self.tap.note(f"{self.era}: {name}: {len(cases)} cases, {len(bad)} of them bad")
        self.tap.none(grouped(bad), f"{self.era}: {name}")


def test(tap, tool, folder):
    for era in harness.selected(eras.ERAS):
        suite = Suite(tap, tool, folder, era, **FORMS.get(era, {}))
        lines = suite.image.vmcoreinfo()
        suite.check([Case("as it is", "", lines, None)], "as it is")
        cases = missing(lines)
        suite.check(cases if era in FORMS else harness.sample(cases, 4, era), "lines removed in turn")
        if era in FORMS:
            suite.check(harness.sample(wrong(lines), 12, era), "values at extremes")
            suite.check(disorder(lines), "lines in disorder")


harness.main(test, harness.SmallTool)
