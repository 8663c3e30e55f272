/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.c - see disk.h. Pieces are in the order in which they came to where they are: the last one of a sector is what
 * is there. One that is gone keeps its place, without a key, until there is need for room. Single-threaded.
 */
#include "machine/disk.h"

#include <string.h>

#include "machine/arena.h"

#define GONE UINT64_MAX
#define SIZE UINT32_MAX   /* in the place of a sector */
#define RANGE_SECTORS 64u /* that can be asked for at once */
#define VERSIONS 3u       /* of a sector in one cache, at most: then the last one is written over */

static uint64_t draw(struct disk *d, uint64_t below)
{
	uint64_t x = d->random += 0x9e3779b97f4a7c15ull;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return ((x ^ (x >> 31)) >> 11) % below;
}

static uint64_t key_of(unsigned file, uint64_t sector)
{
	return (uint64_t)file << 32 | sector;
}

static bool is_of(const struct disk_piece *p, unsigned file)
{
	return p->key != GONE && (file == DISK_ALL || p->key >> 32 == file);
}

void disk_reset(struct disk *d, unsigned max, void (*base)(unsigned file, uint64_t sector, uint8_t *out),
		uint64_t random)
{
	struct disk was = *d;

	if (!was.piece) {
		was.piece = arena_host_alloc(max * sizeof(*was.piece));
		was.bytes = arena_host_alloc(max * sizeof(*was.bytes));
		was.max = max;
	}
	*d = (struct disk){ .max = was.max, .piece = was.piece, .bytes = was.bytes, .base = base, .random = random };
}

void disk_copy(struct disk *to, const struct disk *from)
{
	struct disk was = *to;

	if (!was.piece)
		disk_reset(&was, from->max, from->base, 0);
	*to = *from;
	to->piece = was.piece;
	to->bytes = was.bytes;
	memcpy(to->piece, from->piece, from->n * sizeof(*to->piece));
	memcpy(to->bytes, from->bytes, from->n * sizeof(*to->bytes));
}

/* -- pieces ------------------------------------------------------------------------- */

/* For what follows there is room enough, and no piece moves meanwhile. */
static void make_room(struct disk *d)
{
	unsigned n = 0;

	if (d->n < d->max / 2)
		return;
	for (unsigned i = 0; i < d->n; i++) {
		if (d->piece[i].key == GONE)
			continue;
		if (i != n) {
			d->piece[n] = d->piece[i];
			memcpy(d->bytes[n], d->bytes[i], DISK_SECTOR);
		}
		n++;
	}
	d->n = n;
}

static struct disk_piece *add(struct disk *d, const struct disk_piece *piece, const uint8_t *bytes)
{
	if (d->n == d->max)
		arena_die("more is written to storage than the simulator remembers");
	d->piece[d->n] = *piece;
	if (bytes)
		memcpy(d->bytes[d->n], bytes, DISK_SECTOR);
	d->changes++;
	return &d->piece[d->n++];
}

/* What a host sees: what it wrote itself, else what has arrived last. -1: none. */
static int seen(const struct disk *d, unsigned host, uint64_t key)
{
	int last = -1;

	for (unsigned i = d->n; i-- > 0;) {
		const struct disk_piece *p = &d->piece[i];

		if (p->key != key)
			continue;
		if (p->where == DISK_HOST && p->host == host)
			return (int)i;
		if (last < 0 && p->where >= DISK_SERVER)
			last = (int)i;
	}
	return last;
}

/* A piece comes to the server, later than all that are there. What its host had of that sector before does not come any
 * more: a cache writes a page once at a time, as it is then. */
static void arrive(struct disk *d, unsigned i)
{
	struct disk_piece p = d->piece[i];

	for (unsigned k = 0; k < i; k++)
		if (d->piece[k].key == p.key && d->piece[k].where < DISK_SERVER && d->piece[k].host == p.host)
			d->piece[k].key = GONE;
	p.where = DISK_SERVER;
	d->piece[i].key = GONE;
	add(d, &p, d->bytes[i]);
}

static void put(struct disk *d, unsigned host, const struct disk_piece *piece, const uint8_t *bytes)
{
	struct disk_piece new = *piece;
	unsigned n = 0, last = 0;

	new.host = (uint8_t)host;
	new.where = host == DISK_NOBODY ? DISK_SERVER : DISK_HOST;
	for (unsigned i = 0; i < d->n; i++)
		if (d->piece[i].key == new.key && d->piece[i].where == new.where && d->piece[i].host == host)
			n++, last = i;
	if (n >= VERSIONS)
		d->piece[last].key = GONE;
	add(d, &new, bytes);
}

/* -- contents ------------------------------------------------------------------------- */

static struct disk_piece size_of(const struct disk *d, unsigned host, unsigned file)
{
	int i = seen(d, host, key_of(file, SIZE));

	return i >= 0 ? d->piece[i]
		      : (struct disk_piece){ .key = key_of(file, SIZE),
					     .size = d->base_size[file],
					     .base_end = d->base_size[file] };
}

uint64_t disk_size(const struct disk *d, unsigned host, unsigned file)
{
	return size_of(d, host, file).size;
}

/* A sector as it began, of a file that has so much of that. */
static void base_sector(const struct disk *d, unsigned file, uint64_t sector, uint64_t base_end, uint8_t *out)
{
	uint64_t at = sector * DISK_SECTOR, left = base_end > at ? base_end - at : 0;

	memset(out, 0, DISK_SECTOR);
	if (left)
		d->base(file, sector, out);
	if (left < DISK_SECTOR)
		memset(out + left, 0, DISK_SECTOR - left);
}

static void sector_of(const struct disk *d, unsigned host, unsigned file, uint64_t sector, uint8_t *out)
{
	int i = seen(d, host, key_of(file, sector));

	if (i >= 0)
		memcpy(out, d->bytes[i], DISK_SECTOR);
	else
		base_sector(d, file, sector, size_of(d, host, file).base_end, out);
}

size_t disk_read(const struct disk *d, unsigned host, unsigned file, void *buf, size_t len, uint64_t offset)
{
	uint64_t size = disk_size(d, host, file), end = offset + len < size ? offset + len : size;
	uint8_t sector[DISK_SECTOR], *out = buf;

	for (uint64_t at = offset; at < end;) {
		uint64_t n = DISK_SECTOR - at % DISK_SECTOR;

		n = n < end - at ? n : end - at;
		sector_of(d, host, file, at / DISK_SECTOR, sector);
		memcpy(out, sector + at % DISK_SECTOR, n);
		out += n;
		at += n;
	}
	return end > offset ? end - offset : 0;
}

/* A piece that the host sees has bytes behind the end: they are zeros. */
static void cut_piece(struct disk *d, unsigned host, unsigned i, uint64_t size)
{
	uint64_t at = (d->piece[i].key & SIZE) * DISK_SECTOR;
	uint8_t sector[DISK_SECTOR];

	memcpy(sector, d->bytes[i], DISK_SECTOR);
	if (size > at)
		memset(sector + (size - at), 0, DISK_SECTOR - (size - at));
	else
		memset(sector, 0, DISK_SECTOR);
	put(d, host, &(struct disk_piece){ .key = d->piece[i].key }, sector);
}

/* What is behind that is zeros: it was cut off; or the file becomes longer, and what is left there of a write whose
 * size was lost is no more to be seen than any old block. */
static void clear_behind(struct disk *d, unsigned host, unsigned file, uint64_t size)
{
	unsigned n = d->n;

	for (unsigned i = 0; i < n; i++) {
		const struct disk_piece *p = &d->piece[i];

		if (is_of(p, file) && (p->key & SIZE) != SIZE && ((p->key & SIZE) + 1) * DISK_SECTOR > size &&
		    seen(d, host, p->key) == (int)i)
			cut_piece(d, host, i, size);
	}
}

void disk_write(struct disk *d, unsigned host, unsigned file, const void *buf, size_t len, uint64_t offset)
{
	struct disk_piece size = size_of(d, host, file);
	const uint8_t *from = buf;
	uint8_t sector[DISK_SECTOR];

	make_room(d);
	if (offset + len > size.size)
		clear_behind(d, host, file, size.size);
	for (uint64_t at = offset; at < offset + len;) {
		uint64_t n = DISK_SECTOR - at % DISK_SECTOR;

		n = n < offset + len - at ? n : offset + len - at;
		sector_of(d, host, file, at / DISK_SECTOR, sector);
		memcpy(sector + at % DISK_SECTOR, from, n);
		put(d, host, &(struct disk_piece){ .key = key_of(file, at / DISK_SECTOR) }, sector);
		from += n;
		at += n;
	}
	if (offset + len <= size.size)
		return;
	size.size = offset + len;
	put(d, host, &size, NULL);
}

void disk_resize(struct disk *d, unsigned host, unsigned file, uint64_t size)
{
	struct disk_piece now = size_of(d, host, file);

	make_room(d);
	clear_behind(d, host, file, size < now.size ? size : now.size);
	now.size = size;
	now.base_end = now.base_end < size ? now.base_end : size;
	put(d, host, &now, NULL);
}

/* -- ways -------------------------------------------------------------------------------- */

void disk_close(struct disk *d, unsigned host, unsigned file)
{
	unsigned n;

	make_room(d);
	n = d->n;
	for (unsigned i = 0; i < n; i++)
		if (is_of(&d->piece[i], file) && d->piece[i].where == DISK_HOST && d->piece[i].host == host)
			arrive(d, i);
}

/* Of each sector the last piece that has arrived is the one that is safe. */
static void make_safe(struct disk *d, unsigned file)
{
	for (unsigned i = d->n; i-- > 0;) {
		struct disk_piece *p = &d->piece[i];
		unsigned later = i + 1;

		if (!is_of(p, file) || p->where < DISK_SERVER)
			continue;
		while (later < d->n && (d->piece[later].key != p->key || d->piece[later].where != DISK_SAFE))
			later++;
		if (later < d->n)
			p->key = GONE;
		else
			p->where = DISK_SAFE;
	}
}

void disk_sync(struct disk *d, unsigned host, unsigned file)
{
	disk_close(d, host, file);
	make_safe(d, file);
}

void disk_sync_failed(struct disk *d, unsigned host, unsigned file)
{
	unsigned n;

	make_room(d);
	n = d->n;
	for (unsigned i = 0; i < n; i++) {
		if (!is_of(&d->piece[i], file) || d->piece[i].where != DISK_HOST || d->piece[i].host != host)
			continue;
		if (draw(d, 2))
			arrive(d, i);
		else
			d->piece[i].key = GONE;
	}
	if (draw(d, 3) == 0)
		make_safe(d, file);
}

void disk_wander(struct disk *d)
{
	make_room(d);
	for (unsigned tries = 4; d->n && tries; tries--) {
		unsigned i = (unsigned)draw(d, d->n);

		if (d->piece[i].key != GONE && d->piece[i].where < DISK_SERVER)
			arrive(d, i);
	}
}

void disk_lose_host(struct disk *d, unsigned host)
{
	for (unsigned i = 0; i < d->n; i++) {
		struct disk_piece *p = &d->piece[i];

		if (p->key == GONE || p->where != DISK_HOST || p->host != host)
			continue;
		if (draw(d, 2))
			p->where = DISK_FLYING;
		else
			p->key = GONE;
	}
	d->changes++;
}

/* In any order, some of them. */
void disk_fence(struct disk *d, unsigned host)
{
	unsigned n, from;

	make_room(d);
	n = d->n;
	from = n ? (unsigned)draw(d, n) : 0;
	for (unsigned k = 0; k < n; k++) {
		unsigned i = (from + k) % n;

		if (d->piece[i].key == GONE || d->piece[i].where != DISK_FLYING || d->piece[i].host != host)
			continue;
		if (draw(d, 2))
			arrive(d, i);
		else
			d->piece[i].key = GONE;
	}
}

/* Of the pieces of a sector that have arrived since it was synced, the nth survives; 0: none. */
static void survive(struct disk *d, uint64_t key, unsigned nth)
{
	unsigned k = 0;

	for (unsigned i = 0; i < d->n; i++) {
		struct disk_piece *p = &d->piece[i];

		if (p->key != key || p->where < DISK_SERVER)
			continue;
		if (p->where == DISK_SERVER && ++k == nth)
			p->where = DISK_SAFE;
		else if (p->where == DISK_SERVER || nth)
			p->key = GONE;
	}
}

void disk_lose_power(struct disk *d)
{
	for (unsigned i = 0; i < d->n; i++) {
		uint64_t key = d->piece[i].key;
		unsigned n = 0;

		if (key == GONE || d->piece[i].where != DISK_SERVER)
			continue;
		for (unsigned k = 0; k < d->n; k++)
			n += d->piece[k].key == key && d->piece[k].where == DISK_SERVER;
		survive(d, key, (unsigned)draw(d, n + 1));
	}
	d->power++;
	d->changes++;
}

/* -- what is sure --------------------------------------------------------------------------- */

static bool has_safe(const struct disk *d, uint64_t key)
{
	for (unsigned i = 0; i < d->n; i++)
		if (d->piece[i].key == key && d->piece[i].where == DISK_SAFE)
			return true;
	return false;
}

/* Bytes of a file that would end there. */
static bool zeros_behind(uint64_t size, const uint8_t *bytes, size_t len, uint64_t offset)
{
	for (uint64_t at = size > offset ? size - offset : 0; at < len; at++)
		if (bytes[at])
			return false;
	return true;
}

/* Would it end where that is so, and if it were as it began? */
static bool base_has(const struct disk *d, unsigned file, uint64_t base_end, const uint8_t *bytes, size_t len,
		     uint64_t offset)
{
	uint8_t sector[DISK_SECTOR];

	base_sector(d, file, offset / DISK_SECTOR, base_end, sector);
	return !memcmp(sector + offset % DISK_SECTOR, bytes, len);
}

/* If the file ends there. `first`: sectors of which no piece is safe, so that they may be as they began. */
static bool size_has(const struct disk *d, unsigned file, const struct disk_piece *size, uint64_t first,
		     const uint8_t *bytes, size_t len, uint64_t offset)
{
	if (!zeros_behind(size->size, bytes, len, offset))
		return false;
	for (uint64_t at = offset; at < offset + len;) {
		uint64_t n = DISK_SECTOR - at % DISK_SECTOR, nth = at / DISK_SECTOR - offset / DISK_SECTOR;

		n = n < offset + len - at ? n : offset + len - at;
		if (first >> nth & 1 && !base_has(d, file, size->base_end, bytes + (at - offset), n, at))
			return false;
		at += n;
	}
	return true;
}

/* Has a piece the bytes that it is to have of these, if it has any? */
static bool piece_has(const struct disk *d, unsigned i, const uint8_t *bytes, size_t len, uint64_t offset)
{
	uint64_t at = (d->piece[i].key & SIZE) * DISK_SECTOR, from = at > offset ? at : offset;
	uint64_t to = at + DISK_SECTOR < offset + len ? at + DISK_SECTOR : offset + len;

	return from >= to || !memcmp(d->bytes[i] + (from - at), bytes + (from - offset), to - from);
}

bool disk_has(const struct disk *d, unsigned file, const uint8_t *bytes, size_t len, uint64_t offset)
{
	uint64_t sector = offset / DISK_SECTOR, first = UINT64_MAX;
	const struct disk_piece base = { .size = d->base_size[file], .base_end = d->base_size[file] };
	bool sized = false;

	for (unsigned i = 0; i < d->n; i++) {
		const struct disk_piece *p = &d->piece[i];
		uint64_t nth = (p->key & SIZE) - sector;

		if (!is_of(p, file))
			continue;
		sized |= (p->key & SIZE) == SIZE && p->where == DISK_SAFE;
		if ((p->key & SIZE) != SIZE && nth < RANGE_SECTORS && p->where == DISK_SAFE)
			first &= ~(1ull << nth);
		if ((p->key & SIZE) != SIZE && !piece_has(d, i, bytes, len, offset))
			return false;
	}
	for (unsigned i = 0; i < d->n; i++)
		if (d->piece[i].key == key_of(file, SIZE) &&
		    !size_has(d, file, &d->piece[i], first, bytes, len, offset))
			return false;
	return sized || size_has(d, file, &base, first, bytes, len, offset);
}

bool disk_ends(const struct disk *d, unsigned file, uint64_t size)
{
	uint64_t key = key_of(file, SIZE);

	if (!has_safe(d, key) && d->base_size[file] != size)
		return false;
	for (unsigned i = 0; i < d->n; i++)
		if (d->piece[i].key == key && d->piece[i].size != size)
			return false;
	return true;
}
