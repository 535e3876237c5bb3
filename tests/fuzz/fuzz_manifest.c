/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A manifest that lies: what is taken from it is whole, and every path lies below. */
#include "config.h"
#include "fuzz.h"

#ifdef HAVE_BUNDLE
#include <string.h>

#include "ext/manifest.h"
#include "ext/names.h"

static void check(const struct manifest *m)
{
	struct err e = ERR_INIT;
	size_t i;

	must(manifest_find(m, m->dump));
	for (i = 0; i < m->nr_members; i++) {
		const struct manifest_member *x = &m->members[i];

		must(!name_check(x->path, &e) && !strstr(x->path, "/../"));
		must(!i || strcmp(m->members[i - 1].path, x->path) < 0);
		must(manifest_find(m, x->path) == x);
		must(x->kind && x->status && x->id_len <= sizeof(x->id));
		must(!x->link || !link_check(x->path, x->link, 0, &e));
		touch(x->id, x->id_len);
		if (x->note)
			touch(x->note, strlen(x->note) + 1);
		if (x->origin)
			touch(x->origin, strlen(x->origin) + 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = ERR_INIT;
	struct manifest m;

	if (!manifest_parse((const char *)data, size, &m, &e))
		check(&m);
	else
		must(e.text[0]);
	manifest_fini(&m);
	return 0;
}
#else
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	touch(data, size);
	return 0;
}
#endif
