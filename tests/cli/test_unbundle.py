#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""unbundle, bundle --list and --verify: archives of every kind, hostile ones, damaged ones, cut ones, those
that nobody finished; nothing but the target is ever touched."""
import gzip
import io
import json
import lzma
import os
import random
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import zipfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import bundlegen
import faults
import harness
import kimage
from bundlegen import TOP, Bundle, info

GOOD = Bundle()


def zstd(data):
    if not shutil.which("zstd"):
        return None
    return subprocess.run(["zstd", "-qc", "-3"], input=data, capture_output=True, check=True).stdout


def tree(folder):
    """{path: content, link or mode} of all that lies below FOLDER."""
    found = {}
    for base, dirs, files in os.walk(folder):
        for name in files + dirs:
            path = os.path.join(base, name)
            short = os.path.relpath(path, folder)
            if os.path.islink(path):
                found[short] = os.readlink(path)
            elif os.path.isfile(path):
                with open(path, "rb") as f:
                    found[short] = f.read()
    return found


class Bench:
    """One archive at a time, in a folder with a place to unpack to and one that must not be touched."""

    def __init__(self, tap, tool, folder):
        self.tap, self.tool, self.folder = tap, tool, folder
        self.target, self.outside = self.path("to"), self.path("outside")
        os.mkdir(self.outside)
        with open(os.path.join(self.outside, "victim"), "w", encoding="ascii") as f:
            f.write("untouched")
        self.before = {}

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, data, name="a.tar"):
        with open(self.path(name), "wb") as f:
            f.write(data)
        return self.path(name)

    def unbundle(self, *args, **more):
        shutil.rmtree(self.target, ignore_errors=True)
        self.before = self.others()
        return self.tool.run("unbundle", "-C", self.target, *args, cwd=self.folder, **more)

    def verify(self, path, *args, **more):
        return self.tool.run("bundle", "--verify", *args, path, **more)

    def others(self):
        """What lies beside the target."""
        return {k: v for k, v in tree(self.folder).items() if not k.startswith("to/")}

    def stray(self):
        """What a run has touched outside, or left that is not inert."""
        bad = [] if self.others() == self.before else ["something beside the target was touched"]
        for base, _, files in os.walk(self.target):
            for name in files:
                mode = os.lstat(os.path.join(base, name)).st_mode
                if not stat.S_ISREG(mode) and not stat.S_ISLNK(mode):
                    bad.append(f"{name} is of type {stat.S_IFMT(mode):o}")
                if stat.S_ISREG(mode) and stat.S_IMODE(mode) not in (0o600, 0o700):
                    bad.append(f"{name} has mode {mode:o}")
        return bad


# ---- what is good ----

def check_good(b):
    plain = GOOD.tar()
    kinds = {"a.tar": plain, "a.tar.gz": gzip.compress(plain), "a.tar.xz": lzma.compress(plain, preset=0),
             "a.tar.bz2": GOOD.tar("w:bz2"), "a.zip": GOOD.zip(), "stored.zip": GOOD.zip(zipfile.ZIP_STORED),
             "a.tar.zst": zstd(plain)}
    wanted = {f"{TOP}/{k}": v for k, v in GOOD.members.items()}
    wanted[f"{TOP}/manifest.json"] = GOOD.manifest()
    for name, data in kinds.items():
        if data is None:
            b.tap.skip(f"{name}: is unpacked", "there is no zstd")
            continue
        run = b.unbundle(b.write(data, name))
        b.tap.check(run.status == harness.OK and tree(b.target) == wanted and not b.stray(),
                    f"{name}: is unpacked", run, b.stray(), sorted(tree(b.target)))
        run = b.verify(b.path(name))
        b.tap.check(run.status == harness.OK and b"as the manifest says" in run.out and
                    b"install the package libgone" in run.out, f"{name}: is as its manifest says", run)
    with open(b.path("a.tar.gz"), "rb") as f:
        run = b.unbundle("-", stdin=f)
    b.tap.check(run.status == harness.OK and tree(b.target) == wanted, "from standard input", run)
    mode = os.stat(os.path.join(b.target, TOP, "run-gdb.sh")).st_mode
    b.tap.equal(stat.S_IMODE(mode), 0o700, "a script can be run, by its owner alone")
    check_again(b, wanted)


def check_again(b, wanted):
    """What is there already; the folder itself; list and JSON."""
    run = b.tool.run("unbundle", "-C", b.target, b.path("a.tar"))
    b.tap.check(run.status == harness.FAILED and "exists" in run.err, "never over what is there", run)
    folder = os.path.join(b.target, TOP)
    with open(os.path.join(folder, "notes"), "w", encoding="ascii") as f:
        f.write("mine")
    run = b.tool.run("unbundle", folder)
    b.tap.check(run.status == harness.FAILED and "notes: is there, and not in the manifest" in run.err,
                "a folder: a file too many", run)
    run = b.tool.run("unbundle", "-f", "-C", b.target, b.path("a.tar"))
    b.tap.check(run.status == harness.OK and tree(b.target) == wanted, "-f replaces what was unpacked", run)
    run = b.tool.run("unbundle", folder)
    b.tap.check(run.status == harness.OK and "libgone" in run.err, "a folder is checked", run)
    os.unlink(os.path.join(folder, "manifest.json"))
    run = b.tool.run("unbundle", "-f", "-C", b.target, b.path("a.tar"))
    b.tap.check(run.status == harness.FAILED and "no bundle that was unpacked" in run.err,
                "-f does not replace another folder", run)
    run = b.tool.run("bundle", "--list", "--json", b.path("a.zip"))
    told = json.loads(run.out)
    b.tap.check(run.status == harness.OK and told["complete"] and not told["problems"] and
                {m["path"] for m in told["members"]} == {r["path"] for r in GOOD.rows}, "--list --json", run)
    run = b.tool.run("bundle", "--list", b.path("a.tar"))
    b.tap.check(run.status == harness.OK and
                re.search(rb"^missing +library +-  usr/lib/libgone.so$", run.out, re.M) and
                re.search(rb"^verified +library +70000  usr/lib/libx.so.1$", run.out, re.M), "--list", run)


def check_run(b):
    run = b.unbundle("--run", "gdb", b.path("a.tar"), "-batch", "a  b")
    b.tap.check(run.status == harness.OK and run.out == b"gdb: -batch a  b\n", "--run: the script, and its arguments",
                run, run.out)
    run = b.unbundle("--run", "crash", b.path("a.tar"))
    b.tap.check(run.status == harness.FAILED and "no run-crash.sh" in run.err, "--run: a script that is not in it", run)
    bad = Bundle()
    bad.members["run-gdb.sh"] = b'#!/bin/sh\necho "GDB: $*"\n'
    run = b.unbundle("--run", "gdb", b.write(bad.tar(), "bad.tar"))
    b.tap.check(run.status == harness.FAILED and not run.out and "run-gdb.sh: its SHA-256" in run.err,
                "--run: nothing is started that is not in the manifest", run)
    run = b.unbundle("--run", "sh", b.path("a.tar"))
    b.tap.equal(run.status, harness.USAGE, "--run: no other program", run)


# ---- what is hostile ----

def twice(path, data=b"x"):
    return [(info(path, data), data)]


def hostile_members(b):
    """(name, [(TarInfo, bytes)], what is said)"""
    out, victim = b.outside, os.path.join(b.outside, "victim")
    up = "../" * 9
    dev = {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}
    return [
        ("climbs", twice("../../outside/new"), "'..'"),
        ("climbs from the top", [(info("../outside/new", b"x", top=""), b"x")], "'..'"),
        ("climbs in the middle", twice("usr/../../../outside/new"), "'..'"),
        ("is absolute", [(info(victim, b"x", top=""), b"x")], "absolute"),
        ("has an empty part", twice("usr//bin/x"), "empty part"),
        ("has a dot", twice("./x"), "'.'"),
        ("is of another folder", [(info("other/x", b"x", top=""), b"x")], "folder of the others"),
        ("has no folder", [(info("x", b"x", top=""), b"x")], "folder of the others"),
        ("is there twice", twice("run-gdb.sh"), "twice"),
        ("is a file and a folder", twice("run-gdb.sh/x"), "below another"),
        ("is an absolute link", [(info("l", out), b"")], "not relative"),
        ("is a link that climbs", [(info("l", up + "etc/passwd"), b"")], "leaves"),
        ("is a link that climbs by one", [(info("usr/l", "../../x"), b"")], "leaves"),
        ("is a link that climbs late", [(info("l", "usr/../../x"), b"")], "leaves"),
        ("goes through a link", [(info("d", "usr"), b""), *twice("d/x")], "below another"),
        ("differs from a link in its case", [(info("Ln", "usr"), b""), *twice("lN")], "case alone"),
        ("is a hard link", [(info("h", type=tarfile.LNKTYPE, linkname=victim), b"")], "hard link"),
        ("is a hard link inside", [(info("h", type=tarfile.LNKTYPE, linkname=TOP + "/run-gdb.sh"), b"")], "hard link"),
        ("is a device", [(info("null", **dev), b"")], "device"),
        ("is a disk", [(info("sda", **{**dev, "type": tarfile.BLKTYPE}), b"")], "device"),
        ("is a FIFO", [(info("pipe", type=tarfile.FIFOTYPE), b"")], "FIFO"),
        ("has a long name", twice("x" * 300), "too long"),
        ("has a very long name", twice("/".join(["x" * 200] * 30)), "too long"),
        ("is not in the manifest", twice("usr/bin/extra"), "not in the manifest"),
    ]


def check_hostile(b):
    for name, extra, said in hostile_members(b):
        run = b.unbundle(b.write(GOOD.tar(extra=extra), "bad.tar"))
        b.tap.check(run.status == harness.FAILED and said in run.err and not run.faults() and not b.stray() and
                    TOP not in os.listdir(b.target), f"a member that {name} is refused", run, b.stray())
    bad = [run for name, extra, said in harness.sample(hostile_members(b), 4, "verify")
           for run in [b.verify(b.write(GOOD.tar(extra=extra), "bad.tar"))] if run.status != harness.FAILED]
    b.tap.none(bad, "nor does one pass --verify")
    run = b.unbundle(b.write(GOOD.tar(extra=[(info("s.sh", b"", mode=0o6755), b"")]), "bad.tar"))
    b.tap.check(run.status == harness.FAILED and not b.stray(), "no file becomes setuid", run, b.stray())
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as z:
        z.writestr(f"{TOP}/../../outside/new", "x")
    run = b.unbundle(b.write(other.getvalue(), "slip.zip"))
    b.tap.check(run.status == harness.FAILED and "'..'" in run.err and not b.stray(), "zip slip", run)
    run = b.unbundle(b.write(GOOD.tar().replace(TOP.encode(), b".ssh".ljust(len(TOP), b"x")), "bad.tar"))
    b.tap.check(run.status != harness.OK and not os.listdir(b.target), "no folder with a dot", run)


def check_link_in_target(b):
    """A link that somebody puts where the folder will be."""
    os.makedirs(b.target, exist_ok=True)
    shutil.rmtree(b.target)
    os.mkdir(b.target)
    for name in (TOP, TOP + ".incomplete"):
        link = os.path.join(b.target, name)
        os.symlink(b.outside, link)
        run = b.tool.run("unbundle", "-C", b.target, b.path("a.tar"))
        b.tap.check(run.status == harness.FAILED and os.listdir(b.outside) == ["victim"],
                    f"a link where {name} will be is not followed", run)
        os.unlink(link)


def check_bombs(b):
    zeros = Bundle()
    zeros.members["core.1"] = bytes(harness.MIB * 64)
    packed = lzma.compress(zeros.tar(), preset=0)
    run = b.unbundle("--limit", "16M", b.write(packed, "bomb.tar.xz"))
    b.tap.check(run.status == harness.FAILED and "unpacks to more than 16777216" in run.err and
                run.seconds < b.tool.seconds(10), "a bomb: --limit", run)
    # 3 GiB of a sparse file, which takes a few hundred bytes.
    head = info("sparse", b"")
    head.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.size": str(3 << 30),
                        "GNU.sparse.map": "", "GNU.sparse.numblocks": "0", "GNU.sparse.name": TOP + "/sparse"}
    run = b.unbundle(b.write(GOOD.tar(extra=[(head, b"")]), "sparse.tar"), seconds=60)
    used = sum(os.stat(os.path.join(d, f)).st_blocks for d, _, fs in os.walk(b.target) for f in fs)
    b.tap.check(run.status == harness.FAILED and "suspiciously" in run.err and used * 512 < 8 * harness.MIB,
                "a sparse bomb: no limit needed", run, used)


# ---- a manifest that lies ----

def lies():
    """(name, manifest, what is said)"""
    def change(which, **values):
        b = Bundle()
        b.rows = [{**r, **values} if r["path"] == which else r for r in b.rows]
        b.rows = [{k: v for k, v in r.items() if v is not None} for r in b.rows]
        return b.manifest()

    def rows(edit):
        b = Bundle()
        edit(b.rows)
        return b.manifest()

    lib, deep = "usr/lib/libx.so.1", b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"
    one = {"path": lib, "kind": "library", "status": "by-name", "size": 1, "sha256": "00" * 32}
    return [
        ("the size", change(lib, size=69999), "as large"),
        ("a negative size", change(lib, size=-1), "is no size"),
        ("a size that is a text", change(lib, size="70000"), "is no size"),
        ("a size without end", change(lib, size=10 ** 30), "manifest: line"),
        ("no size", change(lib, size=None), "is no size"),
        ("the digest", change(lib, sha256="ab" * 32), f"{lib}: its SHA-256"),
        ("half a digest", change(lib, sha256="ab" * 16), '"sha256" is missing'),
        ("a digest of other letters", change(lib, sha256="zz" * 32), "not hexadecimal"),
        ("the build-id", change(lib, build_id="ab" * 20), f"{lib}: its build-id"),
        ("a build-id of a script", change("run-gdb.sh", build_id="ab" * 20), "run-gdb.sh: has no build-id"),
        ("a link", change("usr/lib/libx.so", link="libx.so.2"), "where it links to"),
        ("a link that climbs", change("usr/lib/libx.so", link="../../../x"), "leaves"),
        ("a link that is a file", change(lib, link="prog"), "where it links to"),
        ("the kind", change(lib, kind="virus"), '"kind" is unknown'),
        ("the status", change(lib, status="good"), '"status" is unknown'),
        ("that it is missing", change(lib, status="missing"), "says that it is missing"),
        ("a path outside", change(lib, path="../../etc/passwd"), "'..'"),
        ("an absolute path", change(lib, path="/etc/passwd"), "absolute"),
        ("a path that is a number", change(lib, path=7), '"path" is no text'),
        ("letters that no name has", change(lib, note="\u4e2d"), "letters"),
        ("a member twice", rows(lambda r: r.append(one)), "twice"),
        ("a member that is not there", rows(lambda r: r.append({**one, "path": "usr/x"})), "and not there"),
        ("a member less", rows(lambda r: r.pop(0)), "run-gdb.sh: is there, and not in the manifest"),
        ("a member that is none", rows(lambda r: r.append(7)), "no member"),
        ("members that are none", GOOD.manifest(members={}), "no list"),
        ("another kind", GOOD.manifest(kind="inspect"), "not a bundle's"),
        ("a later schema", GOOD.manifest(schema=2), "later version"),
        ("no dump", GOOD.manifest(dump=None), '"dump" is missing'),
        ("a dump that is not there", GOOD.manifest(dump={"path": "x", "type": "core"}), "not among"),
        ("a key twice", GOOD.manifest().replace(b'"schema": 1', b'"schema": 1, "schema": 1'), "manifest: line"),
        ("no JSON", b"hello", "manifest: line"),
        ("half of it", GOOD.manifest()[:400], "manifest: line"),
        ("depth", deep, "too deeply"),
        ("NUL", GOOD.manifest().replace(b"/usr/bin", b"/usr\\u0000bin"), "manifest: line"),
    ]


def check_lies(b):
    for name, manifest, said in lies():
        run = b.verify(b.write(GOOD.tar(manifest=manifest), "lie.tar"))
        b.tap.check(run.status == harness.FAILED and said in run.err and not run.faults(),
                    f"a manifest that lies: {name}", run)
    run = b.verify(b.write(GOOD.tar(extra=twice("late"), at=99), "lie.tar"))
    b.tap.check(run.status == harness.FAILED and "behind the manifest" in run.err, "a member behind the manifest", run)
    run = b.verify(b.write(GOOD.tar(manifest=b""), "lie.tar"))
    b.tap.check(run.status == harness.INCOMPLETE and "manifest.json" in run.err, "no manifest: incomplete", run)


# ---- what is damaged, or not whole ----

def spoiled(b, data, name):
    """Complaints about a run over DATA, which must not pass."""
    run = b.verify(b.write(data, name))
    bad = run.faults() + ([] if run.status in (harness.FAILED, harness.INCOMPLETE) else [f"status {run.status}"])
    return run, bad + ([] if run.err.strip() else ["nothing is said"])


def check_flips(b):
    plain = GOOD.tar()
    for path, data in GOOD.members.items():
        if isinstance(data, bytes):
            at = plain.index(data[:100] if len(data) > 100 else data) + len(data) // 2
            spoilt = bytearray(plain)
            spoilt[at] ^= 1
            run, bad = spoiled(b, spoilt, "flip.tar")
            b.tap.check(not bad and run.status == harness.FAILED and f"{path}: its SHA-256" in run.err,
                        f"a byte of {path} is flipped", run)
    dice = random.Random(5)
    for name, data in (("flip.tar.gz", gzip.compress(plain)), ("flip.zip", GOOD.zip()),
                       ("flip.tar.xz", lzma.compress(plain, preset=0)), ("flip.tar.zst", zstd(plain))):
        complaints, passed = [], 0
        for _ in range(12 if data else 0):
            spoilt = bytearray(data)
            at = dice.randrange(len(data))
            spoilt[at] ^= 1 << dice.randrange(8)
            run, bad = spoiled(b, spoilt, name)
            # Bytes that mean nothing: a time in a header, the tail of a record that nobody reads.
            if run.status == harness.OK and not run.faults():
                passed += b.unbundle(b.path(name)).status == harness.OK and \
                    tree(b.target) == {f"{TOP}/{k}": v for k, v in
                                       [*GOOD.members.items(), ("manifest.json", GOOD.manifest())]}
                continue
            complaints += [f"byte {at}: {x}" for x in bad]
        b.tap.none(complaints, f"{name}: bytes flipped anywhere ({passed} without effect)")


def check_cuts(b):
    plain = GOOD.tar()
    for name, data in (("cut.tar", plain.rstrip(b"\0") + bytes(1536)), ("cut.tar.gz", gzip.compress(plain)),
                       ("cut.zip", GOOD.zip()), ("cut.tar.xz", lzma.compress(plain, preset=0)),
                       ("cut.tar.zst", zstd(plain))):
        complaints = []
        ends = [0, 1, 100, 511, 512, 513, 1000] + [len(data) * i // 8 for i in range(1, 8)] + \
            [len(data) - i for i in (1, 2, 9)] if data else []
        if name == "cut.tar":  # up to where its end has begun
            ends = ends[:-3] + [len(data) - 1537, len(data) - 1024]
        for end in (n for n in ends if n < len(data)):
            run, bad = spoiled(b, data[:end], name)
            if run.status != harness.INCOMPLETE and not (end < 512 and run.status == harness.FAILED):
                bad.append(f"status {run.status}")
            complaints += [f"cut at {end} of {len(data)}: {x}" for x in bad]
        b.tap.none(complaints, f"{name}: cut anywhere is incomplete")
    run = b.unbundle(b.write(plain[:len(plain) // 2], "cut.tar"))
    kept = tree(b.target)
    b.tap.check(run.status == harness.INCOMPLETE and kept and
                all(k.startswith(TOP + ".incomplete/") for k in kept), "what there is of it stays, named so", run)
    run = b.verify(b.write(plain, "whole.tar.incomplete"))
    b.tap.check(run.status == harness.INCOMPLETE and "never finished" in run.err,
                "an archive that is still called incomplete", run)


def check_volumes(b):
    data, names = gzip.compress(GOOD.tar(), 1), []
    size = -(-len(data) // 4)
    for i in range(4):
        names.append(b.write(data[i * size:(i + 1) * size], f"v.tar.gz.{i + 1:03}"))
    for name in (b.path("v.tar.gz"), names[0], names[2]):
        run = b.verify(name)
        b.tap.check(run.status == harness.OK, f"volumes by the name {os.path.basename(name)}", run)
    for i in (3, 1, 0):
        os.unlink(names[i])
        run = b.verify(names[2])
        b.tap.check(run.status == harness.INCOMPLETE and (i == 3 or f"{names[i]}: this volume" in run.err),
                    f"volume {i + 1} is missing", run)
        run = b.unbundle(names[2])
        b.tap.check(run.status == harness.INCOMPLETE and not b.stray(), f"volume {i + 1} is missing: unbundle", run)
        b.write(data[i * size:(i + 1) * size], f"v.tar.gz.{i + 1:03}")


def check_other(b):
    for name, data, said in (("empty", b"", "is empty"), ("text", b"hello" * 200, "no archive"),
                             ("elf", bundlegen.elf(), "no archive"),
                             ("a.age", b"age-encryption.org/v1\n" + b"x" * 600, "age -d"),
                             ("packed.gz", gzip.compress(b"hello" * 999), "no tar")):
        run = b.verify(b.write(data, name))
        b.tap.check(run.status in (harness.FAILED, harness.INCOMPLETE) and said in run.err, f"{name}: is told", run)
    run = b.unbundle(b.path("nothing"))
    b.tap.check(run.status == harness.FAILED and "No such file" in run.err, "no such archive", run)
    run = b.tool.run("unbundle")
    b.tap.equal(run.status, harness.USAGE, "no archive: usage", run)
    # No file may grow beyond: what a full disk says.
    run = subprocess.run(["sh", "-c", 'ulimit -f 100; exec "$0" unbundle -C "$1" "$2"', b.tool.path,
                          b.path("full"), b.path("a.tar")], capture_output=True, text=True, check=False,
                         env=b.tool.environment())
    b.tap.check(run.returncode == harness.FAILED and "File too large" in run.stderr and
                os.listdir(b.path("full")) == [TOP + ".incomplete"], "a disk that is full", run.stderr)
    folder = b.path("folder")
    os.mkdir(folder)
    os.mkfifo(os.path.join(folder, "pipe"))
    run = b.verify(folder)
    b.tap.check(run.status == harness.FAILED and "no regular file" in run.err, "a folder with a FIFO", run)
    shutil.rmtree(folder)


# ---- what dumptool bundle writes itself ----

FORMATS = (("r.tar.zst",), ("r.tar.xz",), ("r.zip",), ("r.folder", "--format", "dir"), ("r.tar",),
           ("r.tar.gz", "--volume-size", "20000"))


def check_round(b, lab):
    """There and back, in every format; two runs make the same bytes."""
    for name, *more in FORMATS:
        out, again = b.path(name), b.path("again-" + name)
        run = b.tool.run("bundle", *more, "--no-debug", "-o", out, lab.vmcore)
        two = b.tool.run("bundle", *more, "--no-debug", "--num-threads", 3, "-o", again, lab.vmcore,
                         env={"TZ": "Asia/Tokyo"})
        written = {k: v for k, v in b.others().items() if k.startswith(name)}
        same = {k[6:]: v for k, v in b.others().items() if k.startswith("again-" + name)}
        b.tap.check(run.status == two.status == harness.OK and written and same == written,
                    f"{name}: bundle, twice the same", run, two, sorted(same))
        check = b.verify(out)
        run = b.unbundle(out)
        with open(lab.vmcore, "rb") as f:
            dump = f.read()
        b.tap.check(check.status == run.status == harness.OK and
                    tree(b.target).get("vmcore.bundle/vmcore", tree(b.target).get("r.folder/vmcore")) == dump,
                    f"{name}: unbundle gives the dump back", check, run, sorted(tree(b.target)))


def leavings(b, name):
    """What a run that did not finish has left, by the names that verify is given."""
    return [n for n in os.listdir(b.folder) if n.startswith(name)]


def check_broken(b, lab, name, *more):
    """The system fails, or the run is killed, at many places of the writing."""
    counts = b.path("counts")
    b.tool.run("bundle", *more, "--no-debug", "-o", b.path("n" + name), lab.vmcore, env=lab.failing(count=counts))
    with open(counts, encoding="ascii") as f:
        writes, size, syncs = [int(n) for n in f.read().split()[:3]]
    how = [{"kill_call": n} for n in {1, writes // 3, writes // 2, writes - 1, writes} if n > 0] + \
        [{"write_bytes": size * i // 3} for i in range(3)] + [{"fsync_call": 1}] * bool(syncs)
    bad = []
    for fault in how:
        run = b.tool.run("bundle", *more, "--no-debug", "-o", b.path(name), lab.vmcore, env=lab.failing(**fault))
        if "kill_call" not in fault:
            bad += [f"{fault}: {x}" for x in run.faults()]
            said = re.search("No space left|Input/output error", run.lines()[-1] if run.lines() else "")
            bad += [] if run.status == harness.FAILED and said else [f"{fault}: {run}"]
        elif run.status != -9:
            bad.append(f"{fault}: was not killed: {run}")
        left = leavings(b, name)
        bad += [f"{fault}: {n} passes" for n in left if b.verify(b.path(n)).status == harness.OK]
        bad += [f"{fault}: {n} is left" for n in left if "kill_call" not in fault]
        for n in left:
            os.unlink(b.path(n))
    b.tap.none(bad, f"{name}: {len(how)} runs that fail or are killed: none leaves what passes --verify")


def check_unpacking(b, lab):
    """unbundle on a disk that is full, and killed."""
    b.write(GOOD.tar(), "a.tar")
    bad = []
    for fault in [{"write_call": n} for n in (1, 2, 4)] + [{"kill_call": 2}]:
        run = b.unbundle(b.path("a.tar"), env=lab.failing(**fault))
        bad += [f"{fault}: {run}" for _ in [0] if run.status != (-9 if "kill_call" in fault else harness.FAILED)]
        bad += [f"{fault}: {n}" for n in os.listdir(b.target) if n != TOP + ".incomplete"]
    b.tap.none(bad, "unbundle: a full disk, and a run that is killed: nothing is called finished")


def check_real(b):
    lab = faults.Lab(b.tap, b.tool, b.path(""))
    kimage.Image(kimage.Text(os.path.join(harness.DATA, "mem-tiny.txt")), "6.16", vmemmap="4k").write(lab.vmcore)
    check_round(b, lab)
    for name, *more in (FORMATS[4], FORMATS[0], FORMATS[5]):
        check_broken(b, lab, "x" + name, *more)
    check_unpacking(b, lab)


def test(tap, tool, folder):
    if tool.run("unbundle", "--help").status:
        raise harness.Skip("built without bundles")
    b = Bench(tap, tool, folder)
    for check in (check_good, check_run, check_hostile, check_link_in_target, check_bombs, check_lies, check_flips,
                  check_cuts, check_volumes, check_other, check_real):
        check(b)


harness.main(test)
