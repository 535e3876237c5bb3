# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's log, of its three generations: kernel/printk/printk_ringbuffer.h since Linux 5.10, records in
log_buf from 3.5 on, plain text before.

A kernel here is what has word (4 or 8), order ("<" or ">"), symbol(name), offset("type.member"), size("type"),
each a number or None; and read(address, size), the bytes or None.
"""
import struct

MAX_LOG_BITS = 31
MAX_DESC_BITS = 26
MAX_STRUCT = 4096
CPU = 0x80000000
COMMITTED, FINALIZED = 1, 2


class LogError(Exception):
    """There is no log, or it cannot be read."""


class Source:
    """Facts and memory of a kernel, or a LogError that says what is missing."""

    def __init__(self, kernel):
        self.kernel, self.word, self.order, self.lost = kernel, kernel.word, kernel.order, 0
        self.letter = "Q" if self.word == 8 else "I"

    def symbol(self, name):
        return self.need(self.kernel.symbol(name), name)

    def offset(self, name):
        return self.need(self.kernel.offset(name), f"the offset of {name}")

    def size(self, name):
        found = self.need(self.kernel.size(name), f"the size of {name}")
        if not 0 < found <= MAX_STRUCT:
            raise LogError(f"struct {name} has {found} bytes")
        return found

    @staticmethod
    def need(value, what):
        if value is None:
            raise LogError(f"{what} is not known: neither VMCOREINFO nor symbols tell it")
        return value

    def number(self, at, form):
        data = self.kernel.read(at, struct.calcsize(self.order + form))
        if data is None:
            raise LogError(f"no memory at {at:#x}")
        return struct.unpack(self.order + form, data)[0]

    def area(self, at, size):
        """Bytes, zeros where there are none; LogError where nothing is there."""
        whole = self.kernel.read(at, size)
        if whole is not None:
            return whole
        found, any_there = bytearray(size), False
        for off in range(0, size, 4096):
            part = self.kernel.read(at + off, min(4096, size - off))
            if part is None:
                self.lost += 1
                continue
            any_there = True
            found[off:off + len(part)] = part
        if not any_there:
            raise LogError(f"no memory at {at:#x}")
        return bytes(found)

    def field(self, data, at, form):
        if at < 0 or at + struct.calcsize(self.order + form) > len(data):
            raise LogError("a member is not in its structure")
        return struct.unpack_from(self.order + form, data, at)[0]


def show(data):
    """As isprint() and isspace() in the C locale."""
    return "".join(chr(c) if 32 <= c <= 126 or 9 <= c <= 13 else f"\\x{c:02x}" for c in data)


def lines_of(nsec, caller, data):
    """A record as lines, the further ones indented to the text of the first."""
    prefix = f"[{nsec // 1000000000:5}.{nsec % 1000000000 // 1000:06}] "
    if caller is not None:
        who = f"{'C' if caller & CPU else 'T'}{caller & ~CPU}"
        prefix += f"[{who:>8}] "
    texts = data.split(b"\n")
    yield prefix + show(texts[0])
    for text in texts[1:]:
        yield " " * len(prefix) + show(text)


# ---- Linux 5.10 and later ----

class Ring:
    def __init__(self, s):
        self.s, counter = s, s.kernel.offset("atomic_long_t.counter") or 0
        desc, text = s.offset("printk_ringbuffer.desc_ring"), s.offset("printk_ringbuffer.text_data_ring")
        rb = s.number(s.symbol("prb"), s.letter)

        def of(ring, member, form, more=0):
            return s.number(rb + ring + s.offset(member) + more, form)

        bits, self.text_bits = of(desc, "prb_desc_ring.count_bits", "I"), of(text, "prb_data_ring.size_bits", "I")
        if not 0 < bits <= MAX_DESC_BITS or not 3 <= self.text_bits <= MAX_LOG_BITS:
            raise LogError(f"ring buffer at {rb:#x}: 2^{bits} records in 2^{self.text_bits} bytes")
        self.count, self.id_mask = 1 << bits, (1 << 8 * s.word - 2) - 1
        self.head = of(desc, "prb_desc_ring.head_id", s.letter, counter) & self.id_mask
        self.tail = of(desc, "prb_desc_ring.tail_id", s.letter, counter) & self.id_mask
        self.desc_size, self.info_size = s.size("prb_desc"), s.size("printk_info")
        self.descs = s.area(of(desc, "prb_desc_ring.descs", s.letter), self.count * self.desc_size)
        self.infos = s.area(of(desc, "prb_desc_ring.infos", s.letter), self.count * self.info_size)
        self.text = s.area(of(text, "prb_data_ring.data", s.letter), 1 << self.text_bits)
        block = s.offset("prb_desc.text_blk_lpos")
        self.state, self.begin = s.offset("prb_desc.state_var") + counter, block + s.offset("prb_data_blk_lpos.begin")
        self.next = block + s.offset("prb_data_blk_lpos.next")
        self.nsec, self.text_len = s.offset("printk_info.ts_nsec"), s.offset("printk_info.text_len")
        self.caller = s.kernel.offset("printk_info.caller_id")

    def block(self, ident, begin, end):
        """The text that lies from BEGIN to END: the block of the record, or None."""
        word, size, last = self.s.word, 1 << self.text_bits, end - 1 & (1 << 8 * self.s.word) - 1
        start = begin & size - 1
        if begin >> self.text_bits != last >> self.text_bits:
            start = 0  # it would have reached past the end of the ring
        data = self.text[start:(last & size - 1) + 1]
        if len(data) < word or self.s.field(data, 0, self.s.letter) != ident:
            return None
        return data[word:]

    def record(self, ident):
        s, slot = self.s, ident & self.count - 1
        desc = self.descs[slot * self.desc_size:(slot + 1) * self.desc_size]
        info = self.infos[slot * self.info_size:(slot + 1) * self.info_size]
        var = s.field(desc, self.state, s.letter)
        if var & self.id_mask != ident or var >> 8 * s.word - 2 not in (COMMITTED, FINALIZED):
            return
        begin, end = s.field(desc, self.begin, s.letter), s.field(desc, self.next, s.letter)
        if begin & end & 1:
            return  # without text
        text = self.block(ident, begin, end)
        if text is None:
            s.lost += 1
            return
        caller = None if self.caller is None else s.field(info, self.caller, "I")
        yield from lines_of(s.field(info, self.nsec, "Q"), caller, text[:s.field(info, self.text_len, "H")])

    def lines(self):
        nr = min((self.head - self.tail & self.id_mask) + 1, self.count)
        for i in range(nr):
            yield from self.record(self.head - nr + 1 + i & self.id_mask)


# ---- Linux 3.5 to 5.9 ----

def record_lines(s):
    name = "printk_log" if s.kernel.size("printk_log") is not None else "log"
    header, nsec, length = s.size(name), s.offset(name + ".ts_nsec"), s.offset(name + ".len")
    text_len, caller = s.offset(name + ".text_len"), s.kernel.offset(name + ".caller_id")
    buf = log_buf(s)
    at, end = s.number(s.symbol("log_first_idx"), "I"), s.number(s.symbol("log_next_idx"), "I")
    wrapped = at <= end
    while at != end or not wrapped:
        data = buf[at:at + header]
        size = s.field(data, length, "H") if len(data) == header else 0
        if not size:  # the rest is at the start of the buffer
            if wrapped:
                return
            wrapped, at = True, 0
            continue
        text = buf[at + header:at + header + s.field(data, text_len, "H")]
        if size < header or at + size > len(buf) or len(text) > size - header:
            raise LogError(f"record at offset {at} of the log is damaged: the rest of it is not shown")
        yield from lines_of(s.field(data, nsec, "Q"), None if caller is None else s.field(data, caller, "I"), text)
        at += size
        if at > end and wrapped:
            return


def log_buf(s):
    base, size = s.number(s.symbol("log_buf"), s.letter), s.number(s.symbol("log_buf_len"), "I")
    if not 0 < size <= 1 << MAX_LOG_BITS:
        raise LogError(f"log_buf_len is {size}")
    return s.area(base, size)


# ---- before Linux 3.5 ----

def text_lines(s):
    end = s.number(s.symbol("log_end"), "I")
    if not end and s.order == ">":  # an unsigned long before 2.6.25
        end = s.number(s.symbol("log_end"), s.letter)
    buf = log_buf(s)
    at = end % len(buf)
    data = buf[:at] if end <= len(buf) and at else buf[at:] + buf[:at] if end >= len(buf) else b""
    for line in data.rstrip(b"\n").split(b"\n"):
        yield show(line)


def log_lines(kernel):
    """The lines of the log, and at last one that tells of what is lost."""
    s = Source(kernel)
    if kernel.symbol("prb") is not None:
        yield from Ring(s).lines()
    elif kernel.symbol("log_first_idx") is not None:
        yield from record_lines(s)
    elif kernel.symbol("log_end") is not None:
        yield from text_lines(s)
    else:
        raise LogError("none of prb, log_first_idx, log_end is known, neither by VMCOREINFO nor by symbols")
    if s.lost:
        yield f"-- {s.lost} pieces of the log are lost"
