# SPDX-License-Identifier: GPL-2.0-or-later
"""ELF cores out of descriptions as text. tests/data/README documents the lines.

Class Core writes any ELF core; class Description reads a text and knows what a reader must find.
"""
import os
import random
import shlex
import struct
from dataclasses import dataclass, field

PT_LOAD, PT_NOTE, PN_XNUM = 1, 4, 0xffff
PRSTATUS_SIZE = 336     # x86-64, struct elf_prstatus


def align(value, to):
    return (value + to - 1) // to * to


def note(order, owner, kind, desc):
    """One ELF note; ORDER is < or >."""
    name = owner.encode() + b"\0"
    return (struct.pack(order + "III", len(name), len(desc), kind) +
            name.ljust(align(len(name), 4), b"\0") + desc.ljust(align(len(desc), 4), b"\0"))


def prstatus(order, pid=0, **regs):
    """struct elf_prstatus of x86-64: pid at 32, registers at 112 in the order of ptrace."""
    places = {"rbp": 4, "rip": 16, "cs": 17, "rsp": 19, "ss": 20}
    desc = bytearray(PRSTATUS_SIZE)
    struct.pack_into(order + "i", desc, 32, pid)
    for name, value in regs.items():
        struct.pack_into(order + "Q", desc, 112 + 8 * places[name], value & (1 << 64) - 1)
    return bytes(desc)


@dataclass
class Segment:
    kind: int
    offset: int
    vaddr: int
    paddr: int
    filesz: int
    memsz: int


@dataclass
class Core:
    """Headers of an ELF core. phoff and shoff: where the tables lie; shoff 0: there is none."""
    bits: int = 64
    order: str = "<"
    machine: int = 62
    kind: int = 4
    flags: int = 0
    phoff: int = None
    shoff: int = 0
    xnum: bool = False
    phentsize: int = None
    segments: list = field(default_factory=list)

    @property
    def ehdr_size(self):
        return 64 if self.bits == 64 else 52

    @property
    def phdr_size(self):
        return 56 if self.bits == 64 else 32

    @property
    def shdr_size(self):
        return 64 if self.bits == 64 else 40

    def ehdr(self):
        word = "Q" if self.bits == 64 else "I"
        ident = b"\x7fELF" + bytes([self.bits // 32, 1 if self.order == "<" else 2, 1])
        phoff = self.ehdr_size if self.phoff is None else self.phoff
        return ident.ljust(16, b"\0") + struct.pack(
            self.order + "HHI" + word * 3 + "IHHHHHH", self.kind, self.machine, 1, 0, phoff,
            self.shoff, self.flags, self.ehdr_size, self.phentsize or self.phdr_size,
            PN_XNUM if self.xnum else len(self.segments), self.shdr_size if self.shoff else 0,
            1 if self.shoff else 0, 0)

    def phdr(self, s):
        if self.bits == 64:
            return struct.pack(self.order + "IIQQQQQQ", s.kind, 7, s.offset, s.vaddr, s.paddr,
                               s.filesz, s.memsz, 0)
        return struct.pack(self.order + "IIIIIIII", s.kind, s.offset, s.vaddr & 0xffffffff,
                           s.paddr, s.filesz, s.memsz, 7, 0)

    def section_zero(self):
        """The only section: it holds the number of program headers that e_phnum cannot."""
        word = "Q" if self.bits == 64 else "I"
        count = len(self.segments) if self.xnum else 0
        return struct.pack(self.order + "II" + word * 4 + "II" + word * 2, 0, 0, 0, 0, 0, 0, 0,
                           count, 0, 0)

    def tables(self):
        """(offset, bytes) of all headers."""
        phdrs = b"".join(self.phdr(s) for s in self.segments)
        parts = [(0, self.ehdr()), (self.ehdr_size if self.phoff is None else self.phoff, phdrs)]
        if self.shoff:
            parts.append((self.shoff, self.section_zero()))
        return parts


@dataclass
class Load:
    """Bytes [start, end) of memory; those up to `data` are in the file, from `offset` on."""
    start: int
    data: int
    end: int
    vaddr: int = None
    slip: int = 0       # p_offset is this many bytes beyond a multiple of the page size
    share: int = None   # paddr of the load whose bytes in the file are taken
    offset: int = None


def number(text):
    return int(text, 0)


class Description:
    """An ELF core as text, and what is to be found in it."""

    def __init__(self, path):
        self.name = os.path.basename(path)
        self.core = Core()
        self.page_size = 4096
        self.layout = "plain"
        self.seed = 1
        self.notes = []
        self.loads = []
        self.patterns = []
        self.expected = []
        self.by_page = {}
        self.facts = {}
        self.truncated = 0
        with open(path, encoding="ascii") as f:
            for line in f:
                words = shlex.split(line, comments=True)
                if words:
                    getattr(self, "line_" + words[0])(*words[1:])

    # ---- one method for each kind of line ----

    def line_elf(self, *settings):
        for setting in settings:
            key, value = setting.split("=")
            if key == "order":
                self.core.order = {"little": "<", "big": ">"}[value]
            elif key == "layout":
                self.layout = value
            else:
                setattr(self.core, key, number(value))

    def line_page(self, size):
        self.page_size = number(size)

    def line_seed(self, seed):
        self.seed = number(seed)

    def line_note(self, owner, kind, what, *rest):
        if what == "prstatus":
            regs = {k: number(v) for k, v in (word.split("=") for word in rest)}
            desc = prstatus(self.core.order, **regs)
        elif what == "words":
            words = [word.partition("*") for word in rest]
            desc = b"".join(struct.pack(self.core.order + "Q", number(n)) * number(count or "1")
                            for n, _, count in words)
        elif what == "text":
            desc = "".join(line + "\n" for line in rest).encode()
        elif what == "hex":
            desc = bytes.fromhex("".join(rest))
        else:
            desc = random.Random(f"{self.seed} {owner}").randbytes(number(rest[0]))
        self.notes.append((owner, number(kind), desc))

    def line_load(self, start, end, *settings):
        load = Load(number(start), number(end), number(end))
        for setting in settings:
            key, value = setting.split("=")
            if key == "mem":
                load.end = number(value)
            else:
                setattr(load, key, number(value))
        self.loads.append(load)

    def line_loads(self, count, start, step, size):
        """So many loads, STEP apart, all with the bytes of the first one."""
        for i in range(number(count)):
            at = number(start) + i * number(step)
            self.loads.append(Load(at, at + number(size), at + number(size),
                                   share=number(start) if i else None))

    def line_pattern(self, pages, what):
        first, _, last = pages.partition("-")
        self.patterns.append((number(first), number(last or first), what))

    def line_expect(self, state, pages, every="every=1"):
        first, _, last = pages.partition("-")
        step = number(every.split("=")[1])
        self.expected.append((state, range(number(first), number(last or first) + 1, step)))

    def line_fact(self, key, value):
        """A value of inspect --json, or of the test: warn=TEXT."""
        self.facts[key] = value

    def line_truncate(self, size):
        self.truncated = number(size)

    # ---- contents ----

    def pattern_of(self, pfn):
        for first, last, what in self.patterns:
            if first <= pfn <= last:
                return what
        return "text"

    def page(self, pfn):
        """The memory of a page, as the machine had it."""
        what = self.pattern_of(pfn)
        if what == "zero":
            return bytes(self.page_size)
        if what == "random":
            return random.Random(f"{self.seed} {pfn}").randbytes(self.page_size)
        text = f"seed {self.seed} page {pfn:#x} ".encode()
        return (text * (self.page_size // len(text) + 1))[:self.page_size]

    def memory(self, start, end):
        first, last = start // self.page_size, (end - 1) // self.page_size
        data = b"".join(self.page(pfn) for pfn in range(first, last + 1))
        return data[start - first * self.page_size:end - first * self.page_size]

    def source_of(self, load, address):
        """Where the bytes at ADDRESS come from: loads may share their place in the file."""
        return address if load.share is None else load.share + address - load.start

    def loads_of(self, pfn):
        """The loads with bytes of a page."""
        if not self.by_page:
            for load in self.loads:
                for p in range(load.start // self.page_size, -(-load.data // self.page_size)):
                    self.by_page.setdefault(p, []).append(load)
        return self.by_page.get(pfn, [])

    def expected_page(self, pfn):
        """The page as a reader must deliver it: bytes that no load has are zero."""
        start, page = pfn * self.page_size, bytearray(self.page_size)
        for load in self.loads_of(pfn):
            a, b = max(start, load.start), min(start + self.page_size, load.data)
            if a < b:
                page[a - start:b - start] = self.memory(self.source_of(load, a),
                                                        self.source_of(load, b - 1) + 1)
        return bytes(page)

    def pages_in(self, *states):
        """Page frames expected in one of STATES."""
        return sorted(pfn for state, pfns in self.expected if state in states for pfn in pfns)

    # ---- writing ----

    def note_bytes(self):
        return b"".join(note(self.core.order, *n) for n in self.notes)

    def place_all(self, notes):
        """Decide where everything lies; returns the end of the file."""
        core, count = self.core, len(self.loads) + bool(notes)
        tables = count * core.phdr_size
        at = core.ehdr_size
        if self.layout == "plain":
            at += tables
        else:   # section headers first, as QEMU does; "end": program headers behind the data
            core.shoff = at
            core.phoff = at + core.shdr_size
            at = core.phoff + tables
        note_at, at = at, at + len(notes)
        by_start = {}
        for load in self.loads:
            if load.share is not None:
                load.offset = by_start[load.share]
                continue
            load.offset = align(at, self.page_size) + load.slip
            by_start[load.start] = load.offset
            at = load.offset + load.data - load.start
        if self.layout == "end":
            core.phoff = at
            at += tables
        return note_at, at

    def build(self, path):
        """Write the core to PATH."""
        core, notes = self.core, self.note_bytes()
        note_at, end = self.place_all(notes)
        core.segments = [Segment(PT_NOTE, note_at, 0, 0, len(notes), 0)] if notes else []
        core.segments += [Segment(PT_LOAD, x.offset, x.start if x.vaddr is None else x.vaddr,
                                  x.start, x.data - x.start, x.end - x.start)
                          for x in self.loads]
        with open(path, "wb") as f:
            for offset, data in core.tables() + [(note_at, notes)]:
                f.seek(offset)
                f.write(data)
            for load in self.loads:
                if load.share is None:
                    self.write_load(f, load)
            f.truncate(end - self.truncated)

    def write_load(self, f, load):
        for start in range(load.start, load.data, 1 << 20):
            data = self.memory(start, min(load.data, start + (1 << 20)))
            if data.count(0) != len(data):
                f.seek(load.offset + start - load.start)
                f.write(data)
