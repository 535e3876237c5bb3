#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""kdump dumps described in tests/data/kdump-*.txt: what inspect says, what filter makes of them, and
whether libkdumpfile, which shares no code with the program, reads the same pages."""
import ctypes
import ctypes.util
import glob
import json
import os
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import harness
import kdumpgen
import kdumpread

KERNEL_FACTS = ("release", "crash_time")
STATES = ("present", "excluded", "unreadable")


def found_pages(report, state):
    """Page frames that inspect --json has in STATE, and complaints about the order of its ranges."""
    shift, pages, end, wrong = report["page_size"].bit_length() - 1, [], 0, []
    for row in report["memory"]:
        first = int(row["start"], 0) >> shift
        if first < end or not row["pages"]:
            wrong.append(f"range {row} is empty or out of order")
        end = first + row["pages"]
        if row["state"] == state:
            pages += range(first, end)
    return pages, wrong


def fact_of(report, key):
    value = report["kernel"][key] if key in KERNEL_FACTS else report.get(key)
    return str(len(value)) if key == "cpus" else str(value).lower() if value in (True, False) else \
        str(value)


def is_damaged(text):
    return text.facts.get("complete") == "false"


def check_inspect(tap, tool, text, paths):
    run = tool.run("inspect", "--json", *paths)
    good = tap.equal(run.status, harness.DAMAGED if is_damaged(text) else harness.OK,
                     f"{text.name}: inspect", run)
    if not good or run.faults():
        return
    report = json.loads(run.out)
    for state in STATES:
        found, wrong = found_pages(report, state)
        tap.check(found == text.pages_in(state) and not wrong, f"{text.name}: {state} pages",
                  *wrong, f"got    {found[:40]}", f"wanted {text.pages_in(state)[:40]}")
        tap.equal(report["pages"][state], len(text.pages_in(state)),
                  f"{text.name}: number of {state} pages")
    tap.equal(report["pages"]["zero"],
              sum(not any(text.expected_page(p)) for p in text.pages_in("present")),
              f"{text.name}: number of zero pages")
    tap.equal({k: fact_of(report, k) for k in text.facts}, text.facts,
              f"{text.name}: what inspect says")
    tap.equal(report["page_size"], text.page_size, f"{text.name}: page size")


def wrong_pages(dump, text):
    """Complaints about pages whose bytes are not what the description says."""
    wrong = []
    for pfn in text.pages_in("present"):
        got, wanted = dump.page(pfn), text.expected_page(pfn)
        if got != wanted:
            wrong.append(f"page {pfn:#x}: {(got or b'')[:48]!r}, wanted {wanted[:48]!r}")
    return wrong


def source_notes(text):
    """What a conversion must carry over: up to version 3 a note is made of the text."""
    if text.set.version < 4:
        return [(b"VMCOREINFO", 0, text.info)] if text.info else []
    return [(owner.encode(), kind, desc) for owner, kind, desc in text.notes]


def check_copy(tap, text, path, name):
    dump = kdumpread.Dump(path)
    tap.equal(dump.existing(), text.pages_in(*STATES), f"{name}: pages that exist")
    tap.equal(dump.kept(), text.pages_in("present"), f"{name}: pages kept")
    tap.none(wrong_pages(dump, text), f"{name}: contents of the pages")
    tap.equal(dump.order, "little" if text.set.order == "<" else "big", f"{name}: byte order")
    tap.equal((dump.word, dump.layout.align), kdumpgen.ABIS[text.abi_of_machine()],
              f"{name}: word and alignment")
    tap.equal(dump.level, text.set.level, f"{name}: dump level")
    tap.equal(dump.notes()[:-1], source_notes(text), f"{name}: all notes of the source")
    erased = dump.data[dump.erase_off:dump.erase_off + dump.erase_len]
    tap.equal(bytes(erased), text.erased, f"{name}: what was erased is still told")
    if text.set.sysname:
        tap.equal(dump.utsname[2], text.set.release, f"{name}: release")


def check_filter(tap, tool, text, paths, folder):
    """Level 0 copies what is there, as it is or through a codec, whatever it was stored in."""
    for codec in ("none", "zlib"):
        out, name = os.path.join(folder, "out.kdump"), f"{text.name}: to {codec}"
        run = tool.filter("-f", "-d", 0, "--compress", codec, *paths, out)
        if tap.equal(run.status, harness.DAMAGED if is_damaged(text) else harness.OK,
                     f"{name}: filter", run):
            check_copy(tap, text, out, name)


def check_plain_reading(tap, tool, text, paths, folder):
    """The same when the file is read, not mapped."""
    mapped, read = os.path.join(folder, "out.kdump"), os.path.join(folder, "read.kdump")
    tool.filter("-f", "-d", 0, "--compress", "zlib", *paths, mapped)
    run = tool.filter("-f", "-d", 0, "--compress", "zlib", "--non-mmap", *paths, read)
    with open(mapped, "rb") as a, open(read, "rb") as b:
        tap.check(a.read() == b.read(), f"{text.name}: --non-mmap gives the same dump", run)


# ---- libkdumpfile ----

class Oracle:
    """libkdumpfile through its C interface."""
    PHYSADDR = 1    # KDUMP_MACHPHYSADDR: what the file has, without a translation

    def __init__(self):
        names = glob.glob("/usr/lib/*/libkdumpfile.so.1[0-9]") + ["libkdumpfile.so.10"]
        self.lib = ctypes.CDLL(names[0])
        self.lib.kdump_new.restype = ctypes.c_void_p
        self.lib.kdump_get_err.restype = ctypes.c_char_p

    def open(self, paths):
        """A context, or a reason why not."""
        ctx = ctypes.c_void_p(self.lib.kdump_new())
        files = [open(path, "rb") for path in paths]
        fds = (ctypes.c_int * len(files))(*[f.fileno() for f in files])
        status = self.lib.kdump_open_fdset(ctx, len(files), fds)
        return (ctx, files) if status == 0 else self.lib.kdump_get_err(ctx).decode()

    def page(self, ctx, addr, size):
        """The bytes at a physical address; why not, when the library has none."""
        buf, length = ctypes.create_string_buffer(size), ctypes.c_size_t(size)
        status = self.lib.kdump_read(ctx, self.PHYSADDR, ctypes.c_uint64(addr), buf,
                                     ctypes.byref(length))
        return buf.raw if status == 0 else self.lib.kdump_get_err(ctx).decode()


def oracle_refuses(text, paths):
    """Why libkdumpfile cannot be asked about this one; None when it can."""
    if text.set.bias:
        return "libkdumpfile does not count from phys_base on Arm"
    if text.set.block != text.page_size:
        return "libkdumpfile takes a block for a page"
    if text.truncated:
        return "libkdumpfile dies of SIGBUS at the end of a file that is cut off"
    if len(paths) != len(text.files):
        return "libkdumpfile wants all parts of a set"
    return None


def check_oracle(tap, oracle, text, paths):
    name = f"{text.name}: libkdumpfile reads the same"
    why = oracle_refuses(text, paths)
    if why:
        return tap.skip(name, why)
    opened = oracle.open(paths)
    if isinstance(opened, str):
        return tap.skip(name, f"libkdumpfile: {opened}"[:150])
    ctx, wrong, size = opened[0], [], text.page_size
    first = oracle.page(ctx, text.pages_in("present")[0] * size, size)
    if text.set.abi == "32a" and first == "Out-of-bounds PFN":
        return tap.skip(name, "libkdumpfile before 0.5.2 knows 32-bit dumps packed as on i386 only")
    for pfn in text.pages_in("present"):
        got = oracle.page(ctx, pfn * size, size)
        if got != text.expected_page(pfn):
            wrong.append(f"page {pfn:#x} is another one there: {got[:100]!r}")
    for pfn in text.pages_in("excluded", "unreadable"):
        if isinstance(oracle.page(ctx, pfn * size, size), bytes):
            wrong.append(f"page {pfn:#x} can be read there")
    return tap.none(wrong, name)


def find_oracle(tap):
    try:
        return Oracle()
    except OSError:
        tap.skip("libkdumpfile reads the same", "libkdumpfile is not installed")
        return None


# ---- sets that are none ----

def described(name, folder, path, seed=None):
    text = kdumpgen.Description(os.path.join(harness.DATA, f"kdump-{name}.txt"))
    if seed is not None:
        text.seed = seed
    return text, text.build(os.path.join(folder, path))


def refused(tap, tool, paths, words, name):
    """One line of error that has all of WORDS."""
    run = tool.run("inspect", *paths)
    tap.check(run.status == harness.FAILED and len(run.lines()) == 1 and
              all(w in run.err for w in words), name, run)


def check_sets(tap, tool, folder):
    _, parts = described("split", folder, "a")
    files = sorted(parts)
    refused(tap, tool, [files[0], files[1], files[0]], [files[0], "overlap"],
            "a part that is named twice is refused")
    _, whole = described("v6-64", folder, "whole")
    refused(tap, tool, [files[0], whole[0]], [whole[0], "no part"],
            "a whole dump among parts is refused")
    text, _ = described("split", folder, "b")
    text.set.time += 1
    other = sorted(text.build(os.path.join(folder, "b")))
    refused(tap, tool, [files[0], other[1], files[2]], [other[1], "timestamp"],
            "a part of a dump of another time is refused")
    text, _ = described("split", folder, "c")
    text.line_keep("0x35-0x36")
    other = sorted(text.build(os.path.join(folder, "c")))
    refused(tap, tool, [files[0], other[1], files[2]], [other[1], "bitmaps"],
            "a part with other bitmaps is refused")
    with open(os.path.join(folder, "elf"), "wb") as f:
        f.write(b"\177ELF" + bytes(4096))
    refused(tap, tool, [files[0], f.name], [f.name, "no kdump"],
            "a file of another format among parts is refused")


def check_missing_part(tap, tool, folder):
    text, parts = described("split-gap", folder, "gap")
    run = tool.run("inspect", "--quick", *parts)
    tap.check(sum("0x20-0x6f missing" in line for line in run.warnings()) == 1,
              "the pages of a missing part are named, once", run)


def check_compare(tap, tool, folder):
    """Dumps in several files."""
    _, parts = described("split", folder, "set")
    run = tool.run("convert", "-f", *parts, os.path.join(folder, "whole"))
    tap.equal(run.status, harness.OK, "a set is put together", run)
    backwards = [word for part in reversed(parts) for word in ("--with", part)]
    for name, args, status in (
            ("a set and itself, backwards", [*parts, *backwards], harness.OK),
            ("a set and the whole", [*parts, "--with", os.path.join(folder, "whole")], harness.OK),
            ("the whole and one part", [os.path.join(folder, "whole"), "--with", parts[0]],
             harness.DIFFERENT),
            ("three files without --with", parts[:3], harness.USAGE)):
        run = tool.run("inspect", "--compare", *args)
        tap.equal(run.status, status, f"--compare: {name}", run, run.out)
    run = tool.run("inspect", *parts, "--with", parts[0])
    tap.equal(run.status, harness.USAGE, "--with without --compare", run)


def check_mark(tap, tool, folder):
    """What is restored of a stream that breaks off is marked, by the bit of the format that it is in."""
    for name, status in (("one-bitmap", 1 | 8), ("v6-64", None)):
        text, paths = described(name, folder, "marked")
        with open(paths[0], "rb") as f:
            data = f.read()
        with open(os.path.join(folder, "stream"), "w+b") as f:
            f.write((b"makedumpfile".ljust(16, b"\0") + struct.pack(">qq", 1, 1)).ljust(4096, b"\0"))
            f.write(struct.pack(">qq", 0, len(data)) + data)
            f.seek(0)
            run = tool.filter("-f", "-R", os.path.join(folder, "restored"), stdin=f)
        tap.check(run.status not in (harness.OK, harness.DAMAGED) and not run.faults(),
                  f"{name}: a stream without its end is not taken for whole", run)
        run = tool.run("inspect", "--quick", "--json", os.path.join(folder, "restored"))
        report = json.loads(run.out) if run.out else {}
        tap.equal(report.get("marked_incomplete"), True, f"{name}: what is restored of it is marked", run)
        if status is not None:
            at, width = text.files[0].fields["status"]
            with open(os.path.join(folder, "restored"), "rb") as f:
                word = f.read()[at:at + width]
            tap.equal(int.from_bytes(word, "little"), status, f"{name}: the status word")


def test(tap, tool, folder):
    names = harness.selected(p for _, p in harness.descriptions("kdump-"))
    oracle = find_oracle(tap)
    for name in names:
        text = kdumpgen.Description(name)
        try:
            paths = text.build(os.path.join(folder, "in.kdump"))
        except kdumpread.Unsupported as why:
            tap.skip(text.name, why)
            continue
        check_inspect(tap, tool, text, paths)
        check_filter(tap, tool, text, paths, folder)
        check_plain_reading(tap, tool, text, paths, folder)
        if oracle:
            check_oracle(tap, oracle, text, paths)
    check_sets(tap, tool, folder)
    check_missing_part(tap, tool, folder)
    check_compare(tap, tool, folder)
    check_mark(tap, tool, folder)


harness.main(test)
