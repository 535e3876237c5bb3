# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes that crash, their cores, bundles of these, and what gdb says of them."""
import glob
import json
import os
import re
import resource
import shutil
import subprocess

import harness

# What is the same of a backtrace wherever it is made: function, arguments, file and line.
FRAME = re.compile(r"^#\d+ +(?:0x[0-9a-f]+ in )?(.*)$", re.M)


def need(*programs):
    for name in programs:
        if not shutil.which(name):
            raise harness.Skip(f"{name} is not installed")


def run(*command, **more):
    more = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "timeout": 60, **more}
    return subprocess.run(command, stdin=subprocess.DEVNULL, text=True, check=False, **more)


class Lab:
    def __init__(self, tap, tool, folder):
        self.tap, self.tool, self.folder = tap, tool, os.path.realpath(folder)
        self.nr = 0

    def file(self, *parts):
        path = os.path.join(self.folder, *parts)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def write(self, data, *parts):
        with open(self.file(*parts), "wb") as f:
            f.write(data)
        return self.file(*parts)

    def bundle(self, core, *args, status=harness.OK, name="", under=None):
        """Made, unpacked by tar, read. Gives the run, the folder, the members by path."""
        self.nr += 1
        out = self.file(f"out{self.nr}", "b.tar")
        command = ["bundle", "--progress", "none", "-o", out, *args, core]
        if under:
            log = self.file("strace.log")
            # No leaks can be looked for in what is traced.
            ran = run(*under, "-o", log, self.tool.path, *command, env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
            done = harness.Run(command, ran.returncode, b"", ran.stdout, 0)
        else:
            done = self.tool.run(*command)
        if not self.tap.equal(done.status, status, name or f"{os.path.basename(core)} is bundled", done) and \
                not os.path.exists(out):
            raise harness.Skip("no bundle, no more")
        run("tar", "-xf", out, "-C", os.path.dirname(out))
        where = os.path.join(os.path.dirname(out), os.path.basename(core) + ".bundle")
        with open(os.path.join(where, "manifest.json"), encoding="utf-8") as f:
            members = {m["path"]: m for m in json.load(f)["members"]}
        return done, where, members


def crash(lab, app, command="./app", name="core.app"):
    """A core that the kernel has written, else gdb, of COMMAND in folder APP."""
    with open("/proc/sys/kernel/core_pattern", encoding="ascii") as f:
        pattern = f.read().strip()
    core = lab.file(name)
    if pattern[0] not in "|/" and resource.getrlimit(resource.RLIMIT_CORE)[1]:
        run("sh", "-c", f"ulimit -c $(ulimit -H -c); exec {command}", cwd=app)
        found = [name for name in glob.glob(app + "*") if "core" in os.path.basename(name)]
        if found and os.path.getsize(found[0]):
            os.rename(found[0], core)
            return core
    need("gdb")
    said = run("gdb", "-nx", "-batch", "-ex", "run", "-ex", f"gcore {core}", "--args", *command.split(), cwd=app).stdout
    if not os.path.exists(core):
        raise harness.Skip(f"no core: core_pattern is {pattern}, and gdb: {said[-200:]}")
    return core


def backtraces(text):
    return sorted(tuple(re.sub(r"0x[0-9a-f]+", "0x", f) for f in FRAME.findall(part))
                  for part in text.split("\nThread ")[1:])


GDB = ["-nx", "-batch", "-ex", "set width 0", "-ex", "info sharedlibrary", "-ex", "thread apply all bt"]
