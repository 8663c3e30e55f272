/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_ring.c - the pool's ring of events.
 *
 * Any host and any manager adds events, at any time, without waiting for anybody; anybody reads them. The header page
 * of the region has the number of the last event; event n lies in place (n - 1) % count.
 *
 * E1 An entry counts if its check is right for its number and all its words, and its number belongs to its place.
 *    The check is keyed with the number. So it does not matter in which order the words are stored or loaded, nor
 *    that a writer which was overtaken by a whole round writes over its successor: a mixture is no entry.
 * E2 A number is given once: by CAS, and it is written back before the entry is. So an entry replaces none but that
 *    of a round before.
 * E3 An event that daxfs_event_add has returned 0 for survives its writer, until the ring comes round.
 *
 *   1 number: CAS n -> n + 1, written back        crash before: nothing; after: number n + 1 is missing
 *   2 the words of the entry, in any order        crash in it: the entry of a round before is gone, n + 1 is missing
 *   3 written back                                crash before, in wb: as in 2, or recorded; after: recorded
 *
 *   writer A, slow                      writer B, a round later
 *   1: number 5
 *     ... stopped ...                   1: number 5 + count, same place; 2, 3
 *   2, 3: its words, over B's           in the middle neither is an entry; in the end 5 is, 5 + count is missing
 *
 * Memory that fails costs what lies in it: the event is not recorded, and the page is listed. When that is the page of
 * the number, this process does not try again. Nobody looks here to decide anything, and no loop depends on the
 * progress of another: a writer that loses TRIES times against others gives up.
 */
#include "mem/event_ring.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "mem/clock.h"
#include "mem/guard.h"
#include "mem/siphash.h"
#include "mem/trouble.h"

#define TRIES 64u

/* an entry in private memory */
struct image {
	uint64_t number, check;
	uint64_t wall_ns, mono_ns, what, who; /* from here on it is checked */
	uint8_t machine[16];
	uint64_t figures, value, reserved[2];
	char name[32], text[64];
};
#define CHECKED_FROM offsetof(struct image, wall_ns)
static_assert(sizeof(struct image) == sizeof(struct sm_event), "an image is an entry");

static uint64_t check_of(const struct image *image)
{
	const uint64_t key[2] = { 0x6576656e7473ull, image->number };

	return siphash24(key, (const uint8_t *)image + CHECKED_FROM, sizeof(*image) - CHECKED_FROM);
}

static uint64_t wall_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

/* -- between both forms ----------------------------------------------------------- */

static void cut(char *to, size_t size, const char *from)
{
	memcpy(to, from, strnlen(from, size - 1));
}

static void encode(const struct daxfs_event *e, struct image *out)
{
	*out = (struct image){
		.wall_ns = e->wall_ns ? e->wall_ns : wall_ns(),
		.mono_ns = e->mono_ns ? e->mono_ns : monotonic_ns(),
		.what = ((uint64_t)e->kind & 255) | ((uint64_t)e->state & 255) << 8 |
			((uint64_t)e->reason & 255) << 16 | (uint64_t)(uint8_t)(e->host + 1) << 24 |
			(uint64_t)(uint8_t)(e->by + 1) << 32,
		.who = (uint64_t)e->epoch << 32 | (e->pid ? e->pid : (uint32_t)getpid()),
		.figures = (uint64_t)e->generation << 32 | e->ms,
		.value = e->value,
	};
	memcpy(out->machine, e->machine, sizeof(out->machine));
	cut(out->name, sizeof(out->name), e->name);
	cut(out->text, sizeof(out->text), e->text);
}

static void show(char *to, const char *from, size_t size)
{
	memcpy(to, from, size);
	to[size - 1] = '\0';
	for (char *c = to; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

static void decode(const struct image *image, struct daxfs_event *out)
{
	*out = (struct daxfs_event){
		.number = image->number,
		.wall_ns = image->wall_ns,
		.mono_ns = image->mono_ns,
		.kind = (enum daxfs_event_kind)(image->what & 255),
		.state = (enum daxfs_host_state)(image->what >> 8 & 255),
		.reason = (enum daxfs_reason)(image->what >> 16 & 255),
		.host = (int)(image->what >> 24 & 255) - 1,
		.by = (int)(image->what >> 32 & 255) - 1,
		.epoch = (uint32_t)(image->who >> 32),
		.pid = (uint32_t)image->who,
		.generation = (uint32_t)(image->figures >> 32),
		.ms = (uint32_t)image->figures,
		.value = image->value,
	};
	memcpy(out->machine, image->machine, sizeof(out->machine));
	show(out->name, image->name, sizeof(out->name));
	show(out->text, image->text, sizeof(out->text));
}

/* -- writing ------------------------------------------------------------------------ */

static int take_number(struct pool_events *ring, uint64_t *out)
{
	uint64_t last = sm_load(ring->last);

	for (unsigned i = 0; i < TRIES; i++) {
		/* ORD number: nothing; whose an entry is says its check. */
		if (sm_cas_value(ring->last, &last, last + 1)) {
			*out = last + 1;
			/* ORD given: written back before the entry, or another host is given it, too (E2). */
			sm_flush(&ring->shm, ring->last, sizeof(*ring->last));
			sm_drain(&ring->shm);
			return 0;
		}
	}
	return -EAGAIN;
}

static struct sm_event *place_of(const struct pool_events *ring, uint64_t number)
{
	return &ring->at[(number - 1) % ring->count];
}

struct adding {
	struct pool *pool;
	struct image *image;
	bool numbered;
};

static int add(void *arg)
{
	struct adding *a = arg;
	struct pool_events *ring = &a->pool->events;
	int rc = take_number(ring, &a->image->number);
	struct sm_event *place;

	if (rc)
		return rc;
	a->numbered = true;
	a->image->check = check_of(a->image);
	place = place_of(ring, a->image->number);
	sm_write(place, a->image, sizeof(*place)); /* others may read, and write, meanwhile: E1 */
	/* ORD recorded: before it is said to be (E3). */
	sm_flush(&ring->shm, place, sizeof(*place));
	sm_drain(&ring->shm);
	return 0;
}

int event_add(struct pool *pool, const struct daxfs_event *e)
{
	struct pool_events *ring = &pool->events;
	struct shm_guard guard = shm_guard_of(&ring->shm);
	struct image image;
	struct adding a = { .pool = pool, .image = &image };
	int rc;

	if (!pool->writable)
		return -EROFS;
	if (!ring->at)
		return -EOPNOTSUPP;
	if (__atomic_load_n(&ring->broken, __ATOMIC_RELAXED))
		return -EIO;
	encode(e, &image);
	rc = shm_guard_run(&guard, add, &a);
	if (guard.hit && !a.numbered)
		__atomic_store_n(&ring->broken, true, __ATOMIC_RELAXED);
	if (guard.hit && pool->trouble)
		trouble_add_page(pool, guard.offset); /* tells of it in turn; but once for each page */
	return rc;
}

/* -- reading ------------------------------------------------------------------------ */

struct look {
	const struct pool_events *ring;
	uint64_t place;
	struct image image;
};

static int look(void *arg)
{
	struct look *l = arg;

	sm_read(&l->image, &l->ring->at[l->place], sizeof(l->image));
	return 0;
}

/* Is there an entry (E1)? */
static bool look_at(const struct pool_events *ring, uint64_t place, struct image *out)
{
	struct shm_guard guard = shm_guard_of(&ring->shm);
	struct look l = { .ring = ring, .place = place };

	shm_guard_run(&guard, look, &l);
	*out = l.image;
	return !guard.hit && out->number && (out->number - 1) % ring->count == place && out->check == check_of(out);
}

static int by_number(const void *a, const void *b)
{
	const struct daxfs_event *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

int event_list(const struct pool *pool, uint64_t after, daxfs_event_fill fill, void *context)
{
	const struct pool_events *ring = &pool->events;
	struct daxfs_event *all;
	unsigned n = 0, told = 0;
	struct image image;

	if (!ring->at)
		return -EOPNOTSUPP;
	all = malloc(ring->count * sizeof(*all));
	if (!all)
		return -ENOMEM;
	for (uint64_t place = 0; place < ring->count; place++)
		if (look_at(ring, place, &image) && image.number > after)
			decode(&image, &all[n++]);
	qsort(all, n, sizeof(*all), by_number);
	while (told < n && fill(context, &all[told++]))
		;
	free(all);
	return (int)told;
}
