# SPDX-License-Identifier: GPL-2.0-or-later
"""What unwinders share."""
import gdb
from gdb.unwinder import Unwinder, register_unwinder

from . import core


class FrameId:
    """gdb has a class of this name since 14."""

    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


def saved(pending, sp, pc, registers):
    """What gdb is told: the frame's id by SP and PC, and the REGISTERS of its caller, {name: number}."""
    info = pending.create_unwind_info(FrameId(gdb.Value(sp), gdb.Value(pc)))
    for name, number in registers.items():
        info.add_saved_register(name, gdb.Value(number).cast(pending.read_register(name).type))
    return info


class CoreUnwinder(Unwinder):
    """Of one core file; unwind() may fail."""

    def __init__(self, name, known):
        super().__init__(name)
        self.known = known

    def __call__(self, pending):
        if core.current is not self.known:
            return None
        try:
            return self.unwind(pending)
        except core.FAILURES + (AttributeError,):
            return None

    def unwind(self, pending):
        raise NotImplementedError


def use(unwinder):
    register_unwinder(None, unwinder, replace=True)
    gdb.invalidate_cached_frames()
