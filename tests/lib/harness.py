# SPDX-License-Identifier: GPL-2.0-or-later
"""What every test of the program needs: TAP, a scratch folder, the program under limits.

Environment: DUMPTOOL and DUMPTOOL_KDUMP name the programs, else they are looked for in builddir
(the current folder when unset). Exit status: 0 passed, 1 failed, 77 cannot run here.
"""
import concurrent.futures
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from dataclasses import dataclass

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DATA = os.path.join(TESTS, "data")
MIB = 1 << 20

# Exit status of the program (tools/main.h).
OK, FAILED, MISMATCH, INCOMPLETE, DAMAGED, DIFFERENT, USAGE = 0, 1, 2, 3, 4, 5, 64

SANITIZER_STATUS = 99
SANITIZER_REPORT = re.compile(r"ERROR: (Address|Leak)Sanitizer|runtime error:|"
                              r"SUMMARY: \w+Sanitizer|hard rss limit exhausted")


class Skip(Exception):
    """The test cannot run here, for the reason given."""


class Tap:
    """Test Anything Protocol on standard output."""

    def __init__(self):
        self.count = self.failed = 0
        self.start = time.monotonic()

    def check(self, good, name, *notes):
        self.count += 1
        print(f"{'ok' if good else 'not ok'} {self.count} - {name}", flush=True)
        if not good:
            self.failed += 1
            self.note(*notes)
        return good

    def equal(self, got, wanted, name, *notes):
        return self.check(got == wanted, name, f"got    {got!r}"[:900],
                          f"wanted {wanted!r}"[:900], *notes)

    def none(self, complaints, name, *notes):
        """Good when the list COMPLAINTS is empty; else it is shown, the beginning of it."""
        complaints = list(dict.fromkeys(complaints))
        return self.check(not complaints, name, *complaints[:40],
                          *([f"and {len(complaints) - 40} more"] if len(complaints) > 40 else []),
                          *notes)

    def skip(self, name, why):
        self.count += 1
        print(f"ok {self.count} - {name} # SKIP {why}", flush=True)

    @staticmethod
    def note(*texts):
        for text in texts:
            for line in str(text).rstrip().split("\n")[-40:]:
                print("# " + line[:400], flush=True)

    def end(self):
        self.note(f"{time.monotonic() - self.start:.1f} s")
        print(f"1..{self.count}", flush=True)
        return 1 if self.failed else 0


@dataclass
class Run:
    """How one run of the program ended. status None: not done in time; negative: by a signal."""
    command: list
    status: int
    out: bytes
    err: str
    seconds: float

    def __str__(self):
        ended = "not done in time" if self.status is None else f"status {self.status}"
        return f"{' '.join(self.command)}\n{ended} after {self.seconds:.2f} s\n{self.err[-3000:]}"

    def lines(self):
        return [line for line in self.err.split("\n") if line]

    def warnings(self):
        return [line for line in self.lines() if "warning: " in line or "WARNING: " in line]

    def errors(self):
        """What was said that is neither a warning nor the closing summary."""
        return [line for line in self.lines()
                if "warning: " not in line and " pages kept (" not in line]

    def faults(self):
        """What no input may ever bring about: a signal, a hang, a report of a sanitizer."""
        if self.status is None:
            return ["not done in time"]
        if self.status < 0:
            return [f"killed by {signal.Signals(-self.status).name}"]
        if self.status == SANITIZER_STATUS or SANITIZER_REPORT.search(self.err):
            return ["a sanitizer reports"]
        return []


class Tool:
    """The program under test."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as f:
            self.sanitized = b"__asan_init" in f.read()

    def environment(self, more=None):
        env = {k: v for k, v in os.environ.items() if not k.startswith("LD_")}
        env.update(LC_ALL="C", TERM="dumb",
                   ASAN_OPTIONS=f"exitcode={SANITIZER_STATUS}:hard_rss_limit_mb=1024:"
                                "allocator_may_return_null=1:verify_asan_link_order=0",
                   UBSAN_OPTIONS=f"exitcode={SANITIZER_STATUS}:print_stacktrace=1")
        env.update(more or {})
        return env

    def limited(self, command, data):
        """COMMAND without core files, and with no memory beyond DATA bytes (not under asan)."""
        limits = "ulimit -c 0; "
        if data and not self.sanitized:
            limits += f"ulimit -d {data >> 10}; "
        # What is to be preloaded is meant for the program, not for the shell.
        preload = '${SHIM:+export LD_PRELOAD="$SHIM"}'
        return ["/bin/sh", "-c", f'{limits}eval "{preload}"; exec "$0" "$@"', *command]

    def seconds(self, plain):
        """A time limit that an instrumented program can keep, too."""
        return plain * (6 if self.sanitized else 1)

    def start(self, *args, name=None, data=256 * MIB, env=None, **more):
        """Begin a run and return its Popen; NAME: the name it is called by."""
        command = self.limited([name or self.path, *map(str, args)], data)
        more.setdefault("stdin", subprocess.DEVNULL)
        more.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen(command, env=self.environment(env), **more)

    def run(self, *args, seconds=20, stdout=subprocess.PIPE, **more):
        began = time.monotonic()
        process = self.start(*args, stdout=stdout, **more)
        try:
            out, err = process.communicate(timeout=self.seconds(seconds))
            status = process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            status = None
        return Run(process.args[3:], status, out or b"", (err or b"").decode(errors="replace"),
                   time.monotonic() - began)

    def filter(self, *args, **more):
        return self.run("filter", *args, **more)


def find_tool(variable="DUMPTOOL", name="dumptool"):
    path = os.environ.get(variable) or os.path.join(os.environ.get("builddir", "."), name)
    path = os.path.abspath(path)
    if not os.access(path, os.X_OK):
        raise Skip(f"there is no program {path}; set {variable}")
    return Tool(path)


def parallel(function, items, folder, workers=2):
    """[FUNCTION(item, folder of the worker)] by some threads at a time."""
    free = queue.SimpleQueue()
    for i in range(workers):
        own = os.path.join(folder, f"worker{i}")
        os.makedirs(own, exist_ok=True)
        free.put(own)

    def call(item):
        own = free.get()
        try:
            return function(item, own)
        finally:
            free.put(own)

    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return list(pool.map(call, items))


def sample(items, share, salt):
    """One in SHARE of ITEMS, others for another SALT (a text); SAMPLE=N: one in N times SHARE, 0: all."""
    items = list(items)
    share *= int(os.environ.get("SAMPLE") or 1)
    if not share or not items:
        return items
    return items[zlib.crc32(salt.encode()) % min(share, len(items))::share]


def descriptions(prefix):
    """The files of tests/data whose name begins with PREFIX, sorted: (short name, path)."""
    return [(name[len(prefix):-4], os.path.join(DATA, name)) for name in sorted(os.listdir(DATA))
            if name.startswith(prefix) and name.endswith(".txt")]


def selected(names):
    """Those of NAMES that the command line asks for; without arguments all of them."""
    wanted = sys.argv[1:]
    return [n for n in names if not wanted or any(w in n for w in wanted)]


def main(test):
    """Call TEST(tap, tool, folder) in a folder that is gone afterwards; never returns."""
    tap = Tap()
    folder = tempfile.mkdtemp(prefix="dumptool-test.")
    # So that the folder goes when the test is told to stop.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        test(tap, find_tool(), folder)
        status = tap.end()
    except Skip as why:
        print(f"1..0 # SKIP {why}")
        status = 0  # TAP says it all; automake's driver takes any other status for an error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(status)
