/* SPDX-License-Identifier: Apache-2.0 */
/* visited.c - see visited.h: open addressing, at most half full. */
#include "exhaustive/visited.h"

#include <string.h>

#include "machine/arena.h"

#define FIRST_CAPACITY 4096u /* a power of two, as all are */

/* Its place, or the empty one where it belongs. */
static uint64_t *slot(const struct visited *v, uint64_t digest)
{
	size_t mask = v->capacity - 1, at = (size_t)(digest * 0x9e3779b97f4a7c15ull >> 20) & mask;

	while (v->key[at] && v->key[at] != digest)
		at = (at + 1) & mask;
	return &v->key[at];
}

static void grow(struct visited *v)
{
	struct visited larger = { .capacity = v->capacity ? 2 * v->capacity : FIRST_CAPACITY, .n = v->n };

	larger.key = arena_host_alloc(larger.capacity * sizeof(*larger.key));
	memset(larger.key, 0, larger.capacity * sizeof(*larger.key));
	for (size_t i = 0; i < v->capacity; i++)
		if (v->key[i])
			*slot(&larger, v->key[i]) = v->key[i];
	arena_host_free(v->key);
	*v = larger;
}

bool visited_has(const struct visited *v, uint64_t digest)
{
	return v->capacity && *slot(v, digest | 1) == (digest | 1);
}

bool visited_add(struct visited *v, uint64_t digest)
{
	uint64_t *at;

	if (2 * v->n >= v->capacity)
		grow(v);
	at = slot(v, digest | 1);
	if (*at)
		return false;
	*at = digest | 1; /* 0 is for empty */
	v->n++;
	return true;
}

void visited_clear(struct visited *v)
{
	if (v->capacity)
		memset(v->key, 0, v->capacity * sizeof(*v->key));
	v->n = 0;
}

void visited_free(struct visited *v)
{
	arena_host_free(v->key);
	*v = (struct visited){ 0 };
}
