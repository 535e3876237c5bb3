#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What others read of our outputs, and we of makedumpfile's: gdb, drgn, libkdumpfile, makedumpfile.

A real /proc/vmcore becomes every kind of file that is written. Each reader is asked for pages of
each kind that it knows; what it answers must be what the vmcore has, by a reader of our own that
shares nothing with the program. GDB, DRGN, LIBKDUMPFILE and MAKEDUMPFILE name others than those
that are installed; with DUMPTOOL_VMLINUX drgn counts tasks, too.
"""
import ctypes
import hashlib
import json
import mmap
import os
import random
import shutil
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness
import judge_pages

PAGE = 4096
ELF, KDUMP, FLAT, RAW = "elf", "kdump", "flattened", "raw"

# name, kind, command; the level 31 is what is read in practice, the rest is every page.
OUTPUTS = [(f"kdump-{codec}", KDUMP, ["convert", "--format", "kdump", "--compress", codec])
           for codec in ("zlib", "lzo", "zstd", "none")]
OUTPUTS += [
    ("flattened", FLAT, ["convert", "--format", "flattened"]),
    ("elf", ELF, ["convert", "--format", "elf"]),
    ("raw", RAW, ["convert", "--format", "raw"]),
    ("kdump-31", KDUMP, ["filter", "-d", "31"]),
    ("elf-31", ELF, ["filter", "-d", "31", "--format", "elf"]),
    ("flattened-31", FLAT, ["filter", "-d", "31", "-F", "-o"]),
]
# Of a kdump dump, for what is kept of the source's segments in it.
SECOND = [("elf-of-kdump", ELF, ["convert", "--format", "elf"], "kdump-31")]
WITH_TASKS = ("kdump-31", "elf-31", "flattened-31", "elf-of-kdump")


class Output:
    """A file that was written, and what must be in it."""

    def __init__(self, name, kind, path):
        self.name, self.kind, self.path = name, kind, path
        self.memory = judge_pages.open_dump(path + "@0" if kind == RAW else path)
        self.pfns = self.memory.pages(PAGE)


class Source(judge_pages.Elf):
    """The vmcore, also by virtual address."""

    def __init__(self, path):
        super().__init__(path)
        self.path = path
        with open(path, "rb") as f:
            data = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
        self.table, = struct.unpack_from("<Q", data, 32)
        count, = struct.unpack_from("<H", data, 56)
        rows = [struct.unpack_from("<IIQQQQ", data, self.table + i * 56) for i in range(count)]
        self.loads = [(vaddr, paddr, size) for kind, _, _, vaddr, paddr, size in rows if kind == 1]

    def edges(self):
        """Pages that a segment covers in part."""
        return {at // PAGE for _, paddr, size in self.loads for at in (paddr, paddr + size)
                if at % PAGE}

    def virtual(self, pfn):
        """The virtual addresses that the headers give a page."""
        return [vaddr + pfn * PAGE - paddr for vaddr, paddr, size in self.loads
                if paddr <= pfn * PAGE and (pfn + 1) * PAGE <= paddr + size]


def digest(page):
    return hashlib.sha256(page).hexdigest()


def sample(pfns, nr):
    return sorted(random.Random(1).sample(pfns, min(nr, len(pfns))) + [pfns[0], pfns[-1]])


def program(variable, name):
    return os.environ.get(variable) or shutil.which(
        name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


# ---- outputs ----

def make(tap, tool, folder, source, name, kind, command):
    """An output that holds what it should by the judge; None when it does not."""
    path = os.path.join(folder, name)
    files = [path, source.path] if command[-1] == "-o" else [source.path, path]
    run = tool.run(command[0], "-q", "-f", *command[1:], *files, seconds=120, data=None)
    if not tap.equal(run.status, harness.OK, f"{name}: written", run):
        return None
    out = Output(name, kind, path)
    complaints = judge_pages.compare(source, out.memory, PAGE)
    if command[0] == "filter" or "31" in os.path.basename(source.path):
        complaints = [c for c in complaints if "only in the first" not in c]
    tap.none(complaints, f"{name}: {len(out.pfns)} pages are the source's")
    return out


# ---- gdb ----

def check_gdb(tap, folder, source, out):
    """Pages by virtual address, from each segment, and the kernel's banner."""
    gdb, dumped = program("GDB", "gdb"), os.path.join(folder, "gdb.mem")
    if not gdb:
        return tap.skip(f"{out.name}: gdb", "gdb is not installed")
    wanted = [(vaddr, pfn) for pfn in sample(out.pfns, 60) for vaddr in source.virtual(pfn)]
    banner = find_banner(source, out)
    commands = [f"core-file {out.path}"]
    commands += [f"append binary memory {dumped} {vaddr:#x} {vaddr + PAGE:#x}" for vaddr, _ in wanted]
    commands += [f"x/s {vaddr:#x}" for vaddr in banner]
    open(dumped, "wb").close()
    run = subprocess.run([gdb, "-batch", "-nx", *(w for c in commands for w in ("-ex", c))],
                         stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    said = (run.stdout + run.stderr).decode(errors="replace")
    with open(dumped, "rb") as f:
        data = f.read()
    os.unlink(dumped)
    if tap.equal(len(data), len(wanted) * PAGE, f"{out.name}: gdb reads {len(wanted)} pages", said):
        tap.none([f"{vaddr:#x}" for i, (vaddr, pfn) in enumerate(wanted)
                  if data[i * PAGE:(i + 1) * PAGE] != source.page(pfn, PAGE)],
                 f"{out.name}: gdb: they are the source's")
    tap.check(banner and '"Linux version ' in said, f"{out.name}: gdb shows the banner", said)


def find_banner(source, out):
    """A virtual address of linux_banner, in a list; it may lie elsewhere, too."""
    for pfn in out.pfns:
        at = bytes(source.page(pfn, PAGE)).find(b"Linux version ")
        if at >= 0:
            return [vaddr + at for vaddr in source.virtual(pfn)][:1]
    return []


# ---- drgn ----

SCRIPT = """
import hashlib, json, sys
pages, tasks = json.loads(sys.argv[1]), None
digests = [hashlib.sha256(prog.read(pfn * 4096, 4096, True)).hexdigest() for pfn in pages]
if sys.argv[2] == "tasks":
    from drgn.helpers.linux.pid import for_each_task
    tasks = [[t.pid.value_(), t.comm.string_().decode(errors="replace")] for t in for_each_task(prog)]
print("ANSWER", json.dumps([digests, tasks]))
"""


def ask_drgn(folder, path, pfns, vmlinux):
    """(digests of pages, tasks) as drgn reads them; else what it said."""
    script = os.path.join(folder, "script.py")
    with open(script, "w") as f:
        f.write(SCRIPT)
    symbols = ["-s", vmlinux] if vmlinux else ["--no-default-symbols"]
    run = subprocess.run([program("DRGN", "drgn"), "-q", "-c", path, *symbols, script,
                          json.dumps(pfns), "tasks" if vmlinux else "-"],
                         stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
    for line in run.stdout.decode(errors="replace").split("\n"):
        if line.startswith("ANSWER "):
            return json.loads(line[len("ANSWER "):]), ""
    return None, (run.stdout + run.stderr).decode(errors="replace")


def check_drgn(tap, folder, source, out, tasks):
    if not program("DRGN", "drgn"):
        return tap.skip(f"{out.name}: drgn", "drgn is not installed")
    vmlinux = os.environ.get("DUMPTOOL_VMLINUX") if out.name in WITH_TASKS else None
    pfns = sample(out.pfns, 400)
    answer, said = ask_drgn(folder, out.path, pfns, vmlinux)
    if not tap.check(answer, f"{out.name}: drgn opens it", said):
        return
    tap.equal(answer[0], [digest(source.page(pfn, PAGE)) for pfn in pfns],
              f"{out.name}: drgn reads {len(pfns)} pages as the source has them")
    if vmlinux:
        tap.equal(answer[1], tasks, f"{out.name}: drgn finds the same {len(tasks)} tasks")
    elif out.name in WITH_TASKS:
        tap.skip(f"{out.name}: drgn finds the same tasks", "DUMPTOOL_VMLINUX is unset")


def tasks_of(tap, folder, source):
    """The tasks of the vmcore itself, by drgn."""
    vmlinux = os.environ.get("DUMPTOOL_VMLINUX")
    if not vmlinux or not program("DRGN", "drgn"):
        return []
    answer, said = ask_drgn(folder, source.path, [], vmlinux)
    tasks = answer[1] if answer else []
    tap.check(len(tasks) > 50, f"drgn finds {len(tasks)} tasks in the source", said)
    return tasks


# ---- libkdumpfile ----

class Kdumpfile:
    """libkdumpfile, through ctypes. Names and numbers: its kdumpfile.h and addrxlat.h."""

    MACHPHYSADDR, KVADDR = 1, 2     # what needs no page tables; what the kernel's translate

    class Attr(ctypes.Structure):
        _fields_ = [("type", ctypes.c_int), ("string", ctypes.c_char_p)]

    STRING = 4

    def __init__(self):
        names = [os.environ.get("LIBKDUMPFILE")] if os.environ.get("LIBKDUMPFILE") else \
            ["libkdumpfile.so.12", "libkdumpfile.so.11", "libkdumpfile.so.10", "libkdumpfile.so"]
        self.lib = None
        for name in names:
            try:
                self.lib = ctypes.CDLL(name)
                break
            except OSError:
                pass
        if not self.lib:
            raise harness.Skip("libkdumpfile is not installed")
        # It came in one version with flattened dumps: 0.5.3.
        self.flattened = hasattr(self.lib, "kdump_set_filenames")
        for name, result, arguments in (
                ("kdump_new", ctypes.c_void_p, []),
                ("kdump_free", None, [ctypes.c_void_p]),
                ("kdump_get_err", ctypes.c_char_p, [ctypes.c_void_p]),
                ("kdump_open_fdset", ctypes.c_int,
                 [ctypes.c_void_p, ctypes.c_uint, ctypes.POINTER(ctypes.c_int)]),
                ("kdump_set_attr", ctypes.c_int,
                 [ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(self.Attr)]),
                ("kdump_read", ctypes.c_int,
                 [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint64, ctypes.c_void_p,
                  ctypes.POINTER(ctypes.c_size_t)])):
            call = getattr(self.lib, name)
            call.restype, call.argtypes = result, arguments

    def translate(self, path, pairs, size=16):
        """What [virtual, physical] addresses of a Linux kernel hold: pairs, None for what it cannot read."""
        context, found = self.lib.kdump_new(), []
        buffer, name = ctypes.create_string_buffer(size), self.Attr(self.STRING, b"linux")
        try:
            with open(path, "rb") as f:
                if self.lib.kdump_open_fdset(context, 1, (ctypes.c_int * 1)(f.fileno())) or \
                        self.lib.kdump_set_attr(context, b"addrxlat.ostype", ctypes.byref(name)):
                    return []
                for pair in pairs:
                    row = []
                    for space, addr in zip((self.KVADDR, self.MACHPHYSADDR), pair):
                        got = ctypes.c_size_t(size)
                        bad = self.lib.kdump_read(context, space, addr, buffer, ctypes.byref(got))
                        row.append(None if bad or got.value != size else buffer.raw)
                    found.append(row)
        finally:
            self.lib.kdump_free(context)
        return found

    def read(self, paths, pfns):
        """(pages by number, complaint)"""
        context, files = self.lib.kdump_new(), [open(path, "rb") for path in paths]
        found, buffer = {}, ctypes.create_string_buffer(PAGE)
        try:
            fds = (ctypes.c_int * len(files))(*(f.fileno() for f in files))
            if self.lib.kdump_open_fdset(context, len(files), fds):
                return found, self.lib.kdump_get_err(context).decode(errors="replace")
            for pfn in pfns:
                size = ctypes.c_size_t(PAGE)
                if self.lib.kdump_read(context, self.MACHPHYSADDR, pfn * PAGE, buffer,
                                       ctypes.byref(size)) or size.value != PAGE:
                    return found, f"page {pfn:#x}: {self.lib.kdump_get_err(context)}"
                found[pfn] = digest(buffer.raw)
            return found, ""
        finally:
            self.lib.kdump_free(context)
            for f in files:
                f.close()


def check_libkdumpfile(tap, source, name, kind, paths, pfns):
    what = f"{name}: libkdumpfile reads {len(pfns)} pages as the source has them"
    try:
        library = Kdumpfile()
    except harness.Skip as why:
        return tap.skip(what, str(why))
    if kind == FLAT and not library.flattened:
        return tap.skip(what, "it is older than 0.5.3, which reads flattened dumps")
    found, said = library.read(paths, pfns)
    if said:
        return tap.check(False, what, said)
    wrong = [f"{pfn:#x}" for pfn in pfns if found.get(pfn) != digest(source.page(pfn, PAGE))]
    return tap.none(wrong, what)


# ---- makedumpfile ----

def makedumpfile(*args, **more):
    run = subprocess.run([program("MAKEDUMPFILE", "makedumpfile"), "--message-level", "4", *args],
                         stderr=subprocess.STDOUT, timeout=120,
                         **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, **more})
    return run.returncode, f"status {run.returncode}\n" + (run.stdout or b"").decode(errors="replace")


def ran(tap, name, result):
    return tap.equal(result[0], 0, name, result[1])


class Without(judge_pages.Memory):
    """A memory less some of its pages."""

    def __init__(self, memory, left_out):
        self.memory = memory
        self.numbers = [pfn for pfn in memory.pages(PAGE) if pfn not in left_out]

    def spans(self):
        return [(pfn * PAGE, (pfn + 1) * PAGE) for pfn in self.numbers]

    def page(self, number, size):
        return self.memory.page(number, size)


def same(tap, name, a, *b, less=()):
    """LESS: pages that a segment covers in part; makedumpfile loses them when it works in cycles."""
    pair = [Without(memory, less) if less else memory
            for memory in (a, judge_pages.open_dump(*b))]
    return tap.none(judge_pages.compare(*pair, PAGE), name)


def check_theirs_of_ours(tap, folder, outs, reference, edges):
    """Their filter makes of our whole dumps what it makes of the source: REFERENCE."""
    theirs = os.path.join(folder, "theirs")
    for name in ("kdump-zlib", "kdump-lzo", "kdump-none", "elf"):
        if name in outs and ran(tap, f"makedumpfile -d 31 of our {name}",
                                makedumpfile("-f", "-c", "-d", "31", outs[name].path, theirs)):
            same(tap, f"makedumpfile -d 31 of our {name}: the pages of that of the source",
                 reference, theirs, less=edges)
    if "flattened-31" in outs and "kdump-31" in outs:
        with open(outs["flattened-31"].path, "rb") as f:
            good = ran(tap, "makedumpfile -R of our stream",
                       makedumpfile("-f", "-R", theirs, stdin=f))
        if good:
            with open(theirs, "rb") as a, open(outs["kdump-31"].path, "rb") as b:
                tap.check(a.read() == b.read(), "makedumpfile -R: the bytes of our file")


def check_split(tap, tool, folder, source, kept):
    """Our pieces in their --reassemble, and in libkdumpfile."""
    pieces = [os.path.join(folder, f"piece{i}") for i in range(3)]
    whole = os.path.join(folder, "whole")
    run = tool.filter("-q", "-d", "31", "--split", source.path, *pieces, seconds=60, data=None)
    if tap.equal(run.status, harness.OK, "our split set: written", run):
        same(tap, "our split set: the pages of our file", kept.memory, *pieces)
        if ran(tap, "makedumpfile --reassemble of our split set",
               makedumpfile("-f", "--reassemble", *pieces, whole)):
            same(tap, "makedumpfile --reassemble: the pages of our file", kept.memory, whole)
        check_libkdumpfile(tap, source, "our split set", KDUMP, pieces, sample(kept.pfns, 3000))


def check_their_split(tap, tool, folder, source):
    pieces = [os.path.join(folder, f"piece{i}") for i in range(3)]
    whole = os.path.join(folder, "whole")
    if ran(tap, "makedumpfile --split", makedumpfile("-f", "-c", "-d", "31", "--split",
                                                     source.path, *pieces)):
        theirs = judge_pages.open_dump(*pieces)
        for what, args in (("--reassemble", ["filter", "--reassemble"]),
                           ("convert", ["convert", "--format", "kdump"])):
            run = tool.run(args[0], "-q", "-f", *args[1:], *pieces, whole, seconds=60, data=None)
            if tap.equal(run.status, harness.OK, f"our {what} of their split set", run):
                same(tap, f"our {what} of their split set: its pages", theirs, whole)


def check_ours_of_theirs(tap, tool, folder, source, kept):
    """Our filter makes of makedumpfile's outputs what it makes of the source."""
    theirs, ours = os.path.join(folder, "theirs"), os.path.join(folder, "ours")
    for what, options in (("kdump, zlib", ["-c", "-d", "1"]), ("kdump, lzo", ["-l", "-d", "1"]),
                          ("kdump, plain", ["-d", "0"]), ("ELF core", ["-E", "-d", "0"]),
                          ("stream", ["-F", "-c", "-d", "1"]), ("ELF stream", ["-F", "-E", "-d", "0"])):
        with open(theirs + ".f", "wb") as f:
            stream = {"stdout": f} if "-F" in options else {}
            target = [] if stream else [theirs]
            result = makedumpfile("-f", *options, source.path, *target, **stream)
        if not ran(tap, f"makedumpfile {' '.join(options)}", result):
            continue
        run = tool.filter("-q", "-f", "-d", "31", theirs + ".f" if stream else theirs, ours,
                          seconds=60, data=None)
        if tap.equal(run.status, harness.OK, f"our filter of their {what}", run):
            same(tap, f"our filter of their {what}: the pages of that of the source", kept.memory,
                 ours, less=source.edges())


def check_makedumpfile(tap, tool, folder, source, outs):
    if not program("MAKEDUMPFILE", "makedumpfile"):
        return tap.skip("makedumpfile", "makedumpfile is not installed")
    if "kdump-31" in outs:
        check_split(tap, tool, folder, source, outs["kdump-31"])
    if source.table != 64:
        return tap.skip("makedumpfile on the source and on our copies of it",
                        "it does not read QEMU's program header table")
    reference = os.path.join(folder, "reference")
    if ran(tap, "makedumpfile -d 31 of the source",
           makedumpfile("-c", "-d", "31", source.path, reference)):
        check_theirs_of_ours(tap, folder, outs, judge_pages.open_dump(reference), source.edges())
    check_their_split(tap, tool, folder, source)
    if "kdump-31" in outs:
        check_ours_of_theirs(tap, tool, folder, source, outs["kdump-31"])


# ---- all ----

def check_readers(tap, folder, source, out, tasks):
    if out.kind == RAW:
        return      # no reader opens memory without a header; the judge did
    if out.kind == ELF:
        check_gdb(tap, folder, source, out)
    check_drgn(tap, folder, source, out, tasks)
    check_libkdumpfile(tap, source, out.name, out.kind, [out.path], out.pfns)


def test(tap, tool, folder):
    corpus = os.environ.get("DUMPTOOL_CORPUS")
    if not corpus:
        raise harness.Skip("DUMPTOOL_CORPUS is unset: no real dumps")
    path = os.environ.get("DUMPTOOL_VMCORE",
                          os.path.join(corpus, "x86_64-6.1", "kdump", "proc-vmcore.elf"))
    if not os.path.exists(path):
        raise harness.Skip(f"there is no {path}")
    source, outs = Source(path), {}
    tasks = tasks_of(tap, folder, source)
    for name, kind, command in OUTPUTS:
        outs[name] = make(tap, tool, folder, source, name, kind, command)
    for name, kind, command, of in SECOND:
        if outs[of]:
            first = outs[of].memory
            first.path = outs[of].path
            outs[name] = make(tap, tool, folder, first, name, kind, command)
    outs = {name: out for name, out in outs.items() if out}
    for out in outs.values():
        check_readers(tap, folder, source, out, tasks)
    check_makedumpfile(tap, tool, folder, source, outs)


if __name__ == "__main__":
    harness.main(test)
