/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.c - events that scripts record, and what must be true of the pool's ring at any time.
 *
 * Each of ours says the same in all its parts. So one that is pieced together of two, or half written, and
 * counts all the same, is seen; and until the ring comes round all of which the writer heard that they
 * are recorded must be there, whoever died since, and each once.
 */
#include <inttypes.h>

#include "fs/fs.h"
#include "machine/weak.h"
#include "machine/world.h"
#include "mem/event_ring.h"

#define OURS 0x7e11u /* epoch of the manager that never was */

static struct daxfs_event ours(unsigned serial)
{
	struct daxfs_event e = {
		.kind = DAXFS_EVENT_PRIMARY,
		.host = -1,
		.by = -1,
		.epoch = OURS,
		.generation = serial,
		.value = serial * 0x9e3779b97f4a7c15ull,
		.pid = 1,
	};

	snprintf(e.name, sizeof(e.name), "%u", serial);
	snprintf(e.text, sizeof(e.text), "event %u of a script, and of no other", serial);
	return e;
}

/* In a weak memory a host that dies loses stores that nobody had to see, those of an event like others: not counted. */
int world_tell(struct daxfs *fs, uint64_t n)
{
	unsigned told = 0;
	int rc = 0;

	for (uint64_t i = 0; rc == 0 && i < n; i++) {
		struct daxfs_event e = ours(++world.serial);

		rc = event_add(&fs->pool, &e);
		told += rc == 0;
	}
	world.told += weak_on ? 0 : told;
	return rc;
}

struct judging {
	struct world_check *out;
	uint64_t ours, last;
};

static void problem(struct judging *j, const char *what, uint64_t number)
{
	size_t used = strlen(j->out->text);

	j->out->problems++;
	snprintf(j->out->text + used, sizeof(j->out->text) - used, "%sevent %" PRIu64 ": %s", used ? "; " : "", number,
		 what);
}

static bool judge(void *context, const struct daxfs_event *e)
{
	struct judging *j = context;
	struct daxfs_event want = ours(e->generation);

	if (e->number <= j->last)
		problem(j, "a number that was given twice", e->number);
	j->last = e->number;
	if (e->epoch != OURS)
		return true;
	j->ours++;
	if (e->value != want.value || e->pid != want.pid || strcmp(e->name, want.name) || strcmp(e->text, want.text))
		problem(j, "of two pieces", e->number);
	return true;
}

void world_judge_events(struct world_check *out)
{
	struct judging j = { .out = out };
	uint64_t given = sm_load(world.pool.events.last);

	event_list(&world.pool, 0, judge, &j);
	if (j.last > given)
		problem(&j, "more than were given", j.last);
	if (given <= world.pool.events.count && j.ours < world.told)
		problem(&j, "the last of those that are left, and others were recorded", j.last);
}
