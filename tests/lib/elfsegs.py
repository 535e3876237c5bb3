# SPDX-License-Identifier: GPL-2.0-or-later
"""The segment table of an ELF core of either class and order, and what readers make of it."""
import bisect
import struct
from dataclasses import dataclass

PT_LOAD, PT_NOTE, PN_XNUM = 1, 4, 0xffff


@dataclass
class Segment:
    kind: int
    off: int
    vaddr: int
    paddr: int
    filesz: int
    memsz: int
    align: int


class Table:
    def __init__(self, path):
        self.path = path
        with open(path, "rb") as f:
            head = f.read(64)
            self.bits = 64 if head[4] == 2 else 32
            self.order = "<" if head[5] == 1 else ">"
            wide = self.bits == 64
            at, word = (32, "Q") if wide else (28, "I")
            self.phoff, self.shoff = struct.unpack_from(self.order + word * 2, head, at)
            self.entsize, self.e_phnum = struct.unpack_from(self.order + "HH", head, 54 if wide else 42)
            self.count = self.e_phnum
            if self.e_phnum == PN_XNUM:
                f.seek(self.shoff + (44 if wide else 28))
                self.count, = struct.unpack(self.order + "I", f.read(4))
            f.seek(self.phoff)
            raw = f.read(self.entsize * self.count)
        self.all = [self.segment(raw[i:i + self.entsize]) for i in range(0, len(raw), self.entsize)]
        self.loads = [s for s in self.all if s.kind == PT_LOAD]

    def segment(self, raw):
        if self.bits == 64:
            kind, _, *rest = struct.unpack(self.order + "IIQQQQQQ", raw)
            return Segment(kind, *rest)
        kind, off, vaddr, paddr, filesz, memsz, _, align = struct.unpack(self.order + "8I", raw)
        return Segment(kind, off, vaddr, paddr, filesz, memsz, align)

    def note_types(self):
        """(owner, type, description) of all notes."""
        found = []
        with open(self.path, "rb") as f:
            for s in self.all:
                if s.kind != PT_NOTE:
                    continue
                f.seek(s.off)
                data, at = f.read(s.filesz), 0
                while at + 12 <= len(data):
                    name, desc, kind = struct.unpack_from(self.order + "III", data, at)
                    start = at + 12 + (name + 3) // 4 * 4
                    found.append((data[at + 12:at + 12 + name].rstrip(b"\0").decode(), kind,
                                  data[start:start + desc]))
                    at = start + (desc + 3) // 4 * 4
        return found


class Volatility:
    """Physical memory as Volatility 3 finds it (framework/layers/elf.py, segmented.py): class 64, as many
    headers as e_phnum says, segments with p_filesz other than p_memsz ignored, the rest taken for sorted."""

    def __init__(self, table):
        self.good = table.bits == 64 and table.order == "<"
        self.file = open(table.path, "rb")
        self.segments = [(s.paddr, s.off, s.memsz) for s in table.all[:table.e_phnum]
                         if s.kind == PT_LOAD and s.filesz == s.memsz and s.filesz]

    def read(self, paddr, size):
        i = bisect.bisect_right(self.segments, (paddr, 1 << 64))
        if not i or not self.segments[i - 1][0] <= paddr < self.segments[i - 1][0] + self.segments[i - 1][2]:
            return None
        start, off, length = self.segments[i - 1]
        self.file.seek(off + paddr - start)
        return self.file.read(min(size, start + length - paddr))


def by_vaddr(table, vaddr, size):
    """Memory as gdb finds it: the first segment that holds a virtual address."""
    for s in table.loads:
        if s.vaddr <= vaddr < s.vaddr + s.memsz:
            with open(table.path, "rb") as f:
                f.seek(s.off + vaddr - s.vaddr)
                return f.read(min(size, s.vaddr + s.memsz - vaddr))
    return None


def crash_rules(table):
    """What crash wants of the table (netdump.c)."""
    bad = []
    if table.all[0].kind != PT_NOTE or any(s.kind != PT_LOAD for s in table.all[1:]):
        bad.append("the only PT_NOTE is not the first header, or there are others than PT_LOAD")
    if any(s.align for s in table.all):
        bad.append("p_align is not 0")
    if len(table.loads) < 2:
        bad.append("fewer than two PT_LOADs")
    if table.all[0].off + table.all[0].filesz > min(s.off for s in table.loads):
        bad.append("notes behind memory")
    if any(s.filesz != s.memsz for s in table.loads):
        bad.append("p_filesz is not p_memsz")
    return bad
