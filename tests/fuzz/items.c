/* SPDX-License-Identifier: Apache-2.0 */
/*
 * items.c - the input language of mutate.h, read, written and mutated.
 *
 * Inputs are made out of inputs item by item: one more, one less, one with
 * another place, value or number, two inputs mixed. libFuzzer's own mutations,
 * which know nothing of items, have their turn on a single one.
 */
#include <stdlib.h>

#include "mutate.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out,
				 size_t max, unsigned seed);

/* -- reading and writing ------------------------------------------------------ */

static uint64_t bytes(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

void item_put(uint8_t *p, const struct item *item)
{
	p[0] = item->kind;
	p[1] = item->how;
	for (unsigned i = 0; i < 2; i++) {
		p[2 + i] = (uint8_t)(item->a >> (8 * i));
		p[4 + i] = (uint8_t)(item->b >> (8 * i));
	}
	for (unsigned i = 0; i < 8; i++)
		p[6 + i] = (uint8_t)(item->v >> (8 * i));
}

static struct item item_get(const uint8_t *p)
{
	return (struct item){
		.kind = p[0] % ITEM_KINDS,
		.how = p[1],
		.a = (uint16_t)bytes(p + 2, 2),
		.b = (uint16_t)bytes(p + 4, 2),
		.v = bytes(p + 6, 8),
	};
}

unsigned items_read(const uint8_t *data, size_t size, unsigned kinds, struct item out[ITEMS_MAX])
{
	unsigned n = 0;

	for (size_t at = 1; at + ITEM_BYTES <= size && n < ITEMS_MAX; at += ITEM_BYTES) {
		struct item item = item_get(data + at);

		if (kinds & 1u << item.kind)
			out[n++] = item;
	}
	return n;
}

/* -- mutating ------------------------------------------------------------------ */

struct dice {
	uint64_t state;
};

static uint64_t roll(struct dice *d)
{
	uint64_t z = d->state += 0x9e3779b97f4a7c15ull; /* splitmix64 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* Numbers that mean something are small; the high bit of a pick is for the rest. */
static uint16_t a_pick(struct dice *d)
{
	uint64_t r = roll(d);

	return (uint16_t)((r & 7 ? 0 : 0x8000) | (r & 8 ? r >> 16 & 15 : r >> 16 & 0x3fff));
}

static uint64_t a_number(struct dice *d)
{
	uint64_t r = roll(d);

	return r & 3 ? roll(d) : roll(d) >> (r >> 2 & 63);
}

static void make_item(struct dice *d, struct item *item)
{
	do
		item->kind = (uint8_t)(roll(d) % ITEM_KINDS);
	while (!(item_kinds & 1u << item->kind));
	item->how = (uint8_t)roll(d);
	item->a = a_pick(d);
	item->b = a_pick(d);
	item->v = a_number(d);
}

/* How a value for this kind of place is most likely to make sense. */
static void make_sense(struct dice *d, struct item *item)
{
	static const uint8_t sense[PLACES] = {
		[PLACE_HOST] = VALUE_HOST,     [PLACE_MANAGER] = VALUE_ADD,  [PLACE_STATUS] = VALUE_STATUS,
		[PLACE_LANE] = VALUE_EDGE,     [PLACE_WORD] = VALUE_ADDRESS, [PLACE_ALLOC] = VALUE_OBJECT,
		[PLACE_RETIRE] = VALUE_OBJECT, [PLACE_OPEN] = VALUE_HANDLE,  [PLACE_STATE] = VALUE_STATE,
		[PLACE_BIRTH] = VALUE_ADD,     [PLACE_COUNT] = VALUE_ADD,    [PLACE_INODE] = VALUE_LINK,
		[PLACE_DIRENT] = VALUE_HANDLE, [PLACE_NODE] = VALUE_LINK,    [PLACE_SUPER] = VALUE_ADD,
		[PLACE_HEADER] = VALUE_FLIP,   [PLACE_LOCKS] = VALUE_ADD,    [PLACE_EXTENT] = VALUE_STATE,
		[PLACE_GROUP] = VALUE_LINK,
	};

	make_item(d, item);
	if (item->kind != ITEM_OPERATION && roll(d) & 1)
		item->how = sense[item->kind];
	if (item->kind == PLACE_WORD && roll(d) & 1)
		item->b %= 12; /* the first few words of a record are the ones there are */
}

static void change_item(struct dice *d, struct item *item)
{
	switch (roll(d) % 6) {
	case 0: item->how = (uint8_t)roll(d); break;
	case 1: item->a = a_pick(d); break;
	case 2: item->b = a_pick(d); break;
	case 3: item->v = a_number(d); break;
	case 4: item->v ^= 1ull << (roll(d) & 63); break;
	default: item->v += (uint64_t)(int64_t)(int8_t)roll(d); break;
	}
}

/* being mutated */
struct input {
	uint8_t *fixture, *items;
	size_t n, room;
};

static bool add_item(struct dice *d, struct input *in, size_t at)
{
	uint8_t *p = in->items + at * ITEM_BYTES;
	struct item item;

	if (in->n >= in->room)
		return false;
	memmove(p + ITEM_BYTES, p, (in->n - at) * ITEM_BYTES);
	make_sense(d, &item);
	item_put(p, &item);
	in->n++;
	return true;
}

static void drop_item(struct input *in, size_t at)
{
	uint8_t *p = in->items + at * ITEM_BYTES;

	in->n--;
	memmove(p, p + ITEM_BYTES, (in->n - at) * ITEM_BYTES);
}

static void alter_item(struct dice *d, uint8_t *p)
{
	struct item item = item_get(p);

	change_item(d, &item);
	item_put(p, &item);
}

static void mutate(struct dice *d, struct input *in)
{
	size_t at = in->n ? roll(d) % in->n : 0;
	unsigned how = roll(d) % 8;

	if (how == 0)
		*in->fixture = (uint8_t)roll(d);
	else if ((how < 4 || !in->n) && add_item(d, in, at))
		return;
	else if (how == 4 && in->n)
		drop_item(in, at);
	else if (how == 5 && in->n)
		LLVMFuzzerMutate(in->items + at * ITEM_BYTES, ITEM_BYTES, ITEM_BYTES);
	else if (in->n)
		alter_item(d, in->items + at * ITEM_BYTES);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	struct dice d = { seed };
	struct input in = { data, data + 1, size ? (size - 1) / ITEM_BYTES : 0, max ? (max - 1) / ITEM_BYTES : 0 };

	if (!max)
		return 0;
	if (!size)
		data[0] = (uint8_t)roll(&d);
	if (in.room > ITEMS_MAX)
		in.room = ITEMS_MAX;
	if (in.n > in.room)
		in.n = in.room;
	mutate(&d, &in);
	return 1 + in.n * ITEM_BYTES;
}

/* The first items of one, the last of the other. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out,
				 size_t max, unsigned seed)
{
	struct dice d = { seed };
	size_t na = a_size ? (a_size - 1) / ITEM_BYTES : 0, nb = b_size ? (b_size - 1) / ITEM_BYTES : 0;
	size_t from_a = roll(&d) % (na + 1), skip_b = roll(&d) % (nb + 1), size = 1 + from_a * ITEM_BYTES;

	if (!a_size || !b_size || size + (nb - skip_b) * ITEM_BYTES > max)
		return 0;
	out[0] = a[0];
	memcpy(out + 1, a + 1, from_a * ITEM_BYTES);
	memcpy(out + size, b + 1 + skip_b * ITEM_BYTES, (nb - skip_b) * ITEM_BYTES);
	return size + (nb - skip_b) * ITEM_BYTES;
}
