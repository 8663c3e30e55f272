/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lirs_trace.c - a trace of blocks that somebody recorded: the number of a block a line, as those that LIRS was
 * measured with are passed on. Other lines say nothing. None is part of this project: bench/fetch-trace has one where a
 * package brings it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "trace.h"

#define BLOCKS_MAX (1u << 24) /* from the least to the greatest */
#define REQUESTS_FIRST 4096u

struct blocks {
	uint64_t *at, least, most;
	size_t n, room;
};

static bool add(struct blocks *b, uint64_t block)
{
	if (b->n == b->room) {
		size_t room = b->room ? 2 * b->room : REQUESTS_FIRST;
		uint64_t *at = realloc(b->at, room * sizeof(*at));

		if (!at)
			return false;
		b->at = at;
		b->room = room;
	}
	b->least = !b->n || block < b->least ? block : b->least;
	b->most = block > b->most ? block : b->most;
	b->at[b->n++] = block;
	return true;
}

static bool read_blocks(FILE *file, struct blocks *b)
{
	unsigned long long block;
	char line[64], more;
	bool good = true;

	while (good && fgets(line, sizeof(line), file))
		if (sscanf(line, "%llu %c", &block, &more) == 1)
			good = add(b, block);
	return good;
}

/* Gaps between blocks stay: what lay one behind the other did, and nothing else does. */
static struct trace *make(const struct blocks *b)
{
	struct trace *t = calloc(1, sizeof(*t));
	uint32_t pages = (uint32_t)(b->most - b->least) + 1;
	bool *seen = calloc(pages, sizeof(*seen));

	if (t)
		t->at = malloc(b->n * sizeof(*t->at));
	if (!t || !t->at || !seen) {
		free(seen);
		trace_free(t);
		return NULL;
	}
	for (size_t i = 0; i < b->n; i++) {
		uint32_t page = (uint32_t)(b->at[i] - b->least);

		t->distinct += !seen[page];
		seen[page] = true;
		t->at[t->n++] = (struct request){ page, 0 };
	}
	free(seen);
	t->pages = t->file[0] = pages;
	t->hosts[0] = t->hosts[1] = 1;
	return t;
}

struct trace *trace_lirs(const char *path, const char **why)
{
	FILE *file = path ? fopen(path, "re") : NULL;
	struct blocks b = { .at = NULL };
	struct trace *t = NULL;

	*why = "there is no such file";
	if (file) {
		*why = "no memory";
		if (read_blocks(file, &b) && b.n && b.most - b.least < BLOCKS_MAX)
			t = make(&b);
		else if (!b.n)
			*why = "it has no numbers of blocks";
		else if (b.most - b.least >= BLOCKS_MAX)
			*why = "its blocks lie too far apart";
		fclose(file);
	}
	free(b.at);
	return t;
}
