#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Facts about the kernel that VMCOREINFO does not tell: types by BTF and by the DWARF of a vmlinux,
symbols by the table of exported ones, by a vmlinux, and by what they look like.

A small x86-64 kernel with three tasks and two modules. Its structures are laid out by a list here: a
member moves, and every answer stays the same; a member gets another name, and the answer is marked
missing."""
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import btfgen
import elfgen
import harness
import kallsymsgen
import kdumpread
import kimage

BASE, PAGES = 0x1000000, 128
KERNEL, MODULES = 0xffffffff80000000, 0xffffffffc0000000
LINK = 0xffffffff81000000                       # where vmlinux says that _stext is
TEXT, DATA = KERNEL + 0x4000, KERNEL + 0x20000  # where the kernel of the dump has it
ID = "5a" * 20
RELEASE = "6.1.0-test"
BANNER = f"Linux version {RELEASE} (builder@host) (cc) #1 SMP"

WIDTH = {"int": 4, "long": 8, "ptr": 8, "comm": 16, "name": 56, "list": 16}
C_TYPE = {"int": "int {}", "long": "unsigned long {}", "ptr": "void *{}", "comm": "char {}[16]",
          "name": "char {}[56]", "list": "struct list_head {}"}

TASK = [("thread_info", "long"), ("__state", "int"), ("stack", "ptr"), ("tasks", "list"), ("mm", "ptr"),
        ("pid", "int"), ("tgid", "int"), ("exit_state", "int"), ("comm", "comm")]
MODULE = [("state", "int"), ("list", "list"), ("name", "name"), ("taints", "long"), ("module_core", "ptr"),
          ("core_size", "int")]
TASKS = [(0, "swapper/0", 0, 0), (1, "init", 1, 1), (77, "a \x1bname", 1, 2)]   # pid name mm state
NAMES = ["first_mod", "second_mod"]


def offsets(layout):
    """{member: offset}, and the size."""
    at, where = 0, {}
    for name, kind in layout:
        at = elfgen.align(at, min(WIDTH[kind], 8) if kind not in ("comm", "name") else 1)
        where[name] = at
        at += WIDTH[kind]
    return where, elfgen.align(at, 8)


class Kernel:
    """Its memory: task and module structures as TASK and MODULE lay them out."""

    def __init__(self, task=TASK, module=MODULE, init_task=DATA + 0x100):
        self.memory = bytearray(PAGES * 4096)
        self.init_task = init_task
        names = ("Linux", "host", RELEASE, "#1 SMP Debian 6.1.1-1", "x86_64", "(none)")
        self.put(KERNEL + 0x3004, b"".join(n.encode().ljust(65, b"\0") for n in names))
        # page tables: the kernel image and the modules are the same 2 MiB
        for at, value in ((0x10ff8, BASE + 0x11067), (0x11ff0, BASE + 0x12067), (0x12000, BASE | 0x1e3),
                          (0x11ff8, BASE + 0x13067), (0x13000, BASE | 0x1e3)):
            struct.pack_into("<Q", self.memory, at, value)
        self.put_tasks(*offsets(task))
        self.put_modules(*offsets(module))

    def put(self, vaddr, data):
        at = vaddr & 0x3fffffff
        self.memory[at:at + len(data)] = data

    def word(self, vaddr, value):
        self.put(vaddr, struct.pack("<Q", value))

    def ring(self, nodes):
        for i, node in enumerate(nodes):
            self.word(node, nodes[(i + 1) % len(nodes)])
            self.word(node + 8, nodes[i - 1])

    def put_tasks(self, at, size):
        tasks = [self.init_task + i * elfgen.align(size, 64) for i in range(len(TASKS))]
        for task, (pid, name, mm, state) in zip(tasks, TASKS):
            for member, value in (("pid", pid), ("tgid", pid), ("__state", state)):
                if member in at:
                    self.put(task + at[member], struct.pack("<I", value))
            self.put(task + at.get("comm", size), name.encode())
            if "mm" in at and mm:
                self.word(task + at["mm"], KERNEL + 0x5000)
        if "tasks" in at:
            self.ring([task + at["tasks"] for task in tasks])

    def put_modules(self, at, size):
        self.modules = DATA + 0x1000
        structures = [MODULES + 0x50000 + 0x1000 * i for i in range(len(NAMES))]
        for i, (where, name) in enumerate(zip(structures, NAMES)):
            self.put(where + at["name"], name.encode())
            self.word(where + at["module_core"], MODULES + 0x100000 * (i + 1))
            self.put(where + at["core_size"], struct.pack("<I", 0x2000))
        self.ring([self.modules] + [where + at["list"] for where in structures])

    def export(self, relative, parts):
        """A table of exported symbols: 40 of them, init_task in their middle."""
        symbols = [(f"symbol_{i:02}", TEXT + 16 * i) for i in range(40)]
        symbols.insert(17, ("init_task", self.init_task))
        size, at, name_at = 4 if relative else 8, DATA + 0x2000, DATA + 0x8000
        for name, value in symbols:
            for part in (value, name_at, name_at - 1)[:parts]:
                raw = struct.pack("<i", part - at) if relative else struct.pack("<Q", part)
                self.put(at, raw)
                at += size
            self.put(name_at, name.encode() + b"\0")
            name_at += len(name) + 1

    def info(self, symbols=True, more=""):
        return (f"OSRELEASE={RELEASE}\nPAGESIZE=4096\nSYMBOL(init_uts_ns)={KERNEL + 0x3000:x}\n"
                f"SYMBOL(swapper_pg_dir)={KERNEL + 0x10000:x}\nOFFSET(uts_namespace.name)=4\n"
                f"SYMBOL(_stext)={TEXT:x}\nNUMBER(phys_base)={BASE}\nNUMBER(pgtable_l5_enabled)=0\n" +
                (f"SYMBOL(init_task)={self.init_task:x}\n" if symbols else "") + more)

    def write(self, path, info):
        note = elfgen.note("<", "VMCOREINFO", 0, info.encode())
        core = elfgen.Core(order="<", machine=62)
        core.segments = [elfgen.Segment(elfgen.PT_NOTE, 4096, 0, 0, len(note), 0),
                         elfgen.Segment(elfgen.PT_LOAD, 8192, 0, BASE, len(self.memory),
                                        len(self.memory))]
        with open(path, "wb") as f:
            for offset, data in (*core.tables(), (4096, note), (8192, bytes(self.memory))):
                f.seek(offset)
                f.write(data)
        return path


def btf(task=TASK, module=MODULE):
    """The BTF of those structures. Two members of a task are in unnamed ones."""
    types = btfgen.Types()
    char = types.number["char"]
    kinds = {"int": types.number["int"], "long": types.number["long"], "ptr": types.pointer,
             "comm": types.array(char, 16), "name": types.array(char, 56),
             "list": types.compound("list_head", 16, [("next", 0, types.pointer),
                                                      ("prev", 8, types.pointer)])}
    for name, layout in (("task_struct", task), ("module", module)):
        at, size = offsets(layout)
        rows = [(member, at[member], kinds[kind]) for member, kind in layout]
        inner = types.compound("", size, rows[1:3])
        types.compound(name, size, [rows[0], ("", 0, types.compound("", size, [("", 0, inner)],
                                                                   btfgen.UNION)), *rows[3:]])
    return types.blob()


def moved(layout, member, to):
    rest = [row for row in layout if row[0] != member]
    return rest[:to] + [row for row in layout if row[0] == member] + rest[to:]


def renamed(layout, member):
    return [("other_" + name if name == member else name, kind) for name, kind in layout]


def told(tool, path, what, *options):
    """The rows of an answer, which must be complete when the exit status is 0, and only then."""
    run = tool.run("inspect", "--" + what, "--json", *options, path)
    try:
        answer = json.loads(run.out)
    except ValueError:
        return run, []
    if answer["complete"] != (run.status == harness.OK) or answer["complete"] == ("reason" in answer):
        return run, [{"complete": answer["complete"], "reason": answer.get("reason")}]
    return run, answer[what]


def tasks_of(rows, *members):
    return [tuple(row.get(m) for m in members) for row in rows]


WANTED = [(pid, name, "RSD"[state]) for pid, name, _, state in TASKS]


def check_btf(tap, tool, folder):
    path = os.path.join(folder, "core")
    for name, task in (("as it was", TASK), ("pid moved to the end", moved(TASK, "pid", 99)),
                       ("comm moved to the front", moved(TASK, "comm", 0)),
                       ("the list moved", moved(TASK, "tasks", 7)),
                       ("__state moved", moved(TASK, "__state", 8))):
        kernel = Kernel(task)
        kernel.put(DATA + 0x10000, btf(task))
        run, rows = told(tool, kernel.write(path, kernel.info()), "tasks")
        tap.equal((run.status, tasks_of(rows, "pid", "name", "state")), (harness.OK, WANTED),
                  f"tasks by BTF, {name}", run)
    for member, wanted in (("__state", [(p, n, "?") for p, n, _ in WANTED]),
                           ("comm", [(p, "", s) for p, _, s in WANTED])):
        kernel = Kernel()
        kernel.put(DATA + 0x10000, btf(renamed(TASK, member)))
        run, rows = told(tool, kernel.write(path, kernel.info()), "tasks")
        tap.equal((run.status, tasks_of(rows, "pid", "name", "state")), (harness.OK, wanted),
                  f"{member} has another name: it alone is missing", run)
    for member in ("tasks", "pid"):
        kernel = Kernel()
        kernel.put(DATA + 0x10000, btf(renamed(TASK, member)))
        run, rows = told(tool, kernel.write(path, kernel.info()), "tasks")
        tap.check(run.status == harness.FAILED and not rows and len(run.errors()) == 1 and
                  f"OFFSET(task_struct.{member}) is not known" in run.err,
                  f"{member} has another name: named, no task is told", run)


def check_symbols(tap, tool, folder):
    path = os.path.join(folder, "core")
    for relative, parts in ((True, 3), (True, 2), (False, 3), (False, 2)):
        kernel = Kernel()
        kernel.export(relative, parts)
        kernel.put(DATA + 0x10000, btf())
        run, rows = told(tool, kernel.write(path, kernel.info(symbols=False)), "tasks")
        tap.equal((run.status, tasks_of(rows, "pid", "name", "state")), (harness.OK, WANTED),
                  f"init_task by exported symbols, {'distances' if relative else 'pointers'}, "
                  f"{parts} in an entry", run)
    for name, module in (("as it was", MODULE), ("the list moved", moved(MODULE, "list", 5))):
        kernel = Kernel(module=module)
        kernel.put(DATA + 0x10000, btf(module=module))
        run, rows = told(tool, kernel.write(path, kernel.info()), "modules")
        tap.equal((run.status, tasks_of(rows, "name", "size")),
                  (harness.OK, [(n, 0x2000) for n in NAMES]),
                  f"the list of modules by its looks, {name}", run)
    kernel = Kernel()
    kernel.put(DATA + 0x10000, btf())
    kernel.word(kernel.modules, MODULES + 0x70000)  # no list any more
    run, rows = told(tool, kernel.write(path, kernel.info()), "modules")
    tap.check(run.status == harness.FAILED and "SYMBOL(modules) is not known" in run.err,
              "a list that does not close is not taken for that of modules", run)


def check_missing(tap, tool, folder):
    kernel = Kernel()
    run, _ = told(tool, kernel.write(os.path.join(folder, "core"), kernel.info()), "tasks")
    tap.check(run.status == harness.FAILED and len(run.errors()) == 1 and "no BTF" in run.err and
              f"package linux-image-{RELEASE}-dbg" in run.err,
              "without types: one line says so, and which package would help", run)


# ---- damage ----

def check_lists(tap, tool, folder):
    """Lists that lead in circles, nowhere, or to what is no task: all that can be met is told, and marked."""
    at, size = offsets(TASK)
    size = elfgen.align(size, 64)
    path = os.path.join(folder, "core")
    for name, member, value, said, left in (
            ("a circle", "tasks", lambda k: k.init_task + size + at["tasks"], "does not point back", 3),
            ("nowhere", "tasks", lambda k: KERNEL + 0x3fff0000, "damaged", 3),
            ("a pid that none has", "pid", lambda k: 0x7fffffff, "no task is at", 2)):
        kernel = Kernel()
        where = kernel.init_task + size * (2 if member == "pid" or left == 3 else 1) + at[member]
        kernel.put(where, struct.pack("<I" if member == "pid" else "<Q", value(kernel)))
        kernel.put(DATA + 0x10000, btf())
        run, rows = told(tool, kernel.write(path, kernel.info()), "tasks")
        tap.check(run.status == harness.DAMAGED and said in run.err and
                  tasks_of(rows, "pid", "name", "state") == WANTED[:left] and not run.faults(),
                  f"the list of tasks, {name}: {left} are told, and that it is damaged", run)
    run = tool.run("inspect", "--tasks", path)
    tap.check(run.status == harness.DAMAGED and
              re.search(rb"\nincomplete: no task is at .*: its pid is \d+\n$", run.out) is not None,
              "in the text, the last line says so", run)


def check_broken_links(tap, tool, folder):
    """Seven modules; each link of each leads elsewhere. Behind it the others come from the list's end."""
    at, _ = offsets(MODULE)
    names, cases = [f"module_{i}" for i in range(7)], []
    nodes = [DATA + 0x1000] + [MODULES + 0x50000 + 0x400 * i + at["list"] for i in range(len(names))]
    places = {"0": 0, "nowhere": MODULES + 0x7000000, "the head": nodes[0], "itself": None, "the first": nodes[1],
              "the last": nodes[-1]}
    for i in range(len(nodes)):
        for link in (0, 8):
            for place, value in places.items():
                value = nodes[i] if place == "itself" else value
                if value != nodes[(i + (1 if link == 0 else -1)) % len(nodes)]:
                    cases.append((i, link, place, value, None))
    cases += [(i, 0, "0, and another", 0, k) for i in range(6) for k in range(i + 2, 7)]
    bad = []
    for i, link, place, value, second in harness.sample(cases, 6, "links"):
        kernel = Kernel()
        for node, name in zip(nodes[1:], names):
            kernel.put(node - at["list"], bytes(0x400))
            kernel.put(node - at["list"] + at["name"], name.encode())
        kernel.ring(nodes)
        kernel.word(nodes[i] + link, value)
        lost = set()
        if second:
            kernel.word(nodes[second], 0)
            lost = set(names[i:second])
        kernel.put(DATA + 0x10000, btf())
        info = kernel.info(more=f"SYMBOL(modules)={nodes[0]:x}\n")
        run, rows = told(tool, kernel.write(os.path.join(folder, "core"), info), "modules")
        got = [row.get("name") for row in rows]
        if run.status != harness.DAMAGED or len(set(got)) != len(got) or set(got) != set(names) - lost:
            bad.append(f"{'prev' if link else 'next'} of {i} is {place} ({second}): {got} {run.err}")
    tap.none(bad, "modules behind a broken link are told, each once")


NOTED = [("state", "int"), ("list", "list"), ("name", "name"), ("srcversion", "ptr"), ("taints", "long"),
         ("notes_attrs", "ptr")]


def check_modules(tap, tool, folder):
    """srcversion, taints, and the build-id of a module whose structure has none, in both eras of its notes."""
    at, size = offsets(NOTED)
    module, head, notes = MODULES + 0x50000, DATA + 0x1000, MODULES + 0x51000
    ident = bytes(range(1, 21))
    for grouped in (False, True):
        kernel = Kernel(module=NOTED + MODULE[-2:])
        kernel.put(module, bytes(0x400))
        kernel.ring([head, module + at["list"]])
        kernel.put(module + at["name"], b"noted")
        kernel.word(module + at["srcversion"], notes + 0x900)
        kernel.put(notes + 0x900, b"0123456789ABCDEF\0")
        kernel.word(module + at["taints"], 1 << 12 | 1 << 13)
        kernel.word(module + at["notes_attrs"], notes)
        for i, name in enumerate((".note.Linux", ".note.gnu.build-id")):
            attr = notes + 0x100 + 40 * i
            kernel.put(notes + 0xa00 + 0x40 * i, name.encode() + b"\0")
            data = elfgen.note("<", "GNU", 3, ident) if i else elfgen.note("<", "Linux", 0x101, bytes(4))
            kernel.put(notes + 0xb00 + 0x40 * i, data)
            for k, value in enumerate((notes + 0xa00 + 0x40 * i, 0o444, len(data), notes + 0xb00 + 0x40 * i)):
                kernel.word(attr + 8 * k, value)
            kernel.word(notes + 0xc00 + 8 * i, attr)
        kernel.word(notes + 0x18, notes + 0xc00)
        kernel.put(notes + 8, struct.pack("<I", 2))
        types = btfgen.Types()
        pointer, number = types.pointer, types.number["int"]
        attribute = types.compound("attribute", 16, [("name", 0, pointer), ("mode", 8, number)])
        types.compound("bin_attribute", 40, [("attr", 0, attribute), ("size", 16, types.number["long"]),
                                             ("private", 24, pointer)])
        array = types.array(types.nr, 0)
        group = types.compound("attribute_group", 40, [("name", 0, pointer), ("bin_attrs", 0x18, pointer)])
        types.compound("module_notes_attrs", 0x100, [("grp", 0, group), ("attrs", 0x100, array)] if grouped
                       else [("dir", 0, pointer), ("notes", 8, number), ("attrs", 0x100, array)])
        kinds = {"int": number, "long": types.number["long"], "ptr": pointer,
                 "name": types.array(types.number["char"], 56), "list": types.compound("list_head", 16, [])}
        types.compound("module", size, [(name, at[name], kinds[kind]) for name, kind in NOTED])
        kernel.put(DATA + 0x10000, types.blob())
        info = kernel.info(more=f"SYMBOL(modules)={head:x}\n")
        run, rows = told(tool, kernel.write(os.path.join(folder, "core"), info), "modules")
        tap.equal(tasks_of(rows, "name", "srcversion", "taints", "build_id"),
                  [("noted", "0123456789ABCDEF", "OE", ident.hex())],
                  f"a module's srcversion, taints and build-id, {'since 6.14' if grouped else 'before 6.14'}", run)


def check_asked(tap, tool, folder):
    """Names and addresses from standard input; a dead task, whose stack is gone."""
    symbols = [(TEXT + 16 * i, "tTdD"[i % 4], f"symbol_{i}") for i in range(300)]
    symbols += [(TEXT, "T", "_stext"), (DATA + 0x100, "D", "init_task")]
    kernel = Kernel()
    blob, where = kallsymsgen.Table(symbols, base=TEXT).build(KERNEL + 0x40000)
    kernel.put(KERNEL + 0x40000, blob)
    kernel.put(DATA + 0x10000, btf())
    path = kernel.write(os.path.join(folder, "core"), kernel.info(more=kallsymsgen.vmcoreinfo(where)))
    lines = f"symbol_7\n  {TEXT + 16 * 8 + 5:x} \n\nno_such\n{'x' * 2000}\ninit_task"
    asked = os.path.join(folder, "asked")
    with open(asked, "w", encoding="ascii") as f:
        f.write(lines)
    with open(asked, "rb") as f:
        run = tool.run("inspect", "--sym", "-", path, stdin=f)
    wanted = [f"{TEXT + 16 * 7:016x} D symbol_7", f"{TEXT + 16 * 8:016x} t symbol_8+0x5", "-                ? no_such",
              f"{'-':16} ? {'x' * 599}", f"{DATA + 0x100:016x} D init_task"]
    tap.equal((run.status, run.out.decode().splitlines()), (harness.FAILED, wanted),
              "names and addresses from standard input", run)
    with open(asked, "rb") as f:
        run = tool.run("inspect", "--json", "--sym", "-", "--sym", "symbol_9", path, stdin=f)
    rows = json.loads(run.out)["symbols"]
    tap.check([row["asked"] for row in rows][0::5] == ["symbol_7", "symbol_9"] and
              [row.get("error") for row in rows][2] == "no such symbol", "the same as JSON", run)

    bad, rng = [], random.Random(7)
    for i in harness.sample(range(24), 6, "kallsyms"):
        spoilt = bytearray(blob)
        for k in range(len(spoilt)):
            if not rng.randrange(100):
                spoilt[k] = rng.randrange(256)
        kernel.put(KERNEL + 0x40000, bytes(spoilt))
        path = kernel.write(os.path.join(folder, "core"), kernel.info(more=kallsymsgen.vmcoreinfo(where)))
        run = tool.run("inspect", "--json", *[x for n in range(300) for x in ("--sym", f"symbol_{n}")], path)
        answer = json.loads(run.out)
        wrong = [row for row in answer["symbols"] if "address" in row and
                 int(row["address"], 16) != TEXT + 16 * int(row["asked"][7:])]
        if run.faults() or (answer["complete"] and wrong) or (run.status == harness.OK) != answer["complete"]:
            bad.append(f"{i}: status {run.status}, {len(wrong)} wrong, {run.err[:200]}")
    tap.none(bad, "one byte in 100 of the table of symbols at random: wrong answers are marked")


def check_dead(tap, tool, folder):
    """A task that died has no stack; what it saved when it slept last is another's by now."""
    task = TASK + [("thread", "long")]
    at, size = offsets(task)
    kernel = Kernel(task)
    first = kernel.init_task
    for i in range(3):
        kernel.word(first + i * elfgen.align(size, 64) + at["thread"], KERNEL + 0x6000)
        kernel.word(first + i * elfgen.align(size, 64) + at["stack"], 0 if i == 2 else KERNEL + 0x5000)
    types = btfgen.Types()
    kinds = {"int": types.number["int"], "long": types.number["long"], "ptr": types.pointer,
             "comm": types.array(types.number["char"], 16), "list": types.compound("list_head", 16, [])}
    thread = types.compound("thread_struct", 8, [("sp", 0, types.number["long"])])
    types.compound("task_struct", size, [(name, at[name], thread if name == "thread" else kinds[kind])
                                         for name, kind in task])
    kernel.put(DATA + 0x10000, types.blob())
    run, rows = told(tool, kernel.write(os.path.join(folder, "core"), kernel.info()), "tasks")
    tap.equal([row.get("stack_pointer") for row in rows], [f"{KERNEL + 0x6000:#x}"] * 2 + [None],
              "a task without a stack has no stack pointer", run)


def check_hostile_types(tap, tool, folder):
    types = btfgen.Types()
    types.compound("nested", 8, [("", 0, types.nr + 1)] * 64)
    types.enum("colours", [("red\x1b[31m", 1)])
    kernel = Kernel()
    kernel.put(DATA + 0x10000, types.blob())
    path = kernel.write(os.path.join(folder, "core"), kernel.info())
    for options in ((), ("--json",)):
        run = tool.run("inspect", *options, "--type", "nested", path)
        tap.check(run.status == harness.FAILED and "nested in itself" in run.err and not run.faults(),
                  f"a type in itself, again and again {options}: an end, and that it is none", run)
    run = tool.run("inspect", "--type", "colours", path)
    tap.check(run.status == harness.DAMAGED and b"\x1b" not in run.out and b"red\\x1b[31m = 1" in run.out,
              "names of types are escaped, and no compiler wrote them", run)
    kernel = Kernel()
    kernel.put(DATA + 0x10000, b"".join(b"%d\0" % i for i in range(10)) * 3000)
    path = kernel.write(os.path.join(folder, "core"), kernel.info())
    run = tool.run("inspect", "--sym", "no_such", path)
    tap.check(run.status == harness.FAILED and "no symbol is" in run.err and not run.faults(),
              "what looks like a table of symbols in 3000 places", run)


# ---- vmlinux ----

def source():
    """C of the same structures: two members of a task in unnamed ones."""
    text = "struct list_head { void *next, *prev; };\n"
    for name, layout in (("task_struct", TASK), ("module", MODULE)):
        rows = [f"\t{C_TYPE[kind].format(member)};\n" for member, kind in layout]
        text += (f"struct {name} {{\n{''.join(rows[:3])}\tunion {{ struct {{ {rows[3]}{rows[4]} }}; "
                 f"unsigned long both : 40; }};\n{''.join(rows[5:])}}};\n")
    return text + (f'const char linux_banner[] = "{BANNER}\\n";\n'
                   "struct task_struct init_task = { .pid = 5 };\n"
                   "struct list_head modules = { &modules, &modules };\n"
                   "struct module *unused;\n"
                   'int cpu_number __attribute__((section(".data..percpu"))) = 7;\n'
                   'int second_percpu __attribute__((section(".data..percpu"))) = 7;\n'
                   'asm(".globl _stext\\n.text\\n_stext: nop\\n'
                   '.globl number\\nnumber = 0x1234");\n'
                   "void text(void) { unused = 0; }\n")


# The per-CPU section is linked to run at 0, as x86-64 has it up to 6.14.
SCRIPT = f"""SECTIONS {{
	.data..percpu 0 : {{ *(.data..percpu) }}
	. = {LINK:#x};
	.text : {{ *(.text*) }}
	.notes : {{ *(.note.gnu.build-id) }}
	. = {LINK + 0x2000:#x};
	.rodata : {{ *(.rodata*) }}
	. = {LINK + DATA - TEXT:#x};
	.data : {{ *(.data) *(.bss) *(COMMON) }}
	/DISCARD/ : {{ *(.eh_frame) *(.note.GNU-stack) }}
}}
"""


class Compiler:
    def __init__(self, folder):
        self.folder = folder
        self.c = os.path.join(folder, "vmlinux.c")
        with open(self.c, "w", encoding="ascii") as f:
            f.write(source())
        self.script = os.path.join(folder, "vmlinux.lds")
        with open(self.script, "w", encoding="ascii") as f:
            f.write(SCRIPT)
        if not (shutil.which("gcc") and shutil.which("objcopy") and shutil.which("nm")):
            raise harness.Skip("there is no gcc, objcopy or nm")

    def make(self, name, *options, build_id="0x" + ID):
        path = os.path.join(self.folder, name)
        run = subprocess.run(["gcc", "-m64", "-g", "-O0", "-fno-pie", "-no-pie", "-nostdlib", "-static",
                              "-fcf-protection=none", "-fno-asynchronous-unwind-tables",
                              "-mcmodel=kernel", "-Wl,-e,_stext", "-Wl,-T," + self.script,
                              f"-Wl,--build-id={build_id}", *options, "-o", path, self.c],
                             capture_output=True, check=False)
        if run.returncode:
            raise harness.Skip("no x86-64 program can be made here: " +
                               run.stderr.decode(errors="replace").split("\n")[0])
        return path

    @staticmethod
    def symbols(path):
        out = subprocess.run(["nm", path], capture_output=True, check=True).stdout.decode()
        return {name: int(at, 16) for at, _, name in (line.split() for line in out.splitlines())}


def dump_of(compiler, vmlinux, folder, more=f"BUILD-ID={ID}\n", banner=BANNER, release=RELEASE,
            name="core"):
    """The dump of the kernel that VMLINUX is; nothing but it knows where init_task is."""
    at = compiler.symbols(vmlinux)
    kernel = Kernel(init_task=at["init_task"] - LINK + TEXT)
    kernel.ring([at["modules"] - LINK + TEXT])
    kernel.put(at["linux_banner"] - LINK + TEXT, banner.encode() + b"\n\0")
    info = kernel.info(False, more).replace(f"OSRELEASE={RELEASE}", f"OSRELEASE={release}")
    return kernel.write(os.path.join(folder, name), info)


def check_vmlinux(tap, tool, folder):
    compiler = Compiler(folder)
    plain = compiler.make("vmlinux")
    core = dump_of(compiler, plain, folder)
    debug, stripped = plain + "-s.debug", plain + "-s"
    for command in (["objcopy", "--only-keep-debug", plain, debug],
                    ["objcopy", "--strip-debug", f"--add-gnu-debuglink={debug}", plain, stripped]):
        subprocess.run(command, check=True, cwd=folder)
    for name, path in (("plain", plain), ("with compressed sections", compiler.make("vmlinux-z", "-gz")),
                       ("of DWARF 4", compiler.make("vmlinux-4", "-gdwarf-4")),
                       ("with a separate debug file", stripped)):
        run, rows = told(tool, core, "tasks", "--vmlinux", path)
        tap.equal((run.status, tasks_of(rows, "pid", "name", "state")), (harness.OK, WANTED),
                  f"tasks by a vmlinux, {name}", run)
    os.remove(debug)
    run, rows = told(tool, core, "tasks", "--vmlinux", stripped)
    tap.check(run.status == harness.FAILED and "does not tell it either" in run.err,
              "a vmlinux without types: said", run)
    at = compiler.symbols(plain)
    for name, wanted in (("init_task", at["init_task"] - LINK + TEXT), ("cpu_number", at["cpu_number"]),
                         ("second_percpu", at["second_percpu"]), ("number", 0x1234)):
        run = tool.run("inspect", "--vmlinux", plain, "--sym", name, core)
        tap.equal(run.out.decode().split()[:1], [f"{wanted:016x}"],
                  f"{name}: moved with the kernel, if it is a place in it", run)
    check_mismatch(tap, tool, folder, compiler, plain, core)
    check_hostile(tap, tool, folder, plain, core)


def check_mismatch(tap, tool, folder, compiler, plain, core):
    other = dump_of(compiler, plain, folder, more="BUILD-ID=" + "77" * 20 + "\n", name="other")
    anonymous = compiler.make("vmlinux-no-id", build_id="none")
    old = dump_of(compiler, anonymous, folder, release="5.10.0-old", more="", name="old")
    banner = dump_of(compiler, anonymous, folder, banner=BANNER + " other", more="", name="banner")
    for path, vmlinux, what in ((other, plain, "build-id"), (old, anonymous, "release"),
                                (banner, anonymous, "banner")):
        run, rows = told(tool, path, "tasks", "--vmlinux", vmlinux)
        tap.check(run.status == harness.MISMATCH and not rows and len(run.lines()) == 1 and
                  what in run.err and "is not the kernel of the dump" in run.err,
                  f"another {what}: refused, exit status 2", run)
    same = dump_of(compiler, anonymous, folder, more="", name="same")
    run, rows = told(tool, same, "tasks", "--vmlinux", anonymous)
    tap.equal((run.status, len(rows)), (harness.OK, len(TASKS)), "no build-id, the same banner: taken", run)
    run = tool.run("inspect", "--tasks", "--vmlinux", shutil.which("true") or "/bin/true", same)
    tap.check(run.status in (harness.MISMATCH, harness.FAILED) and len(run.errors()) == 1,
              "a file that is no vmlinux: one line", run)
    out = os.path.join(folder, "out")
    run = tool.filter("--vmlinux", plain, other, out)
    tap.equal((run.status, os.path.exists(out)), (harness.MISMATCH, False), "filter refuses it", run)
    run = tool.filter("-f", "--vmlinux", plain, other, out)
    tap.check(run.status == harness.OK and "used all the same" in run.err, "filter -f takes it", run)
    name = os.path.join(folder, "makedumpfile")
    os.symlink(tool.path, name)
    run = tool.run("-x", plain, "-d", "31", other, out + "2", name=name)
    tap.equal(run.status, harness.MISMATCH, "makedumpfile -x refuses it: 2", run)
    run = tool.run("-x", plain, "-d", "31", core, out + "3", name=name)
    tap.equal(run.status, harness.OK, "makedumpfile -x takes the right one", run)


def check_hostile(tap, tool, folder, plain, core):
    """A vmlinux cut short, or with wrong bytes: an answer or one line, in time."""
    with open(plain, "rb") as f:
        data = f.read()
    path, bad = os.path.join(folder, "hostile"), []
    for i in harness.sample(range(60), 3, "vmlinux"):
        raw, rng = bytearray(data), random.Random(i)
        if i % 3 == 0:
            del raw[rng.randrange(len(raw)):]
        for _ in range(rng.choice((1, 20, len(raw) // 100)) if i % 3 else 0):
            raw[rng.randrange(64 if i % 2 else 4, len(raw))] = rng.choice((0, 1, 0x7f, 0x80, 0xff))
        with open(path, "wb") as f:
            f.write(raw)
        run, _ = told(tool, core, "tasks", "--vmlinux", path)
        if run.faults() or len(run.errors()) > 1 or run.seconds > tool.seconds(5):
            bad.append(str(run))
    tap.none(bad, "damaged files: an answer or one line each")


# ---- filter ----

KEYS = ("SIZE(page)", "OFFSET(page.flags)", "OFFSET(page.mapping)", "OFFSET(page._mapcount)",
        "OFFSET(page.private)", "OFFSET(page.compound_head)", "LENGTH(zone.free_area)", "NUMBER(PG_lru)",
        "NUMBER(PG_private)", "NUMBER(PG_swapcache)", "NUMBER(PG_slab)", "OFFSET(printk_info.ts_nsec)",
        "OFFSET(mem_section.section_mem_map)")


def check_completed(tap, tool, folder):
    text = kimage.Text(os.path.join(harness.DATA, "mem-all.txt"))
    image = kimage.Image(text, "6.1")
    lines = image.vmcoreinfo()
    blob = btfgen.from_facts(lines).blob()
    image.memory.write(image.symbol("no_line_names_this", len(blob), 4096), blob)
    image.map_image()
    path, out, wanted = os.path.join(folder, "machine"), os.path.join(folder, "filtered"), image.kept(31)
    image.write(path, lines)
    run = tool.filter("-f", path, out)
    tap.check(run.status == harness.OK and "lacks" not in run.err and
              kdumpread.Dump(out).kept() == wanted, "a complete VMCOREINFO: nothing is asked", run)
    for key in harness.sample(KEYS, 3, "completed"):
        image.write_notes(path, [line for line in lines if not line.startswith(key + "=")])
        run = tool.filter("-f", path, out)
        tap.check(run.status == harness.OK and not run.warnings() and
                  f"lacks what is known otherwise: {key} by BTF" in run.err and
                  kdumpread.Dump(out).kept() == wanted,
                  f"without {key}: by BTF, and the same pages are kept", run)


def test(tap, tool, folder):
    check_btf(tap, tool, folder)
    check_symbols(tap, tool, folder)
    check_missing(tap, tool, folder)
    check_lists(tap, tool, folder)
    check_broken_links(tap, tool, folder)
    check_modules(tap, tool, folder)
    check_asked(tap, tool, folder)
    check_dead(tap, tool, folder)
    check_hostile_types(tap, tool, folder)
    check_completed(tap, tool, folder)
    check_vmlinux(tap, tool, folder)


harness.main(test)
