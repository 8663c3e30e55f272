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

static double cxl_page(const struct model *m)
{
	return m->cxl_page > 0 ? m->cxl_page : COST_CXL_QUEUE;
}

void model_cxl(struct model *m, unsigned thread)
{
	double began = m->at[thread], served = serve(&m->cxl, began, cxl_page(m)), ended = began + COST_READ + COST_CXL;

	m->at[thread] = served > ended ? served : ended;
}

double model_look_ns(struct model *m, unsigned thread, uint64_t page)
{
	uint64_t line = page / 8 + 1, *place = &m->line[thread % m->hosts][line % MODEL_LINES];
	bool known = *place == line;

	*place = line;
	return COST_STATE + (known ? 0 : COST_LINE);
}

void model_look(struct model *m, unsigned thread, uint64_t page)
{
	m->at[thread] += model_look_ns(m, thread, page);
}

void model_storage(struct model *m, unsigned thread, uint64_t pages)
{
	double began = m->at[thread];

	m->at[thread] = serve(&m->storage, began, COST_STORAGE_QUEUE * (double)pages) + COST_STORAGE;
}

void model_pay(struct model *m, unsigned thread, const struct model_cost *cost)
{
	double began = m->at[thread], ended = began, moved;

	if (cost->requests)
		ended = COST_STORAGE +
			serve(&m->storage, began,
			      m->request * (double)cost->requests + COST_STORAGE_QUEUE * (double)cost->stored);
	ended += cost->own;
	moved = cost->moved ? serve(&m->cxl, began, cxl_page(m) * (double)cost->moved) : 0;
	if (cost->behind) {
		double done = serve(&m->storage, began, COST_STORAGE_QUEUE * (double)cost->behind) - m->dirty_ns;

		ended = done > ended ? done : ended;
	}
	m->at[thread] = moved > ended ? moved : ended;
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

static uint32_t victim(struct clock_cache *c)
{
	uint32_t at;

	if (c->lot)
		return (uint32_t)random_below(&c->lot, c->room);
	for (; c->hot[c->hand]; c->hand = (c->hand + 1) % c->room)
		c->hot[c->hand] = false;
	at = c->hand;
	c->hand = (c->hand + 1) % c->room;
	return at;
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
		at = victim(c);
		if (c->slot[c->page[at]] == at + 1)
			c->slot[c->page[at]] = 0;
	}
	c->page[at] = page;
	c->slot[page] = at + 1;
	return false;
}

void clock_drop(struct clock_cache *c, uint32_t page)
{
	if (c->slot[page])
		c->hot[c->slot[page] - 1] = false;
	c->slot[page] = 0;
}
