# SPDX-License-Identifier: GPL-2.0-or-later
"""What damaged and hostile input is judged by.

Whatever comes in: no signal, no hang, bounded memory; and then either one line of error and no
dump, or a dump that is whole or says that it is not."""
import collections
import json
import os

import harness
import kdumpread

SECONDS = 10
MAX_WRITTEN = 64 << 20  # an input of some KiB cannot ask for more
MAX_SAID = 64 << 10     # bytes of messages: nothing may be told once for each of a million pages
NO_INCOMPLETE = (harness.OK, harness.FAILED, harness.DAMAGED)


# ---- what every run is judged by ----

def dump_problems(status, path):
    """Is what the run left behind what its exit status says?"""
    exists = os.path.exists(path)
    if status == harness.FAILED:
        return ["failed, but there is an output"] if exists else []
    if not exists:
        return ["there is no output"]
    if status == harness.INCOMPLETE:
        return [] if kdumpread.is_marked(path) else ["incomplete, but not marked"]
    try:
        dump = kdumpread.Dump(path)
        for pfn in dump.held()[:20000]:
            dump.page(pfn)
    except kdumpread.Bad as why:
        return [f"complete, but not readable: {why}"]
    # Of damaged input the mark may stay.
    marked = dump.incomplete and status == harness.OK
    return ["complete, but marked incomplete"] if marked else []


def run_problems(run):
    """Of any command: how it ended, and how much it said."""
    bad = run.faults()
    if run.status not in (harness.OK, harness.FAILED, harness.INCOMPLETE, harness.DAMAGED):
        return bad or [f"status {run.status}"]
    lines = 1 if run.status in (harness.FAILED, harness.INCOMPLETE) else 0
    if len(run.errors()) != lines:
        bad.append(f"{len(run.errors())} lines of error, status {run.status}")
    if run.status == harness.DAMAGED and not run.warnings() and run.command[1] != "inspect":
        bad.append("damaged, but nothing is said about it")
    if len(run.err) > MAX_SAID:
        bad.append(f"said {len(run.err)} bytes")
    return bad


def files(path):
    """One name, or those of a split set."""
    return path if isinstance(path, list) else [path]


class Judge:
    """Runs commands on one input after the other and collects complaints."""

    def __init__(self, tool, folder):
        self.tool, self.folder = tool, folder
        self.complaints, self.statuses = [], []

    def complain(self, name, run, problems):
        said = (run.lines() or ["nothing"])[0][:200]
        self.complaints += [f"{name}: {run.command[1]}: {p}; said: {said}" for p in problems]

    def rehearse(self, name, path):
        """Without output: should it be endless, it is not the disk that ends it."""
        run = self.tool.filter("--dry-run", "--json", "--progress", "none", "-d", 31, *files(path),
                               seconds=SECONDS)
        problems = run_problems(run)
        if run.status in (harness.OK, harness.DAMAGED):
            size = json.loads(run.out)["bytes_written"]
            if size > MAX_WRITTEN:
                problems.append(f"would write {size} bytes for {os.path.getsize(files(path)[0])}")
        self.complain(name + " --dry-run", run, problems)
        return not problems

    def filter(self, name, path):
        out = os.path.join(self.folder, "dump")
        if os.path.exists(out):
            os.unlink(out)
        run = self.tool.filter("--progress", "none", "-d", 31, *files(path), out, seconds=SECONDS)
        self.complain(name, run, run_problems(run) or dump_problems(run.status, out))
        self.statuses.append(run.status)

    def look(self, name, path, *command):
        run = self.tool.run(*command, *files(path), seconds=SECONDS)
        problems = run_problems(run)
        if "--json" in command and run.status in (harness.OK, harness.DAMAGED):
            try:
                json.loads(run.out)
            except ValueError as why:
                problems.append(f"not JSON: {why}")
        self.complain(name, run, problems)

    def core(self, name, path):
        """All that is done to an input whose headers are not to be trusted."""
        if self.rehearse(name, path):
            self.filter(name, path)
        self.look(name, path, "inspect", "--json")

    def machine(self, name, path):
        """And to one whose memory is not."""
        self.filter(name, path)
        self.look(name, path, "inspect", "--json")
        self.look(name, path, "dmesg")


def report(tap, name, judges, expected=NO_INCOMPLETE):
    """Sum up. expected: the only exit statuses of filter that are right."""
    statuses = collections.Counter(s for j in judges for s in j.statuses)
    complaints = [c for j in judges for c in j.complaints]
    complaints += [f"exit status {s} {n} times" for s, n in statuses.items() if s not in expected]
    tap.note(f"{name}: exit statuses {dict(statuses)}")
    tap.none(complaints, name)


def judged(tool, folder, items, examine):
    """EXAMINE(judge, path, item) for each item, some at a time; all the judges. TOOL may be a function
    that tells the program for an item."""
    def one(item, own):
        judge = Judge(tool(item) if callable(tool) else tool, own)
        examine(judge, os.path.join(own, "in"), item)
        return judge
    return harness.parallel(one, items, folder)


# ---- what is done to the input ----

def cuts(edges, size):
    """One byte around each edge, the longest first; a sample of them."""
    sizes = {e + d for e in edges for d in (-1, 0, 1) if 0 <= e + d < size}
    return harness.sample(sorted(sizes, reverse=True), 3, str(size))


def extremes(width, size, name):
    """Values for the field NAME of WIDTH bytes in a file of SIZE bytes; a sample of them."""
    top = 1 << 8 * width
    values = {0, 1, top - 1, top >> 1, (top >> 1) - 1, size, size - 1, size + 1, 1 << 31,
              1 << 40, (1 << 44) - 1, 1 << 47, 1 << 55, top - 4096}
    return harness.sample(sorted(v for v in values if 0 <= v < top), 5, name)


def put(path, offset, data):
    with open(path, "r+b") as f:
        f.seek(offset)
        f.write(data)


def spoil(data, rng, share=0.01):
    """DATA with a share of its bytes changed."""
    data = bytearray(data)
    for _ in range(max(1, int(len(data) * share))):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)
