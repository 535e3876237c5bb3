# SPDX-License-Identifier: GPL-2.0-or-later
"""BTF (Documentation/bpf/btf.rst) of a few types, as pahole writes it for a kernel.

A structure is a list of members (name, byte offset, type); a type is a number that an earlier call
returned. from_facts() makes structures of VMCOREINFO lines."""
import re
import struct

INT, PTR, ARRAY, STRUCT, UNION, ENUM = range(1, 7)


class Types:
    def __init__(self, order="<"):
        self.order, self.types, self.nr = order, b"", 0
        self.strings = b"\0"
        self.number = {}
        for name, size in (("char", 1), ("short", 2), ("int", 4), ("long", 8)):
            self.add(name, INT, size, self.pack("I", 8 * size))
        self.pointer = self.add("", PTR, 0)

    def pack(self, form, *values):
        return struct.pack(self.order + form, *values)

    def string(self, text):
        if not text:
            return 0
        at = len(self.strings)
        self.strings += text.encode() + b"\0"
        return at

    def add(self, name, kind, size, more=b"", vlen=0):
        self.types += self.pack("III", self.string(name), kind << 24 | vlen, size) + more
        self.nr += 1
        if name:
            self.number[name] = self.nr
        return self.nr

    def array(self, of, nr):
        return self.add("", ARRAY, 0, self.pack("III", of, self.number["int"], nr))

    def compound(self, name, size, members, kind=STRUCT):
        rows = b"".join(self.pack("III", self.string(n), t, 8 * off) for n, off, t in members)
        return self.add(name, kind, size, rows, len(members))

    def enum(self, name, values):
        rows = b"".join(self.pack("Ii", self.string(n), v) for n, v in values)
        return self.add(name, ENUM, 4, rows, len(values))

    def blob(self):
        """All of it; the kernel's has more strings than a page holds, and is told by that."""
        strings = self.strings + b"filler\0" * 700
        return self.pack("HBBIIIII", 0xeb9f, 1, 0, 24, 0, len(self.types), len(self.types),
                         len(strings)) + self.types + strings


def from_facts(lines, order="<"):
    """Structures, arrays and enumerators as the lines of a VMCOREINFO tell them."""
    types, members, sizes, lengths, numbers = Types(order), {}, {}, {}, []
    for line in lines:
        found = re.fullmatch(r"(OFFSET|SIZE|LENGTH|NUMBER)\((\w+)(?:\.(\w+))?\)=(-?\d+)", line)
        if not found:
            continue
        kind, name, member, value = *found.groups()[:3], int(found[4])
        if kind == "OFFSET" and member:
            members.setdefault(name, {})[member] = value
        elif kind == "SIZE":
            sizes[name] = value
        elif kind == "LENGTH" and member:
            lengths[name, member] = value
        elif kind == "NUMBER" and name.startswith("PG_") and name != "PG_head_mask":
            numbers.append((name, value))
    for name in dict.fromkeys((*members, *sizes)):
        rows = [(m, off, types.array(types.number["char"], lengths[name, m])
                 if (name, m) in lengths else types.number["int"])
                for m, off in members.get(name, {}).items()]
        types.compound(name, sizes.get(name, 4096), rows)
    types.enum("pageflags", numbers)
    return types
