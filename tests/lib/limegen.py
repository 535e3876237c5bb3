# SPDX-License-Identifier: GPL-2.0-or-later
"""LiME images out of descriptions as text, and a reader of them. tests/data/README documents the lines.

Class Description writes an image; class Image is what a reader must find in one, however damaged.
"""
import struct

import elfgen

MAGIC, VERSION, HEADER = 0x4c694d45, 1, 32
MAX_PHYS = 1 << 56
FIELDS = (("magic", 0, 4), ("version", 4, 4), ("first", 8, 8), ("last", 16, 8), ("unused", 24, 8))


def header(first, last, magic=MAGIC, version=VERSION, unused=0):
    return struct.pack("<IIQQQ", magic, version, first, last, unused)


class Description(elfgen.Description):
    """An image as text, and what is to be found in it. Ranges are loads, as far as contents go."""

    def __init__(self, path):
        self.parts = []     # in the order of the file: (Load, header fields), or bytes
        self.told = []
        self.fails = None
        super().__init__(path)
        # Where two ranges hold a page the one that begins lower counts: it comes last.
        self.loads.sort(key=lambda load: (-load.start, load.data))

    def line_range(self, start, end, *settings):
        load = elfgen.Load(elfgen.number(start), elfgen.number(end), elfgen.number(end))
        fields = {key: elfgen.number(value) for key, value in (s.split("=") for s in settings)}
        load.share = fields.pop("like", None)
        self.loads.append(load)
        self.parts.append((load, fields))

    def line_junk(self, size, byte):
        self.parts.append(bytes([elfgen.number(byte)]) * elfgen.number(size))

    def line_told(self, text):
        self.told.append(text)

    def line_fails(self, text):
        self.fails = text

    def part_bytes(self, part):
        if isinstance(part, bytes):
            return part
        load, fields = part
        data = self.memory(self.source_of(load, load.start), self.source_of(load, load.data - 1) + 1)
        return header(**{"first": load.start, "last": load.data - 1, **fields}) + data

    def image(self):
        data = b"".join(map(self.part_bytes, self.parts))
        return data[:len(data) - self.truncated]

    def build(self, path):
        with open(path, "wb") as f:
            f.write(self.image())


def without(pieces, taken):
    """The parts of PIECES, [(start, end)], that lie in none of TAKEN."""
    for a, b in taken:
        pieces = [p for s, e in pieces for p in ((s, min(e, a)), (max(s, b), e)) if p[0] < p[1]]
    return pieces


class Image:
    """Byte by byte what an image holds. missing: bytes of memory, or of a header, that it lacks."""

    def __init__(self, data, page_size=4096):
        self.data, self.page_size = data, page_size
        self.ranges = []    # (start, end as far as the file has it, offset of the bytes)
        self.lost = []      # memory behind the end of the file
        self.headers = []   # their offsets
        self.missing = self.bad = 0
        self.read()

    def read(self):
        at = 0
        while at < len(self.data):
            raw = self.data[at:at + HEADER]
            if len(raw) < HEADER:
                self.missing += HEADER - len(raw)
                return
            magic, version, first, last = struct.unpack("<IIQQ", raw[:24])
            if magic != MAGIC or version != VERSION or not first <= last < MAX_PHYS:
                self.bad += 1
                return
            self.headers.append(at)
            at += HEADER
            end = min(last + 1, first + len(self.data) - at)
            self.ranges.append((first, end, at))
            if end <= last:
                self.missing += last + 1 - end
                self.lost.append((end, last + 1))
            at += last + 1 - first

    def is_usable(self):
        return any(start < end for start, end, _ in self.ranges)

    def is_complete(self):
        return not self.missing and not self.bad

    def unreadable(self):
        """Page frames as [(first, one past the last)]: those that lack a byte which no range has."""
        lost = without(self.lost, [r[:2] for r in self.ranges])
        rows = []
        for first, end in sorted((a // self.page_size, -(-b // self.page_size)) for a, b in lost):
            if rows and first < rows[-1][1]:
                rows[-1] = rows[-1][0], max(end, rows[-1][1])
            else:
                rows.append((first, end))
        return rows

    def present(self):
        pages = {p for start, end, _ in self.ranges
                 for p in range(start // self.page_size, -(-end // self.page_size))}
        return sorted(p for p in pages if not any(a <= p < b for a, b in self.unreadable()))

    def page(self, pfn):
        start, page = pfn * self.page_size, bytearray(self.page_size)
        for first, end, at in sorted(self.ranges, key=lambda r: (-r[0], r[1], -r[2])):
            a, b = max(start, first), min(start + self.page_size, end)
            if a < b:
                page[a - start:b - start] = self.data[at + a - first:at + b - first]
        return bytes(page)

    def edges(self):
        """Every place at which a header, memory, or a page of it begins or ends."""
        found = {0, len(self.data)}
        for off, (start, end, at) in zip(self.headers, self.ranges):
            found |= {off, off + 4, at - 8, at, at + (end - start) // 2}
            found |= {at + p * self.page_size - start
                      for p in range(start // self.page_size + 1, -(-end // self.page_size))[:2]}
        return found
