# SPDX-License-Identifier: GPL-2.0-or-later
"""A file whose reads go wrong as they are told to: a small FUSE server, without any library.

    fusefs.enter()                        # a mount namespace of our own; Skip where that cannot be
    with fusefs.Mount(folder) as mount:
        mount.files["in"] = fusefs.File(data, bad=[(8192, 12288)])
        ... a program reads mount.path("in") ...

The file system lives in a thread of this process: no other thread of it may touch the files, since the
two would wait for each other. Protocol: linux/fuse.h, version 7.31, which newer kernels speak too.
Nothing is read ahead, so that each page is asked for by itself and fails by itself.
"""
import ctypes
import errno
import os
import stat
import struct
import threading
import time

import harness

CLONE_NEWNS = 0x20000
MS_NOSUID, MS_NODEV, MS_REC, MS_PRIVATE = 2, 4, 0x4000, 1 << 18
MNT_DETACH = 2
ROOT = 1

# Operations that are answered, and those that want no answer.
LOOKUP, FORGET, GETATTR, OPEN, READ, STATFS, RELEASE = 1, 2, 3, 14, 15, 17, 18
FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR, INTERRUPT, DESTROY, BATCH_FORGET = \
    25, 26, 27, 28, 29, 36, 38, 42
SILENT = (FORGET, INTERRUPT, BATCH_FORGET)
FOPEN_DIRECT_IO = 1

libc = ctypes.CDLL(None, use_errno=True)


def call(function, *args):
    if function(*args) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def enter():
    """Leave the mount namespace that others share: what is mounted is gone when this process is."""
    if os.geteuid():
        raise harness.Skip("mounting a file system takes root")
    if not os.path.exists("/dev/fuse"):
        raise harness.Skip("there is no /dev/fuse")
    try:
        call(libc.unshare, CLONE_NEWNS)
        call(libc.mount, None, b"/", None, MS_REC | MS_PRIVATE, None)
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as why:
        raise harness.Skip(f"no file system can be mounted here: {why}") from None


class File:
    """
    DATA, and what is wrong with it:
      bad      ranges of bytes (from, to) that give EIO
      cut      (N, SIZE): from read number N on, counted from 0, the file has SIZE bytes only
      stalls   {N: SECONDS}: read number N takes that long
      dies     read number N and all after it get no answer: the server is gone
      direct   not through the page cache: a read that reaches a bad range is short
    """

    def __init__(self, data, bad=(), cut=None, stalls=None, dies=None, direct=False):
        self.data, self.bad, self.cut, self.stalls = data, list(bad), cut, stalls or {}
        self.dies, self.direct = dies, direct
        self.reads = 0

    @property
    def size(self):
        cut = self.cut and self.reads > self.cut[0]
        return min(self.cut[1], len(self.data)) if cut else len(self.data)

    def read(self, offset, size):
        """The bytes, or raise OSError."""
        self.reads += 1
        time.sleep(self.stalls.get(self.reads - 1, 0))
        end = min(offset + size, self.size)
        for start, stop in self.bad:
            if offset < stop and start < end:
                if start <= offset or not self.direct:
                    raise OSError(errno.EIO, "bad range")
                end = start
        return self.data[offset:end]


class Gone(Exception):
    """The server stops without an answer."""


class Mount:
    """Files in a folder of their own. Not more is done than reading needs."""

    def __init__(self, folder):
        self.folder, self.files = folder, {}
        self.fd = self.thread = None

    def path(self, name):
        return os.path.join(self.folder, name)

    def __enter__(self):
        os.makedirs(self.folder, exist_ok=True)
        self.fd = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self.fd},rootmode=40000,user_id=0,group_id=0".encode()
        try:
            call(libc.mount, b"dumptool-test", self.folder.encode(), b"fuse", MS_NOSUID | MS_NODEV,
                 options)
        except OSError as why:
            os.close(self.fd)
            raise harness.Skip(f"FUSE cannot be mounted: {why}") from None
        self.thread = threading.Thread(target=self.serve, args=(self.fd,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        libc.umount2(self.folder.encode(), MNT_DETACH)
        self.thread.join(10)

    # ---- the protocol ----

    def serve(self, fd):
        """Until the file system is unmounted, or is to be gone."""
        while True:
            try:
                request = os.read(fd, 1 << 17)
            except OSError as why:
                if why.errno in (errno.EINTR, errno.EAGAIN, errno.ENOENT):
                    continue
                break   # ENODEV: unmounted
            _, op, unique, node = struct.unpack_from("<IIQQ", request)
            if op in SILENT:
                continue
            try:
                error, answer = 0, self.answer(op, node, request[40:])
            except OSError as why:
                error, answer = -why.errno, b""
            except Gone:
                break
            try:
                os.write(fd, struct.pack("<IiQ", 16 + len(answer), error, unique) + answer)
            except OSError:
                pass    # ENOENT: whoever asked was interrupted
        os.close(fd)    # all that still wait get ENOTCONN

    def node(self, number):
        """The file of a node."""
        try:
            return list(self.files.values())[number - ROOT - 1]
        except IndexError:
            raise OSError(errno.ENOENT, "no such node") from None

    def attr(self, number):
        """struct fuse_attr."""
        if number == ROOT:
            size, mode = 0, stat.S_IFDIR | 0o755
        else:
            size, mode = self.node(number).size, stat.S_IFREG | 0o444
        return struct.pack("<QQQQQQIIIIIIIIII", number, size, -(-size // 512), 0, 0, 0, 0, 0, 0,
                           mode, 1, 0, 0, 0, 4096, 0)

    def answer(self, op, node, body):
        if op == INIT:
            # major, minor, max_readahead, flags, background, congestion, max_write, time_gran
            return struct.pack("<IIIIHHII36x", 7, 31, 0, 0, 16, 12, 4096, 1)
        if op == LOOKUP:
            name = body.split(b"\0")[0].decode()
            if name not in self.files:
                raise OSError(errno.ENOENT, "no such file")
            number = ROOT + 1 + list(self.files).index(name)
            return struct.pack("<QQQQII", number, 0, 0, 0, 0, 0) + self.attr(number)
        if op == GETATTR:
            return struct.pack("<QII", 0, 0, 0) + self.attr(node)
        if op in (OPEN, OPENDIR):
            direct = op == OPEN and self.node(node).direct
            return struct.pack("<QIi", 0, FOPEN_DIRECT_IO if direct else 0, 0)
        if op == READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            file = self.node(node)
            if file.dies is not None and file.reads >= file.dies:
                raise Gone
            return file.read(offset, size)
        if op == STATFS:
            return struct.pack("<QQQQQIIII24x", 0, 0, 0, 0, 0, 4096, 255, 4096, 0)
        if op in (RELEASE, FLUSH, RELEASEDIR, DESTROY):
            return b""
        if op == READDIR:
            return b""
        raise OSError(errno.ENOSYS, "not done here")
