# SPDX-License-Identifier: GPL-2.0-or-later
"""percpu and $percpu(): variables that each CPU has a copy of."""
import re

import gdb

from . import core

NO_SYMBOLS = "per-CPU variables need the kernel's symbols: kernel-symbols VMLINUX loads them"


class Area:
    """Where gdb has the symbols of per-CPU variables, and how far that is from where the kernel has them."""

    def __init__(self, known):
        self.known = known
        self.start, self.end = core.address_of("__per_cpu_start"), core.address_of("__per_cpu_end")
        self.offsets = core.address_of("__per_cpu_offset")
        if self.offsets is None and core.address_of("_stext") is None:
            raise gdb.GdbError(NO_SYMBOLS)
        self.shift = 0
        if self.start is not None and not self.in_image(self.start):
            self.shift = self.start  # linked at 0 (x86-64 before 6.15), but moved with the rest

    @staticmethod
    def in_image(addr):
        start, end = core.address_of("_stext"), core.address_of("_end")
        return start is None or end is None or min(start, core.address_of("_text") or start) <= addr < end

    def holds(self, addr):
        return self.start is not None and self.end is not None and self.start <= addr < self.end

    def offset(self, cpu):
        """What is added to the address of a variable to get that of CPU's."""
        if self.offsets is None:  # of one CPU only
            if cpu:
                raise gdb.GdbError("this kernel has one CPU only")
            return 0
        if cpu not in cpus(self.known):
            raise gdb.GdbError(f"there is no CPU {cpu}")
        found = self.known.read_word(self.offsets + cpu * self.known.word)
        if found is None:
            raise gdb.GdbError(f"the area of CPU {cpu} cannot be found: __per_cpu_offset is not in the core file")
        return found

    def address(self, addr, cpu):
        if self.holds(addr):
            addr -= self.shift
        return addr + self.offset(cpu) & self.known.mask


def cpus(known):
    """The numbers of those that can be."""
    nr, mask = core.address_of("nr_cpu_ids"), core.address_of("__cpu_possible_mask")
    nr = known.read_uint(nr, 4) if nr is not None else None
    if nr is None or not 0 < nr <= 1 << 16:
        return range(1 << 16)
    words = [known.read_word(mask + i * known.word) if mask is not None else None
             for i in range((nr + 8 * known.word - 1) // (8 * known.word))]
    if None in words or not any(words):
        return range(nr)
    return [i for i in range(nr) if words[i // (8 * known.word)] >> i % (8 * known.word) & 1]


def cpu_of_thread(known):
    thread = gdb.selected_thread()
    task = known.by_id.get(thread.ptid[1]) if thread else None
    if not task or task.cpu < 0:
        raise gdb.GdbError("the CPU of this thread is not known: say which")
    return task.cpu


def at(value_type, addr):
    return gdb.Value(addr).cast(value_type.pointer()).dereference()


WORD = re.compile(r"([*&(]*)((?:'[^']*'::)?[A-Za-z_]\w*)(|\W.*)", re.S)


def variable(known, name, cpu):
    """The copy of CPU of what the expression NAME says: pointers are followed from there, not from the pattern."""
    try:
        m = WORD.fullmatch(name)
        first = core.address_of(m[2]) if m else None
        if first is not None and name != m[2] and Area(known).holds(first & known.mask):
            return gdb.parse_and_eval(f"{m[1]}$percpu({m[2]}, {cpu}){m[3]}")
        place = gdb.parse_and_eval(f"&({name})")
    except gdb.error as e:
        raise gdb.GdbError(f"{name}: {e}") from e
    return at(place.type.target(), Area(known).address(int(place) & known.mask, cpu))


def of_value(known, value, cpu):
    """The same of a value: a variable, or a pointer to one, which becomes a pointer."""
    area, kind = Area(known), value.type.strip_typedefs()
    if value.address is not None and (area.holds(int(value.address) & known.mask) or kind.code != gdb.TYPE_CODE_PTR):
        return at(value.type, area.address(int(value.address) & known.mask, cpu))
    if kind.code != gdb.TYPE_CODE_PTR:
        raise gdb.GdbError("neither a variable nor a pointer")
    return gdb.Value(area.address(int(value) & known.mask, cpu)).cast(value.type.unqualified())


class PercpuFunction(core.Function):
    """$percpu(VAR, [CPU]): a per-CPU variable of a CPU; default: that of the selected thread.

VAR is a variable, its name as a string, or a pointer to one (as alloc_percpu() gives it), which
becomes a pointer. It does not matter whether per-CPU symbols were moved with the others (KASLR)."""

    name = "percpu"

    def value(self, value, cpu=None):
        known = core.open_core()
        number = cpu_of_thread(known) if cpu is None else int(cpu)
        kind = value.type.strip_typedefs()
        if kind.code == gdb.TYPE_CODE_ARRAY and kind.target().sizeof == 1 and value.address is None:
            return variable(known, value.string(), number)
        return of_value(known, value, number)


class Percpu(core.Command):
    """Print a per-CPU variable of each CPU, or of one.
Usage: percpu VAR [CPU]

$percpu(VAR, CPU) is the same for expressions."""

    name = "percpu"

    def __init__(self):
        super().__init__(gdb.COMPLETE_SYMBOL)

    def run(self, argument):
        m = re.fullmatch(r"(.*\S)\s+([0-9]+)", argument)
        name, which = (m[1], [int(m[2])]) if m else (argument.strip(), None)
        if not name:
            raise gdb.GdbError("percpu VAR [CPU]: which variable?")
        known = core.open_core()
        if which is None:
            which = cpus(known) if core.address_of("__per_cpu_offset") is not None else [0]
            if isinstance(which, range) and len(which) == 1 << 16:
                raise gdb.GdbError("how many CPUs there are is not known: percpu VAR CPU")
        for cpu in which:
            value = variable(known, name, cpu)
            try:
                text = value.format_string()
            except gdb.error as e:
                text = f"<{e}>"
            gdb.write(f"CPU {cpu}: {text}\n")


def register():
    Percpu()
    PercpuFunction()
