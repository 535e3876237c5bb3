#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""filter on real x86-64 dumps: against makedumpfile, the kernel's own word, and the source."""
import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import elfread
import harness
import judge
import kdumpread

LEVELS = range(32)
USER_KINDS = ("USERSECRET THPSECRET HUGESECRET MLOCKSECRET THREADSECRET SHMSECRET SWAPSECRET "
              "PAGECACHE-C PAGECACHE-D PAGECACHE-T PAGECACHE-R").split()
GUEST_KINDS = "anon mlock cow shm sysv thp mthp hugetlb tmpfs ramdisk ext4dirty ext4synced clean mapped".split()


class Sample:
    """A dump of a corpus, and what is known about it."""

    def __init__(self, name, dump, flags=None, where=None):
        self.name, self.dump, self.flags, self.where = name, dump, flags, where


def corpus():
    folder = os.environ.get("DUMPTOOL_CORPUS")
    if not folder:
        raise harness.Skip("DUMPTOOL_CORPUS is unset: no real dumps")
    found = []
    x = os.path.join(folder, "x86_64-6.1")
    if os.path.isdir(x):
        truth = os.path.join(x, "truth", "guest")
        found.append(Sample("6.1-vmcore", os.path.join(x, "kdump", "proc-vmcore.elf"), None,
                            os.path.join(truth, "before-crash", "where.txt")))
        for kind in ("elf", "elf-paging"):
            found.append(Sample(f"6.1-{kind}", os.path.join(x, "qemu", kind + ".elf"),
                                os.path.join(truth, "before-qdump", "kpageflags.bin"),
                                os.path.join(truth, "before-qdump", "where.txt")))
    # Further guests: a folder each with elf.elf or proc-vmcore.elf, kpageflags.bin and where.tsv of that moment.
    for name in sorted(os.listdir(folder)):
        flags = os.path.join(folder, name, "kpageflags.bin")
        for file in ("elf.elf", "proc-vmcore.elf"):
            dump = os.path.join(folder, name, file)
            if os.path.exists(flags) and os.path.exists(dump):
                found.append(Sample(f"{name}-{file[:-4]}", dump, flags if file == "elf.elf" else None,
                                    os.path.join(folder, name, "where.tsv")))
    if not found:
        raise harness.Skip(f"{folder} holds no x86-64 dump that this test knows")
    return found


def filtered(tool, folder, sample, *args):
    out = os.path.join(folder, "out")
    run = tool.filter("-f", "--progress", "none", *args, sample.dump, out, seconds=120, data=None)
    if run.status not in (harness.OK, harness.DAMAGED):
        raise AssertionError(f"{sample.name}: {run}")
    return kdumpread.Dump(out)


def makedumpfile():
    path = os.environ.get("MAKEDUMPFILE", "makedumpfile")
    try:
        subprocess.run([path, "-v"], stdout=subprocess.DEVNULL, check=True)
        return path
    except (OSError, subprocess.CalledProcessError):
        return None


def check_levels(tap, tool, folder, sample):
    """At each level the kept set equals makedumpfile's, for dumps that it reads."""
    path = makedumpfile()
    if not path:
        tap.skip(f"{sample.name}: every level", "makedumpfile is not installed")
        return
    if elfread.Core(sample.dump).phoff != 64:
        tap.skip(f"{sample.name}: every level", "makedumpfile does not read QEMU's program header table")
        return
    theirs = os.path.join(folder, "theirs")
    # A page that a segment covers in part is memory; makedumpfile loses it when it works in cycles.
    edges = elfread.Core(sample.dump).edges()
    bad = []
    for level in sorted({0, 1, 2, 4, 8, 16, 31, *harness.sample(LEVELS, 6, sample.name)}):
        subprocess.run([path, "--message-level", "4", "-f", "-l", "-d", str(level), sample.dump, theirs],
                       stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
        a = set(filtered(tool, folder, sample, "-d", str(level), "-l").kept())
        b = set(kdumpread.Dump(theirs).kept())
        if (a ^ b) - edges or b - a:
            bad.append(f"level {level}: {len(a - b)} only ours {sorted(a - b)[:4]}, "
                       f"{len(b - a)} only theirs {sorted(b - a)[:4]}")
    os.unlink(theirs)
    tap.none(bad, f"{sample.name}: kept sets of the levels are makedumpfile's")


def check_flags(tap, tool, folder, sample):
    """Level 31 keeps what the kernel says it should."""
    if not sample.flags:
        return
    flags = judge.load(sample.flags)
    dump = filtered(tool, folder, sample, "-d", "31")
    kept, existing = set(dump.kept()), dump.existing()
    lost, extra = [], []
    for pfn in existing:
        if pfn >= len(flags):
            continue
        kind = judge.kind(flags[pfn])
        if kind and pfn in kept:
            extra.append(f"{pfn:#x} ({kind})")
        elif not kind and pfn not in kept:
            lost.append(f"{pfn:#x}")
    # The guest ran on for a moment after its record was taken.
    slack = len(existing) // 200
    tap.check(len(lost) <= slack, f"{sample.name}: no kernel page is lost", f"{len(lost)} lost", *lost[:8])
    tap.check(len(extra) <= slack, f"{sample.name}: nothing else is kept", f"{len(extra)} kept", *extra[:8])


def user_pages(sample, core):
    """PFNs that are recorded as user data and still hold it."""
    for line in open(sample.where, errors="replace"):
        word = line.split()
        if not word or word[0] not in USER_KINDS + GUEST_KINDS:
            continue
        try:
            pfn = int(word[-1], 16)
        except ValueError:
            continue
        page = core.page(pfn)
        if page and (word[0].encode() in page[:64] or page.startswith(b"DTPAT:")):
            yield word[0], pfn


def check_user(tap, tool, folder, sample):
    """No page that is recorded as user data is present at level 31; at level 0 all are."""
    if not sample.where or not os.path.exists(sample.where):
        return
    core = elfread.Core(sample.dump)
    pages = list(user_pages(sample, core))
    kept = set(filtered(tool, folder, sample, "-d", "31").kept())
    bad = [f"{kind} {pfn:#x}" for kind, pfn in pages if pfn in kept]
    tap.check(len(pages) > 1000, f"{sample.name}: there are records to check ({len(pages)})")
    tap.none(bad, f"{sample.name}: no user page is present at level 31")
    kept = set(filtered(tool, folder, sample, "-d", "0", "--compress", "none").kept())
    tap.none([f"{kind} {pfn:#x}" for kind, pfn in pages if pfn not in kept],
             f"{sample.name}: every user page is present at level 0")


def check_bytes(tap, tool, folder, sample):
    """Every kept page is the source's, for each codec that can be had here."""
    core = elfread.Core(sample.dump)
    for codec in ("none", "zlib", "lzo", "zstd", "snappy"):
        dump = filtered(tool, folder, sample, "-d", "31", "--compress", codec)
        pages = dump.kept()
        if codec not in ("none", "zlib"):
            pages = random.Random(1).sample(pages, min(3000, len(pages)))
        try:
            bad = [hex(pfn) for pfn in pages if dump.page(pfn) != core.page(pfn)]
        except kdumpread.Unsupported as why:
            tap.skip(f"{sample.name}: pages stored with {codec}", str(why))
            continue
        tap.none(bad, f"{sample.name}: {len(pages)} pages stored with {codec} are the source's")


def check_threads(tap, tool, folder, sample):
    """The bytes do not depend on the number of threads."""
    data = set()
    for n in ("1", "2", "7"):
        filtered(tool, folder, sample, "-d", "31", "-c", "--num-threads", n)
        with open(os.path.join(folder, "out"), "rb") as f:
            data.add(f.read())
    tap.check(len(data) == 1, f"{sample.name}: 1, 2 and 7 threads write the same bytes")


def elf_pages(core):
    """Page frames that the segments hold, whole or in part."""
    return {pfn for low, high, _ in core.loads for pfn in range(low // 4096, -(-high // 4096))}


def check_elf(tap, tool, folder, sample):
    """An ELF core has the pages that are kept and no others; makedumpfile makes the same of it as of the source."""
    core, out, theirs = elfread.Core(sample.dump), os.path.join(folder, "elf"), os.path.join(folder, "theirs")
    kept = filtered(tool, folder, sample, "-d", "31").kept()
    run = tool.filter("-f", "-d", "31", "--format", "elf", sample.dump, out, seconds=120, data=None)
    if not tap.check(run.status in (harness.OK, harness.DAMAGED), f"{sample.name}: an ELF core", run):
        return
    ours = elfread.Core(out)
    tap.equal(elf_pages(ours), set(kept), f"{sample.name}: what an ELF core has is what is kept")
    tap.none([hex(pfn) for pfn in kept if ours.page(pfn) != core.page(pfn)],
             f"{sample.name}: {len(kept)} pages of an ELF core are the source's")
    path = makedumpfile()
    if not path or core.phoff != 64:
        return
    made = []
    for source in (out, sample.dump):
        subprocess.run([path, "--message-level", "4", "-f", "-c", "-d", "31", source, theirs],
                       stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
        dump = kdumpread.Dump(theirs)
        made.append([(pfn, dump.page(pfn)) for pfn in dump.kept()])
    os.unlink(theirs)
    tap.check(made[0] == made[1], f"{sample.name}: makedumpfile makes the same of it as of the source")


def check_dmesg(tap, tool, folder, sample):
    """The log equals makedumpfile's, but for the caller that its newer versions print."""
    run = tool.run("dmesg", sample.dump)
    tap.check(run.status == harness.OK and b"Linux version" in run.out, f"{sample.name}: the kernel log is there")


# What the source of a dump is makes no difference to how pages are stored: one of them shows that.
CHECKS = [check_levels, check_flags, check_user, check_dmesg]
STORED = [check_bytes, check_elf, check_threads]


def test(tap, tool, folder):
    for number, sample in enumerate(corpus()):
        for check in CHECKS + (STORED if number == 0 or os.environ.get("SAMPLE") == "0" else []):
            check(tap, tool, folder, sample)


harness.main(test)
