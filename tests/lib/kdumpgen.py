# SPDX-License-Identifier: GPL-2.0-or-later
"""kdump-compressed dumps out of descriptions as text. tests/data/README documents the lines.

Any header version, byte order and C layout, any mixture of codecs, split sets, dumps that nobody
finished. The layout is written down once more here, from crash's diskdump.h and makedumpfile's
IMPLEMENTATION, not taken from the program.
"""
import ctypes
import os
import struct
import zlib
from dataclasses import dataclass, field

import elfgen
import kdumpread
from elfgen import number

DESC = 24
CODECS = {"raw": 0, "zlib": kdumpread.ZLIB, "lzo": kdumpread.LZO, "snappy": kdumpread.SNAPPY,
          "zstd": kdumpread.ZSTD}
INCOMPLETE = kdumpread.INCOMPLETE

# (name, width or "word" or "place" or "pad", header version that brought it). "place": 64 bits, and
# aligned as such.
HEADER = (("signature", 8, 0), ("header_version", 4, 0), ("utsname", 390, 0), ("timeval", "time", 0),
          ("status", 4, 0), ("block_size", 4, 0), ("sub_hdr_size", 4, 0), ("bitmap_blocks", 4, 0),
          ("max_mapnr", 4, 0), ("total_ram_blocks", 4, 0), ("device_blocks", 4, 0),
          ("written_blocks", 4, 0), ("current_cpu", 4, 0), ("nr_cpus", 4, 0))
SUB_HEADER = (("phys_base", "word", 0), ("dump_level", 4, 1), ("split", 4, 2),
              ("start_pfn", "word", 2), ("end_pfn", "word", 2),
              ("offset_vmcoreinfo", 8, 3), ("size_vmcoreinfo", "word", 3),
              ("offset_note", 8, 4), ("size_note", "word", 4),
              ("offset_eraseinfo", 8, 5), ("size_eraseinfo", "word", 5),
              ("start_pfn_64", 8, 6), ("end_pfn_64", 8, 6), ("max_mapnr_64", 8, 6))


# ---- codecs ----

def lzo(data):
    library = kdumpread.library("liblzo2.so.2")
    out = ctypes.create_string_buffer(len(data) + len(data) // 16 + 67)
    length = ctypes.c_ulong(len(out))
    work = ctypes.create_string_buffer(1 << 18)
    library.lzo1x_1_compress(data, ctypes.c_ulong(len(data)), out, ctypes.byref(length), work)
    return out.raw[:length.value]


def snappy(data):
    library = kdumpread.library("libsnappy.so.1")
    library.snappy_max_compressed_length.restype = ctypes.c_size_t
    out = ctypes.create_string_buffer(
        library.snappy_max_compressed_length(ctypes.c_size_t(len(data))))
    length = ctypes.c_size_t(len(out))
    library.snappy_compress(data, ctypes.c_size_t(len(data)), out, ctypes.byref(length))
    return out.raw[:length.value]


def zstd(data):
    library = kdumpread.library("libzstd.so.1")
    library.ZSTD_compress.restype = ctypes.c_size_t
    out = ctypes.create_string_buffer(len(data) + 1024)
    length = library.ZSTD_compress(out, ctypes.c_size_t(len(out)), data, ctypes.c_size_t(len(data)),
                                   1)
    return out.raw[:length]


ENCODERS = {"zlib": lambda data: zlib.compress(data, 1), "lzo": lzo, "snappy": snappy, "zstd": zstd}


# ---- layout ----

@dataclass
class Abi:
    """Where a C compiler puts the members."""
    word: int
    align: int      # of 64-bit members
    order: str

    def width(self, kind):
        return self.word if kind == "word" else 2 * self.word if kind == "time" else kind

    def alignment(self, kind):
        if kind == "time":
            return self.word
        return {8: self.align, 4: 4, self.word: self.word}.get(self.width(kind), 1)

    def members(self, table):
        """name -> (offset, width), and the size of all."""
        at, found = 0, {}
        for name, kind, _ in table:
            if name != "signature":
                at = elfgen.align(at, self.alignment(kind))
            found[name] = (at, self.width(kind))
            at += self.width(kind)
        return found, at

    def encode(self, table, values):
        """The bytes of a header; numbers that are too large are cut, as C does."""
        members, size = self.members(table)
        raw = bytearray(size)
        for name, value in values.items():
            at, width = members[name]
            if isinstance(value, int):
                value = (value & (1 << 8 * width) - 1).to_bytes(
                    width, "little" if self.order == "<" else "big")
            raw[at:at + len(value)] = value
        return bytes(raw)


ABIS = {"64": (8, 8), "32": (4, 4), "32a": (4, 8)}


def ranges(text):
    first, _, last = text.partition("-")
    return range(number(first), number(last or first) + 1)


@dataclass
class Settings:
    """The words of the line "kdump"."""
    abi: str = "64"
    order: str = "<"
    signature: str = "KDUMP"
    version: int = 6
    block: int = 4096
    level: int = 0
    machine: str = "x86_64"
    release: str = "6.1.0-test"
    sysname: str = "Linux"
    phys_base: int = 0
    bias: int = 0       # the unit that bit 0 of the bitmaps stands for
    time: int = 1234567890
    cpus: int = 1
    bitmaps: int = 2
    slack: int = 0      # blocks of each bitmap beyond those that are needed
    status: int = None  # beside the codecs
    max: int = None     # max_mapnr
    reserve: int = 0    # descriptors of room between the last one and the data
    out: str = None     # the ABI of a copy, where QEMU has used another one


@dataclass
class Unit:
    codec: str = "raw"
    state: str = "data"     # or "unwritten"
    like: int = None        # the unit whose descriptor it has


@dataclass
class File:
    """What was written: for tests that spoil it."""
    path: str
    fields: dict = field(default_factory=dict)  # name -> (offset, width)
    edges: list = field(default_factory=list)
    table: int = 0
    descriptors: int = 0
    size: int = 0


class Description(elfgen.Description):
    """A kdump dump as text, and what is to be found in it. Units: what one bit stands for."""

    def __init__(self, path):
        self.set = Settings()
        self.exist, self.units = set(), {}
        self.bounds, self.opened = [], None
        self.erased, self.info = b"", b""
        self.hole = 0
        super().__init__(path)
        word, alignment = ABIS[self.set.abi]
        self.abi = Abi(word, alignment, self.set.order)

    # ---- lines ----

    def line_kdump(self, *settings):
        for setting in settings:
            key, value = setting.split("=")
            if key == "order":
                self.set.order = self.core.order = {"little": "<", "big": ">"}[value]
            elif key in ("abi", "out", "signature", "machine", "release", "sysname"):
                setattr(self.set, key, value)
            else:
                setattr(self.set, key, number(value))

    def line_exist(self, units):
        self.exist |= set(ranges(units))

    def line_keep(self, units, *codecs):
        for i, unit in enumerate(ranges(units)):
            self.exist.add(unit)
            self.units[unit] = Unit(codecs[i % len(codecs)] if codecs else "raw")

    def line_unwritten(self, units):
        for unit in ranges(units):
            self.exist.add(unit)
            self.units[unit] = Unit(state="unwritten")

    def line_share(self, units, like):
        for unit in ranges(units):
            self.exist.add(unit)
            self.units[unit] = Unit(like=number(like))

    def line_split(self, *bounds):
        self.bounds = [number(b) for b in bounds]

    def line_open(self, *parts):
        self.opened = [number(p) for p in parts]

    def line_vmcoreinfo(self, *lines):
        self.info = "".join(line + "\n" for line in lines).encode()

    def line_erase(self, *lines):
        self.erased = "".join(f"erase {line}\n" for line in lines).encode()

    def abi_of_machine(self):
        """The layout that a copy of this dump has."""
        return self.set.out or self.set.abi

    # ---- contents ----

    def unit_bytes(self, unit):
        like = self.units[unit].like
        if like is not None:
            return self.unit_bytes(like)
        return self.memory(unit * self.set.block, (unit + 1) * self.set.block)

    def expected_page(self, pfn):
        """The page as a reader must deliver it; units that do not exist are zero."""
        block, start, size = self.set.block, pfn * self.page_size, self.page_size
        first, last = start // block, (start + size - 1) // block
        data = b"".join(self.unit_bytes(u) if u in self.units else bytes(block)
                        for u in range(first, last + 1))
        return data[start - first * block:start - first * block + size]

    # ---- writing ----

    def limit(self):
        """One past the last bit."""
        return max(self.exist) + 1 - self.set.bias

    def bitmap(self, units, size):
        raw = bytearray(size)
        for unit in units:
            bit = unit - self.set.bias
            raw[bit // 8] |= 1 << bit % 8
        return bytes(raw)

    def status(self, units):
        status = 0
        if self.set.signature == "DISKDUMP":    # bits of its own
            return self.set.status or 0
        for unit in units:
            status |= CODECS[self.units[unit].codec]
        return status | (self.set.status or 0)

    def sub_values(self, at, notes, span):
        """Fields of the sub header; AT: where the notes go, SPAN: of a part, or None."""
        info = notes.find(self.info) if self.info else -1
        if info < 0 and self.set.version >= 4:
            info = notes.find(b"OSRELEASE=")
            size = notes.find(b"\0", info) - info if info >= 0 else 0
        else:
            size = len(self.info)
        top = (1 << 8 * self.abi.word) - 1
        start, end = span or (0, 0)
        return {"phys_base": self.set.phys_base, "dump_level": self.set.level,
                "split": int(span is not None), "start_pfn": min(start, top),
                "end_pfn": min(end, top), "start_pfn_64": start, "end_pfn_64": end,
                "offset_vmcoreinfo": at + info if size else 0, "size_vmcoreinfo": size,
                "offset_note": at if notes else 0, "size_note": len(notes),
                "max_mapnr_64": self.limit() if self.set.max is None else self.set.max}

    def header_values(self, sub_blocks, bitmap_blocks, units):
        uts = (self.set.sysname, "node", self.set.release, "#1 SMP", self.set.machine, "(none)")
        if not self.set.sysname:    # QEMU
            uts = ("", "", "", "", self.set.machine, "")
        limit = self.limit() if self.set.max is None else self.set.max
        return {"signature": self.set.signature.ljust(8).encode(),
                "header_version": self.set.version,
                "utsname": b"".join(u.encode().ljust(65, b"\0") for u in uts),
                "timeval": self.set.time.to_bytes(self.abi.word,
                                                  "little" if self.abi.order == "<" else "big"),
                "status": self.status(units), "block_size": self.set.block,
                "sub_hdr_size": sub_blocks, "bitmap_blocks": bitmap_blocks,
                "max_mapnr": min(limit, 0xffffffff), "nr_cpus": self.set.cpus}

    def spans(self):
        """[start, end) of each part, in bits; None: there is one file."""
        if not self.bounds:
            return [None]
        ends = self.bounds + [self.limit()]
        return list(zip([0] + self.bounds, ends))

    def in_span(self, span):
        return [u for u in sorted(self.units)
                if span is None or span[0] <= u - self.set.bias < span[1]]

    def build(self, path):
        """Write all parts; their names, in the order in which they are to be opened."""
        spans = self.spans()
        self.files = [self.build_part(f"{path}.{i}" if span else path, span)
                      for i, span in enumerate(spans)]
        order = range(len(spans)) if self.opened is None else self.opened
        return [self.files[i].path for i in order]

    def build_part(self, path, span):
        block, units, abi = self.set.block, self.in_span(span), self.abi
        kdump = self.set.signature == "KDUMP"
        table = [m for m in SUB_HEADER if m[2] <= self.set.version]
        sub_size = abi.members(SUB_HEADER)[1] if kdump else 0
        notes = self.note_bytes() if self.set.version >= 4 else self.info
        notes_at = block + sub_size
        sub_blocks = -(-(sub_size + len(notes)) // block) or 1
        bytes_needed = -(-self.limit() // 8)
        half = -(-bytes_needed // block) + self.set.slack
        bitmaps_at = (1 + sub_blocks) * block
        table_at = bitmaps_at + self.set.bitmaps * half * block
        data_at = table_at + (len(units) + self.set.reserve) * DESC

        header = abi.encode(HEADER, self.header_values(sub_blocks, self.set.bitmaps * half, units))
        values = self.sub_values(notes_at, notes, span)
        if self.set.version < 4:    # text, no notes
            values["offset_note"] = values["size_note"] = 0
            values["offset_vmcoreinfo"] = notes_at if notes else 0
            values["size_vmcoreinfo"] = len(notes)
        descriptors, data, places = self.lay_out(units, data_at)
        if self.erased:
            values["offset_eraseinfo"] = data_at + len(data)
            values["size_eraseinfo"] = len(self.erased)
        if self.set.version < 6:
            values = {n: v for n, v in values.items() if n in [m[0] for m in table]}
        pieces = [(0, header), (notes_at, notes), (table_at, b"".join(descriptors)),
                  (data_at, data), (data_at + len(data), self.erased)]
        if kdump:
            pieces.append((block, abi.encode(SUB_HEADER, values)))
        if self.set.bitmaps == 2:
            pieces.append((bitmaps_at, self.bitmap(self.exist, half * block)))
        pieces.append((table_at - half * block, self.bitmap(self.units, half * block)))
        end = max(at + len(raw) for at, raw in pieces) - self.truncated
        with open(path, "wb") as f:
            for at, raw in pieces:
                f.seek(at)
                f.write(raw)
            f.truncate(end)
        return self.describe(path, end, table_at, len(units),
                             [block, bitmaps_at, table_at, data_at, notes_at,
                              notes_at + len(notes), block + sub_size] + places)

    def describe(self, path, end, table_at, descriptors, edges):
        """What tests that spoil a file want to know of it."""
        members, size = self.abi.members(HEADER)
        fields = {n: p for n, p in members.items() if n not in ("signature", "utsname", "timeval")}
        edges += [8, 12, size, end]
        edges += [table_at + i * DESC for i in range(min(descriptors, 6))]
        if self.set.signature == "KDUMP":
            members, size = self.abi.members(SUB_HEADER)
            versions = {name: since for name, _, since in SUB_HEADER}
            fields.update({n: (self.set.block + at, width) for n, (at, width) in members.items()
                           if versions[n] <= self.set.version})
            edges.append(self.set.block + size)
        return File(path, fields, edges, table_at, descriptors, end)

    def lay_out(self, units, at):
        """(descriptors, data, edges) of UNITS; the data begins at offset AT."""
        block, data, placed, edges = self.set.block, bytearray(), {}, []
        zero = None
        for unit in units:
            if self.units[unit].state == "unwritten" or self.units[unit].like is not None:
                continue
            raw, codec = self.unit_bytes(unit), self.units[unit].codec
            if not any(raw) and codec == "raw":
                if zero is None:
                    zero = (at + len(data), block, 0)
                    data += raw
                placed[unit] = zero
                continue
            stored = ENCODERS[codec](raw) if codec != "raw" else raw
            flags = CODECS[codec]
            if len(stored) >= block:
                stored, flags = raw, 0
            placed[unit] = (at + len(data), len(stored), flags)
            if len(edges) < 6:
                edges += [at + len(data), at + len(data) + len(stored)]
            data += stored
        descriptors = []
        for unit in units:
            u = self.units[unit]
            place = (0, 0, 0) if u.state == "unwritten" else \
                placed[unit if u.like is None else u.like]
            descriptors.append(struct.pack(self.abi.order + "qIIQ", *place, 0))
        return descriptors, bytes(data), edges
