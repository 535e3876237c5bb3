# SPDX-License-Identifier: GPL-2.0-or-later
"""An independent reader of kdump-compressed dumps, version 6, and of flattened streams.

Written from the description of the format (makedumpfile's IMPLEMENTATION, crash's diskdump.h), not
from the program: what both agree on is then more than one opinion. For tests: whole files in
memory, and no mercy: what a careful writer never writes raises Bad.
"""
import ctypes
import mmap
import os
import re
import struct
import zlib

INCOMPLETE = 8
ZLIB, LZO, SNAPPY, ZSTD = 1, 2, 4, 0x20
CODECS = ZLIB | LZO | SNAPPY | ZSTD
DESC = 24
FLAT_MAGIC = b"makedumpfile".ljust(16, b"\0")


class Bad(Exception):
    """Not a file that a reader would accept."""


class Unsupported(Exception):
    """Cannot be decompressed here: a library is not installed."""


# ---- codecs ----

def library(*names):
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            pass
    raise Unsupported(f"{names[0]} is not installed")


def unlzo(data, size):
    lzo = library("liblzo2.so.2")
    out, length = ctypes.create_string_buffer(size), ctypes.c_ulong(size)
    if lzo.lzo1x_decompress_safe(data, ctypes.c_ulong(len(data)), out, ctypes.byref(length), None):
        raise Bad("broken LZO data")
    return out.raw[:length.value]


def unsnappy(data, size):
    snappy = library("libsnappy.so.1")
    out, length = ctypes.create_string_buffer(size), ctypes.c_size_t(size)
    if snappy.snappy_uncompress(data, ctypes.c_size_t(len(data)), out, ctypes.byref(length)):
        raise Bad("broken snappy data")
    return out.raw[:length.value]


def unzstd(data, size):
    zstd = library("libzstd.so.1")
    zstd.ZSTD_decompress.restype = zstd.ZSTD_getFrameContentSize.restype = ctypes.c_size_t
    if zstd.ZSTD_getFrameContentSize(data, ctypes.c_size_t(len(data))) != size:
        raise Bad("a zstd frame that does not tell its content size")
    out = ctypes.create_string_buffer(size)
    length = zstd.ZSTD_decompress(out, ctypes.c_size_t(size), data, ctypes.c_size_t(len(data)))
    if length != size:
        raise Bad("broken zstd data")
    return out.raw


def unzlib(data, size):
    try:
        return zlib.decompress(data, bufsize=size)
    except zlib.error as why:
        raise Bad(f"broken zlib data: {why}") from None


DECODERS = {ZLIB: unzlib, LZO: unlzo, SNAPPY: unsnappy, ZSTD: unzstd}


# ---- flattened streams ----

def records(data):
    """(offset, size, place in DATA) of each record; ends at the end record, or with Bad."""
    if data[:16] != FLAT_MAGIC or struct.unpack_from(">qq", data, 16) != (1, 1):
        raise Bad("no header of a flattened stream")
    at = 4096
    while True:
        if at + 16 > len(data):
            raise Bad("the stream has no end record")
        offset, size = struct.unpack_from(">qq", data, at)
        at += 16
        if offset == -1 and size == -1:
            return
        if offset < 0 or size <= 0:
            raise Bad(f"record at {at - 16} for offset {offset}, {size} bytes")
        if at + size > len(data):
            raise Bad(f"the stream ends inside of a record of {size} bytes")
        yield offset, size, at
        at += size


def is_whole(data):
    """Does the stream end with its end record, and with nothing behind it?"""
    try:
        last = 4096
        for _, size, at in records(data):
            last = at + size
    except Bad:
        return False
    return len(data) == last + 16


def unflatten(data, out, cut=False):
    """
    Write the file that the stream DATA is into OUT. A byte that is sent twice is Bad: readers
    differ about which of the two counts. CUT: what is there of a stream that broke off.
    """
    seen, end = [], 0
    with open(out, "wb") as f:
        try:
            for offset, size, at in records(data):
                seen.append((offset, offset + size))
                end = max(end, offset + size)
                f.seek(offset)
                f.write(data[at:at + size])
        except Bad:
            if not cut:
                raise
        f.truncate(end)
    seen.sort()
    for (_, a), (b, _) in zip(seen, seen[1:]):
        if b < a:
            raise Bad(f"the stream has offset {b} twice")


# ---- the file ----

class Layout:
    """Where the C structures have their members: word size and alignment of 64-bit members."""

    def __init__(self, word, align, order):
        self.word, self.align, self.order = word, align, "<" if order == "little" else ">"

    def header(self):
        """Offset of the status word, and the numbers from it on."""
        return (424 if self.word == 8 else 412), self.order + "IiiIIIIIIi"

    def sub_header(self):
        """A struct format for the members, padding included."""
        word = "Q" if self.word == 8 else "I"
        pad = "" if self.align == 4 else "4x"
        if self.word == 8:
            return self.order + "QiiQQqQqQqQQQQ"
        place = "q" + word
        # Before each 64-bit member that would not be aligned: behind 20 bytes, behind a long.
        return (self.order + word + "ii" + word * 2 + pad + place + pad + place + pad + place +
                pad + "QQQ")


LAYOUTS = [Layout(word, align, order) for order in ("little", "big")
           for word, align in ((8, 8), (4, 4), (4, 8))]


class Dump:
    """One kdump-compressed file, or one piece of a split set."""

    def __init__(self, path):
        self.path = path
        size = os.path.getsize(path)
        if size < 4096:
            raise Bad(f"{path}: only {size} bytes")
        self.file = open(path, "rb")    # closed when the dump is forgotten
        self.data = mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_READ)
        if self.data[:8] != b"KDUMP   ":
            raise Bad(f"{path}: no kdump header")
        self.layout = self.find_layout()
        self.read_headers()
        self.bitmap1 = self.bitmap(0)
        self.bitmap2 = self.bitmap(1)
        self.index = None

    def find_layout(self):
        """The one layout in which version, block size and the place of the notes make sense."""
        fitting = [lay for lay in LAYOUTS if self.fits(lay)]
        if len(fitting) != 1:
            raise Bad(f"{self.path}: {len(fitting)} layouts fit the headers")
        return fitting[0]

    def fits(self, lay):
        status, numbers = lay.header()
        block, blocks = struct.unpack_from(numbers, self.data, status)[1:3]
        if struct.unpack_from(lay.order + "i", self.data, 8)[0] != 6:
            return False
        if block < 4096 or block > 65536 or block & (block - 1) or not 1 <= blocks <= 1 << 20:
            return False
        size = struct.calcsize(lay.sub_header())
        if len(self.data) < block + size:
            return False
        return struct.unpack_from(lay.sub_header(), self.data, block)[7] == block + size

    def read_headers(self):
        lay = self.layout
        self.word = lay.word
        self.order = "little" if lay.order == "<" else "big"
        self.utsname = [self.data[12 + 65 * i:77 + 65 * i].split(b"\0")[0].decode()
                        for i in range(6)]
        status, numbers = lay.header()
        (self.status, self.block_size, self.sub_blocks, self.bitmap_blocks, self.max_mapnr,
         *_, self.nr_cpus) = struct.unpack_from(numbers, self.data, status)
        self.timestamp = struct.unpack_from(lay.order + ("q" if self.word == 8 else "i"),
                                            self.data, status - 2 * self.word)[0]
        (self.phys_base, self.level, self.split, _, _, self.vmcoreinfo_off, self.vmcoreinfo_len,
         self.notes_off, self.notes_len, self.erase_off, self.erase_len, self.start_pfn,
         self.end_pfn, self.max_pfn) = struct.unpack_from(lay.sub_header(), self.data,
                                                          self.block_size)
        # On Arm the first bit is the first page of memory (crash diskdump.h, ARCH_PFN_OFFSET).
        self.bias = self.phys_base // self.block_size if self.utsname[4].startswith("arm") else 0
        self.table = (1 + self.sub_blocks + self.bitmap_blocks) * self.block_size

    @property
    def incomplete(self):
        return bool(self.status & INCOMPLETE)

    @property
    def vmcoreinfo(self):
        return bytes(self.data[self.vmcoreinfo_off:self.vmcoreinfo_off + self.vmcoreinfo_len])

    def bitmap(self, which):
        """(start, end) of a bitmap in the file."""
        half = self.bitmap_blocks // 2 * self.block_size
        if self.bitmap_blocks % 2 or half * 8 < self.max_pfn:
            raise Bad(f"{self.path}: {self.bitmap_blocks} blocks of bitmaps for "
                      f"{self.max_pfn} pages")
        start = (1 + self.sub_blocks) * self.block_size + which * half
        if start + half > len(self.data) and not self.incomplete:
            raise Bad(f"{self.path}: the bitmaps are cut off")
        return start, min(start + half, len(self.data))

    def written(self, start, end):
        """The parts of [start, end) that are no holes of the file."""
        while start < end:
            try:
                start = max(start, os.lseek(self.file.fileno(), start, os.SEEK_DATA))
                stop = min(end, os.lseek(self.file.fileno(), start, os.SEEK_HOLE))
            except OSError:     # ENXIO: nothing but a hole up to the end
                return
            if start < stop:
                yield start, stop
            start = stop

    def pfns(self, bitmap):
        """Numbers of the bits that are set, ascending."""
        base, found = bitmap[0], []
        for start, stop in self.written(*bitmap):
            for m in re.finditer(rb"[^\0]", memoryview(self.data)[start:stop], re.DOTALL):
                first, bits = (start - base + m.start()) * 8 + self.bias, m.group()[0]
                found += [first + bit for bit in range(8) if bits >> bit & 1]
        return found

    def existing(self):
        return self.pfns(self.bitmap1)

    def kept(self):
        """All page frames that the dump holds; of a split set, over all pieces."""
        return self.pfns(self.bitmap2)

    def held(self):
        """Page frames with a descriptor in this file."""
        kept = self.kept()
        first, last = self.start_pfn + self.bias, self.end_pfn + self.bias
        return [p for p in kept if first <= p < last] if self.split else kept

    def places(self):
        """Page frame -> number of its descriptor."""
        if self.index is None:
            self.index = {pfn: i for i, pfn in enumerate(self.held())}
        return self.index

    def descriptor(self, pfn):
        """(offset, size, flags); offset 0: the page is missing."""
        at = self.table + self.places()[pfn] * DESC
        raw = self.data[at:at + DESC].ljust(DESC, b"\0")
        offset, size, flags, unused = struct.unpack(self.layout.order + "qIIQ", raw)
        if unused or size > self.block_size or flags & ~CODECS or flags & (flags - 1):
            raise Bad(f"{self.path}: descriptor of page {pfn:#x}: offset {offset:#x}, size {size}, "
                      f"flags {flags:#x}, {unused:#x}")
        if (offset == 0) != (size == 0):
            if not self.incomplete:
                raise Bad(f"{self.path}: descriptor of page {pfn:#x} is half empty")
            return 0, 0, 0      # cut off in the middle; readers take such a page for missing
        if not self.incomplete and flags & ~self.status:
            raise Bad(f"{self.path}: page {pfn:#x} has a codec that the header does not name")
        return offset, size, flags

    def has(self, pfn):
        """Is there a descriptor that says where the page is?"""
        return pfn in self.places() and self.descriptor(pfn)[0] != 0

    def page(self, pfn):
        """The bytes of a page; None when the dump says that it could not be had."""
        offset, size, flags = self.descriptor(pfn)
        if not offset:
            return None
        data = self.data[offset:offset + size]
        if offset < self.table or len(data) != size:
            raise Bad(f"{self.path}: page {pfn:#x} lies at {offset:#x}, {size} bytes: not in the "
                      "file")
        if flags:
            data = DECODERS[flags](bytes(data), self.block_size)
        if len(data) != self.block_size:
            raise Bad(f"{self.path}: page {pfn:#x} has {len(data)} bytes")
        return data

    def codecs(self):
        """The codecs that descriptors name, or-ed."""
        used = 0
        for pfn in self.held():
            used |= self.descriptor(pfn)[2]
        return used

    def notes(self):
        """(owner, type, description) of all notes."""
        at, end, found = self.notes_off, self.notes_off + self.notes_len, []
        while at + 12 <= end:
            namesz, descsz, kind = struct.unpack_from(self.layout.order + "III", self.data, at)
            name_end = at + 12 + (namesz + 3 & ~3)
            if name_end + descsz > end:
                raise Bad(f"{self.path}: a note reaches beyond the notes")
            found.append((bytes(self.data[at + 12:at + 12 + namesz]).rstrip(b"\0"), kind,
                          bytes(self.data[name_end:name_end + descsz])))
            at = name_end + (descsz + 3 & ~3)
        return found


def is_marked(path):
    """Does what is left of a dump say itself that it is incomplete? Even if little is left of it."""
    if os.path.getsize(path) < 428:
        return True     # no header: no reader takes it for a dump
    try:
        return Dump(path).incomplete
    except Bad:
        with open(path, "rb") as f:
            return bool(struct.unpack_from("<I", f.read(428), 424)[0] & INCOMPLETE)
