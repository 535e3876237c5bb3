#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Real dumps through every format there is and back: no page is lost, changed or invented on the way.

input -> kdump -> flattened -> split set -> kdump again -> ELF -> raw. After each step judge_pages.py
holds what came out against the input, and `inspect --compare` has to agree. DUMPTOOL_ROUNDTRIP, or
the command line, selects dumps by parts of their names; DUMPTOOL_ROUNDTRIP=all adds the large ones.
"""
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness
import judge_pages
import kdumpread

CODECS = ("zlib", "lzo", "zstd", "snappy", "none")

# name, file below the corpus, record of hashed pages beside it
DUMPS = [
    ("x86_64-vmcore", "x86_64-6.1/kdump/proc-vmcore.elf",
     "x86_64-6.1/truth/page-sha256-kdump-proc-vmcore.elf.txt"),
    ("x86_64-qemu", "x86_64-6.1/qemu/elf.elf", "x86_64-6.1/truth/page-sha256-qemu-elf.elf.txt"),
    ("x86_64-qemu-paging", "x86_64-6.1/qemu/elf-paging.elf", None),
    ("exotic-ppc", "exotic-ppc/dump.elf", "exotic-ppc/console.log"),
    ("exotic-sparc64", "exotic-sparc64/mem.raw@0", None),
    ("exotic-alpha", "exotic-alpha/mem.raw@0", None),
    ("mips64el", "mips64el/ram-0.raw@0", "mips64el/truth-pages.json"),
    ("s390x-zgetdump", "s390x/zgetdump-s390.dump", "s390x/truth-pages.json"),
    ("xen-pv", "xen-pv/domu-pv.xencore", "xen-pv/truth/guest-pv.log"),
]
DUMPS += [(f"{name}-qemu", f"{name}/qemu-elf.dump", f"{name}/truth-pages.json") for name in
          ("arm64", "armhf-lpae", "i386-pae", "loong64", "ppc64el", "riscv64", "s390x")]
# Half a gigabyte and more.
LARGE = [(f"{name}-vmcore", f"{name}/kdump-vmcore", None) for name in
         ("arm64", "ppc64el", "riscv64")]
# This one goes through all codecs; the others take turns.
ALL_CODECS = "exotic-ppc"
# Those that libkdumpfile is asked about, too.
SECOND_OPINION = ("x86_64-vmcore", "arm64-qemu")


def chosen(root):
    wanted = sys.argv[1:] or [w for w in os.environ.get("DUMPTOOL_ROUNDTRIP", "").split(",") if w]
    rows = DUMPS + (LARGE if wanted else [])
    found = [(i, *row) for i, row in enumerate(rows)
             if os.path.exists(os.path.join(root, row[1].split("@")[0])) and
             (not wanted or wanted == ["all"] or any(w in row[0] for w in wanted))]
    if not found:
        raise harness.Skip(f"{root} holds none of these dumps")
    return found


def cmpdump(root, folder):
    """The judge over libkdumpfile, compiled; or why it is not there."""
    source, program = os.path.join(root, "cmpdump.c"), os.path.join(folder, "cmpdump")
    if not os.path.exists(source):
        return None, "the corpus has no cmpdump.c"
    if not shutil.which("gcc"):
        return None, "there is no gcc"
    run = subprocess.run(["gcc", "-O2", "-w", "-o", program, source, "-lkdumpfile"],
                         stderr=subprocess.DEVNULL)
    return (program, "") if not run.returncode else (None, "libkdumpfile is not installed")


class Chain:
    """One dump on its way; every step leaves one file, and takes away the one before."""

    def __init__(self, tap, tool, folder, name, path):
        self.tap, self.tool, self.folder, self.name = tap, tool, folder, name
        self.first, self.input = judge_pages.open_dump(path), [path]
        self.files, self.number = [path], 0

    def convert(self, what, *options, outputs=1):
        """The next file out of the last one; false when there is none."""
        self.number += 1
        out = [os.path.join(self.folder, f"step{self.number}.{i}") for i in range(outputs)]
        run = self.tool.run("convert", "-q", *options, *self.files, *out, seconds=300, data=None)
        good = self.tap.equal(run.status, harness.OK, f"{self.name}: {what}", run)
        if good:
            self.leave(out)
        return good

    def leave(self, files):
        for old in self.files:
            if old.startswith(self.folder):
                os.unlink(old)
        self.files = files

    def judge(self, what):
        """Does the last file hold the pages of the input?"""
        names = [self.files[0] + "@0"] if what == "raw" else self.files
        try:
            complaints = judge_pages.compare(self.first, judge_pages.open_dump(*names))
        except kdumpread.Unsupported as why:
            return self.tap.skip(f"{self.name}: pages of {what}", str(why))
        except kdumpread.Bad as why:
            complaints = [str(why)]
        return self.tap.none(complaints, f"{self.name}: pages of {what}")

    def compare(self, what):
        """Does the program say the same? An image without a header may hold zeros beyond, no notes."""
        raw = what == "raw"
        second = [word for file in self.files for word in ("--with", file + ("@0" if raw else ""))]
        run = self.tool.run("inspect", "--compare", "--progress", "none", *self.input, *second,
                            seconds=300, data=None)
        text = run.out.decode(errors="replace")
        if not raw:
            self.tap.equal(run.status, harness.OK, f"{self.name}: {what} compares equal", text, run)
            return
        counts = re.search(r"pages: *(\d+) the same, (\d+) changed", text)
        lost = re.search(r"\d+ only in the first\n", text)
        self.tap.check(run.status in (harness.OK, harness.DIFFERENT) and counts and not lost and
                       int(counts[1]) > 0 and int(counts[2]) == 0,
                       f"{self.name}: {what} compares equal", text, run)


def check_codecs(tap, tool, folder, name, path):
    for codec in CODECS:
        chain = Chain(tap, tool, folder, name, path)
        if chain.convert(f"kdump, {codec}", "--format", "kdump", "--compress", codec):
            chain.judge(f"kdump, {codec}")
            chain.compare(f"kdump, {codec}")
            if codec == "none":
                check_judge(chain)
            chain.leave([])


def check_judge(chain):
    """The judge, and the program, see one changed byte in a page that is stored as it is."""
    with open(chain.files[0], "r+b") as f:
        f.seek(-100, os.SEEK_END)
        byte = f.read(1)[0]
        f.seek(-100, os.SEEK_END)
        f.write(bytes([byte ^ 1]))
    complaints = judge_pages.compare(chain.first, judge_pages.open_dump(chain.files[0]))
    chain.tap.check(len(complaints) == 1 and complaints[0].startswith("1 differ"),
                    f"{chain.name}: one changed byte is seen", *complaints)
    run = chain.tool.run("inspect", "--compare", "--progress", "none", *chain.input,
                         chain.files[0], seconds=300, data=None)
    chain.tap.equal(run.status, harness.DIFFERENT, f"{chain.name}: and compares different", run)


def check_chain(tap, tool, folder, name, path, codec):
    chain = Chain(tap, tool, folder, name, path)
    steps = [
        (f"kdump, {codec}", ["--format", "kdump", "--compress", codec], 1),
        ("flattened", ["--format", "flattened"], 1),
        ("split set", ["--format", "kdump", "--split"], 2),
        ("kdump again", ["--format", "kdump"], 1),
        ("ELF", ["--format", "elf"], 1),
        ("raw", ["--format", "raw"], 1),
    ]
    for what, options, outputs in steps:
        if not chain.convert(what, *options, outputs=outputs):
            return
        chain.judge(what)
        chain.compare(what)
    chain.leave([])


def check_opinion(tap, tool, folder, name, path, program):
    chain = Chain(tap, tool, folder, name, path)
    if chain.convert("kdump for libkdumpfile", "--format", "kdump"):
        run = subprocess.run([program, path, chain.files[0]], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT)
        tap.equal(run.returncode, 0, f"{name}: libkdumpfile finds no difference",
                  run.stdout.decode(errors="replace"))
        chain.leave([])


def test(tap, tool, folder):
    root = os.environ.get("DUMPTOOL_CORPUS")
    if not root:
        raise harness.Skip("DUMPTOOL_CORPUS is unset: no real dumps")
    program, why = cmpdump(root, folder)
    for number, name, file, truth in harness.sample(chosen(root), 1, "round trip"):
        path = os.path.join(root, file)
        if truth and os.path.exists(os.path.join(root, truth)):
            record = judge_pages.load_truth(os.path.join(root, truth))
            tap.none(judge_pages.check_truth(judge_pages.open_dump(path), record),
                     f"{name}: the judge reads what the guest had")
        if name == ALL_CODECS:
            check_codecs(tap, tool, folder, name, path)
        check_chain(tap, tool, folder, name, path, CODECS[number % len(CODECS)])
        if name in SECOND_OPINION and program:
            check_opinion(tap, tool, folder, name, path, program)
        elif name in SECOND_OPINION:
            tap.skip(f"{name}: what libkdumpfile says", why)


harness.main(test)
