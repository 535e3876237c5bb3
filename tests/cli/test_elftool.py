#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""makedyn, addrandoff, virttophys, dumpmem: what they change and print, byte for byte, and that a full
disk or a wrong file costs nothing."""
import os
import resource
import shutil
import struct
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import elfgen
import elfsegs
import harness
import kimage

PAGE = 4096
ET_EXEC, ET_DYN, ET_CORE = 2, 3, 4
LINKED = kimage.TEXT_VADDR - kimage.KERNEL_OFFSET
ENTRY = 0x1000000
AUXV = ("CORE", 6)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def vmlinux(path, bits=64, order="<", kind=ET_EXEC, stext=LINKED, build_id=bytes([0x5a]) * 20):
    """An ELF file with _stext in its symbol table and a build-id."""
    word = "Q" if bits == 64 else "I"
    names = b"\0other\0_stext\0"
    symbols = b""
    for name, value in ((0, 0), (1, 1), (7, stext)):
        symbols += (struct.pack(order + "IBBHQQ", name, 0, 0, 1, value, 0) if bits == 64 else
                    struct.pack(order + "IIIBBH", name, value & 0xffffffff, 0, 0, 0, 1))
    note = elfgen.note(order, "GNU", 3, build_id)
    data, sections, at = b"", [(0, 0, 0, 0, 0)], 4096
    for kind_of, link, piece in ((2, 2, symbols), (3, 0, names), (7, 0, note)):
        sections.append((kind_of, link, at + len(data), len(piece), 0))
        data += piece
    table = b"".join(struct.pack(order + "II" + word * 4 + "II" + word * 2, 0, kind_of, 0, 0, off, size,
                                 link, 0, 1, 0) for kind_of, link, off, size, _ in sections)
    core = elfgen.Core(bits=bits, order=order, kind=kind, shoff=at + len(data))
    head = bytearray(core.ehdr())
    struct.pack_into(order + word, head, 24, ENTRY)
    struct.pack_into(order + "H", head, 60 if bits == 64 else 48, len(sections))
    with open(path, "wb") as f:
        f.write(bytes(head).ljust(at, b"\0") + data + table + b"\0" * (3 << 20) + b"the end")
    return path


# ---- makedyn ----

def check_makedyn(tap, tool, folder):
    source, out = os.path.join(folder, "linux"), os.path.join(folder, "linux.dyn")
    for bits, order in ((64, "<"), (64, ">"), (32, "<"), (32, ">")):
        vmlinux(source, bits, order)
        before = read(source)
        wanted = before[:16] + struct.pack(order + "H", ET_DYN) + before[18:]
        run = tool.run("makedyn", "-f", source)
        tap.check(run.status == harness.OK and read(out) == wanted and read(source) == before,
                  f"makedyn: two bytes differ, {bits} bits {order}", run)
    run = tool.run("makedyn", source)
    tap.check(run.status == harness.FAILED and read(out) == wanted, "makedyn: what exists is kept", run)
    tap.check(os.stat(out).st_blocks * 512 < 2 << 20, "makedyn: zeros are a hole")
    run = tool.run("makedyn", "--in-place", source)
    tap.check(run.status == harness.OK and read(source) == wanted, "makedyn --in-place", run)
    run = tool.run("makedyn", "--in-place", source)
    tap.check(run.status == harness.OK and read(source) == wanted, "makedyn: done already", run)
    for what, data in (("no ELF file", b"not an ELF file at all" * 9), ("nothing", b""),
                       ("cut off", before[:17]), ("core", before[:16] + struct.pack(">H", ET_CORE) + before[18:])):
        with open(source, "wb") as f:
            f.write(data)
        for option in ("--in-place", "-f"):
            run = tool.run("makedyn", option, source)
            tap.check(run.status == harness.FAILED and read(source) == data and not run.faults(),
                      f"makedyn {option}: {what} is refused", run)
    name = os.path.join(folder, "kdump-elftool")
    vmlinux(source)
    other = vmlinux(os.path.join(folder, "linux2"))
    run = tool.run("makedyn", source, other, name=name)
    tap.check(run.status == 0 and read(source)[16] == read(other)[16] == ET_DYN,
              "kdump-elftool makedyn: in place, several", run)


# ---- addrandoff ----

def limited(tool, limit, *args):
    """A run on a disk that is full at LIMIT bytes of a file."""
    def set_limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    return subprocess.run([tool.path, *args], stderr=subprocess.PIPE, preexec_fn=set_limit, check=False)


def check_note(tap, tool, vmcore, out, name, run, also=()):
    """The note is there, and all else is as it was."""
    before, after = elfsegs.Table(vmcore), elfsegs.Table(out)
    wanted = struct.pack("<6Q", 9, ENTRY + kimage.KERNEL_OFFSET, 7, ENTRY + kimage.KERNEL_OFFSET, 0, 0)
    notes = [n for n in before.note_types() if n[:2] != AUXV]
    tap.check(run.status == harness.OK and after.note_types() == notes + [(*AUXV, wanted)],
              f"{name}: the notes and NT_AUXV", run)
    moved = {s.off - t.off for s, t in zip(after.loads, before.loads)}
    tap.check(len(moved) == 1 and [(s.vaddr, s.paddr, s.filesz, s.memsz) for s in after.loads] ==
              [(s.vaddr, s.paddr, s.filesz, s.memsz) for s in before.loads], f"{name}: the segments")
    same = tool.run("inspect", "--compare", vmcore, out)
    tap.check("0 changed" in same.out.decode().split("pages:")[1].split("\n")[0], f"{name}: the pages", same)


def check_addrandoff(tap, tool, folder):
    made = kimage.Image(kimage.Text(os.path.join(harness.DATA, "mem-small.txt")), "6.12", vmemmap="4k")
    vmcore, out = os.path.join(folder, "vmcore"), os.path.join(folder, "out")
    kernel = vmlinux(os.path.join(folder, "kernel"))
    made.write(vmcore)
    args = ["addrandoff", "-v", vmcore, "-m", kernel]
    run = tool.run(*args, "-o", out)
    check_note(tap, tool, vmcore, out, "addrandoff, room behind the notes", run)
    tap.equal(os.path.getsize(out), os.path.getsize(vmcore), "it took none")
    whole = read(vmcore)
    run = tool.run(*args, "-o", out)
    tap.check(run.status == harness.FAILED, "what exists is kept", run)
    # No room: the notes reach to the first page.
    pad = kimage.NOTES_ROOM - len(made.note_bytes())
    tight = os.path.join(folder, "tight")
    shutil.copy(vmcore, tight)
    with open(tight, "r+b") as f:
        data = (made.note_bytes() + elfgen.note("<", "PADDING", 77, b"p" * (pad - 20)))
        for offset, table in made.core(len(data)).tables():
            f.seek(offset)
            f.write(table)
        f.seek(kimage.NOTES_OFF)
        f.write(data)
    run = tool.run("addrandoff", "-v", tight, "-m", kernel, "-f", "-o", out)
    check_note(tap, tool, tight, out, "addrandoff, no room", run)
    run = tool.run("addrandoff", "-v", out, "-m", kernel, "-o", out + "2")
    check_note(tap, tool, tight, out + "2", "addrandoff, a note that was there", run)
    tap.equal(os.path.getsize(out), os.path.getsize(out + "2"), "it is replaced")
    for path in (vmcore, tight):
        copy = os.path.join(folder, "copy")
        shutil.copy(path, copy)
        run = tool.run("addrandoff", "-v", copy, "-m", kernel, "--in-place")
        check_note(tap, tool, path, copy, f"addrandoff --in-place, {os.path.basename(path)}", run)
    shutil.copy(tight, copy)
    before = read(copy)
    full = limited(tool, 1 << 20, "addrandoff", "-v", copy, "-m", kernel, "--in-place")
    tap.check(full.returncode == harness.FAILED and read(copy) == before and
              not [n for n in os.listdir(folder) if "incomplete" in n],
              "a full disk costs nothing", full.stderr.decode())
    wrong = vmlinux(os.path.join(folder, "wrong"), build_id=b"other" * 4)
    run = tool.run("addrandoff", "-v", vmcore, "-m", wrong, "-f", "-o", out + "3")
    tap.check(run.status == harness.MISMATCH and not os.path.exists(out + "3"),
              "the vmlinux of another kernel: status 2", run)
    run = tool.run("addrandoff", "-v", kernel, "-m", kernel, "--in-place")
    tap.check(run.status == harness.FAILED and not run.faults(), "a vmlinux is no core", run)
    run = tool.run(*args)
    tap.equal(run.status, harness.USAGE, "-o or --in-place must be said")
    tap.check(read(vmcore) == whole, "the input is as it was")
    name = os.path.join(folder, "kdump-elftool")
    shutil.copy(vmcore, copy)
    run = tool.run("addrandoff", "-v", copy, "-m", kernel, name=name)
    check_note(tap, tool, vmcore, copy, "kdump-elftool addrandoff: in place", run)


# ---- virttophys, dumpmem ----

def check_memory(tap, tool, folder):
    made = kimage.Image(kimage.Text(os.path.join(harness.DATA, "mem-small.txt")), "6.12", vmemmap="4k")
    vmcore, out = os.path.join(folder, "vmcore"), os.path.join(folder, "raw")
    made.write(vmcore)
    start = made.text.image[0] * PAGE
    name = os.path.join(folder, "kdump-elftool")
    for offset in (0, 1, 0x123, PAGE, 0x1fffff):
        run = tool.run("virttophys", vmcore, f"{kimage.TEXT_VADDR + offset:x}")
        old = tool.run("virttophys", "-i", vmcore, f"0x{kimage.TEXT_VADDR + offset:x}", name=name)
        tap.check(run.out == old.out == b"%x\n" % (start + offset), f"virttophys: offset {offset:#x}", run, old)
    direct = made.direct(0x812345)
    tap.equal(tool.run("virttophys", "-i", vmcore, f"{direct:x}").out, b"812345\n", "virttophys: the direct map")
    run = tool.run("virttophys", vmcore, "1000")
    tap.check(run.status == harness.FAILED and not run.out, "virttophys: not mapped", run)
    run = tool.run("virttophys", vmcore, "xyz")
    tap.equal(run.status, harness.USAGE, "virttophys: no number")
    root = tool.run("virttophys", "-P", f"{made.tables.root:x}", vmcore, f"{direct:x}")
    tap.equal(root.out, b"812345\n", "virttophys -P", root)
    facts = os.path.join(folder, "facts")
    with open(facts, "w", encoding="ascii") as f:  # as kdump-elftool's gdb macros print them
        f.write(f"PAGESIZE={PAGE}\nOSRELEASE=6.1\nADDRESS(phys_pgd_ptr)={made.tables.root:x}\nADDRESS(PAGE_OFFSET)=0\n")
    extra = tool.run("virttophys", "-e", facts, "-i", vmcore, f"{direct:x}", name=name)
    tap.equal(extra.out, b"812345\n", "kdump-elftool virttophys -e: its own file", extra)
    tap.equal(tool.run("virttophys", "-P", "0", vmcore, f"{direct:x}").status, harness.FAILED,
              "virttophys -P: a page that is no table")
    data = made.page(made.text.image[0])[:40]
    for args in ([vmcore, f"{kimage.TEXT_VADDR:x}", "28"], ["-p", "-i", vmcore, f"{start:x}", "0x28"]):
        run = tool.run("dumpmem", *args)
        found = b"".join(bytes.fromhex(line.split(": ", 1)[1][:47].strip()) for line in run.out.decode().splitlines())
        tap.check(run.status == harness.OK and found == data, f"dumpmem {args[0][:2]}", run, run.out)
    run = tool.run("dumpmem", "-p", "-o", out, vmcore, f"{start + 5:x}", "2003")
    tap.check(run.status == harness.OK and read(out) == made.memory.read(start + 5, 0x2003), "dumpmem -o", run)
    end = 0xa0 * PAGE       # where memory has a hole
    run = tool.run("dumpmem", "-p", vmcore, f"{end - 16:x}", "2010")
    lines = run.out.decode().splitlines()
    tap.check(run.status == harness.FAILED and len(lines) == 3 and lines[0].startswith(f"{end - 16:x}: "),
              "dumpmem: a line for each page that cannot be had", run, *lines)
    run = tool.run("dumpmem", "-p", "-f", "-o", out + "2", vmcore, f"{end - 16:x}", "20")
    tap.check(run.status == harness.FAILED and not os.path.exists(out + "2"), "dumpmem -o: all or nothing", run)
    for wrong in (["10"], [vmcore, "ffffffffffffffff", "10"], [vmcore, "1", "2", "3"]):
        tap.equal(tool.run("dumpmem", *wrong).status, harness.USAGE, f"dumpmem: {len(wrong)} operands are refused")


def test(tap, tool, folder):
    os.symlink(tool.path, os.path.join(folder, "kdump-elftool"))
    check_makedyn(tap, tool, folder)
    check_addrandoff(tap, tool, folder)
    check_memory(tap, tool, folder)


harness.main(test)
