# SPDX-License-Identifier: GPL-2.0-or-later
"""ELF files of any class and byte order: notes of cores; sections, symbols and build-ids of programs.

Nothing that a file says is trusted: what lies outside of it is left out, and all counts have an end.
"""
import os
import struct

ET_REL = 1
PT_NOTE, PN_XNUM, SHT_SYMTAB, SHT_NOTE, SHT_NOBITS = 4, 0xffff, 2, 7, 8
SHF_ALLOC, SHF_EXECINSTR, SHF_COMPRESSED = 2, 4, 0x800
NT_GNU_BUILD_ID = 3
MAX_HEADERS = 1 << 22
MAX_READ = 1 << 28


class ElfError(Exception):
    """It is no ELF file, or it cannot be read."""


class Section:
    def __init__(self, name, fields):
        self.name = name
        (_, self.type, self.flags, self.addr, self.off, self.size, self.link, self.info, self.align,
         self.entsize) = fields


class Elf:
    def __init__(self, path):
        self.path = path
        try:
            self.file = open(path, "rb")
            self.length = os.fstat(self.file.fileno()).st_size
        except OSError as e:
            raise ElfError(f"{path}: {e.strerror}") from e
        ident = self.read(0, 64)
        if ident[:4] != b"\x7fELF" or len(ident) < 52 or ident[4] not in (1, 2) or ident[5] not in (1, 2):
            self.close()
            raise ElfError(f"{path}: is no ELF file")
        self.wide, self.order = ident[4] == 2, "<" if ident[5] == 1 else ">"
        self.word = 8 if self.wide else 4
        self.type, self.machine = self.unpack("HH", ident, 16)
        form, at = ("QQIHHHHHH", 32) if self.wide else ("IIIHHHHHH", 28)
        if at + struct.calcsize(self.order + form) > len(ident):
            self.close()
            raise ElfError(f"{path}: breaks off in its header")
        (self.phoff, self.shoff, self.flags, _, self.phentsize, self.phnum, self.shentsize, self.shnum,
         self.shstrndx) = self.unpack(form, ident, at)
        self.cached = None

    def close(self):
        self.file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def read(self, off, size):
        """As much of it as there is; nothing where a read fails."""
        if off < 0 or size <= 0 or off >= self.length:
            return b""
        try:
            return os.pread(self.file.fileno(), min(size, self.length - off, MAX_READ), off)
        except OSError:
            return b""

    def unpack(self, form, data, at=0):
        return struct.unpack_from(self.order + form, data, at)

    # ---- tables ----

    def raw_sections(self, first, nr):
        """The fields of up to NR section headers from number FIRST on."""
        form = "IIQQQQIIQQ" if self.wide else "IIIIIIIIII"
        size = struct.calcsize(self.order + form)
        if not self.shoff or self.shentsize < size:
            return
        data = self.read(self.shoff + first * self.shentsize, min(nr, MAX_HEADERS) * self.shentsize)
        for at in range(0, len(data) - size + 1, self.shentsize):
            yield self.unpack(form, data, at)

    def segments(self):
        """(type, offset, address, size in the file) of each program header."""
        form = "IIQQQQQQ" if self.wide else "IIIIIIII"
        size, nr = struct.calcsize(self.order + form), self.phnum
        if nr == PN_XNUM:  # the number is in sh_info of the first section
            nr = next((fields[7] for fields in self.raw_sections(0, 1)), 0)
        if self.phentsize < size:
            return
        data = self.read(self.phoff, min(nr, MAX_HEADERS) * self.phentsize)
        for at in range(0, len(data) - size + 1, self.phentsize):
            f = self.unpack(form, data, at)
            yield (f[0], f[2], f[3], f[5]) if self.wide else (f[0], f[1], f[2], f[4])

    @property
    def sections(self):
        if self.cached is None:
            nr, names = self.shnum, self.shstrndx
            first = next(self.raw_sections(0, 1), None)
            if first:
                nr, names = nr or first[5], first[6] if names == 0xffff else names
            rows = list(self.raw_sections(0, nr))
            table = self.read(rows[names][4], rows[names][5]) if names < len(rows) else b""
            self.cached = [Section(text_at(table, row[0]), row) for row in rows]
        return self.cached

    def address_fields(self):
        """(offset in the file, bytes) of sh_addr in each section header."""
        return [(self.shoff + i * self.shentsize + (16 if self.wide else 12), self.word)
                for i in range(len(self.sections))]

    def section(self, name):
        return next((s for s in self.sections if s.name == name), None)

    # ---- notes ----

    def parse_notes(self, data):
        """(owner, type, description) of each note; the rest is left out where a length is wrong."""
        at = 0
        while at + 12 <= len(data):
            namesz, descsz, kind = self.unpack("III", data, at)
            start = at + 12 + (namesz + 3 & ~3)
            if start + descsz > len(data):
                return
            owner = data[at + 12:at + 12 + namesz].split(b"\0")[0].decode("ascii", "replace")
            yield owner, kind, data[start:start + descsz]
            at = start + (descsz + 3 & ~3)

    def notes(self):
        for kind, off, _, size in self.segments():
            if kind == PT_NOTE:
                yield from self.parse_notes(self.read(off, size))

    def build_id(self):
        """Hexadecimal, or None."""
        for s in self.sections:
            if s.type == SHT_NOTE and s.size < 1 << 16:
                for owner, kind, desc in self.parse_notes(self.read(s.off, s.size)):
                    if owner == "GNU" and kind == NT_GNU_BUILD_ID and desc:
                        return desc.hex()
        return None

    # ---- symbols ----

    def symbols(self, wanted):
        """{name: value} of those that are WANTED and have a section."""
        found = {}
        table = next((s for s in self.sections if s.type == SHT_SYMTAB), None)
        if not table or table.link >= len(self.sections):
            return found
        form = self.order + ("IBBHQQ" if self.wide else "IIIBBH")
        size = struct.calcsize(form)
        strings = self.sections[table.link]
        places = names_in(self.read(strings.off, strings.size), wanted)
        data = self.read(table.off, table.size)
        for row in struct.iter_unpack(form, data[:len(data) // size * size]):
            if row[0] in places and row[3 if self.wide else 5]:
                found.setdefault(places[row[0]], row[4] if self.wide else row[1])
        return found


def text_at(table, at):
    end = table.find(b"\0", at)
    return table[at:end if end >= 0 else at].decode("utf-8", "replace") if 0 <= at < len(table) else ""


def names_in(table, wanted):
    """{offset: name}: linkers let a name be the end of another one."""
    places = {}
    for name in wanted:
        key = name.encode() + b"\0"
        at = table.find(key)
        while at >= 0 and len(places) < 1 << 16:
            places[at] = name
            at = table.find(key, at + 1)
    return places
