# SPDX-License-Identifier: GPL-2.0-or-later
"""The core file that gdb has open: its notes, its memory, and what symbols and types say of its kernel."""
import os
import re

import gdb

from . import elf, notes

NO_CORE = "there is no core file: core-file FILE opens one"


def core_name():
    """The file of the selected inferior, or None. gdb tells it to people only."""
    try:
        text = gdb.execute("info files", to_string=True)
    except gdb.error:
        return None
    m = re.search(r"^Local core dump file:\n\t[`'\"](.*)['\"], file type [^\n]*\.$", text, re.M)
    return m[1] if m else None


class Core:
    def __init__(self, path):
        self.path, self.stamp = path, stamp(path)
        with elf.Elf(path) as file:
            self.word, self.order, self.machine = file.word, file.order, file.machine
            self.notes = notes.Notes(file)
        self.mask = (1 << 8 * self.word) - 1
        self.by_id = {t.id: t for t in self.notes.tasks}
        self.by_pid = {t.pid: t for t in self.notes.tasks if t.pid > 0}
        self.warned = False

    # ---- facts: the dump's own word first, then that of symbols ----

    def symbol(self, name):
        found = self.notes.fact("SYMBOL", name)
        return address_of(name) if found is None else found & self.mask

    def offset(self, name):
        found = self.notes.fact("OFFSET", name)
        return offset_of(*name.split(".", 1)) if found is None else found

    def size(self, name):
        found = self.notes.fact("SIZE", name)
        if found is None:
            kind = type_of(name)
            found = kind.sizeof if kind else None
        return found

    @property
    def release(self):
        return self.notes.vmcoreinfo.get("OSRELEASE", "")

    # ---- memory ----

    @staticmethod
    def read(at, size):
        """Bytes, or None where not all of them are there."""
        try:
            return bytes(gdb.selected_inferior().read_memory(at, size))
        except (gdb.error, OverflowError, ValueError):
            return None

    def read_uint(self, at, size):
        data = self.read(at, size)
        return None if data is None else int.from_bytes(data, "little" if self.order == "<" else "big")

    def read_word(self, at):
        return self.read_uint(at, self.word)

    def read_string(self, at, limit=256):
        data = self.read(at, limit) or b""
        for i in range(0 if data else limit):  # it may end where memory does
            byte = self.read(at + i, 1)
            if not byte or byte == b"\0":
                break
            data += byte
        return notes.printable(data.split(b"\0")[0])

    def check_symbols(self):
        """Warn once of symbols that stand where the kernel would be without KASLR."""
        ran, here = self.notes.fact("SYMBOL", "_stext"), address_of("_stext")
        if self.warned or ran is None or here is None or ran & self.mask == here:
            return
        self.warned = True
        print(f"warning: the kernel's symbols are {hex((ran & self.mask) - here)} away from where they were: "
              "kernel-symbols VMLINUX loads them at their addresses")


def stamp(path):
    try:
        st = os.stat(path)
        return st.st_dev, st.st_ino, st.st_size, st.st_mtime_ns
    except OSError:
        return None


current = None
watchers = []  # called with each core file that is opened


def refresh(quiet=False):
    """The open core file, read again if it is another one; None where QUIET, or an error."""
    global current
    path = core_name()
    if path is None:
        current = None
    elif current is None or current.path != path or current.stamp != stamp(path):
        try:
            current = Core(path)
        except elf.ElfError as e:
            current = None
            if not quiet:
                raise gdb.GdbError(str(e)) from e
        for watcher in watchers:
            watcher(current)
    if current is None and not quiet:
        raise gdb.GdbError(NO_CORE)
    return current


def open_core():
    """The core file, for a command."""
    core = refresh()
    core.check_symbols()
    return core


# ---- symbols and types ----

def address_of(name):
    """Of a variable or function, by gdb's symbols; or None."""
    try:
        return int(gdb.parse_and_eval(f"(unsigned long)&{name}"))
    except (gdb.error, OverflowError):
        return None


def type_of(name):
    """struct NAME, or the type of that name; or None."""
    for kind in ("struct " + name, name):
        try:
            return gdb.lookup_type(kind)
        except gdb.error:
            pass
    return None


def offset_of(name, member):
    """Bytes from the start of struct NAME; through members without a name, too; or None."""
    kind = type_of(name)
    return find_member(kind, member, 4) if kind else None


def find_member(kind, member, depth):
    if kind.strip_typedefs().code not in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
        return None
    for field in kind.strip_typedefs().fields():
        if not hasattr(field, "bitpos"):
            continue
        if field.name == member:
            return field.bitpos // 8
        if not field.name and depth:
            inner = find_member(field.type, member, depth - 1)
            if inner is not None:
                return field.bitpos // 8 + inner
    return None


# ---- commands ----

FAILURES = (gdb.error, elf.ElfError, OSError, OverflowError, ValueError, LookupError)


def told(name, run, *arguments):
    """RUN, of which gdb tells a failure in one line."""
    try:
        return run(*arguments)
    except gdb.GdbError:
        raise
    except FAILURES as e:
        raise gdb.GdbError(f"{name}: {e}") from e


class Command(gdb.Command):
    """A command whose help text is its doc string; run() does it."""

    name = ""

    def __init__(self, completer=gdb.COMPLETE_NONE):
        super().__init__(self.name, gdb.COMMAND_DATA, completer)

    def invoke(self, argument, from_tty):
        self.dont_repeat()
        told(self.name, self.run, argument)

    def run(self, argument):
        raise NotImplementedError


class Function(gdb.Function):
    """The same for $name(): value() gives it."""

    name = ""

    def __init__(self):
        super().__init__(self.name)

    def invoke(self, *arguments):
        return told("$" + self.name, self.value, *arguments)
