#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""bundle of a process: a program with threads and libraries crashes, is bundled, and opens in gdb as it did where
it crashed; the four statuses; cores that lie, and of other machines and languages."""
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import harness
import usercoregen
from corelab import GDB, Lab, backtraces, crash, need, run
from usercoregen import Core, image, usual

LIBRARY = """
#include <unistd.h>
int {0}_wait(int n) {{ return n ? {0}_wait(n - 1) + 1 : pause(); }}
int {0}_crash(int n) {{ return n ? {0}_crash(n - 1) + 1 : *(volatile int *)8; }}
"""
PROGRAM = """
#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>
int one_wait(int);
int three_wait(int);
int four_wait(int);
static void *first(void *p) { one_wait(2); return p; }
static void *second(void *p) { three_wait(1); return p; }
static void *third(void *p) { four_wait(3); return p; }
int main(int argc, char **argv)
{
	pthread_t t;
	int (*crash)(int) = (int (*)(int))dlsym(dlopen("./plugins/two.so", RTLD_NOW), "two_crash");

	pthread_create(&t, NULL, first, argv);
	pthread_create(&t, NULL, second, argv);
	pthread_create(&t, NULL, third, argv);
	usleep(100000);
	return crash(argc + 1);
}
"""


def build(lab):
    """The program with: one (linked), two (dlopen'ed), three (stripped, .gnu_debuglink, no build-id),
    four (no build-id, debug info inside)."""
    app = lab.file("app", "")
    for name in "one", "two", "three", "four":
        ids = "none" if name in ("three", "four") else "sha1"
        source = lab.write(LIBRARY.format(name).encode(), "src", name + ".c")
        made = run(*harness.compiler(), "-g", "-O0", "-shared", "-fPIC", f"-Wl,--build-id={ids}", "-Wl,-soname," +
                   (f"lib{name}.so.1" if name == "one" else f"lib{name}.so"), source, "-o",
                   app + ("libone.so.1.5" if name == "one" else f"lib{name}.so"))
        if made.returncode:
            raise harness.Skip(f"no library can be compiled: {made.stdout[-200:]}")
    os.symlink("libone.so.1.5", app + "libone.so.1")
    os.mkdir(app + "plugins")
    os.symlink("../libtwo.so", app + "plugins/two.so")
    run("objcopy", "--only-keep-debug", "libthree.so", "libthree.so.debug", cwd=app)
    run("strip", "libthree.so", cwd=app)
    run("objcopy", "--add-gnu-debuglink=libthree.so.debug", "libthree.so", cwd=app)
    source = lab.write(PROGRAM.encode(), "src", "app.c")
    made = run(*harness.compiler(), "-g", "-O0", source, "-o", app + "app", "-Wl,-rpath,$ORIGIN", app + "libone.so.1",
               app + "libthree.so", app + "libfour.so", "-pthread", "-ldl")
    if made.returncode:
        raise harness.Skip(f"no program can be compiled: {made.stdout[-200:]}")
    return app


def check_list(lab, core, members):
    """Our list and that of elfutils: the same build-ids."""
    if not shutil.which("eu-unstrip"):
        lab.tap.skip("the list is that of eu-unstrip", "elfutils is not installed")
        return
    theirs = {m[1] for m in re.finditer(r"^\S+ ([0-9a-f]{8,})@", run("eu-unstrip", "-n", f"--core={core}").stdout, re.M)}
    ours = {m["build_id"] for m in members.values() if "build_id" in m and "link" not in m and
            m["kind"] in ("executable", "library", "loader", "vdso")}
    lab.tap.equal(ours, theirs, "build-ids of the objects are those that eu-unstrip tells")


def check_crash(lab):
    app = build(lab)
    core = crash(lab, app)
    before = run("gdb", *GDB, "app", core, cwd=app).stdout if shutil.which("gdb") else ""
    _, where, members = lab.bundle(core)
    inside = app.lstrip("/")
    tap = lab.tap

    def status(name):
        return members.get(inside + name, {}).get("status")
    tap.equal([status(n) for n in ("app", "libone.so.1.5", "libtwo.so", "libthree.so", "libfour.so")],
              ["verified", "verified", "verified", "by-name", "by-name"],
              "with a build-id a file is verified, without one known by its name")
    tap.equal(members.get(inside + "libone.so.1", {}).get("link"), "libone.so.1.5", "a soname is a link")
    tap.check(any(m["kind"] == "debug" and "libthree.so.debug" in p and m["status"] != "missing"
                  for p, m in members.items()), "the debug file that .gnu_debuglink names", *members)
    tap.equal({m["kind"] for m in members.values()} & {"loader", "vdso", "dump", "script"},
              {"loader", "vdso", "dump", "script"}, "loader, vDSO, core, scripts")
    check_list(lab, core, members)
    check_strace(lab, core, members)
    check_changed(lab, app, core, inside)
    # Somewhere else: nothing of it is where it was.
    os.rename(app, lab.file("gone"))
    check_gdb(lab, where, before)


def check_strace(lab, core, members):
    if not shutil.which("strace") or run("strace", "-o", os.devnull, "true").returncode:
        lab.tap.skip("nothing is executed", "strace cannot be run here")
        return
    if lab.tool.sanitized:
        lab.tap.skip("nothing is executed", "the search for leaks does not work under strace")
        return
    lab.bundle(core, under=["strace", "-f", "-e", "trace=execve,execveat"], name="bundled under strace")
    with open(lab.file("strace.log"), encoding="utf-8", errors="replace") as f:
        calls = [line for line in f if "exec" in line.split("(")[0]]
    # An emulated one is a script that starts the emulator.
    lab.tap.equal(len(calls), 2 if lab.tool.emulated else 1, "nothing is executed but the tool itself", *calls)
    _, _, old = lab.bundle(core, under=["strace", "-f", "-e", "trace=openat2", "-e", "inject=openat2:error=ENOSYS"],
                           name="bundled by a kernel without openat2()")
    lab.tap.equal({p: (m["status"], m.get("link"), m.get("sha256")) for p, m in old.items() if "core" not in p},
                  {p: (m["status"], m.get("link"), m.get("sha256")) for p, m in members.items() if "core" not in p},
                  "the same files where there is no openat2()")


def check_changed(lab, app, core, inside):
    """A library rebuilt, one without a build-id rebuilt, one removed; then the program."""
    old = lab.file("old", "")
    for name in "libone.so.1.5", "libfour.so", "libtwo.so", "app":
        os.rename(app + name, old + name)
    for name, ids in ("libone.so.1.5", "sha1"), ("libfour.so", "none"):
        source = lab.write(b"int other(int n) { return n + 1; } int more[100];\n", "src", "other.c")
        run(*harness.compiler(), "-shared", "-fPIC", f"-Wl,--build-id={ids}", source, "-o", app + name)
    shutil.copy(old + "app", app + "app")
    done, _, members = lab.bundle(core, name="after an upgrade")
    lab.tap.equal([members[inside + n]["status"] for n in ("app", "libone.so.1.5", "libfour.so", "libtwo.so")],
                  ["verified", "mismatched", "mismatched", "missing"],
                  "what was rebuilt is mismatched, with a build-id or without; what was removed is missing")
    lab.tap.check("libtwo.so" in done.err and "libone.so" in done.err, "the summary names them", done)
    _, _, members = lab.bundle(core, "--debug-path", old, name="with --debug-path")
    shutil.copy(app + "libfour.so", app + "app")
    _, _, members = lab.bundle(core, status=harness.MISMATCH, name="another program: status 2")
    lab.tap.equal(members[inside + "app"]["status"], "mismatched", "the program is another one")
    for name in os.listdir(old):
        os.rename(old + name, app + name)


def check_gdb(lab, where, before):
    if not before:
        lab.tap.skip("gdb shows the same", "gdb is not installed")
        return
    after = run(os.path.join(where, "run-gdb.sh"), *GDB, cwd="/").stdout
    wanted = backtraces(before)
    lab.tap.check(len(wanted) == 4 and any("two_crash" in str(t) and "two.c:" in str(t) for t in wanted),
                  "gdb where it crashed: four threads, with lines", before)
    lab.tap.equal(backtraces(after), wanted, "gdb in the bundle shows the same backtrace of each thread", after)
    libraries = re.findall(r"^0x\S+ +0x\S+ +Yes.* (/\S+)$", after, re.M)
    lab.tap.check(len(libraries) >= 6, "with their symbols", after)
    lab.tap.none([p for p in libraries if not p.startswith(where)], "every library out of the bundle")


# ---- cores that are made ----

def check_foreign(lab):
    """Big-endian, 32-bit: the same statuses."""
    for word, order, machine in (8, ">", 21), (4, ">", 20), (4, "<", 3), (8, "<", 183):
        core = usual(word=word, order=order, machine=machine, vdso="e5" * 20)
        name = f"foreign{machine}"
        path = lab.write(core.build(), name)
        app, one = core.objects[0], core.objects[1]
        lab.write(app.data, name + ".root", "bin/app")
        lab.write(one.data, name + ".root", "lib/libone.so.1.2")
        lab.write(image(core.shape, "99" * 20), name + ".root", "lib/ld.so")
        _, where, members = lab.bundle(path, "--root", lab.file(name + ".root"))
        lab.tap.equal([members[n]["status"] for n in ("bin/app", "lib/libone.so.1.2", "lib/ld.so", "opt/libtwo.so")],
                      ["verified", "verified", "mismatched", "missing"], f"machine {machine}: the four statuses")
        with open(os.path.join(where, "vdso.so"), "rb") as f:
            lab.tap.equal(f.read(), image(core.shape, "e5" * 20), f"machine {machine}: the vDSO out of memory")


def check_headless(lab):
    """What the core lacks of the program, its file has."""
    for word, order, machine in (8, "<", 62), (4, ">", 20):
        core = usercoregen.headless(word=word, order=order, machine=machine)
        name = f"headless{machine}"
        path = lab.write(core.build(), name)
        lab.write(core.objects[0].data, name + ".root", "bin/app")
        lab.write(core.objects[1].data, name + ".root", "lib/libone.so.1")
        _, _, members = lab.bundle(path, "--root", lab.file(name + ".root"))
        lab.tap.equal({p: m["status"] for p, m in members.items() if m["kind"] in ("executable", "library", "loader")},
                      {"bin/app": "by-name", "lib/libone.so.1": "verified", "lib/ld.so": "missing",
                       "opt/libtwo.so": "missing"}, f"{name}: the list is found through the program's file")


def check_hostile(lab):
    """Whatever a core says, nothing but programs and libraries below the root goes in."""
    secret = lab.write(b"secret", "secret")
    elf_secret = lab.write(image(usercoregen.Shape(), "f6" * 20), "elfsecret")
    root = lab.file("hostile.root")
    os.makedirs(os.path.join(root, "lib"))
    os.mkfifo(os.path.join(root, "lib/libone.so.1.2"))
    os.symlink(secret, os.path.join(root, "lib/ld.so"))
    os.makedirs(os.path.join(root, "opt/libtwo.so"))
    lab.write(b"secret", "hostile.root", "etc/shadow")
    lab.write(b"no program", "hostile.root", "usr/lib/locale/locale-archive")
    for name, data in usercoregen.hostile().items():
        if name in ("one", "cut-headers"):
            continue
        path = lab.write(data, "h-" + name)
        done, where, members = lab.bundle(path, "--root", root, name=f"{name} is bundled",
                                          status=harness.INCOMPLETE if "cut-" in name else harness.OK)
        lab.tap.none([p for p, m in members.items() if m["status"] not in ("missing", "made")] +
                     done.faults(), f"{name}: nothing of the root")
        if name == "usual":
            notes = members["lib/libone.so.1.2"].get("note", "")
            lab.tap.check("no regular file" in notes, "a FIFO is named", notes)
        if name == "climbing":
            lab.tap.equal(done.err.count("no plain absolute path"), 3, "what climbs is named", done)
        if name == "loop":
            lab.tap.check("list breaks off" in done.err, "a loop is named", done)
    core = Core()
    for path in "/bin/app", "/etc/shadow", "/.." + elf_secret, elf_secret + "/../elfsecret":
        core.program(path, "f6" * 20) if not core.objects else core.library(path, "f6" * 20)
    _, where, members = lab.bundle(lab.write(core.build(), "h-secrets"), "--root", root)
    lab.tap.equal([p for p, m in members.items() if m["kind"] in ("library", "executable") and
                   m["status"] != "missing"], [], "no file that is no program, none outside of the root")
    lab.tap.check(not os.path.exists(os.path.join(where, "etc/shadow")), "etc/shadow is not in")


def check_many(lab):
    """More rows than any process has, and a device."""
    core = usual()
    core.library("/dev/zero", "f6" * 20)
    s, rows = core.shape, 30000
    core.nt_file = (s.words(rows, 4096) + b"".join(s.words(0x10000 + 4096 * i, 0x11000 + 4096 * i, 0)
                                                  for i in range(rows)) +
                    b"".join(b"/none/lib%d.so\0" % i for i in range(rows - 1)) + b"/dev/zero\0")
    done, _, members = lab.bundle(lab.write(core.build(), "h-rows"), name="30000 mapped files are bundled")
    lab.tap.check("the rest is left out" in done.err and done.seconds < 30, "no more than are looked at", done)
    core.nt_file = None
    _, _, members = lab.bundle(lab.write(core.build(), "h-device"))
    lab.tap.check("no regular file" in members["dev/zero"].get("note", ""), "a device is named", members["dev/zero"])


def check_replaced(lab):
    """Files that are replaced, or cut, after they were looked at: the pipe is full when it happens."""
    core = usual()
    path, root = lab.write(core.build(), "replaced"), "replaced.root"
    for o in core.objects[:4]:
        lab.write(o.data + bytes(1 << 20), root, o.path.removesuffix(" (deleted)")[1:])
    one, two = lab.file(root, "lib/libone.so.1.2"), lab.file(root, "opt/libtwo.so")
    with open(one, "rb") as f:
        before = f.read()
    with subprocess.Popen([lab.tool.path, "bundle", "--progress", "none", "--format", "tar", "-o", "-", "--root",
                           lab.file(root), path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as ran:
        head = ran.stdout.read(4096)
        lab.write(b"another", root, "new")
        os.rename(lab.file(root, "new"), one)
        os.truncate(two, 5000)
        data = head + ran.stdout.read()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        files = {m.name.split("/", 1)[1]: tar.extractfile(m).read() for m in tar if m.isreg()}
    members = {m["path"]: m for m in json.loads(files["manifest.json"])["members"]}
    lab.tap.check(files["lib/libone.so.1.2"] == before and members["lib/libone.so.1.2"]["status"] == "verified",
                  "a file that is replaced meanwhile goes in as it was looked at", members["lib/libone.so.1.2"])
    got = members["opt/libtwo.so"]
    lab.tap.check(got["status"] == "mismatched" and "changed while" in got["note"], "one that is cut is said to be", got)
    lab.tap.equal(got["sha256"], hashlib.sha256(files["opt/libtwo.so"]).hexdigest(), "with the digest of what is in")


def check_go(lab):
    """Programs that Go has linked have an id of Go's alone."""
    core = Core()
    core.program("/bin/app", go_id="one/two/three/four" * 4)
    path = lab.write(core.build(), "go")
    for what, status, wanted in ((core.objects[0].data, harness.OK, "verified"),
                                 (image(core.shape, go_id="one/two/three/five" * 4, interp="/lib/ld.so", debug=0),
                                  harness.MISMATCH, "mismatched")):
        lab.write(what, "go.root", "bin/app")
        _, _, members = lab.bundle(path, "--root", lab.file("go.root"), status=status)
        lab.tap.equal(members["bin/app"]["status"], wanted, f"by Go's build-id: {wanted}")


def check_languages(lab):
    """Java and .NET: what their debuggers read beside."""
    core = usual()
    jvm = core.library("/opt/jdk/lib/server/libjvm.so", "11" * 20)
    clr = core.library("/opt/net/libcoreclr.so", "22" * 20)
    core.library("/lib/libc.so.6", "33" * 20)
    same, other = b"MZ" + b"same" * 200, b"MZ" + b"othr" * 200
    core.data("/opt/net/System.Private.CoreLib.dll", same)
    core.data("/opt/net/app.dll", other)
    core.data("/opt/net/gone.dll", other)
    core.data("/opt/net/text.dll", b"text")
    path = lab.write(core.build(), "languages")
    root = "languages.root"
    for o in jvm, clr, core.objects[0]:
        lab.write(o.data, root, o.path[1:])
    lab.write(image(core.shape, "33" * 20), root, "lib/libc.so.6")
    for name in "lib/libthread_db.so.1", "opt/jdk/lib/libsaproc.so", "opt/net/libmscordaccore.so":
        lab.write(image(core.shape, "44" * 20), root, name)
    lab.write(b"archive", root, "opt/jdk/lib/server/classes.jsa")
    lab.write(b"print", root, "usr/share/gdb/auto-load/bin/app-gdb.py")
    lab.write(b"split", root, "bin/app.dwp")
    for name, data in ("System.Private.CoreLib", same), ("app", same), ("text", b"text"):
        lab.write(data.ljust(4096, b"\0"), root, "opt/net", name + ".dll")
    _, _, members = lab.bundle(path, "--root", lab.file(root))
    got = {p: members.get(p, {}).get("status") for p in (
        "lib/libthread_db.so.1", "opt/jdk/lib/libsaproc.so", "opt/jdk/lib/server/classes.jsa",
        "opt/net/libmscordaccore.so", "opt/net/System.Private.CoreLib.dll", "opt/net/app.dll", "opt/net/gone.dll",
        "opt/net/text.dll", "usr/share/gdb/auto-load/bin/app-gdb.py", "bin/app.dwp")}
    lab.tap.equal(list(got.values()), ["by-name"] * 5 + ["mismatched", "missing", None, "by-name", "by-name"],
                  "companions of languages, assemblies compared by their headers", got)
    lab.tap.equal(members.get("bin/app-gdb.py", {}).get("link"), "../usr/share/gdb/auto-load/bin/app-gdb.py",
                  "a script is found beside its program")


def check_alive(lab, app):
    """A library that was deleted, while the process is alive."""
    name = "a deleted library out of the living process"
    if not shutil.which("gdb"):
        lab.tap.skip(name, "gdb is not installed")
        return
    source = lab.write(b"#include <unistd.h>\nint one_wait(int); int main(void) { return one_wait(1); }\n", "src", "w.c")
    run(*harness.compiler(), "-g", source, "-o", app + "waiter", "-Wl,-rpath,$ORIGIN", app + "libone.so.1")
    core = lab.file("core.alive")
    with subprocess.Popen([app + "waiter"]) as process:
        try:
            said = run("gdb", "-nx", "-batch", "-p", str(process.pid), "-ex", f"gcore {core}").stdout
            os.unlink(app + "libone.so.1.5")
            mapped = f"/proc/{process.pid}/map_files"
            if not os.path.exists(core):
                lab.tap.skip(name, f"gdb cannot attach: {said.strip()[-100:]}")
            elif not os.access(os.path.join(mapped, os.listdir(mapped)[0]), os.R_OK):
                lab.tap.skip(name, "map_files cannot be read: root can")
            else:
                _, _, members = lab.bundle(core)
                lab.tap.equal(members[app.lstrip("/") + "libone.so.1.5"]["status"], "verified", name)
        finally:
            process.kill()


def test(tap, tool, folder):
    lab = Lab(tap, tool, folder)
    if tool.run("bundle", "--help").status != harness.OK:
        raise harness.Skip("built without bundles (libarchive, nettle, jansson, elfutils)")
    need("tar")
    for check in (check_foreign, check_headless, check_hostile, check_many, check_replaced, check_go,
                  check_languages):
        check(lab)
    try:
        need("objcopy", "strip")
        check_crash(lab)
        check_alive(lab, lab.file("gone", ""))
    except harness.Skip as why:
        tap.skip("a process that crashed", why)


harness.main(test)
