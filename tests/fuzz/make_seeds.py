#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Write the seeds of the fuzz targets into DIR/TARGET/NAME. Everything is described here as text; but the
beginnings of real dumps are added when DUMPTOOL_CORPUS names a folder of them."""
import bz2
import gzip
import lzma
import os
import struct
import sys
import tarfile
import tempfile
import zlib

sys.dont_write_bytecode = True
TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(TESTS, "lib"))
import btfgen
import bundlegen
import foreigngen
import kernel_seeds
import kdumpgen
import tables
import usercoregen

DATA = os.path.join(TESTS, "data")
PAGE = 4096
KERNEL_MAP = 0xffffffff80000000

# ---- VMCOREINFO ----

VMCOREINFO = """OSRELEASE={release}
BUILD-ID=bb603a9147d3efe4744bf83c83eee397c591cc20
PAGESIZE=4096
SYMBOL(init_uts_ns)=ffffffff80004000
OFFSET(uts_namespace.name)=4
SYMBOL(swapper_pg_dir)=ffffffff80001000
SYMBOL(_stext)=ffffffff80000000
SYMBOL(mem_section)=ffffffff80005000
LENGTH(mem_section)=2048
SIZE(mem_section)=16
OFFSET(mem_section.section_mem_map)=0
NUMBER(SECTION_SIZE_BITS)=27
NUMBER(MAX_PHYSMEM_BITS)=46
SIZE(page)=64
SIZE(pglist_data)=174208
SIZE(zone)=1536
SIZE(list_head)=16
OFFSET(page.flags)=0
OFFSET(page._refcount)=52
OFFSET(page.mapping)=24
OFFSET(page.lru)=8
OFFSET(page._mapcount)=48
OFFSET(page.private)=40
OFFSET(pglist_data.node_zones)=0
OFFSET(pglist_data.nr_zones)=171552
OFFSET(zone.vm_stat)=1344
OFFSET(list_head.prev)=8
LENGTH(zone.free_area)=11
NUMBER(NR_FREE_PAGES)=0
NUMBER(PG_lru)=4
NUMBER(PG_private)=13
NUMBER(PG_swapcache)=10
NUMBER(PG_swapbacked)=19
NUMBER(PG_head_mask)=65536
NUMBER(PG_hwpoison)=22
NUMBER(phys_base)=0
SYMBOL(init_top_pgt)=ffffffff80001000
NUMBER(pgtable_l5_enabled)=0
SYMBOL(node_data)=ffffffff80005800
LENGTH(node_data)=1024
KERNELOFFSET=24c00000
NUMBER(KERNEL_IMAGE_SIZE)=1073741824
NUMBER(sme_mask)=0
"""

# What each era of the kernel says about page types and compound pages.
ERAS = {
    "3.10": """NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-128
NUMBER(PG_slab)=7
SYMBOL(free_huge_page)=ffffffff80000100
SYMBOL(log_buf)=ffffffff80006000
SYMBOL(log_buf_len)=ffffffff80006010
SYMBOL(log_end)=ffffffff80006020
""",
    "4.9": """NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-128
NUMBER(PG_slab)=7
OFFSET(page.compound_head)=32
OFFSET(page.compound_dtor)=40
OFFSET(page.compound_order)=42
NUMBER(HUGETLB_PAGE_DTOR)=2
SYMBOL(log_first_idx)=ffffffff80006000
""",
    "6.1": """NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129
NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-257
NUMBER(PG_slab)=9
OFFSET(page.compound_head)=8
OFFSET(page.compound_dtor)=16
OFFSET(page.compound_order)=17
NUMBER(HUGETLB_PAGE_DTOR)=2
SYMBOL(prb)=ffffffff80006000
CRASHTIME=1700000000
""",
    "6.3": """NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129
NUMBER(PG_slab)=9
OFFSET(page.compound_head)=8
OFFSET(folio._folio_dtor)=80
OFFSET(folio._folio_order)=81
NUMBER(HUGETLB_PAGE_DTOR)=2
""",
    "6.6": """NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129
NUMBER(PG_slab)=9
OFFSET(page.compound_head)=8
NUMBER(PG_hugetlb)=8
""",
    "6.11": """NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-1073741825
NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-536870913
NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)=-67108865
NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)=-33554433
OFFSET(page.compound_head)=8
""",
    "7.1": """NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-268435456
NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-251658240
NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)=-201326592
NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)=-184549376
NUMBER(PAGE_UNACCEPTED_MAPCOUNT_VALUE)=-150994944
OFFSET(page.compound_info)=8
""",
}


def vmcoreinfo(era="6.1", extra=""):
    return (extra + VMCOREINFO.format(release=era + ".0") + ERAS[era]).encode()


VMCOREINFO_SEEDS = {era: vmcoreinfo(era) for era in ERAS}
VMCOREINFO_SEEDS.update({
    "no-newline": b"PAGESIZE=65536",
    "zeros": vmcoreinfo().replace(b"\n", b"\0"),
    "hex": vmcoreinfo(extra="SIZE(page)=0x40\nNUMBER(phys_base)=-0x1000000\nPAGESIZE=0x4000\n"),
    "overflow": vmcoreinfo(extra="NUMBER(phys_base)=18446744073709551616\nSIZE(page)=\n"),
    "extremes": vmcoreinfo(extra="SIZE(page)=1024\nOFFSET(page.flags)=1016\nNUMBER(PG_lru)=63\n"
                                 "LENGTH(zone.free_area)=32\nOFFSET(page._mapcount)=1020\n"),
    "dtor-at-end": vmcoreinfo("4.9", "NUMBER(PG_head_mask)=-1\nOFFSET(page.compound_dtor)=61\n"
                                     "OFFSET(page.compound_order)=63\nOFFSET(page.compound_head)=0\n"),
    "text-only": b"OSRELEASE=" + b"x" * 100 + b"\nBUILD-ID=\nCRASHTIME=-1\n",
})

# ---- notes ----


def note(owner, kind, desc, order="<"):
    owner = owner.encode() + b"\0"
    return (struct.pack(order + "III", len(owner), len(desc), kind) + owner + bytes(-len(owner) % 4) +
            desc + bytes(-len(desc) % 4))


PRSTATUS = bytes(32) + struct.pack("<I", 1234) + bytes(76) + struct.pack("<27Q", *range(27)) + bytes(8)

NOTE_SEEDS = {
    "prstatus": note("CORE", 1, PRSTATUS),
    "two-cpus": note("CORE", 1, PRSTATUS) + note("CORE", 1, PRSTATUS) + note("VMCOREINFO", 0, b"PAGESIZE=4096\n"),
    "qemu": note("CORE", 1, PRSTATUS) + note("QEMU", 0, bytes(440)),
    "big-endian": note("CORE", 1, PRSTATUS, ">") + note("LINUX", 0x100, b"abc", ">"),
    "padded": note("A", 7, b"xyz") + bytes(64),
    "cut": note("CORE", 1, PRSTATUS)[:100],
    "huge": struct.pack("<III", 4, 0xffffffff, 1) + b"CORE",
    "empty-owner": struct.pack("<III", 0, 4, 9) + b"desc",
}

# ---- ELF ----


def elf(segments, bits=64, order="<", machine=62, phoff=None, phnum=None, shoff=0, sections=b"", kind=4,
        flags=0, tail=b""):
    """SEGMENTS: (type, paddr, memsz, bytes) or (type, paddr, memsz, bytes, offset, filesz, vaddr)."""
    ehsize, phsize = (64, 56) if bits == 64 else (52, 32)
    phoff = ehsize if phoff is None else phoff
    at = max(ehsize, phoff + phsize * len(segments) if phoff < 1 << 20 else ehsize) + len(sections)
    headers, body = b"", b""
    for s in segments:
        what, paddr, memsz, content = s[:4]
        offset = s[4] if len(s) > 4 and s[4] is not None else at + len(body)
        filesz = s[5] if len(s) > 5 and s[5] is not None else len(content)
        vaddr = s[6] if len(s) > 6 else 0
        if len(s) <= 4 or s[4] is None:
            body += content
        if bits == 64:
            headers += struct.pack(order + "IIQQQQQQ", what, 5, offset, vaddr, paddr, filesz, memsz, 0)
        else:
            headers += struct.pack(order + "IIIIIIII", what, offset, vaddr, paddr, filesz, memsz, 5, 0)
    ident = b"\x7fELF" + bytes([2 if bits == 64 else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    words = "Q" if bits == 64 else "I"
    header = ident + struct.pack(order + "HHI" + 3 * words + "IHHHHHH", kind, machine, 1, 0, phoff, shoff, flags,
                                 ehsize, phsize, len(segments) if phnum is None else phnum, 64, 1, 0)
    out = bytearray(header)
    out += bytes(max(0, phoff - len(out)))
    out[phoff:phoff + len(headers)] = headers
    return bytes(out) + sections + body + tail


LOAD, NOTE = 1, 4


def kernel_memory():
    """Eight pages at physical 0: tables that map the kernel's 2 MiB there, and struct uts_namespace."""
    mem = bytearray(8 * PAGE)

    def put(at, form, *values):
        struct.pack_into("<" + form, mem, at, *values)
    put(PAGE + 511 * 8, "Q", 2 * PAGE | 0x63)
    put(2 * PAGE + 510 * 8, "Q", 3 * PAGE | 0x63)
    put(3 * PAGE, "Q", 0xe3)
    names = [b"Linux", b"crashed", b"6.1.0", b"#1 SMP", b"x86_64", b"(none)"]
    mem[4 * PAGE + 4:4 * PAGE + 4 + 6 * 65] = b"".join(n.ljust(65, b"\0") for n in names)
    return bytes(mem)


NOTES = note("CORE", 1, PRSTATUS) + note("VMCOREINFO", 0, vmcoreinfo())
TWO = (NOTE, 0, 0, note("CORE", 1, PRSTATUS)), (LOAD, PAGE, 2 * PAGE, bytes(range(256)) * 32)
XNUM = struct.pack("<IIQQQQIIQQ", 0, 0, 0, 0, 0, 0, 0, 2, 0, 0)

ELF_SEEDS = {
    "kernel": elf([(NOTE, 0, 0, NOTES), (LOAD, 0, 8 * PAGE, kernel_memory(), None, None, KERNEL_MAP)]),
    "64k-pages": elf([(NOTE, 0, 0, note("VMCOREINFO", 0, b"PAGESIZE=65536\n")), (LOAD, 0x8000, 0x28000, bytes(PAGE))]),
    "elf32": elf(TWO, bits=32, machine=3),
    "elf32-be": elf([(NOTE, 0, 0, note("CORE", 1, bytes(200), ">")), (LOAD, 0, PAGE, b"ppc " * 1024)],
                    bits=32, order=">", machine=20),
    "elf64-be": elf([(LOAD, 0, 2 * PAGE, b"s390" * 2048)], order=">", machine=22),
    "ppc64-other-order": elf([(NOTE, 0, 0, note("CORE", 1, bytes(400))), (LOAD, 0, PAGE, bytes(PAGE))],
                             order=">", machine=21),
    "phdrs-last": elf(TWO, phoff=3 * PAGE),
    "pn-xnum": elf(TWO, phnum=0xffff, shoff=64 + 2 * 56, sections=XNUM),
    "fractional": elf([(LOAD, 0x10, 0x1ff0, b"a" * 0x1800), (LOAD, 0x3ff8, 0x10, b"b" * 0x10),
                       (LOAD, 0x4ffc, 0x2008, b"c" * 0x1001)], tail=b"x"),
    "overlap": elf([(LOAD, 0x1000, 0x3000, b"a" * 0x3000), (LOAD, 0x2000, 0x3000, b"b" * 0x3000),
                    (LOAD, 0x2800, 0x100, b"c" * 0x100), (LOAD, 0x1000, 0x3000, b"", 0x300, 0x1000)]),
    "excluded": elf([(LOAD, 0, 16 * PAGE, b"d" * PAGE), (LOAD, 32 * PAGE, PAGE, b""),
                     (LOAD, 0x1000000000000 - PAGE, PAGE, b"e" * 100)]),
    "no-paddr": elf([(LOAD, (1 << 64) - 1, PAGE, bytes(PAGE)), (LOAD, 0, PAGE, bytes(PAGE))]),
    "lies": elf([(LOAD, 0, 100, b"f" * 200), (LOAD, 1 << 57, PAGE, b""), (NOTE, 0, 0, b"", 64, 1 << 40),
                 (LOAD, 0, 0, b"", 0, 1 << 62)]),
    "cut": elf([(NOTE, 0, 0, NOTES), (LOAD, 0, 8 * PAGE, kernel_memory())])[:9000],
    "cut-header": elf(TWO)[:40],
    "cut-phdrs": elf(TWO)[:150],
    "not-core": elf(TWO, kind=2),
    "incomplete": elf(TWO, flags=1),
    "kdump": b"KDUMP   " + struct.pack("<I", 6) + bytes(500),
    "flattened": b"makedumpfile".ljust(16, b"\0") + struct.pack(">QQ", 1, 1) + bytes(100),
}

# ---- LiME: how many times a page of 4 KiB is doubled, and 0x80 for x86-64; then the image ----


def lime(*ranges, how=0):
    """RANGES: (first, bytes), and what its header has instead: (first, bytes, last, magic, version)."""
    out = bytes([how])
    for first, content, *other in ranges:
        last, magic, version = other + [first + len(content) - 1, 0x4c694d45, 1][len(other):]
        out += struct.pack("<IIQQQ", magic, version, first, last, 0) + content
    return out


LIME_TWO = (PAGE, bytes(range(256)) * 32), (0x100000, bytes(PAGE))
LIME_SEEDS = {
    "plain": lime(*LIME_TWO),
    "kernel": lime((0, kernel_memory()), how=0x80),
    "64k-pages": lime((0x8000, bytes(PAGE)), (0x28000, b"x" * 0x9000), how=4),
    "fractional": lime((0x10, b"a" * 0x1800), (0x3ff8, b"b" * 0x10), (0x1810, b"c"), (0xffc, b"d" * 9)),
    "backwards": lime(*LIME_TWO[::-1], (0, b"x")),
    "overlap": lime((0x1000, b"a" * 0x3000), (0x2000, b"b" * 0x3000), (0x2800, b"c" * 0x100),
                    (0x1000, b"d" * 0x3000)),
    "tiny": lime(*((i * 3, b"x") for i in range(1000))),
    "far": lime(((1 << 56) - PAGE, bytes(PAGE)), (1 << 56, b"x")),
    "lies": lime((0, b"e" * PAGE), (PAGE, b"f", 1 << 55)),
    "end-below": lime((PAGE, bytes(PAGE)), (2 * PAGE, bytes(PAGE), 0)),
    "all-bits": lime((0, bytes(PAGE)), (0, b"g", (1 << 64) - 1)),
    "magic": lime(LIME_TWO[0], (0x100000, bytes(PAGE), 0x100fff, 0)),
    "version": lime(LIME_TWO[0], (0x100000, bytes(PAGE), 0x100fff, 0x4c694d45, 2)),
    "version-first": lime((PAGE, bytes(PAGE), 2 * PAGE - 1, 0x4c694d45, 0)),
    "cut": lime(*LIME_TWO)[:-0x700],
    "cut-header": lime(*LIME_TWO)[:-PAGE - 1],
    "no-memory": lime(*LIME_TWO)[:33],
    "no-header": lime(*LIME_TWO)[:9],
}

# ---- classification: level, era, flags, PFN to explain, edits (see fuzz_classify.c) ----

BYTES, STRUCT, FACT, LINE, ENTRY, LOADS, SP = range(7)


def line(text):
    return bytes([LINE, len(text)]) + text.encode()


def struct_edit(pfn, off, data):
    return struct.pack("<BHBB", STRUCT, pfn, off, len(data)) + data


def entry(table, index, frame, flags=0x63):
    return struct.pack("<BBHIH", ENTRY, table - 1, index, frame, flags)


def start(level=31, era=1, flags=5, explain=64):
    return struct.pack("<BBBH", level, era, flags, explain)


FLATMEM = (start() + line("SYMBOL(mem_section)=") + line("SYMBOL(mem_map)=ffffffff80010000") +
           struct.pack("<BIB", BYTES, 0x10000, 8) + struct.pack("<Q", 0xffffea0000000000))
CLASSIFY_SEEDS = {"era-%d" % era: start(era=era, flags=5 | era % 2 << 1) for era in range(6)}
CLASSIFY_SEEDS.update({"level-%d" % level: start(level, 5) for level in (0, 1, 2, 4, 8, 16)})
CLASSIFY_SEEDS.update({
    "flatmem": FLATMEM,
    "flatmem-far": FLATMEM + struct.pack("<BHBHBB", LOADS, 0xffff, 23, 16, 0, 16),
    "self-map": start() + entry(1, 256, 1) + entry(1, 300, 1),
    "self-map-image": start() + entry(2, 510, 2) + entry(3, 511, 3),
    "gigantic": start() + entry(2, 511, 0, 0xe3) + line("LENGTH(zone.free_area)=32"),
    "buddy-lies": start(16) + struct_edit(65, 40, b"\x0a") + struct_edit(65, 48, b"\x7f\xff\xff\xff"),
    "no-counters": start() + line("SYMBOL(node_data)=ffffffffc0000000"),
    "few-free": start(16) + struct.pack("<BIB", BYTES, 0x10480, 8) + bytes(8),
    "static-sections": start() + line("LENGTH(mem_section)=5"),
    "small-sections": start() + line("NUMBER(SECTION_SIZE_BITS)=13"),
    "large-sections": start() + line("NUMBER(SECTION_SIZE_BITS)=36"),
    "vast-log": start() + struct.pack("<BIBI", BYTES, 0x10900, 4, 26) +
    struct.pack("<BIBI", BYTES, 0x10930, 4, 31),
    "large-struct": start() + line("SIZE(page)=1024"),
    "order-at-end": start() + line("OFFSET(page.compound_order)=63") + line("OFFSET(page.compound_dtor)=61"),
    "high-load": start() + struct.pack("<BHBHBB", LOADS, 0xffff, 28, 16, 0, 16),
    "vast-load": start() + struct.pack("<BHBHBB", LOADS, 1, 47, 0xffff, 0, 1),
    "stack": start() + struct.pack("<BQ", SP, 0xffffea0000000000),
    "64k": start() + line("PAGESIZE=65536"),
})

# ---- the kernel log: VMCOREINFO, NUL, memory from 0 on, mapped to virtual 0 ----


def facts(kind, **values):
    return "".join("%s(%s)=%s\n" % (kind, k.replace("__", "."), v) for k, v in values.items())


RING = (facts("SYMBOL", prb="1000", clear_seq="1008") +
        facts("SIZE", printk_ringbuffer=88, prb_desc=24, printk_info=88, list_head=16) +
        facts("OFFSET", printk_ringbuffer__desc_ring=0, printk_ringbuffer__text_data_ring=48,
              prb_desc_ring__count_bits=0, prb_desc_ring__descs=8, prb_desc_ring__infos=16,
              prb_desc_ring__head_id=24, prb_desc_ring__tail_id=32, prb_desc__state_var=0,
              prb_desc__text_blk_lpos=8, prb_data_blk_lpos__begin=0, prb_data_blk_lpos__next=8,
              printk_info__seq=0, printk_info__ts_nsec=8, printk_info__text_len=16, printk_info__caller_id=20,
              prb_data_ring__size_bits=0, prb_data_ring__data=8))
RECORDS = (facts("SYMBOL", log_buf="1000", log_buf_len="1008", log_first_idx="1010", log_next_idx="1018") +
           facts("SIZE", printk_log=16, list_head=16) +
           facts("OFFSET", printk_log__ts_nsec=0, printk_log__len=8, printk_log__text_len=10))
TEXT = facts("SYMBOL", log_buf="1000", log_buf_len="1008", log_end="1010") + facts("SIZE", list_head=16)


def ring_memory(texts):
    mem = bytearray(4 * PAGE)
    struct.pack_into("<QQ", mem, PAGE, 0x1100, 0)
    struct.pack_into("<IxxxxQQQQ", mem, 0x1100, 3, 0x1200, 0x1400, len(texts) - 1, 0)
    struct.pack_into("<IxxxxQ", mem, 0x1100 + 48, 9, 0x2000)
    lpos = 0
    for i, text in enumerate(texts):
        size = 8 + (len(text) + 7) // 8 * 8
        struct.pack_into("<QQQ", mem, 0x1200 + 24 * i, 2 << 62 | i, lpos, lpos + size)
        struct.pack_into("<QQHBBI", mem, 0x1400 + 88 * i, i, i * 10 ** 9, len(text), 0, 0, 1)
        struct.pack_into("<Q", mem, 0x2000 + lpos, i)
        mem[0x2008 + lpos:0x2008 + lpos + len(text)] = text
        lpos += size
    return bytes(mem)


def records_memory(texts):
    mem, at = bytearray(3 * PAGE), 0x1100
    for i, text in enumerate(texts):
        size = (16 + len(text) + 7) // 8 * 8
        struct.pack_into("<QHHHBB", mem, at, i * 10 ** 9, size, len(text), 0, 0, 6)
        mem[at + 16:at + 16 + len(text)] = text
        at += size
    struct.pack_into("<QQQQ", mem, PAGE, 0x1100, 4096, 0, at - 0x1100)
    return bytes(mem)


def text_memory(text):
    mem = bytearray(2 * PAGE)
    struct.pack_into("<QQQ", mem, PAGE, 0x1100, 1024, len(text))
    mem[0x1100:0x1100 + len(text)] = text
    return bytes(mem)


TEXTS = [b"Linux version 6.1.0", b"two\nlines", b"", b"odd \x01\xff", b"Kernel panic"]
PRINTK_SEEDS = {
    "ring": RING.encode() + b"\0" + ring_memory(TEXTS),
    "records": RECORDS.encode() + b"\0" + records_memory(TEXTS),
    "text": TEXT.encode() + b"\0" + text_memory(b"<6>Linux version 2.6.32\n<4>more\n"),
}

# ---- records of flattened streams ----

def records(*pieces, end=True):
    """(offset, size) with bytes that tell which record they are of."""
    data = b"".join(struct.pack(">qq", off, size) + bytes([i + 1]) * max(size, 0)
                    for i, (off, size) in enumerate(pieces))
    return data + (struct.pack(">qq", -1, -1) if end else b"")


FLAT_SEEDS = {
    "in-order": records((0, 100), (100, 200), (300, 50)),
    "reversed": records((300, 50), (100, 200), (0, 100)),
    "gaps": records((4000, 30), (100, 10)),
    "overlap": records((0, 300), (100, 100), (50, 100), (150, 200), (90, 5), (0, 1)),
    "same-place": records((64, 64), (64, 64), (64, 32), (80, 64)),
    "inside": records((0, 200), (10, 150), (20, 100), (30, 50), (40, 10)),
    "many": records(*[(i * 37 % 1000, i % 9) for i in range(200)]),
    "empty-record": records((5, 0), (0, 10), (500, 0)),
    "no-end": records((0, 100), end=False),
    "cut-head": records((0, 100))[:-3],
    "cut-data": records((0, 100), (50, 100), end=False)[:-20],
    "negative": records((0, 100), end=False) + struct.pack(">qq", -5, 10) + bytes(10),
    "negative-size": records((0, 100), end=False) + struct.pack(">qq", 5, -10) + bytes(10),
    "beyond": records((0, 100), end=False) + struct.pack(">qq", 1 << 62, 1 << 62) + bytes(40),
    "far": records((1 << 62, 100), (0, 10), ((1 << 63) - 101, 100)),
    "garbage-behind": records((0, 100)) + records((0, 100)),
    "nothing": records(),
}

# ---- kdump dumps: those of tests/data, and some that lie ----

# Blocks as small as they may be, so that a fuzzer gets through many inputs.
KDUMP_TINY = """kdump version=6 abi=%s order=%s level=1 machine=%s block=1024
page 1024
note CORE 1 random 148
note VMCOREINFO 0 text OSRELEASE=6.1.0-test PAGESIZE=%d
exist 0x0-0x2f
keep 0x4-0x1f zlib lzo raw zstd
unwritten 0x20-0x21
pattern 0x8-0xb zero
pattern 0x10-0x1f zero
erase "secret size 4"
"""


def kdump_description(name, folder):
    if name in KDUMP_TINIES:
        path = os.path.join(folder, "text")
        with open(path, "w") as f:
            f.write(KDUMP_TINY % KDUMP_TINIES[name] + ("split 0x9" if "set" in name else ""))
    else:
        path = os.path.join(DATA, f"kdump-{name}.txt")
    return kdumpgen.Description(path)


KDUMP_TINIES = {"tiny-64": ("64", "little", "x86_64", 4096), "tiny-32": ("32", "little", "i686", 1024),
                "tiny-32a": ("32a", "big", "ppc", 4096), "tiny-arm": ("32a", "little", "armv7l", 1024),
                "tiny-set": ("64", "big", "s390x", 1024)}


def kdump_files(name, spoil=None):
    """The files of a description, as they are to be opened; SPOIL(bytearray, what was written)."""
    with tempfile.TemporaryDirectory() as folder:
        text, files = kdump_description(name, folder), []
        for path in text.build(os.path.join(folder, "dump")):
            with open(path, "rb") as f:
                data = bytearray(f.read())
            if spoil:
                spoil(data, text.files[0])
            files.append(bytes(data))
    return files


def kdump(name, how=0, spoil=None):
    files = kdump_files(name, spoil)
    if len(files) == 1:
        return bytes([how]) + files[0]
    return bytes([how | 8]) + struct.pack("<I", len(files[0])) + files[0] + files[1]


def kdump_field(name, value):
    def spoil(data, layout):
        at, width = layout.fields[name]
        data[at:at + width] = value.to_bytes(width, "little")
    return spoil


def kdump_descriptor(number, *values):
    def spoil(data, layout):
        struct.pack_into("<qIIQ", data, layout.table + 24 * number, *values, 0)
    return spoil


def kdump_seeds():
    described = ("v1-64", "v3-64", "v5-erase", "v4-i386", "v6-i386", "v6-ppc", "v6-arm", "qemu-arm",
                 "split-v5", "v2-split")
    seeds = {name: kdump(name) for name in described + tuple(KDUMP_TINIES)}
    lies = {
        "bitmaps-huge": kdump_field("bitmap_blocks", 0xffffffff),
        "mapnr-huge": kdump_field("max_mapnr_64", 1 << 63),
        "mapnr-none": kdump_field("max_mapnr", 0),
        "incomplete": kdump_field("status", 8),
        "notes-far": kdump_field("offset_note", 1 << 62),
        "erase-huge": kdump_field("size_eraseinfo", 0xffffffff),
        "desc-header": kdump_descriptor(1, 64, 1024, 0),
        "desc-far": kdump_descriptor(1, -4096, 1024, 0),
        "desc-size": kdump_descriptor(2, 8192, 0xffffffff, 1),
        "desc-codecs": kdump_descriptor(3, 8192, 1024, 0x3f),
    }
    seeds.update({name: kdump("tiny-64", 0, lie) for name, lie in lies.items()})
    seeds.update({f"pages-{how}": kdump("tiny-64", how) for how in (1, 2, 3)})
    seeds.update({f"arm-{how}": kdump("tiny-arm", how) for how in (4, 6, 7)})
    return {name: data for name, data in seeds.items() if len(data) < 50000}


# ---- lzop: method, flags, blocks ----

def lzop(*blocks, method=1, flags=1, end=bytes(4)):
    """Blocks are bytes, stored; or (bytes, what is stored of them)."""
    out = struct.pack(">BI", method, flags)
    for block in blocks:
        data, stored = block if isinstance(block, tuple) else (block, block)
        sums = struct.pack(">I", zlib.adler32(data)) if flags & 1 else b""
        if flags & 0x100:
            sums += struct.pack(">I", zlib.crc32(data))
        if flags & 2 and len(stored) < len(data):
            sums += struct.pack(">I", zlib.adler32(stored))
        out += struct.pack(">II", len(data), len(stored)) + sums + stored
    return out + end


# 200 times "a", as lzo1x writes it: "a" * 4, a match of distance 1, the end.
RUN = (b"a" * 200, bytes.fromhex("1561616161") + bytes.fromhex("20a3") + bytes.fromhex("0000110000"))
LZOP_SEEDS = {
    "stored": lzop(b"some bytes", b"and more"),
    "run": lzop(RUN),
    "all-sums": lzop(RUN, b"stored", flags=0x103),
    "no-sums": lzop(RUN, flags=0),
    "crc-header": lzop(b"bytes", flags=0x1001),
    "wrong-sum": lzop(b"bytes").replace(b"bytes", b"bytez"),
    "extra": lzop(flags=0x40, end=struct.pack(">I", 3) + b"abc" + bytes(4 + 4)),
    "filter": lzop(b"bytes", flags=0x801),
    "method": lzop(b"bytes", method=128),
    "no-end": lzop(b"bytes", end=b""),
    "cut": lzop(b"bytes" * 9, end=b"")[:-7],
    "huge-block": lzop(flags=0, end=struct.pack(">II", 1 << 30, 1 << 29)),
    "large-block": lzop(flags=0, end=struct.pack(">II", 64 << 20, 5) + b"12345"),
    "garbage-behind": lzop(b"bytes") + b"garbage",
    "nothing": lzop(),
}

# ---- compressed files: which kind, the file ----

DATA_INSIDE = b"some bytes " * 40 + bytes(3000)


def zstd_frame(*blocks, head=b"\x00\x58"):
    """A frame of blocks as they are; of (byte, count), a run."""
    out = b"\x28\xb5\x2f\xfd" + head
    for i, block in enumerate(blocks):
        last, run = i + 1 == len(blocks), isinstance(block, tuple)
        size = block[1] if run else len(block)
        out += struct.pack("<I", last | run << 1 | size << 3)[:3] + (block[0] if run else block)
    return out


def lz4_frame(*blocks):
    """A frame of stored blocks, without checksums; the last byte of its header is the xxh32 of the others."""
    return (struct.pack("<I", 0x184d2204) + b"\x60\x40\x82" +
            b"".join(struct.pack("<I", 1 << 31 | len(b)) + b for b in blocks) + bytes(4))


def unpack_seeds():
    kinds = {
        0: {"zstd": zstd_frame(b"stored", (b"r", 2000)), "zstd-skip": b"\x50\x2a\x4d\x18" + bytes(4) + zstd_frame(b"x"),
            "zstd-window": zstd_frame(b"x", head=bytes([0, 21 << 3])), "zstd-cut": zstd_frame(b"stored")[:-3]},
        1: {"gzip": gzip.compress(DATA_INSIDE, mtime=0), "gzip-two": gzip.compress(b"a", mtime=0) * 2,
            "gzip-sum": gzip.compress(DATA_INSIDE, mtime=0)[:-8] + bytes(8), "gzip-garbage":
            gzip.compress(DATA_INSIDE, mtime=0) + b"garbage"},
        2: {"bzip2": bz2.compress(DATA_INSIDE, 1), "bzip2-two": bz2.compress(b"a", 1) * 2},
        3: {"xz": lzma.compress(DATA_INSIDE, preset=0), "xz-padded": lzma.compress(b"a", preset=0) + bytes(8)},
        4: {"lz4": lz4_frame(b"stored", b"twice"), "lz4-none": lz4_frame()},
    }
    return {name: bytes([kind]) + data for kind, files in kinds.items() for name, data in files.items()}


# ---- bundles ----

def small_bundle():
    b = bundlegen.Bundle()
    b.members = {k: v[:600] for k, v in b.members.items()}
    b.rows = [b.row(path) for path in b.members]
    return b


def extract_seeds():
    b = small_bundle()
    tar, hard = b.tar(), {"type": tarfile.LNKTYPE, "linkname": bundlegen.TOP + "/core.1"}
    long = "/".join(["part"] * 60)
    return {"tar": tar, "zip": b.zip(), "zip-stored": b.zip(0), "gz": gzip.compress(tar, mtime=0),
            "xz": lzma.compress(tar, preset=0), "bz2": bz2.compress(tar), "zst": zstd_frame(tar[:3000]),
            "cut": tar[:-1400], "long": b.tar(extra=[(bundlegen.info(long, b"x"), b"x")]),
            "hard": b.tar(extra=[(bundlegen.info("h", **hard), b"")]),
            "climbs": b.tar(extra=[(bundlegen.info("../../x", b"x"), b"x")]),
            "link": b.tar(extra=[(bundlegen.info("l", "../../x"), b"")]), "empty": bytes(1024)}


def manifest_seeds():
    b = small_bundle()
    text = b.manifest()
    return {"whole": text, "cut": text[:300], "twice": b.manifest(members=b.rows * 2), "deep": b"[" * 3000,
            "types": b.manifest(members=[{"path": 1}, {"path": "a", "kind": []}]), "dump": b.manifest(dump=7),
            "latin": b.manifest(program="\u00e9\u00ff"), "wide": b.manifest(program="\u4e2d"),
            "climbs": text.replace(b"usr/bin", b"../bin"), "link": text.replace(b"libx.so.1", b"../../../x"),
            "size": text.replace(b'"size": ', b'"size": -'), "long": text.replace(b"usr/bin", b"u" * 5000)}


# ---- raw memory: how many files and large pages, where each is and how long, all of them ----


def raw(*files, how=0):
    """FILES: (address, bytes)."""
    return (bytes([len(files) - 1 | how << 2]) +
            b"".join(struct.pack("<QH", addr, len(data)) for addr, data in files) +
            b"".join(data for _, data in files))


RAW_SEEDS = {
    "one": raw((0, b"a" * PAGE * 2)),
    "cut": raw((PAGE, b"a" * 5000)),
    "odd": raw((0x2345, b"a" * 5000)),
    "two": raw((0x10000, b"a" * PAGE), (PAGE, b"b" * PAGE)),
    "in-a-page": raw((PAGE, b"a" * 500), (PAGE + 500, b"b" * 3596)),
    "overlap": raw((0x4000, b"a" * 0x1800), (0x3000, b"b" * 0x1800), (0x4800, b"c" * 9)),
    "same": raw((0x5010, b"a" * 100), (0x5000, b"b" * PAGE), (0x5000, b"c" * PAGE)),
    "empty": raw((0, b"a" * PAGE), (0x800, b"")),
    "far": raw(((1 << 56) - PAGE, b"a" * PAGE), ((1 << 56) - 5, b"b" * PAGE)),
    "beyond": raw((1 << 56, b"a" * PAGE)),
    "large-pages": raw((0x8000, b"a" * PAGE), (0x18000, b"b" * 0x3000), how=4),
}

# ---- SADUMP: the length of the first disk, and the files ----


def sadump(spoil=(), **how):
    """SPOIL: (offset, bytes) that stand there instead, in the first file."""
    pages = {pfn: bytes([65 + pfn % 26]) * PAGE for pfn in (0, 1, 5)}
    files = [bytearray(f) for f in foreigngen.sadump(pages, excluded=(2, 3), max_pfn=64, **how)]
    for at, data in spoil:
        files[0][at:at + len(data)] = data
    files = [bytes(f).split(b"oldold")[0] for f in files]
    return struct.pack("<I", len(files[0]) if len(files) > 1 else 0) + b"".join(files)


SADUMP_SEEDS = {
    "partition": sadump(),
    "media": sadump(media=True),
    "set": sadump(disks=2),
    "32-bit": sadump(wide=False),
    "no-cpus": sadump([(PAGE + 80, bytes(4))]),
    "many-cpus": sadump([(PAGE + 80, b"\xff" * 4)]),
    "max-pfn": sadump([(PAGE + 88, b"\xff" * 8)]),
    "bitmaps": sadump([(PAGE + 52, b"\xff" * 8)]),
    "sub": sadump([(PAGE + 48, b"\xff" * 4)]),
    "all-bits": sadump([(PAGE * 3, b"\xff" * PAGE * 2)]),
    "every-other": sadump([(PAGE * 3, b"\x55" * PAGE + b"\xaa" * PAGE)]),
    "cut": sadump()[:-PAGE - 7],
    "cut-bitmaps": sadump()[:4 * PAGE + 100],
    "set-of-many": sadump([(PAGE + 4, b"\xff" * 4)], disks=2),
}

# ---- real dumps ----

REAL_SIZE = 64 << 10
REAL = {b"\x7fELF": ("elf", 0, b""), b"KDUMP   ": ("kdump", 0, b"\0"), b"DISKDUMP": ("kdump", 0, b"\0"),
        b"makedumpfile\0": ("flat", 4096, b""), b"EMiL": ("lime", 0, b"\0"),
        b"sadump\0\0": ("sadump", 0, bytes(4))}


def real_seeds(root):
    """(target, name, bytes) of the dumps below ROOT: their beginnings."""
    for folder, _, names in sorted(os.walk(root)):
        for name in sorted(names):
            path = os.path.join(folder, name)
            if os.path.islink(path) or os.path.getsize(path) < 1 << 20:
                continue
            with open(path, "rb") as f:
                data = f.read(REAL_SIZE)
            for magic, (target, skip, before) in REAL.items():
                if data.startswith(magic):
                    yield target, "real-" + os.path.relpath(path, root).replace("/", "-"), \
                        before + data[skip:]


# ---- page tables ----

def described_tables(folder):
    """The cores of tests/data/vtop-*.txt."""
    for name in sorted(os.listdir(DATA)):
        if name.startswith("vtop-"):
            core = os.path.join(folder, "core")
            tables.Tables(os.path.join(DATA, name)).build(core)
            with open(core, "rb") as f:
                yield name[:-4], f.read()


def elf_seeds():
    with tempfile.TemporaryDirectory() as folder:
        return ELF_SEEDS | {k: v for k, v in described_tables(folder) if len(v) <= 1 << 20}


def xlat_seeds():
    """For each layout tables that point at themselves, and those that are described."""
    seeds = {}
    for i in range(MAX_LAYOUTS):
        for name, value in (("x86", 0x1067), ("big", 0x8000000000000e01), ("own", 0x7f)):
            page = b"".join((value + 4096 * (n % 8)).to_bytes(8, "little") for n in range(512))
            seeds[f"{i}-{name}"] = struct.pack("<HHQ", i, 1, 0xffff888000000000) + page * 3
    return seeds


def btf_seeds():
    """Types of every shape, in both orders; a structure in itself, a chain of typedefs, split ones."""
    seeds = {}
    for how, order in enumerate("<>"):
        t = btfgen.Types(order)
        part = t.compound("", 8, [("a", 0, t.number["int"]), ("b", 4, t.array(t.number["char"], 4))])
        t.compound("whole", 16, [("", 0, part), ("next", 8, t.pointer)])
        t.compound("nested", 8, [("", 0, t.nr + 1)] * 3)
        t.enum("colour", [("red", -1), ("green", 7)])
        t.add("loop", 8, t.nr + 1)
        seeds[f"types-{how}"] = bytes([how]) + t.blob()
        seeds[f"split-{how}"] = bytes([how | 4]) + t.blob()
        seeds[f"cut-{how}"] = bytes([how]) + t.blob()[:100]
    return seeds


MAX_LAYOUTS = 64

SEEDS = {"btf": btf_seeds, "kallsyms": kernel_seeds.kallsyms_seeds, "modules": kernel_seeds.module_seeds,
         "tasks": kernel_seeds.task_seeds, "extract": extract_seeds, "manifest": manifest_seeds,
         "usercore": usercoregen.hostile,
         "elf": elf_seeds, "xlat": xlat_seeds, "flat": FLAT_SEEDS, "kdump": kdump_seeds, "lime": LIME_SEEDS, "lzop": LZOP_SEEDS, "note": NOTE_SEEDS,
         "raw": RAW_SEEDS, "sadump": SADUMP_SEEDS, "unpack": unpack_seeds,
         "vmcoreinfo": VMCOREINFO_SEEDS, "classify": CLASSIFY_SEEDS, "printk": PRINTK_SEEDS}


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: make_seeds.py DIR [TARGET...]")
    for target in sys.argv[2:] or SEEDS:
        where = os.path.join(sys.argv[1], target)
        os.makedirs(where, exist_ok=True)
        seeds = SEEDS[target]
        for name, data in (seeds() if callable(seeds) else seeds).items():
            with open(os.path.join(where, name), "wb") as f:
                f.write(data)
    for target, name, data in real_seeds(os.environ.get("DUMPTOOL_CORPUS") or os.devnull):
        if os.path.isdir(os.path.join(sys.argv[1], target)):
            with open(os.path.join(sys.argv[1], target, name), "wb") as f:
                f.write(data)


if __name__ == "__main__":
    main()
