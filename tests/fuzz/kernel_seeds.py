# SPDX-License-Identifier: GPL-2.0-or-later
"""Seeds for the targets that look at a small kernel (small_kernel.h): its table of symbols, its tasks, its
modules; for make_seeds.py."""
import struct

import kallsymsgen

KERNEL_MAP = 0xffffffff80000000


def facts(kind, **values):
    return "".join(f"{kind}({name.replace('__', '.')})={value}\n" for name, value in values.items())


def small_kernel(how, text, memory, arch=0):
    """An input of tests/fuzz/small_kernel.h."""
    return bytes([how | arch << 2]) + text.encode() + b"\0" + bytes(memory)


def kallsyms_seeds():
    """In each convention, told and found, in both orders and word sizes."""
    seeds = {}
    for how in range(4):
        order, word, base = "<>"[how & 1], 4 if how & 2 else 8, 0xc0000000 if how & 2 else KERNEL_MAP
        for convention in kallsymsgen.CONVENTIONS:
            for nr in (40, 700) if how < 2 or convention == "base" else (40,):
                names = [(base + 0x1000 + 8 * i, "tTdD"[i % 4], f"symbol_{i}") for i in range(nr)]
                names += [(base, "T", "_stext"), (base + 0x900, "D", "init_task"),
                          (base + 0x910, "D", "init_uts_ns")]
                if convention == "percpu":
                    names.append((0x30, "A", "a_percpu_one"))
                table = kallsymsgen.Table(names, order, word, convention, base)
                blob, where = table.build(base + 0x4000)
                text = f"SYMBOL(_stext)={base:x}\nSYMBOL(init_uts_ns)={base + 0x910:x}\n"
                if nr == 40:
                    text += kallsymsgen.vmcoreinfo(where)
                seeds[f"{convention}-{nr}-{how}"] = small_kernel(how, text, bytes(0x4000) + blob + bytes(0x4000 + len(blob)))
    return seeds


class Image:
    """Memory of a small kernel; words at addresses of it."""

    def __init__(self, how, size):
        self.word, self.form = (4, "I") if how & 2 else (8, "Q")
        self.order, self.base = "<>"[how & 1], 0xc0000000 if how & 2 else KERNEL_MAP
        self.data = bytearray(size)

    def put(self, addr, data):
        self.data[addr - self.base:addr - self.base + len(data)] = data

    def words(self, addr, *values):
        self.put(addr, struct.pack(f"{self.order}{len(values)}{self.form}", *values))

    def int(self, addr, value):
        self.put(addr, struct.pack(self.order + "I", value & 0xffffffff))

    def ring(self, nodes):
        for i, node in enumerate(nodes):
            self.words(node, nodes[(i + 1) % len(nodes)], nodes[i - 1])


TASK_FACTS = facts("OFFSET", task_struct__tasks=16, task_struct__pid=32, task_struct__tgid=36,
                   task_struct__comm=40, task_struct__stack=56, task_struct__signal=64,
                   task_struct__thread_node=72, signal_struct__thread_head=8, task_struct__exit_state=92,
                   task_struct__mm=96, mm_struct__pgd=0,
                   task_struct__on_cpu=104, task_struct__cpu=108, rq__curr=0, rq__idle=8,
                   pid_namespace__idr=8, idr__idr_rt__xa_head=8, xa_node__slots=16, pid__tasks=8,
                   task_struct__pid_links=120) + (
                       "OFFSET(task_struct.__state)=88\nOFFSET(xa_node.shift)=0\n")


def task_seeds():
    """Three processes, the second of two threads: whole, and with links that lead elsewhere."""
    seeds = {}
    saved = ("task_struct.thread.sp", "task_struct.thread.ksp", "task_struct.thread.reg03",
             "task_struct.thread.reg29", "task_struct.thread.cpu_context.sp")
    for arch in range(12):
        for how in range(4):
            m = Image(how, 0x3000)
            tasks = [m.base + 0x1000 + 0x100 * i for i in range(4)]
            for i, task in enumerate(tasks):
                m.int(task + 32, i)
                m.int(task + 36, min(i, 2))
                m.put(task + 40, b"task %d" % i)
                m.words(task + 56, m.base + 0x2000)
                m.words(task + 64, m.base + 0x1800 + 0x100 * min(i, 2))
                m.words(task + 112, m.base + 0x2800)
            m.ring([task + 16 for task in tasks[:3]])
            for i, members in enumerate(([0], [1], [2, 3])):
                m.ring([m.base + 0x1808 + 0x100 * i, *(tasks[t] + 72 for t in members)])
            text = (TASK_FACTS + f"SYMBOL(init_task)={tasks[0]:x}\nSYMBOL(_stext)={m.base:x}\n" +
                    f"OFFSET({saved[arch % 5]})=112\n")
            seeds[f"whole-{arch}-{how}"] = small_kernel(how, text, m.data, arch)
            if arch:
                continue
            # Numbers of tasks: a root of 64 numbers for each slot, and a leaf.
            ns, root, leaf, pids = (m.base + x for x in (0x2900, 0x2a00, 0x2c00, 0x2e00))
            m.words(ns + 16, root | 2)
            m.put(root, b"\6")
            m.words(root + 16, leaf | 2)
            for i, task in enumerate(tasks):
                m.words(leaf + 16 + m.word * i, pids + 32 * i)
                m.words(pids + 32 * i + 8, task + 120)
            text += f"SYMBOL(init_pid_ns)={ns:x}\n"
            seeds[f"none-{how}"] = small_kernel(how, text, bytes(1))
            m.words(tasks[1] + 16, m.base + 0x9000000)
            seeds[f"nowhere-{how}"] = small_kernel(how, text, m.data)
            m.words(tasks[1] + 16, tasks[0] + 16)
            seeds[f"cut-{how}"] = small_kernel(how, text, m.data)
            m.words(tasks[1] + 16, tasks[2] + 16, tasks[2] + 16)
            seeds[f"back-{how}"] = small_kernel(how, text, m.data)
    return seeds


MODULE_FACTS = facts("OFFSET", module__state=0, module__list=8, module__name=24, module__srcversion=80,
                     module__taints=88, module__kallsyms=96, mod_kallsyms__symtab=0,
                     mod_kallsyms__num_symtab=8, mod_kallsyms__strtab=16, mod_kallsyms__typetab=24,
                     module__notes_attrs=104, module_notes_attrs__attrs=16, module_notes_attrs__notes=8,
                     bin_attribute__attr__name=0, bin_attribute__size=8, bin_attribute__private=16,
                     kset__list=0, module__mkobj=176, module_kobject__kobj__entry=8,
                     module_kobject__mod=24, module_kobject__kobj__kset=32)


def module_seeds():
    """Two modules with symbols and a build-id, of each generation, told and found."""
    seeds = {}
    memory = (facts("OFFSET", module__mem=128, module_memory__base=0, module_memory__size=8) +
              "SIZE(module_memory)=16\nLENGTH(module.mem)=3\n",
              facts("OFFSET", module__core_layout=128, module__init_layout=144, module_layout__base=0,
                    module_layout__size=8),
              facts("OFFSET", module__module_core=128, module__core_size=136))
    for how in range(4):
        m = Image(how, 0x3000)
        head, modules = m.base + 0x100, [m.base + 0x2800 + 0x200 * i for i in range(2)]
        for i, module in enumerate(modules):
            m.put(module + 24, b"module_%d" % i)
            m.words(module + 80, m.base + 0x900, 1 << 12, m.base + 0xa00, m.base + 0xb00)
            m.words(module + 128, m.base + 0x1000, 0x800)
            m.words(module + 176 + 24, module)
            m.words(module + 176 + 32, m.base + 0x200)
        m.ring([m.base + 0x200, *(module + 176 + 8 for module in modules)])
        m.put(m.base + 0x900, b"ABCDEF0123456789")
        m.words(m.base + 0xa00, m.base + 0x1100)
        m.int(m.base + 0xa08, 2)
        m.words(m.base + 0xa10, m.base + 0x1200)
        m.words(m.base + 0xa18, m.base + 0x1300)
        m.put(m.base + 0x1200, b"\0a_name\0")
        m.int(m.base + 0x1100 + (16 if how & 2 else 24), 1)
        m.put(m.base + 0x1300, b"?t")
        m.int(m.base + 0xb08, 1)
        m.words(m.base + 0xb10, m.base + 0xc00)
        m.words(m.base + 0xb18, 36)
        m.words(m.base + 0xb20, m.base + 0xd00)
        m.put(m.base + 0xc00, b".note.gnu.build-id\0")
        m.put(m.base + 0xd00, struct.pack(m.order + "III4s", 4, 20, 3, b"GNU") + bytes(range(20)))
        m.ring([head, *(module + 8 for module in modules)])
        for era, more in enumerate(memory):
            text = MODULE_FACTS + more + "SIZE(bin_attribute)=32\n" + f"SYMBOL(_stext)={m.base:x}\n"
            seeds[f"told-{era}-{how}"] = small_kernel(how, text + f"SYMBOL(modules)={head:x}\n", m.data)
        seeds[f"found-{how}"] = small_kernel(how, text, m.data)
        m.words(modules[0] + 8, 0, 0)
        seeds[f"gone-{how}"] = small_kernel(how, text + f"SYMBOL(modules)={head:x}\n", m.data)
        m.words(modules[0] + 8, head, head)
        seeds[f"cut-{how}"] = small_kernel(how, text + f"SYMBOL(modules)={head:x}\n", m.data)
    return seeds
