#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tasks, modules, processes and, in gdb, the stacks of all threads: real dumps of all architectures.

What the guest said of itself judges: ps, /proc/modules, the maps of two processes and where each page
of their patterns lies. Stacks are judged by drgn where it knows the architecture, and by what a stack
of the kernel looks like: it begins where tasks are switched and ends where the kernel is entered.

Environment: DUMPTOOL_CORPUS; DUMPTOOL_DEBUG, a folder with vmlinux-RELEASE or vmlinux-FOLDER (arm64) for
each dump, without which those dumps alone are looked at that carry BTF, and no stacks; GDB_MULTIARCH,
DRGN; ARCHS: only these."""
import glob
import json
import os
import re
import shlex
import shutil
import struct
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import coreread
import harness
import test_archs

SECONDS = 120
IDLE = 0x400000  # ids of threads from here on are made up
FRAMES = 3

# e_machine, wide: program counter and stack pointer in NT_PRSTATUS; whose bits are addresses.
PLACES = {(3, False): (120, 132), (3, True): (120, 132), (8, True): (384, 344), (21, True): (368, 120),
          (22, True): (120, 248), (40, False): (132, 124), (183, True): (368, 360), (243, True): (112, 128),
          (258, True): (376, 136)}
# Functions that end a stack, or that a task waits in which never ran.
ENTRIES = re.compile(r"ret_from|entry|system_call|handle_sys|handle_syscall|el0t?_|startup|start_kernel|"
                     r"start_secondary|secondary_start|smp_bootstrap|restart_int|rest_init|ret_fast_syscall|"
                     r"__primary_switched|__idmap_text_end|start_here_common|do_trap|invoke_syscall|syscall")
# What drgn 0.3 does not know.
NO_UNWINDER = {"riscv64": "drgn does not unwind RISC-V", "mips64el": "drgn does not know MIPS",
               "i386-pae": "drgn does not unwind i386", "loong64": "drgn does not know LoongArch"}

GDB_STACKS = r"""
import gdb, json, os
found = {}
for thread in gdb.selected_inferior().threads():
    thread.switch()
    pcs, names, frame = [], [], gdb.newest_frame()
    try:
        while frame is not None and len(names) < 40:
            if frame.type() != gdb.INLINE_FRAME:
                pcs.append(frame.pc())
            names.append(frame.name() or "?")
            frame = frame.older()
    except gdb.error as e:
        pass  # the outermost one has no caller: "PC not saved"
    found[thread.ptid[1]] = (pcs, names)
with open(os.environ["STACKS"], "w") as f:
    json.dump(found, f)
"""
DRGN_STACKS = r"""
import json, os
from drgn.helpers.linux.pid import for_each_task
found = {}
for task in for_each_task(prog):
    try:
        pcs = [f.pc for f in prog.stack_trace(task) if not f.is_inline][:8]
    except Exception as e:
        pcs = [repr(e)]
    found[task.pid.value_()] = pcs
with open(os.environ["STACKS"], "w") as f:
    json.dump(found, f)
"""
VARIABLES = ("output init_uts_ns.name.release", "output jiffies_64 > 1000",
             "output ((struct rq *)((char *)&runqueues + __per_cpu_offset[0]))->idle->comm",
             "output ((struct rq *)((char *)&runqueues + __per_cpu_offset[0]))->cpu")


class Dump:
    """One row of test_archs.DUMPS, with its vmlinux and the options that it needs."""

    def __init__(self, root, folder, file, said, options):
        self.folder, self.name = folder, f"{folder} {file.split('@')[0]}"
        self.path = os.path.join(root, folder, file)
        self.said = os.path.join(root, folder, said)
        self.options = list(options)
        info = os.path.join(root, folder, "vmcoreinfo.txt")
        if folder == "armhf-lpae":
            self.options += ["--vmcoreinfo", info]
        with open(info, encoding="ascii", errors="replace") as f:
            self.release = re.search(r"OSRELEASE=(\S+)", f.read())[1]
        self.vmlinux = self.find_vmlinux()
        if self.vmlinux:
            self.options += ["--vmlinux", self.vmlinux]
        with open(os.path.join(root, folder, "truth-patterns.tsv"), encoding="ascii") as f:
            pairs = (line.split() for line in f)
            self.patterns = {} if said == "kdump-info" else {int(a, 16): t for a, t in pairs}

    def find_vmlinux(self):
        folder = os.environ.get("DUMPTOOL_DEBUG")
        for name in (f"vmlinux-{self.release}", f"vmlinux-{self.folder}"):
            if folder and os.path.exists(os.path.join(folder, name)):
                return os.path.join(folder, name)
        return None

    def lines(self, name):
        return test_archs.lines(os.path.join(self.said, name))


def told(tool, dump, what):
    run = tool.run("inspect", "--" + what, "--json", *dump.options, dump.path, seconds=60)
    try:
        return run, json.loads(run.out)[what]
    except (ValueError, KeyError):
        return run, []


def command(said):
    """The name of a task by what ps calls it: [kthreadd], {init} /bin/busybox sh /init, secret anon."""
    if said[0] in "[{":
        return said[1:].split("]" if said[0] == "[" else "}")[0]
    return os.path.basename(said.split(" ")[0])


def said_tasks(dump):
    """{pid: command} by ps, which is no task any more."""
    found = {}
    for line in dump.lines("ps"):
        m = re.match(r" *(\d+) \d+ +(.*)", line)
        if m and command(m[2]) != "ps":
            found[int(m[1])] = m[2]
    return found


def check_tasks(tap, dump, run, tasks):
    """All that ps had seen; kernel workers come and go, and processes of the script."""
    got, wanted = {t["pid"]: t["name"] for t in tasks if t["pid"]}, said_tasks(dump)
    lost = [f"{pid} {said}" for pid, said in wanted.items() if pid not in got and "worker" not in said]
    other = []
    for pid in set(got) & set(wanted):
        if "worker" not in wanted[pid] and command(wanted[pid])[:15] != got[pid][:15]:
            other.append(f"{pid}: {got[pid]}, ps said {wanted[pid]}")
    more = [f"{pid} {name}" for pid, name in got.items()
            if pid not in wanted and pid <= max(wanted) and "worker" not in name]
    tap.none(lost + other + more, f"{dump.name}: {len(got)} tasks, those of ps", run)
    tap.equal(len(set(t["pid"] for t in tasks if t["pid"])), len([t for t in tasks if t["pid"]]),
              f"{dump.name}: each once")


def check_modules(tap, dump, run, modules):
    if dump.name == test_archs.NO_MODULES:
        return tap.check(run.status == harness.DAMAGED and run.err, f"{dump.name}: modules are not in it", run)
    wanted = {}
    for line in dump.lines("modules"):
        words = line.split()
        if len(words) >= 6:
            wanted[words[0]] = (int(words[1]), int(words[5], 16))
    got = {m["name"]: (m["size"], min(int(x["address"], 0) for x in m["memory"])) for m in modules}
    return tap.equal(got, wanted, f"{dump.name}: {len(wanted)} modules, size and address", run)


# ---- processes ----

def said_maps(dump):
    """{pid: [(start, end, name)]}."""
    found, maps = {}, []
    for line in dump.lines("secret_maps"):
        line = line.replace("\0", " ")
        m = re.match(r"== /proc/(\d+)", line)
        if m:
            maps = found[int(m[1])] = []
        m = re.search(r"([0-9a-f]+)-([0-9a-f]+) [-rwxsp]{4} \S+ \S+ \d+ *(\S*)", line)
        if m:
            maps.append((int(m[1], 16), int(m[2], 16), m[3]))
    return found


def name_at(maps, address):
    return next((name for start, end, name in maps if start <= address < end), None)


def check_process(tap, tool, dump, pid, maps, out):
    """Its memory by the addresses that it has there, and where it left user mode."""
    run = tool.run("tovelf", "-f", *dump.options, "--pid", str(pid), "-o", out, dump.path, seconds=SECONDS)
    if not tap.check(run.status in (harness.OK, harness.DAMAGED), f"{dump.name}: process {pid}", run):
        return None
    made, kinds, wrong = coreread.Core(out), {}, []
    for load in made.loads:
        for at in range(0, load.size, 4096):
            text = dump.patterns.get(load.paddr + at)
            if not text:
                continue
            kinds[text[:10]] = kinds.get(text[:10], 0) + 1
            if made.read(load.vaddr + at, len(text)) != text.encode() or \
                    name_at(maps, load.vaddr + at) is None:
                wrong.append(f"{load.vaddr + at:#x}: {text} is not there")
    tap.none(wrong, f"{dump.name}: process {pid}: patterns where they are mapped", run)
    pc_at, sp_at = PLACES[made.machine, made.wide]
    (_, desc), = made.threads()
    pc, = made_word(made, desc, pc_at)
    sp, = made_word(made, desc, sp_at)
    tap.check(name_at(maps, pc) in ("/bin/secret", "[vdso]") and name_at(maps, sp) == "[stack]",
              f"{dump.name}: process {pid}: it is in its program, and its stack", f"{pc:#x} {sp:#x}", run)
    return kinds


def made_word(made, desc, at):
    return struct.unpack_from(made.order + ("Q" if made.wide and made.machine != 3 else "I"), desc, at)


def check_processes(tap, tool, dump, out):
    seen = {}
    if dump.name == test_archs.NO_MODULES:
        return tap.skip(f"{dump.name}: processes", "tables are not in it")
    for pid, maps in said_maps(dump).items():
        for kind, nr in (check_process(tap, tool, dump, pid, maps, out) or {}).items():
            seen[kind] = seen.get(kind, 0) + nr
    if dump.patterns:
        wanted = {}
        for text in dump.patterns.values():
            if text.startswith(("USERSECRET", "HUGESECRET")):
                wanted[text[:10]] = wanted.get(text[:10], 0) + 1
        tap.equal(seen, wanted, f"{dump.name}: all pages of their patterns")
    return None


# ---- stacks ----

def run_gdb(line, folder):
    """By the command line that was printed: what gdb says of variables, and {LWP: (pcs, names)}."""
    path = os.environ.get("GDB_MULTIARCH") or shutil.which("gdb-multiarch")
    if not path:
        raise harness.Skip("there is no gdb-multiarch")
    script, stacks = os.path.join(folder, "stacks.py"), os.path.join(folder, "stacks.json")
    with open(script, "w", encoding="ascii") as f:
        f.write(GDB_STACKS)
    commands = []
    for variable in VARIABLES:
        commands += [variable, r"echo \n"]
    commands += ["list start_kernel,+1", "info line start_kernel", f"source {script}"]
    args = [x for c in commands for x in ("-ex", c)]
    printed = shlex.split(line.partition("open it with: ")[2])[1:]
    run = subprocess.run([path, "-nx", "-batch", "-iex", "set auto-load off", *printed, *args],
                         capture_output=True, timeout=900, check=False, stdin=subprocess.DEVNULL,
                         env=dict(os.environ, STACKS=stacks))
    text = run.stdout.decode(errors="replace")
    if not os.path.exists(stacks):
        return text + run.stderr.decode(errors="replace"), {}
    with open(stacks, encoding="ascii") as f:
        found = {int(k): v for k, v in json.load(f).items()}
    os.unlink(stacks)
    return text, found


def looks_right(names):
    """Does a stack begin where tasks are switched, and end where the kernel is entered?"""
    if ENTRIES.match(names[0]):  # it never ran
        return True
    return any(n in ("__switch_to", "context_switch", "__schedule") for n in names[:2]) and \
        any(ENTRIES.search(n) for n in names[2:])


def check_stacks(tap, dump, found, tasks):
    sleeping = {t["pid"] for t in tasks if t["pid"] and not t["running"] and t["state"] not in "ZX"}
    short = [f"{pid}: {found[pid][1]}" for pid in sleeping & set(found) if len(found[pid][0]) < FRAMES]
    odd = [f"{pid}: {found[pid][1]}" for pid in sleeping & set(found) if not looks_right(found[pid][1])]
    tap.none(short + odd, f"{dump.name}: {len(sleeping)} stacks go from the scheduler to an entry")
    if dump.folder != "mips64el" and "kdump" not in dump.name:  # raw: no registers; kdump: it died
        cpus = [names for pid, (pcs, names) in found.items() if pid >= IDLE]
        odd = [str(names) for names in cpus if not any("idle" in n for n in names)]
        tap.none(odd if cpus else ["none"], f"{dump.name}: {len(cpus)} CPUs are idle")


def check_against_drgn(tap, tool, dump, found, running, folder):
    """The same addresses of the innermost frames, by drgn on the same dump."""
    drgn = os.environ.get("DRGN") or shutil.which("drgn")
    why = NO_UNWINDER.get(dump.folder) or (None if drgn else "there is no drgn")
    if why:
        return tap.skip(f"{dump.name}: stacks as drgn has them", why)
    core, script = os.path.join(folder, "physical"), os.path.join(folder, "drgn.py")
    stacks = os.path.join(folder, "drgn.json")
    tool.run("topelf", "--for", "drgn", "-f", "-l", "all", *dump.options, "-o", core, dump.path, seconds=SECONDS)
    with open(script, "w", encoding="ascii") as f:
        f.write(DRGN_STACKS)
    run = subprocess.run([drgn, "-q", "-c", core, "--no-default-symbols", "-s", dump.vmlinux, script],
                         capture_output=True, timeout=600, check=False, stdin=subprocess.DEVNULL,
                         env=dict(os.environ, STACKS=stacks))
    os.unlink(core)
    if not os.path.exists(stacks):
        return tap.check(False, f"{dump.name}: drgn", run.stderr.decode(errors="replace"))
    with open(stacks, encoding="ascii") as f:
        theirs = {int(k): v for k, v in json.load(f).items()}
    os.unlink(stacks)
    ours = {pid: pcs for pid, (pcs, _) in found.items() if pid < IDLE}
    tap.equal(sorted(ours), sorted(theirs), f"{dump.name}: the tasks are drgn's")
    for pid in running:  # what died: drgn begins elsewhere
        ours.pop(pid, None)
    wrong = [f"{pid}: {[hex(x) for x in pcs[:FRAMES]]}, drgn {theirs.get(pid)}" for pid, pcs in ours.items()
             if pcs[:FRAMES] != theirs.get(pid, [])[:FRAMES]]
    return tap.none(wrong, f"{dump.name}: {len(ours)} stacks, {FRAMES} frames each, are drgn's")


def check_gdb(tap, tool, dump, tasks, folder):
    out = os.path.join(folder, "core")
    run = tool.run("tovelf", "-f", *dump.options, "-o", out, dump.path, seconds=SECONDS)
    line = next((x for x in run.lines() if "open it with" in x), "")
    text, found = run_gdb(line, folder)
    if dump.folder == "loong64" and len(found) < 2:
        return tap.skip(f"{dump.name}: stacks", "this gdb reads no registers of LoongArch's cores")
    if len(found) < len(tasks):
        return tap.check(False, f"{dump.name}: gdb has {len(found)} of {len(tasks)} threads", text[-2000:])
    tap.equal(len(found), len(tasks), f"{dump.name}: gdb has a thread for each task")
    wanted = [f'"{dump.release}"', "\n1\n", '"swapper/0', "\n0\n"]
    if dump.name == test_archs.NO_MODULES:
        del wanted[2:]
    tap.none([w for w in wanted if w not in text], f"{dump.name}: variables, one of a CPU", text[-2000:])
    tap.check(re.search(r"Line \d+ of \"init/main.c\"", text), f"{dump.name}: a line of source", text[-1000:])
    if dump.name == test_archs.NO_MODULES:
        return tap.skip(f"{dump.name}: stacks", "tables are not in it")
    check_stacks(tap, dump, found, tasks)
    return check_against_drgn(tap, tool, dump, found, {t["pid"] for t in tasks if t["running"]}, folder)


def check_dump(tap, tool, dump, folder):
    run, tasks = told(tool, dump, "tasks")
    if not tasks and not dump.vmlinux:
        return tap.skip(dump.name, f"it has no BTF, and DUMPTOOL_DEBUG no vmlinux-{dump.release}")
    check_tasks(tap, dump, run, tasks)
    check_modules(tap, dump, *told(tool, dump, "modules"))
    check_processes(tap, tool, dump, os.path.join(folder, "process"))
    if not dump.vmlinux:
        return tap.skip(f"{dump.name}: stacks in gdb", f"DUMPTOOL_DEBUG has no vmlinux-{dump.release}")
    return check_gdb(tap, tool, dump, tasks, folder)


def test(tap, tool, folder):
    corpus = os.environ.get("DUMPTOOL_CORPUS")
    if not corpus:
        raise harness.Skip("DUMPTOOL_CORPUS is unset: no real dumps")
    only = os.environ.get("ARCHS", "").split()
    rows = [row for row in test_archs.DUMPS if not only or row[0] in only]
    rows = [row for row in rows if glob.glob(os.path.join(corpus, row[0], row[1].split("@")[0]))]
    if not rows:
        raise harness.Skip(f"{corpus} holds no dump of another architecture")
    for row in rows:
        check_dump(tap, tool, Dump(corpus, *row), folder)


if __name__ == "__main__":
    harness.main(test)
