/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cpus.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arch.h"
#include "cleanup.h"
#include "note.h"

/* ---- one CPU ---- */

bool cpu_add_reg(struct cpu *cpu, const struct reg *reg)
{
	struct reg *more;

	if (cpu->nr_regs == CPU_MAX_REGS)
		return false;
	if (cpu->nr_regs == cpu->room) {
		more = realloc(cpu->regs, (cpu->room + 32u) * sizeof(*more));
		if (!more)
			return false;
		cpu->regs = more;
		cpu->room += 32;
	}
	cpu->regs[cpu->nr_regs++] = *reg;
	return true;
}

const struct reg *cpu_find_reg(const struct cpu *cpu, const char *name)
{
	unsigned int i;

	for (i = 0; name && i < cpu->nr_regs; i++)
		if (!strcmp(cpu->regs[i].name, name))
			return &cpu->regs[i];
	return NULL;
}

bool cpu_reg(const struct cpu *cpu, const char *name, uint64_t *ret)
{
	const struct reg *r = cpu_find_reg(cpu, name);

	if (r)
		*ret = r->value;
	return r;
}

/* What LEN bytes at P hold of NR registers. */
static void fill_regs(struct cpu *cpu, const struct reg_place *regs, unsigned int nr, bool extra,
		      const uint8_t *p, size_t len, enum byte_order order)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		struct reg r = { .name = regs[i].name, .width = regs[i].width, .extra = extra };

		if ((size_t)regs[i].off + r.width > len)
			continue;
		r.value = load_wide(p + regs[i].off, r.width, order, &r.high);
		if (!cpu_add_reg(cpu, &r))
			return;
	}
}

void cpus_free(struct dump *d)
{
	unsigned int i;

	for (i = 0; i < d->nr_cpus; i++)
		free(d->cpus[i].regs);
	free(d->cpus);
}

/* ---- from notes ---- */

/*
 * No pid is larger (PID_MAX_LIMIT, include/linux/threads.h): QEMU writes that of S/390 in the byte
 * order of its host (target/s390x/arch_dump.c).
 */
#define MAX_PID (4u << 20)

static int32_t load_pid(const uint8_t *p, enum byte_order order)
{
	uint32_t pid = load_u32(p, order), swapped = __builtin_bswap32(pid);

	return (int32_t)(pid > MAX_PID && swapped <= MAX_PID ? swapped : pid);
}

/* CPU number N, made when it is the next one. No machine has more (NR_CPUS of any architecture). */
static struct cpu *cpu_at(struct dump *d, unsigned int n)
{
	struct cpu *more;

	if (n < d->nr_cpus)
		return &d->cpus[n];
	if (n >= 8192)
		return NULL;
	if ((d->nr_cpus & (d->nr_cpus - 1)) == 0) {
		more = realloc(d->cpus, (d->nr_cpus ? 2u * d->nr_cpus : 1) * sizeof(*more));
		if (!more)
			return NULL;
		d->cpus = more;
	}
	d->cpus[d->nr_cpus] = (struct cpu){ .pid = 0 };
	return &d->cpus[d->nr_cpus++];
}

void cpus_from_notes(struct dump *d, enum byte_order order)
{
	const struct note_layout *l;

	for (l = d->arch->notes; l && l->owner; l++) {
		struct bytes b = bytes_init(d->notes, d->notes_len, order, "notes", d->notes_off);
		unsigned int index = 0;
		struct note n;

		while (note_next(&b, &n)) {
			struct cpu *cpu;

			if (n.type != l->type || n.desc_len < l->min_size ||
			    !note_owner_is(&n, l->owner))
				continue;
			cpu = cpu_at(d, index++);
			if (!cpu)
				return;
			if (l->pid_off >= 0)
				cpu->pid = load_pid(n.desc + l->pid_off, order);
			fill_regs(cpu, l->regs, l->nr_regs, l->flags & NOTE_EXTRA, n.desc,
				  n.desc_len, order);
		}
	}
}

/* ---- from memory ---- */

/* Registers of layout L of the CPU that stored them at ADDR; ERR_UNREADABLE. */
static int read_saved(struct reader *r, struct cpu *cpu, const struct save_layout *l, uint64_t addr,
		      struct err *e)
{
	enum byte_order order = r->dump->id.order;
	uint8_t raw[SAVE_MAX_SIZE], pointer[8];

	if (l->pointer_off) {
		if (reader_read(r, SPACE_PHYS, addr + l->pointer_off, pointer, sizeof(pointer), e))
			return -1;
		addr = load_u64(pointer, order) & l->pointer_mask;
		if (!addr)
			return 0;
	}
	if (l->size > sizeof(raw) || reader_read(r, SPACE_PHYS, addr + l->start, raw, l->size, e))
		return -1;
	fill_regs(cpu, l->regs, l->nr_regs, l->extra, raw, l->size, order);
	return 0;
}

static void read_cpu(struct reader *r, struct cpu *cpu, unsigned int number)
{
	struct dump *d = r->dump;
	const struct save_layout *l;

	for (l = d->arch->saved; l->regs; l++) {
		struct err why = ERR_INIT;

		if (!read_saved(r, cpu, l, d->saved[number], &why))
			continue;
		d->damage.bad_structures++;
		log_warn(d->log, "%s: registers of CPU %u, stored at address 0x%" PRIx64 ": %s",
			 source_name(d->source), number, d->saved[number], why.text);
	}
}

int cpus_from_memory(struct dump *d, struct err *e)
{
	struct reader r;
	unsigned int i;

	if (!d->arch->saved || d->nr_cpus || !d->nr_saved)
		return 0;
	d->cpus = calloc(d->nr_saved, sizeof(*d->cpus));
	if (!d->cpus)
		return err_set(e, ERR_NOMEM, "no memory for %u CPUs", d->nr_saved);
	d->nr_cpus = d->nr_saved;
	reader_init(&r, d);
	for (i = 0; i < d->nr_cpus; i++)
		read_cpu(&r, &d->cpus[i], i);
	reader_fini(&r);
	return 0;
}
