#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""--assume: what the user knows better than the dump.

From page tables described in tests/data/vtop-*.txt one fact after the other is taken away, or made a
lie; what is assumed instead brings the translation back. Lies of the user are told, nonsense refused."""
import json
import os
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import harness
import kdumpread
import kimage
from tables import Tables

USAGE = 64
NOWHERE = 0xfedc    # no ELF machine number


def without(*keys):
    """VMCOREINFO that lacks these keys; without() lacks all."""
    def change(text):
        text.info = [line for line in text.info if keys and not line.startswith(keys)]
    return change


def saying(**values):
    """Lines of VMCOREINFO with another value."""
    def change(text):
        for i, line in enumerate(text.info):
            for key, value in values.items():
                if line.startswith((key + "=", f"NUMBER({key})=", f"SYMBOL({key})=")):
                    text.info[i] = line.split("=")[0] + "=" + value
    return change


def moved(by):
    """VMCOREINFO of another boot: all symbols lie elsewhere, and so does KERNELOFFSET."""
    def change(text):
        text.info.append(f"KERNELOFFSET={by:x}")
        for i, line in enumerate(text.info):
            if line.startswith("SYMBOL("):
                key, value = line.split("=")
                text.info[i] = f"{key}={int(value, 16) + by:x}"
    return change


def machine(number):
    def change(text):
        text.core.machine = number
    return change


def nowhere(*changes):
    """The PT_LOADs say nothing of virtual addresses, as of a raw image, and then the changes."""
    def change(text):
        for load in text.loads:
            load.vaddr = None
        for c in changes:
            c(text)
    return change


# The description, what is done to it, whether the translation is then gone or wrong, and what brings it back.
LOST = [
    ("x86_64", machine(NOWHERE), True, "arch=x86_64"),
    ("x86_64", without("SYMBOL(swapper"), True, "SYMBOL(swapper_pg_dir)=ffffffff80010000"),
    ("x86_64", without("SYMBOL(swapper"), True, "page-table=0x1010000,levels=4"),
    ("x86_64", without("SYMBOL(swapper", "NUMBER"), True, "page-table=0x1010000"),
    ("x86_64", without(), True, "page-table=0x1010000,layout=x86-64 with 4 levels"),
    ("x86_64", without(), True, "layout=x86-64 with 4 levels,page-table=16842752"),
    ("x86_64", without("NUMBER"), False, "phys-base=0x1000000"),
    ("x86_64", saying(pgtable_l5_enabled="1"), True, "levels=4"),
    ("x86_64", saying(pgtable_l5_enabled="1"), True, "va-bits=48"),
    ("x86_64", saying(pgtable_l5_enabled="1"), True, "NUMBER(pgtable_l5_enabled)=0"),
    ("x86_64", saying(phys_base="0"), False, "phys-base=0x1000000"),
    ("x86_64", moved(0x400000), False, "kaslr-offset=0,NUMBER(phys_base)=16777216"),
    ("i386-pae", saying(CONFIG_X86_PAE="n"), False, "layout=x86 (32 bit) with PAE"),
    ("i386-pae", without(), True, "levels=3,page-table=0x7010000"),
    ("i386-split", without(), True, "page-table=0x1001000,va-bits=32,levels=2"),
    ("i386-split", without("SYMBOL(_stext"), False, "page-offset=0x78000000"),
    ("arm", without("SYMBOL(_stext", "SYMBOL(init"), False, "phys-base=0x80000000"),
    ("arm-split", without("SYMBOL(_stext"), False, "phys-base=0x40200000"),
    ("arm64-16k47", without("PAGESIZE"), True, "page-size=16K"),
    ("arm64-16k47", without("PAGESIZE", "NUMBER"), True, "page-size=16384,va-bits=47"),
    ("arm64-4k48", saying(VA_BITS="39", TCR_EL1_T1SZ="0x19"), True, "va-bits=48"),
    ("arm64-4k48", saying(VA_BITS="39", TCR_EL1_T1SZ="0x19"), True,
     "layout=arm64 with 4 KiB pages, 48 bits,page-size=4K"),
    ("arm64-4k48", without(), True, "va-bits=48,page-table=0x40400000"),
    ("arm64-4k48old", nowhere(without("NUMBER")), False, "va-bits=48"),
    ("arm64-4k52", without("NUMBER"), False, "va-bits=52"),
    ("arm64-4k48", saying(kimage_voffset="0"), False,
     "NUMBER(kimage_voffset)=0xffff7fffd2000000"),
    ("arm64-4k48", moved(0x600000), False, "kaslr-offset=0"),
    ("riscv64-sv48", saying(VA_BITS="39"), False, "va-bits=48"),
    ("riscv64-sv48", without(), True, "levels=4,page-table=0x80400000"),
    ("riscv64-sv48", nowhere(without("NUMBER")), False, "levels=4"),
    ("s390x-vr", without("KERNELOFFPHYS"), True, "phys-base=0x10000"),
    ("s390x-vr", without("IDENTITYBASE"), True, "page-offset=0x38000000000"),
    ("s390x-vr", without("KERNELOFFSET"), True, "KERNELOFFSET=3ffe0000000"),
    ("ppc64-hash-64k", saying(vmap_area_list="0"), True, "layout=ppc64 hash, 64K pages"),
    ("loongarch64-16k3", saying(VMALLOC_START="0x9000000000000000"), True, "levels=3"),
    ("mips64-4k", machine(NOWHERE), True, "arch=mips64,byte-order=little"),
    ("x86_64", machine(NOWHERE), True, "arch=amd64"),
    ("arm64-4k48", machine(NOWHERE), True, "arch=arm64"),
    ("arm", machine(NOWHERE), True, "arch=arm"),
    ("loongarch64-16k3", machine(NOWHERE), True, "arch=loong64"),
    ("arm64-4k48", machine(NOWHERE), True, "arch=aarch64-linux-gnu"),
    ("x86_64", machine(NOWHERE), True, "arch=AMD64, page-size=4K"),
    ("ppc64-hash-64k", machine(NOWHERE), True, "arch=ppc64"),
    ("mips64-4k", machine(NOWHERE), True, "arch=mips,word=64,byte-order=little"),
    ("x86_64", machine(NOWHERE), True, "arch=x86"),
    ("i386-pae", machine(NOWHERE), True, "arch=x86,word=32"),
    ("armeb", machine(NOWHERE), True, "arch=arm,byte-order=big"),
]

# What is said where the description's machine is assumed to be another.
LIES = [
    ("x86_64", "arch=i686", "says that it is of x86-64; x86 (32 bit) is assumed"),
    ("x86_64", "phys-base=0x200000", "VMCOREINFO says NUMBER(phys_base)=16777216; 0x200000 is assumed"),
    ("x86_64", "levels=5", "says that its page table is x86-64 with 4 levels (48 bits, 4 levels)"),
    ("x86_64", "page-table=0x1000000", "page table is at 0x1010000; 0x1000000 is assumed"),
    ("x86_64", "SYMBOL(_stext)=1", "VMCOREINFO says SYMBOL(_stext)=ffffffff80000000; 1 is assumed"),
    ("arm64-4k48", "page-size=64K", "says that its pages have 4096 bytes; 65536 is assumed"),
    ("x86_64", "kaslr-offset=0x400000", "no kernel is where kaslr-offset 0x400000 has it, but one 0x400000 bytes below"),
    ("arm64-4k48", "byte-order=big", "Arm (64 bit, big-endian) is assumed"),
    ("arm64-4k48", "phys-base=0x80000000", "PHYS_OFFSET)=0x40000000; 0x80000000 is assumed"),
    ("mips64-4k", "word=32", "MIPS (32 bit) is assumed"),
    ("s390x-vr", "page-offset=0x80000000", "VMCOREINFO says IDENTITYBASE=38000000000; 0x80000000"),
]

NONSENSE = [
    ("x86_64", "speed=fast", "'speed' cannot be assumed; what can: arch, page-size, word"),
    ("x86_64", "arch", "'arch' is not KEY=VALUE"),
    ("x86_64", "arch=pdp11", "'pdp11' is no architecture known here; what is: x86_64, i686, "),
    ("x86_64", "word=16", "word '16': expected 32 or 64"),
    ("x86_64", "byte-order=middle", "byte-order 'middle': expected little or big"),
    ("x86_64", "page-size=5000", "page-size '5000': expected 4K to 64K"),
    ("x86_64", "page-size=16K", "x86_64 has no pages of 16384 bytes: expected 4K\n"),
    ("arm64-4k48", "page-size=8K", "aarch64 has no pages of 8192 bytes: expected 4K, 16K or 64K\n"),
    ("ppc64-hash-64k", "page-size=16K", "has no pages of 16384 bytes: expected 4K or 64K\n"),
    ("x86_64", "word=32", "there is no x86_64 of 32 bits"),
    ("x86_64", "arch=i686,byte-order=big", "there is no i686 that is big-endian"),
    ("x86_64", "arch=arm64,word=32", "there is no arm64 of 32 bits"),
    ("x86_64", "levels=3", 'no layout of x86_64 with pages of 4096 bytes is so: "x86-64 with 4'),
    ("x86_64", "va-bits=39", "no layout of x86_64"),
    ("x86_64", "va-bits=99", "va-bits '99': expected 32 to 64"),
    ("x86_64", "layout=riscv64 with Sv39", "no layout of x86_64"),
    ("x86_64", "phys-base=0x1234", "phys-base 0x1234 cannot be on x86_64: expected a multiple of"),
    ("x86_64", "phys-base=-5", "phys-base '-5': expected a physical address"),
    ("x86_64", "page-table=0x123456789000", "no table can be there"),
    ("x86_64", "page-offset=0xffff888000000000", "x86_64 has no page-offset; of such addresses it has"),
    ("x86_64", "NUMBER(VA_BITS)=many", "NUMBER(VA_BITS) 'many': expected a number"),
    ("x86_64", "page-table=scan", 'page-table=scan wants one of: layout="x86-64 with 4 levels"'),
    ("x86_64", "NUMBER()=1", "'NUMBER()' cannot be assumed"),
    ("x86_64", "PAGESIZE=4096", "'PAGESIZE' cannot be assumed"),
    ("loongarch64-16k3", "phys-base=0", "loongarch64 has no phys-base; of such addresses it has nothing"),
    ("i386-pae", "page-offset=0xc1000000", "cannot be on i686"),
]


def load(name, change=None):
    text = Tables(os.path.join(harness.DATA, f"vtop-{name}.txt"))
    notes = [n for n in text.notes if n[0] != "VMCOREINFO"]
    if change:
        change(text)
    if text.info:
        notes.append(("VMCOREINFO", 0, "".join(line + "\n" for line in text.info).encode()))
    text.notes = notes
    return text


def wrong(tool, text, core, *options):
    """Addresses that are not translated as the description says; and what ran."""
    with open(core + ".ask", "w", encoding="ascii") as f:
        f.write("".join(f"{v:#x}\n" for v, _, _ in text.vtops))
    with open(core + ".ask", "rb") as f:
        run = tool.run("inspect", "--json", *options, "--vtop", "-", core, stdin=f)
    if not run.out:
        return ["all"], run
    got = json.loads(run.out)["addresses"]
    return [f"{v:#x} is {g.get('paddr')}, not {p}" for (v, p, _), g in zip(text.vtops, got)
            if (None if "error" in g else int(g["paddr"], 0)) != p], run


def check_lost(tap, tool, core):
    for name, change, gone, options in LOST:
        text = load(name, change)
        text.build(core)
        bad, run = wrong(tool, text, core)
        tap.check(bool(bad) or not gone, f"{name}, before {options}: is lost", run)
        bad, run = wrong(tool, text, core, "--assume", options)
        tap.none(bad, f"{name}: {options}", run)


def check_words(tap, tool, core):
    """Lies, and nonsense: a line each."""
    for name, options, said in LIES:
        load(name).build(core)
        run = tool.run("inspect", "--quick", "--assume", options, core)
        told = [line for line in run.lines() if said in line]
        tap.check(run.status == harness.OK and len(told) == 1, f"{name}: {options} is told", run)
    for name, options, said in NONSENSE:
        load(name).build(core)
        run = tool.run("inspect", "--quick", "--assume", options, core)
        tap.check(run.status == USAGE and len(run.lines()) == 1 and said in run.err,
                  f"{name}: {options} is refused", run)
    load("x86_64").build(core)
    for options in ("phys-base=0x1000000", "arch=x86_64,page-size=4K,word=64,byte-order=little",
                    "levels=4,va-bits=48,page-table=0x1010000", "SYMBOL(_stext)=ffffffff80000000"):
        run = tool.run("inspect", "--quick", "--assume", options, core)
        tap.equal((run.status, run.warnings()), (harness.OK, []), f"{options} is true: no word", run)
    run = tool.run("inspect", "--quick", "--assume", "levels=5", "--assume", "levels=4", core)
    tap.equal((run.status, run.warnings()), (harness.OK, []), "the last one counts", run)


def check_boot(tap, tool, core):
    """VMCOREINFO of another boot of the same kernel, phys_base of nobody: memory tells, and it is told."""
    for name, by in (("x86_64", 0x400000), ("arm64-4k48", 0x600000), ("riscv64-sv48", 0x400000)):
        text = load(name, nowhere(moved(by), without("NUMBER(phys", "NUMBER(kimage", "NUMBER(va_k")))
        text.build(core)
        bad, run = wrong(tool, text, core)
        tap.none(bad, f"{name}: VMCOREINFO of another boot", run)
        tap.check(f"{by:#x} bytes below what VMCOREINFO says" in run.err, f"{name}: is told", run)


def check_order(tap, tool, core):
    """The CPUs of a ppc64 whose file says big-endian run little-endian: that is told, and no lie."""
    text = load("ppc64-hash-64k")
    regs = bytearray(504)
    struct.pack_into(">Q", regs, 112 + 8 * 33, 1)  # MSR_LE
    text.notes.append(("CORE", 1, bytes(regs)))
    text.build(core)
    for options, said in (("byte-order=big", 1), ("arch=ppc64", 1), ("byte-order=little", 0), ("arch=ppc64el", 0)):
        run = tool.run("inspect", "--quick", "--assume", options, core)
        told = [line for line in run.warnings() if "its CPUs run little-endian; big-endian is assumed" in line]
        lies = [line for line in run.warnings() if "says that it is of" in line]
        tap.equal((len(told), lies), (said, []), f"CPUs that run little-endian, {options}", run)


def check_scan(tap, tool, core):
    """Entries of S/390 that lead nowhere are no zeros."""
    text = load("s390x-vr", without())
    for i in range(0x50):
        text.entries[0x30].update(enumerate((0x1001d + 0x1000 * i).to_bytes(8, "big"), 0x800 + 8 * i))
    for page in range(0x20, 0x30):  # four of the top table, then tables of segments
        for at in range(0, 4096, 8):
            if not any(text.entries.setdefault(page, {}).get(at + i) for i in range(8)):
                text.entries[page].update(enumerate((0x20 | 4 * (page < 0x24)).to_bytes(8, "big"), at))
    text.build(core)
    options = "layout=S/390 with a region third table,page-table=scan"
    run = tool.run("inspect", "--assume", options, "--vtop", "0x3ffe0010000", core)
    tap.check(b"is 0x20000, present" in run.out, "S/390: the table is found by looking for it", run)
    text.entries[0x20][8] = 0x40
    text.build(core)
    run = tool.run("inspect", "--quick", "--assume", options, core)
    tap.check(b"no page table of that layout was found in memory" in run.out, "and is none with odd entries", run)


def check_elsewhere(tap, tool, core):
    """Tables that lie where the dump has no memory, as of a Xen guest: that is no damage, and no table."""
    text = load("x86_64")
    text.entries[0x1010].update(enumerate((0x7fff0067).to_bytes(8, "little"), 0xff8))
    text.build(core)
    run = tool.run("inspect", "--quick", core)
    tap.check(b"none: there is no kernel page table at 0x1010000" in run.out, "tables elsewhere: none", run)


def check_registers(tap, tool, core):
    """No VMCOREINFO: CR3 of a CPU that is in the kernel, by QEMU's note."""
    for rip, works in ((0xffffffff80000010, True), (0x401000, False)):
        text = load("x86_64", without())
        regs, qemu = bytearray(336), bytearray(432)
        struct.pack_into("<Q", regs, 112 + 8 * 16, rip)
        struct.pack_into("<Q", qemu, 416, 0x1010000)
        text.notes += [("CORE", 1, bytes(regs)), ("QEMU", 0, bytes(qemu))]
        text.build(core)
        bad, run = wrong(tool, text, core)
        tap.equal(not bad, works, f"x86_64: CR3 of a CPU at {rip:#x}", run)
        run = tool.run("inspect", "--quick", core)
        tap.equal(b"phys_base 0x1000000" in run.out, works, "x86_64: and phys_base by its table", run)


def check_commands(tap, tool, folder):
    """filter, convert and dmesg of a machine whose VMCOREINFO tells nothing of the page table."""
    core, out = os.path.join(folder, "vmcore"), os.path.join(folder, "dump")
    image = kimage.Image(kimage.Text(os.path.join(harness.DATA, "mem-small.txt")), "5.4",
                         vmemmap="4k")
    lines = [line for line in image.vmcoreinfo() if not line.startswith("SYMBOL(init_top_pgt")
             and not line.startswith("SYMBOL(swapper") and "phys_base" not in line]
    # What the direct map's pages of 1 GiB do not show: memory in many pieces, one after the other.
    image.tables.map_range(0xffffc90000000000, 0x8000 * kimage.PAGE, 32 * kimage.HUGE, kimage.HUGE)
    image.write(core, lines)
    table = f"page-table={image.tables.root:#x}"
    log = tool.run("dmesg", "--assume", table, core)
    tap.check(log.status == harness.OK and b"Kernel panic" in log.out, "dmesg --assume", log)
    run = tool.run("dmesg", "--assume", "page-table=scan,levels=4", core)
    tap.equal((run.status, run.out), (harness.OK, log.out), "dmesg, the table is looked for", run)
    tap.check(f"table at {image.tables.root:#x} is used, found in memory" in run.err, "and told", run)
    run = tool.run("dmesg", core)
    tap.check(run.status != harness.OK, "dmesg without", run)
    run = tool.filter("-f", "-d", 31, "--assume", table, core, out)
    tap.equal((run.status, kdumpread.Dump(out).kept()), (harness.OK, sorted(image.kept(31))),
              "filter --assume keeps the same", run)
    told = tool.run("inspect", "--vmcoreinfo", core).out
    run = tool.run("convert", "-q", "-f", "--assume", "phys-base=0x2000000,NUMBER(sme_mask)=0", core, out)
    tap.equal(run.status, harness.OK, "convert --assume", run)
    tap.equal(tool.run("inspect", "--vmcoreinfo", out).out, told, "VMCOREINFO is what it was")


def test(tap, tool, folder):
    core = os.path.join(folder, "core")
    check_lost(tap, tool, core)
    check_words(tap, tool, core)
    check_boot(tap, tool, core)
    check_order(tap, tool, core)
    check_scan(tap, tool, core)
    check_elsewhere(tap, tool, core)
    check_registers(tap, tool, core)
    check_commands(tap, tool, folder)


harness.main(test)
