# SPDX-License-Identifier: GPL-2.0-or-later
"""What the benchmarks share: one run of a program, and its figures."""
import os
import subprocess
import time


class Failed(SystemExit):
    """A program did not do it."""


def run_once(argv, cpus, outputs, stdin=None):
    """Wall seconds, peak resident KiB and standard output of one run, which writes OUTPUTS anew."""
    for path in outputs:
        if os.path.exists(path):
            os.unlink(path)
    with open(stdin or os.devnull, "rb") as source:
        start = time.monotonic()
        child = subprocess.Popen(argv, stdin=source, stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL,
                                 preexec_fn=lambda: os.sched_setaffinity(0, cpus))
        text = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise Failed(f"{' '.join(argv)}: exit status {child.returncode}")
    return wall, usage.ru_maxrss, text


def into_cache(path):
    with open(path, "rb") as f:
        while f.read(1 << 24):
            pass
