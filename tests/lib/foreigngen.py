# SPDX-License-Identifier: GPL-2.0-or-later
"""Small dumps of formats that others made: LKCD, S390DUMP, SADUMP, Xen dump-core.

Written from descriptions (LKCD <linux/dump.h>; s390-tools zdump; crash sadump.h; Xen
dump-core-format.txt), for tests: pages is {page frame number: bytes}.
"""
import struct
import zlib

PAGE = 4096


def page(seed, kind="data"):
    """A page that no other one is like; zero ones are all alike."""
    if kind == "zero":
        return bytes(PAGE)
    return b"".join(b"page %#010x line %3d \n" % (seed, i) for i in range(200))[:PAGE]


def uts(machine, release="6.1.0-test"):
    fields = ("Linux", "box", release, "#1 SMP", machine, "(none)")
    return b"".join(f.encode().ljust(65, b"\0") for f in fields)


# ---- LKCD ----

RAW, PACKED, END = 1, 2, 4
NONE, RLE, GZIP = 0, 1, 2


def run_lengths(data):
    """LKCD's own: 0 N B is N times B; 0 0 is a zero byte."""
    out, i = bytearray(), 0
    while i < len(data):
        n = 1
        while i + n < len(data) and data[i + n] == data[i] and n < 255:
            n += 1
        if n > 3:
            out += bytes((0, n, data[i]))
        else:
            for _ in range(n):
                out += b"\0\0" if data[i] == 0 else data[i:i + 1]
        i += n
    return bytes(out)


def lkcd(pages, order="<", machine="x86_64", compression=NONE, end=True, version=9, start=262144):
    """Pages in the order of the dictionary, which need not ascend."""
    header = struct.pack(order + "QIIIIQQQI", 0xa8190173618f23ed, version, 754, 4, PAGE, 0, 0, 0,
                         len(pages))
    header += b"for a test".ljust(256, b"\0") + struct.pack(order + "QQ", 1700000000, 0)
    header += uts(machine) + struct.pack(order + "QIIIQ", 0, compression, 0, 0, start)
    out = bytearray(header.ljust(start, b"\0"))
    for pfn, data in pages.items():
        packed = {NONE: lambda d: d, RLE: run_lengths, GZIP: zlib.compress}[compression](data)
        flags = RAW if compression == NONE or len(packed) >= PAGE else PACKED
        packed = data if flags == RAW else packed
        out += struct.pack(order + "QII", pfn * PAGE, len(packed), flags) + packed
    if end:
        out += struct.pack(order + "QII", 0, PAGE, END)
    return bytes(out)


# ---- S390DUMP ----

def lowcore(pswa=0, gprs=(), prefix=0, vectors=0):
    """The two pages of a CPU that stored its registers, and the address of its vectors."""
    raw = bytearray(2 * PAGE)
    for at, form, values in ((0x11b0, ">Q", [vectors]), (0x1280, ">Q", gprs), (0x1308, ">Q", [pswa]),
                             (0x1318, ">I", [prefix])):
        for n, value in enumerate(values):
            struct.pack_into(form, raw, at + n * struct.calcsize(form), value)
    return {prefix // PAGE: bytes(raw[:PAGE]), prefix // PAGE + 1: bytes(raw[PAGE:])}


def s390dump(nr_pages, pages, cpus=(), count=None):
    """All of NR_PAGES from 0 on; those that are not in PAGES are zero. CPUS: where their prefix areas are."""
    header = struct.pack(">QIIIIQQQI4xQQIIIQ", 0xa8190173618f23fd, 5, PAGE, 4, PAGE,
                         nr_pages * PAGE, 0, nr_pages * PAGE - 1, nr_pages, 1, 0, 2, 0, 2,
                         nr_pages * PAGE)
    body = b"".join(pages.get(i, bytes(PAGE)) for i in range(nr_pages))
    header = bytearray(header.ljust(PAGE, b"\0"))
    struct.pack_into(">H", header, 0x5d, len(cpus) if count is None else count)
    struct.pack_into(f">{len(cpus)}I", header, 0x800, *cpus)
    return bytes(header) + body + b"DUMP_END" + struct.pack(">Q", 2)


# ---- SADUMP ----

STATE = 1024
STATE_AT = {"rip": 984, "rsp": 892, "cr0": 1016, "cr3": 1008, "rax": 860, "r15": 796}


def sadump_part(block, number, used):
    raw = b"sadump\0\0" + struct.pack("<4I", 1, 0, 0, 0) + bytes(64)
    raw += b"system".ljust(16, b"\0") + b"set".ljust(16, b"\0") + b"disk%d" % number + bytes(11)
    # 2026-11-21 10:20:30, an hour ahead of UTC
    raw += struct.pack("<HBBBBBxIhBx", 2026, 11, 21, 10, 20, 30, 0, -60, 0)
    raw += struct.pack("<IIQ", number, 0, used)
    magic = 0x1234
    while len(raw) < block:
        raw += struct.pack("<I", magic)
        magic = 11 * (magic + 7) & 0xffffffff
    return raw


def sadump_states(cpus, wide):
    """CPUS: a dictionary of registers for each."""
    raw = struct.pack("<I", STATE * len(cpus)) + bytes(16 * len(cpus))
    for regs in cpus:
        state = bytearray(STATE)
        struct.pack_into("<Q", state, 992, 0xd01 if wide else 0)
        for name, value in regs.items():
            struct.pack_into("<Q", state, STATE_AT[name], value)
        raw += state
    return raw


def bitmap(pfns, size):
    raw = bytearray(size)
    for pfn in pfns:
        raw[pfn // 8] |= 0x80 >> pfn % 8
    return bytes(raw)


def sadump(pages, excluded=(), cpus=({"rip": 0xffffffff81000000},), wide=True, media=False,
           disks=1, block=PAGE, max_pfn=0x8000):
    """The files of a dump: one, or DISKS of a set, which the pages are spread over."""
    states = sadump_states(cpus, wide)
    sub = -(-len(states) // block)
    bits = -(-max_pfn // (8 * block))
    head = b"sadump\0\0" + struct.pack("<II", 1, 0) + bytes(16)
    head += struct.pack("<13I", 0, 0, block, 0, sub, bits, bits, max_pfn, 0, 0, 0, 0, len(cpus))
    head += struct.pack("<IQQQQ", 0, max_pfn, 0, 0, 0)
    body = head.ljust(block, b"\0") + states.ljust(sub * block, b"\0")
    body += bitmap([*pages, *excluded], bits * block) + bitmap(pages, bits * block)
    data = [pages[p] for p in sorted(pages)]
    if disks == 1:
        first = sadump_part(block, 0, block + len(body) + len(data) * block)
        return [(b"media".ljust(PAGE, b"\0") if media else b"") + first + body + b"".join(data)]
    share, files = -(-len(data) // disks), []
    for i in range(disks):
        mine = b"".join(data[i * share:(i + 1) * share])
        inside = struct.pack("<IIQ", 1, disks, 0).ljust(block, b"\0") + body if not i else b""
        used = block + len(inside) + len(mine)
        # What lies behind is what the disk held before.
        files.append(sadump_part(block, i + 1, used) + inside + mine + b"old" * 5000)
    return files


# ---- Xen dump-core ----

CONTEXT = 5168  # struct vcpu_guest_context of x86_64 (xen/include/public/arch-x86/xen.h)
CONTEXT_AT = {"r15": 520, "rax": 600, "rip": 648, "rsp": 672, "cr0": 4984, "cr3": 5008}


def xen_contexts(cpus):
    """CPUS: a dictionary of registers for each."""
    raw = bytearray(CONTEXT * len(cpus))
    for i, regs in enumerate(cpus):
        for name, value in regs.items():
            struct.pack_into("<Q", raw, i * CONTEXT + CONTEXT_AT[name], value)
    return bytes(raw)


def xencore(pages, gmfn=lambda pfn: pfn + 0x1000, cpus=()):
    """PAGES in that order, each with the machine page that GMFN gives for it."""
    names = b"\0.shstrtab\0.note.Xen\0.xen_pages\0.xen_p2m\0.xen_prstatus\0"
    notes = b""
    for kind, desc in ((0x2000000, b""), (0x2000001, struct.pack("<4Q", 0xf00febed, 0, len(pages),
                                                               PAGE)),
                       (0x2000003, struct.pack("<Q", 1))):
        notes += struct.pack("<III", 4, len(desc), kind) + b"Xen\0" + desc
    p2m = b"".join(struct.pack("<QQ", pfn, gmfn(pfn)) for pfn in pages)
    at_notes = 64 + 6 * 64
    at_pages = PAGE
    at_p2m = at_pages + len(pages) * PAGE
    contexts = xen_contexts(cpus)
    at_contexts = at_p2m + len(p2m)
    at_names = at_contexts + len(contexts)
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01\0\x01", 4, 62, 1, 0, 0, 64, 0,
                         64, 56, 0, 64, 6, 1)
    sections = bytes(64)
    for name, kind, off, size in (("shstrtab", 3, at_names, len(names)),
                                  ("note.Xen", 7, at_notes, len(notes)),
                                  ("xen_pages", 1, at_pages, len(pages) * PAGE),
                                  ("xen_p2m", 1, at_p2m, len(p2m)),
                                  ("xen_prstatus", 1, at_contexts, len(contexts))):
        sections += struct.pack("<IIQQQQIIQQ", names.index(b"." + name.encode()), kind, 0, 0, off,
                                size, 0, 0, 1, CONTEXT if name == "xen_prstatus" else 0)
    return ((header + sections + notes).ljust(PAGE, b"\0") + b"".join(pages.values()) + p2m +
            contexts + names)
