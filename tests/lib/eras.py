# SPDX-License-Identifier: GPL-2.0-or-later
"""How kernels of several eras encode what a page is: layout of struct page, flag numbers, types.

Values are those of x86-64 kernels of these versions with usual options; where VMCOREINFO of a real
kernel was at hand (5.10, 6.1, 6.12, 7.2) they are its values.
"""
from dataclasses import dataclass, field

WORD = 1 << 64


def flag_numbers(text):
    """ "lru=5 head=15" as a table."""
    return {name: int(bit) for name, bit in (word.split("=") for word in text.split())}


FLAGS_43 = flag_numbers("uptodate=3 lru=5 slab=7 owner=8 reserved=10 private=11 head=14 tail=15 "
                        "swapcache=16 swapbacked=19 hwpoison=23")
FLAGS_414 = flag_numbers("uptodate=3 lru=5 slab=8 swapcache=9 reserved=11 private=12 head=15 "
                         "swapbacked=18 hwpoison=22")
FLAGS_510 = flag_numbers("uptodate=2 lru=4 slab=9 swapcache=10 reserved=12 private=13 head=16 "
                         "swapbacked=19 hwpoison=23")
# v6.6: the low byte of the first tail's flags became the order, so flags moved
FLAGS_66 = flag_numbers("uptodate=3 lru=5 head=6 hugetlb=8 slab=11 swapcache=12 reserved=14 "
                        "private=15 swapbacked=19 hwpoison=22")
FLAGS_612 = flag_numbers("uptodate=3 lru=5 head=6 swapcache=10 reserved=13 private=14 "
                         "swapbacked=17 hwpoison=20")

# Members of struct page: offset and size.
PAGE_43 = {"flags": (0, 8), "mapping": (8, 8), "_mapcount": (24, 4), "_count": (28, 4),
           "lru": (32, 8), "lru_prev": (40, 8), "private": (48, 8)}
PAGE_414 = {"flags": (0, 8), "mapping": (8, 8), "_mapcount": (24, 4), "_refcount": (28, 4),
            "lru": (32, 8), "compound_head": (32, 8), "private": (48, 8)}
PAGE_510 = {"flags": (0, 8), "lru": (8, 8), "compound_head": (8, 8), "mapping": (24, 8),
            "private": (40, 8), "_mapcount": (48, 4), "_refcount": (52, 4)}
PAGE_71 = {**PAGE_510, "compound_info": (8, 8)}

# What stands in _mapcount for a page of a type; NOTHING is what pages without one have.
NOTHING = 0xffffffff


def low_bits(*more):
    """v4.18: all ones, a type clears its bit."""
    bits = {"free": 0x80, "offline": 0x100, "table": 0x200}
    bits.update(more)
    return {name: ~bit & 0xffffffff for name, bit in bits.items()}


HIGH_BITS = {name: ~bit & 0xffffffff for name, bit in {     # v6.11
    "free": 0x40000000, "offline": 0x20000000, "table": 0x10000000, "hugetlb": 0x04000000,
    "slab": 0x02000000, "zsmalloc": 0x01000000}.items()}
TOP_BYTE = {name: number << 24 for name, number in {        # v6.12
    "free": 0xf0, "offline": 0xf1, "table": 0xf2, "hugetlb": 0xf4, "slab": 0xf5,
    "zsmalloc": 0xf6, "unaccepted": 0xf7}.items()}

TYPE_KEYS = {"free": "BUDDY", "offline": "OFFLINE", "hugetlb": "HUGETLB", "slab": "SLAB",
             "unaccepted": "UNACCEPTED"}


@dataclass(frozen=True)
class Era:
    name: str
    page: dict
    flags: dict
    types: dict
    order: str          # where the order of a compound page is: lru, u32, u8, folio, flags
    hugetlb: str        # how it is known for hugetlb: symbol, dtor, flag, type
    log: str = "prb"    # or "records"
    sections: str = "value"     # SYMBOL(mem_section): the array; "pointer": where a pointer to it is
    section_size: int = 16
    root: str = "init_top_pgt"  # its name beside swapper_pg_dir; init_level4_pgt before v4.13
    private_flags: tuple = ()   # that VMCOREINFO does not have
    # The type of a compound page overlays what an older kernel has in mapping (v6.2: struct slab).
    slab_mapping: int = 7
    phys_base: bool = True      # NUMBER(phys_base), since v4.10
    levels_known: bool = True   # NUMBER(pgtable_l5_enabled), since v4.17
    mask_in_tails: bool = False     # compound_info of a tail is a mask, v7.1 with HVO
    mapcount_in_low_bits: bool = False
    exported_types: tuple = ("free", "offline", "hugetlb", "slab", "unaccepted")

    @property
    def poison_known(self):
        return "hwpoison" not in self.private_flags

    def has_type(self, name):
        return name in self.types and (name not in TYPE_KEYS or name in self.exported_types)


ERAS = {era.name: era for era in (
    Era("4.3", PAGE_43, FLAGS_43, {"free": 0xffffff80}, "lru", "symbol", log="records",
        sections="array", section_size=32, root="init_level4_pgt", slab_mapping=0,
        private_flags=("swapbacked",), phys_base=False, levels_known=False),
    Era("4.14", PAGE_414, FLAGS_414, {"free": 0xffffff80}, "u32", "dtor", log="records",
        sections="array", section_size=32, slab_mapping=0,
        levels_known=False),
    Era("5.4", PAGE_510, FLAGS_510, low_bits(), "u8", "dtor", log="records", sections="pointer",
        slab_mapping=0),
    Era("5.10", PAGE_510, FLAGS_510, low_bits(), "u8", "dtor", slab_mapping=0,
        private_flags=("hwpoison",)),
    Era("6.1", PAGE_510, FLAGS_510, low_bits(), "u8", "dtor", slab_mapping=0),
    Era("6.4", PAGE_510, FLAGS_510, low_bits(), "folio", "dtor"),
    Era("6.6", PAGE_510, FLAGS_66, low_bits(), "flags", "flag"),
    Era("6.9", PAGE_510, FLAGS_66, low_bits(("hugetlb", 0x800)), "flags", "type"),
    Era("6.11", PAGE_510, FLAGS_612, HIGH_BITS, "flags", "type"),
    Era("6.12", PAGE_510, FLAGS_612, TOP_BYTE, "flags", "type", mapcount_in_low_bits=True,
        exported_types=("free", "offline", "hugetlb", "slab")),
    Era("6.16", PAGE_510, FLAGS_612, TOP_BYTE, "flags", "type", mapcount_in_low_bits=True),
    Era("7.1", PAGE_71, FLAGS_612, TOP_BYTE, "flags", "type", mapcount_in_low_bits=True,
        mask_in_tails=True),
)}


def signed(value, bits=64):
    """As %ld prints it."""
    return value - (1 << bits) if value >> (bits - 1) & 1 else value


def page_facts(era):
    """The lines of VMCOREINFO that tell about struct page."""
    lines = ["SIZE(page)=64"]
    lines += [f"OFFSET(page.{name})={off}" for name, (off, _) in era.page.items()
              if name not in ("lru_prev", "compound_head" if era.mask_in_tails else "")]
    if era.order == "u32":
        lines += ["OFFSET(page.compound_dtor)=40", "OFFSET(page.compound_order)=44"]
    elif era.order == "u8":
        lines += ["OFFSET(page.compound_dtor)=16", "OFFSET(page.compound_order)=17"]
    elif era.order == "folio":
        lines += ["OFFSET(folio._folio_dtor)=80", "OFFSET(folio._folio_order)=81"]
    lines += [f"NUMBER(PG_{name})={era.flags[name]}"
              for name in ("lru", "private", "swapcache", "swapbacked", "slab", "hwpoison")
              if name in era.flags and name not in era.private_flags]
    lines.append(f"NUMBER(PG_head_mask)={1 << era.flags['head']}")
    if era.hugetlb == "dtor":
        lines.append("NUMBER(HUGETLB_PAGE_DTOR)=2")
    elif era.hugetlb == "flag":
        lines.append(f"NUMBER(PG_hugetlb)={era.flags['hugetlb']}")
    lines += [f"NUMBER(PAGE_{key}_MAPCOUNT_VALUE)={signed(era.types[name], 32)}"
              for name, key in TYPE_KEYS.items()
              if name in era.types and name in era.exported_types]
    return lines


# ---- struct pages ----

HIGH_FLAGS = 0x17ffffc0000000   # zone, node and the last CPU: not ours to look at
FREE_HUGE_PAGE = 0xffffffff9a123450     # offset of that function's address: see kimage.py


@dataclass
class Kind:
    """What the text says about a block of pages."""
    name: str
    words: frozenset = frozenset()
    order: int = 0
    low: int = 0        # low bits of the type
    raw: int = None     # the order that a free page tells

    @property
    def compound(self):
        return self.order > 0 and self.name not in ("free", "unaccepted")

    def has(self, word):
        return word in self.words


@dataclass
class Fields:
    """A struct page by member."""
    flags: int = HIGH_FLAGS
    mapping: int = 0
    private: int = 0
    mapcount: int = NOTHING
    refcount: int = 1
    head: int = 0       # compound_head, or 0
    extra: dict = field(default_factory=dict)   # (offset, size) -> value


def flag_mask(era, *names):
    return sum(1 << era.flags[n] for n in names if n in era.flags)


def kind_flags(era, kind):
    """Flags of the head of a block."""
    mask = flag_mask(era, *(n for n in ("hwpoison", "private", "uptodate") if kind.has(n)))
    if kind.name == "hwpoison":
        mask |= flag_mask(era, "hwpoison")
    elif kind.name == "reserved":
        mask |= flag_mask(era, "reserved")
    elif kind.name == "checked":    # PG_owner_priv_1; since v4.10 PG_swapcache shares its bit
        mask |= flag_mask(era, "owner" if "owner" in era.flags else "swapcache")
    elif kind.name == "slab" and not era.has_type("slab"):
        mask |= flag_mask(era, "slab")
    elif kind.name == "anon":
        mask |= flag_mask(era, "uptodate", "swapbacked", "lru")
        mask |= flag_mask(era, "swapcache") if kind.has("swap") else 0
    elif kind.name == "cache" and kind.has("swap"):
        mask |= flag_mask(era, "uptodate", "swapbacked", "swapcache")
    elif kind.name == "cache":
        mask |= flag_mask(era, "uptodate", "lru")
        mask |= flag_mask(era, "swapbacked") if kind.has("shmem") else 0
    if kind.compound:
        mask |= flag_mask(era, "head")
    return mask


def kind_mapping(era, kind, pfn):
    """The mapping member: what it points at, and its low bits."""
    pointer = 0xffff888001000000 + (pfn << 8)
    if kind.name == "anon" or kind.has("anon"):
        return pointer | (3 if kind.has("ksm") else 1)
    if kind.name == "cache":
        return 0 if kind.has("swap") else pointer
    if kind.name == "movable":
        return pointer | 2
    if kind.name == "slab":
        return era.slab_mapping or pointer
    if kind.name in ("zsmalloc", "table"):     # overlays it with a number of its own
        return 0x1235 if era.has_type(kind.name) else 0
    return 0


def kind_mapcount(era, kind):
    if kind.name in ("anon", "cache") and not kind.has("swap"):
        return 0    # mapped once
    if kind.name == "slab" and not era.has_type("slab") and era.page is not PAGE_510:
        return 0x150015     # struct page of SLUB before v4.18: inuse, objects
    if kind.name not in era.types:
        return NOTHING
    low = kind.low if era.mapcount_in_low_bits else 0
    return era.types[kind.name] | low


def head_page(era, kind, pfn):
    """Members of the first struct page of a block."""
    f = Fields(flags=HIGH_FLAGS | kind_flags(era, kind), mapping=kind_mapping(era, kind, pfn),
               mapcount=kind_mapcount(era, kind))
    if kind.name == "free":
        f.private = kind.order if kind.raw is None else kind.raw
        f.refcount = 0
    elif kind.has("private") or kind.name == "anon" and kind.has("swap"):
        f.private = 0xffff888002345600
    return f


def first_tail(era, kind, f):
    """What the second struct page of a compound page tells about all of it."""
    hugetlb = kind.name == "hugetlb"
    if era.order == "lru":
        f.extra[era.page["lru"]] = FREE_HUGE_PAGE if hugetlb else 0xffffffff9a000420
        f.extra[era.page["lru_prev"]] = kind.order
    elif era.order == "u32":
        f.extra[(40, 4)], f.extra[(44, 4)] = (2 if hugetlb else 1), kind.order
    elif era.order in ("u8", "folio"):
        f.extra[(16, 1)], f.extra[(17, 1)] = (2 if hugetlb else 1), kind.order
    else:
        f.flags |= kind.order
        if era.hugetlb == "flag" and hugetlb:
            f.flags |= flag_mask(era, "hugetlb")


def tail_page(era, kind, head_vaddr, index):
    """Members of struct page INDEX of a compound page."""
    f = Fields(refcount=0)
    if era.order == "lru":
        f.flags |= flag_mask(era, "tail")
        f.private = head_vaddr      # first_page; nothing says so to those who read a dump
    elif era.mask_in_tails:
        f.head = -(64 << kind.order) % WORD | 1
    else:
        f.head = head_vaddr | 1
    if index == 1:
        first_tail(era, kind, f)
    elif index == 2:
        f.mapping = 0xdead000000000400  # TAIL_MAPPING
    return f


def pack(era, f):
    """The 64 bytes of a struct page."""
    raw = bytearray(64)

    def put(place, value):
        off, size = place
        raw[off:off + size] = (value % (1 << 8 * size)).to_bytes(size, "little")

    put(era.page["flags"], f.flags)
    put(era.page["mapping"], f.mapping)
    put(era.page["private"], f.private)
    put(era.page["_mapcount"], f.mapcount)
    put(era.page.get("_refcount") or era.page["_count"], f.refcount)
    if f.head:
        put(era.page["compound_head"], f.head)
    for place, value in f.extra.items():
        put(place, value)
    return bytes(raw)


# ---- the model: what a level leaves out ----

def scans(era, level):
    """Are struct pages looked at? PG_hwpoison is reason enough, at every level."""
    return bool(level & 30) or era.poison_known


def dropped(era, kind, level):
    """Does LEVEL leave out pages of this kind? From the text alone, whatever the encoding."""
    if not scans(era, level):
        return False
    if (kind.name == "hwpoison" or kind.has("hwpoison")) and era.poison_known:
        return True
    if kind.name == "offline":
        return era.has_type("offline")
    bits = 0
    if kind.name == "free":
        bits = 16 if kind.raw is None or kind.raw <= 10 else 0
    elif kind.name == "unaccepted":
        bits = 16 if era.has_type("unaccepted") else 0
    elif kind.name in ("anon", "hugetlb"):
        bits = 8
    elif kind.name == "cache":
        bits = 4 if kind.has("private") else 2 | 4
    return bool(level & bits)
