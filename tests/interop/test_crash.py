#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""crash answers on the filtered dump what it answers on the raw one: file, ELF core, flattened stream, split set."""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import harness

COMMANDS = "set scroll off\nsys\nbt -a\nlog\nps\nmod\nkmem -i\nforeach bt\nquit\n"


def inputs():
    folder = os.environ.get("DUMPTOOL_CORPUS")
    vmlinux = os.environ.get("DUMPTOOL_VMLINUX")
    if not folder or not vmlinux:
        raise harness.Skip("DUMPTOOL_CORPUS or DUMPTOOL_VMLINUX is unset")
    dump = os.environ.get("DUMPTOOL_VMCORE",
                          os.path.join(folder, "x86_64-6.1", "kdump", "proc-vmcore.elf"))
    crash = os.environ.get("CRASH") or shutil.which("crash")
    if not crash or not os.path.exists(dump):
        raise harness.Skip("crash, or the dump, is not there")
    return crash, vmlinux, dump


def session(crash, vmlinux, *dumps):
    """What crash prints, less the lines that name the files."""
    out = subprocess.run([crash, "-s", *os.environ.get("CRASH_FLAGS", "").split(), vmlinux, *dumps],
                         input=COMMANDS.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         timeout=300).stdout.decode(errors="replace")
    return [line for line in out.split("\n") if "DUMP" not in line]


def test(tap, tool, folder):
    crash, vmlinux, dump = inputs()
    path = [os.path.join(folder, name) for name in ("whole", "flat", "a", "b", "c")]
    raw = session(crash, vmlinux, dump)
    tap.check(len(raw) > 200, f"crash opens the raw dump ({len(raw)} lines)", *raw[:5])
    for codec in ("zlib", "lzo", "zstd"):
        tool.filter("-f", "-d", "31", "--compress", codec, dump, path[0], seconds=60)
        tap.equal(session(crash, vmlinux, path[0]), raw, f"the same of level 31, {codec}")
    with open(path[1], "wb") as f:
        tool.filter("-F", "-d", "31", dump, stdout=f, seconds=60)
    tap.equal(session(crash, vmlinux, path[1]), raw, "the same of a flattened stream")
    tool.filter("-f", "-d", "31", "--format", "elf", dump, path[0], seconds=60)
    tap.equal(session(crash, vmlinux, path[0]), raw, "the same of an ELF core")
    with open(path[1], "wb") as f:
        tool.filter("-F", "-d", "31", "--format", "elf", dump, stdout=f, seconds=60)
    tap.equal(session(crash, vmlinux, path[1]), raw, "the same of an ELF core, flattened")
    tool.filter("-d", "31", "--split", dump, *path[2:], seconds=60)
    # Names of further pieces stand in lines of their own.
    pieces = [line for line in session(crash, vmlinux, *path[2:]) if folder not in line]
    tap.equal(pieces, raw, "the same of a split set")


harness.main(test)
