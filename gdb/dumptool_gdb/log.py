# SPDX-License-Identifier: GPL-2.0-or-later
"""dmesg."""
import gdb

from . import core, printk


class Dmesg(core.Command):
    """Print the kernel's log.
Usage: dmesg

The log buffer is found by VMCOREINFO in the core file, so that no vmlinux is needed; where that
does not tell, by symbols."""

    name = "dmesg"

    def run(self, argument):
        if argument:
            raise gdb.GdbError("dmesg takes no argument")
        try:
            for line in printk.log_lines(core.open_core()):
                gdb.write(line + "\n")
        except printk.LogError as e:
            raise gdb.GdbError(f"dmesg: {e}") from e
