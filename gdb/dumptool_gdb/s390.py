# SPDX-License-Identifier: GPL-2.0-or-later
"""The end of stacks of s390 kernels: gdb takes it for an error, at which commands for all threads stop.

These kernels are built with a back chain (arch/s390/Makefile, -mbackchain): it is 0 in the frame of the code that a
task began with. Where in a frame it is depends on how the kernel was built (struct stack_frame)."""
import gdb

from . import core, unwind

EM_S390 = 22
active = None


class EndUnwinder(unwind.CoreUnwinder):
    def __init__(self, known):
        super().__init__("dumptool-s390", known)
        self.chain = None
        self.refresh()

    def refresh(self):
        if self.chain is None:
            self.chain = core.offset_of("stack_frame", "back_chain")

    def unwind(self, pending):
        sp, pc = (int(pending.read_register(name)) & self.known.mask for name in ("r15", "pswa"))
        if pc and (self.chain is None or self.known.read_word(sp + self.chain) != 0):
            return None
        # An id below that of the frame before, or the same one again: here gdb stops.
        return unwind.saved(pending, sp, pc, {"r15": sp, "pswa": 0})


def on_core(known):
    global active
    active = EndUnwinder(known) if known and known.machine == EM_S390 else None
    if active:
        unwind.use(active)


def on_objfile(_):
    """Types are looked for when they are loaded: never while gdb unwinds."""
    if active:
        active.refresh()


def register():
    core.watchers.append(on_core)
    gdb.events.new_objfile.connect(on_objfile)
