#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""topelf: levels by name, a file and a pipe, classes, more segments than e_phnum can count, and the rules
of --for by models of the readers; the same under the name kdump-elftool."""
import os
import pty
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import elfgen
import elfsegs
import harness
import kimage

PAGE = 4096
LEVELS = {"all": 0, "inuse": 16, "user": 22, "cache": 24, "kernel": 30}
MANY = 66000


def image(folder, text="mem-all.txt", name="vmcore"):
    made = kimage.Image(kimage.Text(os.path.join(harness.DATA, text)), "6.12",
                        vmemmap="2m" if name == "vmcore" else "4k")
    path = os.path.join(folder, name)
    made.write(path)
    return made, path


def pages_of(path):
    """{pfn} in a segment; every page whole."""
    found = set()
    for s in elfsegs.Table(path).loads:
        found.update(range(s.paddr // PAGE, (s.paddr + s.memsz + PAGE - 1) // PAGE))
    return found


def check_levels(tap, tool, folder, made, vmcore):
    for name, level in LEVELS.items():
        out, other = os.path.join(folder, "out"), os.path.join(folder, "other")
        a = tool.run("topelf", "-f", "-l", name, "-o", out, vmcore)
        b = tool.run("topelf", "-f", "-d", level, "-o", other, "-i", vmcore)
        tap.check(a.status == b.status == harness.OK and
                  elfsegs.Table(out).loads == elfsegs.Table(other).loads,
                  f"-l {name} is -d {level}", a, b)
        tap.equal(sorted(pages_of(out)), sorted(made.kept(level)), f"-l {name}: what is kept")
    a = tool.run("topelf", "-f", "-o", out, vmcore)
    tap.equal((a.status, sorted(pages_of(out))), (harness.OK, sorted(made.kept(30))),
              "the default is kernel", a)
    a = tool.run("filter", "-f", "-E", "-d", "kernel", vmcore, other)
    tap.equal((a.status, pages_of(other)), (harness.OK, pages_of(out)), "filter -d kernel", a)
    for wrong in ("kernels", "32", ""):
        tap.equal(tool.run("topelf", "-l", wrong, "--dry-run", vmcore).status, harness.USAGE,
                  f"level '{wrong}' is refused")


def check_stream(tap, tool, folder, vmcore):
    out, stream = os.path.join(folder, "out"), os.path.join(folder, "stream")
    tool.run("topelf", "-f", "-o", out, vmcore)
    for each in (tool, harness.find_tool("DUMPTOOL_KDUMP", "dumptool-kdump")):
        name = os.path.basename(each.path)
        piped = subprocess.run([each.path, "topelf", vmcore], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, check=False)
        with open(stream, "wb") as f:
            f.write(piped.stdout)
        same = tool.run("inspect", "--compare", out, stream)
        tap.check(piped.returncode == 0 and same.status == harness.OK,
                  f"{name}: a pipe gets what a file has", piped.stderr.decode(), same)
    data = piped.stdout
    table = elfsegs.Table(stream)
    tap.equal(len(data), max(s.off + s.filesz for s in table.loads), "its length is what the headers tell")
    parent, child = pty.openpty()
    run = tool.run("topelf", vmcore, stdout=child)
    os.close(child)
    os.close(parent)
    tap.check(run.status == harness.USAGE and "terminal" in run.err, "not to a terminal", run)
    run = tool.run("topelf", "--json", vmcore)
    tap.equal(run.status, harness.USAGE, "--json needs a place of its own")
    run = tool.run("topelf", "-o", out, vmcore)
    tap.check(run.status == harness.FAILED and "exists" in run.err.lower(), "what exists is kept", run)
    run = tool.run("topelf", "-f", "-o", vmcore, vmcore)
    tap.check(run.status == harness.FAILED and "is the input" in run.err, "never over the input", run)
    read, write = os.pipe()
    os.close(read)
    run = tool.run("topelf", vmcore, stdout=write)
    os.close(write)
    tap.check(run.status in (harness.FAILED, harness.INCOMPLETE) and len(run.errors()) == 1,
              "a pipe that nobody reads: one line", run)


def check_class(tap, tool, folder, vmcore):
    out = os.path.join(folder, "out")
    source = os.path.join(folder, "i386")
    elfgen.Description(os.path.join(harness.DATA, "elf-arm32.txt")).build(source)
    for options, bits in (([], 32), (["-8"], 64), (["--m64"], 64), (["-c", "64"], 64), (["-4"], 32)):
        run = tool.run("topelf", "-f", "-l", "all", *options, "-o", out, source)
        tap.equal((run.status, elfsegs.Table(out).bits), (harness.OK, bits),
                  f"32-bit machine, {' '.join(options) or 'no option'}: class {bits}", run)
        same = tool.run("inspect", "--compare", source, out)
        tap.check(same.status == harness.OK,
                  f"the same memory in class {bits}", same)
    run = tool.run("topelf", "-f", "--m32", "-o", out, vmcore)
    tap.check(run.status == harness.OK and elfsegs.Table(out).bits == 64 and run.warnings(),
              "64-bit addresses do not fit class 32", run)
    tap.equal(tool.run("topelf", "-c", "48", "--dry-run", vmcore).status, harness.USAGE, "-c 48 is refused")


def many_segments(path):
    """MANY pages, each alone; one in 1000 has bytes of its own, the others share a page of zeros."""
    core = elfgen.Core(xnum=True)
    headers = elfgen.align(64 + (MANY + 1) * 56 + 64, PAGE)
    core.shoff = 64 + (MANY + 1) * 56
    text = b"OSRELEASE=6.1.0\nPAGESIZE=4096\n"
    notes = elfgen.note("<", "VMCOREINFO", 0, text)
    core.segments = [elfgen.Segment(elfgen.PT_NOTE, headers, 0, 0, len(notes), len(notes))]
    for i in range(MANY):
        at = headers + PAGE * (2 + i // 1000 if i % 1000 == 7 else 1)
        core.segments.append(elfgen.Segment(elfgen.PT_LOAD, at, 0, (1 + 2 * i) * PAGE, PAGE, PAGE))
    with open(path, "wb") as f:
        for offset, data in core.tables():
            f.seek(offset)
            f.write(data)
        f.seek(headers)
        f.write(notes)
        for i in range(MANY // 1000 + 1):
            f.seek(headers + PAGE * (2 + i))
            f.write(b"page %d" % i)
        f.truncate(headers + PAGE * (3 + MANY // 1000))


def check_many(tap, tool, folder):
    source, out = os.path.join(folder, "many"), os.path.join(folder, "out")
    many_segments(source)
    run = tool.run("topelf", "-f", "-l", "all", "-o", out, source, seconds=60)
    table = elfsegs.Table(out)
    tap.equal((run.status, table.e_phnum, table.count, len(table.loads)),
              (harness.OK, elfsegs.PN_XNUM, MANY + 1, MANY), f"{MANY} segments", run)
    tap.none([s.paddr for i, s in enumerate(table.loads) if s.paddr != (1 + 2 * i) * PAGE],
             "each of them where it was")
    bad = []
    with open(out, "rb") as f:
        for i in range(7, MANY, 1000):
            f.seek(table.loads[i].off)
            if not f.read(PAGE).startswith(b"page %d\0" % (i // 1000)):
                bad.append(i)
    tap.none(bad, "and the bytes of those that have some")
    run = tool.run("topelf", "-f", "-l", "all", "--for", "volatility", "-o", out, source, seconds=60)
    tap.check(run.status == harness.OK and any("more pieces" in w for w in run.warnings()),
              "--for volatility says that it cannot read so many", run)


def check_limit(tap, tool, folder):
    """Every other page is of a process, and so are 64 in a row: 22000 pieces. gdb is not given more than
    16384 of them, by pages that a level alone would leave out; crash reads as many as there are."""
    text, vmcore, out = (os.path.join(folder, name) for name in ("text", "pieces", "out"))
    first, last = 0x1800, 0xc7ff
    with open(text, "w", encoding="ascii") as f:
        f.write(f"ram 0x0-0x9f\nram 0x400-{last:#x}\nimage 0x400-0x7ff\npool 0x800-0x17ff\n"
                f"zero {first:#x}-{last:#x}\npage {first:#x}-{first + 63:#x} anon\n")
        f.write("".join(f"page {pfn:#x} anon\n" for pfn in range(first + 65, last, 2)))
    made = kimage.Image(kimage.Text(text), "6.1")
    made.write(vmcore)
    kept = set(made.kept(30))
    for reader, limit in (("crash", 1 << 32), ("gdb", 16384)):
        run = tool.run("topelf", "-f", "--for", reader, "-o", out, vmcore, seconds=60)
        table, pages = elfsegs.Table(out), set(pages_of(out))
        more = [line for line in run.lines() if f"{reader} reads at most {limit} segments" in line]
        tap.check(run.status == harness.OK and len(table.loads) <= limit and
                  (len(table.loads) > 20000) == (reader == "crash") and kept <= pages and
                  pages <= set(made.text.pages()) and bool(more) == (pages != kept) and
                  not pages & set(range(first, first + 64)),
                  f"--for {reader}: {len(table.loads)} segments, {len(pages - kept)} pages more", run)
        tap.none(elfsegs.crash_rules(table), f"--for {reader}: the rules of crash")


def check_volatility(tap, tool, folder, made, source, what):
    out = os.path.join(folder, "out")
    run = tool.run("topelf", "-f", "-l", "kernel", "--for", "volatility", "-o", out, source)
    table = elfsegs.Table(out)
    memory, bad = elfsegs.Volatility(table), []
    kept = set(made.kept(30))
    for pfn in made.text.pages():
        wanted = made.page(pfn) if pfn in kept else None
        if memory.read(pfn * PAGE, PAGE) != wanted:
            bad.append(f"page {pfn:#x}")
    tap.check(run.status == harness.OK and memory.good and
              len(memory.segments) == len(table.loads), f"{what}: Volatility sees all segments", run)
    tap.none(bad, f"{what}: Volatility reads all that is kept, and nothing else")


def check_virtual(tap, tool, folder, made, source, what):
    """What gdb reads at virtual addresses is what the page tables say."""
    kept, out = made.kept(30), os.path.join(folder, "out")
    for reader in ("gdb", "drgn", "crash"):
        run = tool.run("topelf", "-f", "--for", reader, "-o", out, source)
        table = elfsegs.Table(out)
        tap.check(run.status == harness.OK, f"{what}, {reader}: written", run)
        tap.none(elfsegs.crash_rules(table), f"{what}, {reader}: the rules of crash")
        tap.equal(pages_of(out), set(kept), f"{what}, {reader}: physical addresses")
        # The machine maps its image as far as it is used; of that, the text.
        image = [p for p in kept if 0 <= p - made.text.image[0] < kimage.HUGE // PAGE]
        bad = [f"{p:#x}" for p in image[::7] if
               elfsegs.by_vaddr(table, made.image_vaddr(p * PAGE), PAGE) != made.page(p)]
        bad += [f"{p:#x} of the direct map" for p in kept[::11] if
                elfsegs.by_vaddr(table, made.direct(p * PAGE), PAGE) != made.page(p)]
        tap.none(bad, f"{what}, {reader}: virtual addresses")
        if reader != "crash":
            tap.check(elfsegs.by_vaddr(table, 0, 8) is None, f"{what}, {reader}: nothing at address 0")


def check_raw(tap, tool, folder):
    """Memory that came with nothing but itself."""
    made, vmcore = image(folder, "mem-small.txt", "small")
    raw, out = os.path.join(folder, "raw"), os.path.join(folder, "out")
    run = tool.run("convert", "-f", "--format", "raw", vmcore, raw)
    tap.check(run.status == harness.OK, "a raw image", run)
    info = os.path.join(folder, "info")
    with open(info, "w", encoding="ascii") as f:
        f.write("".join(line + "\n" for line in made.vmcoreinfo()))
    for command in (["topelf", "-l", "all"], ["convert", "--format", "elf"], ["filter", "-E", "-d", 0]):
        run = tool.run(*command, "-f", "--for", "gdb", "--arch", "x86_64", "--vmcoreinfo", info, "-o", out,
                       raw + "@0")
        table = elfsegs.Table(out)
        pfn = made.text.ram[-1][1]
        tap.check(run.status == harness.OK and
                  elfsegs.by_vaddr(table, made.direct(pfn * PAGE), PAGE) == made.page(pfn) and
                  elfsegs.by_vaddr(table, kimage.TEXT_VADDR, PAGE) == made.page(made.text.image[0]),
                  f"{command[0]} --for gdb, raw memory: addresses by its page tables", run)


def check_readers(tap, tool, folder, made, vmcore):
    kdump, out = os.path.join(folder, "kdump"), os.path.join(folder, "out")
    tool.run("filter", "-f", "-d", 0, "-l", vmcore, kdump)
    for source, what in ((vmcore, "vmcore"), (kdump, "kdump of it")):
        check_volatility(tap, tool, folder, made, source, what)
        check_virtual(tap, tool, folder, made, source, what)
    tap.equal(tool.run("convert", "--for", "gdb", vmcore, out).status, harness.USAGE, "--for is for ELF")
    tap.equal(tool.run("topelf", "--for", "sam", "--dry-run", vmcore).status, harness.USAGE,
              "a reader that nobody knows")


def check_elftool(tap, tool, folder, vmcore):
    name = os.path.join(folder, "kdump-elftool")
    os.symlink(tool.path, name)
    out, ours = os.path.join(folder, "elf"), os.path.join(folder, "ours")

    def run(*args, **more):
        return tool.run(*args, name=name, **more)

    tool.run("topelf", "-f", "-o", ours, vmcore)
    for args in (["-v", vmcore, "-o", out], ["-I", "oldmem", "-i", vmcore, "-v", "/nowhere", "-o", out, "-d"],
                 ["--vmcore", vmcore, "--outfile", out, "--level", "kernel", "--elfclass", "64"]):
        r = run("topelf", *args)
        tap.check(r.status == 0 and elfsegs.Table(out).loads == elfsegs.Table(ours).loads,
                  f"kdump-elftool topelf {' '.join(args)}", r)
    r = run("topelf", "-v", vmcore, "-I", "kdump", "-o", out)
    tap.check(r.status == 1 and "is not of kind kdump" in r.err, "-I must be what it is", r)
    r = run("topelf", "-v", vmcore, "-I", "elves", "-o", out)
    tap.check(r.status == 1 and "is no kind" in r.err, "-I must be a kind", r)
    extra = os.path.join(folder, "extra")
    with open(extra, "w", encoding="ascii") as f:
        f.write("SYMBOL(swapper_pg_dir)=0\nSYMBOL(init_top_pgt)=0\nSYMBOL(init_level4_pgt)=0\n")
    r = run("topelf", "-v", vmcore, "-e", extra, "-o", out)
    tap.check(r.status == 0 and r.warnings(), "-e counts before VMCOREINFO", r)
    tap.equal(run("topelf", "--nothing").status, 1, "a wrong option: status 1")
    tap.equal(run("filter", vmcore, out).status, 1, "it has no other commands")
    r = run("--help")
    tap.check(r.status == 0 and b"topelf" in r.out and b"filter" not in r.out, "--help", r)
    tap.equal(run("--version").status, 0, "--version")


def test(tap, tool, folder):
    made, vmcore = image(folder)
    check_levels(tap, tool, folder, made, vmcore)
    check_stream(tap, tool, folder, vmcore)
    check_class(tap, tool, folder, vmcore)
    check_readers(tap, tool, folder, made, vmcore)
    check_raw(tap, tool, folder)
    check_elftool(tap, tool, folder, vmcore)
    check_many(tap, tool, folder)
    check_limit(tap, tool, folder)


harness.main(test)
