# SPDX-License-Identifier: GPL-2.0-or-later
"""A plain reader of 64-bit little-endian ELF cores by physical page: the source, seen with other eyes."""
import mmap
import struct

PT_LOAD = 1


class Core:
    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
        if self.data[:6] != b"\x7fELF\x02\x01":
            raise ValueError(f"{path}: no 64-bit little-endian ELF file")
        self.phoff, = struct.unpack_from("<Q", self.data, 32)
        size, count = struct.unpack_from("<HH", self.data, 54)
        self.loads = []
        for i in range(count):
            kind, _, off, _, paddr, filesz, _, _ = struct.unpack_from("<IIQQQQQQ", self.data, self.phoff + i * size)
            if kind == PT_LOAD and filesz:
                self.loads.append((paddr, paddr + filesz, off))

    def page(self, pfn, size=4096):
        """The bytes of a page, zeros where no segment has them; None when none has any."""
        start, end = pfn * size, (pfn + 1) * size
        page, any_bytes = bytearray(size), False
        for low, high, off in self.loads:
            a, b = max(start, low), min(end, high)
            if a < b:
                page[a - start:b - start] = self.data[off + a - low:off + b - low]
                any_bytes = True
        return bytes(page) if any_bytes else None

    def edges(self, size=4096):
        """Page frames that a segment covers in part."""
        return {address // size for low, high, _ in self.loads for address in (low, high) if address % size}
