/* SPDX-License-Identifier: Apache-2.0 */
/* footprint.c - see footprint.h. Single-threaded. */
#include "exhaustive/footprint.h"

#include "machine/arena.h"
#include "machine/world.h"

#define READS(host) (1u << (2 * (host)))
#define WRITES(host) (2u << (2 * (host)))

void footprint_begin(struct footprint *t)
{
	unsigned shift = world.wb ? 6 : 3;
	size_t places = (size_t)(memory_size() >> shift);

	*t = (struct footprint){ .how = arena_host_realloc(t->how, places), .shift = shift };
	memset(t->how, 0, places);
}

static bool conflict(uint8_t how)
{
	return (how & WRITES(0) && how & (READS(1) | WRITES(1))) || (how & WRITES(1) && how & (READS(0) | WRITES(0)));
}

static bool note(struct footprint *t, uint8_t how, uint64_t offset, uint64_t len)
{
	bool shared = false;

	for (uint64_t at = offset >> t->shift; len && at <= (offset + len - 1) >> t->shift; at++) {
		uint8_t now = t->how[at] | how;

		if (now != t->how[at] && conflict(now) && !conflict(t->how[at])) {
			t->grown = true;
			t->shared++;
		}
		t->how[at] = now;
		shared |= conflict(now);
	}
	return shared;
}

/* The first letter tells seam calls apart. Writing back a line changes nothing that others see, but where it is. */
static bool changes(char call)
{
	return call == 'c' || call == 's' || call == 'w' || call == 'z' || call == 'p';
}

bool footprint_note(struct footprint *t, unsigned host, const struct seam_event *event)
{
	char call = event->site->call[0];
	bool shared;

	if (!world.wb && call == 'p')
		return false;
	shared = note(t, changes(call) ? WRITES(host) : READS(host), event->offset, event->len);
	return note(t, READS(host), event->from, event->from ? event->len : 0) || shared;
}
