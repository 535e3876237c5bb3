# SPDX-License-Identifier: GPL-2.0-or-later
"""Cores of processes, of any word size and byte order, from a description: what is mapped where, and what the
dynamic loader knows. What is on disk (image()) and what is in the core are made alike, so that they can differ.

    core = Core(word=8, order="<", machine=62)
    core.program("/bin/app", build_id="aa" * 20)
    core.library("/lib/libx.so.1", build_id="bb" * 20, link="/usr/lib/libx.so")
    data = core.build()

Layouts: gabi; Linux fs/binfmt_elf.c (NT_FILE, NT_AUXV, NT_PRPSINFO); glibc elf/link.h.
"""
import struct
from dataclasses import dataclass, field

PAGE = 4096
ET_EXEC, ET_DYN, ET_CORE = 2, 3, 4
PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE, PT_PHDR = 1, 2, 3, 4, 6
NT_PRPSINFO, NT_AUXV, NT_FILE = 3, 6, 0x46494c45
AT_PHDR, AT_PHENT, AT_PHNUM, AT_BASE, AT_EXECFN, AT_SYSINFO_EHDR = 3, 4, 5, 7, 31, 33
DT_DEBUG = 21
DYNAMIC_AT = 0x400  # in an image


def note(owner, kind, desc, order="<"):
    owner = owner.encode() + b"\0"
    return (struct.pack(order + "III", len(owner), len(desc), kind) + owner + bytes(-len(owner) % 4) +
            desc + bytes(-len(desc) % 4))


@dataclass
class Shape:
    """How ELF is laid out."""
    word: int = 8
    order: str = "<"
    machine: int = 62

    @property
    def w(self):
        return "Q" if self.word == 8 else "I"

    @property
    def ehsize(self):
        return 64 if self.word == 8 else 52

    @property
    def phsize(self):
        return 56 if self.word == 8 else 32

    def words(self, *values):
        return struct.pack(self.order + self.w * len(values), *(v & ((1 << 8 * self.word) - 1) for v in values))

    def ehdr(self, kind, phnum, phoff=None, shoff=0):
        ident = b"\x7fELF" + bytes([2 if self.word == 8 else 1, 1 if self.order == "<" else 2, 1]) + bytes(9)
        return ident + struct.pack(self.order + "HHI" + 3 * self.w + "IHHHHHH", kind, self.machine, 1, 0,
                                   self.ehsize if phoff is None else phoff, shoff, 0, self.ehsize, self.phsize,
                                   phnum, 64 if self.word == 8 else 40, 0, 0)

    def phdr(self, kind, offset, vaddr, filesz, memsz, paddr=0):
        if self.word == 8:
            return struct.pack(self.order + "IIQQQQQQ", kind, 5, offset, vaddr, paddr, filesz, memsz, 0)
        return struct.pack(self.order + "IIIIIIII", kind, offset, vaddr, paddr, filesz, memsz, 5, 0)


def image(shape, build_id="", debug=None, interp="", kind=ET_DYN, tail=b"", go_id=""):
    """A page that is an ELF object. DEBUG: what DT_DEBUG is, None: it has no dynamic section."""
    ids = note("GNU", 3, bytes.fromhex(build_id), shape.order) if build_id else b""
    ids += note("Go", 4, go_id.encode(), shape.order) if go_id else b""
    rows = [(PT_PHDR, shape.ehsize, shape.ehsize, 0), (PT_LOAD, 0, 0, PAGE)]
    if interp:
        rows.append((PT_INTERP, 0x300, 0x300, len(interp) + 1))
    if debug is not None:
        rows.append((PT_DYNAMIC, DYNAMIC_AT, DYNAMIC_AT, 4 * shape.word))
    if ids:
        rows.append((PT_NOTE, 0x200, 0x200, len(ids)))
    out = bytearray(PAGE)

    def put(at, data):
        out[at:at + len(data)] = data
    put(0, shape.ehdr(kind, len(rows)) + b"".join(shape.phdr(k, o, v, n, n) for k, o, v, n in rows))
    put(0x200, ids)
    put(0x300, interp.encode() + b"\0")
    put(DYNAMIC_AT, shape.words(DT_DEBUG, debug or 0, 0, 0))
    put(PAGE - len(tail), tail)
    return bytes(out)


@dataclass
class Object:
    path: str
    at: int
    data: bytes
    link: str = None  # the loader's name for it; None: not in its list
    mapped: bool = True  # NT_FILE has it
    dumped: bool = True  # its first page is in the core
    pages: int = 1


@dataclass
class Core:
    """What build() takes, each of which may be set to anything."""
    word: int = 8
    order: str = "<"
    machine: int = 62
    pid: int = 1234
    objects: list = field(default_factory=list)
    segments: list = field(default_factory=list)  # (address, bytes) besides
    vdso: str = None  # its build-id
    nt_file: bytes = None  # the whole description; b"": no note
    count: int = None  # what NT_FILE counts
    lists: int = 1  # namespaces, r_debug of version 2 if more
    patch: dict = field(default_factory=dict)  # address: bytes, laid over all
    xnum: bool = False
    first: int = 0  # address of everything
    execfn: str = None

    def __post_init__(self):
        self.shape = Shape(self.word, self.order, self.machine)
        self.first = self.first or (0x10000000 if self.word == 4 else 0x7f1000000000)
        self.next = self.first + 4 * PAGE

    # Where the loader keeps what it knows: struct r_debug of each list, entries, names.
    @property
    def r_debug(self):
        return self.first

    def link_map(self, i):
        return self.first + 0x400 + i * 5 * self.word

    def link_name(self, i):
        return self.first + PAGE + i * 128

    def place(self, path, data, **more):
        self.objects.append(Object(path, self.next, data, **more))
        self.next += 16 * PAGE
        return self.objects[-1]

    def program(self, path, build_id="", interp="/lib/ld.so", link="", go_id="", **more):
        self.execfn = self.execfn or path
        return self.place(path, image(self.shape, build_id, self.r_debug, interp, go_id=go_id), link=link, **more)

    def library(self, path, build_id="", link=None, **more):
        return self.place(path, image(self.shape, build_id, 0), link=path if link is None else link, **more)

    def data(self, path, content, **more):
        """A file that is no object."""
        return self.place(path, content.ljust(PAGE, b"\0"), **more)

    def loader_pages(self):
        s, linked = self.shape, [o for o in self.objects if o.link is not None]
        out = bytearray(4 * PAGE)

        def put(at, data):
            out[at - self.first:at - self.first + len(data)] = data
        for n in range(self.lists):
            more = n + 1 < self.lists
            version = struct.pack(s.order + "I", 2 if self.lists > 1 else 1).ljust(s.word, b"\0")
            put(self.r_debug + n * 64, version + s.words(self.link_map(0) if n == 0 else 0, 0, 0, 0,
                                                        self.r_debug + (n + 1) * 64 if more else 0))
        for i, o in enumerate(linked):
            put(self.link_map(i), s.words(o.at, self.link_name(i), o.at + DYNAMIC_AT,
                                          self.link_map(i + 1) if i + 1 < len(linked) else 0,
                                          self.link_map(i - 1) if i else 0))
            put(self.link_name(i), o.link.encode() + b"\0")
        put(self.first + 3 * PAGE, (self.execfn or "").encode() + b"\0")
        return bytes(out)

    def file_note(self):
        if self.nt_file is not None:
            return self.nt_file
        s, mapped = self.shape, [o for o in self.objects if o.mapped]
        return (s.words(len(mapped) if self.count is None else self.count, PAGE) +
                b"".join(s.words(o.at, o.at + o.pages * PAGE, 0) for o in mapped) +
                b"".join(o.path.encode("utf-8", "surrogateescape") + b"\0" for o in mapped))

    def auxv(self):
        s, main = self.shape, self.objects[0] if self.objects else None
        pairs = [AT_EXECFN, self.first + 3 * PAGE]
        if main:
            pairs += [AT_PHDR, main.at + s.ehsize, AT_PHENT, s.phsize,
                      AT_PHNUM, struct.unpack(s.order + "H", main.data[s.ehsize - 8:s.ehsize - 6])[0]]
        pairs += [AT_BASE, next((o.at for o in self.objects if "/ld" in o.path), 0)]
        pairs += [AT_SYSINFO_EHDR, self.first - 4 * PAGE] if self.vdso is not None else []
        return s.words(*pairs, 0, 0)

    def psinfo(self):
        comm = (self.execfn or "x").split("/")[-1].encode()[:15].ljust(16, b"\0")
        ids = struct.pack(self.order + "i", self.pid)
        head = bytes(24) if self.word == 8 else bytes(16)
        return head + ids + bytes(12) + comm + b"args".ljust(80, b"\0")

    def notes(self):
        out = note("CORE", NT_PRPSINFO, self.psinfo(), self.order) + note("CORE", NT_AUXV, self.auxv(), self.order)
        files = self.file_note()
        return out + (note("CORE", NT_FILE, files, self.order) if files else b"")

    def memory(self):
        pieces = [(self.first, self.loader_pages())] + [(o.at, o.data) for o in self.objects if o.dumped]
        if self.vdso is not None:
            pieces.append((self.first - 4 * PAGE, image(self.shape, self.vdso)))
        for at, data in self.patch.items():
            pieces = [(start, mem if not start <= at < start + len(mem) else
                       mem[:at - start] + data + mem[at - start + len(data):]) for start, mem in pieces]
        return sorted(pieces + self.segments)

    def build(self):
        s, notes, memory = self.shape, self.notes(), self.memory()
        nr = len(memory) + 1
        at = s.ehsize + nr * s.phsize
        extra = b""
        if self.xnum:
            info = 44 if s.word == 8 else 28
            extra = bytes(info) + struct.pack(s.order + "I", nr) + bytes(16)
        headers = s.phdr(PT_NOTE, at + len(extra), 0, len(notes), 0)
        body = at + len(extra) + len(notes)
        for start, data in memory:
            headers += s.phdr(PT_LOAD, body, start, len(data), len(data))
            body += len(data)
        return (s.ehdr(ET_CORE, 0xffff if self.xnum else nr, shoff=at if self.xnum else 0) + headers + extra +
                notes + b"".join(data for _, data in memory))


def usual(**more):
    """A program, its loader, two libraries."""
    core = Core(**more)
    core.program("/bin/app", "a1" * 20)
    core.library("/lib/libone.so.1.2", "b2" * 20, link="/lib/libone.so.1")
    core.library("/lib/ld.so", "c3" * 20)
    core.library("/opt/libtwo.so (deleted)", "d4" * 20, link="/opt/libtwo.so")
    core.data("/usr/lib/locale/locale-archive", b"no program")
    return core


def looped(**more):
    core = usual(**more)
    s = core.shape
    # The third entry goes on with the second one.
    core.patch[core.link_map(2) + 3 * s.word] = s.words(core.link_map(1))
    return core


def headless(**more):
    """Without NT_FILE and the first page of the program, as QEMU's user mode writes them."""
    core = usual(nt_file=b"", **more)
    core.objects[0].dumped = False
    core.segments.append((core.objects[0].at + DYNAMIC_AT, core.objects[0].data[DYNAMIC_AT:]))
    return core


def hostile():
    """name -> core: what may not hang, crash or be believed."""
    def lying(count):
        return usual(count=count).build()
    far = usual()
    far.patch[far.link_map(1) + 3 * 8] = far.shape.words(0xdead0000)
    whole = usual(vdso="e5" * 20).build()
    climbing = usual()
    climbing.library("../../etc/shadow", "f6" * 20)
    climbing.library("/../../etc/shadow", "f6" * 20)
    climbing.library("/lib/../../etc/shadow", "f6" * 20)
    climbing.library("/lib/\x1b[31mred\n.so", "f6" * 20)
    own = usual(lists=3)
    own.patch[own.r_debug + 64 + 5 * 8] = own.shape.words(own.r_debug)  # the second list goes on with the first
    return {"usual": whole, "be32": usual(word=4, order=">", machine=20).build(),
            "le32": usual(word=4, machine=3).build(), "be64": usual(order=">", machine=21, vdso="e5" * 20).build(),
            "xnum": usual(xnum=True).build(), "loop": looped().build(), "far": far.build(),
            "lists": usual(lists=3).build(), "lists-loop": own.build(), "no-files": usual(nt_file=b"").build(),
            "count-huge": lying((1 << 64) - 1), "count-more": lying(6), "count-less": lying(2),
            "files-cut": usual(nt_file=usual().file_note()[:-30]).build(),
            "files-short": usual(nt_file=b"\x05" + bytes(7)).build(), "climbing": climbing.build(),
            "cut-memory": whole[:len(whole) // 2], "cut-notes": whole[:1000], "cut-headers": whole[:200],
            "headless": headless().build() + headless().objects[0].data, "one": Core().build()}
