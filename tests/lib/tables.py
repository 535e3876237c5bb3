# SPDX-License-Identifier: GPL-2.0-or-later
"""Page tables out of descriptions as text: tests/data/vtop-*.txt, whose lines tests/data/README documents."""
import elfgen


class Tables(elfgen.Description):
    """Memory of zeros but for the entries of page tables, and what addresses translate to."""

    def __init__(self, path):
        self.info, self.entries, self.vtops, self.refused = [], {}, [], False
        super().__init__(path)
        if self.info:
            self.notes.append(("VMCOREINFO", 0, "".join(line + "\n" for line in self.info).encode()))

    def line_vmcoreinfo(self, *lines):
        self.info += lines

    def line_memory(self, start, size, vaddr=None):
        at = elfgen.number(start)
        self.loads.append(elfgen.Load(at, at + elfgen.number(size), at + elfgen.number(size),
                                      vaddr=elfgen.number(vaddr) if vaddr else None))

    def line_entry(self, at, width, value, order=None):
        at, width = elfgen.number(at), elfgen.number(width)
        order = order or {"<": "little", ">": "big"}[self.core.order]
        data = (elfgen.number(value) & (1 << 8 * width) - 1).to_bytes(width, order)
        for i, byte in enumerate(data):
            self.entries.setdefault((at + i) // self.page_size, {})[(at + i) % self.page_size] = byte

    def line_vtop(self, vaddr, sign, paddr=None, size=None):
        if sign == "=":
            self.vtops.append((elfgen.number(vaddr), elfgen.number(paddr),
                               elfgen.number(size) if size else None))
        else:
            self.vtops.append((elfgen.number(vaddr), None, None))

    def page(self, pfn):
        page = bytearray(self.page_size)
        for at, byte in self.entries.get(pfn, {}).items():
            page[at] = byte
        return bytes(page)


setattr(Tables, "line_entry-be", lambda self, *words: Tables.line_entry(self, *words, "big"))
