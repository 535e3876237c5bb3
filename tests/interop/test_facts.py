#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Symbols, modules, tasks and types of a real x86-64 dump against the guest's own word, drgn and crash.

Environment: DUMPTOOL_CORPUS; DUMPTOOL_VMLINUX, which drgn and crash need; DRGN, CRASH: what is called.
DUMPTOOL_FACTS=DUMP:FOLDER judges another dump, of a guest whose kallsyms and modules lie in FOLDER."""
import bisect
import collections
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import harness

SECONDS = 120
TYPES = ("task_struct", "mm_struct", "page", "module", "rq", "signal_struct", "inode", "dentry", "file", "net_device",
         "sk_buff", "sock", "bio", "zone", "kmem_cache", "iphdr", "tcphdr", "desc_struct", "list_head", "thread_struct")

# What drgn knows: of each task, of each module, the layout of each type with unnamed members looked through.
DRGN_SCRIPT = """
import json, os
from drgn.helpers.linux import *
def members(type, base):
    found = []
    for m in type.members:
        at = base + m.bit_offset
        found += [[m.name, at, m.bit_field_size or 0]] if m.name else members(m.type, at)
    return found
tasks = [(t.pid.value_(), t.tgid.value_(), t.comm.string_().decode(errors="replace"), task_state_to_char(t), t.value_())
         for t in for_each_task(prog)]
modules = [(m.name.string_().decode(), m.value_())
           for m in list_for_each_entry("struct module", prog["modules"].address_of_(), "list")]
types = {}
for name in os.environ["TYPES"].split():
    type = prog.type("struct " + name)
    types[name] = [type.size, members(type, 0)]
json.dump({"tasks": tasks, "modules": modules, "types": types}, open(os.environ["OUT"], "w"))
"""


def inputs():
    if os.environ.get("DUMPTOOL_FACTS"):
        return os.environ["DUMPTOOL_FACTS"].split(":")
    folder = os.environ.get("DUMPTOOL_CORPUS")
    if not folder:
        raise harness.Skip("DUMPTOOL_CORPUS is unset")
    folder = os.path.join(folder, "x86_64-6.1")
    found = os.path.join(folder, "qemu", "elf.elf"), os.path.join(folder, "truth", "guest", "before-qdump")
    if not os.path.exists(found[0]):
        raise harness.Skip("the corpus has no x86_64-6.1/qemu/elf.elf")
    return found


def told(tap, tool, dump, what, *options, name=None, lines=""):
    """The rows of an answer, which must be complete."""
    with tempfile.TemporaryFile() as f:
        f.write(lines.encode())
        f.seek(0)
        run = tool.run("inspect", "--json", *options, dump, stdin=f, seconds=SECONDS)
    answer = json.loads(run.out) if run.out else {}
    tap.check(run.status == harness.OK and answer.get("complete"), name or f"{what}: all of them", run)
    return answer.get(what, [])


def guest_symbols(folder):
    """[(address, name, module or None, type)] in the order of /proc/kallsyms, those of loaded modules."""
    with open(os.path.join(folder, "kallsyms"), encoding="ascii") as f:
        rows = [line.split() for line in f]
    with open(os.path.join(folder, "modules"), encoding="ascii") as f:
        loaded = {line.split()[0] for line in f}
    found = [(int(r[0], 16), r[2], r[3].strip("[]") if len(r) > 3 else None, r[1]) for r in rows]
    return [s for s in found if s[2] is None or s[2] in loaded]


def check_symbols(tap, tool, dump, folder):
    symbols, rng = guest_symbols(folder), random.Random(dump)
    of_kernel, of_modules = ([s for s in symbols if (s[2] is not None) == m] for m in (False, True))
    sample = rng.sample(of_kernel, 800) + rng.sample(of_modules, min(len(of_modules), 400))
    there, got = collections.defaultdict(set), collections.defaultdict(set)
    for s in symbols:
        there[s[1]].add((s[0], s[2], s[3]))
    lines = "".join(f"{name}\n" for name in dict.fromkeys(s[1] for s in sample))
    for row in told(tap, tool, dump, "symbols", "--sym", "-", lines=lines, name="names: each is found"):
        got[row["name"]].add((int(row["address"], 16), row.get("module"), row["type"]))
    tap.none([s for s in sample if got[s[1]] != there[s[1]]],
             f"{len(sample)} names are where the guest says, of its type, and nowhere else")
    at = {name: addr for addr, name, _, _ in of_kernel}
    inside = [s for s in of_kernel if at["_stext"] <= s[0] < at["_end"] - 4096]
    asked = [s[0] + rng.choice((0, 1, 3, 16)) for s in rng.sample(inside, 400) + rng.sample(of_modules, 200)]
    lines = "".join(f"{a:#x}\n" for a in asked)
    rows = told(tap, tool, dump, "symbols", "--sym", "-", lines=lines, name="addresses: each is in a symbol")
    ordered = sorted({s[0] for s in inside + of_modules})
    bad = []
    for addr, row in zip(asked, rows):
        near = ordered[bisect.bisect_right(ordered, addr) - 1]
        if (int(row["address"], 16), row.get("module"), row["type"]) not in there[row["name"]] or \
                int(row["address"], 16) != near or int(row["offset"], 16) != addr - near:
            bad.append((hex(addr), hex(near), row))
    tap.none(bad, f"{len(asked)} addresses: the nearest symbol, and how far from it")


def check_modules(tap, tool, dump, folder):
    with open(os.path.join(folder, "modules"), encoding="ascii") as f:
        wanted = [(r[0], int(r[1]), int(r[5], 16)) for r in (line.split() for line in f)]
    rows = told(tap, tool, dump, "modules", "--modules")
    got = [(m["name"], m["size"], int(m["memory"][0]["address"], 16)) for m in rows]
    tap.equal(got, wanted, "modules are the guest's, in its order")
    return {(m["name"], int(m["module"], 16)) for m in rows}


def check_drgn(tap, tool, dump, vmlinux, folder, tasks, modules):
    drgn, out = os.environ.get("DRGN") or shutil.which("drgn"), os.path.join(folder, "drgn.json")
    if not drgn or not vmlinux:
        return tap.skip("drgn", "drgn is not installed" if vmlinux else "DUMPTOOL_VMLINUX is unset")
    script = os.path.join(folder, "facts.py")
    with open(script, "w", encoding="ascii") as f:
        f.write(DRGN_SCRIPT)
    run = subprocess.run([drgn, "-q", "-c", dump, "-s", vmlinux, script], capture_output=True, timeout=SECONDS,
                         check=False, env=dict(os.environ, TYPES=" ".join(TYPES), OUT=out))
    if run.returncode or not os.path.exists(out):
        return tap.skip("drgn", "it does not read this dump: " + run.stderr.decode(errors="replace")[-200:])
    with open(out, encoding="utf-8") as f:
        drgn = json.load(f)
    tap.equal(sorted((t["pid"], t["tgid"], t["name"], t["state"], int(t["task"], 16)) for t in tasks if not t["idle"]),
              sorted(map(tuple, drgn["tasks"])), "tasks are drgn's")
    tap.equal(modules, {tuple(m) for m in drgn["modules"]}, "modules are drgn's")
    options = [word for name in TYPES for word in ("--type", "struct " + name)]
    rows = told(tap, tool, dump, "types", *options)
    got = {t["name"].split()[-1]: [t["size"], [[m["name"], 8 * m["offset"] + m.get("bit", 0), m.get("bits", 0)]
                                               for m in t["members"]]] for t in rows}
    tap.none([(n, got.get(n), drgn["types"][n]) for n in TYPES if got.get(n) != drgn["types"][n]],
             f"{len(TYPES)} types: members, offsets, bit fields and sizes are drgn's")


def crash_rows(text):
    """{(pid, task)}, {(name, module)} of what ps and mod print."""
    tasks = re.findall(r"^>?\s*(\d+)\s+\d+\s+\d+\s+([0-9a-f]{16})\s+[A-Z]{2}\s", text, re.M)
    modules = re.findall(r"^([0-9a-f]{16})\s+(\S+)\s+[0-9a-f]{16}\s+\d+\s", text, re.M)
    return {(int(pid), int(task, 16)) for pid, task in tasks}, {(name, int(at, 16)) for at, name in modules}


def check_crash(tap, dump, vmlinux, tasks, modules):
    crash = os.environ.get("CRASH") or shutil.which("crash")
    if not crash or not vmlinux:
        return tap.skip("crash", "crash is not installed" if vmlinux else "DUMPTOOL_VMLINUX is unset")
    version = subprocess.run([crash, "--version"], capture_output=True, timeout=SECONDS, check=False).stdout.decode()
    run = subprocess.run([crash, "-s", vmlinux, dump], input=b"set scroll off\nps\nmod\nquit\n", capture_output=True,
                         timeout=SECONDS, check=False)
    of_crash, mods = crash_rows(run.stdout.decode(errors="replace"))
    if not of_crash:
        return tap.skip("crash", "it does not open this dump")
    tap.equal(mods, modules, "modules are crash's")
    # Debian 12's finds 4 of 105 tasks of its own distribution's kernel.
    if re.search(r"^crash 8\.", version, re.M):
        return tap.skip("tasks are crash's", "crash 8 does not know the list of tasks since 6.1")
    tap.equal({(t["pid"], int(t["task"], 16)) for t in tasks}, of_crash, "tasks are crash's")


def test(tap, tool, folder):
    dump, guest = inputs()
    vmlinux = os.environ.get("DUMPTOOL_VMLINUX")
    check_symbols(tap, tool, dump, guest)
    modules = check_modules(tap, tool, dump, guest)
    tasks = told(tap, tool, dump, "tasks", "--tasks")
    if any(s[1] == "btf_modules" for s in guest_symbols(guest)):
        rows = told(tap, tool, dump, "types", "--type", "xfs_inode", name="a type of a module")
        tap.equal([row["members"][0]["name"] for row in rows], ["i_mount"], "by the module's BTF")
    check_drgn(tap, tool, dump, vmlinux, folder, tasks, modules)
    check_crash(tap, dump, vmlinux, tasks, modules)


harness.main(test)
