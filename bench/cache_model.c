/* SPDX-License-Identifier: Apache-2.0 */
/* cache_model.c - time that is counted: see cache_model.h. */
#include "cache_model.h"

#include <stdlib.h>

#include "bench.h"

unsigned model_next(const struct model *m)
{
	unsigned next = 0;

	for (unsigned i = 1; i < m->threads; i++)
		if (m->at[i] < m->at[next])
			next = i;
	return next;
}

double model_now(const struct model *m)
{
	double now = 0;

	for (unsigned i = 0; i < m->threads; i++)
		now = m->at[i] > now ? m->at[i] : now;
	return now;
}

void model_local(struct model *m, unsigned thread)
{
	m->at[thread] += COST_READ;
}

/* When a device that serves one after the other has done it. */
static double serve(double *free, double now, double cost)
{
	*free = (*free > now ? *free : now) + cost;
	return *free;
}

void model_cxl(struct model *m, unsigned thread)
{
	double began = m->at[thread], served = serve(&m->cxl, began, COST_CXL_QUEUE),
	       ended = began + COST_READ + COST_CXL;

	m->at[thread] = served > ended ? served : ended;
}

void model_look(struct model *m, unsigned thread, uint64_t page)
{
	uint64_t line = page / 8 + 1, *place = &m->line[thread % m->hosts][line % MODEL_LINES];

	m->at[thread] += COST_STATE + (*place == line ? 0 : COST_LINE);
	*place = line;
}

void model_storage(struct model *m, unsigned thread, uint64_t pages)
{
	double began = m->at[thread];

	m->at[thread] = serve(&m->storage, began, COST_STORAGE_QUEUE * (double)pages) + COST_STORAGE;
}

void clock_open(struct clock_cache *c, uint32_t room, uint32_t pages)
{
	*c = (struct clock_cache){
		.room = room,
		.slot = calloc(pages, sizeof(*c->slot)),
		.page = calloc(room, sizeof(*c->page)),
		.hot = calloc(room, sizeof(*c->hot)),
	};
	if (!c->slot || !c->page || !c->hot)
		bench_fail("cache: no memory");
}

void clock_close(struct clock_cache *c)
{
	free(c->slot);
	free(c->page);
	free(c->hot);
}

bool clock_read(struct clock_cache *c, uint32_t page)
{
	uint32_t at;

	if (c->slot[page]) {
		c->hot[c->slot[page] - 1] = true;
		return true;
	}
	if (c->used < c->room) {
		at = c->used++;
	} else {
		for (; c->hot[c->hand]; c->hand = (c->hand + 1) % c->room)
			c->hot[c->hand] = false;
		at = c->hand;
		c->hand = (c->hand + 1) % c->room;
		c->slot[c->page[at]] = 0;
	}
	c->page[at] = page;
	c->slot[page] = at + 1;
	return false;
}
