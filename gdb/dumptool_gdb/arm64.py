# SPDX-License-Identifier: GPL-2.0-or-later
"""Stacks of arm64 kernels that sign return addresses (PAC), for a gdb before 14.

That gdb takes the signature off an address of the kernel as if it were one of a process: the bits become 0, where 1 is
meant, and the stack ends there. Here frames whose return address is signed are unwound by the same information
that gdb would use; where there is none (assembly, modules without symbols), by the chain of frame records, which all
arm64 kernels keep. gdb does the rest.
"""
import gdb

from . import cfi, core, elf, unwind

EM_AARCH64, FP, LR, SP = 183, 29, 30, 31
CALLEE_SAVED = range(19, 29)
KERNEL_BIT = 1 << 55  # of two halves of the address space: which


class Frame:
    """A frame that is to be unwound: its registers, as numbers."""

    def __init__(self, pending, mask):
        self.pending, self.mask = pending, mask
        self.pc, self.sp, self.fp = self.register("pc"), self.register("sp"), self.register("x29")
        level = getattr(pending, "level", None)
        self.top = level is not None and level() == 0

    def register(self, name):
        return int(self.pending.read_register(name)) & 0xffffffffffffffff

    def of_number(self, number):
        return self.sp if number == SP else self.register(f"x{number}")

    def strip(self, addr):
        return addr | self.mask if addr & KERNEL_BIT else addr & ~self.mask

    def last(self):
        """There is no caller."""
        return unwind.saved(self.pending, self.sp, self.pc, {"pc": 0, "sp": self.sp})


class Tables:
    """The call frame information of the kernel's own file, and how far it was moved."""

    MARK = "init_task"  # all kernels have it; debug information lets functions begin behind what ftrace patches

    def __init__(self):
        self.table, self.shift, self.path, self.linked = None, None, None, 0

    def refresh(self):
        files = [o.filename for o in gdb.objfiles() if o.filename]
        self.shift = None
        if self.path in files:
            return
        self.path = self.table = None
        for path in files:
            try:
                with elf.Elf(path) as file:
                    linked = file.symbols([self.MARK]).get(self.MARK) if file.machine == EM_AARCH64 else None
                    if linked is not None:
                        self.path, self.linked, self.table = path, linked, cfi.Table(file)
                        return
            except elf.ElfError:
                pass

    def find(self, pc):
        """By a symbol that is found without a frame: gdb is unwinding. It moves symbols after it has told of them."""
        if self.table and self.shift is None:
            symbol = gdb.lookup_global_symbol(self.MARK)
            self.shift = int(symbol.value().address) - self.linked if symbol else None
        if not self.table or self.shift is None:
            raise cfi.CfiError("no vmlinux")
        start, rules = self.table.find(pc - self.shift)
        return start + self.shift, rules


class PacUnwinder(unwind.CoreUnwinder):
    """It is gdb that unwinds the first frame where that is not signed. All others are unwound here: gdb would miss
    a register of its own, which has no name, in frames that follow one of ours."""

    def __init__(self, known, mask):
        super().__init__("dumptool-pac", known)
        self.mask, self.tables = mask, Tables()

    def unwind(self, pending):
        frame = Frame(pending, self.mask)
        found = self.caller(frame) if frame.pc & KERNEL_BIT else None
        return found if found or frame.top or not frame.pc else frame.last()

    def caller(self, frame):
        try:
            # A call may be the last instruction of its function: what counts is before the return address.
            start, rules = self.tables.find(frame.pc - (not frame.top))
        except cfi.CfiError:
            return self.by_record(frame)
        return None if frame.top and not rules.signed else self.by_rules(frame, start, rules)

    def by_rules(self, frame, start, rules):
        if rules.register is None:
            return None
        cfa = frame.of_number(rules.register) + rules.offset
        registers = {}
        for number in (*CALLEE_SAVED, FP, LR):
            if number in rules.saved:
                found = self.known.read_word(cfa + rules.saved[number])
                if found is None:
                    return None
                registers[f"x{number}"] = found
            else:
                registers[f"x{number}"] = frame.of_number(number)
        registers["x30"] = frame.strip(registers["x30"])
        return unwind.saved(frame.pending, cfa, start, {**registers, "sp": cfa, "pc": registers["x30"]})

    def by_record(self, frame):
        """Frame records: x29 points to the caller's x29 and the return address. The caller's stack pointer is where its
        own record is, but for functions that put arguments on the stack."""
        fp, lr = self.known.read_word(frame.fp), self.known.read_word(frame.fp + 8)
        if fp is None or lr is None or frame.fp & 7 or not frame.fp & KERNEL_BIT:
            return None
        pc = frame.strip(lr) if lr else 0  # the last record has neither
        if pc and not pc & KERNEL_BIT:
            return None
        return unwind.saved(frame.pending, frame.fp, frame.pc,
                            {"x29": fp, "sp": fp or frame.fp + 16, "x30": pc, "pc": pc})


def mask_of(known):
    """Which bits are a signature: by the note of the core, or 0."""
    try:
        return int(known.notes.vmcoreinfo.get("NUMBER(KERNELPACMASK)", "0"), 0) & known.mask
    except ValueError:
        return 0


active = None


def on_core(known):
    """Another core file was opened: unwind for it, if that is what it takes."""
    global active
    active = None
    if known and known.machine == EM_AARCH64 and mask_of(known) and int(gdb.VERSION.split(".")[0]) < 14:
        active = PacUnwinder(known, mask_of(known))
        active.tables.refresh()
        unwind.use(active)


def on_objfile(_):
    if active:
        active.tables.refresh()


def register():
    core.watchers.append(on_core)
    gdb.events.new_objfile.connect(on_objfile)
