# SPDX-License-Identifier: GPL-2.0-or-later
"""What every test of the program needs: TAP, a scratch folder, the program under limits.

Environment: DUMPTOOL and DUMPTOOL_KDUMP name the programs, else they are looked for in builddir
(the current folder when unset). Exit status: 0 passed, 1 failed, 77 cannot run here.
"""
import concurrent.futures
import itertools
import os
import queue
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
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
        spent = os.times()
        self.note(f"{time.monotonic() - self.start:.1f} s; CPU time {spent.user + spent.system:.1f} s, "
                  f"of the programs {spent.children_user + spent.children_system:.1f} s")
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


# No test needs a core file of anything that it starts.
resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def own_data():
    """Bytes of memory that RLIMIT_DATA counts for this process."""
    with open("/proc/self/statm", encoding="ascii") as f:
        return int(f.read().split()[5]) * resource.getpagesize()


def spawn_limited(command, data, **more):
    """Popen of COMMAND under RLIMIT_DATA, which this process takes on meanwhile: no shell is needed for
    it, which costs as much as a short run does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    try:
        if data:
            resource.setrlimit(resource.RLIMIT_DATA, (data, hard))
        return subprocess.Popen(command, **more)
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def spawn_by_shell(command, data, **more):
    """The same with a limit within which this process cannot work."""
    # What is to be preloaded is meant for the program, not for the shell.
    preload = '${SHIM:+export LD_PRELOAD="$SHIM"}'
    return subprocess.Popen(["/bin/sh", "-c", f'ulimit -d {data >> 10}; eval "{preload}"; exec "$0" "$@"',
                             *command], **more)


class Tool:
    """The program under test."""

    # Looking for leaks doubles what a short run costs: one run in 17 is looked at, which is coprime
    # to the number of commands that a case consists of; with SAMPLE=0 each. Unit tests and fuzz targets
    # always do.
    leak_turns = itertools.count()
    LEAK_SHARE = 17 if os.environ.get("SAMPLE") != "0" else 1
    spawning = threading.Lock()

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as f:
            self.sanitized = b"__asan_init" in f.read()
        # The path is then a script that calls it (make check-host).
        self.emulated = bool(os.environ.get("EMULATOR"))

    def environment(self, more=None):
        env = {k: v for k, v in os.environ.items() if not k.startswith("LD_")}
        leaks = next(self.leak_turns) % self.LEAK_SHARE == 0
        env.update(LC_ALL="C", TERM="dumb",
                   ASAN_OPTIONS=f"exitcode={SANITIZER_STATUS}:hard_rss_limit_mb=1024:"
                                f"detect_leaks={int(leaks)}:"
                                "allocator_may_return_null=1:verify_asan_link_order=0",
                   UBSAN_OPTIONS=f"exitcode={SANITIZER_STATUS}:print_stacktrace=1")
        env.update(more or {})
        return env

    def seconds(self, plain):
        """A time limit that an instrumented or emulated program can keep, too."""
        return plain * (6 if self.sanitized else 20 if self.emulated else 1)

    def program(self, _):
        """The program that has this command."""
        return self.path

    def start(self, *args, name=None, data=256 * MIB, env=None, **more):
        """Begin a run and return its Popen, with no memory beyond DATA bytes (not under asan, and not
        in an emulator, whose own memory would count); NAME: the name it is called by."""
        command, env = [name or self.program(args[0]), *map(str, args)], self.environment(env)
        more.setdefault("stdin", subprocess.DEVNULL)
        more.setdefault("stderr", subprocess.PIPE)
        if self.sanitized or self.emulated:
            data = 0
        if data and data < 2 * own_data():
            process = spawn_by_shell(command, data, env=env, **more)
        else:
            if "SHIM" in env and not self.emulated:
                env["LD_PRELOAD"] = env["SHIM"]
            with self.spawning:
                process = spawn_limited(command, data, env=env, **more)
        process.args = command
        return process

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
        return Run(process.args, status, out or b"", (err or b"").decode(errors="replace"),
                   time.monotonic() - began)

    def filter(self, *args, **more):
        return self.run("filter", *args, **more)


class SmallTool(Tool):
    """dumptool-kdump, and dumptool for the command that it lacks: the same readers, classification and
    writers with three libraries. It starts in a third of the time: for tests of thousands of short runs."""

    def __init__(self):
        super().__init__(find_tool("DUMPTOOL_KDUMP", "dumptool-kdump").path)
        self.full = find_tool().path

    def program(self, command):
        return self.full if command == "convert" else self.path


def find_tool(variable="DUMPTOOL", name="dumptool"):
    path = os.environ.get(variable) or os.path.join(os.environ.get("builddir", "."), name)
    path = os.path.abspath(path)
    if not os.access(path, os.X_OK):
        raise Skip(f"there is no program {path}; set {variable}")
    return Tool(path)


WORKERS = min(os.cpu_count() or 1, 8)


def compiler():
    """What makes programs for this machine, as words: CC, but for a build that another host's emulator runs."""
    return ["cc"] if os.environ.get("EMULATOR") else os.environ.get("CC", "cc").split()


def parallel(function, items, folder, workers=WORKERS):
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


def main(test, find=find_tool):
    """Call TEST(tap, tool, folder) in a folder that is gone afterwards; never returns."""
    tap = Tap()
    folder = tempfile.mkdtemp(prefix="dumptool-test.")
    # So that the folder goes when the test is told to stop.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        test(tap, find(), folder)
        status = tap.end()
    except Skip as why:
        print(f"1..0 # SKIP {why}")
        status = 0  # TAP says it all; automake's driver takes any other status for an error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(status)
