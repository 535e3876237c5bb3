#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""bundle of a process: split DWARF of real compilers, the scripts that a program names for gdb, a program that was
started through the loader, one that comes through a pipe; opened by gdb where nothing is in its place."""
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import harness
from corelab import FRAME, Lab, crash, need, run

MAIN = "int helper(int n, int *p);\nint main(int argc, char **argv)\n{\n\treturn helper(argc + 1, (int *)8);\n}\n"
HELPER = "int helper(int n, int *p)\n{\n\tint local = n * 7;\n\treturn n ? helper(n - 1, p) + local : *(volatile int *)p;\n}\n"
GDB = ["-nx", "-batch", "-ex", "set width 0", "-ex", "bt", "-ex", "p local", "-ex", "info auto-load python-scripts"]
LOADER = "/lib64/ld-linux-x86-64.so.2"
RUST = "gdb_load_rust_pretty_printers.py"


def make(command, cwd):
    made = run(*command, cwd=cwd)
    if made.returncode:
        raise harness.Skip(f"{' '.join(command)}: {made.stdout[-200:]}")


def build(lab, name, *flags, cc=None):
    """Two units of the same name in two folders, so that what is looked for by name is told by more than that."""
    app = lab.file(name, "")
    os.makedirs(app + "sub")
    lab.write(MAIN.encode(), name, "main.c")
    lab.write(HELPER.encode(), name, "sub", "main.c")
    for unit in "main", "sub/main":
        make([*(cc or harness.compiler()), "-O0", *flags, "-c", unit + ".c", "-o", unit + ".o"], app)
    make([*(cc or harness.compiler()), "main.o", "sub/main.o", "-o", "app"], app)
    return app


def frames(text):
    return FRAME.findall(text)


def check_moved(lab, app, core):
    path = app.lstrip("/") + "sub/main.dwo"
    os.rename(app + "sub/main.dwo", lab.file("elsewhere", "main.dwo"))
    shutil.copy(app + "main.dwo", app + "sub/main.dwo")
    _, _, members = lab.bundle(core, name="with a file of another unit")
    lab.tap.equal(members.get(path, {}).get("status"), "missing", "that of another unit is none")
    _, _, members = lab.bundle(core, "--debug-path", lab.file("elsewhere"), name="with --debug-path")
    lab.tap.equal(members[path]["status"], "verified", "one that was moved is found by its id")


def check_split(lab, kind, cc, *flags):
    app = build(lab, kind, *flags, cc=cc)
    core = crash(lab, app, name="core." + kind)
    before = run("gdb", "-iex", "set auto-load no", *GDB, "app", core, cwd=app).stdout
    _, where, members = lab.bundle(core)
    inside, tap = app.lstrip("/"), lab.tap
    split = {p[len(inside):]: m["status"] for p, m in members.items() if p.startswith(inside) and p.endswith(".dwo")}
    tap.equal(split, {"main.dwo": "verified", "sub/main.dwo": "verified"}, f"{kind}: each .dwo file, by its id")
    if kind == "gcc5":
        check_moved(lab, app, core)
    os.rename(app, lab.file("gone-" + kind))
    after = run(os.path.join(where, "run-gdb.sh"), *GDB, cwd="/").stdout
    tap.check(len(frames(before)) >= 4 and "Could not find" not in before, f"{kind}: gdb where it crashed", before)
    tap.equal(frames(after), frames(before), f"{kind}: the same out of the bundle, with lines", after)
    tap.check("$1 = 0\n" in after, f"{kind}: and variables", after)


def check_plain(lab):
    """DWARF 5 of clang has .debug_addr whether it is split or not."""
    app = build(lab, "plain", "-gdwarf-5", cc=["clang"])
    _, _, members = lab.bundle(crash(lab, app, name="core.plain"))
    lab.tap.none([p for p, m in members.items() if m["kind"] == "debug" and p.startswith(app.lstrip("/"))],
                 "plain DWARF 5 of clang is not split")


def toolchain(lab, home, name, version):
    """What a Rust toolchain has beside its compiler: scripts, and who made them."""
    lib = lab.file(home, ".rustup/toolchains", name, "lib", "")
    for script in RUST, "gdb_lookup.py":
        lab.write(b"import gdb\ngdb.write('printers of " + name.encode() + b"\\n')\n", lib, "rustlib/etc", script)
    source = lab.write(b"int driver;\n", "src", "driver.c")
    make([*harness.compiler(), "-shared", source, "-o", lib + "librustc_driver-12.so"], lib)
    comment = lab.write(b"clang\0rustc version " + version.encode() + b"\0", "src", "comment")
    make(["objcopy", "--update-section", ".comment=" + comment, lib + "librustc_driver-12.so"], lib)


def check_scripts(lab):
    """What .debug_gdb_scripts names: of Rust's toolchains that which made the program; a path as Go has it; a path
    that is no script."""
    app = build(lab, "scripts", "-g")
    home = lab.file("home", "")
    toolchain(lab, home, "other", "1.2.3 (aaaa 2026-01-01)")
    toolchain(lab, home, "right", "4.5.6 (bbbb 2026-02-02)")
    go = lab.write(b"import gdb\ngdb.write('runtime of Go\\n')\n", "go/src/runtime/runtime-gdb.py")
    secret = lab.write(b"secret", "secret")
    comment = lab.write(b"rustc version 4.5.6 (bbbb 2026-02-02)\0", "src", "comment")
    os.environ["HOME"] = home
    for name, wanted in (RUST, home[1:] + ".rustup/toolchains/right/lib/rustlib/etc/" + RUST), (go, go[1:]), (secret, None):
        section = lab.write(b"\1" + name.encode() + b"\0", "src", "section")
        command = ["objcopy", "--update-section", ".comment=" + comment, "--remove-section", ".debug_gdb_scripts",
                   "--add-section", ".debug_gdb_scripts=" + section, "app"]
        make(command, app)
        core = crash(lab, app, name="core.scripts")
        _, where, members = lab.bundle(core, name=f"{os.path.basename(name)} is named")
        got = {p: m["status"] for p, m in members.items() if m["kind"] == "auxiliary" and "link" not in m and
               p.startswith(lab.folder[1:])}
        if not wanted:
            lab.tap.equal(got, {}, "what is no script is not taken for one")
            continue
        lab.tap.equal(got.get(wanted), "by-name", f"{os.path.basename(name)} is in", got)
        said = run(os.path.join(where, "run-gdb.sh"), "-iex", "set auto-load python-scripts on", *GDB, cwd="/").stdout
        lab.tap.check("printers of right" in said or "runtime of Go" in said, "gdb loads it where that is allowed", said)
        if name == go:
            said = run(os.path.join(where, "run-gdb.sh"), *GDB, cwd="/").stdout
            lab.tap.check("runtime of Go" not in said, "and nowhere else", said)


def check_loader(lab):
    """ld.so PROGRAM: gdb where it crashed does not find its libraries; here it does."""
    if not os.path.exists(LOADER):
        lab.tap.skip("a program that the loader was told to run", "not x86-64")
        return
    app = build(lab, "loader", "-g")
    core = crash(lab, app, f"{LOADER} ./app", "core.loader")
    _, where, members = lab.bundle(core)
    kinds = {m["kind"]: m["status"] for m in members.values() if "link" not in m}
    lab.tap.equal((kinds.get("executable"), kinds.get("loader")), ("verified", "verified"), "program and loader")
    os.rename(app, lab.file("gone-loader"))
    said = run(os.path.join(where, "run-gdb.sh"), *GDB, "-ex", "info sharedlibrary", cwd="/").stdout
    lab.tap.check(" main.c:4" in said or "in main (" in said, "with its frames", said)
    lab.tap.check("libc.so.6" in said, "and its libraries", said)
    with open(core, "rb") as f:
        ran = subprocess.run([lab.tool.path, "bundle", "--progress", "none", "-o", "-", "--format", "tar", "-"], stdin=f,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, timeout=60)
    lab.tap.check(ran.returncode == 0 and b"core.bundle/manifest.json" in ran.stdout, "from standard input to output", ran)


def check_quoted(lab):
    """A name that would end gdb's quotes, behind which expressions are evaluated, is in no command of gdb."""
    if not os.path.exists(LOADER):
        lab.tap.skip("a name with quotes", "not x86-64")
        return
    for name, wanted in ("named", True), ("it's", False):
        app = build(lab, name, "-g")
        _, where, _ = lab.bundle(crash(lab, app, f"{LOADER} ./app", "core.named"), name=f"{name}: is bundled")
        with open(os.path.join(where, "run-gdb.sh"), encoding="utf-8") as f:
            lab.tap.equal("add-symbol-file" in f.read(), wanted, f"{name}: in a command of gdb")


def test(tap, tool, folder):
    lab = Lab(tap, tool, folder)
    if tool.run("bundle", "--help").status != harness.OK:
        raise harness.Skip("built without bundles (libarchive, nettle, jansson, elfutils)")
    need("tar", "gdb", "objcopy")
    cases = [("gcc5", check_split, lab, "gcc5", ["gcc"], "-g", "-gdwarf-5", "-gsplit-dwarf"),
             ("gcc4", check_split, lab, "gcc4", ["gcc"], "-g", "-gdwarf-4", "-gsplit-dwarf"),
             ("clang5", check_split, lab, "clang5", ["clang"], "-gdwarf-5", "-gsplit-dwarf"),
             ("clang", check_plain, lab), ("scripts", check_scripts, lab), ("loader", check_loader, lab), ("quoted", check_quoted, lab)]
    for name, check, *args in cases:
        try:
            need(*[c for c in ("gcc", "clang") if name.startswith(c)])
            check(*args)
        except harness.Skip as why:
            tap.skip(name, why)


harness.main(test)
