# SPDX-License-Identifier: GPL-2.0-or-later
"""Call frame information (.debug_frame): where the registers of a caller are. Of 64-bit machines of either byte order.

For what gdb cannot unwind itself. Rules with expressions are given up.
"""
import bisect
import struct
import zlib

from . import elf

MAX_TABLE = 1 << 27
NEGATE_RA_STATE = 0x2d  # DW_CFA_AARCH64_negate_ra_state: from here on the return address is signed
# Instructions without effect here, by the operands that they have.
SKIPPED = {0x00: "", 0x2e: "u", NEGATE_RA_STATE: ""}


class CfiError(Exception):
    """There is none, or it is not understood."""


class Cursor:
    def __init__(self, data, at, end, order):
        self.data, self.at, self.end, self.order = data, at, min(end, len(data)), order

    def take(self, form):
        size = struct.calcsize("=" + form)
        if self.at + size > self.end:
            raise CfiError("it breaks off")
        value, = struct.unpack_from(self.order + form, self.data, self.at)
        self.at += size
        return value

    def leb(self, signed=False):
        value, shift = 0, 0
        while True:
            byte = self.take("B")
            value |= (byte & 0x7f) << shift
            shift += 7
            if not byte & 0x80 or shift > 63:
                break
        return value - (1 << shift) if signed and byte & 0x40 else value

    def text(self):
        end = self.data.find(b"\0", self.at, self.end)
        if end < 0:
            raise CfiError("it breaks off")
        found, self.at = self.data[self.at:end], end + 1
        return found


class Rules:
    """Where things are at one place: the CFA is a register and an offset; {register: offset from the CFA}."""

    def __init__(self, register=None, offset=0, saved=None, signed=False):
        self.register, self.offset, self.saved, self.signed = register, offset, saved or {}, signed

    def copy(self):
        return Rules(self.register, self.offset, dict(self.saved), self.signed)


def section_data(file, name):
    section = file.section(name)
    if not section or section.type == elf.SHT_NOBITS:
        return b""
    data = file.read(section.off, min(section.size, MAX_TABLE))
    if not section.flags & elf.SHF_COMPRESSED:
        return data
    if len(data) < 24 or file.unpack("I", data)[0] != 1:
        return b""
    try:
        return zlib.decompressobj().decompress(data[24:], MAX_TABLE)
    except zlib.error:
        return b""


class Table:
    """.debug_frame of an ELF file, by address as it was linked."""

    def __init__(self, file):
        self.data, self.order, self.cies, self.rows = section_data(file, ".debug_frame"), file.order, {}, []
        if file.wide:
            self.read()
        self.rows.sort()
        self.starts = [row[0] for row in self.rows]

    def read(self):
        head = struct.Struct(self.order + "IIQQ")
        at, end = 0, len(self.data) - head.size
        while at <= end:
            length, cie, start, size = head.unpack_from(self.data, at)
            if length >= 0xfffffff0 or length < 4:
                return  # 64-bit DWARF, or damage
            if cie != 0xffffffff and size:
                self.rows.append((start, start + size, cie, at + head.size, at + 4 + length))
            at += 4 + length

    def cie(self, at):
        """(code factor, data factor, initial Rules) of the CIE at offset AT."""
        if at not in self.cies:
            c = Cursor(self.data, at, len(self.data), self.order)
            c.end = min(c.end, at + 4 + c.take("I"))
            if c.take("I") != 0xffffffff:
                raise CfiError("no CIE")
            version, augmentation = c.take("B"), c.text()
            if version >= 4:
                c.take("H")  # sizes of an address and of a segment
            code, data = c.leb(), c.leb(True)
            c.leb()
            if augmentation.strip(b"B"):  # B: another key
                raise CfiError("an augmentation that is not known")
            self.cies[at] = code, data, self.execute(c, code, data, Rules(), None, 0, 0)
        return self.cies[at]

    def find(self, pc):
        """(start of the function, Rules) at PC."""
        i = bisect.bisect(self.starts, pc) - 1
        if i < 0 or pc >= self.rows[i][1]:
            raise CfiError("no entry")
        start, _, cie, at, end = self.rows[i]
        code, data, initial = self.cie(cie)
        return start, self.execute(Cursor(self.data, at, end, self.order), code, data, initial.copy(), initial, start, pc)

    @staticmethod
    def execute(c, code, data, now, initial, at, pc):
        """The rules after all that is told of addresses up to PC."""
        stack = []
        while c.at < c.end:
            op = c.take("B")
            high, low = op & 0xc0, op & 0x3f
            if high == 0x40 or op in (2, 3, 4):
                at += code * (low if high else c.take("BHI"[op - 2]))
                if at > pc:
                    break
            elif high == 0x80:
                now.saved[low] = c.leb() * data
            elif high == 0xc0:
                restore(now, initial, low)
            elif op == 0x0a:
                stack.append(now.copy())
            elif op == 0x0b and stack:
                now = stack.pop()
            elif op in SKIPPED:
                now.signed ^= op == NEGATE_RA_STATE
                for _ in SKIPPED[op]:
                    c.leb()
            else:
                step(c, data, now, initial, op)
        return now


def restore(now, initial, register):
    now.saved.pop(register, None)
    if initial and register in initial.saved:
        now.saved[register] = initial.saved[register]


def step(c, data, now, initial, op):
    """The instructions that are less common."""
    if op == 0x05:
        now.saved[c.leb()] = c.leb() * data
    elif op == 0x11:
        now.saved[c.leb()] = c.leb(True) * data
    elif op == 0x06:
        restore(now, initial, c.leb())
    elif op in (0x07, 0x08):
        now.saved.pop(c.leb(), None)
    elif op == 0x0c:
        now.register, now.offset = c.leb(), c.leb()
    elif op == 0x12:
        now.register, now.offset = c.leb(), c.leb(True) * data
    elif op == 0x0d:
        now.register = c.leb()
    elif op == 0x0e:
        now.offset = c.leb()
    elif op == 0x13:
        now.offset = c.leb(True) * data
    else:
        raise CfiError(f"instruction {op:#x}")
