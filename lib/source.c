/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"

/*
 * Window sizes. Mapping /proc/vmcore or a device fills in every page table entry at once, and saves
 * the copy. A regular file lies in the page cache: to copy from there costs a third of the faults
 * that a mapping takes (tests/bench), so its windows are read; they cost memory.
 */
#define CELL_MAPPED (sizeof(void *) > 4 ? (size_t)4 << 20 : (size_t)1 << 20)
#define READ_ALIGN 4096u /* where reading begins: a table of a page is looked at back and forth */

struct source {
	char *name;
	int fd;
	const uint8_t *memory; /* instead of fd */
	uint64_t size;
	bool cached;	     /* a file in the page cache: its windows are better read */
	atomic_bool no_mmap; /* nothing of it can be mapped, or must be */
	dev_t dev;
	ino_t ino;
	/* of a source over another */
	const struct source_ops *ops;
	void *priv;
	struct source *under;
	const char *kind;
	bool cut, has_base;
	bool regular; /* a file that has a length of its own */
	atomic_bool shrunk;
	uint64_t base; /* of FILE@ADDR */
};

/*
 * Live mappings, for the signal handler: no lock, no allocation. A slot is taken by setting
 * `owner`, and is visible to the handler once `base` is set.
 */
struct slot {
	_Atomic(struct source *) owner;
	_Atomic uintptr_t base;
	_Atomic size_t len;
};

#define NR_SLOTS 1024
static struct slot slots[NR_SLOTS];
static size_t host_page;

/* SIGBUS is delivered to the thread that touched the page. */
static _Thread_local volatile uint64_t my_faults;
static _Thread_local volatile bool guarded;

/* Does ADDR lie in a live window? */
static bool in_window(uintptr_t addr)
{
	size_t i;

	for (i = 0; i < NR_SLOTS; i++) {
		uintptr_t base = atomic_load(&slots[i].base);

		if (base && addr >= base && addr - base < slots[i].len)
			return true;
	}
	return false;
}

/* A page of a mapping is gone: put zeros in its place and count it. */
static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	uintptr_t addr = (uintptr_t)info->si_addr;
	void *page = (void *)(addr & ~(uintptr_t)(host_page - 1));
	int saved = errno;

	(void)context;
	if ((guarded || in_window(addr)) &&
	    mmap(page, host_page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
		    MAP_FAILED) {
		my_faults++;
		errno = saved;
		return;
	}
	signal(sig,
	       SIG_DFL); /* not ours: the instruction faults again and the default action follows */
}

static void install_handler(void)
{
	struct sigaction sa = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };

	host_page = (size_t)sysconf(_SC_PAGESIZE);
	sigemptyset(&sa.sa_mask);
	sigaction(SIGBUS, &sa, NULL);
}

static struct source *source_new(const char *name)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct source *s = calloc(1, sizeof(*s));

	pthread_once(&once, install_handler);
	if (s)
		s->name = strdup(name);
	if (!s || !s->name) {
		free(s);
		return NULL;
	}
	s->fd = -1;
	return s;
}

/* Find out what kind of file it is, how long, and which windows suit it. */
static int source_setup(struct source *s, struct err *e)
{
	struct stat st;
	off_t end;

	if (fstat(s->fd, &st) < 0)
		return err_sys(e, errno, "%s", s->name);
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	if (S_ISDIR(st.st_mode))
		return err_set(e, ERR_UNSUPPORTED, "%s: is a directory, a dump file is needed",
			       s->name);
	end = lseek(s->fd, 0, SEEK_END);
	if (end < 0)
		return err_set(e, ERR_UNSUPPORTED, "%s: cannot seek in it; save it to a file first",
			       s->name);
	s->regular = S_ISREG(st.st_mode);
	/* Files of /proc say 0 or their length; those that say 0 end where read() ends. */
	s->size = s->regular ? (uint64_t)st.st_size : (uint64_t)end;
	if (!s->size && S_ISCHR(st.st_mode))
		s->size = UINT64_MAX;
	/* A dump in /proc has no disk blocks. */
	s->cached = s->regular && st.st_blocks;
	return 0;
}

/* Is it a name that a sink gives to what is not whole yet? */
static bool is_unfinished(const char *name)
{
	size_t len = strlen(name), end = strlen(UNFINISHED);

	return len > end && !strcmp(name + len - end, UNFINISHED);
}

int source_fd(int fd, const char *name, unsigned int flags, struct source **ret, struct err *e)
{
	struct source *s = source_new(name);

	if (!s)
		return err_set(e, ERR_NOMEM, "%s: out of memory", name);
	s->fd = fd;
	s->cut = is_unfinished(name);
	atomic_store(&s->no_mmap, (flags & SOURCE_NO_MMAP) != 0);
	if (!source_setup(s, e)) {
		s->cached &= !(flags & SOURCE_MMAP);
		*ret = s;
		return 0;
	}
	s->fd = -1;
	source_close(s);
	return -1;
}

int source_open(const char *path, unsigned int flags, struct source **ret, struct err *e)
{
	/* O_NONBLOCK: a FIFO in place of the file must not hang us. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return err_sys(e, errno, "%s", path);
	if (!source_fd(fd, path, flags, ret, e))
		return 0;
	close(fd);
	return -1;
}

int source_over(struct source *under, const char *kind, const struct source_ops *ops, void *priv,
		uint64_t size, struct source **ret, struct err *e)
{
	struct source *s = source_new(under->name);

	if (!s)
		return err_set(e, ERR_NOMEM, "%s: out of memory", under->name);
	s->ops = ops;
	s->priv = priv;
	s->under = under;
	s->kind = kind;
	s->size = size;
	s->cut = under->cut;
	atomic_store(&s->no_mmap, true);
	*ret = s;
	return 0;
}

void source_replace(struct source *s, struct source *under, const char *kind)
{
	s->under = under;
	s->kind = kind;
	s->cut |= under && under->cut;
}

const char *source_kind(const struct source *s)
{
	return s->kind;
}

struct source *source_under(const struct source *s)
{
	return s->under;
}

void source_set_cut(struct source *s)
{
	s->cut = true;
}

bool source_is_cut(const struct source *s)
{
	return s->cut;
}

void source_set_base(struct source *s, uint64_t addr)
{
	s->has_base = true;
	s->base = addr;
}

bool source_base(const struct source *s, uint64_t *ret)
{
	if (s->has_base)
		*ret = s->base;
	return s->has_base;
}

int source_get_fd(const struct source *s)
{
	return s->fd;
}

uint64_t source_next_data(struct source *s, uint64_t off)
{
	off_t data;

	if (s->fd < 0 || off > INT64_MAX)
		return off;
	data = lseek(s->fd, (off_t)off, SEEK_DATA);
	if (data >= 0)
		return (uint64_t)data;
	return errno == ENXIO ? UINT64_MAX : off;
}

struct source *source_memory(const char *name, const void *data, size_t len)
{
	struct source *s = source_new(name);

	if (!s)
		return NULL;
	s->memory = data;
	s->size = len;
	return s;
}

void source_close(struct source *s)
{
	while (s) {
		struct source *under = s->under;

		if (s->ops && s->ops->close)
			s->ops->close(s->priv);
		if (s->fd >= 0)
			close(s->fd);
		free(s->name);
		free(s);
		s = under;
	}
}

const char *source_name(const struct source *s)
{
	return s->name;
}

uint64_t source_size(const struct source *s)
{
	return s->size;
}

bool source_is_path(const struct source *s, const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return false;
	for (; s; s = s->under)
		if (s->fd >= 0 && st.st_dev == s->dev && st.st_ino == s->ino)
			return true;
	return false;
}

bool source_shrank(struct source *s)
{
	struct stat st;

	if (!s->regular || !source_maps(s) || fstat(s->fd, &st) || (uint64_t)st.st_size >= s->size)
		return false;
	atomic_store(&s->shrunk, true);
	return true;
}

/*
 * How many of LEN bytes at OFF lie before the end that the file has now, once it is known to move:
 * what a network file system has in its cache may be zeros that were put there when it learned of
 * the end.
 */
static size_t before_end(const struct source *s, uint64_t off, size_t len)
{
	struct stat st;

	if (!atomic_load(&s->shrunk) || fstat(s->fd, &st))
		return len;
	return off < (uint64_t)st.st_size ? (size_t)MIN((uint64_t)len, (uint64_t)st.st_size - off)
					  : 0;
}

void source_guard(bool on)
{
	guarded = on;
}

uint64_t source_my_faults(void)
{
	return my_faults;
}

size_t source_read_some(struct source *s, uint64_t off, void *to, size_t len, int *os)
{
	uint8_t *buf = to;
	size_t done = 0;

	*os = 0;
	if (off > INT64_MAX)
		return 0; /* beyond any file */
	len = (size_t)MIN((uint64_t)len, (uint64_t)INT64_MAX - off);
	if (s->ops)
		return s->ops->read(s->priv, off, buf, len, os);
	if (s->memory) {
		done = off < s->size ? MIN((uint64_t)len, s->size - off) : 0;
		memcpy(buf, s->memory + (done ? off : 0), done);
		return done;
	}
	while (done < len) {
		ssize_t n = pread(s->fd, buf + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			*os = errno;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return MIN(done, before_end(s, off, len));
}

int source_read(struct source *s, uint64_t off, void *buf, size_t len, struct err *e)
{
	size_t done;
	int os;

	if (off > (uint64_t)INT64_MAX - len)
		return err_set(e, ERR_UNREADABLE, "%s: offset 0x%" PRIx64 " is beyond any file",
			       s->name, off);
	done = source_read_some(s, off, buf, len, &os);
	if (done == len)
		return 0;
	if (os)
		err_sys(e, os, "%s: offset 0x%" PRIx64, s->name, off + done);
	else
		err_set(e, ERR_UNREADABLE,
			"%s: ends at offset 0x%" PRIx64 ", %zu bytes at 0x%" PRIx64 " were wanted",
			s->name, off + done, len, off);
	e->code = ERR_UNREADABLE;
	return -1;
}

static int slot_take(struct source *s, void *base, size_t len)
{
	int i;

	for (i = 0; i < NR_SLOTS; i++) {
		struct source *none = NULL;

		if (!atomic_compare_exchange_strong(&slots[i].owner, &none, s))
			continue;
		slots[i].len = len;
		atomic_store(&slots[i].base, (uintptr_t)base);
		return i;
	}
	return -1;
}

static bool window_map(struct source *s, uint64_t start, size_t len, struct window *ret)
{
	void *p;

	if (s->fd < 0 || atomic_load(&s->no_mmap))
		return false;
	p = mmap(NULL, len, PROT_READ, MAP_PRIVATE, s->fd, (off_t)start);
	if (p == MAP_FAILED) {
		/* ENOMEM may pass; what cannot be mapped at all is not tried again. */
		if (errno != ENOMEM)
			atomic_store(&s->no_mmap, true);
		return false;
	}
	ret->slot = slot_take(s, p, len);
	if (ret->slot < 0) {
		munmap(p, len);
		return false;
	}
	ret->base = p;
	ret->base_len = len;
	return true;
}

/*
 * Fill a window by reading; a block that fails becomes zeros and a fault, and reading goes on
 * behind it.
 */
static int window_read(struct source *s, uint64_t start, size_t len, struct window *ret,
		       struct err *e)
{
	uint8_t *buf = malloc(len);
	size_t done = 0;
	int os;

	if (!buf)
		return err_set(e, ERR_NOMEM, "%s: no memory for a window of %zu bytes", s->name,
			       len);
	while (done < len) {
		size_t step, n = source_read_some(s, start + done, buf + done, len - done, &os);

		done += n;
		if (done == len)
			break;
		step = MIN(len - done, host_page - (size_t)((start + done) % host_page));
		memset(buf + done, 0, step);
		my_faults++;
		done += step;
	}
	ret->base = buf;
	ret->base_len = len;
	ret->slot = -1;
	return 0;
}

/* The cell of OFF in a grid of so many bytes, and what follows it: for what need not be copied. */
static void place_in_grid(struct window *w, uint64_t off, size_t cell)
{
	w->off = off - off % cell;
	w->len = (size_t)MIN(w->source->size - w->off, (uint64_t)cell + SOURCE_SLACK);
}

int source_get(struct source *s, uint64_t off, size_t want, struct window *ret, struct err *e)
{
	if (off >= s->size || off > (uint64_t)INT64_MAX - CELL_MAPPED - SOURCE_SLACK)
		return err_set(e, ERR_UNREADABLE, "%s: offset 0x%" PRIx64 " is past the end",
			       s->name, off);
	*ret = (struct window){ .source = s, .slot = -1 };
	if (s->memory) {
		place_in_grid(ret, off, SOURCE_WINDOW_MAX);
		ret->data = s->memory + ret->off;
		return 0;
	}
	if (source_maps_windows(s)) {
		place_in_grid(ret, off, CELL_MAPPED);
		if (window_map(s, ret->off, ret->len, ret)) {
			ret->data = ret->base;
			return 0;
		}
	}
	ret->off = off - off % READ_ALIGN;
	want = MIN(want, SOURCE_WINDOW_MAX - READ_ALIGN) + (size_t)(off - ret->off);
	ret->len = (size_t)MIN(s->size - ret->off, (uint64_t)want);
	if (window_read(s, ret->off, ret->len, ret, e))
		return -1;
	ret->data = ret->base;
	return 0;
}

int source_get_exact(struct source *s, uint64_t off, size_t len, struct window *ret, struct err *e)
{
	uint64_t start = off - off % host_page;
	size_t before = (size_t)(off - start);

	*ret = (struct window){ .source = s, .off = off, .len = len, .slot = -1 };
	if (off >= s->size || len > s->size - off || len > SIZE_MAX - before)
		return err_set(e, ERR_UNREADABLE, "%s: offset 0x%" PRIx64 " is past the end",
			       s->name, off);
	if (s->memory) {
		ret->data = s->memory + off;
	} else if (window_map(s, start, len + before, ret)) {
		ret->data = (const uint8_t *)ret->base + before;
	} else {
		if (window_read(s, off, len, ret, e))
			return -1;
		ret->data = ret->base;
	}
	return 0;
}

bool source_maps(const struct source *s)
{
	return s->fd >= 0 && !atomic_load(&s->no_mmap);
}

bool source_maps_windows(const struct source *s)
{
	return source_maps(s) && !s->cached;
}

void source_put(struct window *w)
{
	if (w->base && w->slot >= 0) {
		atomic_store(&slots[w->slot].base, 0);
		munmap(w->base, w->base_len);
		atomic_store(&slots[w->slot].owner, NULL);
	} else if (w->base) {
		free(w->base);
	}
	*w = (struct window){ .data = NULL };
}

/* ---- openers ---- */

#define MAX_LAYERS 8

static const struct opener *opener_for(struct source *s, const struct opener *const *openers)
{
	for (; *openers; openers++) {
		const struct opener *o = *openers;
		struct err ignored = ERR_INIT;
		char buf[32];

		if (o->magic_len <= sizeof(buf) &&
		    !source_read(s, 0, buf, o->magic_len, &ignored) &&
		    !memcmp(buf, o->magic, o->magic_len) && (!o->probe || o->probe(s)))
			return o;
	}
	return NULL;
}

int source_unwrap(struct source **s, const struct opener *const *openers,
		  const struct spool_opts *opts, struct err *e)
{
	const struct opener *o;
	unsigned int i;

	for (i = 0; (o = opener_for(*s, openers)); i++) {
		if (i == MAX_LAYERS)
			return err_set(e, ERR_UNSUPPORTED,
				       "%s: is wrapped more than %d times, now in %s", (*s)->name,
				       MAX_LAYERS, o->name);
		if (!o->open)
			return err_set(e, ERR_UNSUPPORTED,
				       "%s: is compressed as a whole (%s), and this program cannot "
				       "unpack it: that takes %s",
				       (*s)->name, o->name, o->missing);
		if (o->open(*s, opts, s, e))
			return -1;
	}
	return 0;
}
