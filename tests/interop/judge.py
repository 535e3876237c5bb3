# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's own word on what each page is: /proc/kpageflags (include/uapi/linux/kernel-page-flags.h)."""
import struct

NAMES = ("LOCKED ERROR REFERENCED UPTODATE DIRTY LRU ACTIVE SLAB WRITEBACK RECLAIM BUDDY MMAP ANON SWAPCACHE "
         "SWAPBACKED COMPOUND_HEAD COMPOUND_TAIL HUGE UNEVICTABLE HWPOISON NOPAGE KSM THP OFFLINE ZERO_PAGE IDLE "
         "PGTABLE").split()
BIT = {name: 1 << i for i, name in enumerate(NAMES)}


def load(path):
    with open(path, "rb") as f:
        data = f.read()
    return struct.unpack(f"<{len(data) // 8}Q", data)


def kind(flags):
    """What level 31 drops the page as; None: it is kept."""
    if flags & BIT["NOPAGE"]:
        return None
    if flags & BIT["BUDDY"]:
        return "free"
    if flags & BIT["SLAB"]:  # 6.12 sets ANON and KSM on slab pages too
        return None
    if flags & (BIT["ANON"] | BIT["HUGE"]):
        return "user"
    if flags & BIT["HWPOISON"]:
        return "hwpoison"
    if flags & BIT["OFFLINE"]:
        return "offline"
    if flags & BIT["LRU"]:
        return "cache"
    return None
