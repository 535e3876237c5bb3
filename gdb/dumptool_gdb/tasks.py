# SPDX-License-Identifier: GPL-2.0-or-later
"""ps, $task(), $current(); names of threads."""
import gdb

from . import core, percpu

NO_TASKS = "the core file does not tell its tasks: dumptool tovelf writes one that does"


# ---- names of threads ----

def name_thread(thread, known):
    task = known.by_id.get(thread.ptid[1]) if known else None
    if task and task.name and thread.name != task.name:
        thread.name = task.name


def name_threads():
    known = core.refresh(quiet=True)
    if not known or not known.by_id:
        return
    for thread in gdb.selected_inferior().threads():
        name_thread(thread, known)


def on_new_thread(event):
    """Those of a core file that is opened when this is loaded already."""
    try:
        thread = event.inferior_thread
        known = core.refresh(quiet=True) if thread.num == 1 else core.current
        name_thread(thread, known)
    except (gdb.error, AttributeError, RuntimeError):
        pass


# ---- what is known of a task ----

class Parents:
    """pid of the parent of a task, where types tell."""

    def __init__(self, known):
        self.known = known
        self.parent, self.tgid = (core.offset_of("task_struct", m) for m in ("real_parent", "tgid"))

    def of(self, task):
        if None in (self.parent, self.tgid) or not task.addr:
            return "-"
        parent = self.known.read_word(task.addr + self.parent)
        pid = self.known.read_uint(parent + self.tgid, 4) if parent else None
        return "-" if pid is None else str(pid)


def wanted(task, words):
    return not words or task.name in words or str(task.pid) in words


class Ps(core.Command):
    """List the tasks of the kernel.
Usage: ps [PID|NAME]...

> marks those that ran on a CPU when the kernel stopped. The list is taken from the note that
dumptool tovelf wrote; PPID is known once a vmlinux with types is loaded."""

    name = "ps"

    def run(self, argument):
        known = core.open_core()
        words = gdb.string_to_argv(argument)
        if not known.notes.tasks:
            raise gdb.GdbError(NO_TASKS)
        parents, width = Parents(known), 2 * known.word
        found = [t for t in known.notes.tasks if wanted(t, words)]
        if not found:
            raise gdb.GdbError("there is no such task")
        gdb.write(f"      PID    PPID    TGID  CPU S  {'TASK':{width}}  COMM\n")
        for t in found:
            cpu = str(t.cpu) if t.cpu >= 0 else "?"
            gdb.write(f"{'>' if t.running else ' '} {t.pid:7} {parents.of(t):>7} {t.tgid:7} {cpu:>4} {t.state}  "
                      f"{t.addr:0{width}x}  {t.name}\n")


def task_value(addr):
    """A pointer to it, or its address where the type is not known."""
    kind = core.type_of("task_struct")
    value = gdb.Value(addr)
    return value.cast(kind.pointer()) if kind else value


class TaskFunction(core.Function):
    """$task(PID): the struct task_struct of a process or thread.

Without a vmlinux it is a number."""

    name = "task"

    def value(self, pid):
        known = core.open_core()
        task = known.by_pid.get(int(pid))
        if not known.notes.tasks:
            raise gdb.GdbError(NO_TASKS)
        if not task or not task.addr:
            raise gdb.GdbError(f"there is no task {int(pid)}")
        return task_value(task.addr)


class CurrentFunction(core.Function):
    """$current([CPU]): the struct task_struct that ran on a CPU; default: that of the selected thread.

Without a vmlinux it is a number."""

    name = "current"

    def value(self, cpu=None):
        known = core.open_core()
        number = percpu.cpu_of_thread(known) if cpu is None else int(cpu)
        for task in known.notes.tasks:
            if task.running and task.cpu == number and task.addr:
                return task_value(task.addr)
        value = percpu.variable(known, "runqueues", number)["curr"]
        return value.cast(value.type.unqualified())


def register():
    Ps()
    TaskFunction()
    CurrentFunction()
    name_threads()
    if hasattr(gdb.events, "new_thread"):
        gdb.events.new_thread.connect(on_new_thread)
