#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory without a header, of every architecture that is known by name, through all formats and back."""
import json
import os
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import harness

# name, ELF class, byte order, ELF machine number (gabi), page size, what inspect calls it
ARCHS = [
    ("x86_64", 64, "<", 62, 4096, "x86_64"), ("i686", 32, "<", 3, 4096, "i686"),
    ("i586", 32, "<", 3, 4096, "i686"), ("aarch64", 64, "<", 183, 65536, "aarch64"),
    ("aarch64_be", 64, ">", 183, 16384, "aarch64_be"), ("armv7l", 32, "<", 40, 4096, "armv7l"),
    ("ppc", 32, ">", 20, 4096, "ppc"),
    ("ppc64", 64, ">", 21, 65536, "ppc64"), ("ppc64le", 64, "<", 21, 4096, "ppc64le"),
    ("s390x", 64, ">", 22, 4096, "s390x"), ("riscv64", 64, "<", 243, 4096, "riscv64"),
    ("loongarch64", 64, "<", 258, 16384, "loongarch64"),
    ("mips", 32, "<", 8, 4096, "mips"), ("mipseb", 32, ">", 8, 16384, "mips"),
    ("mips64", 64, "<", 8, 4096, "mips64"), ("mips64el", 64, "<", 8, 16384, "mips64"),
    ("mips64eb", 64, ">", 8, 16384, "mips64"),
    ("openrisc", 32, ">", 92, 8192, "openrisc"), ("or1k", 32, ">", 92, 8192, "openrisc"),
    ("sparc64", 64, ">", 43, 8192, "sparc64"),
    ("ia64", 64, "<", 50, 65536, "ia64"), ("alpha", 64, "<", 0x9026, 8192, "alpha"),
]
BASE = 0x200000
SIZE = 0x80000


def memory():
    """Pages that differ from each other, with zeros between them."""
    pages = [(b"" if n % 5 == 3 else b"%08x" % n * 512).ljust(4096, b"\0")
             for n in range(SIZE // 4096)]
    return b"".join(pages)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def convert(tap, tool, what, *args):
    run = tool.run("convert", "-q", "-f", *args)
    return tap.equal(run.status, harness.OK, what, run)


def check_identity(tap, tool, name, path, title, word, order, *options):
    run = tool.run("inspect", "--json", "--quick", *options, path)
    told = json.loads(run.out) if run.status == harness.OK else {}
    tap.equal([told.get(key) for key in ("architecture", "word_bits", "byte_order")],
              [title, word, "big-endian" if order == ">" else "little-endian"],
              f"{name}: {os.path.basename(path)} is of that machine", run)


def check_arch(tap, tool, folder, row):
    name, word, order, machine, size, title = row
    raw, elf, kdump, again = (os.path.join(folder, n) for n in ("raw", "elf", "kdump", "again"))
    options = ("--arch", name, "--page-size", size)
    if not convert(tap, tool, f"{name}: memory to ELF", "--format", "elf", *options,
                   f"{raw}@{BASE:#x}", elf):
        return
    head = read(elf)[:64]
    tap.equal((head[4], head[5], struct.unpack_from(order + "H", head, 18)[0]),
              (word // 32, 2 if order == ">" else 1, machine), f"{name}: the ELF header")
    # No --arch: the ELF core, and then the kdump dump, tell it.
    convert(tap, tool, f"{name}: ELF to kdump", "--format", "kdump", elf, kdump)
    for path in (elf, kdump):
        check_identity(tap, tool, name, path, title, word, order)
    convert(tap, tool, f"{name}: kdump to memory", "--format", "raw", kdump, again)
    data = read(again)
    tap.check(not any(data[:BASE]) and data[BASE:] == read(raw), f"{name}: the same bytes",
              f"{len(data)} of them")
    run = tool.run("inspect", "--compare", *options, kdump, f"{again}@0")
    tap.check(b" 0 changed" in run.out and b"only in the first" not in run.out.split(b"notes:")[0],
              f"{name}: compares equal when it is read again", run.out.decode(), run)


def check_untold(tap, tool, folder):
    """Raw memory, and nobody says what it is of: the first thing that is said is what helps."""
    raw, out = os.path.join(folder, "raw") + "@0", os.path.join(folder, "out")
    hint = f"{raw}: the architecture is not known (--arch NAME says it)"
    run = tool.run("inspect", "--quick", raw)
    tap.check(run.status == harness.OK and b"none: the architecture is not known (--arch NAME" in run.out and
              b"VMCOREINFO note, and memory was not looked through" in run.out, "inspect without --arch", run)
    run = tool.run("dmesg", raw)
    tap.check(run.status == harness.FAILED and "(--arch NAME says it)" in run.err, "dmesg without --arch", run)
    for what, words, lines in ((("filter", "-d", 31), "nothing is known about its kernel", 2),
                               (("convert", "--format", "elf"), "what is written does not tell it", 1),
                               (("convert", "--format", "kdump"), "what is written does not tell it", 1),
                               (("convert", "--format", "raw"), None, 0),
                               (("convert", "--format", "elf", "--arch", "x86_64"), None, 0)):
        run = tool.run(*what, "-f", raw, out)
        tap.check(run.status == harness.OK and len(run.warnings()) == lines and
                  (not lines or run.warnings()[0].endswith(f"{hint}: {words}")),
                  f"{' '.join(map(str, what))}: {lines} warnings, which name --arch", run)


def test(tap, tool, folder):
    with open(os.path.join(folder, "raw"), "wb") as f:
        f.write(memory())
    for row in ARCHS:
        check_arch(tap, tool, folder, row)
    check_untold(tap, tool, folder)
    run = tool.run("inspect", "--arch", "pdp11", os.path.join(folder, "raw@0"))
    tap.check(run.status != harness.OK and "'pdp11' is no architecture known here" in run.err,
              "an architecture that is not known", run)


harness.main(test)
