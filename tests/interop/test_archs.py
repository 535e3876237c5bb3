#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Real dumps of all architectures: what the guest itself said of its log, symbols and memory, and QEMU
of its registers.

Environment: DUMPTOOL_CORPUS; a folder of it is tried when it is there. ARCHS: only these."""
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness
import kdumpread
import test_readers

# folder, dump, folder of what the guest said, options
DUMPS = [
    ("arm64", "qemu-elf.dump", "info", ()), ("arm64", "kdump-vmcore", "kdump-info", ()),
    ("i386-pae", "qemu-elf.dump", "info", ()), ("armhf-lpae", "qemu-elf.dump", "info", ()),
    ("s390x", "qemu-elf.dump", "info", ()), ("ppc64el", "qemu-elf.dump", "info", ()),
    ("ppc64el", "kdump-vmcore", "kdump-info", ()), ("riscv64", "qemu-elf.dump", "info", ()),
    ("riscv64", "kdump-vmcore", "kdump-info", ()), ("loong64", "qemu-elf.dump", "info", ()),
    ("mips64el", "ram-0.raw@0", "info", ("--arch", "mips64el")),
]
# kexec-tools leaves out what /proc/iomem calls Reserved: the tables that map modules lie there.
NO_MODULES = "riscv64 kdump-vmcore"


# QEMU does not print these of S/390, nor VMX and VSX of ppc64.
UNLISTED = re.compile("prefix|timer|todcmp|todpreg|vr[0-9]+|vs[0-9]+h")


def lines(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read().split("\n")


def check_log(tap, tool, name, dump, said, options):
    """Every line that the guest could read stands in the dump."""
    run = tool.run("dmesg", *options, dump, seconds=60)
    # Without who said it, which the guest's dmesg does not print; further lines of a message have no time.
    log = {re.sub(r"^(\[ *[0-9.TC]+\] )+", "", x).strip()
           for x in run.out.decode(errors="replace").split("\n")}
    told = [x.partition("] ")[2].strip() for x in lines(os.path.join(said, "dmesg"))
            if x.startswith("[")]
    missing = [x for x in told if x not in log]
    tap.check(run.status == harness.OK and len(told) > 100, f"{name}: dmesg", run)
    tap.none(missing[:5], f"{name}: lines of its log")


def symbols(said):
    """Addresses of functions and data of the kernel and its modules, not of per-CPU data."""
    found = []
    for line in lines(os.path.join(said, "kallsyms")):
        words = line.split()
        if len(words) >= 3 and words[1] in "tTdDrRbB" and int(words[0], 16) > 0x100000 and \
                not words[2].startswith(("__per_cpu", "__kcrc", ".L", "$")):
            found.append((int(words[0], 16), words[2], len(words) > 3))
    return found


def initial(said):
    """What was given back after booting: mapped no longer."""
    at = {name: addr for addr, name, _ in symbols(said)}
    return range(at.get("__init_begin", at.get("_sinittext", 0)),
                 at.get("__init_end", at.get("_einittext", 0)))


def check_symbols(tap, tool, folder, name, dump, said, options):
    freed = initial(said)
    all_of_them = [s for s in symbols(said) if s[0] not in freed and not (s[2] and name == NO_MODULES)]
    sample = harness.sample(all_of_them, 40, name)
    sample += [s for s in all_of_them if s[2]][:1000]
    ask = os.path.join(folder, "ask")
    with open(ask, "w", encoding="ascii") as f:
        f.writelines(f"{addr:x}\n" for addr, _, _ in sample)
    with open(ask, "rb") as f:
        run = tool.run("inspect", "--json", *options, "--vtop", "-", dump, stdin=f, seconds=120)
    got = json.loads(run.out)["addresses"] if run.out else []
    lost = [f"{a:#x} {n}: {x.get('error', x.get('state'))}" for (a, n, _), x in zip(sample, got)
            if x.get("state") not in ("present", "zero")]
    tap.equal(len(got), len(sample), f"{name}: symbols asked for", run)
    tap.none(lost[:5], f"{name}: {len(sample)} symbols, {sum(s[2] for s in sample)} of modules")


# What libaddrxlat of libkdumpfile 0.5.1 translates, and of these what not.
ADDRXLAT = {"arm64": "", "s390x": "", "ppc64el": "modules"}


def check_addrxlat(tap, tool, folder, name, dump, said, options):
    """libaddrxlat, which shares no code with us, finds the same bytes at the same addresses."""
    what = f"{name}: libaddrxlat agrees"
    try:
        library = test_readers.Kdumpfile()
    except harness.Skip as why:
        return tap.skip(what, str(why))
    kdump, ask = os.path.join(folder, "axl.kdump"), os.path.join(folder, "axl.ask")
    tool.run("convert", "-f", "-q", "--compress", "none", *options, dump, kdump, seconds=120)
    freed, no_modules = initial(said), ADDRXLAT[name.split()[0]] == "modules"
    some = [s[0] for s in symbols(said) if s[0] not in freed and not (s[2] and no_modules)]
    some = harness.sample(some, 100, name)
    with open(ask, "w", encoding="ascii") as f:
        f.writelines(f"{addr:x}\n" for addr in some)
    with open(ask, "rb") as f:
        run = tool.run("inspect", "--json", "--vtop", "-", kdump, stdin=f, seconds=60)
    pairs = [(int(x["vaddr"], 0), int(x["paddr"], 0)) for x in json.loads(run.out)["addresses"]
             if "paddr" in x] if run.out else []
    read = library.translate(kdump, pairs)
    wrong = [hex(v) for (v, _), (theirs, ours) in zip(pairs, read) if theirs is None or theirs != ours]
    tap.check(len(read) == len(pairs) > len(some) * 9 // 10 > 20, f"{what}: {len(pairs)} addresses", run)
    return tap.none(wrong[:5], what)


def check_registers(tap, tool, name, dump, said, options):
    """All that we read of a CPU is what QEMU has in its list of that CPU, under whatever name."""
    text = "\n".join(lines(said))
    run = tool.run("inspect", "--json", *options, "--regs", dump)
    cpus = json.loads(run.out)["cpus"] if run.out else []
    blocks = text.split("CPU#")[1:]
    if "HID0" in text:  # ppc64 says it again within the list
        blocks = [text.split("CPU#", 1)[1]]
    tap.equal(len(cpus), len(blocks), f"{name}: CPUs", run)
    bad = []
    for cpu, block in zip(cpus, blocks):
        # Vector registers are 32 digits; their upper halves are the floating point registers of S/390.
        block = re.sub(r"([0-9a-f]{16})([0-9a-f]{16})", r"\1 \2", block.lower())
        values = {int(x, 16) for x in re.findall(r"(?<![0-9a-f])[0-9a-f]{4,16}(?![0-9a-f])", block)}
        regs = {k: int(v, 0) for k, v in cpu["registers"].items()}
        halves = [(k, half) for k, v in regs.items() for half in (v & (1 << 64) - 1, v >> 64)]
        bad += [f"{k} {v:#x}" for k, v in halves
                if v > 0xffff and v not in values and not UNLISTED.fullmatch(k)]
        tap.check(sum(v > 0xffff for v in regs.values()) >= 4, f"{name}: registers are there", regs)
    tap.none(bad[:5], f"{name}: registers")


def check_stored_registers(tap, tool, folder, corpus):
    """S390DUMP has registers in memory only: they are QEMU's, and become notes."""
    dump, out = os.path.join(corpus, "zgetdump-s390.dump"), os.path.join(folder, "stored")
    if not os.path.exists(dump):
        return tap.skip("S390DUMP: registers", "the corpus has none")
    if tool.run("inspect", "--quick", dump).status == harness.FAILED:
        return tap.skip("S390DUMP: registers", "built without libkdumpfile")
    check_registers(tap, tool, "S390DUMP", dump, os.path.join(corpus, "info-registers.txt"), ())
    for command in (("convert", "--format", "elf"), ("filter", "-d", "31")):
        run = tool.run(*command, "-f", "-q", dump, out, seconds=300)
        if tap.equal(run.status, harness.OK, f"S390DUMP: {command[0]}", run):
            check_registers(tap, tool, f"S390DUMP, {command[0]}", out,
                            os.path.join(corpus, "info-registers.txt"), ())
    return None


def check_pages(tap, tool, folder, name, dump, patterns, options):
    """At level 31 no page of a user is in the dump, at level 0 all of them are."""
    out = os.path.join(folder, "out")
    run = tool.run("filter", "-f", "-q", "-l", "-d", "31", *options, dump, out, seconds=300)
    if not tap.equal(run.status, harness.OK, f"{name}: filter -d 31", run):
        return
    kdump = kdumpread.Dump(out)
    size, kept = kdump.block_size, set(kdump.kept())
    kinds = {}
    for line in lines(patterns):
        if "\t" in line:
            address, text = line.split("\t")
            kind = re.match("[A-Z-]*[A-Z]", text)[0]
            if not kind.startswith("FREED"):  # whatever that memory is used for now
                kinds.setdefault(kind, []).append(int(address, 0) // size)
    for kind, pfns in kinds.items():
        there = [hex(p) for p in pfns if p in kept]
        tap.none(there[:5], f"{name}: pages of {kind}, {len(there)} of {len(pfns)}")
    existing = len(set(kdump.existing()))
    tap.check(0.01 < len(kept) / existing < 0.9, f"{name}: {len(kept)} of {existing} pages are kept")


def check_dump(tap, tool, folder, row, corpus):
    kind, file, said, options = row
    name, home = f"{kind} {file}", os.path.join(corpus, kind)
    dump = os.path.join(home, file)
    said = os.path.join(home, said)
    check_log(tap, tool, name, dump, said, options)
    check_symbols(tap, tool, folder, name, dump, said, options)
    if kind in ADDRXLAT:
        check_addrxlat(tap, tool, folder, name, dump, said, options)
    if file != "kdump-vmcore":
        check_pages(tap, tool, folder, name, dump, os.path.join(home, "truth-patterns.tsv"), options)
    if file == "qemu-elf.dump":
        check_registers(tap, tool, name, dump, os.path.join(home, "info-registers.txt"), options)


def test(tap, tool, folder):
    corpus = os.environ.get("DUMPTOOL_CORPUS")
    if not corpus:
        raise harness.Skip("DUMPTOOL_CORPUS is unset: no real dumps")
    there = [row for row in DUMPS if os.path.isdir(os.path.join(corpus, row[0]))]
    if not there:
        raise harness.Skip(f"{corpus} holds no dump of another architecture")
    only = os.environ.get("ARCHS", "").split()
    for row in there:
        if not only or row[0] in only:
            check_dump(tap, tool, folder, row, corpus)
    if not only or "s390x" in only:
        check_stored_registers(tap, tool, folder, os.path.join(corpus, "s390x"))


if __name__ == "__main__":
    harness.main(test)
