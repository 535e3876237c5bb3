/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The neutral middle: a dump is a map of memory plus facts, whatever file it came from.
 *
 * A format's open() fills a struct dump; tools ask it for runs of pages and read them through a
 * struct reader, one per thread, which holds windows and whatever else must not be shared.
 */
#ifndef DUMP_H
#define DUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "codec.h"
#include "err.h"
#include "log.h"
#include "source.h"

struct expanded;

struct arch;
struct kernel;
struct format;
struct dump;
struct reader;

/*
 * Two address spaces: they differ under Xen only, where "machine" is what the hypervisor calls
 * physical.
 */
enum space { SPACE_PHYS, SPACE_MACHINE };

/* What the dump has to say about a page. */
enum page_state {
	PAGE_ABSENT,	 /* not memory, as far as the dump knows */
	PAGE_DATA,	 /* its bytes are in the dump */
	PAGE_ZERO,	 /* known to hold zeros */
	PAGE_EXCLUDED,	 /* memory that a filter left out: never zero */
	PAGE_UNREADABLE, /* should be there, but the file is cut off or damaged */
};

/* NR pages from PFN on in one state. */
struct run {
	uint64_t pfn, nr;
	enum page_state state;
};

/* Page contents in place: valid until the reader's next call. */
struct view {
	const uint8_t *data;
	uint64_t nr; /* pages, at least 1 */
};

/* One page as it lies in the file. */
struct stored {
	uint32_t codec, size; /* enum codec_id; bytes */
	const uint8_t *data;  /* valid until the reader's next call */
	/*
	 * Names these bytes in the dump: pages with the same place are the same page, as zero pages
	 * of a kdump dump are.
	 */
	uint64_t place;
};

/*
 * One implementation of the map. lib/extents.c has the one for formats whose memory lies in long
 * pieces of a file.
 */
struct map_ops {
	/*
	 * The run that holds PFN, beginning at PFN, or else the first one after it; absent pages
	 * are in no run. False when there is none.
	 */
	bool (*next_run)(const struct dump *d, enum space space, uint64_t pfn, struct run *ret);
	/*
	 * Up to NR pages in place from PFN on, which is in state PAGE_DATA; fewer where the storage
	 * breaks. ERR_UNREADABLE, ERR_CORRUPT for this page alone; ERR_NOMEM.
	 */
	int (*view)(struct reader *r, enum space space, uint64_t pfn, uint64_t nr, struct view *ret,
		    struct err *e);
	/*
	 * Copy one page of state PAGE_DATA by source_read(), through no window: exact about what
	 * can be read. ERR_UNREADABLE, ERR_CORRUPT.
	 */
	int (*read_page)(struct reader *r, enum space space, uint64_t pfn, void *buf,
			 struct err *e);
	/*
	 * State of one page, at a cost that does not depend on runs. NULL: next_run() is as good.
	 */
	enum page_state (*page_state)(const struct dump *d, enum space space, uint64_t pfn);
	/*
	 * A page of state PAGE_DATA as it is stored, in place. ERR_UNSUPPORTED when pages are not
	 * stored one by one; else as view. NULL: never.
	 */
	int (*stored)(struct reader *r, enum space space, uint64_t pfn, struct stored *ret,
		      struct err *e);
	/* The page size is known now: build what needs it. NULL: nothing to do. */
	int (*set_page_size)(struct dump *d, struct err *e);
	void (*free)(struct dump *d);
};

/*
 * What kind of machine it was. Zero or NULL: the format does not tell; binding to an arch completes
 * it.
 */
struct ident {
	uint16_t e_machine;    /* ELF EM_ number */
	enum byte_order order; /* of the machine that was dumped, not of the file's own header */
	uint8_t word;	    /* bytes in a long: 4 or 8 */
	uint8_t align64;    /* alignment of 64-bit members in C structures: 4 (i386) or 8 */
	uint8_t elf_class;  /* word of the ELF file it came from, also through others: 4 or 8 */
	uint32_t page_size; /* bytes, a power of two */
	const char *uname;  /* machine name as in utsname, "x86_64" */
	/*
	 * What is subtracted from a PFN where a kdump file counts pages: its PFN 0 is the first page
	 * of memory on Arm (ARCH_PFN_OFFSET; crash diskdump.h paddr_to_pfn()).
	 */
	uint64_t pfn_bias;
};

/* utsname: sysname nodename release version machine domainname, each terminated. */
#define UTS_FIELDS 6
#define UTS_LEN 65

/*
 * What the file's own header tells about the dump. A conversion carries it over; what is not told
 * is zero.
 */
struct told {
	bool has_level, has_uts, has_time, has_phys_base;
	int level;	 /* dump level */
	uint32_t codecs; /* CODEC ids that the header announces, or-ed */
	uint32_t version; /* of the format */
	char title[64];	  /* what it is, where the format's own title does not say: "" */
	char uts[UTS_FIELDS][UTS_LEN];
	int64_t time; /* seconds since 1970 */
	uint64_t phys_base;
	/* of a split set that was opened: its parts; of a part that was opened alone: 1, and its range */
	bool split;
	unsigned int nr_parts;
	uint64_t start_pfn, end_pfn;
};

/*
 * A PT_LOAD of an ELF source, as it stood in its table: addresses for phys_base and for who writes
 * ELF again.
 */
struct segment {
	uint64_t vaddr, paddr, filesz, memsz, off;
	uint32_t flags;
};

/* A piece of memory that exists, by our own note; bytes. */
struct noted_ram {
	uint64_t addr, size;
};

/* What was wrong with the input so far. Each one was also told to the log, once. */
struct damage {
	uint64_t missing_bytes; /* the file ends that much too early, headers included */
	/* Pages that should be there and cannot be had; the map counts them, never the format. */
	uint64_t unreadable_pages;
	/* Headers, notes, segments that made no sense: one each, however much is lost behind it. */
	uint64_t bad_structures;
};

/* A register: the name is the one gdb uses. */
struct reg {
	const char *name;
	uint8_t width;	      /* bytes, at most 16 */
	bool extra;	      /* of floating point or vectors: told to who asks for all */
	uint64_t value, high; /* bits 0 to 63, those above */
};

#define CPU_MAX_REGS 256

struct cpu {
	int32_t pid; /* of the task that ran, 0 for idle and where unknown */
	unsigned int nr_regs, room;
	struct reg *regs; /* freed by dump_close() */
};

struct dump {
	const struct format *format;
	const struct arch *arch; /* NULL until dump_bind() */
	struct source *source;	 /* the first, mostly the only one */
	struct source **sources; /* all of a set, in the order that open() puts them into */
	unsigned int nr_sources;
	struct log *log;
	struct ident id;
	struct told told;
	const struct map_ops *map;
	void *map_data;
	void *format_data;
	const uint8_t *notes; /* the note segments byte for byte; NULL where there is none */
	size_t notes_len;
	struct window notes_window; /* what notes points into: usually the file itself */
	uint8_t *notes_copy;	    /* or this, where there are several segments */
	uint8_t *notes_made;	    /* or this, by dump_set_vmcoreinfo() and notes_turn() */
	uint64_t notes_off;	    /* where it lay in the file, for messages */
	const char *vmcoreinfo; /* text inside notes, not terminated; NULL where there is none */
	size_t vmcoreinfo_len;
	const uint8_t *eraseinfo; /* text of makedumpfile's erase, not terminated; NULL: none */
	size_t eraseinfo_len;
	uint8_t *eraseinfo_copy; /* what it points into, freed by dump_close(); or NULL */
	struct segment *segments;
	size_t nr_segments;
	/* By our own note: the segments are those of an ELF file before this one. */
	bool segments_noted;
	struct noted_ram *ram; /* by our own note: memory that exists */
	size_t nr_ram;
	char *history; /* BEFORE= lines of our own note, for the next one; or NULL */
	struct cpu *cpus;
	unsigned int nr_cpus;
	bool cpus_told; /* by the format, beside the notes */
	/*
	 * Physical addresses where CPUs stored their registers, by the format; the arch says what
	 * lies there (struct save_layout). Freed by dump_close().
	 */
	uint64_t *saved;
	unsigned int nr_saved;
	bool incomplete; /* the dump says so itself (ELF: e_flags bit 0 of makedumpfile -E) */
	struct damage damage;
};

/* A dump holds at most so many files: parts of a split set, raw images. */
#define DUMP_MAX_SOURCES 1024

/* Upper bounds for what a file may claim, so that nothing grows without bound. */
#define DUMP_MAX_NOTES ((size_t)256 << 20)
#define DUMP_MAX_SEGMENTS ((size_t)16 << 20)

/* The format of SOURCE in FORMATS (NULL terminated) that verified most of it, or NULL. */
const struct format *dump_recognise(struct source *source, const struct format *const *formats);

/*
 * Find the format of SOURCES[0] in FORMATS (NULL terminated; best score wins) and open it, with the
 * others as what belongs to it. LOG may be NULL. Ownership of the sources passes to the dump on
 * success only. ERR_UNSUPPORTED with the format's name where it can only be recognised.
 */
int dump_open(struct source *const *sources, unsigned int nr_sources,
	      const struct format *const *formats, struct log *log, struct dump **ret,
	      struct err *e);

/*
 * Look through d->notes (set, with d->id.order) for what every format has to know of them: VMCOREINFO
 * and our own note, which brings back the PT_LOAD table of an ELF source. For formats, in open().
 */
void dump_read_notes(struct dump *d);

/* Free all, close the source; NULL is allowed. */
void dump_close(struct dump *d);

/* What the user knows better than the file; zero or NULL: nothing. */
struct bind_force {
	const char *arch;   /* struct arch.name */
	uint32_t page_size; /* bytes, a power of two */
	uint8_t word;	    /* bytes in a long */
	bool has_order;
	enum byte_order order;
};

/*
 * Decide the architecture (ARCHS, NULL terminated: forced, by e_machine, or by the utsname machine),
 * complete the identity, take the page size from VMCOREINFO's PAGESIZE, the format or the arch,
 * build the page map, and fill the CPUs from the notes. An architecture that is not in the table is
 * no error unless it was forced, as a whole or its word or byte order (ERR_USAGE): d->arch stays NULL
 * and the page size 4096. FORCE may be NULL.
 */
int dump_bind(struct dump *d, const struct arch *const *archs, const struct bind_force *force,
	      struct err *e);

/* Does a register of a CPU of D say so (struct arch.le_reg)? Once bound to an architecture. */
bool dump_cpus_run_little(const struct dump *d);

/* Is NAME one of A's (lib/arch.h: name, also)? */
bool dump_arch_is_called(const struct arch *a, const char *name);

/* The architecture that D itself says it is of, or NULL. Before dump_bind(). */
const struct arch *dump_told_arch(const struct dump *d, const struct arch *const *archs);

/*
 * LEN bytes at TEXT become the VMCOREINFO note of D, in place of one that it has. Before or after
 * dump_bind(); after it, FORCE is what was forced then, and the page size follows the text. ERR_NOMEM.
 */
int dump_set_vmcoreinfo(struct dump *d, const char *text, size_t len,
			const struct bind_force *force, struct err *e);

/*
 * D was bound as a big-endian machine; if its memory says that it is a little-endian one of the same
 * family, make it one. Facts about its kernel are K's.
 */
int dump_settle_order(struct dump *d, const struct arch *const *archs, const struct kernel *k,
		      struct err *e);

/* log2 of the page size; valid after dump_bind(). */
unsigned int dump_page_shift(const struct dump *d);

/* The map: see struct map_ops. Valid after dump_bind(). */
bool dump_next_run(const struct dump *d, enum space space, uint64_t pfn, struct run *ret);

/* State of one page: PAGE_ABSENT for what is in no run. */
enum page_state dump_page_state(const struct dump *d, enum space space, uint64_t pfn);

/* One past the highest PFN that the dump calls memory; 0 when there is none. */
uint64_t dump_max_pfn(const struct dump *d);

/* Number of pages whose content the dump has, zero pages included: what there is to read. */
uint64_t dump_count_content(const struct dump *d);

/* One more register; false when out of memory, or when there are CPU_MAX_REGS. */
bool cpu_add_reg(struct cpu *cpu, const struct reg *reg);

/* A register by name, or NULL. */
const struct reg *cpu_find_reg(const struct cpu *cpu, const char *name);

/* Value of a register by name, or false; of a wide one its lower 64 bits. */
bool cpu_reg(const struct cpu *cpu, const char *name, uint64_t *ret);

/*
 * Page tables of five levels, and what they lead to, lie in as many places: windows are many and small,
 * and those of who reads straight on grow. Together they take at most READER_MEMORY.
 */
#define READER_WINDOWS 16
#define READER_MEMORY ((size_t)512 << 10)

/*
 * One thread's way into a dump. Not for sharing; several readers may read one dump at the same
 * time.
 */
struct reader {
	struct dump *dump;
	struct window windows[READER_WINDOWS];
	unsigned int
		nr_windows; /* in use: fewer for who reads straight on and wants to save memory */
	unsigned int next_victim;
	unsigned int held;    /* windows, a bit each, that reader_hold() keeps */
	uint64_t seen_faults; /* windows are from after this count of source_my_faults() */
	uint8_t *bounce;      /* SOURCE_SLACK bytes, for pages that do not lie in one piece */
	struct decoders decoders;
	struct expanded *expanded; /* private to lib/stored.c: pages that were decompressed */
	void *format_state;	   /* the format's own, freed with free(); NULL until it makes it */
};

void reader_init(struct reader *r, struct dump *d);
void reader_fini(struct reader *r);

/*
 * LEN bytes of the source at OFF in place, LEN at most SOURCE_SLACK; *AVAIL (may be NULL) tells how
 * many more follow in the same window. For formats. NULL with ERR_UNREADABLE or ERR_NOMEM.
 */
const uint8_t *reader_bytes(struct reader *r, struct source *s, uint64_t off, size_t len,
			    size_t *avail, struct err *e);

/*
 * Pages in place: see struct map_ops.view. Zeros may stand for bytes the system could not deliver:
 * see source_my_faults().
 */
int reader_view(struct reader *r, enum space space, uint64_t pfn, uint64_t nr, struct view *ret,
		struct err *e);

/*
 * May zeros stand for bytes in a view of D, which was got since source_my_faults() was BEFORE? Then
 * reader_page() tells the truth. Ask when the view is done with: once for many pages, it costs a
 * call of the system.
 */
bool dump_view_lost(const struct dump *d, uint64_t before);

/*
 * A page of state PAGE_DATA as the file has it: see struct map_ops.stored; ERR_UNSUPPORTED where the
 * map has none.
 */
int reader_stored(struct reader *r, enum space space, uint64_t pfn, struct stored *ret,
		  struct err *e);

/*
 * Keep the window that DATA, of a view, lies in until reader_release(): for who needs the bytes for
 * longer than until the next call. False when that cannot be: the bytes are in no window, or only
 * one window is left to go on with.
 */
bool reader_hold(struct reader *r, const uint8_t *data);
void reader_release(struct reader *r);

/*
 * After source_my_faults() moved: can this page of state PAGE_DATA really be read? Copies it into
 * BUF (page size bytes) by read(), never by a mapping. ERR_UNREADABLE if not.
 */
int reader_page(struct reader *r, enum space space, uint64_t pfn, void *buf, struct err *e);

/*
 * Copy LEN bytes at physical address ADDR. ERR_UNREADABLE tells the page and why: not memory,
 * excluded, unreadable. Never gives zeros for what is not there.
 */
int reader_read(struct reader *r, enum space space, uint64_t addr, void *buf, size_t len,
		struct err *e);

#endif
