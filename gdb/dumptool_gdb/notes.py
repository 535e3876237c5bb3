# SPDX-License-Identifier: GPL-2.0-or-later
"""What the notes of a core say: its tasks and modules, by dumptool's own; VMCOREINFO."""
import re

OWNER, TASKS, MODULES = "DUMPTOOL", 0x44554d54, 0x44554d4d
MAX_LINES = 1 << 23


def printable(data):
    """Text without what a terminal would take amiss."""
    return "".join(c if " " <= c <= "~" else f"\\x{ord(c):02x}" for c in data.decode("latin-1"))


def number(text, base=10):
    """A number without a sign of other than ASCII digits, or ValueError."""
    if not re.fullmatch(rb"-?[0-9]{1,20}" if base == 10 else rb"[0-9a-fA-F]{1,16}", text):
        raise ValueError("no number")
    return int(text, base)


class Task:
    """TASK=ID PID TGID CPU STATE TASK_STRUCT NAME"""

    def __init__(self, text):
        words = text.split(b" ", 6)
        if len(words) != 7:
            raise ValueError("too few words")
        self.id, self.pid, self.tgid, self.cpu = (number(w) for w in words[:4])
        self.state, self.running = printable(words[4][:1]), words[4][1:] == b"+"
        self.addr, self.name = number(words[5], 16), printable(words[6][:64])


class Module:
    """MODULE=STRUCT_MODULE TEXT SIZE BUILD_ID|- NAME"""

    def __init__(self, text):
        words = text.split(b" ", 4)
        if len(words) != 5:
            raise ValueError("too few words")
        self.addr, self.text, self.size = (number(w, 16) for w in words[:3])
        self.build_id = words[3].decode("ascii") if re.fullmatch(rb"([0-9a-f]{2}){4,32}", words[3]) else None
        self.name, self.users = printable(words[4][:64]), None


def parse_lines(data, key, kind):
    """What each line KEY=... says; a line that makes no sense is left out."""
    found = []
    for line in data.split(b"\n", MAX_LINES)[:MAX_LINES]:
        if line.startswith(key):
            try:
                found.append(kind(line[len(key):]))
            except ValueError:
                pass
    return found


def parse_vmcoreinfo(data):
    """{key: text}"""
    found = {}
    for line in data.split(b"\n", 1 << 16)[:1 << 16]:
        key, equals, value = line.partition(b"=")
        if equals:
            found.setdefault(printable(key), printable(value))
    return found


class Notes:
    """Those of a core that matter here."""

    def __init__(self, elf):
        self.tasks, self.modules, self.vmcoreinfo = [], [], {}
        for owner, kind, data in elf.notes():
            if owner == OWNER and kind == TASKS:
                self.tasks += parse_lines(data, b"TASK=", Task)
            elif owner == OWNER and kind == MODULES:
                self.modules += parse_lines(data, b"MODULE=", Module)
            elif owner == "VMCOREINFO" and not self.vmcoreinfo:
                self.vmcoreinfo = parse_vmcoreinfo(data)

    def fact(self, kind, name):
        """SYMBOL, OFFSET, SIZE, LENGTH or NUMBER of NAME, or None."""
        text = self.vmcoreinfo.get(f"{kind}({name})")
        hexa = kind == "SYMBOL"
        if text is None or not re.fullmatch("(0x)?[0-9a-fA-F]{1,16}" if hexa else "-?[0-9]{1,20}|0x[0-9a-fA-F]{1,16}",
                                            text):
            return None
        return int(text, 16 if hexa else 0)
