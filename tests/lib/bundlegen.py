# SPDX-License-Identifier: GPL-2.0-or-later
"""Bundles as dumptool-bundle(5) describes them, by tarfile and zipfile, and all that is wrong with others."""
import hashlib
import io
import json
import struct
import tarfile
import zipfile

TOP = "core.1.bundle"
ID = bytes(range(20))


def elf(build_id=ID, size=3000, kind=3):
    """A small ELF file with a build-id, of noughts otherwise; KIND: e_type."""
    note = struct.pack("<III4s", 4, len(build_id), 3, b"GNU\0") + build_id
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", kind, 62, 1, 0, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    phdr = struct.pack("<IIQQQQQQ", 4, 4, 120, 0, 0, len(note), len(note), 4)
    return (head + phdr + note).ljust(size, b"\0")


class Bundle:
    """Members, in order: path -> bytes, or a text, which is a link's target; and a manifest of them."""

    def __init__(self):
        self.members = {
            "run-gdb.sh": b'#!/bin/sh\necho "gdb: $*"\n',
            "usr/bin/prog": elf(),
            "usr/lib/libx.so.1": elf(ID[::-1], 70000),
            "usr/lib/libx.so": "libx.so.1",
            "core.1": elf(b"\7" * 20, 200000, 4) + b"core" * 999,
        }
        self.rows = [self.row(path) for path in self.members]
        self.rows.append({"path": "usr/lib/libgone.so", "kind": "library", "status": "missing",
                          "build_id": "00" * 20, "note": "install the package libgone"})

    def row(self, path):
        data = self.members[path]
        row = {"path": path, "kind": "script" if path.endswith(".sh") else "library",
               "status": "verified", "origin": "/" + path}
        if path == "core.1":
            row.update(kind="dump", status="made")
        elif isinstance(data, bytes) and data[:4] == b"\x7fELF":
            row["build_id"] = data[136:156].hex()
        if isinstance(data, str):
            return {**row, "link": data}
        return {**row, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    def manifest(self, **more):
        text = json.dumps({"tool": "dumptool", "version": "0.1", "kind": "bundle", "schema": 1,
                           "dump": {"path": "core.1", "type": "core"}, "members": self.rows, **more}, indent=1)
        return text.encode()

    def infos(self, manifest=None):
        """(TarInfo, bytes) of all members, the manifest last."""
        for path, data in self.members.items():
            yield info(path, data), data if isinstance(data, bytes) else b""
        text = self.manifest() if manifest is None else manifest
        if text:
            yield info("manifest.json", text), text

    def tar(self, mode="w", extra=(), manifest=None, at=2):
        """The archive's bytes; EXTRA: (TarInfo, bytes) that go in before member AT."""
        out, rows = io.BytesIO(), list(self.infos(manifest))
        rows[at:at] = list(extra)
        with tarfile.open(fileobj=out, mode=mode, format=tarfile.PAX_FORMAT) as tar:
            for head, data in rows:
                tar.addfile(head, io.BytesIO(data))
        return out.getvalue()

    def zip(self, method=zipfile.ZIP_DEFLATED):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as z:
            for head, data in self.infos():
                entry = zipfile.ZipInfo(head.name)
                entry.create_system = 3
                entry.external_attr = (0o120777 if head.issym() else 0o100000 | head.mode) << 16
                entry.compress_type = method
                z.writestr(entry, head.linkname.encode() if head.issym() else data)
        return out.getvalue()


def info(path, data=b"", top=TOP + "/", **more):
    """A member's head; MORE: attributes of it."""
    head = tarfile.TarInfo(top + path)
    head.size = len(data) if isinstance(data, bytes) else 0
    head.mode = 0o755 if path.endswith(".sh") else 0o644
    if isinstance(data, str):
        head.type, head.linkname = tarfile.SYMTYPE, data
    for key, value in more.items():
        setattr(head, key, value)
    return head
