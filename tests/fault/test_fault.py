#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults of the system around filter: killed at any moment, a full disk, a closed pipe, bytes of
the input that cannot be read, want of memory.

What is left of a dump says that it is incomplete, and its pages can be read as far as it goes; a
complete dump never says so; the exit status is that of tools/main.h, or makedumpfile's under its name.
"""
import errno
import os
import random
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import harness
import kdumpread
from faults import (Lab, Noise, check_whole, elf_marked, elf_pages, mark_problems, readable,
                    stump_problems, whole_problems)

RAW = ("-d", 0, "--compress", "none")
SLOW = ("--compress", "zlib:6", "--num-threads", 1)
KILLS = 20


# ---- killed ----

def check_killed_in_writes(lab):
    """SIGKILL in the middle of each write."""
    writes, bad, most = lab.counts(*RAW)[0], [], 0
    for call in (*harness.sample(range(1, writes), 1, "kill"), writes):
        run = lab.filter(*RAW, "--num-threads", 1, env=lab.failing(kill_call=call))
        if run.status != -signal.SIGKILL:
            bad.append(f"in write {call}: status {run.status}")
        problems = mark_problems(lab.dump, lab.page)
        if call == writes:  # of the mark itself: everything else is there by now
            problems = whole_problems(lab.dump, lab.image.kept(0), lab.page) and problems
        bad += [f"in write {call} of {writes}: {b}" for b in problems]
        most = max(most, readable(lab.dump, lab.page)[0])
    lab.tap.none(bad, f"SIGKILL in each of {writes} writes: what is left is marked and readable")
    kept = len(lab.image.kept(0))
    lab.tap.check(most >= kept * 9 // 10, "the last stump is nearly whole", f"{most} of {kept}")


def timed(lab, source, sig, share, whole):
    """Start, send SIG after a share of the time that it takes, and wait: (status, lines, path)."""
    lab.clean()
    process = lab.tool.start("filter", "-d", 0, *SLOW, "-q", source, lab.dump)
    time.sleep(share * whole)
    process.send_signal(sig)
    try:
        err = process.communicate(timeout=lab.tool.seconds(30))[1]
    except subprocess.TimeoutExpired:
        process.kill()
        return None, []
    return process.returncode, err.decode().splitlines()


def check_killed_at_random(lab, sig, statuses):
    source, rng = lab.path("noise"), random.Random(sig)
    noise = Noise(source, 2 * Noise.COUNT)      # several batches of descriptors
    lab.clean()
    began = time.monotonic()
    lab.tool.filter("-d", 0, *SLOW, source, lab.dump)
    whole, bad, good = time.monotonic() - began, [], []
    for i in range(KILLS):
        status, lines = timed(lab, source, sig, (i + rng.random()) / KILLS, whole)
        # What is complete is not marked, though its writer be killed before it can say so.
        if status == 0 or (os.path.exists(lab.dump) and not kdumpread.is_marked(lab.dump)):
            bad += [f"moment {i}: {b}" for b in whole_problems(lab.dump, noise.pfns, noise.page)]
            continue
        if status not in statuses:
            bad.append(f"moment {i}: status {status}")
        if status == harness.INCOMPLETE and len(lines) != 1:
            bad.append(f"moment {i}: {lines}")
        bad += [f"moment {i}: {b}" for b in mark_problems(lab.dump, noise.page)]
        if os.path.exists(lab.dump):
            good.append(readable(lab.dump, noise.page)[0])
    # A machine that was busy meanwhile: some more, late, by a measure of its own each.
    for share in (0.85, 0.9, 0.95) * 3:
        if any(good):
            break
        lab.clean()
        began = time.monotonic()
        lab.tool.filter("-d", 0, *SLOW, source, lab.dump)
        timed(lab, source, sig, share, time.monotonic() - began)
        if os.path.exists(lab.dump):
            good.append(readable(lab.dump, noise.page)[0])
    lab.tap.note(f"{sig.name}: {whole:.2f} s for all; pages readable after each: {good}")
    lab.tap.none(bad, f"{sig.name} at {KILLS} moments: what is left is marked and readable")
    lab.tap.check(any(good), f"{sig.name}: some of it can be read")


def check_killed_stream(lab):
    """A stream that breaks off has no end record, and its status word comes last of all."""
    def stream(env):
        with open(lab.path("stream"), "wb") as out:
            run = lab.tool.filter("-F", *RAW, lab.vmcore, stdout=out, env=env)
        with open(lab.path("stream"), "rb") as f:
            return run, f.read()

    run, data = stream(lab.failing(count=lab.path("counts")))
    with open(lab.path("counts"), encoding="ascii") as f:
        writes = int(f.read().split()[0])
    last = list(kdumpread.records(data))[-1]
    lab.tap.equal(last[:2], (424, 4), "-F: the status word is the last record", run)
    bad = []
    for call in harness.sample(range(1, writes + 1), 1, "stream"):
        run, data = stream(lab.failing(kill_call=call))
        if run.status != -signal.SIGKILL or kdumpread.is_whole(data):
            bad.append(f"in write {call} of {writes}: status {run.status}, whole: "
                       f"{kdumpread.is_whole(data)}")
    lab.tap.none(bad, f"-F: SIGKILL in each of {writes} writes leaves no end record")


# ---- full disks ----

def check_disk_full(lab):
    """No room after so many bytes; at each write; for descriptors; and at a size limit."""
    writes, total = lab.counts(*RAW)[:2]
    edges = [0, 1, 100, 423, 424, 428, 464, 4096, 5000, 20000, 24576] + \
        [total * i // 12 for i in range(1, 12)] + [total - 5, total - 4]
    cases = [(f"after {n} bytes", {"write_bytes": n}) for n in edges]
    cases += [(f"at write {n}", {"write_call": n}) for n in range(1, writes + 1)]
    cases += [(f"EIO at write {n}", {"write_call": n, "write_errno": errno.EIO})
              for n in (1, writes // 2, writes)]
    for threads in (1, 3):
        bad = []
        for name, how in harness.sample(cases, 1, f"full {threads}"):
            run = lab.filter(*RAW, "--num-threads", threads, env=lab.failing(**how))
            bad += [f"{name}: {b}" for b in stump_problems(run, lab.dump, lab.page)]
        lab.tap.none(bad, f"full disk, {threads} threads: {len(cases)} places")


def check_fsync(lab):
    """The disk says at the end that it lost something: the dump is incomplete, and says so."""
    fsyncs, bad = lab.counts(*RAW)[2], []
    for call in range(1, fsyncs + 1):
        run = lab.filter(*RAW, env=lab.failing(fsync_call=call))
        if run.status == harness.OK:
            bad += [f"fsync {call}: {b}" for b in
                    whole_problems(lab.dump, lab.image.kept(0), lab.page)]
        else:
            bad += [f"fsync {call} of {fsyncs}: {b}"
                    for b in stump_problems(run, lab.dump, lab.page)]
    lab.tap.none(bad, "EIO from fsync")


def check_limit(lab):
    """-L, which ends the dump as a full disk does; the file never becomes longer."""
    bad, total = [], lab.counts(*RAW)[1]
    for limit in (1, 400, 464, 4096, 8192, 30000, total // 3, total // 2, total - 1000):
        run = lab.filter(*RAW, "-L", limit)
        bad += [f"-L {limit}: {b}" for b in stump_problems(run, lab.dump, lab.page)]
        if os.path.exists(lab.dump) and os.path.getsize(lab.dump) > limit:
            bad.append(f"-L {limit}: {os.path.getsize(lab.dump)} bytes")
    lab.tap.none(bad, "-L: marked, readable, not longer")
    run = lab.filter(*RAW, "-L", "1G")
    lab.tap.equal(run.status, harness.OK, "-L 1G is enough", run)


def check_short_writes(lab):
    """Writes that take little, and are interrupted: the same dump."""
    lab.filter("-d", 31, "-c")
    with open(lab.dump, "rb") as f:
        whole = f.read()
    for name, env in (("4000 bytes at a time", {"short": 4000}), ("1000 bytes", {"short": 1000}),
                      ("EFAULT before each", {"fault": 1, "no_blocks": 1})):
        run = lab.filter("-d", 31, "-c", env=lab.failing(**env))
        with open(lab.dump, "rb") as f:
            lab.tap.check(run.status == 0 and f.read() == whole, f"short writes, {name}", run)


def check_levels(lab):
    """A level list: the next one where the disk is full."""
    small = os.path.getsize(lab.dump) if lab.filter("-d", 31, "--compress=none") else 0
    limit = small + 100000
    run = lab.filter("-d", "0,31", "--compress=none", "-L", limit)
    lab.tap.equal(run.status, harness.OK, "-d 0,31: the second level fits", run)
    check_whole(lab, 31, "-d 0,31: complete, of level 31")
    lab.tap.equal(kdumpread.Dump(lab.dump).level, 31, "-d 0,31: its header says level 31")
    lab.tap.check("Retry to create a dumpfile by dump_level(31)." in run.err,
                  "-d 0,31: a line about it", run)
    run = lab.filter("-d", "0,1,31", "--compress=none", "-L", 1 << 20)
    lab.tap.none(stump_problems(run, lab.dump, lab.page)
                 if len(run.errors()) == 1 else mark_problems(lab.dump, lab.page),
                 "-d 0,1,31: no level fits: marked", run)
    lab.tap.equal(run.status, harness.INCOMPLETE, "-d 0,1,31: exit status", run)


# In a mount namespace of its own, so that nothing is left mounted: a disk of $1 bytes at $2, the
# program $0 with the other arguments and a dump on that disk, which is kept at $3.
ON_A_DISK = '''size=$1 place=$2 keep=$3; shift 3
mount -t tmpfs -o "size=$size" tmpfs "$place" || exit 77
"$0" "$@" "$place/dump"; status=$?
cp --sparse=always "$place/dump" "$keep"; exit $status'''


def on_a_disk(lab, size, *args):
    """A run whose dump goes to a disk of SIZE bytes and is then found at lab.dump."""
    lab.clean()
    place = lab.path("disk")
    os.makedirs(place, exist_ok=True)
    run = lab.tool.run("-m", "sh", "-c", ON_A_DISK, lab.tool.path, size, place, lab.dump,
                       "filter", *args, lab.vmcore, name="unshare")
    if run.status in (77, 127) or "unshare:" in run.err:
        raise harness.Skip(run.err.strip().split("\n")[-1])
    return run


def check_tmpfs(lab):
    """A disk that is really full: the next level of the list, or a dump that is marked."""
    tap, name, sizes = lab.tap, "a really full disk", {}
    for level in (11, 31):
        lab.filter("-d", level, "--compress=none")
        sizes[level] = os.stat(lab.dump).st_blocks * 512
    args = ("-d", "11,31", "--compress=none")
    try:
        run = on_a_disk(lab, (sizes[11] + sizes[31]) // 2, *args)
    except harness.Skip as why:
        return tap.skip(name, why)
    tap.equal(run.status, harness.OK, f"{name}: -d 11,31, of which 31 fits", run)
    tap.check("Retry to create a dumpfile by dump_level(31)." in run.err, f"{name}: a line", run)
    check_whole(lab, 31, f"{name}: the dump of level 31 is complete")
    for threads in (1, 7):
        run = on_a_disk(lab, sizes[31] // 2, *args, "--num-threads", threads)
        tap.equal(run.status, harness.INCOMPLETE, f"{name}: -d 11,31, none fits", run)
        tap.check(os.path.exists(lab.dump), f"{name}: what fits is there")
        tap.none(stump_problems(run, lab.dump, lab.page)
                 if len(run.errors()) == 1 else mark_problems(lab.dump, lab.page),
                 f"{name}: and is marked incomplete")
        tap.check(readable(lab.dump, lab.page)[0] > 0, f"{name}: with pages that can be read")
    return tap.check(not os.path.ismount(lab.path("disk")), f"{name}: nothing is left mounted")


def check_split(lab):
    """One piece of a split set does not fit: that one is marked, at least; no lie in the others."""
    outs, total = [lab.path(f"part{i}") for i in range(3)], lab.counts(*RAW)[1]
    for share in (0.1, 0.5, 0.9):
        for out in outs:
            if os.path.exists(out):
                os.unlink(out)
        run = lab.tool.filter(*RAW, "--split", lab.vmcore, *outs,
                              env=lab.failing(write_bytes=int(total * share)))
        marks = [kdumpread.is_marked(out) for out in outs]
        wrong = [w for out in outs for w in readable(out, lab.page)[1]]
        lab.tap.check(run.status == harness.INCOMPLETE and any(marks) and not wrong,
                      f"--split, full disk after {share} of it", run, marks, *wrong)


# ---- pipes ----

def check_closed_pipe(lab):
    """The reader goes away: at once, or after a while. No signal, one line."""
    bad = []
    for take in (0, 1, 4096, 5000, 100000, 1 << 20, 2 << 20):
        process = lab.tool.start("filter", "-F", *RAW, lab.vmcore, stdout=subprocess.PIPE)
        if take:
            process.stdout.read(take)
        process.stdout.close()
        err = process.stderr.read().decode()
        process.stderr.close()
        run = harness.Run(process.args, process.wait(30), b"", err, 0)
        bad += [f"after {take} bytes: {b}" for b in
                stump_problems(run, lab.path("no file"), None)]
    lab.tap.none(bad, "the reader of a stream goes away")
    if os.path.exists("/dev/full"):
        with open("/dev/full", "wb") as full:
            run = lab.tool.filter("-F", *RAW, lab.vmcore, stdout=full)
        lab.tap.none(stump_problems(run, lab.path("no file"), None),
                     "-F to /dev/full", run)


def check_closed_output(lab):
    """Standard output was closed before the start: what goes nowhere is not called a success."""
    for args in (["filter", "-F", *RAW, lab.vmcore], ["dmesg", lab.vmcore]):
        closed = subprocess.run(["/bin/sh", "-c", 'exec "$0" "$@" >&-', lab.tool.path,
                                 *map(str, args)], stderr=subprocess.PIPE, check=False,
                                env=lab.tool.environment())
        lab.tap.check(closed.returncode in (harness.FAILED, harness.INCOMPLETE),
                      f"{args[0]} without a standard output fails", closed)


# ---- input that cannot be read ----

def check_unreadable(lab):
    """Bad sectors in pages: these are missing, all others are there, and it is told."""
    offset = lab.image.offset(0x30 * 4096)
    for name, first, last, gone in (
            ("one page", offset, offset + 4096, {0x30}),
            ("a few bytes", offset + 100, offset + 101, {0x30}),
            ("three pages", offset + 4000, offset + 9000, {0x30, 0x31, 0x32})):
        for threads in (1, 3):
            env = lab.failing(read=f"{first}-{last}", no_mmap=errno.ENODEV)
            run = lab.filter(*RAW, "--num-threads", threads, env=env)
            where = f"EIO in {name}, {threads} threads"
            if not lab.tap.equal(run.status, harness.DAMAGED, where, run):
                continue
            dump, kept = kdumpread.Dump(lab.dump), lab.image.kept(0)
            lab.tap.equal({p for p in kept if not dump.has(p)}, gone, f"{where}: what is missing")
            check_whole(lab, 0, f"{where}: all else")
            lab.tap.equal(len(run.warnings()), 1, f"{where}: one warning", run)


def check_unreadable_facts(lab):
    """Bad sectors in what the filtering needs: more is kept, nothing is lost."""
    image = lab.image
    frames = {"struct pages": image.struct_page_frames[0], "a page table":
              image.tables.pages[2] // 4096, "the root table": image.tables.root // 4096,
              "the sections": image.section_array // 4096, "the log": image.memory_of_log // 4096,
              "the zone counters": image.zone_free // 4096, "the text": image.text.image[0]}
    for name, pfn in frames.items():
        at = image.offset(pfn * 4096)
        env = lab.failing(read=f"{at}-{at + 4096}", no_mmap=errno.ENODEV)
        run = lab.filter("-d", 31, "-l", env=env)
        lab.tap.equal(run.status, harness.DAMAGED, f"EIO in {name}", run)
        if run.status in (harness.OK, harness.DAMAGED):
            dump = kdumpread.Dump(lab.dump)
            lost = set(image.kept(31)) - set(dump.kept())
            missing = [pfn for pfn in dump.held() if not dump.has(pfn)]
            lab.tap.check(not lost and missing in ([], [pfn]), f"EIO in {name}: nothing is lost",
                          sorted(lost)[:20], missing[:20])
            lab.tap.equal(dump.incomplete, bool(missing),
                          f"EIO in {name}: the dump is marked if a page is missing")
            lab.tap.none(readable(lab.dump, lab.page)[1], f"EIO in {name}: contents")


def check_unreadable_headers(lab):
    """Bad sectors in the headers: one line; behind them: a dump all the same, of what there is."""
    for name, place, statuses in (("the ELF header", "0-64", (harness.FAILED,)),
                                  ("the program headers", "64-200",
                                   (harness.FAILED, harness.DAMAGED)),
                                  ("the notes", "4096-8192", (harness.DAMAGED,))):
        run = lab.filter("-d", 31, "-l", env=lab.failing(read=place, no_mmap=errno.ENODEV))
        good = run.status in statuses and not run.faults()
        lab.tap.check(good, f"EIO in {name}", run)
        if run.status == harness.FAILED:
            lab.tap.check(len(run.errors()) == 1 and not os.path.exists(lab.dump),
                          f"EIO in {name}: one line, no dump", run)


def check_no_mmap(lab):
    """Where nothing can be mapped, the dump is the same."""
    lab.filter("-d", 31, "-c")
    with open(lab.dump, "rb") as f:
        whole = f.read()
    for name in ("ENODEV", "ENOMEM", "EACCES"):
        run = lab.filter("-d", 31, "-c", env=lab.failing(no_mmap=getattr(errno, name)))
        with open(lab.dump, "rb") as f:
            lab.tap.check(run.status == 0 and f.read() == whole, f"mmap fails with {name}", run)


def check_shrinking(lab):
    """The input is cut off while it is read, or mapped, at some moments of the run."""
    source, noise, bad, seen = lab.path("noise"), None, [], set()
    if lab.tool.emulated:
        lab.tap.skip("a mapped input is cut off", "qemu-user has no SIGBUS for what a mapped file has lost")
    for i in range(16):
        if i & 2 and lab.tool.emulated:
            continue
        noise = Noise(source)
        lab.clean()
        process = lab.tool.start("filter", *RAW, "--num-threads", 1 + i % 2, source, lab.dump,
                                 env=lab.failing(sleep=20000, **({"no_blocks": 1} if i & 2 else {})))
        time.sleep(0.05 + 0.05 * (i // 2))
        os.truncate(source, 4096 + noise.COUNT * 2048 + 100)
        err = process.communicate(timeout=lab.tool.seconds(60))[1].decode()
        run = harness.Run(process.args, process.returncode, b"", err, 0)
        seen.add(run.status)
        bad += [f"moment {i}: {b}" for b in run.faults()]
        if run.status in (harness.OK, harness.DAMAGED):
            bad += [f"moment {i}: {b}" for b in shrunk_problems(run, lab.dump, noise)]
        else:
            bad += [f"moment {i}: {b}" for b in stump_problems(run, lab.dump, noise.page)]
    lab.tap.note(f"exit statuses {sorted(seen)}")
    lab.tap.none(bad, "the input is cut off while it is read")


def shrunk_problems(run, path, noise):
    """A dump that is called complete: pages that were not there any more are missing, not zero."""
    pages, dump = range(noise.FIRST, noise.FIRST + noise.COUNT), kdumpread.Dump(path)
    if dump.incomplete:     # it was short already when it was opened, and that was known
        held = range(noise.FIRST, noise.FIRST + noise.COUNT // 2)
        return readable(path, noise.page)[1] + (
            [] if set(held) <= set(dump.kept()) and run.status == harness.DAMAGED
            else [f"{len(dump.kept())} pages, status {run.status}"])
    bad = whole_problems(path, pages, noise.page)
    missing = [p for p in pages if not dump.has(p)]
    if missing and run.status != harness.DAMAGED:
        bad.append(f"{len(missing)} pages are missing, status {run.status}")
    if any(p < noise.FIRST + noise.COUNT // 2 for p in missing):
        bad.append(f"page {missing[0]:#x} was never cut off, and is missing")
    return bad


# ---- other formats ----

ELF = ("-d", 0, "--format", "elf", "--num-threads", 1)


def elf_stump_problems(lab):
    """What is wrong with an ELF core that is not whole: it is marked, or misses some of its bytes."""
    if not os.path.exists(lab.dump) or os.path.getsize(lab.dump) < 64:
        return []
    good, wrong = elf_pages(lab.dump, lab.page)
    bad = [f"page {pfn:#x} is another one" for pfn in wrong]
    if not elf_marked(lab.dump) and len(good) == len(lab.image.kept(0)):
        bad.append("neither marked nor short")
    return bad


def check_elf(lab):
    """An ELF core: killed, a full disk, a bad sector."""
    writes, bad = lab.counts(*ELF)[0], []
    lab.tap.check(not elf_marked(lab.dump) and
                  elf_pages(lab.dump, lab.page) == (set(lab.image.kept(0)), []), "an ELF core")
    for call in range(1, writes):
        lab.filter(*ELF, env=lab.failing(kill_call=call))
        bad += [f"killed in write {call}: {b}" for b in elf_stump_problems(lab)]
        run = lab.filter(*ELF, env=lab.failing(write_call=call))
        bad += [f"no room at write {call}: {b}" for b in run.faults() + elf_stump_problems(lab)]
        if run.status not in (harness.INCOMPLETE, harness.FAILED):
            bad.append(f"no room at write {call}: status {run.status}")
    lab.tap.none(bad, f"ELF: killed, and no room, at each of {writes} writes")
    run = lab.filter(*ELF, env=lab.failing(fsync_call=1))
    lab.tap.check(run.status == harness.INCOMPLETE and elf_marked(lab.dump), "ELF: EIO from fsync",
                  run)
    at = lab.image.offset(0x30 * 4096)
    run = lab.filter(*ELF, env=lab.failing(read=f"{at}-{at + 4096}", no_mmap=errno.ENODEV))
    lab.tap.equal(run.status, harness.DAMAGED, "ELF: EIO in a page", run)
    lab.tap.equal(elf_pages(lab.dump, lab.page), (set(lab.image.kept(0)) - {0x30}, []),
                  "ELF: it is in no segment, all others are")
    lab.tap.check(elf_marked(lab.dump), "ELF: and the file says that something is missing")


def check_raw(lab):
    """A raw image has its name only when it is whole."""
    args, growing = ("-d", 0, "--format", "raw", "--num-threads", 1), lab.dump + ".incomplete"
    writes, bad = lab.counts(*args)[0], []
    with open(lab.dump, "rb") as f:
        image = f.read()
    lab.tap.none([pfn for pfn in lab.image.kept(0)
                  if image[pfn * 4096:(pfn + 1) * 4096] != lab.page(pfn)], "a raw image")
    for call in harness.sample(range(1, writes + 1), 1, "raw"):
        for how in {"kill_call": call}, {"write_call": call}:
            lab.filter(*args, env=lab.failing(**how))
            if os.path.exists(lab.dump):
                bad.append(f"{how}: is called complete")
            if os.path.exists(growing):
                os.unlink(growing)
    lab.tap.none(bad, f"raw: killed, and no room, at each of {writes} writes")


# ---- want of memory ----

def check_memory(lab):
    """Each allocation fails once, and for good: no crash; a dump, or one line."""
    if lab.tool.sanitized:
        lab.tap.skip("allocations fail", "the sanitizer has an allocator of its own")
        return
    allocations, bad = lab.counts("-d", 31, "-l")[3], []
    for forever in (False, True):
        for call in harness.sample(range(1, allocations + 1), 1, f"memory {forever}"):
            how = {"malloc_call": call, **({"malloc_all": 1} if forever else {})}
            run = lab.filter("-d", 31, "-l", "--num-threads", 1, env=lab.failing(**how))
            name = f"allocation {call}{' and all after it' if forever else ''}"
            bad += [f"{name}: {b}" for b in memory_problems(lab, run)]
    lab.tap.none(bad, f"each of {allocations} allocations fails")


def memory_problems(lab, run):
    if run.status in (harness.OK, harness.DAMAGED):
        dump = kdumpread.Dump(lab.dump)
        lost = set(lab.image.kept(31)) - set(dump.kept())
        return (["marked"] if dump.incomplete else []) + ([f"lost {len(lost)}"] if lost else [])
    if run.status == harness.INCOMPLETE:
        return stump_problems(run, lab.dump, lab.page)
    if run.status == harness.FAILED:
        return [] if len(run.errors()) == 1 else [f"{len(run.errors())} lines: {run.errors()}"]
    return run.faults() or [f"status {run.status}"]


# ---- under the name of makedumpfile ----

def check_name_closing(lab):
    """What it says at the end, where, and how it ends."""
    def run(*args, **more):
        lab.clean()
        return lab.tool.run(*args, name=lab.makedumpfile, **more)

    tap, vmcore, dump = lab.tap, lab.vmcore, lab.dump
    done = run("-c", "-d", 31, vmcore, dump)
    text = done.out.decode()
    tap.equal(done.status, 0, "makedumpfile: status 0", done)
    tap.check(f"\nThe dumpfile is saved to {dump}.\n" in text and
              text.endswith("\nmakedumpfile Completed.\n"), "makedumpfile: closing lines", text)
    tap.check("\rCopying data" in done.err and "[100.0 %]" in done.err,
              "makedumpfile: progress on standard error", repr(done.err))
    tap.equal(os.stat(dump).st_mode & 0o777, 0o600, "makedumpfile: mode 0600")
    done = run("--message-level", 0, "-c", "-d", 31, vmcore, dump)
    tap.equal((done.status, done.out, done.err), (0, b"", ""), "makedumpfile: --message-level 0")
    done = run("--message-level", 2, "-d", 31, vmcore, dump)
    tap.check(done.out and not done.err, "makedumpfile: --message-level 2: nothing but the end",
              done)
    done = run("-F", "-c", "-d", 31, vmcore)
    tap.check(kdumpread.is_whole(done.out) and "The dumpfile is saved to STDOUT." in done.err and
              "makedumpfile Completed." in done.err, "makedumpfile: -F", done.err)
    done = run("--dump-dmesg", vmcore, dump)
    tap.check(f"The dmesg log is saved to {dump}." in done.out.decode() and done.status == 0,
              "makedumpfile: --dump-dmesg", done)
    done = run("--check-params", "-l", "--message-level", 7, "-d", 31, "vmcore", "dumpfile")
    tap.equal((done.status, done.out, done.err), (0, b"", ""), "makedumpfile: --check-params")


def check_name_exists(lab):
    """A file that is there is not touched without -f."""
    with open(lab.dump, "wb") as f:
        f.write(b"precious")
    run = lab.tool.run("-c", "-d", 31, lab.vmcore, lab.dump, name=lab.makedumpfile)
    with open(lab.dump, "rb") as f:
        kept = f.read() == b"precious"
    said = run.err + run.out.decode()
    lab.tap.check(run.status == 1 and kept and "File exists" in said and
                  "makedumpfile Failed." in said, "makedumpfile: the file exists", run, said)
    run = lab.tool.run("-f", "-c", "-d", 31, lab.vmcore, lab.dump, name=lab.makedumpfile)
    lab.tap.equal(run.status, 0, "makedumpfile: -f", run)
    check_whole(lab, 31, "makedumpfile: -f: the dump")


def check_name_usage(lab):
    for args in (["--nonsense"], [], [lab.vmcore], ["-d", "99", lab.vmcore, lab.dump], ["--split", lab.vmcore, lab.dump],
                 ["-F", lab.vmcore, lab.dump]):
        run = lab.tool.run(*args, name=lab.makedumpfile)
        said = run.out.decode() + run.err
        lab.tap.check(run.status == 1 and not run.faults() and "is invalid" in said and
                      "makedumpfile Failed." in said,
                      f"makedumpfile: {' '.join(os.path.basename(a) for a in args)}: refused", run,
                      said)


def check_name_faults(lab):
    """Full disks and damage: 1, with a marked file, or 0 with a line."""
    tap = lab.tap

    def run(*args, env=None):
        lab.clean()
        done = lab.tool.run(*args, lab.vmcore, lab.dump, name=lab.makedumpfile, env=env)
        return done, done.out.decode() + done.err

    done, said = run("-d", 0, env=lab.failing(write_bytes=1 << 20))
    tap.check(done.status == 1 and "This is an incomplete dumpfile, but might analyzable." in said
              and "makedumpfile Failed." in said, "makedumpfile: a full disk", done, said)
    tap.none(mark_problems(lab.dump, lab.page), "makedumpfile: a full disk: what is left")
    done, said = run("-d", "0,31", "-L", 2 << 20)
    tap.check(done.status == 0 and "Retry to create a dumpfile by dump_level(31)." in said,
              "makedumpfile: -d 0,31 with -L", done, said)
    check_whole(lab, 31, "makedumpfile: -d 0,31 with -L: complete")
    done, said = run("-d", "0,31", "-L", 50000)
    tap.check(done.status == 1 and "might analyzable" in said,
              "makedumpfile: -d 0,31, neither fits", done, said)
    tap.none(mark_problems(lab.dump, lab.page), "makedumpfile: -d 0,31, neither fits: marked")
    at = lab.image.offset(0x30 * 4096)
    done, said = run("-d", 0, env=lab.failing(read=f"{at}-{at + 4096}", no_mmap=errno.ENODEV))
    tap.check(done.status == 0 and "could not be read" in said,
              "makedumpfile: a bad page of the input", done, said)
    lab.clean()
    process = lab.tool.start("-F", "-d", 0, lab.vmcore, name=lab.makedumpfile,
                             stdout=subprocess.PIPE)
    process.stdout.close()
    err = process.stderr.read().decode()
    process.stderr.close()
    tap.check(process.wait(30) == 1 and "makedumpfile Failed." in err,
              "makedumpfile: a closed pipe", err)


def test(tap, tool, folder):
    lab = Lab(tap, tool, folder)
    checks = {name[6:]: f for name, f in globals().items() if name.startswith("check_") and
              name not in ("check_whole", "check_killed_at_random")}
    checks["killed_at_random"] = lambda lab: check_killed_at_random(
        lab, signal.SIGKILL, (-signal.SIGKILL,))
    checks["terminated_at_random"] = lambda lab: check_killed_at_random(
        lab, signal.SIGTERM, (harness.INCOMPLETE, harness.FAILED, -signal.SIGTERM))
    for name in harness.selected(checks):
        checks[name](lab)


harness.main(test, harness.SmallTool)
