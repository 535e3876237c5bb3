/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dwarf_types_priv.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

/* A name is remembered once, of whatever unit; the largest kernels have some 300000. */
#define MAX_NAMES (4u << 20)
#define MAX_DEPTH 64 /* of typedefs, arrays and unnamed members in each other */
#define MAX_STEPS (1u << 20)

struct entry {
	const char *name; /* in a section of the file */
	Dwarf_Off off;
	uint32_t hash;
	int tag;
};

struct dwarf_types {
	Dwarf *dwarf;
	struct entry *table; /* open addressing; no name: free */
	size_t size, nr;
};

/* ---- the index ---- */

static uint32_t hash_name(const char *s, int tag)
{
	uint32_t h = 2166136261u ^ (uint32_t)tag;

	while (*s)
		h = (h ^ (uint8_t)*s++) * 16777619u;
	return h;
}

/* Where it is, or would be. */
static struct entry *slot(const struct dwarf_types *t, const char *name, int tag, uint32_t hash)
{
	size_t i = hash & (t->size - 1);

	while (t->table[i].name && (t->table[i].hash != hash || t->table[i].tag != tag ||
				    strcmp(t->table[i].name, name) != 0))
		i = (i + 1) & (t->size - 1);
	return &t->table[i];
}

static int grow(struct dwarf_types *t, struct err *e)
{
	struct dwarf_types more = { .size = t->size ? 2 * t->size : 65536 };
	size_t i;

	if (t->nr >= MAX_NAMES)
		return err_set(e, ERR_CORRUPT, "DWARF: more than %u names", MAX_NAMES);
	more.table = calloc(more.size, sizeof(*more.table));
	if (!more.table)
		return err_set(e, ERR_NOMEM, "DWARF: out of memory");
	for (i = 0; i < t->size; i++)
		if (t->table[i].name)
			*slot(&more, t->table[i].name, t->table[i].tag, t->table[i].hash) =
				t->table[i];
	free(t->table);
	t->table = more.table;
	t->size = more.size;
	return 0;
}

/* The first of a name stays. */
static int add(struct dwarf_types *t, const char *name, int tag, Dwarf_Die *die, struct err *e)
{
	uint32_t hash = hash_name(name, tag);
	struct entry *at;

	if (t->nr >= t->size / 2 && grow(t, e))
		return -1;
	at = slot(t, name, tag, hash);
	if (at->name)
		return 0;
	*at = (struct entry){ .name = name, .off = dwarf_dieoffset(die), .hash = hash, .tag = tag };
	t->nr++;
	return 0;
}

static bool find(const struct dwarf_types *t, const char *name, int tag, Dwarf_Die *ret)
{
	const struct entry *at;

	if (!t->size)
		return false;
	at = slot(t, name, tag, hash_name(name, tag));
	return at->name && dwarf_offdie(t->dwarf, at->off, ret);
}

bool dwarf_die_next(Dwarf_Die *die)
{
	Dwarf_Off was = dwarf_dieoffset(die);

	return !dwarf_siblingof(die, die) && dwarf_dieoffset(die) > was;
}

/* Enumerators, unless the enumeration is known by name: the same stands in every unit. */
static int add_enumerators(struct dwarf_types *t, Dwarf_Die *enumeration, struct err *e)
{
	const char *name = dwarf_diename(enumeration);
	Dwarf_Die one;

	if (name && find(t, name, DW_TAG_enumeration_type, &one))
		return 0;
	if (dwarf_child(enumeration, &one))
		return 0;
	do {
		name = dwarf_tag(&one) == DW_TAG_enumerator ? dwarf_diename(&one) : NULL;
		if (name && add(t, name, DW_TAG_enumerator, &one, e))
			return -1;
	} while (dwarf_die_next(&one));
	return 0;
}

static int add_unit(struct dwarf_types *t, Dwarf_Die *unit, struct err *e)
{
	const char *name;
	Dwarf_Die die;

	if (dwarf_child(unit, &die))
		return 0;
	do {
		int tag = dwarf_tag(&die);

		switch (tag) {
		case DW_TAG_enumeration_type:
			if (add_enumerators(t, &die, e))
				return -1;
			break;
		case DW_TAG_structure_type:
		case DW_TAG_union_type:
		case DW_TAG_typedef:
		case DW_TAG_base_type:
		case DW_TAG_variable:
			break;
		default:
			continue;
		}
		/* A variable that is declared here may lack the length of its array. */
		name = dwarf_diename(&die);
		if (name && !dwarf_hasattr(&die, DW_AT_declaration) && add(t, name, tag, &die, e))
			return -1;
	} while (dwarf_die_next(&die));
	return 0;
}

int dwarf_types_open(Dwarf *d, struct dwarf_types **ret, struct err *e)
{
	struct dwarf_types *t = calloc(1, sizeof(*t));
	Dwarf_Die unit, sub;
	Dwarf_CU *cu = NULL;
	uint8_t type;

	if (!t)
		return err_set(e, ERR_NOMEM, "DWARF: out of memory");
	t->dwarf = d;
	while (!dwarf_get_units(d, cu, &cu, NULL, &type, &unit, &sub)) {
		if (type != DW_UT_compile && type != DW_UT_partial)
			continue;
		if (!add_unit(t, &unit, e))
			continue;
		dwarf_types_close(t);
		return -1;
	}
	if (!t->nr) {
		dwarf_types_close(t);
		return err_set(e, ERR_MISSING, "it has no types (DWARF)");
	}
	*ret = t;
	return 0;
}

void dwarf_types_close(struct dwarf_types *t)
{
	if (!t)
		return;
	free(t->table);
	free(t);
}

/* ---- types ---- */

bool dwarf_die_type(Dwarf_Die *die, Dwarf_Die *ret)
{
	Dwarf_Attribute a;

	return dwarf_attr_integrate(die, DW_AT_type, &a) && dwarf_formref_die(&a, ret);
}

bool dwarf_die_resolve(Dwarf_Die *die)
{
	unsigned int i;

	for (i = 0; i < MAX_DEPTH; i++) {
		switch (dwarf_tag(die)) {
		case DW_TAG_typedef:
		case DW_TAG_const_type:
		case DW_TAG_volatile_type:
		case DW_TAG_restrict_type:
		case DW_TAG_atomic_type:
			if (!dwarf_die_type(die, die))
				return false;
			break;
		default:
			return true;
		}
	}
	return false;
}

bool dwarf_die_number(Dwarf_Die *die, unsigned int name, uint64_t *ret)
{
	Dwarf_Attribute a;
	Dwarf_Word v;

	if (!dwarf_attr_integrate(die, name, &a) || dwarf_formudata(&a, &v))
		return false;
	*ret = v;
	return true;
}

/* Of one dimension. Without either it is open, as the last member of a structure. */
static uint64_t elements(Dwarf_Die *subrange)
{
	uint64_t n;

	if (dwarf_die_number(subrange, DW_AT_count, &n))
		return n;
	return dwarf_die_number(subrange, DW_AT_upper_bound, &n) ? n + 1 : 0;
}

/* Elements of an array, of its first dimension or of all together. */
static bool array_length(Dwarf_Die *array, bool all, uint64_t *ret)
{
	uint64_t n, dims = 0;
	Dwarf_Die sub;

	*ret = 1;
	if (dwarf_tag(array) != DW_TAG_array_type || dwarf_child(array, &sub))
		return false;
	do {
		if (dwarf_tag(&sub) != DW_TAG_subrange_type)
			continue;
		n = elements(&sub);
		if (dims++ == MAX_DEPTH || __builtin_mul_overflow(*ret, n, ret))
			return false;
	} while ((all || !dims) && dwarf_die_next(&sub));
	return dims;
}

bool dwarf_die_size(Dwarf_Die *type, uint64_t *ret)
{
	uint64_t n = 1, len, one;
	uint8_t word;
	unsigned int i;

	for (i = 0; i < MAX_DEPTH && dwarf_die_resolve(type); i++) {
		if (dwarf_die_number(type, DW_AT_byte_size, &one))
			return !__builtin_mul_overflow(n, one, ret);
		if (dwarf_tag(type) == DW_TAG_pointer_type &&
		    dwarf_diecu(type, &(Dwarf_Die){ 0 }, &word, NULL))
			return !__builtin_mul_overflow(n, (uint64_t)word, ret);
		if (!array_length(type, true, &len) || __builtin_mul_overflow(n, len, &n) ||
		    !dwarf_die_type(type, type))
			return false;
	}
	return false;
}

/* ---- members ---- */

struct place {
	Dwarf_Die die; /* of the member */
	uint64_t off;  /* bytes from the beginning */
};

/* A constant, or before DWARF 3 an expression that adds one. Of a union: none. */
bool dwarf_die_offset(Dwarf_Die *member, uint64_t *ret)
{
	Dwarf_Attribute a;
	Dwarf_Op *ops;
	size_t nr;

	*ret = 0;
	if (dwarf_die_number(member, DW_AT_data_member_location, ret) ||
	    !dwarf_attr_integrate(member, DW_AT_data_member_location, &a))
		return true;
	if (dwarf_getlocation(&a, &ops, &nr) || nr != 1 || ops[0].atom != DW_OP_plus_uconst)
		return false;
	*ret = ops[0].number;
	return true;
}

static bool is_compound(Dwarf_Die *die)
{
	int tag = dwarf_tag(die);

	return tag == DW_TAG_structure_type || tag == DW_TAG_union_type;
}

/* A member of that name, LEN characters, also in unnamed members, depth first. */
static bool find_member(Dwarf_Die *compound, const char *name, size_t len, struct place *ret)
{
	struct place stack[MAX_DEPTH];
	unsigned int depth = 1, steps = 0;

	stack[0].off = 0;
	if (!dwarf_die_resolve(compound) || !is_compound(compound) || dwarf_child(compound, &stack[0].die))
		return false;
	while (depth && steps++ < MAX_STEPS) {
		struct place *l = &stack[depth - 1], m = *l;
		const char *is = dwarf_diename(&l->die);
		Dwarf_Die type;
		uint64_t off;

		if (!dwarf_die_next(&l->die))
			depth--; /* its place is taken by what is put on top, if anything is */
		if (dwarf_tag(&m.die) != DW_TAG_member || !dwarf_die_offset(&m.die, &off))
			continue;
		m.off += off;
		if (is && strlen(is) == len && len && !memcmp(is, name, len)) {
			*ret = m;
			return true;
		}
		if ((!is || !*is) && depth < MAX_DEPTH && dwarf_die_type(&m.die, &type) &&
		    dwarf_die_resolve(&type) && is_compound(&type) && !dwarf_child(&type, &m.die))
			stack[depth++] = m;
	}
	return false;
}

static bool find_type(struct dwarf_types *t, const char *name, Dwarf_Die *ret)
{
	static const int tags[] = { DW_TAG_structure_type, DW_TAG_union_type, DW_TAG_typedef,
				    DW_TAG_enumeration_type, DW_TAG_base_type };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tags); i++)
		if (find(t, name, tags[i], ret))
			return true;
	return false;
}

/* STRUCTURE.MEMBER, or .MEMBER.MEMBER; false for part of a byte. */
static bool find_path(struct dwarf_types *t, const char *name, struct place *ret)
{
	size_t len = strcspn(name, ".");
	Dwarf_Die type;
	char first[128];
	uint64_t off = 0;

	if (!name[len] || len >= sizeof(first))
		return false;
	memcpy(first, name, len);
	first[len] = '\0';
	if (!find_type(t, first, &type))
		return false;
	while (name[len]) {
		name += len + 1;
		len = strcspn(name, ".");
		if (!find_member(&type, name, len, ret))
			return false;
		off += ret->off;
		if (name[len] && !dwarf_die_type(&ret->die, &type))
			return false;
	}
	ret->off = off;
	return !dwarf_hasattr_integrate(&ret->die, DW_AT_bit_size);
}

static bool find_length(struct dwarf_types *t, const char *name, uint64_t *ret)
{
	struct place p;
	Dwarf_Die type;

	if (!find_path(t, name, &p) && !find(t, name, DW_TAG_variable, &p.die))
		return false;
	return dwarf_die_type(&p.die, &type) && dwarf_die_resolve(&type) && array_length(&type, false, ret);
}

bool dwarf_die_value(Dwarf_Die *enumerator, uint64_t *ret)
{
	Dwarf_Attribute a;
	Dwarf_Sword s;

	if (!dwarf_attr(enumerator, DW_AT_const_value, &a))
		return false;
	if (dwarf_whatform(&a) != DW_FORM_sdata && dwarf_whatform(&a) != DW_FORM_implicit_const)
		return dwarf_die_number(enumerator, DW_AT_const_value, ret);
	if (dwarf_formsdata(&a, &s))
		return false;
	*ret = (uint64_t)s;
	return true;
}

static bool find_enumerator(struct dwarf_types *t, const char *name, uint64_t *ret)
{
	Dwarf_Die die;

	return find(t, name, DW_TAG_enumerator, &die) && dwarf_die_value(&die, ret);
}

/* ---- what is told of a whole type ---- */

bool dwarf_types_find(struct dwarf_types *t, const char *name, Dwarf_Die *ret)
{
	static const struct {
		const char *word;
		int tag;
	} kinds[] = { { "struct ", DW_TAG_structure_type },
		      { "union ", DW_TAG_union_type },
		      { "enum ", DW_TAG_enumeration_type } };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strncmp(name, kinds[i].word, strlen(kinds[i].word)))
			return find(t, name + strlen(kinds[i].word), kinds[i].tag, ret);
	return find_type(t, name, ret);
}

bool dwarf_types_die(struct dwarf_types *t, Dwarf_Off off, Dwarf_Die *ret)
{
	return dwarf_offdie(t->dwarf, off, ret);
}

bool dwarf_die_has_bits(Dwarf_Die *compound)
{
	Dwarf_Die one;

	if (dwarf_child(compound, &one))
		return false;
	do {
		if (dwarf_tag(&one) == DW_TAG_member && dwarf_hasattr(&one, DW_AT_bit_size))
			return true;
	} while (dwarf_die_next(&one));
	return false;
}

uint32_t dwarf_die_dimensions(Dwarf_Die *array)
{
	uint32_t n = 0;
	Dwarf_Die sub;

	if (dwarf_child(array, &sub))
		return 0;
	do {
		n += dwarf_tag(&sub) == DW_TAG_subrange_type;
	} while (n < MAX_DEPTH && dwarf_die_next(&sub));
	return n;
}

bool dwarf_die_length(Dwarf_Die *array, uint32_t dim, uint64_t *ret)
{
	Dwarf_Die sub;

	if (dwarf_child(array, &sub))
		return false;
	do {
		if (dwarf_tag(&sub) == DW_TAG_subrange_type && !dim--) {
			*ret = elements(&sub);
			return true;
		}
	} while (dwarf_die_next(&sub));
	return false;
}

/* ---- facts ---- */

bool dwarf_types_fact(struct dwarf_types *t, enum fact_kind kind, const char *name, uint64_t *ret)
{
	Dwarf_Die type;
	struct place p = { .off = 0 };
	uint64_t v = 0;
	bool known;

	switch (kind) {
	case FACT_SIZE:
		known = find_type(t, name, &type) && dwarf_die_size(&type, &v);
		break;
	case FACT_OFFSET:
		known = find_path(t, name, &p);
		v = p.off;
		break;
	case FACT_WIDTH:
		known = find_path(t, name, &p) && dwarf_die_type(&p.die, &type) && dwarf_die_size(&type, &v);
		break;
	case FACT_LENGTH:
		known = find_length(t, name, &v);
		break;
	default:
		known = kind == FACT_NUMBER && find_enumerator(t, name, &v);
		break;
	}
	if (known)
		*ret = v;
	return known;
}
