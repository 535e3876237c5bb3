# SPDX-License-Identifier: GPL-2.0-or-later
"""lsmod, modsyms."""
import atexit
import os
import shutil
import tempfile

import gdb

from . import core, elf, notes, vmlinux

MAX_MODULES, MAX_SECTIONS = 1 << 14, 1 << 12
NO_MODULES = ("the modules are not known: dumptool tovelf writes down those that the dump tells, and a vmlinux with "
              "types (kernel-symbols) tells them, too")
SUFFIXES = (".ko", ".ko.debug", ".debug")
PACKED = (".ko.xz", ".ko.zst", ".ko.gz")


# ---- the list ----

def member(value, *names):
    """The first of NAMES that VALUE, a structure, has; or None."""
    fields = {f.name for f in value.type.strip_typedefs().fields()}
    name = next((n for n in names if n in fields), None)
    return value[name] if name else None


def text_of(module):
    """Where the first text section of a struct module is: mem[] since 6.4, core_layout since 4.5."""
    memory = member(module, "mem")
    if memory is not None:
        return int(memory[0]["base"]), sum(int(memory[i]["size"]) for i in range(memory.type.range()[1] + 1))
    layout = member(module, "core_layout")
    if layout is not None:
        data = member(module, "data_layout")
        return int(layout["base"]), int(layout["size"]) + (int(data["size"]) if data is not None else 0)
    return int(module["module_core"]), int(module["core_size"])


def users_of(module):
    """(count, names) of those that use it."""
    count = member(module, "refcnt")
    if count is not None and count.type.strip_typedefs().code == gdb.TYPE_CODE_STRUCT:
        count = int(count["counter"]) - 1  # one is the module's own
    return None if count is None else int(count)


class Typed(notes.Module):
    """A module by its struct module."""

    def __init__(self, known, value):
        self.value, self.addr = value, int(value.address) & known.mask
        self.name = known.read_string(int(value["name"].address) & known.mask, 64)
        text, self.size = text_of(value)
        self.text, self.build_id, self.users = text & known.mask, None, users_of(value)


def walk(known):
    """Those that the kernel's list has, newest first."""
    kind, head = core.type_of("module"), core.address_of("modules")
    offset = core.offset_of("module", "list")
    if kind is None or head is None or offset is None:
        return
    seen, node = {head}, known.read_word(head)
    while node not in seen and len(seen) < MAX_MODULES:
        if node is None:
            gdb.write("warning: the list of modules leads to memory that is not there: the rest is missing\n")
            return
        seen.add(node)
        try:
            yield Typed(known, gdb.Value(node - offset & known.mask).cast(kind.pointer()).dereference())
        except (gdb.error, OverflowError) as e:
            gdb.write(f"warning: the module at {node - offset & known.mask:#x} cannot be read: {e}\n")
        node = known.read_word(node)
    if node != head:
        gdb.write("warning: the list of modules does not come back to its head: some may be missing\n")


def all_modules(known):
    noted = {m.addr: m for m in known.notes.modules}
    found = list(walk(known)) or known.notes.modules
    for m in found:
        if m.build_id is None and m.addr in noted:
            m.build_id = noted[m.addr].build_id
    if not found and core.address_of("modules") is None:
        raise gdb.GdbError(NO_MODULES)
    return found


class Lsmod(core.Command):
    """List the loaded modules.
Usage: lsmod

ADDRESS is where their text begins; SIZE is all of their memory. How often each is used is known once
a vmlinux with types is loaded (kernel-symbols); without it the list is what dumptool tovelf noted."""

    name = "lsmod"

    def run(self, argument):
        known = core.open_core()
        width, found = 2 * known.word, all_modules(known)
        gdb.write(f"{'ADDRESS':{width}}      SIZE USED  MODULE\n")
        for m in found:
            gdb.write(f"{m.text:0{width}x} {m.size:9} {'-' if m.users is None else m.users:>4}  {m.name}\n")


# ---- where their sections are ----

def sect_attrs(known, module):
    """{section: address} by what is in /sys/module/NAME/sections; {} where the kernel has no such."""
    attrs = member(module.value, "sect_attrs")
    if attrs is None or not int(attrs):
        return {}
    array, found = attrs["attrs"], {}
    count = member(attrs.dereference(), "nsections")
    ends = None if count is not None else list_of(attrs["grp"])
    for i in range(min(int(count), MAX_SECTIONS) if count is not None else MAX_SECTIONS):
        if ends is not None and not int(ends[i]):
            break
        entry = array[i]
        inner, addr = member(entry, "battr", "mattr", "attr"), member(entry, "address", "private")
        name = member(inner, "attr") if inner is not None else None
        name = (name if name is not None else inner)["name"]
        found[known.read_string(int(name) & known.mask)] = int(addr) & known.mask
    return found


def list_of(group):
    """The list of a group's attributes, which ends with NULL (since 6.14 it alone tells how many there are)."""
    found = member(group, "bin_attrs_new", "bin_attrs", "attrs")
    if found is None:  # in a union without a name
        found = group["bin_attrs"]
    return found


def first_text(file):
    """{section: offset} of the text of a module, as the kernel lays it out: the only guess that is safe."""
    found, at = {}, 0
    for s in file.sections:
        if s.flags & elf.SHF_ALLOC and s.flags & elf.SHF_EXECINSTR and not s.name.startswith(".init"):
            at = at + max(s.align, 1) - 1 & ~(max(s.align, 1) - 1)
            found[s.name] = at
            at += s.size
    return found


def build_id_of(known, places):
    """By the note in memory."""
    at = places.get(".note.gnu.build-id")
    head = known.read(at, 16) if at else None
    if not head:
        return None
    size = int.from_bytes(head[4:8], "little" if known.order == "<" else "big")
    data = known.read(at + 16, size) if head[12:15] == b"GNU" and 0 < size <= 64 else None
    return data.hex() if data else None


# ---- their files ----

def plain(name):
    return name.replace("-", "_")


def file_name(name):
    return next((plain(name[:-len(s)]) for s in SUFFIXES + PACKED if name.endswith(s)), None)


class Files:
    """Debug files of modules: by build-id, else by name in the folders of the release."""

    def __init__(self, known, folders):
        self.by_name, self.packed = {}, {}
        self.folders, self.given = [], folders
        for d in folders:
            self.folders.append(d)
        if known.release and "/" not in known.release:
            for d in folders + vmlinux.debug_folders() + ["/usr/lib/debug"]:
                self.folders.append(os.path.join(d, "lib/modules", known.release))
            self.folders.append(os.path.join("/lib/modules", known.release))
        self.walked = False

    def walk(self):
        self.walked = True
        for top in dict.fromkeys(self.folders):
            for folder, _, names in os.walk(top):
                for name in names:
                    module = file_name(name)
                    if module:
                        table = self.packed if name.endswith(PACKED) else self.by_name
                        table.setdefault(module, []).append(os.path.join(folder, name))

    def find(self, name, build_id):
        """(path, None), or (None, why not)."""
        for path in vmlinux.by_build_id(build_id):
            if os.path.isfile(path):
                return path, None
        for folder in self.given:
            path = os.path.join(folder, ".build-id", (build_id or "")[:2], (build_id or "")[2:] + ".debug")
            if build_id and os.path.isfile(path):
                return path, None
        if not self.walked:
            self.walk()
        other = None
        for path in self.by_name.get(plain(name), []):
            try:
                found = vmlinux.id_of(path)
            except elf.ElfError:
                continue
            if not build_id or not found or build_id == found:
                return path, None
            other = f"{path} has another build-id"
        packed = self.packed.get(plain(name))
        return None, other or (f"{packed[0]} is compressed: unpack it, and name its folder with -d" if packed
                               else "no file")


# ---- modsyms ----

def quote(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def places_in(known, module, file):
    """{section of FILE: address}: what gdb is told."""
    real = sect_attrs(known, module) if isinstance(module, Typed) else {}
    if not real:
        real = {name: module.text + at for name, at in first_text(file).items()}
    kept = {s.name for s in file.sections if s.flags & elf.SHF_ALLOC and s.size}
    places = {n: a for n, a in real.items() if n in kept and not n.startswith(".init")}
    percpu = member(module.value, "percpu") if isinstance(module, Typed) else None
    if percpu is not None and int(percpu) and ".data..percpu" in kept:
        places[".data..percpu"] = int(percpu) & known.mask
    return places


COPIES = {}  # {file: its copy}


def placeable(path, file):
    """PATH, or a copy of it in which no section has an address of its own.

    Modules of some kernels (6.12 of Debian) are linked so that .data begins at 0x1a0: of a file with such
    a section gdb takes all but the first section's place for unknown (symfile.c, default_symfile_offsets())."""
    if file.type != elf.ET_REL or not any(s.addr for s in file.sections if s.flags & elf.SHF_ALLOC):
        return path
    if path not in COPIES:
        if not COPIES:
            COPIES[None] = tempfile.mkdtemp(prefix="dumptool-gdb.")
            atexit.register(shutil.rmtree, COPIES[None], ignore_errors=True)
        copy = os.path.join(COPIES[None], f"{len(COPIES)}-{os.path.basename(path)}")
        shutil.copyfile(path, copy)
        with open(copy, "r+b") as f:
            for at, width in file.address_fields():
                f.seek(at)
                f.write(bytes(width))
        COPIES[path] = copy
    return COPIES[path]


def load(known, module, path):
    """add-symbol-file; the number of sections."""
    with elf.Elf(path) as file:
        places = places_in(known, module, file)
        path = placeable(path, file)
    text = places.pop(".text", None)
    words = [quote(path)] + ([hex(text)] if text is not None else [])
    for name, addr in places.items():
        words += ["-s", name, hex(addr)]
    if len(words) == 1:
        raise elf.ElfError(f"{path}: none of its sections is in memory")
    gdb.execute("add-symbol-file " + " ".join(words), to_string=True)
    return len(places) + (text is not None)


class Modsyms(core.Command):
    """Load the symbols of the loaded modules, at the addresses of their sections.
Usage: modsyms [-d FOLDER]... [MODULE]...

Debug files are looked for by build-id in the folders that debug-file-directory names, and by name in
lib/modules/RELEASE of these, of /usr/lib/debug and of /. -d FOLDER is looked through first. Where
sections are is what the kernel says of them, which takes a vmlinux with types (kernel-symbols);
without that only text is placed. What is found nowhere is listed."""

    name = "modsyms"

    def __init__(self):
        super().__init__(gdb.COMPLETE_NONE)

    def run(self, argument):
        known, words, folders = core.open_core(), gdb.string_to_argv(argument), []
        while len(words) > 1 and words[0] == "-d":
            folders.append(os.path.abspath(os.path.expanduser(words[1])))
            words = words[2:]
        if words and words[0].startswith("-"):
            raise gdb.GdbError("modsyms [-d FOLDER]... [MODULE]...")
        wanted = {plain(w) for w in words}
        found = all_modules(known)
        unknown = wanted - {plain(m.name) for m in found}
        if unknown:
            raise gdb.GdbError(f"not loaded: {' '.join(sorted(unknown))}")
        self.load_all(known, [m for m in found if not wanted or plain(m.name) in wanted], Files(known, folders))

    def load_all(self, known, found, files):
        missing, loaded, before = {}, 0, {o.filename for o in gdb.objfiles()}
        for m in found:
            try:
                real = sect_attrs(known, m) if isinstance(m, Typed) else {}
                path, why = files.find(m.name, m.build_id or build_id_of(known, real))
                if path and not before & {path, os.path.realpath(path), COPIES.get(path)}:
                    load(known, m, path)
                loaded += path is not None
            except (elf.ElfError, gdb.error, OverflowError) as e:
                path, why = None, str(e)
            if not path:
                missing[m.name] = why
        gdb.write(f"symbols of {loaded} of {len(found)} modules\n")
        for name, why in missing.items():
            gdb.write(f"  not of {name}: {why}\n")
        if missing:
            gdb.write(f"The debug package of kernel {known.release} has them; set debug-file-directory, or -d FOLDER, "
                      "says where it was unpacked\n")


def register():
    Lsmod()
    Modsyms()
