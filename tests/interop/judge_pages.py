#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a dump says about memory, by readers that share nothing with the program.

open_dump(file...) gives a Memory: which pages there are, and their bytes. compare() holds two of
them against each other, check_truth() one against recorded hashes. From the command line:

  judge_pages.py A B              do they hold the same pages?  (a split set: A1,A2)
  judge_pages.py --truth T DUMP   T: truth-pages.json, lines PFN SHA256, or PAT lines of a console
  judge_pages.py DUMP             what is in it

FILE@ADDR is memory without a header that begins at the address ADDR (hexadecimal). Formats: ELF
cores of either class and byte order, kdump-compressed dumps (versions 1 to 6, all three layouts of
their headers, split sets) and flattened streams of them, S390DUMP, Xen dump-core. Written from
descriptions of the formats (gabi; crash diskdump.h; s390-tools zdump; Xen dump-core-format.txt).
"""
import bisect
import ctypes
import hashlib
import json
import mmap
import os
import re
import struct
import sys
import tempfile
import zlib

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kdumpread
from kdumpread import Bad


def mapped(path):
    """All of a file, in such a way that its bytes have an address for C functions."""
    with open(path, "rb") as f:
        return mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_COPY) if os.path.getsize(path) else b""


def written(file, start, end):
    """The parts of a file that are no holes."""
    while start < end:
        try:
            start = max(start, os.lseek(file.fileno(), start, os.SEEK_DATA))
            stop = min(end, os.lseek(file.fileno(), start, os.SEEK_HOLE))
        except OSError:
            return
        if start < stop:
            yield start, stop
        start = stop


class Memory:
    """Pages of memory. spans(): what is there, as ascending pieces [start, end) of addresses."""

    page_size = None    # where the file says it; else 4096 is taken
    holes_are_zeros = False     # without a header: what is not there cannot be told from zeros

    def pages(self, size):
        """Numbers of the pages of SIZE bytes that are there, at least in part; ascending."""
        found, last = [], -1
        for start, end in self.spans():
            first = max(start // size, last + 1)
            last = max(last, (end - 1) // size)
            found += range(first, last + 1)
        return found

    def page(self, number, size):
        """The bytes of one of them; None when the dump says that they could not be had."""
        raise NotImplementedError


class Pieces(Memory):
    """Memory that lies in long pieces of a file: (address, bytes, offset)."""

    def __init__(self, data, pieces):
        self.data = memoryview(data)
        self.pieces = sorted((a, a + n, off) for a, n, off in pieces if n)
        self.starts = [p[0] for p in self.pieces]
        self.widest = max([end - start for start, end, _ in self.pieces], default=0)

    def spans(self):
        """Overlapping pieces joined."""
        joined = []
        for start, end, _ in self.pieces:
            if joined and start <= joined[-1][1]:
                joined[-1][1] = max(end, joined[-1][1])
            else:
                joined.append([start, end])
        return joined

    def page(self, number, size):
        start, end = number * size, (number + 1) * size
        last = bisect.bisect_left(self.starts, end)
        # All pieces that begin before the page ends, back to where none can reach it any more.
        first = bisect.bisect_left(self.starts, start - self.widest)
        for low, high, off in self.pieces[first:last]:
            if low <= start and end <= high:
                return self.data[off + start - low:off + end - low]
        page = bytearray(size)
        for low, high, off in reversed(self.pieces[first:last]):
            a, b = max(start, low), min(end, high)
            if a < b:
                page[a - start:b - start] = self.data[off + a - low:off + b - low]
        return page


class Raw(Pieces):
    """Only what is written of a sparse file counts as there."""

    holes_are_zeros = True

    def __init__(self, path, base):
        with open(path, "rb") as f:
            end = os.path.getsize(path)
            data = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) if end else b""
            super().__init__(data, [(base + a, b - a, a) for a, b in written(f, 0, end)])


class RawSet(Pieces):
    """Several files, each with its address, as one memory."""

    def __init__(self, parts):
        self.parts = sorted((Raw(path, base) for path, base in parts), key=lambda r: r.starts)

    def spans(self):
        return [span for part in self.parts for span in part.spans()]

    def page(self, number, size):
        for part in self.parts:
            for low, high in part.spans():
                if low <= number * size < high:
                    return part.page(number, size)
        return None


class Elf(Pieces):
    def __init__(self, path):
        data = mapped(path)
        wide, self.order = data[4] == 2, ">" if data[5] == 2 else "<"
        kind, self.machine = struct.unpack_from(self.order + "HH", data, 16)
        if kind != 4:
            raise Bad(f"{path}: not a core")
        at, form = (32, "QQ") if wide else (28, "II")
        phoff, shoff = struct.unpack_from(self.order + form, data, at)
        phentsize, count, _, shnum, strings = struct.unpack_from(self.order + "5H", data,
                                                                 54 if wide else 42)
        if count == 0xffff:
            count, = struct.unpack_from(self.order + "I", data, shoff + (44 if wide else 28))
        pieces, self.notes, self.excluded = [], b"", []
        for i in range(count):
            kind, off, paddr, filesz, memsz = self.segment(data, phoff + i * phentsize, wide)
            if kind == 4:
                self.notes += bytes(data[off:off + filesz])
            elif kind == 1 and paddr != (1 << (64 if wide else 32)) - 1:
                pieces.append((paddr, max(0, min(filesz, len(data) - off)), off))
                self.excluded.append((paddr + filesz, paddr + memsz))
        if not count and shnum:
            pieces = self.xen_pages(data, shoff, shnum, strings)
        super().__init__(data, pieces)

    def segment(self, data, at, wide):
        if wide:
            kind, _, off, _, paddr, filesz, memsz = struct.unpack_from(self.order + "IIQQQQQ", data,
                                                                       at)
        else:
            kind, off, _, paddr, filesz, memsz = struct.unpack_from(self.order + "6I", data, at)
        return kind, off, paddr, filesz, memsz

    def xen_pages(self, data, table, count, strings):
        """xl dump-core: the pages in one section, their pseudo-physical numbers in another."""
        at = {}
        names = struct.unpack_from(self.order + "Q", data, table + strings * 64 + 24)[0]
        for i in range(count):
            name, _, _, _, off, size = struct.unpack_from(self.order + "IIQQQQ", data, table + i * 64)
            end = data.find(b"\0", names + name)
            at[bytes(data[names + name:end])] = off, size
        pages = at[b".xen_pages"][0]
        step = 16 if b".xen_p2m" in at else 8
        off, size = at[b".xen_p2m" if step == 16 else b".xen_pfn"]
        pfns = struct.unpack_from(f"{self.order}{size // 8}Q", data, off)[::step // 8]
        return [(pfn * 4096, 4096, pages + i * 4096) for i, pfn in enumerate(pfns)
                if pfn != (1 << 64) - 1]


class S390(Pieces):
    def __init__(self, path):
        data = mapped(path)
        header, _, self.page_size, size = struct.unpack_from(">IIIQ", data, 12)
        super().__init__(data, [(0, size, header)])


# ---- kdump ----

class Codecs:
    """Expand a page that lies at an address of this process."""

    def __init__(self, size):
        self.size, self.out = size, ctypes.create_string_buffer(size)
        self.made = {}

    def library(self, flag):
        if flag not in self.made:
            self.made[flag] = {kdumpread.LZO: self.lzo, kdumpread.SNAPPY: self.snappy,
                               kdumpread.ZSTD: self.zstd}[flag]()
        return self.made[flag]

    def lzo(self):
        call = kdumpread.library("liblzo2.so.2").lzo1x_decompress_safe
        call.argtypes = [ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_void_p,
                         ctypes.c_void_p]
        length = ctypes.c_ulong()

        def expand(address, size):
            length.value = self.size
            return length.value if not call(address, size, self.out, ctypes.byref(length),
                                            None) else -1
        return expand

    def snappy(self):
        call = kdumpread.library("libsnappy.so.1").snappy_uncompress
        call.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p]
        length = ctypes.c_size_t()

        def expand(address, size):
            length.value = self.size
            return length.value if not call(address, size, self.out, ctypes.byref(length)) else -1
        return expand

    def zstd(self):
        lib = kdumpread.library("libzstd.so.1")
        lib.ZSTD_createDCtx.restype = ctypes.c_void_p
        call, context = lib.ZSTD_decompressDCtx, lib.ZSTD_createDCtx()
        call.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p,
                         ctypes.c_size_t]
        call.restype = ctypes.c_size_t
        return lambda address, size: call(context, self.out, self.size, address, size)

    def expand(self, flag, address, size):
        """The page; only good until the next call."""
        if self.library(flag)(address, size) != self.size:
            raise Bad("broken compressed data")
        return self.out


class Kdump(Memory):
    """One file of the diskdump family; which pages a split piece holds is its header's word."""

    def __init__(self, path):
        self.path, self.data = path, mapped(path)
        if self.data[:8] not in (b"KDUMP   ", b"DISKDUMP"):
            raise Bad(f"{path}: no kdump header")
        self.file = open(path, "rb")
        self.layout = self.find_layout()
        self.read_headers()
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.data))
        self.view = memoryview(self.data)
        self.codecs = Codecs(self.page_size)
        self.present = self.bits(1)
        self.existing = self.bits(0)
        if self.split:
            self.present = [p for p in self.present if self.start <= p < self.end]
        self.index = {pfn + self.bias: i for i, pfn in enumerate(self.present)}

    def find_layout(self):
        """Word size, alignment and byte order in which the numbers make sense."""
        fitting = [lay for lay in kdumpread.LAYOUTS if self.fits(lay)]
        machine = bytes(self.data[12 + 4 * 65:12 + 5 * 65]).split(b"\0")[0]
        if len(fitting) > 1 and {lay.word for lay in fitting} == {4}:
            # i386 alone aligns 64-bit members to 4 bytes.
            align = 4 if re.fullmatch(rb"i[3-6]86", machine) else 8
            fitting = [lay for lay in fitting if lay.align == align]
        if len(fitting) != 1:
            raise Bad(f"{self.path}: {len(fitting)} layouts fit the headers")
        return fitting[0]

    def fits(self, lay):
        status, numbers = lay.header()
        version, = struct.unpack_from(lay.order + "i", self.data, 8)
        _, block, sub, bitmap, pages = struct.unpack_from(numbers, self.data, status)[:5]
        if not 0 <= version <= 6 or block < 4096 or block > 1 << 20 or block & (block - 1):
            return False
        if not 1 <= sub <= 1 << 16 or bitmap * block * 8 < pages:
            return False
        if version < 6:
            return True
        members = struct.unpack_from(lay.sub_header(), self.data, block)
        return all(off + size <= len(self.data) for off, size in (members[5:7], members[7:9])) and \
            members[13] & 0xffffffff == pages or not pages

    def read_headers(self):
        lay = self.layout
        status, numbers = lay.header()
        self.version, = struct.unpack_from(lay.order + "i", self.data, 8)
        self.status, self.page_size, sub, self.bitmap_blocks, pages, *_ = struct.unpack_from(
            numbers, self.data, status)
        members = struct.unpack_from(lay.sub_header(), self.data, self.page_size)
        base, self.level, self.split = members[:3]
        self.start, self.end = members[3:5] if self.version < 6 else members[11:13]
        self.max_pfn = pages if self.version < 6 else members[13] or pages
        self.split = self.split and self.version >= 2
        self.first_bitmap = (1 + sub) * self.page_size
        self.table = self.first_bitmap + self.bitmap_blocks * self.page_size
        machine = bytes(self.data[12 + 4 * 65:12 + 5 * 65]).split(b"\0")[0]
        # crash diskdump.h, paddr_to_pfn(): the first page of memory is number 0 on Arm.
        self.bias = base // self.page_size if machine.startswith(b"arm") else 0

    def bits(self, which):
        half = self.bitmap_blocks // 2 * self.page_size
        start, found = self.first_bitmap + which * half, []
        table = [[bit for bit in range(8) if byte >> bit & 1] for byte in range(256)]
        for low, high in written(self.file, start, min(start + half, len(self.data))):
            raw = self.data[low:high]
            for m in re.finditer(rb"[^\0]+", raw, re.DOTALL):
                at = (low + m.start() - start) * 8
                for byte in m.group():
                    found += [at + bit for bit in table[byte]]
                    at += 8
        return found

    def spans(self):
        size, found = self.page_size, []
        for pfn in self.present:
            a = (pfn + self.bias) * size
            if found and found[-1][1] == a:
                found[-1][1] = a + size
            else:
                found.append([a, a + size])
        return found

    def block(self, pfn):
        at = self.table + self.index[pfn] * 24
        off, size, flags, _ = struct.unpack_from(self.layout.order + "qIIQ", self.data, at)
        if not off:
            return None
        if off < 0 or off + size > len(self.data) or size > self.page_size:
            raise Bad(f"{self.path}: page {pfn:#x} lies at {off:#x}, {size} bytes: not in the file")
        if not flags:
            return self.view[off:off + size]
        if flags == kdumpread.ZLIB:
            page = zlib.decompress(self.view[off:off + size], bufsize=self.page_size)
            if len(page) != self.page_size:
                raise Bad(f"{self.path}: page {pfn:#x} has {len(page)} bytes")
            return page
        return self.codecs.expand(flags, self.address + off, size)

    def page(self, number, size):
        if size == self.page_size:
            return self.block(number)
        if size > self.page_size:
            parts = [self.block(p) if p in self.index else bytes(self.page_size) for p in
                     range(number * size // self.page_size, (number + 1) * size // self.page_size)]
            return b"".join(parts) if None not in parts else None
        whole = self.block(number * size // self.page_size)
        at = number * size % self.page_size
        return None if whole is None else bytes(memoryview(whole)[at:at + size])


class KdumpSet(Memory):
    """The pieces of a split set."""

    def __init__(self, paths):
        self.parts = [Kdump(p) for p in paths]
        self.page_size, self.existing = self.parts[0].page_size, self.parts[0].existing
        for part in self.parts:
            if not part.split:
                raise Bad(f"{part.path}: is no piece of a split set")

    def spans(self):
        return sorted(span for part in self.parts for span in part.spans())

    def page(self, number, size):
        for part in self.parts:
            if number * size // self.page_size in part.index:
                return part.page(number, size)
        return None


def flattened(path):
    """The file that a flattened stream is, in a file without a name."""
    with tempfile.NamedTemporaryFile(prefix="judge.") as f:
        kdumpread.unflatten(mapped(path), f.name)
        return open_dump(f.name)


def open_dump(*names):
    """A Memory of one dump: a file, the pieces of a split set, or FILE@ADDR..."""
    based = [re.fullmatch(r"(.+)@(?:0x)?([0-9a-fA-F]+)", n) for n in names]
    if all(based):
        parts = [(m.group(1), int(m.group(2), 16)) for m in based]
        return Raw(*parts[0]) if len(parts) == 1 else RawSet(parts)
    if len(names) > 1:
        return KdumpSet(names)
    with open(names[0], "rb") as f:
        magic = f.read(16)
    if magic[:4] == b"\x7fELF":
        return Elf(names[0])
    if magic == kdumpread.FLAT_MAGIC:
        return flattened(names[0])
    if magic[:8] == bytes.fromhex("a8190173618f23fd"):
        return S390(names[0])
    return Kdump(names[0])


# ---- judging ----

def sizes(a, b=None):
    """The page size to compare in: the smaller one that a file says."""
    told = [m.page_size for m in (a, b) if m and m.page_size]
    return min(told) if told else 4096


def told(what, pages):
    pages = sorted(pages)
    return [f"{len(pages)} {what}: " + " ".join(f"{p:#x}" for p in pages[:8])] if pages else []


def compare(a, b, size=None):
    """Complaints about pages that are not the same in two memories; none: they are equal."""
    size = size or sizes(a, b)
    in_a, in_b = a.pages(size), b.pages(size)
    both, complaints = in_a, []
    if in_a != in_b:
        set_a, set_b = set(in_a), set(in_b)
        both = sorted(set_a & set_b)
        only = [(m, n, s) for m, n, s in ((a, b, set_a - set_b), (b, a, set_b - set_a))]
        for (m, other, pages), name in zip(only, ("only in the first", "only in the second")):
            if other.holes_are_zeros or m.holes_are_zeros:
                zeros = bytes(size)
                pages = {p for p in pages if bytes(m.page(p, size) or b"") != zeros}
            complaints += told(name, pages)
    differ, unreadable = [], []
    for number in both:
        x, y = a.page(number, size), b.page(number, size)
        if x is None or y is None:
            if x is not y:
                unreadable.append(number)
        elif bytes(x) != bytes(y):   # memoryviews compare item by item
            differ.append(number)
    complaints += told("differ", differ) + told("unreadable in one of them", unreadable)
    return complaints if both else complaints + ["no page is in both"]


def load_truth(path):
    """[(address, page size, sha256)] of a record."""
    with open(path, errors="replace") as f:
        text = f.read()
    if text.lstrip().startswith("{"):
        record = json.loads(text)
        return [(int(a, 16), record["page_size"], h) for a, h in record["pages"].items()]
    found = [(int(p, 16) * 4096, 4096, h) for p, h in
             re.findall(r"^(0x[0-9a-f]+) ([0-9a-f]{64})$", text, re.M)]
    # Patterns that a guest printed; that of index 98 is listed with a wrong hash.
    return found or [(int(p, 16) * 4096, 4096, h) for i, p, h in
                     re.findall(r"PAT \S+ (\d+) (0x[0-9a-f]+) ([0-9a-f]{64})", text) if i != "98"]


def check_truth(memory, truth):
    """Complaints about recorded pages that are not what they were."""
    size = truth[0][1]
    pages, wrong, absent = set(memory.pages(size)), [], []
    for address, _, wanted in truth:
        page = memory.page(address // size, size) if address // size in pages else None
        if page is None:
            absent.append(address)
        elif hashlib.sha256(page).hexdigest() != wanted:
            wrong.append(address)
    return told("absent addresses", absent) + told("wrong addresses", wrong)


def main(args):
    if args[:1] == ["--truth"]:
        complaints = check_truth(open_dump(*args[2].split(",")), load_truth(args[1]))
    elif len(args) == 2:
        complaints = compare(*(open_dump(*a.split(",")) for a in args))
    elif len(args) == 1:
        memory = open_dump(*args[0].split(","))
        for start, end in memory.spans()[:64]:
            print(f"{start:#014x}-{end - 1:#014x}")
        print(f"{len(memory.pages(sizes(memory)))} pages of {sizes(memory)} bytes")
        return 0
    else:
        print(__doc__)
        return 2
    print("\n".join(complaints) or "the same")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
