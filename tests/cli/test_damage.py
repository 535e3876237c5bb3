#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Damaged and hostile input: cut off anywhere, header fields at extremes, random damage, a memory
map full of lies. ../lib/damage.py says what each run is judged by."""
import os
import random
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import elfgen
import harness
import kdumpread
import kimage
from damage import cuts, extremes, judged, put, report, spoil


def described(name, path):
    """Build the core NAME; its description and bytes."""
    text = elfgen.Description(os.path.join(harness.DATA, f"elf-{name}.txt"))
    text.build(path)
    with open(path, "rb") as f:
        return text, f.read()


# ---- cut off ----

def note_edges(data, order, start, size):
    """Where each note begins, where its name and its description do."""
    edges, at = [], start
    while at + 12 <= start + size:
        namesz, descsz = struct.unpack_from(order + "II", data, at)
        edges += [at, at + 12, at + 12 + elfgen.align(namesz, 4)]
        at += 12 + elfgen.align(namesz, 4) + elfgen.align(descsz, 4)
    return edges + [at]


def edges_of(core, data):
    """Every place of a core at which a structure begins or ends."""
    edges = [0, 4, 16, core.ehdr_size, len(data)]
    phoff = core.ehdr_size if core.phoff is None else core.phoff
    edges += [phoff + i * core.phdr_size for i in range(min(len(core.segments), 20) + 1)]
    if core.shoff:
        edges += [core.shoff, core.shoff + core.shdr_size]
    for s in core.segments[:20]:
        edges += [s.offset, s.offset + s.filesz, s.offset + s.filesz // 2]
        if s.kind == elfgen.PT_NOTE:
            edges += note_edges(data, core.order, s.offset, s.filesz)
    return edges


def cut_core(judge, path, name):
    text, data = described(name, path)
    for size in cuts(edges_of(text.core, data), len(data)):
        os.truncate(path, size)
        judge.filter(f"{name} cut to {size} bytes", path)
        judge.look(f"{name} cut to {size} bytes", path, "inspect", "--json")


def check_cut(tap, tool, folder):
    names = ("vmcore64", "qemu64", "be32", "overlap", "phdrs-last", "xnum-few")
    report(tap, "cores cut off at every edge", judged(tool, folder, names, cut_core))


def tiny(seed=1, **form):
    return kimage.Image(kimage.Text(os.path.join(harness.DATA, "mem-tiny.txt")), "6.16",
                        vmemmap="4k", seed=seed, **form)


def machine_cuts(image, path):
    """At edges, and between the structures that filtering needs."""
    with open(path, "rb") as f:
        data = f.read()
    edges = edges_of(image.core(len(image.note_bytes())), data)
    edges += [image.offset(pfn * 4096) + 100
              for pfn in range(image.text.pool[0], image.pool_next // 4096 + 1, 5)]
    return harness.sample(cuts(edges, len(data)), 2, "machine")


def cut_machine(judge, path, half):
    image = tiny()
    image.write(path)
    for size in machine_cuts(image, path)[half::2]:
        os.truncate(path, size)
        judge.machine(f"cut to {size} bytes", path)


def check_cut_machine(tap, tool, folder):
    report(tap, "a machine cut off at every edge and in its pool",
           judged(tool, folder, (0, 1), cut_machine), (harness.FAILED, harness.DAMAGED))


# ---- header fields ----

EHDR = {64: (("e_ident", 4, 1), ("e_ident", 5, 1), ("e_type", 16, 2), ("e_machine", 18, 2),
             ("e_phoff", 32, 8), ("e_shoff", 40, 8), ("e_flags", 48, 4), ("e_ehsize", 52, 2),
             ("e_phentsize", 54, 2), ("e_phnum", 56, 2), ("e_shentsize", 58, 2),
             ("e_shnum", 60, 2)),
        32: (("e_type", 16, 2), ("e_machine", 18, 2), ("e_phoff", 28, 4), ("e_shoff", 32, 4),
             ("e_flags", 36, 4), ("e_phentsize", 42, 2), ("e_phnum", 44, 2))}
PHDR = {64: (("p_type", 0, 4), ("p_offset", 8, 8), ("p_vaddr", 16, 8), ("p_paddr", 24, 8),
             ("p_filesz", 32, 8), ("p_memsz", 40, 8)),
        32: (("p_type", 0, 4), ("p_offset", 4, 4), ("p_vaddr", 8, 4), ("p_paddr", 12, 4),
             ("p_filesz", 16, 4), ("p_memsz", 20, 4))}
NOTE = (("n_namesz", 0, 4), ("n_descsz", 4, 4), ("n_type", 8, 4))


def fields_of(core, data):
    """(name, offset, width) of every header field."""
    phoff = core.ehdr_size if core.phoff is None else core.phoff
    yield from EHDR[core.bits]
    for i, s in enumerate(core.segments[:3]):
        for name, off, width in PHDR[core.bits]:
            yield f"{name}[{i}]", phoff + i * core.phdr_size + off, width
        if s.kind == elfgen.PT_NOTE:
            for at in note_edges(data, core.order, s.offset, s.filesz)[:7:3]:
                for name, off, width in NOTE:
                    yield f"{name} at {at:#x}", at + off, width


def spoil_fields(judge, path, name):
    text, data = described(name, path)
    order = "little" if text.core.order == "<" else "big"
    for field, offset, width in list(fields_of(text.core, data)):
        for value in extremes(width, len(data), f"{name} {field}"):
            put(path, offset, value.to_bytes(width, order))
            judge.core(f"{name} {field}={value:#x}", path)
        put(path, offset, data[offset:offset + width])


def check_fields(tap, tool, folder):
    report(tap, "header fields at extremes",
           judged(tool, folder, ("vmcore64", "be32", "excluded"), spoil_fields))


# ---- random damage ----

def spoil_core(judge, path, item):
    """1 % of all bytes; mostly but those that make it an ELF file."""
    name, seed = item
    _, data = described(name, path)
    spoiled = spoil(data, random.Random(f"{name} {seed}"))
    if seed % 3:
        spoiled = data[:20] + spoiled[20:]
    put(path, 0, spoiled)
    judge.core(f"{name} seed {seed}", path)


def check_random(tap, tool, folder):
    names = ("fractions", "xnum-few", "phdrs-last", "excluded")
    items = [(name, seed) for name in names for seed in range(15)]
    report(tap, "1 % random damage to small cores", judged(tool, folder, items, spoil_core))


def spoil_machine(judge, path, seed):
    """1 % of the bytes of pages that a filter looks at: of all of them, or of some."""
    rng, image = random.Random(f"machine {seed}"), tiny(seed, levels=4 + seed % 2)
    for pfn in image.memory.frames:
        if pfn >= image.text.image[0] and rng.random() < (0.3, 1)[seed % 3 == 0]:
            image.memory.frames[pfn] = bytearray(spoil(image.memory.frames[pfn], rng))
    image.write(path)
    if seed % 4 == 0:
        put(path, kimage.NOTES_OFF, spoil(image.note_bytes(), rng))
    judge.machine(f"machine seed {seed}", path)


def check_random_machine(tap, tool, folder):
    report(tap, "1 % random damage to a machine",
           judged(tool, folder, harness.sample(range(40), 2, ""), spoil_machine), (harness.OK, harness.DAMAGED))


# ---- lies ----

def noise(rng, size=4096):
    return bytearray(rng.randbytes(size))


def entries(rng, targets, flags):
    """A page full of page table entries, or of pointers."""
    return bytearray(b"".join(struct.pack("<Q", rng.choice(targets) | rng.choice(flags))
                              for _ in range(512)))


def lie_random_struct_pages(image, rng):
    for pfn in image.struct_page_frames:
        image.memory.frames[pfn] = noise(rng)


def lie_compound_everywhere(image, rng):
    """Every page the head of a compound page of a huge order, and free, and user data."""
    for pfn in image.struct_page_frames:
        frame = bytearray()
        for _ in range(64):
            frame += struct.pack("<QQQQQQIIQ", 0x2f | 1 << 6 | rng.randrange(64), 0, 0, 1, 0,
                                 rng.choice((0, 10, 63, 1 << 63)),
                                 rng.choice((0xf0000000, 0xf7000000, 0xffffffff)), 0, 0)
        image.memory.frames[pfn] = frame


def lie_struct_pages_are(value):
    def lie(image, _):
        for pfn in image.struct_page_frames:
            image.memory.frames[pfn] = bytearray([value]) * 4096
    return lie


def lie_tables_self(image, rng):
    """Every entry of every table points at the root."""
    for paddr in image.tables.pages:
        image.memory.frames[paddr // 4096] = entries(rng, [image.tables.root], [0x63])


def lie_tables_ring(image, rng):
    """Entries point at tables, whatever their level; a few are large pages."""
    for paddr in image.tables.pages:
        image.memory.frames[paddr // 4096] = entries(rng, image.tables.pages, [0x63, 0x63, 0xe3])


def lie_lower_tables(image, rng):
    """All tables but the root point at each other: the walk begins as it should."""
    for paddr in image.tables.pages[1:]:
        image.memory.frames[paddr // 4096] = entries(rng, image.tables.pages, [0x63])


def lie_tables_noise(image, rng):
    for paddr in image.tables.pages:
        image.memory.frames[paddr // 4096] = noise(rng)


def lie_tables_beyond(image, rng):
    """Entries point where there is no memory."""
    for paddr in image.tables.pages[1:]:
        image.memory.frames[paddr // 4096] = entries(
            rng, [0xffffffffff000, 0x7ffffff000, 1 << 40], [0x63, 0xe3])


def lie_sections_noise(image, rng):
    image.memory.frames[image.section_array // 4096] = noise(rng)


def lie_section_roots(image, rng):
    """Roots are what they point at themselves."""
    image.memory.frames[image.section_array // 4096] = entries(
        rng, [image.direct(image.section_array)], [0])


def lie_section_maps(image, rng):
    """Sections whose struct pages lie anywhere: in each other, across holes, not aligned."""
    targets = [image.direct(p * 4096) for p in (0, 0x9f, 0x400, 0x9ff, 0x5000)]
    for paddr in image.section_roots:
        image.memory.frames[paddr // 4096] = entries(
            rng, targets + [kimage.VMEMMAP[image.levels], (1 << 64) - 4096], [0x1f, 1, 0x7f])


def lie_image(image, rng):
    """All variables of the kernel: log, nodes, names."""
    first = image.text.image[0] + 512
    for pfn in range(first, image.data_next // 4096 + 1):
        if pfn * 4096 != image.tables.root:
            image.memory.frames[pfn] = noise(rng)


def lie_pool(image, rng):
    """All of the kernel's own memory but page tables."""
    for pfn in range(image.text.pool[0], image.pool_next // 4096):
        if pfn * 4096 not in image.tables.pages:
            image.memory.frames[pfn] = noise(rng)


LIES = {name[4:]: f for name, f in list(globals().items())
        if name.startswith("lie_") and name != "lie_struct_pages_are"}
LIES.update(zeros=lie_struct_pages_are(0), ones=lie_struct_pages_are(0xff))


def tell_lies(judge, path, item):
    name, seed = item
    image, rng = tiny(levels=4 + seed % 2), random.Random(f"{name} {seed}")
    LIES[name](image, rng)
    image.write(path)
    judge.machine(f"{name} seed {seed}", path)


def check_lies(tap, tool, folder):
    for name in LIES:
        items = [(name, seed) for seed in harness.sample(range(4), 2, name)]
        report(tap, f"lies: {name}", judged(tool, folder, items, tell_lies),
               (harness.OK, harness.DAMAGED))


NOT_DUMPS = {"empty": b"", "text": b"hello\n", "zeros": bytes(5000), "half a magic": b"\x7fEL",
             "an ELF magic": b"\x7fELF", "kdump": b"KDUMP   " + bytes(5000),
             "a stream": kdumpread.FLAT_MAGIC + bytes(5000),
             "noise": bytes(noise(random.Random(1), 9000))}


def no_dump(judge, path, name):
    with open(path, "wb") as f:
        f.write(NOT_DUMPS[name])
    judge.filter(name, path)
    judge.look(name, path, "dmesg")
    judge.filter("a folder", judge.folder)
    judge.filter("nothing", path + ".absent")


def check_not_dumps(tap, tool, folder):
    report(tap, "what is no dump", judged(tool, folder, NOT_DUMPS, no_dump), (harness.FAILED,))


def test(tap, tool, folder):
    checks = {f.__name__[6:]: f for f in (check_not_dumps, check_cut, check_cut_machine,
                                          check_fields, check_random, check_random_machine,
                                          check_lies)}
    for name in harness.selected(checks):
        checks[name](tap, tool, folder)


if __name__ == "__main__":
    harness.main(test, harness.SmallTool)
