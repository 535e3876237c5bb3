#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Damaged and hostile kdump dumps: cut off anywhere, header fields at extremes, random damage,
descriptors that lie, pages that expand to too much. ../lib/damage.py says what each run is judged by;
and a page that is delivered is the page that was there."""
import os
import random
import struct
import sys
import zlib

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import harness
import kdumpgen
import kdumpread
from damage import cuts, extremes, files, judged, put, report, spoil

DESC = kdumpgen.DESC


def described(name, path):
    """Build the dump NAME; its description and bytes, of the first part where there are several."""
    text = kdumpgen.Description(os.path.join(harness.DATA, f"kdump-{name}.txt"))
    paths = text.build(path)
    with open(text.files[0].path, "rb") as f:
        return text, paths if len(paths) > 1 else paths[0], f.read()


# ---- cut off ----

def invented(text, out):
    """Complaints about pages of the dump OUT that the machine did not have so."""
    try:
        dump = kdumpread.Dump(out)
    except kdumpread.Bad as why:
        return [f"not readable: {why}"]
    wrong, size = [], text.page_size
    if dump.block_size != size:
        return [f"pages of {dump.block_size} bytes"]
    for pfn in dump.held():
        page = dump.page(pfn)
        if page is not None and page != text.expected_page(pfn):
            wrong.append(f"page {pfn:#x} is another one")
    return wrong


def check_contents(judge, name, text, path):
    """What is left of the pages is right."""
    out = os.path.join(judge.folder, "copy")
    run = judge.tool.filter("-f", "--progress", "none", "-d", 0, *files(path), out)
    if run.status in (harness.OK, harness.DAMAGED):
        judge.complain(name, run, invented(text, out))


def cut_dump(judge, path, name):
    text, paths, data = described(name, path)
    first = text.files[0]
    for size in cuts([0, 4] + first.edges, len(data)):
        os.truncate(first.path, size)
        what = f"{name} cut to {size} bytes"
        judge.filter(what, paths)
        judge.look(what, paths, "inspect", "--json")
        check_contents(judge, what, text, paths)


def check_cut(tap, tool, folder):
    names = ("v6-i386", "v6-64", "v3-64", "v6-ppc", "v6-arm", "split", "split-v5", "qemu-arm64", "one-bitmap",
             "shared", "pages64k")
    report(tap, "dumps cut off at every edge", judged(tool, folder, names, cut_dump))


# ---- header fields ----

def spoil_fields(judge, path, name):
    text, paths, data = described(name, path)
    order = "little" if text.set.order == "<" else "big"
    first = text.files[0]
    for field, (offset, width) in first.fields.items():
        for value in extremes(width, len(data), f"{name} {field}"):
            put(first.path, offset, value.to_bytes(width, order))
            judge.core(f"{name} {field}={value:#x}", paths)
        put(first.path, offset, data[offset:offset + width])


def check_fields(tap, tool, folder):
    report(tap, "header fields at extremes",
           judged(tool, folder, ("v6-i386", "v3-64", "v6-ppc", "split-v5"), spoil_fields))


# ---- random damage ----

def spoil_dump(judge, path, item):
    """1 % of all bytes; mostly but those that make it a dump."""
    name, seed = item
    text, paths, data = described(name, path)
    spoiled = spoil(data, random.Random(f"{name} {seed}"))
    if seed % 3:
        keep = text.set.block if seed % 3 == 2 else 448
        spoiled = data[:keep] + spoiled[keep:]
    put(text.files[0].path, 0, spoiled)
    judge.core(f"{name} seed {seed}", paths)


def check_random(tap, tool, folder):
    names = ("v6-i386", "v3-64", "split-v5", "v6-ppc", "pages64k")
    items = [(name, seed) for name in names for seed in range(12)]
    report(tap, "1 % random damage", judged(tool, folder, items, spoil_dump))


# ---- descriptors ----

def lies(first):
    """(what, (offset, size, flags)) of descriptors that cannot be meant so."""
    inside = first.size - 64
    return [("the header", (64, 64, 0)), ("itself", (first.table, DESC, 0)),
            ("the end of the table", (first.table + first.descriptors * DESC - 1, 64, 1)),
            ("the end of the file", (first.size, 64, 1)), ("beyond it", (inside, 65, 1)),
            ("far beyond it", (1 << 62, 4096, 0)), ("before the start", (-1, 4096, 0)),
            ("nothing", (inside, 0, 1)), ("offset nothing", (0, 64, 1)),
            ("too much", (inside, 0xffffffff, 1)), ("more than a page", (first.size - 5000, 4097, 1)),
            ("half a page as it is", (inside, 32, 0)), ("two codecs", (inside, 64, 3)),
            ("an unknown codec", (inside, 64, 0x40)), ("the incomplete bit", (inside, 64, 8)),
            ("all bits", (inside, 64, 0xffffffff)), ("noise as lzo", (inside, 64, 2)),
            ("noise as snappy", (inside, 64, 4)), ("noise as zstd", (inside, 64, 0x20))]


def lie(judge, path, name):
    """One descriptor lies; all others are as they were."""
    text, paths, data = described(name, path)
    first = text.files[0]
    number = min(3, first.descriptors - 1)
    unit = sorted(text.units)[number]
    for what, values in lies(first):
        put(first.path, first.table + number * DESC,
            struct.pack(text.abi.order + "qIIQ", *values, 0))
        what = f"{name}: descriptor leads to {what}"
        judge.core(what, paths)
        check_one_lost(judge, what, text, paths, unit)
    put(first.path, 0, data)


def check_one_lost(judge, name, text, paths, unit):
    """Just the one page is missing, and the others are right."""
    out = os.path.join(judge.folder, "copy")
    run = judge.tool.filter("-f", "--progress", "none", "-d", 0, *files(paths), out)
    problems = [] if run.status == harness.DAMAGED else [f"status {run.status}, wanted 4"]
    if not problems:
        dump, pfn = kdumpread.Dump(out), unit * text.set.block // text.page_size
        problems = invented(text, out)
        lost = [p for p in text.pages_in("present") if p not in dump.places() or dump.page(p) is None]
        if lost != [pfn]:
            problems.append(f"lost pages {lost}, wanted {[pfn]}")
    judge.complain(name, run, problems)


def check_descriptors(tap, tool, folder):
    report(tap, "descriptors that lie",
           judged(tool, folder, ("v6-i386", "v3-64", "v6-ppc"), lie), (harness.DAMAGED,))


def all_alike(judge, path, name):
    """All descriptors lead to the same place, which is what a shared page is; or each to the next."""
    text, paths, data = described(name, path)
    first = text.files[0]
    table = data[first.table:first.table + first.descriptors * DESC]
    put(first.path, first.table, table[:DESC] * first.descriptors)
    judge.core(f"{name}: one descriptor for all", paths)
    put(first.path, first.table, table[DESC:] + table[:DESC])
    judge.core(f"{name}: each has its neighbour's descriptor", paths)
    ring = b"".join(struct.pack(text.abi.order + "qIIQ", first.table + (i + 1) * DESC, DESC, 1, 0)
                    for i in range(first.descriptors))
    put(first.path, first.table, ring)
    judge.core(f"{name}: descriptors lead to each other", paths)


def check_alike(tap, tool, folder):
    report(tap, "descriptors of each other",
           judged(tool, folder, ("v6-i386", "v3-64", "shared"), all_alike))


# ---- bombs ----

def bombs():
    """(name, stored bytes, codec) of pages that claim or give more than a page."""
    size = struct.pack("<Q", 1 << 40)
    yield "zlib, 16 MiB of zeros", zlib.compress(bytes(4 << 20))[:4096], 1
    yield "zlib, twice a page", zlib.compress(bytes(8192)), 1
    yield "zlib, half a page", zlib.compress(bytes(2048)), 1
    yield "zlib, garbage behind it", zlib.compress(bytes(100)) + bytes(100), 1
    yield "snappy, says 1 TiB", b"\xff\xff\xff\xff\x0f" + bytes(64), 4
    yield "zstd, says 1 TiB", b"\x28\xb5\x2f\xfd\xe0" + size + b"\x01\x00\x00", 0x20
    yield "lzo, a long match", b"\x00" * 3000 + b"\x20" * 1000, 2
    for codec, number in (("zstd", 0x20), ("snappy", 4), ("lzo", 2)):
        yield f"{codec}, twice a page", kdumpgen.ENCODERS[codec](bytes(8192)), number
        yield f"{codec}, half a page", kdumpgen.ENCODERS[codec](bytes(2048)), number


def drop_bombs(judge, path, name):
    text, paths, data = described(name, path)
    first, number = text.files[0], 2
    for what, stored, codec in bombs():
        with open(first.path, "wb") as f:
            f.write(data + stored)
        put(first.path, first.table + number * DESC,
            struct.pack(text.abi.order + "qIIQ", len(data), len(stored), codec, 0))
        judge.core(f"{name}: {what}", paths)
        check_one_lost(judge, f"{name}: {what}", text, paths, sorted(text.units)[number])


def check_bombs(tap, tool, folder):
    report(tap, "pages that expand to something else than a page",
           judged(tool, folder, ("v6-i386", "v6-64"), drop_bombs), (harness.DAMAGED,))


# ---- claims ----

def claim(judge, path, item):
    """A sparse file as long as what it claims, with a bitmap that has no end."""
    name, blocks, mapnr = item
    text, paths, _ = described(name, path)
    first = text.files[0]
    order = "little" if text.set.order == "<" else "big"
    for field, value in (("bitmap_blocks", blocks), ("max_mapnr", min(mapnr, 0xffffffff)),
                         ("max_mapnr_64", mapnr)):
        if field in first.fields:
            offset, width = first.fields[field]
            put(first.path, offset, value.to_bytes(width, order))
    try:
        os.truncate(first.path, first.table + blocks * text.set.block)
    except OSError:
        return  # the file system has no such files
    what = f"{name} claims {blocks:#x} blocks, {mapnr:#x} pages"
    judge.look(what, paths, "inspect", "--json", "--quick")
    judge.rehearse(what, paths)


def check_claims(tap, tool, folder):
    items = [(name, blocks, mapnr) for name in ("v6-i386", "v6-64", "v3-64")
             for blocks, mapnr in ((1 << 20, 1 << 34), (1 << 28, 1 << 40), (0xfffffffe, 1 << 46),
                                   (0xfffffffe, 1 << 63), (1 << 24, 5))]
    report(tap, "bitmaps of terabytes", judged(tool, folder, items, claim))


CHECKS = {"cut": check_cut, "fields": check_fields, "random": check_random,
          "descriptors": check_descriptors, "alike": check_alike, "bombs": check_bombs,
          "claims": check_claims}


FULL = ("descriptors", "bombs")     # of the pages some are, or claim to be, of snappy
SNAPPY = ("v6-64", "qemu-arm64")    # so are some of these dumps


def test(tap, tool, folder):
    small = harness.SmallTool()
    tools = {False: small, True: tool}
    for name in harness.selected(CHECKS):
        try:
            CHECKS[name](tap, lambda item, full=name in FULL:
                         tools[full or any(part in SNAPPY for part in (item, *item))], folder)
        except kdumpread.Unsupported as why:
            tap.skip(name, why)


harness.main(test)
