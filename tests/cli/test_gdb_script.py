#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The script for gdb: what it reads of cores, without gdb on hostile ones too; and in gdb, without a vmlinux."""
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
SRC = os.environ.get("srcdir") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(SRC, "gdb"))
import coreread
import elfgen
import harness
import kimage
from dumptool_gdb import cfi, elf, notes, printk

SCRIPT = os.path.join(SRC, "gdb", "dumptool-gdb.py")
TASKS = [(4194304, 0, 0, 0, "R+", 0xffffffff82000000, "swapper/0"), (1, 1, 1, 1, "S", 0xffff888000001000, "init"),
         (77, 77, 70, 0, "D", 0xffff888000002000, "a name = of its own")]
MODULES = [(0xffffffffc0100000, 0xffffffffc0101000, 0x4000, "0123456789abcdef0123456789abcdef01234567", "ext4"),
           (0xffffffffc0200000, 0xffffffffc0201000, 0x8000, "-", "nameless_id")]
INFO = "OSRELEASE=6.1.0-test\nSYMBOL(_stext)=ffffffff81000000\nOFFSET(a.b)=-8\nSIZE(c)=0x10\nSIZE(d)=x\n"


def texts():
    tasks = "".join(f"TASK={i} {p} {g} {c} {s} {a:x} {n}\n" for i, p, g, c, s, a, n in TASKS)
    modules = "".join(f"MODULE={a:x} {t:x} {s:x} {b} {n}\n" for a, t, s, b, n in MODULES)
    return tasks.encode(), modules.encode()


def core_of(bits=64, order="<", xnum=False, tasks=None, more=b""):
    """A core with these notes, and a page of memory."""
    own, modules = texts()
    data = b"".join(elfgen.note(order, "CORE", 1, elfgen.prstatus(order, pid=t[0], rip=0x1000)) for t in TASKS)
    data += elfgen.note(order, "VMCOREINFO", 0, INFO.encode())
    data += elfgen.note(order, notes.OWNER, notes.TASKS, own if tasks is None else tasks)
    data += elfgen.note(order, notes.OWNER, notes.MODULES, modules) + more
    core = elfgen.Core(bits=bits, order=order, xnum=xnum)
    if xnum:
        core.shoff = core.ehdr_size + 2 * core.phdr_size
    at = core.ehdr_size + 2 * core.phdr_size + core.shdr_size * xnum
    core.segments = [elfgen.Segment(4, at, 0, 0, len(data), 0),
                     elfgen.Segment(1, at + len(data), 0x1000, 0x1000, 4096, 4096)]
    head = bytearray(at)
    for off, part in core.tables():
        head[off:off + len(part)] = part
    return bytes(head) + data + bytes(4096)


def read_core(path, data):
    with open(path, "wb") as f:
        f.write(data)
    with elf.Elf(path) as file:
        return notes.Notes(file)


# ---- notes ----

def check_notes(tap, folder):
    path = os.path.join(folder, "core")
    for bits, order, xnum in ((64, "<", False), (32, "<", False), (64, ">", False), (32, ">", True), (64, "<", True)):
        n = read_core(path, core_of(bits, order, xnum))
        name = f"{bits} bits, {'little' if order == '<' else 'big'}-endian{', PN_XNUM' * xnum}"
        tap.equal([(t.id, t.pid, t.tgid, t.cpu, t.state + "+" * t.running, t.addr, t.name) for t in n.tasks], TASKS,
                  f"{name}: tasks")
        tap.equal([(m.addr, m.text, m.size, m.build_id or "-", m.name) for m in n.modules], MODULES, f"{name}: modules")
        tap.equal([n.fact("SYMBOL", "_stext"), n.fact("OFFSET", "a.b"), n.fact("SIZE", "c"), n.fact("SIZE", "d"),
                   n.fact("SIZE", "e")], [0xffffffff81000000, -8, 16, None, None], f"{name}: VMCOREINFO")


BAD_LINES = [b"TASK=", b"TASK=1", b"TASK=1 2 3 4 5 6", b"TASK=x 1 1 0 S 0 n", b"TASK=1 1 1 0 S xyz n",
             b"TASK=1 1 1 0  0 ", b"TASK=" + b"9" * 400 + b" 1 1 0 S 0 n", b"TASK=\xff\xfe 1 1 0 S 0 n",
             b"TASK=1 1 1 0 S " + b"f" * 17 + b" n", b"\0" * 64, b"TASK=1_0 1 1 0 S 0 n", b"no equals sign"]
ODD_NAME = b"TASK=5 5 5 0 S ab \x1b[31mred\x07\xff" + b"x" * 200


def check_lines(tap, folder):
    n = read_core(os.path.join(folder, "core"), core_of(tasks=b"\n".join(BAD_LINES + [ODD_NAME])))
    left = [t for t in n.tasks if t.addr == 0xab]
    tap.check(len(left) == 1 and re.fullmatch("[ -~]+", left[0].name) and len(left[0].name) < 300,
              "a name has neither control characters nor an end far away", [t.name for t in n.tasks])
    tap.check(len(n.tasks) <= 2, "lines that make no sense are left out", [vars(t) for t in n.tasks])


def check_hostile(tap, folder):
    """Any byte, and any length: an ElfError at most, at once."""
    rng, path, bad, slow = random.Random(1), os.path.join(folder, "core"), [], time.monotonic()
    made = [core_of(), core_of(32, ">", True)]
    for i in range(600):
        data = bytearray(made[i % 2])
        for _ in range(rng.randrange(1, 6)):
            at = rng.randrange(len(data) - 4096 if rng.random() < 0.5 else 256)
            data[at] = rng.choice((0, 1, 0x7f, 0x80, 0xff, rng.randrange(256)))
        if i % 7 == 0:
            del data[rng.randrange(len(data)):]
        try:
            read_core(path, bytes(data))
        except elf.ElfError:
            pass
        except Exception as e:  # pylint: disable=broad-except
            bad.append(f"case {i}: {e!r}")
    tap.none(bad, "600 damaged cores")
    tap.check(time.monotonic() - slow < 60, "none of them takes long", time.monotonic() - slow)


# ---- the log ----

class Kernel:
    """What printk.py asks, by a core without gdb."""

    def __init__(self, path):
        self.core = coreread.Core(path)
        with elf.Elf(path) as file:
            self.word, self.order, self.notes = file.word, file.order, notes.Notes(file)
        self.changed = {}

    def symbol(self, name):
        return self.notes.fact("SYMBOL", name)

    def offset(self, name):
        return self.notes.fact("OFFSET", name)

    def size(self, name):
        return self.notes.fact("SIZE", name)

    def read(self, at, size):
        data = self.core.read(at, size)
        if data is None or not self.changed:
            return data
        data = bytearray(data)
        for i in range(size):
            data[i] = self.changed.get(at + i, data[i])
        return bytes(data)


class Plain:
    """A log before Linux 3.5: plain text in a ring."""

    word, order = 4, ">"

    def __init__(self, text, size):
        ring = bytearray(size)
        for i, c in enumerate(text):
            ring[i % size] = c
        self.memory = {0x100: struct.pack(">I", 0x1000), 0x104: struct.pack(">I", size),
                       0x108: struct.pack(">I", len(text)), 0x1000: bytes(ring)}

    @staticmethod
    def symbol(name):
        return {"log_buf": 0x100, "log_buf_len": 0x104, "log_end": 0x108}.get(name)

    @staticmethod
    def offset(_):
        return None

    size = offset

    def read(self, at, size):
        data = self.memory.get(at)
        return data[:size] if data and len(data) >= size else None


def check_logs(tap, tool, folder):
    kept = []
    for era in ("6.12", "5.4"):
        image, out = os.path.join(folder, "image"), os.path.join(folder, "core-" + era)
        kimage.Image(kimage.Text(os.path.join(harness.DATA, "mem-all.txt")), era).write(image)
        wanted = tool.run("dmesg", image)
        run = tool.run("tovelf", "-f", "-o", out, image, seconds=60)
        if not tap.check(run.status in (harness.OK, harness.DAMAGED) and wanted.out, f"{era}: tovelf", run, wanted):
            continue
        tap.equal(list(printk.log_lines(Kernel(out))), wanted.out.decode().splitlines(), f"{era}: dmesg")
        kept.append(out)
    tap.equal(list(printk.log_lines(Plain(b"<6>one\n<6>two\x01\n", 64))), ["<6>one", "<6>two\\x01"], "plain text: dmesg")
    tap.equal(list(printk.log_lines(Plain(b"0123456789abc\nnew\n", 16))), ["23456789abc", "new"],
              "plain text, round and round: dmesg")
    return kept


def check_hostile_logs(tap, paths):
    """Bytes of the log's own structures, and what VMCOREINFO says of them."""
    rng, bad, began = random.Random(2), [], time.monotonic()
    for path in paths:
        kernel = Kernel(path)
        keys = [k for k in kernel.notes.vmcoreinfo if "printk" in k or "prb" in k or "log" in k]
        places = [kernel.symbol(n) for n in ("prb", "log_buf", "log_buf_len", "log_first_idx", "log_next_idx")]
        places = [p for p in places if p] + [p for p in [pointed(kernel, "prb"), pointed(kernel, "log_buf")] if p]
        said = dict(kernel.notes.vmcoreinfo)
        for i in range(250):
            kernel.notes.vmcoreinfo = dict(said)
            kernel.changed = {rng.choice(places) + rng.randrange(96): rng.randrange(256) for _ in range(i % 5)}
            if i % 3 == 0:
                kernel.notes.vmcoreinfo[rng.choice(keys)] = rng.choice(("-1", "0", "18446744073709551615", "7", "ffff"))
            try:
                for _ in printk.log_lines(kernel):
                    pass
            except printk.LogError:
                pass
            except Exception as e:  # pylint: disable=broad-except
                bad.append(f"{os.path.basename(path)}, case {i}: {e!r}")
    tap.none(bad, "500 damaged logs")
    tap.check(time.monotonic() - began < 60, "none of them takes long", time.monotonic() - began)


def pointed(kernel, name):
    at = kernel.symbol(name)
    data = kernel.read(at, 8) if at else None
    return struct.unpack("<Q", data)[0] if data else None


# ---- call frame information ----

class FrameFile:
    """A file that has nothing but .debug_frame."""

    order, wide = "<", True

    def __init__(self, data):
        self.data = data

    def section(self, _):
        return elf.Section("", (0, 1, 0, 0, 0, len(self.data), 0, 0, 1, 0))

    def read(self, off, size):
        return self.data[off:off + size]


def frames():
    """A function at 0x1000: paciasp; stp x29, x30, [sp, #-32]!; ...; ldp; autiasp; ret."""
    cie = b"\xff\xff\xff\xff\x01\0" + b"\x04\x78\x1e" + b"\x0c\x1f\x00"
    fde = struct.pack("<IQQ", 0, 0x1000, 0x40) + b"\x41\x2d\x41\x0e\x20\x9d\x04\x9e\x03\x4c\x0a\xde\xdd\x0e\x00\x41\x2d\x0b"
    return b"".join(struct.pack("<I", len(x) + -len(x) % 8) + x + bytes(-len(x) % 8) for x in (cie, fde))


def check_cfi(tap):
    table, got = cfi.Table(FrameFile(frames())), []
    for pc in (0x1000, 0x1004, 0x1008, 0x1034, 0x1038, 0x103c):
        start, r = table.find(pc)
        got.append((start, r.register, r.offset, r.saved, r.signed))
    saved = {29: -32, 30: -24}
    tap.equal(got, [(0x1000, 31, 0, {}, False), (0x1000, 31, 0, {}, True), (0x1000, 31, 32, saved, True),
                    (0x1000, 31, 32, saved, True), (0x1000, 31, 0, {}, True), (0x1000, 31, 32, saved, True)],
              "call frame information: rules of a function that signs its return address")
    rng, bad = random.Random(3), []
    for i in range(1000):
        data = bytearray(frames())
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            cfi.Table(FrameFile(bytes(data))).find(0x1020)
        except cfi.CfiError:
            pass
        except Exception as e:  # pylint: disable=broad-except
            bad.append(f"case {i}: {e!r}")
    tap.none(bad, "1000 damaged ones")


# ---- in gdb ----

def gdb(core, commands, folder):
    script = os.path.join(folder, "commands")
    with open(script, "w", encoding="ascii") as f:
        f.write("".join(c + "\n" for c in commands))
    run = subprocess.run(["gdb", "-nx", "-batch", "-iex", "set width 0", "-c", core, "-x", SCRIPT, "-x", script],
                         capture_output=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
                         env={**os.environ, "HOME": folder})
    return run.stdout.decode(errors="replace"), run.stderr.decode(errors="replace")


def failing(*commands):
    """Each goes on when it fails, and tells."""
    return ["python"] + [line for c in commands for line in
                         (f"try: gdb.execute({c!r})", "except gdb.error as e: print(f'error: {e}')")] + ["end"]


def check_gdb(tap, folder, log):
    core = os.path.join(folder, "core")
    with open(core, "wb") as f:
        f.write(core_of())
    out, err = gdb(core, ["info threads", "ps", "ps init", "lsmod", "p/x $task(77)", "p/x $current(0)",
                          *failing("kernel-symbols", "kernel-symbols /nowhere/vmlinux", "kernel-symbols " + core, "dmesg",
                                   "percpu x", "p $percpu(1, 0)", "modsyms", "ps nobody", "help ps", "help modsyms")], folder)
    tap.none([n for *_, n in TASKS if f'"{n}"' not in out], "info threads has the names", out, err)
    tap.check(re.search(r"^> +0 +- +0 +0 R +ffffffff82000000  swapper/0$", out, re.M) and
              re.search(r"^ +77 +- +70 +0 D +ffff888000002000  a name = of its own$", out, re.M), "ps", out)
    tap.check(re.search(r"^ffffffffc0101000 +16384 +- +ext4$", out, re.M), "lsmod", out)
    tap.check("= 0xffff888000002000\n" in out and "= 0xffffffff82000000\n" in out, "$task() and $current()", out)
    tap.equal(len(re.findall("^error: ", out, re.M)), 7, "what is not known is told in a line", out)
    tap.check("not of ext4: no file" in out and "Usage: ps" in out, "modsyms lists what is nowhere; help", out)
    tap.none(re.findall(r"Traceback|Python Exception", out + err), "nothing is thrown", out, err)
    if log:
        out, err = gdb(log[0], ["dmesg"], folder)
        tap.none([x for x in printk.log_lines(Kernel(log[0])) if x not in out], "dmesg in gdb", out, err)


def check_gdb_hostile(tap, folder):
    core, bad = os.path.join(folder, "core"), []
    rng = random.Random(4)
    garbage = elfgen.note("<", notes.OWNER, notes.MODULES, bytes(rng.randrange(256) for _ in range(999)) +
                          b"\nMODULE=ffffffffffffffff ffffffffffffffff ffffffffffffffff - \x1b[1m" + b"n" * 999)
    garbage += elfgen.note("<", notes.OWNER, notes.TASKS, b"\xff" * 5000)
    for tasks in (b"\n".join(BAD_LINES + [ODD_NAME, b"TASK=1 1 1 2147483648 S ffffffffffffffff n" * 3]), b""):
        with open(core, "wb") as f:
            f.write(core_of(tasks=tasks, more=garbage))
        out, err = gdb(core, failing("ps", "lsmod", "dmesg", "modsyms", "p $task(1)", "p $current(0)", "info threads",
                                     "percpu a", "kernel-symbols"), folder)
        bad += re.findall(r"Traceback|Python Exception|\x1b\[", out + err)
        bad += [] if "LWP 77" in out else ["no threads: " + out[-300:] + err[-300:]]
    tap.none(bad, "broken notes in gdb: lines, no exceptions", out, err)


def check_placed(tap, folder):
    """A module's file in which .data has an address of its own, as Debian's 6.12 links them."""
    file, copy = os.path.join(folder, "module.ko"), os.path.join(folder, "linked.ko")
    try:
        subprocess.run([*harness.compiler(), "-x", "c", "-g", "-c", "-o", file, "-"], check=True, capture_output=True,
                       input=b"int before = 1, variable = 42; int text(void) { return variable; }")
        subprocess.run(["objcopy", "--change-section-address", ".data=0x1a0", file, copy], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as why:
        return tap.skip("a module with addresses", f"it cannot be made: {why}")
    with elf.Elf(copy) as e:
        if e.machine != 62 or not e.section(".data").addr:
            return tap.skip("a module with addresses", "these tools make none")
    core = os.path.join(folder, "core")
    read_core(core, core_of())
    script = [f"python from dumptool_gdb import modules, elf; e = elf.Elf({copy!r}); p = modules.placeable({copy!r}, e); "
              "gdb.execute('add-symbol-file ' + p + ' 0x7000 -s .data 0x50000'); print(p == modules.placeable(e.path, e))",
              "p &variable", "p &text", f"python print(modules.placeable({file!r}, elf.Elf({file!r})) == {file!r})"]
    out, err = gdb(core, script, folder)
    return tap.check("0x50004 <variable>" in out and "0x7000 <text>" in out and out.count("True") == 2,
                     "a module whose .data has an address of its own", out, err)


def test(tap, tool, folder):
    check_notes(tap, folder)
    check_lines(tap, folder)
    check_hostile(tap, folder)
    log = check_logs(tap, tool, folder)
    check_hostile_logs(tap, log)
    check_cfi(tap)
    if not shutil.which("gdb"):
        return tap.skip("in gdb", "gdb is not installed")
    probe = subprocess.run(["gdb", "-nx", "-batch", "-ex", "python print(6 * 7)"], capture_output=True, check=False)
    if b"42" not in probe.stdout:
        return tap.skip("in gdb", "this gdb has no Python")
    check_gdb(tap, folder, log)
    check_placed(tap, folder)
    return check_gdb_hostile(tap, folder)


if __name__ == "__main__":
    harness.main(test)
