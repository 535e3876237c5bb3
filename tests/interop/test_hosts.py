#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The same input gives the same bytes on every host: DUMPTOOL against DUMPTOOL_REFERENCE, which was
built for a machine of another byte order or word size."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import elfgen
import eras
import harness
import kimage
import machine

PLAIN = (("-d", 31, "--compress=none"),)
CODECS = PLAIN + (("-d", 0, "--compress=zlib", "--num-threads", 3), ("-d", 31, "--compress=lzo"),
                  ("-d", 31, "--compress=zstd"), ("-d", 31, "-F"))


def output(tool, args, path):
    """What a run leaves: its status, its stream, the file."""
    if os.path.exists(path):
        os.unlink(path)
    run = tool.run(*args, data=None, seconds=60)
    data = b""
    if os.path.exists(path):
        with open(path, "rb") as f:
            data = f.read()
    return run, (run.status, run.out, data)


def check_same(tap, tools, name, args, path):
    (run, got), (other, wanted) = (output(tool, args, path) for tool in tools)
    tap.check(got == wanted and not run.faults() and (got[1] or got[2]), f"{name}: the same bytes",
              run, other, f"{len(got[1])} and {len(wanted[1])} bytes of output",
              f"{len(got[2])} and {len(wanted[2])} bytes of file")


def check_input(tap, tools, name, source, out, ways):
    for way in ways:
        files = (source,) if "-F" in way else (source, out)
        check_same(tap, tools, f"{name}: {' '.join(map(str, way))}", ("filter", *way, *files), out)
    check_same(tap, tools, f"{name}: inspect", ("inspect", "--json", source), out)


def test(tap, tool, folder):
    if not os.environ.get("DUMPTOOL_REFERENCE"):
        raise harness.Skip("DUMPTOOL_REFERENCE is unset: no program of another host")
    tools = (tool, harness.find_tool("DUMPTOOL_REFERENCE"))
    source, out = os.path.join(folder, "vmcore"), os.path.join(folder, "out")
    for era, levels in (("4.3", 4), ("6.6", 4), ("7.1", 5)):
        text = kimage.Text(os.path.join(harness.DATA, "mem-small.txt"))
        kimage.Image(text, eras.ERAS[era], levels=levels, vmemmap="4k").write(source)
        check_input(tap, tools, f"Linux {era}", source, out, CODECS)
        check_same(tap, tools, f"Linux {era}: dmesg", ("dmesg", source), out)
        os.unlink(source)
    for name, path in harness.descriptions("model-"):
        machine.Machine(path).build(source)
        check_input(tap, tools, name, source, out, PLAIN)
        os.unlink(source)
    for name, path in harness.descriptions("elf-"):
        elfgen.Description(path).build(source)
        check_input(tap, tools, name, source, out, PLAIN)
        os.unlink(source)


harness.main(test)
