#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Real dumps, damaged: cut off where their headers, tables and segments begin and end, and with damage in
the headers. No crash, no hang, bounded memory, one clear line; and what is cut off is not called whole.

Every file below DUMPTOOL_CORPUS that the program can read is taken. Copies hold the headers only and are
holes otherwise; DUMPTOOL_CORPUS_DAMAGE=N makes whole copies, and N times as many damaged ones."""
import json
import os
import random
import struct
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import damage
import harness

SMALLEST = 1 << 20      # of a dump
HEAD = 1 << 20          # bytes of it that a copy has
AREA = 64 << 10         # of its headers, which are damaged
LARGE = 1 << 30         # is not read to the end
SECONDS = 20
MEMORY = 128 * harness.MIB
OURS = (b"\x7fELF", b"KDUMP   ", b"DISKDUMP", b"makedumpfile\0", b"EMiL")
TIMES = int(os.environ.get("DUMPTOOL_CORPUS_DAMAGE") or 0)
SEEDS = 3 * max(TIMES, 1)


# ---- where to cut ----

def elf_edges(head):
    """Of the headers, of the notes, of the first and last segments; and the end of the last one."""
    order = "<" if head[5] == 1 else ">"
    wide = head[4] == 2
    phoff, = struct.unpack_from(order + ("Q" if wide else "I"), head, 32 if wide else 28)
    size, count = struct.unpack_from(order + "HH", head, 54 if wide else 42)
    edges, loads, end = [64 if wide else 52, phoff, phoff + size * count], [], 0
    for at in range(phoff, min(phoff + size * count, len(head) - size), size):
        kind, = struct.unpack_from(order + "I", head, at)
        if wide:
            offset, _, _, filesz = struct.unpack_from(order + "QQQQ", head, at + 8)
        else:
            offset, _, _, filesz = struct.unpack_from(order + "IIII", head, at + 4)
        edge = [offset, offset + filesz]
        edges += edge if kind == 4 else []
        loads += [edge] if kind == 1 and filesz else []
        end = max(end, offset + filesz)
    for edge in loads[:1] + loads[-2:]:
        edges += edge
    return edges, end


def kdump_edges(head):
    """Of the headers, the bitmaps, the descriptors; whatever the byte order and the word size."""
    for order in "<", ">":
        for status in 424, 412:
            block, sub, bitmaps = struct.unpack_from(order + "iiI", head, status + 4)
            if 1024 <= block <= 65536 and not block & (block - 1) and 0 < sub < 1 << 20:
                table = (1 + sub + bitmaps) * block
                return [status + 40, block, block + 112, (1 + sub) * block,
                        (1 + sub) * block + bitmaps * block // 2, table, table + 24, table + 4096]
    return []


def flat_edges(head):
    at, edges = 4096, [4096]
    while at + 16 <= len(head) and len(edges) < 12:
        size, = struct.unpack_from(">q", head, at + 8)
        edges += [at + 16, at + 16 + max(size, 0)]
        at = edges[-1]
    return edges


def cuts(head, size):
    """(sizes to cut to, the size below which something of the memory is missing)"""
    edges, end = [0, 4, 16, 512, 4096, AREA, size // 2, size], 0
    if head[:4] == b"\x7fELF":
        more, end = elf_edges(head)
        edges += more
    elif head[:8] in (b"KDUMP   ", b"DISKDUMP"):
        edges += kdump_edges(head)
        end = size // 2 + 1
    elif head[:12] == b"makedumpfile":
        edges += flat_edges(head)
        end = size
    return sorted({e + d for e in edges for d in (-1, 0, 1) if 0 < e + d < size}, reverse=True), end


# ---- the dumps ----

class Dump:
    """A file of the corpus."""

    def __init__(self, root, path):
        self.path, self.name = path, os.path.relpath(path, root)
        self.base = "@0" if path.endswith(".raw") else ""   # what is behind the name
        self.size = os.path.getsize(path)
        with open(path, "rb") as f:
            self.head = f.read(HEAD)

    def copy(self, path):
        # What libkdumpfile opens it reads more of than the head.
        if TIMES or not (self.base or self.head.startswith(OURS)):
            subprocess.run(["cp", "--sparse=always", self.path, path], check=True)
        else:
            with open(path, "wb") as f:
                f.write(self.head)
        os.truncate(path, self.size)


def readable(tool, root):
    """The files below ROOT that are dumps which the program reads; each is asked about, once."""
    found = []
    for folder, _, names in sorted(os.walk(root)):
        for name in sorted(names):
            path = os.path.join(folder, name)
            if os.path.islink(path) or os.path.getsize(path) < SMALLEST:
                continue
            dump = Dump(root, path)
            run = tool.run("inspect", "--quick", "--json", path + dump.base, seconds=SECONDS)
            if run.status in (harness.OK, harness.DAMAGED) and json.loads(run.out).get("memory"):
                found.append(dump)
    return found


class Judge(damage.Judge):
    base = ""

    def ask(self, name, *command):
        """Any command: how it ends, and what it takes."""
        command = [word + self.base if word.startswith(self.folder) else word for word in command]
        run = self.tool.run(*command, seconds=SECONDS, data=MEMORY)
        # That something is unpacked, and where, is no complaint.
        run.err = "".join(line + "\n" for line in run.lines() if ": is unpacked (" not in line)
        verified = "--verify" in command and run.status == harness.INCOMPLETE   # without a word
        problems = run.faults() if verified else damage.run_problems(run)
        if run.status == harness.INCOMPLETE and not verified:
            problems.append("status 3")
        self.complain(name, run, problems)
        return run

    def quick(self, name, path):
        run = self.ask(name, "inspect", "--quick", "--json", path)
        self.statuses.append(run.status)
        return run

    def verify(self, name, path):
        self.ask(name, "inspect", "--verify", "--json", "--progress", "none", path)

    def convert(self, name, path):
        self.ask(name, "convert", "--progress", "none", "--dry-run", "--format", "kdump", path,
                 os.path.join(self.folder, "out"))


def cut_off(judge, dump, path):
    sizes, whole = cuts(dump.head, dump.size)
    dump.copy(path)
    for i, size in enumerate(sizes):
        os.truncate(path, size)
        name = f"{dump.name} cut to {size} of {dump.size} bytes"
        run = judge.quick(name, path)
        if run.status == harness.OK and size < whole:
            judge.complaints.append(f"{name}: is called whole")
        if size < 16 << 20 and i % 3 == 0 or TIMES:
            judge.verify(name, path)
            judge.convert(name, path)


def damaged(judge, dump, path):
    """1 % of the bytes of the headers; the first ones, which name the format, mostly stay."""
    dump.copy(path)
    for seed in range(SEEDS):
        rng = random.Random(f"{dump.name} {seed}")
        spoiled = damage.spoil(dump.head[:(AREA, 4096)[seed % 2]], rng)
        if seed % 3:
            spoiled = dump.head[:64] + spoiled[64:]
        with open(path, "r+b") as f:
            f.write(spoiled)
        name = f"{dump.name} damaged, seed {seed}"
        judge.quick(name, path)
        if seed == 1 and dump.size < LARGE or TIMES:
            judge.convert(name, path)
        if seed == 2 and dump.size < LARGE or TIMES:
            judge.verify(name, path)


def examine(judge, path, dump):
    judge.base = dump.base
    cut_off(judge, dump, path)
    damaged(judge, dump, path)
    os.unlink(path)


def test(tap, tool, folder):
    root = os.environ.get("DUMPTOOL_CORPUS", "")
    if not os.path.isdir(root):
        raise harness.Skip("DUMPTOOL_CORPUS does not name a folder of dumps")
    dumps = {d.name: d for d in readable(tool, root)}
    names = harness.selected(dumps)
    if not names:
        raise harness.Skip(f"{root} holds no dump")

    def one(name, own):
        judge = Judge(tool, own)
        examine(judge, os.path.join(own, "in"), dumps[name])
        return judge
    for name, judge in zip(names, harness.parallel(one, names, folder)):
        damage.report(tap, name, [judge])


harness.main(test)
