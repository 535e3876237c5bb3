#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything that is written, in every way to write it, when the program is killed at random moments
or the disk fails: what is left says that it is incomplete, opens as far as it goes, and shows no page
that the source has not.

Kill moments are chosen by DUMPTOOL_FAULT_SEED, or by a seed that is printed; DUMPTOOL_FAULT_KILLS
says how many (100)."""
import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import faults
import harness
import kdumpread

PAGES = 5000        # of the source
COMMON = ("-q", "--num-threads", 1)
ZLIB = ("--compress", "zlib:6")
SLEEP = {"sleep": 3000}     # so that writing takes a while where nothing is compressed
SECONDS = 60


@dataclass
class Kind:
    """A way to write a dump. In args SRC is the source, PARTS a split set of it, OUT all outputs."""
    args: tuple
    form: str = "kdump"     # of what is left: kdump, stream, elf, raw
    outs: int = 1
    stdin: str = None       # a file that is standard input
    pipe: bool = False      # the output is standard output
    slow: dict = field(default_factory=dict)


KINDS = {
    "kdump": Kind(("filter", "-d", 0, *ZLIB, *COMMON, "SRC", "OUT")),
    "split": Kind(("filter", "-d", 0, *ZLIB, *COMMON, "--split", "SRC", "OUT"), outs=3),
    "stream": Kind(("filter", "-d", 0, *ZLIB, *COMMON, "-F", "SRC", "-o", "OUT"), form="stream"),
    "pipe": Kind(("filter", "-d", 0, *ZLIB, *COMMON, "-F", "SRC"), form="stream", pipe=True),
    "elf": Kind(("filter", "-d", 0, *COMMON, "--format", "elf", "SRC", "OUT"), form="elf",
                slow=SLEEP),
    "raw": Kind(("convert", *COMMON, "--format", "raw", "SRC", "OUT"), form="raw", slow=SLEEP),
    "rearranged": Kind(("filter", "-q", "-R", "OUT"), stdin="stream", slow=SLEEP),
    "reassembled": Kind(("filter", *COMMON, "--reassemble", "PARTS", "OUT"), slow=SLEEP),
}


class Bench:
    """The program, a source, the same as a stream and as a split set, and the shim."""

    def __init__(self, tap, tool, folder):
        self.tap, self.tool, self.folder = tap, tool, folder
        self.shim = faults.build_shim(folder, tool.sanitized)
        self.source = self.path("source")
        self.noise = faults.Noise(self.source, PAGES)
        self.pfns = range(self.noise.FIRST, self.noise.FIRST + PAGES)
        self.stream = self.path("stream")
        self.parts = [self.path(f"part{i}") for i in range(3)]
        level0 = ("filter", "-d", 0, "--compress", "zlib", *COMMON)
        for args in ((*level0, "-F", self.source, "-o", self.stream),
                     (*level0, "--split", self.source, *self.parts)):
            run = tool.run(*args, seconds=SECONDS)
            tap.equal(run.status, harness.OK, f"made for later: {args[6]}", run)

    def path(self, name):
        return os.path.join(self.folder, name)

    def outs(self, kind, folder=None):
        return [os.path.join(folder or self.folder, f"out{i}") for i in range(kind.outs)]

    def clean(self, kind):
        for out in self.outs(kind):
            for path in out, out + ".incomplete":
                if os.path.exists(path):
                    os.unlink(path)

    def command(self, kind, outs):
        known = {"SRC": [self.source], "PARTS": self.parts, "OUT": outs}
        return [word for arg in kind.args for word in known.get(arg, [arg])]

    def start(self, kind, **shim):
        """A run into new files. A pipe is emptied into the file by somebody who lives on."""
        self.clean(kind)
        env = {f"SHIM_{k.upper()}": str(v) for k, v in {**kind.slow, **shim}.items()}
        env["SHIM"] = self.shim
        outs = self.outs(kind)
        with open(self.stream if kind.stdin else os.devnull, "rb") as stdin:
            if not kind.pipe:
                return self.tool.start(*self.command(kind, outs), env=env, stdin=stdin), None
            with open(outs[0], "wb") as out:
                cat = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=out)
            process = self.tool.start(*self.command(kind, outs), env=env, stdin=stdin,
                                      stdout=cat.stdin)
            cat.stdin.close()
            return process, cat

    def end(self, started):
        """The Run of what was started."""
        process, cat = started
        began = time.monotonic()
        try:
            err = process.communicate(timeout=self.tool.seconds(SECONDS))[1]
            status = process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            err, status = process.communicate()[1], None
        if cat:
            cat.wait(SECONDS)
        return harness.Run(process.args, status, b"", err.decode(errors="replace"),
                           time.monotonic() - began)

    def run(self, kind, **shim):
        return self.end(self.start(kind, **shim))


# ---- what is left ----

def mark(path):
    """Say in a kdump header that the dump is incomplete, and has pages in any codec."""
    with open(path, "r+b") as f:
        f.seek(424)
        f.write(bytes([kdumpread.INCOMPLETE | kdumpread.CODECS]))


def independent(bench, kind, path):
    """(pages shown, complaints) by readers that share no code with the program."""
    page = bench.noise.page
    if kind.form == "kdump":
        return faults.readable(path, page)
    if kind.form == "stream":
        with open(path, "rb") as f:
            data = f.read()
        try:
            kdumpread.unflatten(data, path + ".flat", cut=True)
            if not kdumpread.is_whole(data):
                mark(path + ".flat")    # the status word, which names codecs, comes last
            return faults.readable(path + ".flat", page)
        except kdumpread.Bad as why:
            return 0, [str(why)]
        finally:
            if os.path.exists(path + ".flat"):
                os.unlink(path + ".flat")
    if kind.form == "elf":
        if os.path.getsize(path) < 64:
            return 0, []
        good, wrong = faults.elf_pages(path, page)
        return len(good), [f"page {pfn:#x} is another one" for pfn in wrong]
    with open(path, "rb") as f:
        wrong, good = [], 0
        for pfn in bench.pfns:
            f.seek(pfn * 4096)
            got = f.read(4096)
            good += got == page(pfn)
            if got not in (page(pfn), b"") and any(got):
                wrong.append(f"page {pfn:#x} is another one")
        return good, wrong


def has_headers(kind, paths):
    """Is there so much of it that inspect has to open it?"""
    if kind.form == "raw":
        return os.path.getsize(paths[0]) > 0
    if kind.form == "elf":
        with open(paths[0], "rb") as f:
            head = f.read(4096)
        return len(head) == 4096 and head[56:58] != b"\0\0"
    if kind.form == "stream":
        return False    # a header that comes last of all
    try:
        dumps = [kdumpread.Dump(path) for path in paths]
    except kdumpread.Bad:
        return False
    return all(os.path.getsize(d.path) >= d.table for d in dumps)


def stump_problems(bench, kind):
    """(complaints, pages shown) about the files of a run that did not end well."""
    outs = bench.outs(kind)
    if kind.form == "raw":
        if os.path.exists(outs[0]):
            return ["has its name, and is not whole"], 0
        outs = [outs[0] + ".incomplete"]
    left = [path for path in outs if os.path.exists(path)]
    left = [path for path in left if os.path.getsize(path)] if kind.pipe else left
    if not left:
        return [], 0
    bad, shown = [], 0
    for path in left:
        good, wrong = independent(bench, kind, path)
        bad += wrong
        shown += good
    return bad + inspect_problems(bench, kind, left, shown), shown


def inspect_problems(bench, kind, left, shown):
    """What the program itself says about it."""
    names = [f"{left[0]}@0"] if kind.form == "raw" else left
    run = bench.tool.run("inspect", "--verify", "--json", *names, seconds=SECONDS)
    if run.status == harness.OK and kind.form != "raw" and shown == PAGES:
        return whole_problems(bench, kind, run)     # killed when nothing was left to do
    if run.status == harness.FAILED:
        bad = [] if len(run.errors()) == 1 else [f"inspect: not one line: {run.err}"]
        if has_headers(kind, left) or shown:
            bad.append(f"inspect cannot open it, and it shows {shown} pages: {run.err}")
        return run.faults() + bad
    if run.status != harness.INCOMPLETE:
        return run.faults() + [f"inspect --verify: status {run.status}: {run.err}"]
    report = json.loads(run.out)
    bad = ["inspect says that it is complete"] if report["complete"] is not False else []
    run = bench.tool.run("inspect", "--compare", "--json", bench.source, *names[:1],
                         seconds=SECONDS) if kind.outs == 1 and kind.form != "raw" else None
    if run:
        pages = json.loads(run.out)["pages"] if run.out else {"changed": run.err}
        if pages["changed"] or pages.get("only_second"):
            bad.append(f"inspect --compare: {pages}")
    return bad


def whole_problems(bench, kind, run):
    """About a run that was called a success."""
    outs = bench.outs(kind)
    if run.status != harness.OK or not all(os.path.exists(out) for out in outs):
        return [f"status {run.status}: {run.err}"]
    names = [f"{outs[0]}@0"] if kind.form == "raw" else outs
    seen = bench.tool.run("inspect", "--verify", "--json", *names, seconds=SECONDS)
    if seen.status != harness.OK or json.loads(seen.out)["complete"] is not True:
        return [f"called a success, and inspect says {seen}"]
    seen = bench.tool.run("inspect", "--compare", bench.source, *names, seconds=SECONDS) \
        if kind.form != "raw" and kind.outs == 1 else None
    return [f"called a success: {seen}"] if seen and seen.status != harness.OK else []


def left_problems(bench, kind, run):
    """(complaints, pages shown) of a run under faults, whatever became of it."""
    bad = run.faults()
    if run.status == harness.OK:
        return bad + whole_problems(bench, kind, run), PAGES
    if run.status not in (harness.FAILED, harness.INCOMPLETE):
        bad.append(f"status {run.status}")
    if len(run.errors()) != 1:
        bad.append(f"not one line of error: {run.err}")
    left = [p for out in bench.outs(kind) for p in (out, out + ".incomplete")
            if os.path.exists(p) and os.path.getsize(p)]
    if run.status == harness.FAILED and left and not kind.pipe:
        bad.append(f"failed, but {os.path.basename(left[0])} is left")
    more, shown = stump_problems(bench, kind)
    return bad + more, shown


# ---- the faults ----

def kill_moments(name):
    """Moments for KINDS[name], as shares of the time that a run takes, from the seed of all."""
    seed = os.environ.setdefault("DUMPTOOL_FAULT_SEED",
                                 str(random.SystemRandom().randrange(1 << 32)))
    kills = int(os.environ.get("DUMPTOOL_FAULT_KILLS") or
                max(100 // (int(os.environ.get("SAMPLE") or 1) or 1), len(KINDS)))
    i, rng = list(KINDS).index(name), random.Random(f"{seed} {name}")
    nr = kills * (i + 1) // len(KINDS) - kills * i // len(KINDS)
    return seed, [(k + rng.random()) / nr for k in range(nr)]


def killed_at(bench, kind, moment):
    """(complaints, pages shown, killed) of a run that gets SIGKILL after so many seconds."""
    started = bench.start(kind)
    time.sleep(moment)
    started[0].send_signal(signal.SIGKILL)
    run = bench.end(started)
    if run.status == harness.OK:
        return whole_problems(bench, kind, run), PAGES, False
    bad = [] if run.status == -signal.SIGKILL else [f"status {run.status}"]
    more, shown = stump_problems(bench, kind)
    return bad + more, shown, True


def check_killed(bench, name):
    """SIGKILL at random moments, spread over the time that it takes."""
    kind = KINDS[name]
    began = time.monotonic()
    run = bench.run(kind)
    whole = time.monotonic() - began
    bench.tap.none(whole_problems(bench, kind, run), f"{name}: undisturbed")
    seed, moments = kill_moments(name)
    bad, pages, killed = [], [], 0
    for share in moments:
        problems, shown, dead = killed_at(bench, kind, share * whole)
        bad += [f"killed after {share * whole:.3f} s: {b}" for b in problems]
        pages.append(shown)
        killed += dead
    bench.tap.note(f"DUMPTOOL_FAULT_SEED={seed}: {whole:.3f} s for all, {killed} of {len(moments)} "
                   f"killed, pages shown after each: {pages}")
    bench.tap.none(bad, f"{name}: killed at {len(moments)} random moments")
    bench.tap.check(killed >= len(moments) // 3, f"{name}: many were killed before they ended",
                    killed)


def check_disk(bench, name):
    """No room, or EIO, at the first and last writes and in between; EIO from fsync."""
    kind, counts = KINDS[name], bench.path("counts")
    bench.run(kind, count=counts, sleep=0)
    with open(counts, encoding="ascii") as f:
        writes, _, fsyncs, _ = (int(word) for word in f.read().split())
    places = [(n, errno.ENOSPC) for n in (1, 2, 3, writes // 3, writes - 1, writes)]
    places += [(n, errno.EIO) for n in (writes // 2, writes)]
    cases = [{"write_call": n, "write_errno": number} for n, number in places if 0 < n <= writes]
    cases += [{"fsync_call": n} for n in range(1, fsyncs + 1)]
    bad = []
    for how in cases:
        run = bench.run(kind, sleep=0, **how)
        problems = left_problems(bench, kind, run)[0]
        if run.status == harness.OK and "fsync_call" not in how:
            problems.append("taken for a success")
        bad += [f"{how}: {b}" for b in problems]
    bench.tap.none(bad, f"{name}: no room and EIO at {len(cases)} places")


ON_A_DISK = '''size=$1 place=$2 keep=$3; shift 3
mount -t tmpfs -o "size=$size" tmpfs "$place" || exit 77
"$0" "$@"; status=$?
cp --sparse=always "$place"/* "$keep/"; exit $status'''


def on_a_disk(bench, kind, size):
    """A run whose outputs go to a disk of SIZE bytes, and are kept."""
    bench.clean(kind)
    place = bench.path("disk")
    os.makedirs(place, exist_ok=True)
    with open(bench.stream if kind.stdin else os.devnull, "rb") as stdin:
        run = bench.tool.run("-m", "sh", "-c", ON_A_DISK, bench.tool.program(kind.args[0]),
                             size, place, bench.folder, *bench.command(kind, bench.outs(kind, place)), name="unshare",
                             stdin=stdin, seconds=SECONDS)
    if run.status in (77, 127) or "unshare:" in run.err:
        raise harness.Skip(run.err.strip().split("\n")[-1])
    run.err = "".join(line + "\n" for line in run.lines() if not line.startswith("cp: "))
    return run


def check_tmpfs(bench, name):
    """A disk that is really full."""
    kind, bad, most = KINDS[name], [], 0
    if kind.pipe:
        return
    bench.run(kind, sleep=0)
    total = sum(os.stat(path).st_blocks * 512 for path in bench.outs(kind))
    for share in (0.01, 0.3, 0.9):
        try:
            run = on_a_disk(bench, kind, max(int(total * share), 4096))
        except harness.Skip as why:
            bench.tap.skip(f"{name}: a really full disk", why)
            return
        problems, shown = left_problems(bench, kind, run)
        if run.status == harness.OK:
            problems.append("called a success")
        bad += [f"room for {share} of it: {b}" for b in problems]
        most = max(most, shown)
    bench.tap.none(bad, f"{name}: a really full disk, 3 sizes")
    if kind.form != "stream" and not kind.stdin:    # there descriptors come in few records
        bench.tap.check(most > PAGES // 4, f"{name}: most of what fits is there", most)


CHECKS = {f"{check.__name__[6:]} {name}": (check, name)
          for check in (check_killed, check_disk, check_tmpfs) for name in KINDS}


def test(tap, tool, folder):
    bench = Bench(tap, tool, folder)
    for which in harness.selected(CHECKS):
        check, name = CHECKS[which]
        check(bench, name)


harness.main(test, harness.SmallTool)
