#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Which pages filter keeps of a machine described in tests/data/mem-*.txt, in every era of kernels,
and that every way of writing the dump holds the same.

The set that must come out follows from the text alone (eras.dropped), not from struct pages."""
import dataclasses
import filecmp
import json
import os
import re
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import eras
import harness
import kdumpread
import kimage

# How the machine of each era maps its memory, so that every form is met by one.
FORMS = {
    "4.3": {}, "4.14": {"vmemmap": "4k"}, "5.4": {"vmemmap": "direct"}, "5.10": {"levels": 5},
    "6.1": {"sme": True}, "6.4": {"levels": 5, "vmemmap": "4k"}, "6.6": {"vmemmap": "4k"},
    "6.9": {"vmemmap": "4k", "sme": True}, "6.11": {"levels": 5, "sme": True}, "6.12": {},
    "6.16": {"levels": 5, "vmemmap": "direct"}, "7.1": {"levels": 5, "vmemmap": "4k"},
}

# Combinations that no era above has.
UNTOLD = dataclasses.replace(eras.ERAS["5.4"], levels_known=False)  # 5 levels, to be found out
MORE_FORMS = ((UNTOLD, {"levels": 5}), ("7.1", {"vmemmap": "4k"}), ("6.12", {"vmemmap": "direct"}))

CODECS = (("-c", kdumpread.ZLIB), ("-l", kdumpread.LZO), ("-z", kdumpread.ZSTD),
          ("-p", kdumpread.SNAPPY), ("--compress=zlib:9", kdumpread.ZLIB),
          ("--compress=zstd:19", kdumpread.ZSTD), ("--compress=none", 0))


def ranges(pfns):
    """Page frames as text."""
    out = []
    for pfn in sorted(pfns):
        if out and out[-1][1] == pfn - 1:
            out[-1][1] = pfn
        else:
            out.append([pfn, pfn])
    return " ".join(f"{a:#x}-{b:#x}" for a, b in out[:20])


def same_set(tap, got, wanted, name, *notes):
    got, wanted = set(got), set(wanted)
    return tap.check(got == wanted, name, f"too many: {ranges(got - wanted)}",
                     f"missing:  {ranges(wanted - got)}", *notes)


def wrong_pages(dump, image, pfns):
    """Complaints about pages whose bytes are not those of the machine."""
    wrong = []
    for pfn in pfns:
        got = dump.page(pfn)
        if got != image.page(pfn):
            wrong.append(f"page {pfn:#x}: {(got or b'')[:40]!r}, wanted {image.page(pfn)[:40]!r}")
    return wrong


class Bench:
    """One machine in a file, and where dumps of it go."""

    def __init__(self, tap, tool, folder, text, era, **form):
        self.tap, self.tool, self.folder, self.era = tap, tool, folder, era
        self.image = kimage.Image(kimage.Text(os.path.join(harness.DATA, f"mem-{text}.txt")), era,
                                  **form)
        self.input = os.path.join(folder, "vmcore")
        self.name = " ".join([text, self.image.era.name, *(f"{k}={v}" for k, v in form.items())])
        self.image.write(self.input)

    def path(self, name):
        return os.path.join(self.folder, name)

    def filter(self, *args, out="dump", **more):
        """A run that must succeed; None when it did not."""
        run = self.tool.filter("-f", *args, self.input, self.path(out), **more)
        if run.status == harness.OK:
            return run
        self.tap.check(False, f"{self.name}: filter {' '.join(map(str, args))}", run)
        return None

    def stream(self, *args):
        """The flattened stream as a file."""
        with open(self.path("stream"), "wb") as out:
            run = self.tool.filter("-F", *args, self.input, stdout=out)
        self.tap.equal(run.status, harness.OK, f"{self.name}: -F {' '.join(map(str, args))}", run)
        with open(self.path("stream"), "rb") as f:
            return f.read()


# ---- levels ----

def check_levels(bench):
    """One test for the levels of an era, each bit alone among them: each set must be right."""
    tap, wrong, warned = bench.tap, [], []
    some = harness.sample(range(32), 6, bench.name)
    for level in sorted({0, 1, 2, 4, 8, 16, 31, *some}):
        run = bench.filter("-d", level, "--compress", "none")
        if not run:
            return
        got, wanted = set(kdumpread.Dump(bench.path("dump")).kept()), set(bench.image.kept(level))
        if got != wanted:
            wrong.append(f"-d {level}: too many {ranges(got - wanted)}, "
                         f"missing {ranges(wanted - got)}")
        warned += run.warnings()
    tap.none(wrong, f"{bench.name}: pages kept at each level")
    if bench.era != "4.3":  # where tails of compound pages cannot be told from other pages
        tap.none(warned, f"{bench.name}: nothing to warn of")


def check_contents(bench, level):
    if not bench.filter("-d", level):
        return
    tap, image, dump = bench.tap, bench.image, kdumpread.Dump(bench.path("dump"))
    name = f"{bench.name}: -d {level}"
    same_set(tap, dump.existing(), image.text.pages(), f"{name}: pages that exist")
    tap.none(wrong_pages(dump, image, dump.kept()), f"{name}: contents of the pages")


def check_header(bench):
    """What a debugger takes from the headers."""
    tap, image = bench.tap, bench.image
    if not bench.filter("-d", 31):
        return
    dump, name = kdumpread.Dump(bench.path("dump")), bench.name
    tap.equal(dump.utsname, ["Linux", "crashed", image.release, "#1 SMP synthetic", "x86_64",
                             "(none)"], f"{name}: utsname")
    tap.equal(dump.phys_base, image.phys_base % (1 << 64), f"{name}: phys_base")
    tap.equal(dump.max_pfn, image.text.ram[-1][1] + 1, f"{name}: max_mapnr")
    tap.equal((dump.level, dump.split, dump.nr_cpus, dump.timestamp, dump.block_size),
              (31, 0, 2, 1700000000, 4096), f"{name}: level, split, CPUs, time, block size")
    tap.equal(dump.vmcoreinfo.decode(), "".join(x + "\n" for x in image.vmcoreinfo()),
              f"{name}: VMCOREINFO in place")
    tap.equal(dump.notes()[:-1], [(o.encode(), t, d) for o, t, d in image.notes()],
              f"{name}: the notes of the source")
    tap.equal(os.stat(bench.path("dump")).st_mode & 0o777, 0o600, f"{name}: mode of the file")


def check_eras(tap, tool, folder):
    for era in eras.ERAS:
        bench = Bench(tap, tool, folder, "all", era, **FORMS[era])
        check_levels(bench)
        check_contents(bench, 31)
        check_header(bench)
    for era, form in MORE_FORMS:
        check_contents_and_set(Bench(tap, tool, folder, "all", era, **form), 31)


def check_contents_and_set(bench, level, wanted=None):
    """Like check_levels for one level. wanted: the level whose set comes out instead."""
    if bench.filter("-d", level):
        dump = kdumpread.Dump(bench.path("dump"))
        same_set(bench.tap, dump.kept(), bench.image.kept(level if wanted is None else wanted),
                 f"{bench.name}: pages kept at level {level}")
        bench.tap.none(wrong_pages(dump, bench.image, dump.kept()),
                       f"{bench.name}: contents of the pages at level {level}")


def check_giant(tap, tool, folder):
    """A page of 1 GiB goes as a whole, whatever threads it is cut between."""
    for era, form in (("6.12", {"vmemmap": "1g"}), ("6.6", {}), ("4.14", {})):
        bench = Bench(tap, tool, folder, "giant", era, **form)
        for level, threads in ((8, 1), (31, 7)):
            if bench.filter("-d", level, "--num-threads", threads):
                same_set(tap, kdumpread.Dump(bench.path("dump")).kept(), bench.image.kept(level),
                         f"{bench.name}: pages kept at level {level} by {threads} threads")


# ---- doubts: what must not be believed ----

def check_guards(tap, tool, folder):
    """Struct pages that call indispensable pages free or user data are not believed."""
    bench = Bench(tap, tool, folder, "all", "6.12")
    image, anon = bench.image, eras.Kind("anon")
    table = image.tables.pages[1] // 4096
    places = {"a page table of the kernel": table, "the stack of a running task":
              image.stack // 4096 + 3, "the log buffer": image.memory_of_log // 4096,
              "the kernel image": image.text.image[0] + 0x80}
    for what, pfn in places.items():
        image.lie(pfn, anon, also=("reserved",) if "image" in what else ())
    image.write(bench.input)
    run = bench.filter("-d", 31)
    if run:
        same_set(tap, kdumpread.Dump(bench.path("dump")).kept(), image.kept(31),
                 "lies about indispensable pages: the set is as it was")
        tap.check(any("must not be lost" in w for w in run.warnings()),
                  "lies about indispensable pages: a warning", run)
    for what, pfn in places.items():
        text = explain(bench, 31, pfn)
        tap.check("KEPT" in text and f"never dropped: it is {what}" in text,
                  f"--explain names {what}", text)


KINDS = ("cache", "private_cache", "user", "free", "hwpoison", "offline")


def counts(bench):
    """The numbers of pages in the report of a run at level 31."""
    run = bench.tool.filter("-d", 31, "--json", "--dry-run", bench.input, bench.path("absent"))
    return json.loads(run.out)["pages"] if run.status == harness.OK else {}


def check_guarded_counts(tap, tool, folder):
    """What was put back is not counted with what is left out."""
    bench = Bench(tap, tool, folder, "all", "6.12")
    image, plain = bench.image, counts(bench)
    tables = [page // 4096 for page in image.tables.pages]
    image.lie(tables[1], eras.Kind("anon"))
    image.lie(image.stack // 4096 + 3, eras.Kind("cache", frozenset(["private"])))
    image.write(bench.input)
    tap.equal(counts(bench), {**plain, "guarded": 2},
              "lies about indispensable pages: the counts are as they were")
    block = tables[1] & ~7  # more than one of its pages is put back, and not by its head's own
    image.lie(block, eras.Kind("free", order=3))
    image.write(bench.input)
    got = counts(bench)
    tap.equal(got["memory"] - got["kept"], sum(got[kind] for kind in KINDS),
              "a lie about a block: the kinds add up", got)
    tap.equal(got["free"] - plain["free"], 8 - (got["guarded"] - 1),
              "a lie about a block: only what is left out of it counts as free", got)


def check_orders(tap, tool, folder):
    """A compound head is alone when the page behind it is no tail, where that can be told."""
    pfn = 0xb00
    for era in eras.ERAS.values():
        bench = Bench(tap, tool, folder, "all", era, vmemmap="2m")
        image, kind = bench.image, eras.Kind("anon", order=4)
        image.lie(pfn, kind)
        image.lie_order(pfn, kind)
        image.write(bench.input)
        if bench.filter("-d", 31):
            gone = range(pfn, pfn + (16 if era.order == "lru" else 1))
            same_set(tap, kdumpread.Dump(bench.path("dump")).kept(),
                     set(image.kept(31)) - set(gone),
                     f"{era.name}: a head without tails takes no neighbours along")


def check_counters(tap, tool, folder):
    """Free pages are compared with the zone counters."""
    bench = Bench(tap, tool, folder, "free", "6.12")
    check_contents_and_set(bench, 31)
    bench.image.tell_free(1000)
    bench.image.write(bench.input)
    bench.name = "far more free pages than the kernel counted"
    check_contents_and_set(bench, 31, wanted=15)
    run = bench.filter("-d", 31)
    tap.check(run and any("free pages are kept" in w for w in run.warnings()),
              f"{bench.name}: a warning", run)
    bench.image.tell_free(1 << 20)
    bench.image.write(bench.input)
    bench.name = "far fewer free pages than the kernel counted"
    check_contents_and_set(bench, 31)
    run = bench.filter("-d", 31)
    tap.check(run and any("larger than it need be" in w for w in run.warnings()),
              f"{bench.name}: a warning", run)


# ---- --explain, --json, --dry-run ----

def explain(bench, level, pfn):
    run = bench.tool.filter("-d", level, "--explain", hex(pfn), bench.input)
    return run.out.decode() if run.status == harness.OK else str(run)


def explained(image, level, block, pfn):
    """Texts that must stand in the explanation of a page of BLOCK."""
    texts = [f"page frame {pfn:#x} "]
    if not eras.dropped(image.era, block.kind, level):
        tail = block.kind.compound and pfn > block.first
        return texts + ["\n  KEPT"] + (["tail of a compound page"] if tail else [])
    told = 1 << min(block.kind.order, 18)
    return texts + ["\n  LEFT OUT", f"page frame {block.first:#x} and the {told} pages"]


def check_explain(tap, tool, folder):
    bench, wrong = Bench(tap, tool, folder, "all", "6.16"), []
    seen = set()
    for block in bench.image.text.blocks:
        key = (block.kind.name, block.kind.words, block.kind.order, block.kind.raw)
        if key in seen:
            continue
        seen.add(key)
        for pfn in {block.first, block.first + block.nr - 1}:
            text = explain(bench, 31, pfn)
            wrong += [f"{key} {pfn:#x}: not said: {want.strip()}\n{text}"
                      for want in explained(bench.image, 31, block, pfn) if want not in text]
    tap.none(wrong, "--explain of the first and last page of every kind")
    for pfn, level, wanted in (
            (0x1c0, 2, "KEPT"), (0x1c0, 4, "page cache with private data"), (0x1a0, 2, "LEFT OUT"),
            (0x50000, 31, "no memory there"), (0x50000, 31, "NOT IN THE OUTPUT"),
            (0x198, 0, "poison"), (0x100, 8, "KEPT"), (0x400, 31, "hugetlb"), (0, 31, "KEPT")):
        text = explain(bench, level, pfn)
        tap.check(wanted in text, f"--explain {pfn:#x} -d {level}: {wanted}", text)


def check_reports(tap, tool, folder):
    """Numbers in --json, labels of --show-stats, and that --dry-run leaves nothing behind."""
    bench = Bench(tap, tool, folder, "all", "6.12")
    run = tool.filter("-d", 31, "--json", "--dry-run", "--show-stats", bench.input,
                      bench.path("absent"))
    tap.equal(run.status, harness.OK, "--json --dry-run --show-stats", run)
    tap.check(not os.path.exists(bench.path("absent")), "--dry-run writes no file")
    pages, image = json.loads(run.out)["pages"], bench.image
    kept = image.kept(31)
    tap.equal((pages["memory"], pages["kept"], pages["zero"]),
              (len(image.text.pages()), len(kept), sum(not any(image.page(p)) for p in kept)),
              "--json: pages of memory, kept and zero")
    tap.equal(pages["memory"] - pages["kept"],
              sum(pages[kind] for kind in KINDS), "--json: the kinds add up")
    for label in ("Original pages  : 0x", "    Free pages              : 0x", "Write bytes     : ",
                  "  Remaining pages  : 0x", "Memory Hole     : 0x", "Total pages     : 0x"):
        tap.check(label in run.err, f"--show-stats says {label!r}")
    check_steps(bench)


def check_steps(bench):
    """Lines of the steps, as makedumpfile prints them."""
    tap, name = bench.tap, os.path.join(bench.folder, "makedumpfile")
    os.symlink(os.path.abspath(bench.tool.path), name)
    run = harness.Tool(name).run("-f", "-d", 31, "--message-level", 31, bench.input,
                                 bench.path("dump"))
    steps = re.findall(r"^STEP \[(.*)\] : \d+\.\d{6} seconds$", run.out.decode(), re.M)
    titles = ["Checking for memory holes", "Excluding unnecessary pages", "Copying data"]
    tap.equal(steps, [title.ljust(27) for title in titles], "makedumpfile: the steps", run)
    shown = re.findall(r"^(.{50}): \[100\.0 %\]", run.err.replace("\r", "\n"), re.M)
    tap.equal(shown, [title.ljust(50) for title in titles], "makedumpfile: progress of them", run)


# ---- ways of writing ----

def check_codecs(tap, tool, folder):
    bench = Bench(tap, tool, folder, "all", "6.12")
    kept = bench.image.kept(31)
    for option, codec in CODECS:
        if not bench.filter("-d", 31, option):
            continue
        dump = kdumpread.Dump(bench.path("dump"))
        try:
            tap.none(wrong_pages(dump, bench.image, kept), f"{option}: contents of the pages")
        except kdumpread.Unsupported as why:
            tap.skip(f"{option}: contents of the pages", why)
        tap.equal((dump.status, dump.codecs()), (codec, codec), f"{option}: status in the header")
        sizes = {dump.descriptor(p)[1:] for p in kept}
        tap.check((4096, 0) in sizes and (not codec or len(sizes) > 1),
                  f"{option}: what does not get smaller is stored as it is", sizes)


def check_threads(tap, tool, folder):
    bench = Bench(tap, tool, folder, "all", "6.12")
    for option, _ in CODECS:
        for threads in (1, 2, 7):
            bench.filter("-d", 31, option, "--num-threads", threads, out=f"dump{threads}")
        for threads in (2, 7):
            tap.check(filecmp.cmp(bench.path("dump1"), bench.path(f"dump{threads}"), False),
                      f"{option}: {threads} threads write the same bytes as one")
    streams = [bench.stream("-d", 31, "-l", "--num-threads", n) for n in (1, 2, 7)]
    tap.check(streams[0] == streams[1] == streams[2], "-F: so do 1, 2 and 7 threads")


def check_streams(tap, tool, folder):
    """A stream, put together, is the file."""
    bench = Bench(tap, tool, folder, "all", "6.12")
    for args in (("-d", 31, "-c"), ("-d", 0, "-z"), ("-d", 31, "--compress=none")):
        name, data = " ".join(map(str, args)), bench.stream(*args)
        tap.check(kdumpread.is_whole(data), f"-F {name}: ends with its end record")
        try:
            kdumpread.unflatten(data, bench.path("rebuilt"))
        except kdumpread.Bad as why:
            tap.check(False, f"-F {name}: a stream that all readers understand", why)
            continue
        bench.filter(*args)
        tap.check(filecmp.cmp(bench.path("dump"), bench.path("rebuilt"), False),
                  f"-F {name}: unflattened it is the file")
        big = sum(size for _, size, _ in kdumpread.records(data)) / \
            len(list(kdumpread.records(data)))
        tap.check(big > 50000, f"-F {name}: long records", big)


def check_split(tap, tool, folder):
    bench = Bench(tap, tool, folder, "all", "6.12")
    for parts in (2, 3, 7):
        outs = [bench.path(f"part{i}") for i in range(parts)]
        run = tool.filter("-f", "-d", 31, "-z", "--split", bench.input, *outs)
        if not tap.equal(run.status, harness.OK, f"--split into {parts}", run):
            continue
        dumps = [kdumpread.Dump(out) for out in outs]
        check_pieces(tap, bench, dumps, f"--split into {parts}")


def check_pieces(tap, bench, dumps, name):
    """Pieces tile the memory, have equal headers, and hold the same together."""
    edges = [0] + [d.end_pfn for d in dumps]
    tap.equal([d.start_pfn for d in dumps], edges[:-1], f"{name}: each begins where one ends")
    tap.equal(edges[-1], dumps[0].max_pfn, f"{name}: the last one ends at the end")
    tap.equal({d.split for d in dumps}, {1}, f"{name}: they say that they are pieces")
    heads = {bytes(d.data[:464]) for d in dumps}
    tap.equal(len(heads), 1, f"{name}: the same header in all, as crash wants it")
    tap.check(all(d.kept() == dumps[0].kept() for d in dumps), f"{name}: the same bitmap in all")
    held = [pfn for d in dumps for pfn in d.held()]
    tap.equal(len(held), len(set(held)), f"{name}: no page in two")
    same_set(tap, held, bench.image.kept(31), f"{name}: together they hold all")
    sizes = [len(d.held()) for d in dumps]
    tap.check(min(sizes) >= max(sizes) * 3 // 4, f"{name}: of about one size", sizes)
    for d in dumps:
        tap.none(wrong_pages(d, bench.image, d.held()), f"{name}: contents of the pages")


def check_small_program(tap, tool, folder):
    """dumptool-kdump has no snappy: it says so and writes lzo; otherwise it is the same."""
    try:
        small = harness.find_tool("DUMPTOOL_KDUMP", "dumptool-kdump")
    except harness.Skip as why:
        return tap.skip("dumptool-kdump", why)
    bench = Bench(tap, tool, folder, "all", "6.12")
    for option in ("-c", "-l", "-z"):
        bench.filter("-d", 31, option)
        run = small.filter("-f", "-d", 31, option, bench.input, bench.path("small"))
        tap.check(run.status == 0 and filecmp.cmp(bench.path("dump"), bench.path("small"), False),
                  f"dumptool-kdump {option}: the same bytes", run)
    run = small.filter("-f", "-d", 31, "-p", bench.input, bench.path("small"))
    tap.check(run.status == 0 and any("snappy" in w for w in run.warnings()),
              "dumptool-kdump -p: a warning", run)
    tap.equal(kdumpread.Dump(bench.path("small")).status, kdumpread.LZO,
              "dumptool-kdump -p: writes lzo")
    run = small.filter("--check-params", "-p", bench.input, bench.path("small"))
    return tap.equal(run.status, harness.USAGE, "dumptool-kdump --check-params -p: fails", run)


def check_log(tap, tool, folder):
    """The log of either generation comes out, of a machine whose memory map is gone too."""
    for era in ("4.14", "6.12"):
        bench = Bench(tap, tool, folder, "all", era)
        run = tool.run("dmesg", bench.input)
        tap.check(run.status == 0 and run.out.count(b"\n") == 5 and b"sysrq triggered" in run.out,
                  f"{era}: dmesg", run, run.out)
        plain = run.out
        with open(bench.input, "r+b") as f:
            f.seek(bench.image.offset(bench.image.section_array))
            f.write(b"\xff" * 4096)
        run = tool.run("dmesg", bench.input)
        tap.equal(run.out, plain, f"{era}: dmesg without a memory map", run)
        run = tool.filter("-f", "--dump-dmesg", bench.input, bench.path("log"))
        with open(bench.path("log"), "rb") as f:
            tap.equal(f.read(), plain, f"{era}: --dump-dmesg", run)


def test(tap, tool, folder):
    checks = {f.__name__[6:]: f for f in (
        check_eras, check_giant, check_guards, check_guarded_counts, check_orders, check_counters,
        check_explain, check_reports, check_codecs, check_threads, check_streams, check_split,
        check_small_program, check_log)}
    all_codecs = ("codecs", "threads", "small_program")
    for name in harness.selected(checks):
        checks[name](tap, harness.find_tool() if name in all_codecs else tool, folder)


harness.main(test, harness.SmallTool)
