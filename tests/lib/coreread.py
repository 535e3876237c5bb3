# SPDX-License-Identifier: GPL-2.0-or-later
"""A plain reader of ELF cores by virtual address, of either class and byte order: gdb's view of a file."""
import bisect
import mmap
import struct
from dataclasses import dataclass

PT_LOAD, PT_NOTE, PN_XNUM = 1, 4, 0xffff
TASKS = 0x44554d54


@dataclass(frozen=True)
class Load:
    vaddr: int
    paddr: int
    off: int
    size: int


class Core:
    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
        if self.data[:4] != b"\x7fELF":
            raise ValueError(f"{path}: no ELF file")
        self.wide, self.order = self.data[4] == 2, "<" if self.data[5] == 1 else ">"
        self.machine, = self.unpack("H", 18)
        self.flags, = self.unpack("I", 48 if self.wide else 36)
        self.loads, self.notes = [], []
        self.read_headers()
        self.loads.sort(key=lambda x: x.vaddr)
        self.starts = [x.vaddr for x in self.loads]

    def unpack(self, form, at):
        return struct.unpack_from(self.order + form, self.data, at)

    def read_headers(self):
        at, sections = self.unpack("QQ", 32) if self.wide else self.unpack("II", 28)
        size, nr = self.unpack("HH", 54 if self.wide else 42)
        if nr == PN_XNUM:
            nr, = self.unpack("I", sections + (44 if self.wide else 28))
        for i in range(nr):
            if self.wide:
                kind, _, off, vaddr, paddr, filesz, memsz, _ = self.unpack("IIQQQQQQ", at + i * size)
            else:
                kind, off, vaddr, paddr, filesz, memsz, _, _ = self.unpack("IIIIIIII", at + i * size)
            if kind == PT_NOTE:
                self.read_notes(off, off + filesz)
            elif kind == PT_LOAD:
                if filesz != memsz or off + filesz > len(self.data):
                    raise ValueError(f"segment {i} at {vaddr:#x} is not whole")
                self.loads.append(Load(vaddr, paddr, off, filesz))

    def read_notes(self, at, end):
        while at + 12 <= end:
            namesz, descsz, kind = self.unpack("III", at)
            name = self.data[at + 12:at + 12 + namesz].rstrip(b"\0").decode()
            at += 12 + (namesz + 3 & ~3)
            self.notes.append((name, kind, self.data[at:at + descsz]))
            at += descsz + 3 & ~3
        if at != end:
            raise ValueError("notes do not fill their segment")

    def at(self, vaddr):
        """The segment that has VADDR, or None."""
        i = bisect.bisect(self.starts, vaddr) - 1
        return self.loads[i] if i >= 0 and vaddr - self.loads[i].vaddr < self.loads[i].size else None

    def read(self, vaddr, size):
        """The bytes of one segment, or None."""
        load = self.at(vaddr)
        if not load or vaddr + size > load.vaddr + load.size:
            return None
        off = load.off + vaddr - load.vaddr
        return self.data[off:off + size]

    def overlaps(self):
        """Segments that begin before the one before them ends."""
        return [b for a, b in zip(self.loads, self.loads[1:]) if a.vaddr + a.size > b.vaddr]

    def threads(self):
        """(pr_pid, the note) of each NT_PRSTATUS."""
        return [(struct.unpack_from(self.order + "i", desc, 32 if self.wide else 24)[0], desc)
                for name, kind, desc in self.notes if (name, kind) == ("CORE", 1)]

    def tasks(self):
        """What our note says of each thread: the words behind TASK=."""
        return [line[5:].split(" ", 6) for name, kind, desc in self.notes
                if (name, kind) == ("DUMPTOOL", TASKS) for line in desc.decode().split("\n") if line]
