# SPDX-License-Identifier: GPL-2.0-or-later
"""A Debian kernel that crashes under QEMU, and what its capture kernel left on the disk."""
import glob
import lzma
import os
import platform
import re
import shutil
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = {"qemu-system-x86_64": "qemu-system-x86", "busybox": "busybox-static",
            "kexec": "kexec-tools", "cpio": "cpio", "mke2fs": "e2fsprogs", "debugfs": "e2fsprogs",
            "ldd": "libc-bin"}
# What a kernel other than the cloud kernel needs to reach the disk; what is built in is skipped.
MODULES = ("nvme", "crc32c_generic", "ext4")
# KASLR may put the kernel anywhere, and 128 MiB in one piece must be left beside it and the
# initramfs: with 320 MiB that failed in 2 boots of 20, with 288 in 5. By arithmetic 384 are always
# enough for a kernel of 64 MiB and an initramfs of 40.
MEMORY_MIB = 448
CRASHKERNEL = "128M"
DISK = "/dev/nvme0n1"


class Skip(Exception):
    """Something this machine lacks: the test cannot run here."""


class Failure(Exception):
    """The guest did not do what was asked; the message holds the end of its console."""


def program(name):
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not path:
        raise Skip(f"{name} is not installed (Debian package {PROGRAMS.get(name, name)})")
    return path


def output_of(*command, **more):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, **more)
    if done.returncode:
        raise Failure(f"{' '.join(command)}: exit status {done.returncode}\n{done.stderr.strip()}")
    return done.stdout


# The kernel

def unpack_kernel(deb):
    """(vmlinuz, module folder) of a kernel package; unpacked beside it, once."""
    folder = deb[:-len(".deb")]
    if not os.path.isdir(folder):
        partial = f"{folder}.{os.getpid()}"
        output_of(program("dpkg"), "-x", deb, partial)
        try:
            os.rename(partial, folder)
        except OSError:     # another run was faster
            shutil.rmtree(partial)
    kernels = glob.glob(folder + "/boot/vmlinuz-*")
    modules = glob.glob(folder + "/lib/modules/*") + glob.glob(folder + "/usr/lib/modules/*")
    if not kernels:
        raise Skip(f"no boot/vmlinuz in {deb}: set DUMPTOOL_KERNEL")
    return kernels[0], modules[0] if modules else None


def current_kernel(cache):
    """The package that linux-image-cloud-amd64 depends on, in CACHE, downloaded if need be."""
    def found(pattern, text):
        match = re.search(pattern, text)
        if not match:
            raise Failure("the package lists do not hold linux-image-cloud-amd64")
        return match.group(1)

    apt = program("apt-cache")
    name = found(r"Depends: (linux-image-\S+)",
                 output_of(apt, "depends", "linux-image-cloud-amd64"))
    version = found(r"Candidate: (\d\S*)", output_of(apt, "policy", name)).replace(":", "%3a")
    deb = f"{cache}/{name}_{version}_amd64.deb"
    if not os.path.exists(deb):
        output_of(program("apt-get"), "download", name, cwd=cache)
    return deb


def find_kernel(cache):
    """DUMPTOOL_KERNEL, else Debian's current cloud kernel, else the newest one in the cache."""
    if os.environ.get("DUMPTOOL_KERNEL"):
        return os.environ["DUMPTOOL_KERNEL"], os.environ.get("DUMPTOOL_MODULES")
    os.makedirs(cache, exist_ok=True)
    try:
        return unpack_kernel(current_kernel(cache))
    except (Failure, Skip) as why:
        cached = sorted(glob.glob(cache + "/linux-image-*-cloud-amd64_*.deb"), key=os.path.getmtime)
        if cached:
            return unpack_kernel(cached[-1])
        detail = str(why).split("\n")[-1]
        raise Skip("no kernel: DUMPTOOL_KERNEL is unset, and the package that "
                   "linux-image-cloud-amd64 depends on cannot be had (`apt-get update`?): "
                   + detail) from None


def read_module(path):
    with (lzma.open if path.endswith(".xz") else open)(path, "rb") as f:
        return f.read()


def wanted_modules(folder, names=MODULES):
    """{file name: content} of NAMES and what they depend on, in the order of loading."""
    found = {}
    if not folder:
        return found
    files = glob.glob(folder + "/kernel/**/*.ko*", recursive=True)
    paths = {os.path.basename(p).split(".ko")[0].replace("-", "_"): p for p in files}

    def add(name):
        name = name.replace("-", "_")
        if name not in paths or name + ".ko" in found:
            return
        content = read_module(paths[name])
        for needed in re.search(rb"\0depends=([^\0]*)\0", content).group(1).decode().split(","):
            add(needed)
        found[name + ".ko"] = content

    for name in names:
        add(name)
    return found


# The initramfs

def with_libraries(path):
    """PATH (an ELF program) and the shared libraries it needs, as absolute paths."""
    try:
        with open(path, "rb") as f:
            if f.read(4) != b"\x7fELF":
                raise Failure(f"{path}: not an ELF program (of a libtool wrapper give .libs/)")
    except OSError as why:
        raise Failure(f"{path}: {why.strerror}") from None
    # ldd fails for a static program, which needs nothing.
    ldd = subprocess.run([program("ldd"), path], capture_output=True, text=True).stdout
    if "not found" in ldd:
        raise Failure(f"{path}: a shared library is missing\n{ldd}")
    return [path] + re.findall(r"(/\S+) \(0x", ldd)


def make_initrd(out, files):
    """A newc archive, uncompressed: FILES is {path in the guest: path here, or bytes}."""
    root = out + ".root"
    for name, content in files.items():
        target = root + "/" + name
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if isinstance(content, bytes):
            with open(target, "wb") as f:
                f.write(content)
        else:
            shutil.copyfile(content, target)
        os.chmod(target, 0o755)
    names = "\n".join(os.path.relpath(os.path.join(d, n), root)
                      for d, dirs, plain in os.walk(root) for n in dirs + plain)
    with open(out, "wb") as f:
        subprocess.run([program("cpio"), "-o", "-H", "newc", "--quiet"], input=names.encode(),
                       stdout=f, cwd=root, check=True)
    shutil.rmtree(root)


def make_initrds(tmp, kernel, modules, command, marker):
    """capture.img, with the command under test (None: raw dump only), and first.img around it."""
    loaded = wanted_modules(modules)
    settings = {"MARKER": marker, "DISK": DISK, "MODULES": " ".join(loaded), "FILTER": ""}
    both = {"init": HERE + "/init.sh", "bin/busybox": program("busybox")}
    both.update({"modules/" + name: content for name, content in loaded.items()})
    capture, first = dict(both), dict(both)
    if command:
        capture.update({p.lstrip("/"): p for p in with_libraries(command[0])[1:]})
        capture["bin/" + os.path.basename(command[0])] = command[0]
        settings["FILTER"] = " ".join([os.path.basename(command[0])] + command[1:])
    config = "".join(f"{key}='{value}'\n" for key, value in settings.items()).encode()
    capture["config"] = first["config"] = config
    make_initrd(tmp + "/capture.img", capture)
    kexec = with_libraries(program("kexec"))
    first.update({p.lstrip("/"): p for p in kexec[1:]})
    first.update({"bin/kexec": kexec[0], "vmlinuz": kernel, "initrd": tmp + "/capture.img"})
    make_initrd(tmp + "/first.img", first)


# The guest

def read_log(path):
    if not os.path.exists(path):
        return ""
    with open(path, errors="replace", newline="") as f:
        return f.read()


def tail_of(tmp, lines=60):
    """The end of the kernel's console and what the guest reported, as text for a message."""
    console = re.split(r"[\r\n]+", read_log(tmp + "/console").rstrip())
    reports = read_log(tmp + "/reports").split()
    return "\n".join(["the end of the guest's console:"] + console[-lines:]
                     + ["what the guest reported: " + (" ".join(reports) or "nothing")])


def boot(tmp, kernel, disk, memory, limit):
    """Run the guest until it is off, at most LIMIT seconds; fills tmp/console and tmp/reports."""
    command = [program("qemu-system-x86_64"), "-machine", "pc", "-accel", "tcg,thread=multi",
               "-cpu", "max,la57=off", "-smp", "2", "-m", str(memory), "-nic", "none",
               "-display", "none", "-monitor", "none", "-no-reboot",
               "-serial", f"file:{tmp}/console", "-serial", f"file:{tmp}/reports",
               "-kernel", kernel, "-initrd", tmp + "/first.img",
               "-append", f"console=ttyS0 loglevel=4 panic=1 crashkernel={CRASHKERNEL}",
               "-drive", f"file={disk},if=none,format=raw,cache=unsafe,id=disk",
               "-device", "nvme,drive=disk,serial=1"]
    guest = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + limit
    try:
        while guest.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
            # All is on the disk then; that the guest can switch itself off is not what is tested.
            if "VMTEST end 0" in read_log(tmp + "/reports"):
                deadline = min(deadline, time.monotonic() + 5)
        if guest.poll() is None and "VMTEST end 0" not in read_log(tmp + "/reports"):
            raise Failure(f"the guest was not done after {limit} seconds\n{tail_of(tmp)}")
    finally:
        if guest.poll() is None:
            guest.kill()
        complaint = guest.communicate()[1].strip()
    if guest.returncode > 0:
        raise Failure("qemu: " + complaint)


class Crash:
    """What one crash left: exit statuses and measurements by name, and files in FOLDER."""

    def __init__(self, reports, folder):
        self.status = {n: int(v) for n, v in re.findall(r"VMTEST (\S+) (\d+)", reports)}
        self.info = dict(re.findall(r"VMINFO (\S+) (\S+)", reports))
        self.folder = folder

    def path(self, name):
        return f"{self.folder}/{name}"

    def sizes(self):
        return {n[len("size-"):]: int(v) for n, v in self.info.items() if n.startswith("size-")}


def peak_unit():
    """KiB per unit of `busybox time -f %M`: 1.35 shows four times too much."""
    mib = 64
    shown = output_of("sh", "-c", f"'{program('busybox')}' time -f %M '{program('busybox')}' "
                      f"dd if=/dev/zero of=/dev/null bs={mib}M count=1 2>&1").split()[-1]
    return 1 / round(int(shown) / (mib * 1024))


def extract(disk, crash):
    for name, size in crash.sizes().items():
        output_of(program("debugfs"), "-R", f"dump /{name} {crash.path(name)}", disk)
        if not os.path.exists(crash.path(name)) or os.path.getsize(crash.path(name)) != size:
            raise Failure(f"{name} did not come off the disk image with its {size} bytes")


def run(tmp, cache, command, marker, memory=MEMORY_MIB, limit=300):
    """Crash a guest; all files are in TMP. COMMAND: argv of the filter, None: the raw dump only."""
    if platform.machine() != "x86_64":
        raise Skip("the guest is x86_64, and gets programs of this machine")
    for name in PROGRAMS:
        program(name)
    kernel, modules = find_kernel(cache)
    make_initrds(tmp, kernel, modules, command, marker)
    disk = tmp + "/disk.img"
    output_of(program("mke2fs"), "-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", disk,
              f"{memory * 2 + 64}M")
    boot(tmp, kernel, disk, memory, limit)
    crash = Crash(read_log(tmp + "/reports"), tmp)
    if any(crash.status.get(step) != 0 for step in ("kexec-load", "raw", "unmount", "end")):
        raise Failure("the guest did not crash and save its memory\n" + tail_of(tmp))
    extract(disk, crash)
    return crash
