#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A real kernel, damaged in memory: lists of tasks and modules that are cut, go in circles or lead nowhere,
with links that do not lead back; its symbols and types with one byte in a hundred at random.

What is told of it is the truth, or says that it is not complete; nothing is told twice; behind a broken
link the rest of a list is told; each in seconds. The dump is that of the corpus, without pages of users,
changed and put right again in one copy."""
import json
import os
import random
import re
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import harness

DUMPS = ("x86_64-6.1/kdump/proc-vmcore.elf", "arm64/qemu-elf.dump", "riscv64/qemu-elf.dump")
SECONDS = 10
MEMORY = 96 * harness.MIB
SHARE = 100             # one byte of so many is changed
SYMBOLS = ("init_task", "schedule", "kmalloc_caches", "vfs_read")


class Copy:
    """The file; words of it by virtual address, which the program translates before anything is changed."""

    def __init__(self, tool, source, path):
        self.tool, self.path, self.undo = tool, path, []
        run = tool.run("topelf", "-f", "-l", "kernel", "-o", path, source, seconds=120)
        if run.status not in (harness.OK, harness.DAMAGED):
            raise harness.Skip(f"{source}: {run.err}")
        self.file = open(path, "r+b", buffering=0)
        ident = self.file.read(64)
        phoff, = struct.unpack_from("<Q", ident, 32)
        nr, = struct.unpack_from("<H", ident, 56)
        self.file.seek(phoff)
        table = self.file.read(56 * nr)
        rows = [struct.unpack_from("<IIQQQQQQ", table, 56 * i) for i in range(nr)]
        self.loads = [(paddr, filesz, off) for kind, _, off, _, paddr, filesz, _, _ in rows if kind == 1]

    def offsets(self, vaddrs):
        run = self.tool.run("inspect", "--json", *[x for v in vaddrs for x in ("--vtop", hex(v))], self.path)
        found = {}
        for row in json.loads(run.out)["addresses"]:
            paddr = int(row["paddr"], 16)
            found[int(row["vaddr"], 16)] = next(off + paddr - start for start, size, off in self.loads
                                                if start <= paddr < start + size)
        return found

    def put(self, at, data):
        self.file.seek(at)
        self.undo.append((at, self.file.read(len(data))))
        self.file.seek(at)
        self.file.write(data)

    def restore(self):
        for at, data in reversed(self.undo):
            self.file.seek(at)
            self.file.write(data)
        self.undo = []


class Bench:
    def __init__(self, tap, tool, folder, source):
        self.tap, self.tool, self.name = tap, tool, source.split("/")[0]
        self.copy = Copy(tool, os.path.join(os.environ["DUMPTOOL_CORPUS"], source),
                         os.path.join(folder, "copy"))
        self.whole = {what: self.ask(what)[1] for what in ("tasks", "modules")}
        self.status = None

    def ask(self, what, *more):
        run = self.tool.run("inspect", "--json", *(more or ("--" + what,)), self.copy.path,
                            seconds=SECONDS, data=MEMORY)
        try:
            return run, json.loads(run.out)
        except ValueError:
            return run, {}

    def judge(self, what, *more, truth=None):
        """([complaint], rows) of an answer of the damaged kernel."""
        run, got = self.ask(what, *more)
        bad, rows, self.status = run.faults(), got.get(what, []), run.status
        truth = truth or self.whole[what]
        if not got:
            return bad + ([] if run.status == harness.FAILED and len(run.errors()) == 1 else
                          [f"status {run.status}, no answer: {run.err[:200]}"]), rows
        if got["complete"] != (run.status == harness.OK) or got["complete"] == ("reason" in got):
            bad.append(f"status {run.status}, complete: {got['complete']}, {got.get('reason')}")
        if got["complete"] and rows != truth[what]:
            bad.append("complete, but not the truth")
        keys = [json.dumps(row) for row in rows]
        if what in ("tasks", "modules") and len(set(keys)) != len(keys):
            bad.append("something is told twice")
        if run.status == harness.FAILED and len(run.errors()) != 1:
            bad.append(f"{len(run.errors())} lines of error")
        return bad, rows


# ---- lists ----

def links(bench, what, key, member):
    """The nodes of the list, by address, with the place of each in the file."""
    run, got = bench.ask("types", "--type", member[0])
    at = next(m["offset"] for m in got["types"][0]["members"] if m["name"] == member[1])
    rows = [row for row in bench.whole[what][what] if not row.get("idle") and
            row.get("pid") == row.get("tgid")]
    nodes = [int(row[key], 16) + at for row in rows]
    return rows, nodes, bench.copy.offsets(nodes)


def check_list(bench, what, key, member):
    rows, nodes, places = links(bench, what, key, member)
    bad, k = [], len(nodes) // 2

    def word(value):
        return struct.pack("<Q", value & (1 << 64) - 1)

    def case(name, changes):
        for at, data in changes:
            bench.copy.put(at, data)
        wrong, told = bench.judge(what)
        if bench.status == harness.OK:
            wrong.append("nothing is noticed")
        got = {row[key] for row in told}
        missing = [row["name"] for row in rows if row[key] not in got]
        bad.extend(f"{name}: {x}" for x in wrong + ([f"missing: {missing}"] if missing else []))
        bench.copy.restore()

    cases = []
    for i in sorted({0, k, len(nodes) - 1}):
        at = places[nodes[i]]
        for name, value in (("nowhere", 0xdead000000000100), ("nothing", 0), ("itself", nodes[i]),
                            ("another", nodes[i - 2]), ("odd", nodes[i] + 3)):
            cases.append((f"next of {i} is {name}", [(at, word(value))]))
            cases.append((f"prev of {i} is {name}", [(at + 8, word(value))]))
        cases.append((f"{i} is gone", [(at, bytes(16))]))
    cases = harness.sample(cases, 6, bench.name + what)
    # Both ways lost: what is between is told by another way, numbers of tasks or sysfs.
    if len(nodes) > 6:
        a, b = 1, k - 1
        cases += [("cut twice", [(places[nodes[a]], word(0)), (places[nodes[b]], word(0))]),
                  ("a ring inside", [(places[nodes[b]], word(nodes[a])), (places[nodes[a]] + 8, word(nodes[b]))]),
                  ("all links are gone", [(places[n], bytes(16)) for n in nodes])]
    for one in cases:
        case(*one)
    bench.tap.none(bad, f"{bench.name}: the list of {what}, {len(cases)} times damaged")


def check_tasks(bench):
    check_list(bench, "tasks", "task", ("task_struct", "tasks"))


def check_threads(bench):
    """Threads of a process whose leader cannot be read, nor what it leads to."""
    rows = bench.whole["tasks"]["tasks"]
    leaders = [row for row in rows if any(x["tgid"] == row["pid"] and x["pid"] != x["tgid"] for x in rows)]
    if not leaders:
        return bench.tap.skip(f"{bench.name}: threads without a leader", "no process has any")
    _, got = bench.ask("types", "--type", "task_struct")
    at = next(m["offset"] for m in got["types"][0]["members"] if m["name"] == "pid")
    bad = []
    for row in leaders:
        pid = int(row["task"], 16) + at
        bench.copy.put(bench.copy.offsets([pid])[pid], b"\xff" * 4)
        wrong, told = bench.judge("tasks")
        lost = [x["name"] for x in rows if x != row and x not in told]
        bad += wrong + ([f"without {row['name']}: {lost}"] if lost else [])
        bench.copy.restore()
    return bench.tap.none(bad, f"{bench.name}: threads of {len(leaders)} leaders that cannot be read")


def check_modules(bench):
    check_list(bench, "modules", "module", ("module", "list"))


# ---- symbols and types ----

def spoil(bench, start, end, seed):
    """Random bytes in place of one in SHARE of [start, end); a page table of its own for each page."""
    rng, pages = random.Random(seed), {}
    for page in range(start & -4096, end, 4096):
        pages[page] = None
    for page, at in bench.copy.offsets(pages).items():
        bench.copy.file.seek(at)
        data = bytearray(bench.copy.file.read(4096))
        for vaddr in range(max(start, page), min(end, page + 4096)):
            if not rng.randrange(SHARE):
                data[vaddr - page] = rng.randrange(256)
        bench.copy.put(at, bytes(data))


def check_table(bench, what, start, end):
    asked = [x for name in SYMBOLS for x in ("--sym", name)]
    symbols, types = bench.ask("symbols", *asked)[1], bench.ask("types", "--type", "task_struct")[1]
    bad = []
    for seed in harness.sample(range(8), 8, bench.name + what):
        spoil(bench, start, end, f"{bench.name}{what}{seed}")
        for args, truth in ((("tasks",), None), (("modules",), None), (("symbols", *asked), symbols),
                            (("types", "--type", "task_struct"), types)):
            wrong, _ = bench.judge(*args, truth=truth)
            bad += [f"seed {seed}, {args[0]}: {x}" for x in wrong]
        bench.copy.restore()
    bench.tap.none(bad, f"{bench.name}: {what} with one byte of {SHARE} at random")


def check_symbols(bench):
    run = bench.tool.run("inspect", "--vmcoreinfo", bench.copy.path)
    where = {name: int(at, 16) for name, at in
             re.findall(r"SYMBOL\((kallsyms_\w+)\)=(\w+)", run.out.decode())}
    start = min(where.values(), default=0)
    if not start:
        return bench.tap.skip(f"{bench.name}: symbols", "VMCOREINFO does not tell where they are")
    end = max(where["kallsyms_token_index"] + 512, where["kallsyms_offsets"])
    return check_table(bench, "kallsyms", start, end)


def check_types(bench):
    run, got = bench.ask("symbols", "--sym", "__start_BTF", "--sym", "__stop_BTF")
    at = {row["name"]: int(row["address"], 16) for row in got["symbols"] if "address" in row}
    if len(at) != 2:
        return bench.tap.skip(f"{bench.name}: types", "no symbol tells where they are")
    return check_table(bench, "BTF", at["__start_BTF"], at["__stop_BTF"])


CHECKS = {check.__name__[6:]: check for check in (check_tasks, check_threads, check_modules, check_symbols, check_types)}


def test(tap, tool, folder):
    corpus = os.environ.get("DUMPTOOL_CORPUS")
    if not corpus:
        raise harness.Skip("DUMPTOOL_CORPUS names no folder of real dumps")
    for source in DUMPS:
        if not os.path.exists(os.path.join(corpus, source)):
            tap.skip(source, "it is not in the corpus")
            continue
        bench = Bench(tap, tool, folder, source)
        for name in harness.selected(CHECKS):
            CHECKS[name](bench)


harness.main(test)
