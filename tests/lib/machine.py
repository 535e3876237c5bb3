# SPDX-License-Identifier: GPL-2.0-or-later
"""Machines of any architecture as text, tests/data/model-*.txt: struct pages in, kept sets out.

Word size, byte order, page size, page tables, the memory model and struct page itself all come from the
text, whose lines tests/data/README documents: nothing here knows a kernel or a CPU.
"""
import elfgen
from tables import Tables

number = elfgen.number


def span(text):
    """FIRST[-LAST] as a range."""
    first, _, last = text.partition("-")
    return range(number(first), number(last or first) + 1)


class Machine(Tables):
    """Memory with struct pages and lists of them; see Tables for the rest."""

    def __init__(self, path):
        self.frames, self.members, self.flags, self.size = {}, {}, {}, 0
        self.arrays, self.gone, self.lists, self.told, self.model = [], [], {}, [], None
        super().__init__(path)

    # ---- memory ----

    @property
    def word(self):
        return self.core.bits // 8

    def write(self, paddr, value, width):
        """A number in the machine's byte order; it does not cross a page."""
        pfn, off = divmod(paddr, self.page_size)
        frame = self.frames.setdefault(pfn, bytearray(self.page_size))
        frame[off:off + width] = (value % (1 << 8 * width)).to_bytes(
            width, {"<": "little", ">": "big"}[self.core.order])

    def write_bytes(self, paddr, data):
        for i, byte in enumerate(data):
            self.write(paddr + i, byte, 1)

    def page(self, pfn):
        page = bytearray(self.frames.get(pfn) or bytes(self.page_size))
        for at, byte in self.entries.get(pfn, {}).items():
            page[at] = byte
        return bytes(page)

    def paddr(self, vaddr):
        """Where the PT_LOADs have it."""
        for load in self.loads:
            if load.vaddr is not None and 0 <= vaddr - load.vaddr < load.end - load.start:
                return load.start + vaddr - load.vaddr
        raise ValueError(f"{self.name}: no memory at {vaddr:#x}")

    def line_entries(self, count, at, width, value, step):
        """So many entries one after another, each STEP more than the one before."""
        for i in range(number(count)):
            self.line_entry(str(number(at) + i * number(width)), width,
                            str(number(value) + i * number(step)))

    def line_string(self, at, text):
        for i, byte in enumerate(text.encode()):
            self.line_entry(str(number(at) + i), "1", str(byte))

    # ---- struct page ----

    def told_name(self, name):
        """The name without the sign of what VMCOREINFO does not tell, and whether it does."""
        return name.lstrip("-"), not name.startswith("-")

    def line_struct(self, size, *members):
        self.size = number(size)
        self.info.append(f"SIZE(page)={self.size}")
        for word in members:
            name, _, place = word.partition("=")
            name, is_told = self.told_name(name)
            self.members[name] = tuple(map(number, place.split(":")))
            if is_told:
                self.info.append(f"OFFSET(page.{name})={self.members[name][0]}")

    def line_flags(self, *words):
        for word in words:
            name, _, bit = word.partition("=")
            name, is_told = self.told_name(name)
            self.flags[name] = number(bit)
            if is_told and name == "head":
                self.info.append(f"NUMBER(PG_head_mask)={1 << number(bit)}")
            elif is_told:
                self.info.append(f"NUMBER(PG_{name})={bit}")

    def line_array(self, pages, paddr, vaddr):
        pages = span(pages)
        self.arrays.append((pages, number(paddr), number(vaddr)))

    def struct_page(self, pfn):
        """Physical and virtual address of a struct page: by the last array that has it."""
        for pages, paddr, vaddr in reversed(self.arrays):
            if pfn in pages:
                off = (pfn - pages[0]) * self.size
                return paddr + off, vaddr + off
        raise ValueError(f"{self.name}: page {pfn:#x} has no struct page")

    def value(self, text, head):
        """A sum of numbers, flags and "first", the address of the struct page of page HEAD."""
        total = 0
        for term in text.split("+"):
            if term == "first":
                total += self.struct_page(head)[1]
            elif term in self.flags:
                total += 1 << self.flags[term]
            else:
                total += number(term)
        return total

    def set_member(self, pfn, name, value):
        off, width = self.members[name] if name in self.members else map(number, name.split(":"))
        at = self.struct_page(pfn)[0] + off
        if at // self.page_size == (at + width - 1) // self.page_size:
            self.write(at, value, width)
        else:
            self.write_bytes(at, (value % (1 << 8 * width)).to_bytes(
                width, {"<": "little", ">": "big"}[self.core.order]))

    def line_pages(self, pages, *words):
        """What stands in the struct pages of a range; each=N, from=I, to=J: in those of each block."""
        pages, values = span(pages), dict(word.split("=") for word in words)
        each = number(values.pop("each", "1"))
        first, last = number(values.pop("from", "0")), number(values.pop("to", str(each - 1)))
        for head in pages[::each]:
            wanted = [(name, self.value(text, head)) for name, text in values.items()]
            for pfn in range(head + first, head + last + 1):
                for name, value in wanted:
                    self.set_member(pfn, name, value)

    # ---- free lists ----

    def line_heads(self, vaddr, orders, stride, types):
        """zone.free_area at VADDR: empty lists."""
        for order in range(number(orders)):
            for kind in range(number(types)):
                head = number(vaddr) + order * number(stride) + kind * 2 * self.word
                self.link([head])

    def link(self, nodes):
        """A circular list of NODES, (physical, virtual) or a virtual address."""
        nodes = [n if isinstance(n, tuple) else (self.paddr(n), n) for n in nodes]
        for i, (at, _) in enumerate(nodes):
            self.write_word(at, nodes[(i + 1) % len(nodes)][1])
            self.write_word(at + self.word, nodes[i - 1][1])

    def write_word(self, paddr, value):
        """May cross a page, as a member of a struct page of odd size does."""
        data = (value % (1 << 8 * self.word)).to_bytes(
            self.word, {"<": "little", ">": "big"}[self.core.order])
        self.write_bytes(paddr, data)

    def element(self, pfn):
        """Where the list element of a page is."""
        off = self.members["lru"][0]
        return tuple(at + off for at in self.struct_page(pfn))

    def line_list(self, vaddr, order, *pages):
        """The list whose head is at VADDR has blocks of ORDER, in the order of PAGES."""
        order = number(order)
        blocks = [pfn for text in pages for pfn in span(text)[::1 << order]]
        self.lists[number(vaddr)] = (order, blocks)
        self.link([number(vaddr)] + [self.element(pfn) for pfn in blocks])

    # ---- what must come out ----

    def line_gone(self, levels, *pages):
        """What a level that has one of the bits LEVELS leaves out; 32: every level."""
        self.gone += [(number(levels), span(text)) for text in pages]

    def line_model(self, name):
        """The memory model that the program must find."""
        self.model = name

    def line_told(self, text):
        """A part of a warning at level 31; there are no others."""
        self.told.append(text)

    def pages(self):
        """All page frames there are."""
        return {pfn for load in self.loads
                for pfn in range(load.start // self.page_size, load.end // self.page_size)}

    def kept(self, level):
        return self.pages() - {pfn for bits, pages in self.gone if bits & (level | 32)
                               for pfn in pages}


def main():
    """For looking at one by hand: machine.py TEXT OUT."""
    import sys
    machine = Machine(sys.argv[1])
    machine.build(sys.argv[2])
    print(len(machine.pages()), "pages;", len(machine.kept(31)), "at level 31")


if __name__ == "__main__":
    main()
