# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel's table of symbols as scripts/kallsyms.c writes it: names by tokens, addresses in one of the
conventions, everything aligned to a long.

The order up to 6.3 (addresses or offsets and base, number, names, markers, tokens, index), by which it is
found where VMCOREINFO does not tell."""
import struct

CONVENTIONS = ("addresses", "base", "percpu", "place")
WORDS = ("init_", "task", "symbol_", "sys_", "ing", "er", "__", "page", "list", "read", "write", "lock")


def tokens():
    """256 texts: each character is one, codes that are none in names are words."""
    words = iter(WORDS)
    return ["" if i >= 128 or not i else chr(i) if chr(i).isalnum() or chr(i) in "_.$?" else next(words, "")
            for i in range(256)]


class Table:
    """Of SYMBOLS, (address, kind, name), which it sorts by address."""

    def __init__(self, symbols, order="<", word=8, convention="base", base=None):
        self.symbols, self.order, self.word = sorted(symbols), order, word
        self.convention = convention
        self.base = base if base is not None else self.symbols[0][0]
        self.tokens = tokens()
        self.by_text = {text: i for i, text in enumerate(self.tokens) if len(text) > 1}

    def compress(self, text):
        codes, at = [], 0
        while at < len(text):
            best = max((word for word in self.by_text if text.startswith(word, at)), key=len, default=None)
            codes.append(self.by_text[best] if best else ord(text[at]))
            at += len(best or " ")
        head = [len(codes)] if len(codes) < 128 else [len(codes) & 0x7f | 0x80, len(codes) >> 7]
        return bytes(head + codes)

    def number(self, addr, at):
        if self.convention == "addresses":
            return struct.pack(self.order + ("Q" if self.word == 8 else "I"), addr)
        value = {"base": addr - self.base,
                 "percpu": addr if addr < 1 << 31 else self.base - 1 - addr,
                 "place": addr - at}[self.convention]
        return struct.pack(self.order + "I", value & 0xffffffff)

    def build(self, at):
        """Its bytes at address AT, and {symbol: address}."""
        blob, where = bytearray(), {}

        def put(name, data):
            blob.extend(bytes(-len(blob) % self.word))
            where["kallsyms_" + name] = at + len(blob)
            blob.extend(data)

        def pack(form, *values):
            return struct.pack(f"{self.order}{len(values)}{form}", *values)

        width = self.word if self.convention == "addresses" else 4
        put("addresses" if self.convention == "addresses" else "offsets",
            b"".join(self.number(addr, at + width * i) for i, (addr, _, _) in enumerate(self.symbols)))
        if self.convention != "addresses":
            put("relative_base", pack("Q" if self.word == 8 else "I", self.base))
        put("num_syms", pack("I", len(self.symbols)))
        names, markers = b"", []
        for i, (_, kind, name) in enumerate(self.symbols):
            if i % 256 == 0:
                markers.append(len(names))
            names += self.compress(kind + name)
        put("names", names)
        put("markers", pack("I", *markers))
        text = "".join(token + "\0" for token in self.tokens).encode()
        put("token_table", text)
        put("token_index", pack("H", *(len("\0".join(self.tokens[:i])) + bool(i) for i in range(256))))
        return bytes(blob), where


def vmcoreinfo(where):
    return "".join(f"SYMBOL({name})={at:x}\n" for name, at in where.items() if name != "kallsyms_markers")
