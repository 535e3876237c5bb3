#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""gdb opens what tovelf writes of real dumps: memory, threads and, with a vmlinux, variables and stacks.

Environment: DUMPTOOL_CORPUS; a folder of it is tried when it is there. ARCHS: only these. DUMPTOOL_DEBUG:
a folder with vmlinux-RELEASE; else /usr/lib/debug/boot. What the guest said of itself judges."""
import bisect
import json
import os
import random
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

DUMPS = [d for d in test_archs.DUMPS if d[0] != "loong64"] + [
    ("x86_64-6.1", "kdump/proc-vmcore.elf", "truth/guest/before-crash", ()),
    ("x86_64-6.1", "qemu/elf.elf", "truth/guest/before-qdump", ())]
NO_GDB = {"loong64": "gdb 13 knows no LoongArch core"}
SECONDS = 180


def gdb_of(folder):
    native = folder.startswith("x86_64") and shutil.which("gdb")
    found = native or shutil.which("gdb-multiarch")
    if not found:
        raise harness.Skip("there is neither gdb nor gdb-multiarch")
    return found


def gdb(path, core, commands, script):
    with open(script, "w", encoding="ascii") as f:
        f.write("set pagination off\nset confirm off\nset width 0\n" + "\n".join(commands) + "\n")
    run = subprocess.run([path, "-nx", "-batch", "-iex", "set auto-load off", "-c", core, "-x", script],
                         capture_output=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL)
    return run.stdout.decode(errors="replace"), run.stderr.decode(errors="replace")


class Physical:
    """Memory of the source by physical address: of an ELF core, or a raw image."""

    def __init__(self, path):
        self.raw = None
        if "@" in path:
            with open(path.split("@")[0], "rb") as f:
                self.raw = f.read()
        else:
            self.core = coreread.Core(path)

    def read(self, paddr, size):
        if self.raw is not None:
            return self.raw[paddr:paddr + size]
        for load in self.core.loads:
            if load.paddr <= paddr and paddr + size <= load.paddr + load.size:
                at = load.off + paddr - load.paddr
                return self.core.data[at:at + size]
        return None


def read_back(text):
    """{address: bytes} of gdb's answers to x/16xb."""
    found = {}
    for line in text.split("\n"):
        m = re.match(r"0x([0-9a-f]+)(?: <[^>]*>)?:((?:\s+0x[0-9a-f]{2})+)$", line)
        if m:
            found[int(m[1], 16)] = bytes(int(x, 16) for x in m[2].split())
    return found


def check_memory(tap, name, path, out, source, folder, said):
    """What gdb reads in all kinds of segments is what the dump has there; symbols are where the guest said."""
    made, rng = coreread.Core(out), random.Random(name)
    some = made.loads if len(made.loads) <= 300 else rng.sample(made.loads, 300)
    asked = {}
    for load in some:
        at = rng.randrange(0, load.size // 16) * 16
        asked[load.vaddr + at] = source.read(load.paddr + at, 16)
    modules = [(a, of) for a, n, of in symbols(said) if of and n == "__this_module"]
    if name == test_archs.NO_MODULES:
        modules = []
    banner = [a for a, n, of in symbols(said) if n == "linux_banner" and not of]
    commands = [f"x/16xb {a:#x}" for a in asked]
    commands += [f"x/s {a:#x}" for a in banner] + [f"x/128xb {a:#x}" for a, _ in modules]
    text, err = gdb(path, out, commands, os.path.join(folder, "script"))
    found = read_back(text)
    wrong = [f"{a:#x}: {b and b.hex()}, gdb {(found.get(a, b'') + found.get(a + 8, b'')).hex()}"
             for a, b in asked.items() if found.get(a, b"") + found.get(a + 8, b"") != b]
    tap.none(wrong[:5], f"{name}: gdb reads {len(asked)} places in {len(made.loads)} segments", err[-500:])
    tap.check(not banner or '"Linux version ' in text, f"{name}: the banner is where the guest has it",
              text[-500:])
    lost = [n for a, n in modules
            if n.encode() not in b"".join(found.get(a + i, b"") for i in range(0, 128, 8))]
    tap.none(lost, f"{name}: {len(modules)} modules are where the guest has them")
    return made


def symbols(said):
    """(address, name, module or None), sorted."""
    found = []
    for line in test_archs.lines(os.path.join(said, "kallsyms")):
        words = line.split()
        if len(words) >= 3:
            found.append((int(words[0], 16), words[2], words[3].strip("[]") if len(words) > 3 else None))
    return sorted(found, key=lambda x: x[0])


def threads_of(text):
    """{LWP: program counter} by info threads; None for a running one that is in a function gdb names."""
    found = {}
    for line in text.split("\n"):
        m = re.match(r"[* ] +\d+ +.*?LWP (\d+)\)? +(?:0x([0-9a-f]+))?", line)
        if m:
            found[int(m[1])] = int(m[2], 16) if m[2] else None
    return found


def check_threads(tap, tool, name, path, out, made, folder, dump, said, options):
    text, err = gdb(path, out, ["info threads"], os.path.join(folder, "script"))
    got, ids = threads_of(text), [pid for pid, _ in made.threads()]
    tap.equal(len(set(ids)), len(ids), f"{name}: {len(ids)} threads, no two of one id")
    if len(ids) > 1 or got:
        tap.equal(sorted(got), sorted(ids), f"{name}: gdb lists all of them", text[-500:], err[-500:])
    run = tool.run("inspect", "--tasks", "--json", *options, dump, seconds=60)
    tasks = json.loads(run.out)["tasks"] if run.out else []
    if run.status or not tasks:
        return tap.skip(f"{name}: tasks", "the dump does not tell its types")
    named = {int(x[0]): x[6] for x in made.tasks()}
    wanted = {t["pid"]: t["name"] for t in tasks if t["pid"]}
    tap.equal({i: n for i, n in named.items() if i < 0x400000}, wanted, f"{name}: a thread for each task")
    tap.equal(sum(i >= 0x400000 for i in named), sum(not t["pid"] for t in tasks), f"{name}: idle tasks")
    table = [s for s in symbols(said) if s[2] is None]
    starts = [s[0] for s in table]
    bad = []
    for t in tasks:
        pc = got.get(t["pid"])
        if t["running"] or not t["pid"] or t["state"] in "ZX" or pc is None:
            continue
        at = bisect.bisect(starts, pc) - 1
        function = {s[1] for s in table if s[0] == table[at][0]} if at >= 0 else {"?"}
        if not function & {"__schedule", "__sched_text_start", "ret_from_fork", "__switch_to",
                           "ret_from_fork_kernel_asm", "ret_from_fork_asm"}:
            bad.append(f"{t['pid']} {t['name']}: {pc:#x}, in {function}")
    return tap.none(bad, f"{name}: those that sleep are in the scheduler")


def find_vmlinux(made):
    info = next(d.decode(errors="replace") for n, _, d in made.notes if n == "VMCOREINFO")
    release = re.search(r"OSRELEASE=(\S+)", info)[1]
    for folder in (os.environ.get("DUMPTOOL_DEBUG", ""), "/usr/lib/debug/boot", "/boot"):
        path = os.path.join(folder, f"vmlinux-{release}")
        if folder and os.path.exists(path):
            return path, release
    return None, release


def check_variables(tap, name, path, out, made, run, folder):
    """With the command line that was printed: variables, per-CPU ones, stacks of all that sleep."""
    vmlinux, release = find_vmlinux(made)
    if not vmlinux or len(made.tasks()) < 20:
        return tap.skip(f"{name}: variables and stacks", f"needs vmlinux-{release} and tasks")
    line = next(x for x in run.lines() if x.startswith("open it with: "))
    words = shlex.split(line.partition(": ")[2])
    text, err = gdb(path, out, [
        "source " + words[words.index("-x") + 1], words[-1].replace(" vmlinux", " " + vmlinux),
        "output init_uts_ns.name.release", "echo \\n", "output jiffies_64 > 1000", "echo \\n",
        "output ((struct rq *)((char *)&runqueues + __per_cpu_offset[1]))->cpu", "echo \\n",
        "info line do_exit", "thread apply all bt 8"], os.path.join(folder, "script"))
    tap.check(f'"{release}"' in text, f"{name}: init_uts_ns.name.release", text[:800], err[-800:])
    tap.check("\n1\n1\n" in text, f"{name}: jiffies_64, and a variable of CPU 1", text[:800])
    tap.check(re.search(r"Line \d+ of \".*kernel/exit.c\"", text), f"{name}: a line of source", text[:1500])
    stacks = re.split(r"\nThread \d+ ", text)[1:]
    short = [s[:300] for s in stacks if "__schedule" in s and not re.search(r"#3 ", s)]
    asleep = sum("__schedule" in s for s in stacks)
    tap.check(asleep >= 20, f"{name}: {asleep} stacks of tasks that sleep")
    return tap.none(short, f"{name}: none of them breaks off")


def check_dump(tap, tool, root, folder, row):
    name, said = f"{row[0]} {os.path.basename(row[1])}", os.path.join(root, row[0], row[2])
    dump, out = os.path.join(root, row[0], row[1]), os.path.join(folder, "core")
    options = list(row[3])
    info = os.path.join(root, row[0], "vmcoreinfo.txt")
    if row[0] == "armhf-lpae":
        options += ["--vmcoreinfo", info]
    run = tool.run("tovelf", "-f", *options, "-o", out, dump, seconds=120)
    if not tap.check(run.status in (harness.OK, harness.DAMAGED), f"{name}: status", run):
        return
    path = gdb_of(row[0])
    made = check_memory(tap, name, path, out, Physical(dump), folder, said)
    check_threads(tap, tool, name, path, out, made, folder, dump, said, options)
    check_variables(tap, name, path, out, made, run, folder)


def test(tap, tool, folder):
    corpus = os.environ.get("DUMPTOOL_CORPUS")
    if not corpus:
        raise harness.Skip("DUMPTOOL_CORPUS is unset: no real dumps")
    only = os.environ.get("ARCHS", "").split()
    for row in DUMPS:
        if os.path.isdir(os.path.join(corpus, row[0])) and (not only or row[0] in only):
            check_dump(tap, tool, corpus, folder, row)
    for arch, why in NO_GDB.items():
        tap.skip(f"{arch}", why)


if __name__ == "__main__":
    harness.main(test)
