#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What tovelf writes of real dumps, opened in gdb by the command line that it prints: dmesg, ps, lsmod, modsyms,
per-CPU variables, names of threads, source lines, stacks; by what the guests and the program itself say.

Environment: DUMPTOOL_CORPUS. DUMPTOOL_VMLINUX: a vmlinux of the dump of x86-64; DUMPTOOL_DEBUG: a folder with
vmlinux-RELEASE of any dump, and what belongs in /usr/lib/debug (lib/modules, .build-id) for modsyms. GDB: another one.
Without a vmlinux the rest is looked at. ARCHS: only these."""
import collections
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import coreread
import harness
import test_archs
import test_tovelf

SECONDS = 240
# Sections of modules that have symbols of their own in the guest's list and that gdb does not get.
NOT_LOADED = re.compile(r"^(__|init_|exit_|cleanup_module|\.L)")


def find_vmlinux(row, release):
    """Of that kernel, or None."""
    named = os.environ.get("DUMPTOOL_VMLINUX")
    if named and row[0].startswith("x86_64"):
        return named
    for folder in (os.environ.get("DUMPTOOL_DEBUG", ""), "/usr/lib/debug/boot"):
        path = os.path.join(folder, "vmlinux-" + release)
        if folder and os.path.exists(path):
            return path
    return None


class Session:
    """gdb by the printed command line, which answers commands between marks."""

    def __init__(self, line, folder, path):
        self.words, self.folder = shlex.split(line), folder
        self.words[0] = os.environ.get("GDB") or path

    def ask(self, *commands):
        """What each of COMMANDS prints, errors too."""
        script = os.path.join(self.folder, "commands.py")
        with open(script, "w", encoding="utf-8") as f:
            f.write("import gdb\nfor c in " + repr(list(commands)) + ":\n"
                    "    gdb.write('=-=\\n')\n"
                    "    try:\n        gdb.write(gdb.execute(c, to_string=True))\n"
                    "    except gdb.error as e:\n        gdb.write(f'error: {e}\\n')\n")
        command = [self.words[0], "-nx", "-batch", "-iex", "set width 0", "-iex", "set auto-load off", *self.words[1:],
                   "-x", script]
        run = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL,
                             env={**os.environ, "HOME": self.folder})
        self.err = run.stderr.decode(errors="replace")
        self.head, *answers = run.stdout.decode(errors="replace").split("=-=\n")
        return answers + [""] * (len(commands) - len(answers))


def check_plain(tap, tool, name, answers, dump, options, made):
    """What needs no vmlinux."""
    threads, ps, lsmod, dmesg = answers
    listed = {int(m[1]): m[2] for m in re.finditer(r'LWP (\d+) "(.*?)" ', threads)}
    named = {int(x[0]): x[6] for x in made.tasks() if x[6]}
    tap.equal(listed, named, f"{name}: info threads has {len(named)} names", threads[-300:])
    rows = [line.split(None, 7) for line in ps.replace(">", " ").splitlines()[1:]]
    tap.equal([(r[0], r[2], r[3], r[4], int(r[5], 16), r[6]) for r in (x[:6] + [" ".join(x[6:])] for x in rows) if r[6]],
              [(x[1], x[2], x[3] if x[3] != "-1" else "?", x[4][0], int(x[5], 16), x[6]) for x in made.tasks() if x[6]],
              f"{name}: ps")
    wanted = tool.run("inspect", "--modules", "--json", *options, dump, seconds=60)
    modules = json.loads(wanted.out)["modules"] if wanted.status == 0 and wanted.out else None
    if modules is None:
        tap.check(re.search("not known|warning", lsmod), f"{name}: lsmod says that modules are not known", lsmod)
    else:
        tap.equal([(int(r[0], 16), int(r[1]), r[3]) for r in map(str.split, lsmod.splitlines()[1:])],
                  [(int(m["memory"][0]["address"], 16), m["size"], m["name"]) for m in modules], f"{name}: lsmod")
    log = tool.run("dmesg", *options, dump, seconds=60).out.decode()
    tap.check(dmesg == log, f"{name}: dmesg is that of the program, {log.count(chr(10))} lines",
              *[a for a, b in zip(dmesg.splitlines(), log.splitlines()) if a != b][:5])


SYMBOLS = ["output init_uts_ns.name.release", "output jiffies_64 > 4294000000", "percpu runqueues.cpu",
           "output $percpu(runqueues, 0).cpu", "output $percpu(\"runqueues\", $cpus - 1).cpu", "list start_kernel", "ps 2",
           "output $current(0)->on_cpu", "output/d $task(2)->comm[0]", "thread apply all bt 8"]


def check_symbols(tap, name, release, cpus, answers, *notes):
    uts, jiffies, percpu, first, last, source, ps, current, task, stacks = answers
    tap.check(f'"{release}"' in uts and jiffies == "1", f"{name}: init_uts_ns, jiffies_64", uts, jiffies, *notes)
    if name == test_archs.NO_MODULES:
        tap.skip(f"{name}: per-CPU variables", "they lie in reserved memory, which is not in the dump")
    else:
        tap.equal(percpu, "".join(f"CPU {i}: {i}\n" for i in range(cpus)), f"{name}: percpu of {cpus} CPUs")
        tap.equal((first, last), ("0", str(cpus - 1)), f"{name}: $percpu() of a variable and of its name")
    tap.check(re.search(r"init/main\.c", source), f"{name}: list start_kernel finds its line", source)
    tap.check(re.search(r"^ +2 +0 +2 .*kthreadd$", ps, re.M), f"{name}: ps knows the parent", ps)
    tap.equal((current, task), ("1", str(ord("k"))), f"{name}: $current() and $task()")
    threads = re.split(r"\nThread \d+ ", "\n" + stacks)[1:]
    asleep = [t for t in threads if "__schedule" in t]
    tap.check(len(asleep) >= 20, f"{name}: {len(asleep)} stacks of tasks that sleep", stacks[:500])
    # A dump may lack stacks (riscv64's vmcore), which is not gdb's fault.
    tap.none([t[:300] for t in asleep if not re.search(r"#3 |Cannot access memory", t)], f"{name}: none of them breaks off")


def check_moved(tap, name, session, vmlinux, script, offset):
    """The same symbols by gdb's own command, which moves per-CPU symbols too."""
    plain = Session("gdb", session.folder, session.words[0])
    plain.words += ["-c", session.words[session.words.index("-c") + 1], "-x", script,
                    "-ex", f"symbol-file -o {offset} {vmlinux}"]
    answers = plain.ask("percpu runqueues.cpu", "output $percpu(runqueues, 1).cpu", "output $percpu(runqueues.curr, 1)->on_cpu")
    tap.equal(answers, ["CPU 0: 0\nCPU 1: 1\n", "1", "1"], f"{name}: symbol-file -o, per-CPU variables", plain.err[-300:])


def debug_folder(release):
    """Where files of modules of that kernel are, or None."""
    folders = (os.environ.get("DUMPTOOL_DEBUG", ""), "/usr/lib/debug")
    return next((d for d in folders if d and os.path.isdir(os.path.join(d, "lib/modules", release))), None)


def module_symbols(said, salt):
    """Some hundred of (address, name) by the guest's list."""
    wanted = [(a, n) for a, n, of in test_tovelf.symbols(said) if of and not NOT_LOADED.match(n)]
    names = collections.Counter(n for _, n in wanted)
    some = [(a, n) for a, n in wanted if names[n] == 1]
    return harness.sample(some, max(1, len(some) // 100), salt)


def check_modsyms(tap, name, some, answers, *notes):
    """Functions and variables of modules are where the guest had them."""
    tap.check(re.match(r"symbols of (\d+) of \1 modules\n$", answers[0]), f"{name}: modsyms", answers[0], *notes)
    wrong = [f"{n} at {a:#x}: {x}" for (a, n), x in zip(some, answers[1:])
             if not re.match(rf"{re.escape(n.split('.')[0])}(\W.*)? in section ", x)]
    # Aliases and constants that several names share stand under one of them.
    tap.check(some and len(wrong) * 20 <= len(some), f"{name}: {len(some)} symbols of modules", *wrong[:10])


# What stands in memory that is mapped page by page, wherever the architecture maps it: a BPF program that every
# kernel with a network has, by a pointer; virtio_blk's queue; crc7's table; and the lines of both modules.
MAPPED = {None: [("output ptp_insns->pages", r"1$"), ("percpu runqueues.curr->on_cpu", r"(CPU \d+: 1\n)+$")],
          "virtio_blk": [("output virtblk_wq->name", r'"virtio-blk"'), ("output virtio_blk.driver.name", r'.*"virtio_blk"'),
                         ("info line virtio_queue_rq", r'Line \d+ of ".*drivers/block/virtio_blk\.c"')],
          "crc7": [("output/x crc7_be_syndrome_table[1]", r"0x12$"),
                   ("info line crc7_be", r'Line \d+ of ".*lib/(crc/)?crc7\.c"')]}


def mapped_of(said, debug):
    """The rows of MAPPED that can be asked."""
    loaded = {of for _, _, of in test_tovelf.symbols(said)} if debug else set()
    return [row for module, rows in MAPPED.items() if module is None or module in loaded for row in rows]


def check_mapped(tap, name, rows, answers):
    wrong = [f"{ask}: {answer}" for (ask, wanted), answer in zip(rows, answers) if not re.match(wanted, answer)]
    tap.none(wrong, f"{name}: {len(rows)} variables and lines of what is mapped, {rows[-1][0]}")


def check_with_vmlinux(tap, name, session, vmlinux, row, said, made):
    release = re.search(r"OSRELEASE=(\S+)", next(d for n, _, d in made.notes if n == "VMCOREINFO").decode())[1]
    cpus, whole = 1 + max(int(x[3]) for x in made.tasks() if int(x[0]) >= 0x400000), name != test_archs.NO_MODULES
    debug = debug_folder(release) if whole else None
    some = module_symbols(said, name) if debug else []
    modules = [f"set debug-file-directory {debug}", "modsyms"] + [f"info symbol {a:#x}" for a, _ in some]
    mapped = [row for row in mapped_of(said, debug) if whole or not row[0].startswith("percpu")]
    answers = session.ask(f"set $cpus = {cpus}", *SYMBOLS, *(modules if debug else ()), *(ask for ask, _ in mapped))
    check_symbols(tap, name, release, cpus, answers[1:1 + len(SYMBOLS)], session.head, session.err)
    check_mapped(tap, name, mapped, answers[-len(mapped):])
    if debug:
        check_modsyms(tap, name, some, answers[2 + len(SYMBOLS):-len(mapped)], session.err[-300:])
    else:
        tap.skip(f"{name}: modsyms", f"needs debug files of modules of {release}: DUMPTOOL_DEBUG" if whole else
                 "the tables that map them are not in the dump")
    offset = re.search(r"symbols of the kernel, (0x[0-9a-f]+) above", session.head)
    if row[0].startswith("x86_64") and offset:
        check_moved(tap, name, session, vmlinux, session.words[session.words.index("-x") + 1], offset[1])


def check_dump(tap, tool, root, folder, row):
    name, dump = f"{row[0]} {os.path.basename(row[1])}", os.path.join(root, row[0], row[1])
    out, options = os.path.join(folder, "core"), list(row[3])
    if row[0] == "armhf-lpae":
        options += ["--vmcoreinfo", os.path.join(root, row[0], "vmcoreinfo.txt")]
    info = tool.run("inspect", "--quick", "--json", *options, dump, seconds=60)
    release = re.search(r'"release": *"([^"]+)"', info.out.decode())
    vmlinux = find_vmlinux(row, release[1] if release else "")
    run = tool.run("tovelf", "-f", *options, *(["--vmlinux", vmlinux] if vmlinux else []), "-o", out, dump, seconds=120)
    lines = [x for x in run.lines() if x.startswith("open it with: ")]
    if not tap.check(run.status in (harness.OK, harness.DAMAGED) and lines, f"{name}: tovelf prints what opens it", run):
        return
    session, made = Session(lines[0].partition(": ")[2], folder, test_tovelf.gdb_of(row[0])), coreread.Core(out)
    if len(made.tasks()) < 20:
        return tap.skip(f"{name}: in gdb", "its tasks are not known without a vmlinux")
    more = ["--vmlinux", vmlinux] if vmlinux else []
    check_plain(tap, tool, name, session.ask("info threads", "ps", "lsmod", "dmesg"), dump, options + more, made)
    if not vmlinux:
        return tap.skip(f"{name}: variables, stacks, modules", f"no vmlinux of {release and release[1]}: DUMPTOOL_VMLINUX")
    return check_with_vmlinux(tap, name, session, vmlinux, row, os.path.join(root, row[0], row[2]), made)


def test(tap, tool, folder):
    corpus = os.environ.get("DUMPTOOL_CORPUS")
    if not corpus:
        raise harness.Skip("DUMPTOOL_CORPUS is unset: no real dumps")
    if not shutil.which("gdb"):
        raise harness.Skip("gdb is not installed")
    only = os.environ.get("ARCHS", "").split()
    for row in [test_tovelf.DUMPS[-2]] + test_tovelf.DUMPS[:-2]:
        if os.path.isdir(os.path.join(corpus, row[0])) and (not only or row[0] in only):
            try:
                check_dump(tap, tool, corpus, folder, row)
            except harness.Skip as why:
                tap.skip(f"{row[0]}: in gdb", why)


if __name__ == "__main__":
    harness.main(test)
