#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""bundle of a kernel dump: what is in the archive, by tarfile, zipfile and hashlib; the four statuses of a
file; the configuration out of memory; every kind of archive; names and command lines of savedump and gather-libs; a full disk."""
import gzip
import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import zipfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import faults
import harness
import kimage

SAME, OTHER = "5a" * 20, "a5" * 20
DEBUG = "usr/lib/debug"


def have_bundle(tool):
    run = tool.run("bundle", "--help")
    if run.status != harness.OK:
        raise harness.Skip("built without bundles (libarchive, nettle, jansson, elfutils)")


def compile_elf(path, build_id, *more):
    """An ELF file with that build-id: a kernel, as far as anybody looks."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    source = "const char linux_banner[] = \"Linux version 0\"; int _stext(void) { return 0; }\n"
    command = [*harness.compiler(), "-x", "c", "-", "-o", path, "-nostdlib", "-static", "-g",
               f"-Wl,--build-id={'0x' + build_id if build_id else 'none'},-e,0", *more]
    try:
        subprocess.run(command, input=source.encode(), check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as why:
        raise harness.Skip(f"no ELF file can be compiled: {why}") from None
    with open(path, "rb") as f:
        if f.read(20)[18:] != b"\x3e\0":
            raise harness.Skip("the compiler makes no files of the dump's architecture, x86-64")


class Bundle:
    """An archive, by Python's own readers: name -> bytes, or a link's target as text."""

    def __init__(self, path):
        self.order, self.files, self.modes, self.times, self.owners = [], {}, {}, set(), set()
        if os.path.isdir(path):
            self.read_folder(path)
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as z:
                for i in z.infolist():
                    self.add(i.filename, z.read(i), i.external_attr >> 16)
        else:
            self.read_tar(path)
        self.folder = self.order[0].split("/")[0]
        self.files = {name.split("/", 1)[1]: data for name, data in self.files.items()}
        self.modes = {name.split("/", 1)[1]: mode for name, mode in self.modes.items()}
        self.manifest = json.loads(self.files["manifest.json"])
        self.members = {m["path"]: m for m in self.manifest["members"]}

    def add(self, name, data, mode):
        if not name.endswith("/"):
            self.order.append(name)
            self.files[name] = data.decode() if stat.S_ISLNK(mode) and isinstance(data, bytes) else data
            self.modes[name] = mode & 0o7777

    def read_tar(self, path):
        with open(path, "rb") as f:
            data = f.read()
        if data[:4] == b"\x28\xb5\x2f\xfd":
            data = subprocess.run(["zstd", "-dc"], input=data, stdout=subprocess.PIPE, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(data)) as t:
            for m in t.getmembers():
                if m.isdir():
                    continue
                self.times.add(m.mtime)
                self.owners.add((m.uid, m.gid, m.uname, m.gname))
                self.add(m.name, m.linkname if m.issym() else t.extractfile(m).read(), m.mode)

    def read_folder(self, path):
        for folder, _, names in os.walk(path):
            for name in names:
                full = os.path.join(folder, name)
                short = os.path.join("x", os.path.relpath(full, path))
                if os.path.islink(full):
                    self.add(short, os.readlink(full), 0o777)
                else:
                    with open(full, "rb") as f:
                        self.add(short, f.read(), os.stat(full).st_mode)

    def complaints(self):
        """Whatever the manifest says that is not so."""
        bad = [f"{name} is not in the manifest" for name in self.files
               if name not in self.members and name != "manifest.json"]
        for path, m in self.members.items():
            data = self.files.get(path)
            if m["status"] == "missing":
                bad += [f"{path} is missing and there"] if data is not None else []
            elif data is None:
                bad.append(f"{path} is not there")
            elif "link" in m:
                bad += [f"{path}: another link"] if data != m["link"] else []
            elif len(data) != m["size"] or hashlib.sha256(data).hexdigest() != m["sha256"]:
                bad.append(f"{path}: another content")
        return bad


class Lab:
    def __init__(self, tap, tool, folder):
        self.tap, self.tool, self.folder = tap, tool, folder
        self.image = kimage.Image(kimage.Text(os.path.join(harness.DATA, "mem-small.txt")), "6.12", vmemmap="4k")
        self.vmcore, self.root = os.path.join(folder, "vmcore"), os.path.join(folder, "root")
        self.image.write(self.vmcore + ".elf")
        # Small, and all in it is data: the image itself is mostly holes.
        tool.run("convert", self.vmcore + ".elf", self.vmcore)
        self.release = self.image.release
        os.mkdir(self.root)

    def bundle(self, *args, **more):
        more.setdefault("cwd", self.folder)
        return self.tool.run("bundle", "--progress", "none", *args, **more)

    def vmlinux(self, folder=""):
        return os.path.join(self.root, folder or f"{DEBUG}/boot/vmlinux-{self.release}")


def check_formats(lab):
    """Each kind of archive holds the same; the same dump makes the same bytes."""
    tap, wanted = lab.tap, None
    compile_elf(lab.vmlinux(), SAME)
    for end in ("tar.zst", "tar.xz", "tar.gz", "tar", "zip", "dir"):
        out = os.path.join(lab.folder, "out." + end)
        if end == "tar.zst" and not shutil.which("zstd"):
            tap.skip("tar.zst", "zstd is not installed")
            continue
        run = lab.bundle("--root", lab.root, "--format", end, "-o", out, lab.vmcore)
        if not tap.equal(run.status, harness.OK, f"{end}: is made", run):
            continue
        made = Bundle(out)
        tap.none(made.complaints(), f"{end}: all that the manifest says is so, by another reader")
        wanted = wanted or made
        tap.none([name for name in {**made.files, **wanted.files} if name != "manifest.json" and
                  made.files.get(name) != wanted.files.get(name)], f"{end}: holds what others hold")
        tap.check(made.files["vmcore"] == open(lab.vmcore, "rb").read(), f"{end}: the dump, byte for byte")
        again = os.path.join(lab.folder, "again." + end)
        lab.bundle("--root", lab.root, "--format", end, "-o", again, lab.vmcore)
        if end != "dir":
            tap.check(open(out, "rb").read() == open(again, "rb").read(), f"{end}: the same bytes again")
            tap.equal(made.order[-1], made.folder + "/manifest.json", f"{end}: the manifest is last")
    tap.equal((made.manifest["kind"], made.manifest["schema"], made.manifest["dump"]["type"],
               made.manifest["dump"]["release"]), ("bundle", 1, "kernel", lab.release), "what the manifest says")
    tar = Bundle(os.path.join(lab.folder, "out.tar"))
    tap.equal((tar.times, tar.owners), ({int(os.stat(lab.vmcore).st_mtime)}, {(0, 0, "", "")}),
              "times are the dump's, the owner is nobody in particular")
    tap.equal({tar.modes[n] for n in tar.files if n.startswith("run-")}, {0o755}, "scripts can be run")
    for name in ("run-crash.sh", "run-drgn.sh", "run-gdb.sh", "run-sdb.sh"):
        run = subprocess.run(["sh", "-n"], input=tar.files[name], capture_output=True)
        tap.check(run.returncode == 0, f"{name} is a script", run.stderr)
    for name in ("dmesg.txt", "inspect.txt"):
        tap.check(len(tar.files.get(name, b"")) > 50, f"{name} is there")
    told = json.loads(tar.files["inspect.json"])
    tap.equal(told["kind"], "inspect", "inspect.json is JSON")


def check_status(lab):
    """Verified, mismatched, by name only, missing; --force; a vmlinux of another architecture."""
    tap, out = lab.tap, os.path.join(lab.folder, "s.tar")

    def status(*args):
        run = lab.bundle("--root", lab.root, "-f", "-o", out, *args, lab.vmcore)
        return run, ({m["kind"]: m for m in Bundle(out).manifest["members"]}.get("vmlinux")
                     if run.status == harness.OK else None)

    shutil.rmtree(lab.root)
    os.mkdir(lab.root)
    run, m = status()
    tap.check(m and m["status"] == "missing" and m["build_id"] == SAME and m["note"], "no vmlinux: missing", run, m)
    tap.check("vmlinux" in run.err and "missing" in run.err, "which the summary says", run)
    compile_elf(lab.vmlinux(), OTHER)
    run, m = status()
    tap.check(m and m["status"] == "missing" and OTHER in m["note"] and SAME in m["note"],
              "another kernel's: it is told, and not taken", run, m)
    places = [f"{DEBUG}/lib/modules/R/vmlinux", f"{DEBUG}/usr/lib/modules/R/vmlinux", "lib/modules/R/build/vmlinux",
              f"{DEBUG}/.build-id/5a/{SAME[2:]}.debug", "boot/vmlinux-R"]
    for place in places:
        path = lab.vmlinux(place.replace("R", lab.release))
        compile_elf(path, SAME)
        run, m = status()
        tap.check(m and m["status"] == "verified" and m["origin"] == os.path.realpath(path) and m["build_id"] == SAME,
                  f"{place}: verified", run, m)
        os.unlink(path)
    named = os.path.join(lab.folder, "named")
    compile_elf(named, OTHER)
    run = lab.bundle("--vmlinux", named, "-o", os.path.join(lab.folder, "no.tar"), lab.vmcore)
    tap.check(run.status == harness.MISMATCH and not os.path.exists(os.path.join(lab.folder, "no.tar")),
              "--vmlinux of another kernel: refused", run)
    run = lab.bundle("--vmlinux", named, "-f", "-o", out, lab.vmcore)
    m = {m["kind"]: m for m in Bundle(out).manifest["members"]}["vmlinux"]
    tap.equal((run.status, m["status"], m["build_id"]), (harness.MISMATCH, "mismatched", OTHER),
              "with --force it is in, as what it is", run)


def check_links(lab):
    """What is called as vmlinux and is none is not read, or followed out of the root."""
    tap, secret = lab.tap, os.path.join(lab.folder, "secret")
    compile_elf(secret, SAME)
    for what in ("a FIFO", "a device's name", "a link out of the root", "a folder"):
        shutil.rmtree(lab.root)
        path = lab.vmlinux()
        os.makedirs(os.path.dirname(path))
        if what == "a FIFO":
            os.mkfifo(path)
        elif what == "a folder":
            os.mkdir(path)
        else:
            os.symlink("/dev/zero" if "device" in what else secret, path)
        out = os.path.join(lab.folder, "l.tar")
        run = lab.bundle("--root", lab.root, "-f", "-o", out, lab.vmcore)
        kinds = {m["kind"]: m["status"] for m in Bundle(out).manifest["members"]}
        tap.equal((run.status, kinds["vmlinux"]), (harness.OK, "missing"), f"{what}: is not taken", run)


def check_pages(lab):
    """--level: what is stored holds what filter keeps; --store-as elf: all."""
    tap, out = lab.tap, os.path.join(lab.folder, "p.dir")
    for args, level in ((["--level", "31"], 31), (["--store-as", "elf"], 0), (["--level", "1"], 1)):
        run = lab.bundle("-f", "--format", "dir", *args, "-o", out + str(level), lab.vmcore)
        if not tap.equal(run.status, harness.OK, f"{args}: made", run):
            continue
        stored = os.path.join(out + str(level), "vmcore.elf")
        kept = lab.vmcore
        if level:
            kept = os.path.join(lab.folder, "kept")
            lab.tool.run("filter", "-f", "-d", level, lab.vmcore, kept)
        same = lab.tool.run("inspect", "--compare", stored, kept)
        tap.equal(same.status, harness.OK, f"{args}: the pages are filter's, or all", same)
        made = Bundle(out + str(level))
        tap.none(made.complaints(), f"{args}: the manifest is right")
        tap.equal(made.manifest["dump"]["stored_as"], "elf", f"{args}: it says so")


def check_storage(lab):
    """What crash or drgn would not open as it is is stored as ELF, unless told otherwise."""
    tap, data = lab.tap, open(lab.vmcore, "rb").read()
    machine = 12 + 4 * 65       # signature, version, struct new_utsname
    made = {
        "unknown": data[:machine] + b"Unknown".ljust(65, b"\0") + data[machine + 65:],     # as QEMU writes it
        "packed.gz": gzip.compress(data, 1),
        "flat": lab.tool.run("filter", "-F", "-d", "0", lab.vmcore + ".elf").out,
    }
    for name, content in made.items():
        path, out = os.path.join(lab.folder, name), os.path.join(lab.folder, name + ".dir")
        with open(path, "wb") as f:
            f.write(content)
        run = lab.bundle("--format", "dir", "-o", out, path)
        told = Bundle(out).manifest["dump"]
        if name == "flat":
            tap.equal(told["stored_as"], "asis", "flattened: as it is", run)
            continue
        same = lab.tool.run("inspect", "--compare", os.path.join(out, told["path"]), lab.vmcore)
        tap.equal((told["stored_as"], same.status), ("elf", harness.OK), f"{name}: stored as ELF, all pages", run, same)
    out = os.path.join(lab.folder, "asis.dir")
    run = lab.bundle("--format", "dir", "--store-as", "asis", "-o", out, os.path.join(lab.folder, "packed.gz"))
    tap.equal(Bundle(out).files.get("packed.gz"), made["packed.gz"], "--store-as asis: byte for byte", run)


def check_config(lab):
    """The configuration: a file, else out of the kernel's memory, whatever else looks like one there."""
    tap, image = lab.tap, lab.image
    dump, out = os.path.join(lab.folder, "config.elf"), os.path.join(lab.folder, "config.tar")
    text = b"# Linux/x86 6.12 Kernel Configuration\nCONFIG_IKCONFIG=y\n" * 2000
    shutil.rmtree(lab.root)
    os.mkdir(lab.root)

    def framed(data, end=b"IKCFG_ED"):
        return b"IKCFG_ST" + data + end

    def config(*places, symbol=None):
        """What the bundle has once (page, offset in it, bytes) are in memory too."""
        if symbol:
            image.write_notes(dump, [*image.vmcoreinfo(), f"SYMBOL(kernel_config_data)={image.direct(symbol):x}"])
        with open(dump, "r+b") as f:
            for page, off, data in places:
                f.seek(image.offset(page * 4096) + off)
                f.write(data)
        run = lab.bundle("--root", lab.root, "--level", "31", "-f", "-o", out, dump)
        made = Bundle(out)
        member = made.members.get(f"boot/config-{lab.release}", {"status": None})
        return made.files.get(f"boot/config-{lab.release}"), member["status"], run.status

    image.write(dump)
    good, broken, other = (framed(gzip.compress(text + end)) for end in (b"", b"x", b"CONFIG_OTHER=y\n"))
    broken = broken[:-12] + b"crc" + broken[-9:]
    decoys = [(0x900, 100, broken), (0x910, 0, framed(gzip.compress(b"no comment"))),
              (0x920, 7, b"IKCFG_ST\x1f\x8b\x08"), (0x8100, 0, framed(gzip.compress(b"#" * (32 << 20), 1)))]
    tap.equal(config(*decoys), (None, None, harness.OK), "what only looks like one is not taken")
    tap.equal(config((0x9000, 4096 - 5, good)), (text, "made", harness.OK), "found in memory, over a page's end")
    wanted = (text + b"CONFIG_OTHER=y\n", "made", harness.OK)
    tap.equal(config((0x9800, 100, other), symbol=0x9800064 + 8), wanted, "at its symbol")
    tap.equal(config(symbol=0x9800064), wanted, "at its symbol, where that is at the mark")
    tap.equal(config((0x9800, 100, framed(gzip.compress(text), bytes(100)))), (None, None, harness.OK), "one without an end")
    path = os.path.join(lab.root, "usr/lib/modules", lab.release)
    os.makedirs(path)
    with open(os.path.join(path, "config"), "wb") as f:
        f.write(b"of the package")
    run = lab.bundle("--root", lab.root, "-f", "-o", out, dump)
    member = Bundle(out).members.get(f"usr/lib/modules/{lab.release}/config")
    tap.check(member and member["status"] == "by-name", "a file comes first", run)


def check_modules(lab):
    """
    Debug files of modules below a --debug-path, by name: the four statuses, where debuggers look for them. The
    vmlinux is another kernel's, by force: what it says of the modules counts less than what the dump does.
    """
    tap, out = lab.tap, os.path.join(lab.folder, "modules.tar")
    dump = os.path.join(os.environ.get("DUMPTOOL_CORPUS", ""), "x86_64-6.1", "kdump", "proc-vmcore.elf")
    if not os.path.exists(dump):
        tap.skip("modules", "DUMPTOOL_CORPUS names no folder of real dumps")
        return
    vmlinux, debug = os.path.join(lab.folder, "forced"), os.path.join(lab.folder, "debug-path")
    compile_elf(vmlinux, OTHER, "-Wl,--defsym=modules=0xffffffff81000008,--defsym=init_task=0xffffffff81000100")
    release, ids = "6.1.0-50-cloud-amd64", {
        m["name"]: m["build_id"] for m in json.loads(lab.tool.run("inspect", "--modules", "--json", dump).out)["modules"]}
    tree = os.path.join(debug, "lib/modules", release, "kernel")
    compile_elf(os.path.join(tree, "fs/xfs.ko"), ids["xfs"])
    compile_elf(os.path.join(tree, "drivers/nbd.ko.debug"), OTHER)
    compile_elf(os.path.join(debug, "virtio-blk.ko"), None)     # beside each other, as a build leaves them
    compile_elf(os.path.join(debug, "below/dm_mod.ko"), ids["dm_mod"])
    packed = os.path.join(lab.root, "lib/modules", release, "xfs.ko")
    compile_elf(packed, ids["xfs"])
    with open(packed, "rb") as f, gzip.open(packed + ".gz", "wb") as g:
        g.write(f.read())
    os.unlink(packed)
    run = lab.bundle("--root", lab.root, "--debug-path", debug, "--level", "31", "--vmlinux", vmlinux, "-f", "-o", out, dump,
                     env={"TMPDIR": os.path.join(lab.folder, "nowhere")})
    if not tap.equal(run.status, harness.MISMATCH, "modules: is made, with another kernel's vmlinux", run):
        return
    made = Bundle(out)
    found = {m["path"]: m["status"] for m in made.manifest["members"] if m["kind"] == "debug"}
    wanted = {f"{DEBUG}/lib/modules/{release}/{path}": status for path, status in (
        ("kernel/fs/xfs.ko", "verified"), ("kernel/drivers/nbd.ko.debug", "mismatched"),
        ("virtio_blk.ko", "by-name"), ("dm_mod.ko", "missing"))}
    tap.equal({path: found.get(path) for path in wanted}, wanted, "modules: found by name", found)
    tap.equal([made.members.get(f"lib/modules/{release}/{name}", {}).get("status") for name in ("xfs.ko.gz", "nbd.ko")],
              ["by-name", "missing"], "modules: one that there is no room to unpack is not told to be another")
    tap.equal({m["name"] for m in json.loads(made.files["modules.json"])["modules"]}, set(ids), "modules: all are told")


def check_velf(lab):
    """--with-velf: what tovelf makes of the same pages, so that run-gdb.sh needs no dumptool."""
    tap, out, alone = lab.tap, os.path.join(lab.folder, "v.dir"), os.path.join(lab.folder, "alone.velf")
    for level in ("0", "31"):
        run = lab.bundle("--with-velf", "--level", level, "--format", "dir", "-o", out + level, lab.vmcore)
        lab.tool.run("tovelf", "-f", "-d", level, "-o", alone, lab.vmcore)
        velf = os.path.join(out + level, "vmcore.elf.velf")
        same = lab.tool.run("inspect", "--compare", velf, alone)
        tap.check(run.status == same.status == harness.OK, f"--with-velf, level {level}: tovelf's", run, same.out)
        tap.none(Bundle(out + level).complaints(), f"--with-velf, level {level}: the manifest is right")


def check_output(lab):
    """Standard output, volumes, what exists, a full disk, wrong command lines."""
    tap, out = lab.tap, os.path.join(lab.folder, "o.tar.gz")
    run = lab.bundle("--format", "tar", "-o", "-", lab.vmcore)
    with tarfile.open(fileobj=io.BytesIO(run.out)) as t:
        tap.check(t.getnames()[-1].endswith("/manifest.json"), "to standard output", run.err)
    run = lab.bundle("--volume-size", "100K", "-o", out, lab.vmcore)
    parts = sorted(f for f in os.listdir(lab.folder) if f.startswith("o.tar.gz."))
    with open(out, "wb") as f:
        for part in parts:
            with open(os.path.join(lab.folder, part), "rb") as p:
                f.write(p.read())
    tap.none(Bundle(out).complaints(), f"{len(parts)} volumes make one archive", run)
    tap.check(len(parts) > 1 and parts[0] == "o.tar.gz.001", "volumes are numbered", parts)
    run = lab.bundle("-o", out, lab.vmcore)
    tap.check(run.status == harness.FAILED and "exists" in run.err, "what exists is kept", run)
    run = lab.bundle(lab.vmcore)
    tap.check(run.status == harness.OK and os.path.exists(os.path.join(lab.folder, "vmcore.bundle.tar.zst")),
              "its name is the dump's", run)
    for args in ([], ["a", "b"], ["--level", "32", "x"], ["--format", "rar", "x"], ["-o", "x.rar", lab.vmcore],
                 ["--root", "/nowhere", "x"], ["--level", "1", "--store-as", "asis", "x"], ["--nonsense"],
                 ["--encrypt-to", "age1x", "--volume-size", "1M", "x"]):
        tap.equal(lab.bundle(*args).status, harness.USAGE, f"{args}: a wrong command line")
    tap.equal(lab.bundle("/nowhere").status, harness.FAILED, "no dump")
    text = os.path.join(lab.folder, "text")
    with open(text, "w") as f:
        f.write("no dump\n" * 1000)
    run = lab.bundle("-o", os.path.join(lab.folder, "t.tar"), text)
    tap.check(run.status == harness.FAILED and not os.path.exists(os.path.join(lab.folder, "t.tar")), "no dump at all", run)
    cut = os.path.join(lab.folder, "cut")
    with open(lab.vmcore, "rb") as f, open(cut, "wb") as g:
        g.write(f.read()[:-100000])
    run = lab.bundle("-o", os.path.join(lab.folder, "c.tar"), cut)
    tap.equal(run.status, harness.INCOMPLETE, "a cut dump is bundled, and said to be cut", run)


def check_full(lab):
    """A full disk leaves nothing that could be taken for a bundle."""
    tap, small = lab.tap, os.path.join(lab.folder, "full")
    shim = faults.build_shim(lab.folder, lab.tool.sanitized)
    bad = []
    for limit in (0, 1000, 200000, 500000):
        run = lab.bundle("-f", "-o", small + ".tar", lab.vmcore,
                         env={"SHIM": shim, "SHIM_WRITE_BYTES": str(limit)})
        if run.status != harness.FAILED or os.path.exists(small + ".tar"):
            bad.append(f"{limit}: {run}")
    tap.none(bad, "a full disk: no archive of that name")


def check_encryption(lab):
    """The pipe into age and gpg, by stand-ins: theirs is what is written; when they fail nothing is left."""
    tap, path = lab.tap, os.path.join(lab.folder, "bin")
    os.mkdir(path)

    def stand_in(name, script):
        with open(os.path.join(path, name), "w", encoding="ascii") as f:
            f.write("#!/bin/sh\n" + script)
        os.chmod(os.path.join(path, name), 0o755)

    def run(whom, out):
        return lab.bundle("--encrypt-to", whom, "-o", os.path.join(lab.folder, out), lab.vmcore,
                          env={"PATH": path + ":" + os.environ["PATH"]})

    for name, whom in (("age", "age1abc"), ("age", "ssh-ed25519 AAAA"), ("gpg", "me@here")):
        stand_in(name, f'echo "$*" >"{lab.folder}/said"; exec cat')
        out = f"{whom[:4]}.tar.{name}"
        made = run(whom, out)
        with open(os.path.join(lab.folder, "said"), encoding="ascii") as f:
            tap.check(made.status == harness.OK and f"-r {whom}" in f.read(), f"--encrypt-to {whom}: {name} gets it", made)
        tap.none(Bundle(os.path.join(lab.folder, out)).complaints(), f"--encrypt-to {whom}: what came out of it")
    stand_in("age", "cat >/dev/null; exit 3")
    made = run("age1abc", "failed.tar.age")
    tap.check(made.status == harness.FAILED and "age" in made.err and
              not [f for f in os.listdir(lab.folder) if f.startswith("failed")], "age fails: nothing is left", made)
    other = os.path.join(lab.folder, "other.tar.age.incomplete")
    with open(other, "w", encoding="ascii") as f:
        f.write("of somebody else")
    made = run("age1abc", "other.tar.age")
    tap.check(made.status == harness.FAILED and os.path.exists(other), "what somebody else is writing stays", made)


def check_names(lab):
    """savedump and gather-libs."""
    tap = lab.tap
    link = os.path.join(lab.folder, "savedump")
    os.symlink(lab.tool.path, link)
    run = subprocess.run([link, lab.vmcore], cwd=lab.folder, capture_output=True)
    made = [f for f in os.listdir(lab.folder) if f.endswith(".archive-vmcore.tar.gz")]
    tap.check(run.returncode == 0 and len(made) == 1, "savedump names the archive as it does", run.stderr, made)
    gather = os.path.join(lab.folder, "gather-libs")
    os.symlink(lab.tool.path, gather)
    for args in (["-h"], []):
        run = subprocess.run([gather, *args], capture_output=True)
        tap.equal(run.returncode, harness.USAGE if not args else harness.OK, f"gather-libs {args}", run.stderr)


def test(tap, tool, folder):
    have_bundle(tool)
    lab = Lab(tap, tool, folder)
    for check in (check_formats, check_status, check_links, check_pages, check_storage, check_config, check_modules,
                  check_velf, check_output, check_full, check_encryption, check_names):
        check(lab)


harness.main(test)
