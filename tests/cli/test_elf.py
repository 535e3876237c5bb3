#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ELF cores described in tests/data/elf-*.txt: what inspect says, and what filter keeps of them."""
import json
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import elfgen
import harness
import kdumpread

KERNEL_FACTS = ("release", "crash_time")


def found_pages(report, state):
    """Page frames that inspect --json has in STATE, and complaints about the order of its ranges."""
    shift, pages, end, wrong = report["page_size"].bit_length() - 1, [], 0, []
    for row in report["memory"]:
        first = int(row["start"], 0) >> shift
        if first < end or not row["pages"]:
            wrong.append(f"range {row} is empty or out of order")
        end = first + row["pages"]
        if row["state"] == state:
            pages += range(first, end)
    return pages, wrong


def fact_of(report, key):
    """A value of the report as the text that a description has for it."""
    value = report["kernel"][key] if key in KERNEL_FACTS else report[key]
    return str(len(value)) if key == "cpus" else str(value).lower() if value in (True, False) else \
        str(value)


def check_inspect(tap, tool, text, path, *options):
    run = tool.run("inspect", "--json", *options, path)
    damaged = text.facts.get("complete") == "false"
    good = tap.equal(run.status, harness.DAMAGED if damaged else harness.OK,
                     f"{text.name}: inspect", run)
    if not good or run.faults():
        return
    report = json.loads(run.out)
    for state in ("present", "excluded", "unreadable"):
        found, wrong = found_pages(report, state)
        tap.check(found == text.pages_in(state) and not wrong, f"{text.name}: {state} pages",
                  *wrong, f"got    {found[:40]}", f"wanted {text.pages_in(state)[:40]}")
        tap.equal(report["pages"][state], len(text.pages_in(state)),
                  f"{text.name}: number of {state} pages")
    tap.equal(report["pages"]["zero"],
              sum(not any(text.expected_page(p)) for p in text.pages_in("present")),
              f"{text.name}: number of zero pages")
    facts = {k: v for k, v in text.facts.items() if k != "warn"}
    tap.equal({k: fact_of(report, k) for k in facts}, facts, f"{text.name}: what inspect says")
    tap.equal(report["page_size"], text.page_size, f"{text.name}: page size")


def wrong_pages(dump, text):
    """Complaints about pages whose bytes are not what the description says."""
    wrong = []
    for pfn in text.pages_in("present"):
        got, wanted = dump.page(pfn), text.expected_page(pfn)
        if got != wanted:
            wrong.append(f"page {pfn:#x}: {(got or b'')[:48]!r}, wanted {wanted[:48]!r}")
    return wrong


def source_notes(text):
    return [(owner.encode(), kind, desc) for owner, kind, desc in text.notes]


def check_dump(tap, text, path, name):
    dump = kdumpread.Dump(path)
    # A header that makes no sense is damage, but nothing that is known to be missing.
    short = bool(text.pages_in("unreadable")) or text.facts.get("marked_incomplete") == "true" or \
        text.facts.get("missing_bytes", "0") != "0"
    tap.equal(dump.incomplete, short,
              f"{name}: the dump is marked incomplete if what it was made of is")
    tap.equal(dump.kept(), text.pages_in("present"), f"{name}: pages kept")
    tap.equal(dump.existing(), text.pages_in("present", "excluded", "unreadable"),
              f"{name}: pages that exist")
    tap.none(wrong_pages(dump, text), f"{name}: contents of the pages")
    tap.equal(dump.order, "little" if text.core.order == "<" else "big", f"{name}: byte order")
    tap.equal(8 * dump.word, text.core.bits, f"{name}: word size")
    tap.equal(dump.block_size, text.page_size, f"{name}: block size")
    notes = dump.notes()
    tap.equal(notes[:-1], source_notes(text), f"{name}: all notes of the source")
    tap.equal(notes[-1][0], b"DUMPTOOL", f"{name}: and one more")
    return dump


def check_filter(tap, tool, text, path, folder):
    out = os.path.join(folder, "out.kdump")
    damaged = text.facts.get("complete") == "false"
    wanted = harness.DAMAGED if damaged else harness.OK
    for level in (0, 31):
        name = f"{text.name}: -d {level}"
        run = tool.filter("-f", "-d", level, "--compress", "none", path, out)
        if not tap.equal(run.status, wanted, f"{name}: filter", run):
            continue
        check_dump(tap, text, out, name)
        warn = text.facts.get("warn")
        if level == 31 and warn:
            tap.check(any(warn in line for line in run.warnings()),
                      f"{name}: it is told why nothing is left out", run)
        elif level == 0 and not damaged:
            tap.equal(run.warnings(), [], f"{name}: nothing to warn of")


def check_plain_reading(tap, tool, text, path, folder):
    """The same bytes when the input is read, not mapped."""
    mapped, read = os.path.join(folder, "out.kdump"), os.path.join(folder, "read.kdump")
    tool.filter("-f", "-d", "0", "--compress", "none", path, mapped)
    run = tool.filter("-f", "-d", "0", "--compress", "none", "--non-mmap", path, read)
    with open(mapped, "rb") as a, open(read, "rb") as b:
        tap.check(a.read() == b.read(), f"{text.name}: --non-mmap gives the same dump", run)


def test(tap, tool, folder):
    for name in harness.selected(p for _, p in harness.descriptions("elf-")):
        text = elfgen.Description(name)
        path = os.path.join(folder, "in.elf")
        if os.path.exists(path):
            os.unlink(path)
        text.build(path)
        check_inspect(tap, tool, text, path)
        check_filter(tap, tool, text, path, folder)
        check_plain_reading(tap, tool, text, path, folder)


if __name__ == "__main__":
    harness.main(test)
