# SPDX-License-Identifier: GPL-2.0-or-later
"""kernel-symbols: a vmlinux at the addresses that the kernel ran at."""
import os

import gdb

from . import core, elf

PLACES = ["/usr/lib/debug/boot/vmlinux-{r}", "/usr/lib/debug/lib/modules/{r}/vmlinux",
          "/lib/modules/{r}/build/vmlinux", "/boot/vmlinux-{r}"]


def debug_folders():
    """What debug-file-directory says."""
    return [d for d in (gdb.parameter("debug-file-directory") or "").split(os.pathsep) if d]


def by_build_id(build_id):
    """Files that may be the debug file of it."""
    if build_id and len(build_id) > 2:
        for folder in debug_folders():
            yield os.path.join(folder, ".build-id", build_id[:2], build_id[2:] + ".debug")


def id_of(path):
    with elf.Elf(path) as file:
        return file.build_id()


def fits(known, path):
    """Is the file at PATH the kernel of the dump?"""
    try:
        wanted = known.notes.vmcoreinfo.get("BUILD-ID")
        return os.path.isfile(path) and (not wanted or id_of(path) in (None, wanted))
    except elf.ElfError:
        return False


def find_vmlinux(known):
    """In the usual places, or None."""
    places = list(by_build_id(known.notes.vmcoreinfo.get("BUILD-ID")))
    if known.release and "/" not in known.release:
        for folder in debug_folders():
            places += [os.path.join(folder, "boot/vmlinux-" + known.release),
                       os.path.join(folder, "lib/modules", known.release, "vmlinux")]
        places += [p.format(r=known.release) for p in PLACES]
    return next((p for p in places if fits(known, p)), None)


def offset_of(known, linked):
    """How far the kernel was moved, given where it is LINKED; or None."""
    ran = known.notes.fact("SYMBOL", "_stext")
    if ran is not None and "_stext" in linked:
        return ran - linked["_stext"] & known.mask
    try:
        return int(known.notes.vmcoreinfo["KERNELOFFSET"], 16) & known.mask
    except (KeyError, ValueError):
        return None


def add_symbols(known, path):
    """Load them, and say what was done."""
    with elf.Elf(path) as file:
        if (file.word, file.order, file.machine) != (known.word, known.order, known.machine):
            raise gdb.GdbError(f"{path}: is of another machine than the core file")
        wanted, found = known.notes.vmcoreinfo.get("BUILD-ID"), file.build_id()
        if wanted and found and wanted != found:
            raise gdb.GdbError(f"{path}: is not the kernel of the dump: its build-id is {found}, the dump's {wanted}")
        offset = offset_of(known, file.symbols(["_stext"]))
        percpu = file.section(".data..percpu")
    if offset is None:
        print("warning: where the kernel was is not known: its symbols are not moved")
        offset = 0
    # Per-CPU symbols that count from 0 (x86-64 before 6.15) do not move with the kernel.
    keep = " -s .data..percpu 0" if offset and percpu and not percpu.addr else ""
    quoted = path.replace("\\", "\\\\").replace('"', '\\"')
    gdb.execute(f'add-symbol-file "{quoted}" -o {offset:#x}{keep}', to_string=True)
    print(f"{path}: symbols of the kernel, {hex(offset)} above where they are linked")


class KernelSymbols(core.Command):
    """Load a vmlinux with debug information at the addresses that the kernel ran at (KASLR).
Usage: kernel-symbols [VMLINUX]

How far it was moved is told by the core file. Per-CPU symbols stay where they are if they count
from 0. Without VMLINUX, or where there is no file vmlinux of that name alone, the one of the dump
is looked for by its build-id in debug-file-directory, and by its release in the usual places."""

    name = "kernel-symbols"

    def __init__(self):
        super().__init__(gdb.COMPLETE_FILENAME)

    def run(self, argument):
        known, path = core.refresh(), os.path.expanduser(argument.strip())
        if path in ("", "vmlinux") and not (path and os.path.exists(path)):
            path = find_vmlinux(known)
            if not path:
                raise gdb.GdbError(f"there is no vmlinux of {known.release or 'this kernel'} in the usual places, nor "
                                   "in debug-file-directory: its debug package has one")
        path = os.path.abspath(path)
        add_symbols(known, path)
        known.check_symbols()
