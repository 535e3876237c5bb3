#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Inputs inside of something: flattened streams, compressed files, pipes, and these in each other.

Taken off, they are the dump that went in; cut off or damaged, what came before is used and nothing
is invented; and what is put on disk for that keeps to the limit and leaves nothing behind."""
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import zlib

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import elfgen
import harness
import kdumpread

PACKERS = {"gzip": ["gzip", "-c"], "bzip2": ["bzip2", "-c"], "xz": ["xz", "-c", "-1"],
           "zstd": ["zstd", "-q", "-c"], "lz4": ["lz4", "-q", "-c"], "lzop": ["lzop", "-q", "-c"]}
LOST = {"lz4": 4 << 20, "lzop": 256 << 10, "bzip2": 900 << 10}  # a block; others: at most 128 KiB
SECONDS = 20


def pack(kind, data, *options):
    return subprocess.run(PACKERS[kind] + list(options), input=data, capture_output=True,
                          check=True).stdout


def put(path, data):
    with open(path, "wb") as f:
        f.write(data)
    return path


def get(path):
    with open(path, "rb") as f:
        return f.read()


# ---- flattened streams ----

def record(offset, data):
    return struct.pack(">qq", offset, len(data)) + data


END = struct.pack(">qq", -1, -1)
HEADER = b"makedumpfile".ljust(16, b"\0") + struct.pack(">qq", 1, 1)


def stream(records, end=END):
    return HEADER.ljust(4096, b"\0") + b"".join(record(*r) for r in records) + end


def pieces(data, rng, largest):
    """DATA as (offset, bytes), in order."""
    at, found = 0, []
    while at < len(data):
        size = rng.randrange(1, largest)
        found.append((at, data[at:at + size]))
        at += size
    return found


def shuffled(data, rng):
    found = pieces(data, rng, 70000)
    rng.shuffle(found)
    return found


def overlapping(data, rng):
    """Wrong bytes everywhere first, then pieces that reach into each other, the last one right."""
    found = [(at, rng.randbytes(len(part))) for at, part in shuffled(data, rng)]
    for at, part in shuffled(data, rng):
        start = max(0, at - rng.randrange(5000))
        found.append((start, data[start:at + len(part) + rng.randrange(5000)]))
    return found


def many(data, _):
    """About a million records of a few bytes, the last one first."""
    size = max(1, len(data) // 1000000)
    return [(at, data[at:at + size]) for at in range(0, len(data), size)][::-1]


ORDERS = {"in order": lambda data, rng: pieces(data, rng, 300000), "shuffled": shuffled,
          "reversed": lambda data, rng: pieces(data, rng, 9000)[::-1],
          "overlapping": overlapping, "a million records": many}


# ---- what is compared ----

class Bench:
    """The program, a core, and what it says of the core as it is."""

    def __init__(self, tap, tool, folder):
        self.tap, self.tool, self.folder = tap, tool, folder
        self.text = elfgen.Description(os.path.join(harness.DATA, "elf-vmcore64.txt"))
        self.plain = self.path("plain")
        self.text.build(self.plain)
        self.data = get(self.plain)
        self.spool = self.path("spool")
        os.mkdir(self.spool)
        self.report = self.inspect(self.plain)[1]
        self.tap.equal(self.report.pop("wrapped_in"), [], "the core as it is, is in nothing")
        self.pages = {pfn: self.text.expected_page(pfn) for pfn in self.text.pages_in("present")}
        run = tool.filter("-q", "-d", "1", "--compress", "none", self.plain, self.path("wanted"))
        self.tap.equal(run.status, harness.OK, "the core as it is", run)
        self.wanted = get(self.path("wanted"))
        self.kinds = self.kinds_here()

    def path(self, name):
        return os.path.join(self.folder, name)

    def where(self):
        return ("--spool-dir", self.spool)

    def inspect(self, path, *options, **more):
        run = self.tool.run("inspect", "--json", *options, path, **more)
        if run.status not in (harness.OK, harness.DAMAGED):
            return run, {}
        report = json.loads(run.out)
        report.pop("file")
        return run, report

    def kinds_here(self):
        """What can be packed here, and taken off by this program; the others are skipped."""
        found = []
        for kind, command in PACKERS.items():
            if not shutil.which(command[0]):
                self.tap.skip(f"{kind}: all about it", f"there is no program {command[0]}")
                continue
            run, _ = self.inspect(put(self.path("in"), pack(kind, self.data)), *self.where())
            if run.status == harness.FAILED and "cannot unpack it" in run.err:
                self.tap.skip(f"{kind}: all about it", "built without: " + run.lines()[-1])
            else:
                found.append(kind)
        return found

    def some(self, salt):
        """These kinds, or with SAMPLE=2 and more a part of them, in each check others."""
        return harness.sample(self.kinds, 1, salt)

    def seen(self, name, data, wrapped):
        """DATA, seen by inspect, is the core."""
        path = put(self.path("in"), data)
        run, report = self.inspect(path, *self.where(), seconds=SECONDS)
        self.tap.check(run.status == harness.OK and not run.warnings(), f"{name}: inspect", run)
        self.tap.equal(report.pop("wrapped_in", []), wrapped, f"{name}: what was taken off")
        self.tap.equal(report, self.report, f"{name}: is the core")

    def same(self, name, data, wrapped):
        """The same, by filter too."""
        self.seen(name, data, wrapped)
        self.filtered(name, self.path("in"), *self.where())

    def filtered(self, name, path, *options, **more):
        out = self.path("out")
        run = self.tool.filter("-q", "-f", "-d", "1", "--compress", "none", *options, path, "-o", out,
                               seconds=SECONDS, **more)
        self.tap.check(run.status == harness.OK and get(out) == self.wanted,
                       f"{name}: filter gives the same dump", run)

    def invented(self, path):
        """Complaints about pages of a dump that are not those of the core."""
        dump = kdumpread.Dump(path)
        pages = {pfn: dump.page(pfn) for pfn in dump.held()}
        return [f"page {pfn:#x} is not what it was" for pfn, page in pages.items()
                if page is not None and page != self.pages[pfn]], \
            sum(page is not None for page in pages.values())

    def broken(self, data, *options):
        """(complaints, run, pages kept) for an input that is not whole."""
        out = self.path("out")
        if os.path.exists(out):
            os.unlink(out)
        run = self.tool.filter("-f", "-d", "0", "--compress", "none", *self.where(), *options,
                               put(self.path("in"), data), out, seconds=SECONDS)
        bad = run.faults()
        if os.listdir(self.spool):
            bad.append("something is left in the spool directory")
        if run.status == harness.FAILED:
            if len(run.errors()) - sum("is unpacked" in e for e in run.errors()) != 1:
                bad.append(f"not one line of error: {run.err}")
            return bad, run, 0
        if run.status not in (harness.OK, harness.DAMAGED):
            return bad + [f"status {run.status}"], run, 0
        wrong, kept = self.invented(out)
        if run.status == harness.DAMAGED and not run.warnings():
            bad.append("damaged, and nothing is said about it")
        return bad + (wrong if run.status == harness.OK else []), run, kept


# ---- whole ----

def check_streams(bench):
    for order, make in ORDERS.items():
        made = stream(make(bench.data, random.Random(order)))
        bench.same(f"flattened, {order}", made, ["flattened"])
    made = stream(pieces(bench.data, random.Random(1), 70000)) + random.Random(2).randbytes(100000)
    bench.same("flattened, garbage behind the end", made, ["flattened"])


def check_packed(bench):
    flat = stream(shuffled(bench.data, random.Random(3)))
    for kind in bench.some("packed"):
        bench.same(kind, pack(kind, bench.data), [kind])
        bench.same(f"{kind} of flattened", pack(kind, flat), [kind, "flattened"])
        half = len(bench.data) // 2
        parts = [pack(kind, bench.data[:half]), pack(kind, bench.data[half:])]
        bench.seen(f"{kind}, two members", b"".join(parts), [kind])
        if kind in ("zstd", "lz4"):
            skip = [struct.pack("<II", 0x184d2a50 + i, 5) + b"skip!" for i in range(2)]
            bench.seen(f"{kind}, frames to skip", skip[0] + parts[0] + skip[1] + parts[1], [kind])
    for kinds in (bench.kinds, bench.kinds[:2:-1]):
        made, names = flat, ["flattened"]
        for kind in kinds:
            made, names = pack(kind, made), [kind] + names
        bench.same(" of ".join(names), made, names)


def check_pipes(bench):
    """Standard input, a pipe: the same, of whatever is in it."""
    made = {"the core": bench.data, "flattened": stream(shuffled(bench.data, random.Random(4)))}
    some = bench.some("pipes")
    made.update({kind: pack(kind, bench.data) for kind in some})
    for name, data in made.items():
        with open(put(bench.path("in"), data), "rb") as f, \
                subprocess.Popen(["cat"], stdin=f, stdout=subprocess.PIPE) as cat:
            bench.filtered(f"{name} through a pipe", "-", *bench.where(), stdin=cat.stdout)
    for kind in some:
        with open(put(bench.path("in"), made[kind]), "rb") as f:
            bench.filtered(f"{kind} as standard input", "-", *bench.where(), stdin=f)


def check_environment(bench):
    """Where things are unpacked when nothing is said; no program is needed for it."""
    for kind in bench.kinds:
        path = put(bench.path("in"), pack(kind, bench.data))
        bench.filtered(f"{kind}, no programs to be found", path,
                       env={"PATH": "/nowhere", "TMPDIR": bench.spool})
        run, _ = bench.inspect(path, env={"TMPDIR": bench.spool})
        bench.tap.check(bench.spool in run.err, f"{kind}: it is said where it is unpacked", run)
    bench.tap.equal(os.listdir(bench.spool), [], "nothing is left where things are unpacked")


# ---- not whole ----

def check_cut_streams(bench):
    made = stream(shuffled(bench.data, random.Random(5)))
    edges, at = [4096], 4096
    while at < len(made):
        size = struct.unpack_from(">q", made, at + 8)[0]
        edges += [at + 16, at + 16 + max(size, 0)]
        at = edges[-1]
    bad = []
    sizes = sorted({e + d for e in edges[1:16] + edges[-12:] for d in (-1, 0, 1)})
    for size in harness.sample(sizes, 2, "stream"):
        if size >= len(made):
            continue
        wrong, run, _ = bench.broken(made[:size])
        if run.status == harness.OK:
            wrong.append("taken for whole")
        if size > 70000 and "flattened stream" not in run.err:
            wrong.append("it is not told that the stream breaks off: " + run.err)
        bad += [f"cut to {size} bytes: {w}" for w in wrong]
        if run.status == harness.DAMAGED:
            bad += [f"cut to {size} bytes: {w}" for w in bench.invented(bench.path("out"))[0]]
    bench.tap.none(bad, "flattened, cut off at the borders of records")


def check_gaps(bench):
    """A record is missing in the middle of the memory."""
    found = pieces(bench.data, random.Random(6), 70000)
    gone = found.pop(len(found) // 2)
    wrong, run, kept = bench.broken(stream(found))
    wrong += bench.invented(bench.path("out"))[0]
    bench.tap.none(wrong, "flattened, a record is missing: nothing in its place", run)
    bench.tap.equal(run.status, harness.DAMAGED, "it is told that it is damaged", run)
    lost = len(bench.text.pages_in("present")) - kept
    bench.tap.check(len(gone[1]) // 4096 - 1 <= lost <= len(gone[1]) // 4096 + 2,
                    f"{lost} pages are lost for {len(gone[1])} bytes")


def check_headers(bench):
    good = stream([(0, bench.data)])
    for name, data, word in (
            ("of another type", HEADER[:23] + b"\2" + good[24:], "type 2"),
            ("of another version", HEADER[:31] + b"\7" + good[32:], "version 7"),
            ("without records", stream([]), "holds nothing"),
            ("that ends in its header", good[:100], "ends inside its header"),
            ("that begins with nonsense", stream([(-7, b"12345")]), "-7")):
        run, _ = bench.inspect(put(bench.path("in"), data))
        bench.tap.check(run.status == harness.FAILED and word in run.err and not run.faults(),
                        f"a stream {name} is refused", run)


def check_cut_packed(bench):
    for kind in bench.some("cut"):
        made = pack(kind, bench.data)
        sizes = {*range(1, 40, 4), *(len(made) - n for n in (1, 2, 4, 8, 9, 12, 24)),
                 *(len(made) * i // 6 for i in range(1, 6))}
        bad = []
        for size in harness.sample(sorted(sizes), 2, kind):
            wrong, run, kept = bench.broken(made[:size])
            if run.status == harness.DAMAGED:
                wrong += bench.invented(bench.path("out"))[0]
            if run.status == harness.OK:
                wrong.append("taken for whole")
            # All members compress alike here: what is lost is a block, or a buffer.
            least = len(bench.data) * size // len(made) * 3 // 4 - LOST.get(kind, 128 << 10)
            if kept * 4096 < least - (900 << 10):
                wrong.append(f"{kept} pages kept, {run.err}")
            bad += [f"cut to {size} of {len(made)} bytes: {w}" for w in wrong]
        bench.tap.none(bad, f"{kind}, cut off")


def check_damaged_packed(bench):
    """One byte changed anywhere: noticed, or nothing of the dump has changed by it."""
    for kind in bench.some("damaged"):
        made, rng, bad, statuses = pack(kind, bench.data), random.Random(kind), [], {}
        places = [*range(0, 20, 2), *(rng.randrange(len(made)) for _ in range(20)),
                  *(len(made) - i for i in range(1, 9))]
        for at in harness.sample(places, 2, kind):
            data = bytearray(made)
            data[at] ^= 1 << rng.randrange(8)
            wrong, run, _ = bench.broken(bytes(data))
            if run.status == harness.OK and kind not in run.err:
                wrong.append("it was not unpacked, but taken for a dump")
            statuses[run.status] = statuses.get(run.status, 0) + 1
            bad += [f"byte {at} of {len(made)}: {w}" for w in wrong]
        bench.tap.none(bad, f"{kind}, one byte changed")
        bench.tap.note(f"exit statuses {statuses}")
        bench.tap.check(statuses.get(harness.FAILED, 0) + statuses.get(harness.DAMAGED, 0) >
                        sum(statuses.values()) * 2 // 3,
                        f"{kind}: most of it is noticed")


def check_nothing_inside(bench):
    for kind in bench.kinds:
        run, _ = bench.inspect(put(bench.path("in"), pack(kind, b"")), *bench.where())
        bench.tap.check(run.status == harness.FAILED and "empty" in run.err, f"{kind} of nothing", run)
        run, _ = bench.inspect(put(bench.path("in"), pack(kind, b"no dump" * 5)), *bench.where())
        bench.tap.check(run.status == harness.FAILED and "not a dump" in run.err,
                        f"{kind} of no dump", run)
        run, report = bench.inspect(put(bench.path("in"), pack(kind, bench.data) + bytes(512)),
                                    *bench.where())
        bench.tap.check(run.status == harness.OK and report.get("pages") == bench.report["pages"],
                        f"{kind}, padded to a block of a tape", run)


def lzop_header(made, flags=0, method=None, extra=b""):
    """The lzop file MADE with some flags more, another method, an extra field."""
    size = 9 + 24 + 1 + made[33]
    head, old = bytearray(made[9:size]), struct.unpack_from(">I", made, 17)[0]
    struct.pack_into(">I", head, 8, old | flags)
    if method is not None:
        head[6] = method
    if flags & 0x800:
        head[12:12] = struct.pack(">I", 1)
    return b"".join((made[:9], head, struct.pack(">I", zlib.adler32(head)), extra, made[size + 4:]))


def check_lzop(bench):
    """What lzop's files may hold beside blocks."""
    if "lzop" not in bench.kinds:
        return
    for option in ("-1", "-9", "--crc32", "-F"):
        bench.seen(f"lzop {option}", pack("lzop", bench.data, option), ["lzop"])
    made = pack("lzop", bench.data)
    field = struct.pack(">I", 5) + b"extra" + bytes(4)
    bench.same("lzop with an extra field", lzop_header(made, 0x40, extra=field), ["lzop"])
    for name, data, word in (("filter", lzop_header(made, 0x800), "filters"),
                             ("flag nobody knows", lzop_header(made, 0x4000), "flags"),
                             ("method nobody knows", lzop_header(made, method=128), "method 128")):
        run, _ = bench.inspect(put(bench.path("in"), data), *bench.where())
        bench.tap.check(run.status == harness.FAILED and word in run.err, f"lzop with a {name}", run)


def check_xz(bench):
    """Several streams with zeros between them, and the largest dictionary that is taken."""
    if "xz" not in bench.kinds:
        return
    half = len(bench.data) // 2
    for zeros in (0, 4, 2 << 20):
        made = pack("xz", bench.data[:half]) + bytes(zeros) + pack("xz", bench.data[half:])
        bench.seen(f"xz: two streams, {zeros} zeros between", made, ["xz"])
    for check in ("none", "crc32", "sha256"):
        bench.seen(f"xz --check={check}", pack("xz", bench.data, f"--check={check}"), ["xz"])
    bench.seen("xz: a dictionary of 128 MiB", pack("xz", bench.data, "--lzma2=preset=0,dict=128MiB"), ["xz"])
    made = pack("xz", bench.data, "--lzma2=preset=0,dict=192MiB")
    run, _ = bench.inspect(put(bench.path("in"), made), *bench.where())
    bench.tap.check(run.status == harness.FAILED and "192 MiB" in run.err, "xz: one of 192 MiB", run)


# ---- bombs and limits ----

def check_claims(bench):
    """Headers that ask for more memory than there is."""
    if "xz" in bench.kinds:
        data = bytearray(pack("xz", bench.data))
        end = 12 + (data[12] + 1) * 4
        data[16] = 40  # the dictionary of the only filter: 4 GiB
        struct.pack_into("<I", data, end - 4, zlib.crc32(data[12:end - 4]))
        run, _ = bench.inspect(put(bench.path("in"), data), *bench.where())
        bench.tap.check(run.status == harness.FAILED and "more than 128 (xz -d" in run.err and not run.faults(),
                        "xz: a dictionary of 4 GiB", run)
    if "zstd" in bench.kinds:
        frame = struct.pack("<IBB", 0xfd2fb528, 0, 21 << 3) + b"\1\0\0"  # window: 2 GiB
        run, _ = bench.inspect(put(bench.path("in"), frame + bytes(100)), *bench.where())
        bench.tap.check(run.status == harness.FAILED and "128 MiB" in run.err, "zstd: a window of 2 GiB",
                        run)


def check_limit(bench):
    size = len(bench.data)
    for kind in bench.kinds:
        path = put(bench.path("in"), pack(kind, bench.data))
        for limit, status in ((size // 2, harness.FAILED), (size, harness.OK)):
            run, _ = bench.inspect(path, *bench.where(), "--spool-limit", limit)
            bench.tap.check(run.status == status, f"{kind}: a limit of {limit} bytes", run)
            if status == harness.FAILED:
                bench.tap.check("--spool-limit" in run.err and str(limit) in run.err,
                                f"{kind}: what to do about it", run)
        bench.tap.equal(os.listdir(bench.spool), [], f"{kind}: nothing is left behind")


def check_bombs(bench):
    for kind in bench.kinds:
        path = put(bench.path("in"), pack(kind, b"bomb" * (6 << 20)))
        run, _ = bench.inspect(path, *bench.where(), "--spool-limit", "8M", seconds=SECONDS)
        bench.tap.check(run.status == harness.FAILED and "--spool-limit" in run.err and
                        not run.faults(), f"{kind}: a bomb of {os.path.getsize(path)} bytes", run)
        zeros = put(bench.path("in"), pack(kind, bytes(40 << 20)))
        run, _ = bench.inspect(zeros, *bench.where(), "--spool-limit", "1M", seconds=SECONDS)
        bench.tap.check(run.status == harness.FAILED and not run.faults(),
                        f"{kind}: much of nothing, in memory that is limited", run)
    if "gzip" in bench.kinds:
        data = bench.data
        for _ in range(9):
            data = pack("gzip", data)
        run, _ = bench.inspect(put(bench.path("in"), data), *bench.where())
        bench.tap.check(run.status == harness.FAILED and "8 times" in run.err,
                        "wrapped more often than anybody does", run)
    far = stream([(0, bench.data), ((1 << 63) - 4097, bytes(4096))])
    run, report = bench.inspect(put(bench.path("in"), far))
    bench.tap.check(report.get("pages") == bench.report["pages"], "a stream of nearly 2^63 bytes", run)


def check_nowhere(bench):
    for kind in bench.kinds:
        path = put(bench.path("in"), pack(kind, bench.data))
        for where in ("/nowhere/at/all", path):
            run, _ = bench.inspect(path, "--spool-dir", where)
            bench.tap.check(run.status == harness.FAILED and "--spool-dir" in run.err,
                            f"{kind}: no place to unpack: {where}", run)


def check_small_program(bench):
    """dumptool-kdump reads streams; of anything else it says what it is."""
    small = harness.find_tool("DUMPTOOL_KDUMP", "dumptool-kdump")
    for kind in PACKERS:
        if shutil.which(PACKERS[kind][0]):
            run = small.run("inspect", put(bench.path("in"), pack(kind, bench.data)))
            bench.tap.check(run.status == harness.FAILED and kind in run.err and
                            "cannot unpack" in run.err, f"dumptool-kdump knows {kind} by name", run)
    run = small.run("inspect", "--json", put(bench.path("in"),
                                             stream(shuffled(bench.data, random.Random(7)))))
    bench.tap.equal(run.status, harness.OK, "dumptool-kdump reads a stream", run)
    if run.status == harness.OK:
        bench.tap.equal(json.loads(run.out)["pages"], bench.report["pages"], "all of it")


CHECKS = {check.__name__[6:]: check for check in (
    check_streams, check_packed, check_pipes, check_environment, check_cut_streams, check_gaps,
    check_headers, check_cut_packed, check_damaged_packed, check_nothing_inside, check_lzop, check_xz,
    check_claims, check_limit, check_bombs, check_nowhere, check_small_program)}


def test(tap, tool, folder):
    bench = Bench(tap, tool, folder)
    for name in harness.selected(CHECKS):
        CHECKS[name](bench)


harness.main(test)
