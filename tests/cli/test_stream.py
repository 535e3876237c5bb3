#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Flattened streams of both formats: -R makes the file of them; one that breaks off is read for what
it has, and what is made of it says that it is incomplete. Every codec comes back out of a dump."""
import json
import os
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import harness
import kdumpread
import kimage

HEADER, RECORD = 4096, 16


def record_ends(data):
    """Offsets behind the header and behind each record but the last, which is the end record."""
    at, ends = HEADER, [HEADER]
    while True:
        off, size = struct.unpack_from(">qq", data, at)
        if off == size == -1:
            return ends
        at += RECORD + size
        ends.append(at)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def marked(path, kind):
    if kind == "kdump":
        return kdumpread.is_marked(path)
    data = read(path)[:64]
    return len(data) < 64 or bool(struct.unpack_from("<I", data, 48)[0] & 1)


def check_cut(tap, tool, folder, kind, data, cut):
    """The first CUT bytes of a stream: in place, and through -R."""
    stream, out = os.path.join(folder, "cut.flat"), os.path.join(folder, "cut.dump")
    with open(stream, "wb") as f:
        f.write(data[:cut])
    with open(stream, "rb") as f:
        run = tool.filter("-f", "-R", out, stdin=f)
    there = tool.run("inspect", "--json", "--quick", stream)
    name = f"{kind} stream of {cut} bytes of {len(data)}"
    bad = run.faults() + there.faults()
    stump = out + ".incomplete"     # where there is no header yet that could be marked
    if run.status == harness.INCOMPLETE and os.path.exists(stump):
        if os.path.exists(out):
            bad.append("two files are left")
        out = stump
    elif run.status == harness.INCOMPLETE:
        if not marked(out, kind):
            bad.append("the file that -R makes is not marked")
    elif run.status != harness.FAILED or os.path.exists(out):
        bad.append(f"-R: status {run.status}")
    if there.status == harness.DAMAGED:
        if json.loads(there.out)["complete"]:
            bad.append("inspect calls it complete")
    elif there.status != harness.FAILED:
        bad.append(f"inspect: status {there.status}")
    if cut > len(data) // 2 and there.status != harness.DAMAGED:
        bad.append("most of it is there, but it cannot be read")
    if there.status == harness.DAMAGED and run.status == harness.INCOMPLETE:
        same = tool.run("inspect", "--compare", stream, out)
        if same.status not in (harness.OK, harness.DAMAGED):
            bad.append(f"-R gives other pages than the stream has: status {same.status}")
    if os.path.exists(out):
        os.unlink(out)
    tap.none(bad, name, run, there)


def check_streams(tap, tool, folder, vmcore):
    for kind, *args in (("kdump", "-l"), ("elf", "-E")):
        direct, stream = (os.path.join(folder, f"{kind}.{x}") for x in ("dump", "flat"))
        run = tool.filter(*args, "-d", 1, vmcore, direct)
        tap.equal(run.status, harness.OK, f"{kind}: written", run)
        run = tool.filter(*args, "-d", 1, "-F", "-o", stream, vmcore)
        tap.equal(run.status, harness.OK, f"{kind}: written as a stream", run)
        data, out = read(stream), os.path.join(folder, "out")
        if kind == "kdump":
            run = tool.filter("-f", *args, "-d", 1, "--format", "flattened", vmcore, out)
            tap.check(run.status == harness.OK and read(out) == data,
                      "--format flattened: a file that is named last", run)
            os.unlink(out)
        with open(stream, "rb") as f:
            run = tool.filter("-f", "-R", out, stdin=f)
        tap.equal(run.status, harness.OK, f"{kind}: -R", run)
        for other in (stream, out):
            run = tool.run("inspect", "--compare", direct, other)
            tap.equal(run.status, harness.OK, f"{kind}: {os.path.basename(other)} is the same", run)
        if kind == "kdump":
            tap.check(read(direct) == read(out), "kdump: -R gives the file, byte for byte")
        ends = record_ends(data)
        for cut in sorted({100, HEADER, ends[1], ends[len(ends) // 2] - 7, ends[-2], ends[-2] + 20,
                           ends[-1], len(data) - 1}):
            check_cut(tap, tool, folder, kind, data, cut)


def check_codecs(tap, tool, folder, vmcore):
    """What --verify counts is what is there, whatever the codec."""
    for codec in ("none", "zlib", "lzo", "snappy", "zstd"):
        out = os.path.join(folder, "dump")
        run = tool.run("convert", "-f", "--compress", codec, vmcore, out)
        if "is not supported by this program" in run.err:
            tap.skip(f"{codec}: --verify", "not in this build")
            continue
        shown = tool.run("inspect", "--json", "--verify", out)
        found = json.loads(shown.out)
        tap.check(shown.status == harness.OK and found["damaged_pages"] == 0 and
                  codec in found["codecs"], f"{codec}: --verify", shown,
                  found["codecs"], found["damaged_pages"])


def test(tap, tool, folder):
    vmcore = os.path.join(folder, "vmcore")
    kimage.Image(kimage.Text(os.path.join(harness.DATA, "mem-all.txt")), "6.12").write(vmcore)
    check_streams(tap, tool, folder, vmcore)
    check_codecs(tap, tool, folder, vmcore)


harness.main(test)
