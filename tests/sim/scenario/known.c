/* SPDX-License-Identifier: Apache-2.0 */
/*
 * known.c - see known.h.
 *
 * A table from digests to outcomes. There are thousands of ends and a few dozen outcomes: each of these is kept once,
 * under a digest of itself. As visited.h says, what has the same digest is taken for the same.
 */
#include "scenario/known.h"

#include <string.h>

#include "exhaustive/references.h"
#include "machine/arena.h"
#include "machine/memory.h"
#include "script/script.h"

#define SLOTS_FIRST 4096u

static struct known {
	struct {
		uint64_t digest; /* 0: empty */
		struct state *outcome;
	} * slot;
	size_t slots, n;
	struct state **outcome; /* those that are kept */
	size_t outcomes, room;
} known;

static uint64_t fold(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9fb21c651e98df25ull;
	return h ^ h >> 32;
}

uint64_t known_end(unsigned dead)
{
	uint64_t h;

	if (world_storage_used())
		return 0;
	h = fold(fold(memory_digest(), arena_digest(aftermath_by(dead))), fold(arena_moment(), dead));
	return fold(h, script_digest((const uint8_t *)&world, sizeof(world))) | 1;
}

static size_t place_of(uint64_t digest)
{
	size_t at = digest >> 1 & (known.slots - 1);

	while (known.slot[at].digest && known.slot[at].digest != digest)
		at = (at + 1) & (known.slots - 1);
	return at;
}

static void put(uint64_t digest, struct state *outcome)
{
	size_t at = place_of(digest);

	known.n += !known.slot[at].digest;
	known.slot[at].digest = digest;
	known.slot[at].outcome = outcome;
}

static void grow(void)
{
	struct known old = known;

	known.slots = old.slots ? 2 * old.slots : SLOTS_FIRST;
	known.slot = arena_host_alloc(known.slots * sizeof(*known.slot));
	memset(known.slot, 0, known.slots * sizeof(*known.slot));
	known.n = 0;
	for (size_t i = 0; i < old.slots; i++)
		if (old.slot[i].digest)
			put(old.slot[i].digest, old.slot[i].outcome);
	arena_host_free(old.slot);
}

const struct state *known_outcome(uint64_t end)
{
	return end && known.slots ? known.slot[place_of(end)].outcome : NULL;
}

static struct state *keep(const struct state *outcome)
{
	struct state *kept = arena_host_alloc(sizeof(*kept));

	if (known.outcomes == known.room) {
		known.room = known.room ? 2 * known.room : 64;
		known.outcome = arena_host_realloc(known.outcome, known.room * sizeof(struct state *));
	}
	*kept = *outcome;
	return known.outcome[known.outcomes++] = kept;
}

void known_add(uint64_t end, const struct state *outcome)
{
	uint64_t itself =
		script_digest((const uint8_t *)outcome, offsetof(struct state, text) + strlen(outcome->text)) | 1;
	struct state *kept;

	if (!end)
		return;
	if (4 * (known.n + 2) > 3 * known.slots)
		grow();
	kept = known.slot[place_of(itself)].outcome;
	if (!kept)
		put(itself, kept = keep(outcome));
	put(end, kept);
}

void known_forget(void)
{
	for (size_t i = 0; i < known.outcomes; i++)
		arena_host_free(known.outcome[i]);
	known.outcomes = known.n = 0;
	if (known.slots)
		memset(known.slot, 0, known.slots * sizeof(*known.slot));
}
