# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything that is added to gdb."""
from . import arm64, log, modules, percpu, s390, tasks, vmlinux


def register():
    arm64.register()
    s390.register()
    log.Dmesg()
    vmlinux.KernelSymbols()
    percpu.register()
    tasks.register()
    modules.register()
