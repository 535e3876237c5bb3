# SPDX-License-Identifier: GPL-2.0-or-later
"""A synthetic x86-64 machine after a crash, as /proc/vmcore gives it.

The memory that a filter looks at is as in a real kernel: page tables of 4 or 5 levels with pages of
4 KiB, 2 MiB and 1 GiB, the memory model, struct pages as a text says (tests/data/mem-*.txt), zone
counters, the log, VMCOREINFO. eras.py knows how each kernel encodes a page; here is the rest.
"""
import os
import random
import shlex
import struct

import elfgen
import eras

PAGE = 4096
HUGE, GIANT = 2 << 20, 1 << 30
SECTION_BITS = 27
SECTION_PAGES = 1 << SECTION_BITS - 12
KERNEL_MAP = 0xffffffff80000000
TEXT_VADDR = 0xffffffff9a000000     # of _stext: KASLR chose it
KERNEL_OFFSET = TEXT_VADDR - 0xffffffff81000000
DIRECT = {4: 0xffff8b40c0000000, 5: 0xff39682100000000 & ~(GIANT - 1)}
VMEMMAP = {4: 0xffffd31640000000, 5: 0xff8ee70700000000}
SME_MASK = 1 << 47
PRESENT, RW, PSE = 1, 2, 0x80

NOTES_OFF, NOTES_ROOM = 0x1000, 0x4000
DATA_OFF = NOTES_OFF + NOTES_ROOM

BANNER = "Linux version {release} (builder@host) #1 SMP synthetic"
LOG = [(0, BANNER), (1_000_000, "Command line: crashkernel=128M"),
       (3_500_000_000, "two lines,\nthe second of them"),
       (61_000_250_000, "Kernel panic - not syncing: sysrq triggered crash")]


class Memory:
    """Physical memory: page frames that hold more than zeros."""

    def __init__(self):
        self.frames = {}

    def frame(self, pfn):
        if pfn not in self.frames:
            self.frames[pfn] = bytearray(PAGE)
        return self.frames[pfn]

    def write(self, paddr, data):
        at = 0
        while at < len(data):
            pfn, off = divmod(paddr + at, PAGE)
            n = min(PAGE - off, len(data) - at)
            self.frame(pfn)[off:off + n] = data[at:at + n]
            at += n

    def read(self, paddr, size):
        data = b""
        while len(data) < size:
            pfn, off = divmod(paddr + len(data), PAGE)
            data += bytes(self.frames.get(pfn, bytes(PAGE))[off:off + size - len(data)])
        return data

    def word(self, paddr, value):
        self.write(paddr, struct.pack("<Q", value % (1 << 64)))


class Tables:
    """The kernel's page table."""

    def __init__(self, memory, allocate, levels, root, mask):
        self.memory, self.allocate, self.root, self.mask = memory, allocate, root, mask
        self.shifts = [48, 39, 30, 21, 12][5 - levels:]
        self.pages = [root]

    def map(self, vaddr, paddr, size):
        """Map SIZE bytes, 4 KiB, 2 MiB or 1 GiB, at VADDR."""
        table = self.root
        for shift in self.shifts:
            at = table + 8 * (vaddr >> shift & 511)
            if 1 << shift == size:
                self.memory.word(at, paddr | self.mask | PRESENT | RW |
                                 (PSE if size > PAGE else 0) | 0x60)
                return
            entry = struct.unpack("<Q", self.memory.read(at, 8))[0]
            if not entry & PRESENT:
                entry = self.allocate(1) | self.mask | PRESENT | RW | 0x60
                self.pages.append(entry & 0xffffffffff000 & ~self.mask)
                self.memory.word(at, entry)
            table = entry & 0xffffffffff000 & ~self.mask

    def map_range(self, vaddr, paddr, length, size):
        for at in range(0, length, size):
            self.map(vaddr + at, paddr + at, size)


class Block:
    """Pages of one kind: FIRST, and how many of the text's blocks there are from there on."""

    def __init__(self, first, nr, kind):
        self.first, self.nr, self.kind = first, nr, kind


class Text:
    """A file tests/data/mem-*.txt."""

    def __init__(self, path):
        self.ram, self.zero, self.blocks = [], [], []
        self.image = self.pool = None
        with open(path, encoding="ascii") as f:
            for line in f:
                words = shlex.split(line, comments=True)
                if words:
                    getattr(self, "line_" + words[0])(*words[1:])

    @staticmethod
    def range(text):
        first, _, last = text.partition("-")
        return int(first, 0), int(last or first, 0)

    def line_ram(self, pages):
        self.ram.append(self.range(pages))

    def line_zero(self, pages):
        self.zero.append(self.range(pages))

    def line_image(self, pages):
        self.image = self.range(pages)

    def line_pool(self, pages):
        self.pool = self.range(pages)

    def line_page(self, pages, name, *words):
        first, last = self.range(pages)
        numbers = {k: int(v, 0) for k, v in (w.split("=") for w in words if "=" in w)}
        kind = eras.Kind(name, frozenset(w for w in words if "=" not in w),
                         **{k: v for k, v in numbers.items() if k != "count"})
        step = 1 << kind.order
        if first % step or (last + 1 - first) % step and last != first:
            raise ValueError(f"pages {pages}: not whole blocks of {step}")
        last = first + numbers.get("count", max(1, (last + 1 - first) // step)) * step - 1
        self.blocks += [Block(p, step, kind) for p in range(first, last + 1, step)]

    def is_zero(self, pfn):
        return any(a <= pfn <= b for a, b in self.zero)

    def pages(self):
        """All page frames of ram."""
        return [pfn for first, last in self.ram for pfn in range(first, last + 1)]


class Image:
    """
    One machine of TEXT in ERA. levels: of the page table. vmemmap: "2m", "4k", "1g": how struct
    pages are mapped; "direct": there is no vmemmap (SPARSEMEM without it). sme: a bit of page table
    entries is no address. seed: of the noise in pages.
    """

    def __init__(self, text, era, levels=4, vmemmap="2m", sme=False, seed=1):
        self.text, self.era = text, eras.ERAS[era] if isinstance(era, str) else era
        self.levels, self.vmemmap, self.seed = levels, vmemmap, seed
        self.mask = SME_MASK if sme else 0
        self.memory = Memory()
        self.symbols, self.facts = {}, []
        self.pool_next = text.pool[0] * PAGE
        self.data_next = text.image[0] * PAGE + HUGE    # data of the image: its second 2 MiB
        self.sections = sorted({pfn // SECTION_PAGES for pfn in text.pages()})
        self.struct_pages = {}      # section -> its struct pages, physically in one piece
        self.section_paddr = {}
        self.struct_page_frames = []    # page frames that hold struct pages, where these are small
        self.shared = {}            # virtual page of struct pages -> the one that stands for it
        self.build()

    # ---- where things lie ----

    def take(self, pages, to=PAGE):
        """Physical address of so many pages of the pool, aligned to TO."""
        at = elfgen.align(self.pool_next, to)
        self.pool_next = at + pages * PAGE
        if self.pool_next > (self.text.pool[1] + 1) * PAGE:
            raise ValueError("the pool is too small")
        return at

    def direct(self, paddr):
        """The kernel's own address of physical memory."""
        return DIRECT[self.levels] + paddr

    @property
    def phys_base(self):
        return self.text.image[0] * PAGE - (TEXT_VADDR - KERNEL_MAP)

    def image_vaddr(self, paddr):
        return paddr - self.phys_base + KERNEL_MAP

    def symbol(self, name, size=8, to=8, vaddr=None):
        """A variable of the kernel image: its physical address."""
        if vaddr is not None:
            self.symbols[name] = vaddr
            return None
        at = elfgen.align(self.data_next, to)
        self.data_next = at + size
        if self.data_next > (self.text.image[1] + 1) * PAGE:
            raise ValueError("the image is too small")
        self.symbols[name] = self.image_vaddr(at)
        return at

    # ---- building ----

    def build(self):
        self.symbol("_stext", vaddr=TEXT_VADDR)
        root = self.symbol(self.era.root, PAGE, PAGE)
        self.symbol("swapper_pg_dir", vaddr=self.symbols[self.era.root])
        self.tables = Tables(self.memory, self.take, self.levels, root, self.mask)
        self.fill_struct_pages()
        self.place_struct_pages()
        self.make_sections()
        self.make_uts()
        self.make_nodes()
        self.make_stack()
        if self.era.log == "prb":
            self.make_ringbuffer()
        else:
            self.make_records()
        self.map_image()
        for first, last in self.text.ram:
            for at in range(first * PAGE // GIANT, last * PAGE // GIANT + 1):
                self.tables.map(self.direct(at * GIANT), at * GIANT, GIANT)
        self.fill_pages()

    def map_image(self):
        """Text in one large page, the rest in small ones, as far as it is used."""
        start = self.text.image[0] * PAGE
        self.tables.map(TEXT_VADDR, start, HUGE)
        self.tables.map_range(TEXT_VADDR + HUGE, start + HUGE,
                              elfgen.align(self.data_next - start - HUGE, PAGE), PAGE)
        self.memory.write(start, b"\x0f\x1f\x44\x00\x00 synthetic text ")

    def vmemmap_vaddr(self, pfn):
        """The address of a struct page."""
        section = pfn // SECTION_PAGES
        if self.vmemmap == "direct":
            return self.direct(self.section_paddr[section] + pfn % SECTION_PAGES * 64)
        return VMEMMAP[self.levels] + pfn * 64

    def set_struct_page(self, pfn, raw):
        at = pfn % SECTION_PAGES * 64
        self.struct_pages[pfn // SECTION_PAGES][at:at + 64] = raw

    def fill_struct_pages(self):
        kernel = eras.pack(self.era, eras.Fields())
        for section in self.sections:
            self.struct_pages[section] = bytearray(SECTION_PAGES * 64)
        self.reserve_struct_pages()
        for first, last in self.text.ram:
            for pfn in range(first, last + 1):
                self.set_struct_page(pfn, kernel)
        reserved = eras.pack(self.era, eras.head_page(self.era, eras.Kind("reserved"), 0))
        for pfn in range(self.text.image[0], self.text.image[1] + 1):
            self.set_struct_page(pfn, reserved)
        for block in self.text.blocks:
            self.fill_block(block)

    def reserve_struct_pages(self):
        """Take memory for them: the addresses of tails' heads depend on it."""
        for i, section in enumerate(self.sections):
            if self.vmemmap == "1g":    # all of vmemmap in one giant page, at the first full GiB
                self.section_paddr[section] = GIANT + section * HUGE
            elif self.vmemmap == "4k":
                self.section_paddr[section] = None
            else:
                self.section_paddr[section] = self.take(HUGE // PAGE, HUGE)

    def fill_block(self, block):
        """The struct pages of a block: head and tails, or free pages behind the first one."""
        era, kind = self.era, block.kind
        self.set_struct_page(block.first, eras.pack(era, eras.head_page(era, kind, block.first)))
        if not kind.compound:   # free: the others say nothing
            for i in range(1, block.nr):
                self.set_struct_page(block.first + i, eras.pack(era, eras.Fields(refcount=0)))
            return
        head = self.vmemmap_vaddr(block.first) if self.vmemmap != "4k" else \
            VMEMMAP[self.levels] + block.first * 64
        for i in range(1, block.nr):
            self.set_struct_page(block.first + i,
                                 eras.pack(era, eras.tail_page(era, kind, head, i)))
        if kind.has("hvo") and self.vmemmap == "4k":
            self.share_tails(block)

    def share_tails(self, block):
        """HVO: all virtual pages of this block's struct pages are one; before v7.1 the first."""
        first = block.first * 64 // PAGE
        count = block.nr * 64 // PAGE
        keep = 1 if self.era.mask_in_tails else 0
        for page in range(first + keep + 1, first + count):
            self.shared[page] = first + keep
        if keep:    # the page that stands for all has nothing but tails of no block in it
            kind = eras.Kind("hugetlb", order=block.kind.order)
            plain = eras.pack(self.era, eras.tail_page(self.era, kind, 0, 3))
            for i in range(64, 128):
                self.set_struct_page(block.first + i, plain)

    def place_struct_pages(self):
        for section, data in self.struct_pages.items():
            if self.vmemmap == "4k":
                self.place_small(section, data)
                continue
            paddr = self.section_paddr[section]
            self.memory.write(paddr, data)
            vaddr = VMEMMAP[self.levels] + section * HUGE
            if self.vmemmap == "2m":
                self.tables.map(vaddr, paddr, HUGE)
        if self.vmemmap == "1g":
            self.tables.map(VMEMMAP[self.levels], GIANT, GIANT)

    def place_small(self, section, data):
        """Pages of struct pages one by one, only where there is memory that they describe."""
        base = section * SECTION_PAGES * 64 // PAGE
        needed = sorted({pfn * 64 // PAGE for first, last in self.text.ram
                         for pfn in range(first, last + 1) if pfn // SECTION_PAGES == section})
        placed = {}
        for page in needed:
            real = self.shared.get(page, page)
            if real not in placed:
                placed[real] = self.take(1)
                self.struct_page_frames.append(placed[real] // PAGE)
                at = (real - base) * PAGE
                self.memory.write(placed[real], data[at:at + PAGE])
            self.tables.map(VMEMMAP[self.levels] + page * PAGE, placed[real], PAGE)

    def make_sections(self):
        """SPARSEMEM_EXTREME: an array of roots, each a page of struct mem_section."""
        era, physical_bits = self.era, 46 if self.levels == 4 else 52
        per_root = PAGE // era.section_size
        roots = (1 << physical_bits - SECTION_BITS) // per_root
        if era.sections == "array":
            array = self.symbol("mem_section", roots * 8, PAGE)
        else:
            array = self.take(elfgen.align(roots * 8, PAGE) // PAGE)
            if era.sections == "value":
                self.symbol("mem_section", vaddr=self.direct(array))
            else:
                self.memory.word(self.symbol("mem_section"), self.direct(array))
        self.section_array, self.section_roots = array, []
        for section in self.sections:
            slot = array + section // per_root * 8
            root = struct.unpack("<Q", self.memory.read(slot, 8))[0]
            if not root:
                root = self.direct(self.take(1))
                self.section_roots.append(root - self.direct(0))
                self.memory.word(slot, root)
            coded = VMEMMAP[self.levels] if self.vmemmap != "direct" else \
                self.vmemmap_vaddr(section * SECTION_PAGES) - section * SECTION_PAGES * 64
            self.memory.word(root - self.direct(0) + section % per_root * era.section_size,
                             coded | 0x1f if era.section_size == 16 else coded | 7)
        self.facts += [f"LENGTH(mem_section)={roots}", f"SIZE(mem_section)={era.section_size}",
                       "OFFSET(mem_section.section_mem_map)=0",
                       f"NUMBER(SECTION_SIZE_BITS)={SECTION_BITS}",
                       f"NUMBER(MAX_PHYSMEM_BITS)={physical_bits}"]

    @property
    def release(self):
        return self.era.name + ".0-synthetic"

    def make_uts(self):
        at = self.symbol("init_uts_ns", 512)
        names = ("Linux", "crashed", self.release, "#1 SMP synthetic", "x86_64", "(none)")
        for i, name in enumerate(names):
            self.memory.write(at + 4 + 65 * i, name.encode())
        self.facts.append("OFFSET(uts_namespace.name)=4")

    def free_pages(self):
        return sum(b.nr for b in self.text.blocks if b.kind.name == "free" and b.kind.raw is None)

    def make_nodes(self):
        """One node of three zones; the counters tell how much is free."""
        pgdat = self.take(2)
        at = self.symbol("node_data", 64 * 8)
        self.memory.word(at, self.direct(pgdat))
        self.memory.write(pgdat + 0x1000, struct.pack("<I", 3))
        self.zone_free = pgdat + 0x400 + 0x100
        self.tell_free(self.free_pages())
        self.facts += ["LENGTH(node_data)=64", "SIZE(zone)=1024", "SIZE(pglist_data)=8192",
                       "OFFSET(pglist_data.node_zones)=0", "OFFSET(pglist_data.nr_zones)=4096",
                       "OFFSET(zone.vm_stat)=256", "OFFSET(zone.free_area)=512",
                       "LENGTH(zone.free_area)=11", "NUMBER(NR_FREE_PAGES)=0"]

    def make_stack(self):
        self.stack = self.take(4, 4 * PAGE)
        self.memory.write(self.stack + 0x3000, b"frames of a stack " * 8)

    def log_lines(self):
        return [(ts, text.format(release=self.release).encode()) for ts, text in LOG]

    def make_ringbuffer(self):
        """Three rings (kernel/printk/printk_ringbuffer.h); 32 records, 4 KiB of text."""
        bits, text_bits = 5, 12
        count = 1 << bits
        descs, infos, text = self.take(1), self.take(1), self.take(1)
        ring = self.symbol("printk_rb_static", 88)
        self.memory.word(self.symbol("prb"), self.symbols["printk_rb_static"])
        self.memory_of_log = text
        first_id, pos = (1 << 62) - count, (1 << 64) - (1 << text_bits)
        for i in range(count):  # never used yet: reusable
            self.memory.word(descs + 24 * i, 3 << 62 | i)
        for i, (ts, line) in enumerate(self.log_lines()):
            record, size = first_id + i, elfgen.align(8 + len(line), 8)
            at = pos % (1 << text_bits)
            self.memory.write(text + at, struct.pack("<Q", record) + line)
            self.memory.write(descs + 24 * i, struct.pack(
                "<QQQ", 2 << 62 | record, pos, (pos + size) % (1 << 64)))
            self.memory.write(infos + 88 * i, struct.pack("<QQHBBI", i, ts, len(line), 0, 0, 1))
            pos += size
        self.memory.write(ring, struct.pack("<I4xQQQQ", bits, self.direct(descs),
                                            self.direct(infos), first_id + i, first_id))
        self.memory.write(ring + 48, struct.pack("<I4xQ", text_bits, self.direct(text)))
        self.symbol("clear_seq", 24)
        self.facts += RING_FACTS

    def make_records(self):
        """struct printk_log in one buffer (Linux 3.5 to 5.9)."""
        buffer, at = self.take(2), 0
        self.memory_of_log = buffer
        for ts, line in self.log_lines():
            size = elfgen.align(16 + len(line), 4)
            self.memory.write(buffer + at, struct.pack("<QHHHBB", ts, size, len(line), 0, 0, 6) +
                              line)
            at += size
        self.memory.word(self.symbol("log_buf"), self.direct(buffer))
        for name, value in (("log_buf_len", 2 * PAGE), ("log_first_idx", 0), ("log_next_idx", at),
                            ("clear_idx", 0)):
            self.memory.write(self.symbol(name), struct.pack("<I", value))
        self.facts += ["SIZE(printk_log)=16", "OFFSET(printk_log.ts_nsec)=0",
                       "OFFSET(printk_log.len)=8", "OFFSET(printk_log.text_len)=10"]

    # ---- contents of the other pages ----

    def content(self, pfn):
        """What stands in a page that the text lists: text that names it, or noise."""
        if self.text.is_zero(pfn):
            return bytes(PAGE)
        if pfn % 8 == 5:
            return random.Random(f"{self.seed} {pfn}").randbytes(PAGE)
        return (f"page {pfn:#x} seed {self.seed} " * 3).encode()

    def fill_pages(self):
        for block in self.text.blocks:
            for pfn in range(block.first, block.first + block.nr):
                if pfn not in self.memory.frames and not self.text.is_zero(pfn):
                    self.memory.write(pfn * PAGE, self.content(pfn))

    def struct_page_paddr(self, pfn):
        """Where in physical memory a struct page is; not for struct pages in small pages."""
        return self.section_paddr[pfn // SECTION_PAGES] + pfn % SECTION_PAGES * 64

    def lie(self, pfn, kind, also=()):
        """Overwrite a struct page: it is of KIND, has the flags ALSO, and the text is wrong."""
        f = eras.head_page(self.era, kind, pfn)
        f.flags |= eras.flag_mask(self.era, *also)
        self.memory.write(self.struct_page_paddr(pfn), eras.pack(self.era, f))

    def lie_order(self, pfn, kind):
        """The struct page after that of PFN tells the order of KIND as a tail would, but is none."""
        f = eras.Fields()
        eras.first_tail(self.era, kind, f)
        self.memory.write(self.struct_page_paddr(pfn + 1), eras.pack(self.era, f))

    def tell_free(self, pages):
        """Let the zone counter say so."""
        self.memory.word(self.zone_free, pages)

    def page(self, pfn):
        """The memory of a page of ram."""
        return bytes(self.memory.frames.get(pfn, bytes(PAGE)))

    # ---- what must come out ----

    def kept(self, level):
        """Page frames that a dump of LEVEL holds, by the text alone."""
        gone = set()
        for block in self.text.blocks:
            if eras.dropped(self.era, block.kind, level):
                gone.update(range(block.first, block.first + block.nr))
        return [pfn for pfn in self.text.pages() if pfn not in gone]

    # ---- VMCOREINFO and the file ----

    def vmcoreinfo(self):
        era = self.era
        lines = [f"OSRELEASE={self.release}", "BUILD-ID=" + "5a" * 20, "PAGESIZE=4096"]
        lines += [f"SYMBOL({name})={vaddr:x}" for name, vaddr in self.symbols.items()]
        lines += eras.page_facts(era) + self.facts
        lines += ["SIZE(list_head)=16", "OFFSET(list_head.next)=0", "OFFSET(list_head.prev)=8"]
        if era.hugetlb == "symbol":
            lines.append(f"SYMBOL(free_huge_page)={eras.FREE_HUGE_PAGE:x}")
        if era.phys_base:
            lines.append(f"NUMBER(phys_base)={self.phys_base}")
        if era.levels_known:
            lines.append(f"NUMBER(pgtable_l5_enabled)={self.levels - 4}")
        lines += [f"KERNELOFFSET={KERNEL_OFFSET:x}", "NUMBER(KERNEL_IMAGE_SIZE)=1073741824"]
        if self.mask or era.levels_known:
            lines.append(f"NUMBER(sme_mask)={self.mask}")
        return lines + ["CRASHTIME=1700000000"]

    def notes(self, lines=None):
        text = "".join(line + "\n" for line in (self.vmcoreinfo() if lines is None else lines))
        kernel_sp = self.direct(self.stack) + 0x3a90
        return [("CORE", 1, elfgen.prstatus("<", 1, rip=TEXT_VADDR + 16, rsp=kernel_sp, rbp=7)),
                ("CORE", 1, elfgen.prstatus("<", 279, rip=0x401c8c, rsp=0x7ffd7cae2450)),
                ("LINUX", 0x700, b"a device dump that must come through" * 9),
                ("VMCOREINFO", 0, text.encode("latin-1"))]

    def note_bytes(self, lines=None):
        return b"".join(elfgen.note("<", *n) for n in self.notes(lines))

    def offset(self, paddr):
        """Where in the file a byte of memory lies."""
        at = DATA_OFF
        for first, last in self.text.ram:
            if first * PAGE <= paddr < (last + 1) * PAGE:
                return at + paddr - first * PAGE
            at += (last + 1 - first) * PAGE
        raise ValueError(f"no memory at {paddr:#x}")

    def core(self, notes_len):
        """The headers: notes, the kernel text once more, ram."""
        start = self.text.image[0] * PAGE
        length = (self.text.image[1] + 1) * PAGE - start
        core = elfgen.Core()
        core.segments = [
            elfgen.Segment(elfgen.PT_NOTE, NOTES_OFF, 0, 0, notes_len, notes_len),
            elfgen.Segment(elfgen.PT_LOAD, self.offset(start), TEXT_VADDR, start, length, length)]
        for first, last in self.text.ram:
            size = (last + 1 - first) * PAGE
            core.segments.append(elfgen.Segment(
                elfgen.PT_LOAD, self.offset(first * PAGE), self.direct(first * PAGE),
                first * PAGE, size, size))
        return core

    def write(self, path, lines=None):
        with open(path, "wb") as f:
            for first, last in self.text.ram:
                at = self.offset(first * PAGE)
                for pfn in sorted(p for p in self.memory.frames if first <= p <= last):
                    f.seek(at + (pfn - first) * PAGE)
                    f.write(self.memory.frames[pfn])
                f.truncate(at + (last + 1 - first) * PAGE)
        self.write_notes(path, lines)

    def write_notes(self, path, lines=None):
        """Put other VMCOREINFO lines into a file that is there already."""
        notes = self.note_bytes(lines)
        if len(notes) > NOTES_ROOM:
            raise ValueError("too many notes")
        with open(path, "r+b") as f:
            for offset, data in self.core(len(notes)).tables():
                f.seek(offset)
                f.write(data)
            f.seek(NOTES_OFF)
            f.write(notes.ljust(NOTES_ROOM, b"\0"))


RING_FACTS = """SIZE(printk_ringbuffer)=88
OFFSET(printk_ringbuffer.desc_ring)=0
OFFSET(printk_ringbuffer.text_data_ring)=48
OFFSET(printk_ringbuffer.fail)=80
SIZE(prb_desc_ring)=48
OFFSET(prb_desc_ring.count_bits)=0
OFFSET(prb_desc_ring.descs)=8
OFFSET(prb_desc_ring.infos)=16
OFFSET(prb_desc_ring.head_id)=24
OFFSET(prb_desc_ring.tail_id)=32
SIZE(prb_desc)=24
OFFSET(prb_desc.state_var)=0
OFFSET(prb_desc.text_blk_lpos)=8
SIZE(prb_data_blk_lpos)=16
OFFSET(prb_data_blk_lpos.begin)=0
OFFSET(prb_data_blk_lpos.next)=8
SIZE(printk_info)=88
OFFSET(printk_info.seq)=0
OFFSET(printk_info.ts_nsec)=8
OFFSET(printk_info.text_len)=16
OFFSET(printk_info.caller_id)=20
SIZE(prb_data_ring)=32
OFFSET(prb_data_ring.size_bits)=0
OFFSET(prb_data_ring.data)=8
OFFSET(prb_data_ring.head_lpos)=16
OFFSET(prb_data_ring.tail_lpos)=24
SIZE(atomic_long_t)=8
OFFSET(atomic_long_t.counter)=0
SIZE(latched_seq)=24
OFFSET(latched_seq.val)=8""".split("\n")


def main():
    """For looking at one by hand: kimage.py TEXT ERA OUT [levels=5] [vmemmap=4k] [sme=1]."""
    import sys
    options = dict(word.split("=") for word in sys.argv[4:])
    image = Image(Text(sys.argv[1]), sys.argv[2], levels=int(options.get("levels", 4)),
                  vmemmap=options.get("vmemmap", "2m"), sme="sme" in options)
    image.write(sys.argv[3])
    print(os.path.getsize(sys.argv[3]), "bytes;", len(image.kept(31)), "pages at level 31")


if __name__ == "__main__":
    main()
