#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""LiME images: those described in tests/data/lime-*.txt, cut off anywhere, header fields at extremes,
a million ranges."""
import json
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import harness
import kdumpread
import limegen
import damage
import test_elf


def described(name):
    return limegen.Description(os.path.join(harness.DATA, f"lime-{name}.txt"))


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


# ---- images that are described ----

def check_fails(tap, tool, text, path):
    for command in (("inspect", path), ("convert", "-f", path, path + ".out")):
        run = tool.run(*command)
        tap.equal(run.status, harness.FAILED, f"{text.name}: {command[0]} fails", run)
        tap.check(len(run.lines()) == 1 and f"{path}: {text.fails}" in run.err,
                  f"{text.name}: {command[0]} says why in one line", run)


def check_told(tap, tool, text, path):
    run = tool.run("inspect", "--quick", path)
    lines = run.warnings()
    tap.equal(len(lines), len(text.told), f"{text.name}: number of warnings", run)
    for line, told in zip(lines, text.told):
        tap.check(f"{path}: {told}" in line, f"{text.name}: what it warns of", run)


def check_convert(tap, tool, text, path, folder, *options):
    wanted = harness.DAMAGED if text.facts["complete"] == "false" else harness.OK
    out = {name: os.path.join(folder, "out." + name) for name in ("kdump", "elf")}
    for name, to in out.items():
        run = tool.run("convert", "-f", "--format", name, *options, path, to)
        tap.equal(run.status, wanted, f"{text.name}: convert to {name}", run)
    test_elf.check_dump(tap, text, out["kdump"], text.name)
    run = tool.run("inspect", "--compare", *options, path, out["elf"])
    # What could not be read cannot be compared either.
    tap.equal(run.status, wanted, f"{text.name}: the ELF core is the same", run)


def check_described(tap, tool, folder):
    path = os.path.join(folder, "in.lime")
    for name, _ in harness.descriptions("lime-"):
        text = described(name)
        text.build(path)
        if text.fails:
            check_fails(tap, tool, text, path)
            continue
        model = limegen.Image(text.image(), text.page_size)
        tap.equal(model.present(), text.pages_in("present"), f"{text.name}: the test's own reader")
        options = ("--page-size", text.page_size)
        test_elf.check_inspect(tap, tool, text, path, *options)
        check_told(tap, tool, text, path)
        check_convert(tap, tool, text, path, folder, *options)
        if name == "plain":
            test_elf.check_plain_reading(tap, tool, text, path, folder)


def check_arch(tap, tool, folder):
    """The user knows the architecture; of the kernel nothing is known: all is kept."""
    path, out = os.path.join(folder, "in.lime"), os.path.join(folder, "out.kdump")
    text = described("plain")
    text.build(path)
    run = tool.filter("-f", "-d", 31, "--arch", "x86_64", path, out)
    tap.equal(run.status, harness.OK, "filter --arch", run)
    tap.check(any("nothing is known about its kernel" in line for line in run.warnings()),
              "filter --arch: it is told that nothing is known of the kernel", run)
    tap.equal(kdumpread.Dump(out).kept(), text.pages_in("present"), "filter --arch: all is kept")


# ---- damage: whatever the file, the program finds what the reader of limegen.py does ----

class Judge(damage.Judge):
    def inspect(self, name, path, model):
        run = self.tool.run("inspect", "--json", path)
        problems = damage.run_problems(run)
        wanted = harness.FAILED if not model.is_usable() else \
            harness.OK if model.is_complete() else harness.DAMAGED
        if run.status != wanted:
            problems.append(f"status {run.status}, wanted {wanted}")
        elif wanted == harness.DAMAGED and not run.warnings():
            problems.append("damaged, but nothing is said about it")
        elif model.is_usable() and not problems:
            problems = self.differences(json.loads(run.out), model)
        self.complain(name, run, problems)

    @staticmethod
    def differences(report, model):
        found = {"present": test_elf.found_pages(report, "present")[0],
                 "unreadable": report["pages"]["unreadable"],
                 "missing_bytes": report["missing_bytes"],
                 "bad_structures": report["bad_structures"]}
        wanted = {"present": model.present(),
                  "unreadable": sum(end - first for first, end in model.unreadable()),
                  "missing_bytes": model.missing, "bad_structures": model.bad}
        return [f"{k}: {str(found[k])[:80]}, wanted {str(wanted[k])[:80]}"
                for k in found if found[k] != wanted[k]]

    def contents(self, name, path, model):
        """What is kept of it, byte by byte."""
        out = os.path.join(self.folder, "dump")
        run = self.tool.run("convert", "-f", "--compress", "none", path, out)
        problems = damage.run_problems(run)
        if model.is_usable() and not problems:
            dump = kdumpread.Dump(out)
            problems = ["other pages"] if dump.kept() != model.present() else \
                [f"page {p:#x}" for p in dump.kept() if dump.page(p) != model.page(p)]
        self.complain(name, run, problems)
        self.statuses.append(run.status)


def judged(tool, folder, items, examine):
    def one(item, own):
        judge = Judge(tool, own)
        examine(judge, os.path.join(own, "in"), item)
        return judge
    return harness.parallel(one, items, folder)


def cut_image(judge, path, name):
    data = described(name).image()
    for size in damage.cuts(limegen.Image(data).edges(), len(data)):
        model = limegen.Image(data[:size])
        write(path, data[:size])
        judge.inspect(f"{name} cut to {size} bytes", path, model)
        judge.contents(f"{name} cut to {size} bytes", path, model)


def check_cut(tap, tool, folder):
    damage.report(tap, "images cut off at every edge",
                       judged(tool, folder, ("fractions", "overlap", "truncated"), cut_image))


def spoil_fields(judge, path, name):
    data = described(name).image()
    for i, off in enumerate(limegen.Image(data).headers[:2]):
        for field, at, width in limegen.FIELDS:
            for value in damage.extremes(width, len(data), f"{field} {i}"):
                spoiled = bytearray(data)
                spoiled[off + at:off + at + width] = value.to_bytes(width, "little")
                write(path, spoiled)
                case = f"{name} {field}[{i}]={value:#x}"
                judge.inspect(case, path, limegen.Image(bytes(spoiled)))
                if judge.rehearse(case, path):
                    judge.filter(case, path)


def check_fields(tap, tool, folder):
    damage.report(tap, "header fields at extremes",
                       judged(tool, folder, ("overlap",), spoil_fields))


# ---- many ranges ----

MANY, MOST = 1000000, 1 << 21


def many(path, count, step):
    with open(path, "wb") as f:
        for start in range(0, count, 1000):
            f.write(b"".join(limegen.header(i * step, i * step) + b"x"
                             for i in range(start, min(start + 1000, count))))


def check_many(tap, tool, folder):
    path = os.path.join(folder, "in.lime")
    for count, step, pages, status in ((MANY, 4096, MANY, harness.OK), (MANY, 0, 1, harness.OK),
                                       (MOST + 1, 8192, MOST, harness.DAMAGED)):
        name = f"{count} ranges, {step} apart"
        many(path, count, step)
        run = tool.run("inspect", "--json", "--quick", path, seconds=60)
        if tap.equal(run.status, status, name, run):
            tap.equal(json.loads(run.out)["pages"]["present"], pages, f"{name}: pages")
        tap.check(len(run.lines()) <= 1, f"{name}: no more than one line is said", run)


def test(tap, tool, folder):
    checks = {f.__name__[6:]: f for f in (check_described, check_arch, check_cut, check_fields,
                                          check_many)}
    for name in harness.selected(checks):
        checks[name](tap, tool, folder)


if __name__ == "__main__":
    harness.main(test, harness.SmallTool)
