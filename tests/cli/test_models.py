#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Which pages filter keeps of machines of all architectures and memory models, tests/data/model-*.txt.

What must come out stands in the text, page by page, and nobody here computes it from struct pages."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import harness
import kdumpread
import machine

LEVELS = (0, 1, 2, 4, 8, 16, 31)


def ranges(pfns):
    """Page frames as text."""
    out = []
    for pfn in sorted(pfns):
        if out and out[-1][1] == pfn - 1:
            out[-1][1] = pfn
        else:
            out.append([pfn, pfn])
    return " ".join(f"{a:#x}-{b:#x}" for a, b in out[:20])


class Bench:
    """One machine in a file, and where dumps of it go."""

    def __init__(self, tap, tool, folder, path):
        self.tap, self.tool = tap, tool
        self.text = machine.Machine(path)
        self.core, self.dump = os.path.join(folder, "core"), os.path.join(folder, "dump")
        self.text.build(self.core)

    def filter(self, level, *options):
        return self.tool.filter("-f", "-d", level, "--compress=none", *options, self.core, self.dump)

    def wrong(self, run, wanted):
        """Complaints about a run after which just WANTED must be there."""
        if run.status != harness.OK or run.faults():
            return [str(run)]
        kept = set(kdumpread.Dump(self.dump).kept())
        return [] if kept == wanted else [f"too many {ranges(kept - wanted)}, "
                                          f"missing {ranges(wanted - kept)}; {run.err}"]


def check_levels(bench):
    tap, text = bench.tap, bench.text
    wrong = []
    for level in LEVELS:
        wrong += [f"-d {level}: {what}" for what in bench.wrong(bench.filter(level), text.kept(level))]
    tap.none(wrong, f"{text.name}: pages kept at each level")
    run = bench.filter(31, "--debug")
    tap.check(f"memory model {text.model}," in run.err, f"{text.name}: it is {text.model}", run)
    warned = run.warnings()
    tap.equal([any(told in line for line in warned) for told in text.told], [True] * len(text.told),
              f"{text.name}: what is warned of", *warned)
    tap.none([line for line in warned if not any(told in line for told in text.told)],
             f"{text.name}: nothing else is warned of")


# ---- free lists that are not whole ----

def damages(text, head, order, blocks):
    """(what is wrong, address of a word, its value): each alone breaks the list at HEAD."""
    word, size = text.word, 1 << order
    (first, first_vaddr), (last, _) = text.element(blocks[0]), text.element(blocks[-1])
    others = [h for h in text.lists if h != head]
    yield "its head points to nowhere", text.paddr(head), 8
    yield "its head points at itself, but not back", text.paddr(head), head
    yield "its head's end is another", text.paddr(head) + word, head + 4 * word
    yield "it ends in a loop", last, first_vaddr
    yield "an element points at itself", first, first_vaddr
    yield "it ends at no address", last, 0
    yield "an element does not point back", first + word, 0
    yield "an element is no struct page", first, first_vaddr + word
    yield "it goes on in another list", last, others[0]
    if order:
        yield "a block is not aligned", last, text.element(blocks[-1] + size // 2)[1]


def broken(bench, what, head, at, value):
    """Complaints about a list that is broken: its pages stay, the others go."""
    text, old = bench.text, bench.text.frames
    order, blocks = text.lists[head]
    text.frames = {pfn: bytearray(frame) for pfn, frame in old.items()}
    text.write_word(at, value)
    text.build(bench.core)
    text.frames = old
    run = bench.filter(31)
    pages = {pfn + i for pfn in blocks for i in range(1 << order)}
    said = any("free lists are broken" in line for line in run.warnings())
    return ([f"{head:#x}: {what}: {bad}" for bad in bench.wrong(run, text.kept(31) | pages)] +
            ([] if said else [f"{head:#x}: {what}: no warning"]))


def check_damage(bench):
    cases = [(what, head, at, value) for head, (order, blocks) in sorted(bench.text.lists.items())
             for what, at, value in damages(bench.text, head, order, blocks)]
    wrong = [bad for case in harness.sample(cases, 4, bench.text.name) for bad in broken(bench, *case)]
    bench.tap.none(wrong, f"{bench.text.name}: broken lists")


def check_taken(bench, head, order, blocks):
    """A page that has users is not free, whatever list it is on."""
    text, old = bench.text, dict(bench.text.frames)
    text.frames = {pfn: bytearray(frame) for pfn, frame in old.items()}
    text.set_member(blocks[-1], "_count", 1)
    text.build(bench.core)
    pages = {pfn + i for pfn in blocks for i in range(1 << order)}
    bench.tap.none(bench.wrong(bench.filter(31), text.kept(31) | pages),
                   f"{text.name}: a page with users on the list at {head:#x}")
    text.frames = old


def check_explained(bench, order, blocks):
    """--explain of the last page of a block."""
    last = blocks[0] + (1 << order) - 1
    run = bench.tool.filter("-d", 31, "--explain", hex(last), bench.core)
    bench.tap.check(b"LEFT OUT" in run.out and b"on a free list" in run.out,
                    f"{bench.text.name}: --explain says that it is a free list", run, run.out)


def check_text(tap, tool, folder, path):
    bench = Bench(tap, tool, folder, path)
    check_levels(bench)
    lists = bench.text.lists
    if lists:
        check_explained(bench, *lists[min(lists)])
        check_damage(bench)
        check_taken(bench, min(lists), *lists[min(lists)])


def test(tap, tool, folder):
    texts = dict(harness.descriptions("model-"))
    if os.environ.get("EMULATOR"):  # an emulated host is slow, and the rules are the same there
        texts = dict(harness.sample(texts.items(), 4, "models"))
    for name in harness.selected(texts):
        check_text(tap, tool, folder, texts[name])


harness.main(test)
