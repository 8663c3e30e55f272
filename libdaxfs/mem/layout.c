/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout.c - the region table: computed from a size and options, and placed.
 *
 * Regions follow one another in the order of enum daxfs_region_id, each a header
 * page and an array rounded up to whole pages. All but the page region have a
 * size that options fix; pages take the rest, so a directory index or a file
 * index, which live in pages, cannot fill before the pages do. Pure arithmetic
 * on private memory: nothing here can leave anything behind.
 */
#include "mem/layout.h"

#include <errno.h>

#define INODE_BYTES_DEFAULT (32u * 1024u) /* of pool for each inode */
#define SLOTS_PART 128u                   /* of the pool that many slots may take, ... */
#define SLOTS_MIN 9u                      /* ... but for so many */

static const struct {
	const char *name;
	uint64_t elem_size;
} regions[DAXFS_REGIONS] = {
	[DAXFS_R_MEMBER] = { "member", sizeof(struct sm_member) },
	[DAXFS_R_LANES] = { "lanes", sizeof(struct sm_lane) },
	[DAXFS_R_OPEN_TABLE] = { "opens", sizeof(sm_u64) },
	[DAXFS_R_STATE0] = { "page states", sizeof(sm_u64) },
	[DAXFS_R_STATE1] = { "inode states", sizeof(sm_u64) },
	[DAXFS_R_STATE2] = { "dirent states", sizeof(sm_u64) },
	[DAXFS_R_BIRTH0] = { "page births", sizeof(sm_u64) },
	[DAXFS_R_BIRTH1] = { "inode births", sizeof(sm_u64) },
	[DAXFS_R_BIRTH2] = { "dirent births", sizeof(sm_u64) },
	[DAXFS_R_COUNT] = { "node counts", sizeof(sm_u64) },
	[DAXFS_R_INODES] = { "inodes", sizeof(struct sm_inode) },
	[DAXFS_R_DIRENTS] = { "dirents", sizeof(struct sm_dirent) },
	[DAXFS_R_TROUBLE] = { "trouble", sizeof(struct sm_trouble) },
	[DAXFS_R_LEASES] = { "leases", sizeof(struct sm_holder) },
	[DAXFS_R_PAGES] = { "pages", DAXFS_PAGE_SIZE },
	[DAXFS_R_SUMMARY] = { "summary", sizeof(sm_u64) },
	[DAXFS_R_EVENTS] = { "events", sizeof(struct sm_event) },
	[DAXFS_R_HEAT] = { "heat", sizeof(sm_u8) },
	[DAXFS_R_ASKS] = { "asks", sizeof(struct sm_asks) },
};

const char *region_name(unsigned id)
{
	return id < DAXFS_REGIONS ? regions[id].name : "?";
}

uint64_t region_elem_size(unsigned id)
{
	return regions[id].elem_size;
}

/* Words over so many states, level by level; how many levels. */
static unsigned group_counts(uint64_t states, uint64_t count[SUMMARY_LEVELS_MAX])
{
	unsigned levels = 0;

	do
		count[levels++] = states = (states + DAXFS_GROUP - 1) / DAXFS_GROUP;
	while (states > 1 && levels < SUMMARY_LEVELS_MAX);
	return levels;
}

static uint64_t summary_words(const uint64_t objects[DAXFS_TYPES])
{
	uint64_t words = 1, count[SUMMARY_LEVELS_MAX];

	for (unsigned type = 0; type < DAXFS_TYPES; type++)
		for (unsigned levels = group_counts(objects[type], count); levels; levels--)
			words += count[levels - 1];
	return words;
}

static uint64_t event_places(uint64_t pages)
{
	uint64_t n = pages / DAXFS_EVENTS_PAGES;

	return n < DAXFS_EVENTS_MIN ? DAXFS_EVENTS_MIN : n > DAXFS_EVENTS_MAX ? DAXFS_EVENTS_MAX : n;
}

uint64_t region_elements(unsigned id, unsigned hosts, unsigned lanes_per_host, unsigned opens_per_host,
			 const uint64_t objects[DAXFS_TYPES])
{
	switch (id) {
	case DAXFS_R_MEMBER:
	case DAXFS_R_TROUBLE: return 1;
	case DAXFS_R_LEASES:
	case DAXFS_R_ASKS: return hosts;
	case DAXFS_R_LANES: return (uint64_t)hosts * lanes_per_host;
	case DAXFS_R_OPEN_TABLE: return (uint64_t)hosts * opens_per_host;
	case DAXFS_R_STATE1:
	case DAXFS_R_BIRTH1:
	case DAXFS_R_INODES: return objects[DAXFS_T_INODE];
	case DAXFS_R_STATE2:
	case DAXFS_R_BIRTH2:
	case DAXFS_R_DIRENTS: return objects[DAXFS_T_DIRENT];
	case DAXFS_R_SUMMARY: return summary_words(objects);
	case DAXFS_R_EVENTS: return event_places(objects[DAXFS_T_PAGE]);
	default: return objects[DAXFS_T_PAGE];
	}
}

static uint64_t page_up(uint64_t bytes)
{
	return (bytes + DAXFS_PAGE_SIZE - 1) / DAXFS_PAGE_SIZE * DAXFS_PAGE_SIZE;
}

uint64_t region_end(const struct sm_region *entry)
{
	return entry->offset + DAXFS_PAGE_SIZE + entry->elem_size * entry->count;
}

/* Fill the region table for the objects wanted; the size they need. */
static uint64_t lay(struct layout *l)
{
	uint64_t at = 2 * DAXFS_PAGE_SIZE;

	for (unsigned id = 0; id < DAXFS_REGIONS; id++) {
		l->region[id].offset = at;
		l->region[id].elem_size = region_elem_size(id);
		l->region[id].count = region_elements(id, l->hosts, l->lanes_per_host, l->opens_per_host, l->objects);
		at = page_up(region_end(&l->region[id]));
	}
	return at;
}

static uint64_t need(struct layout *l, uint64_t inodes, uint64_t pages)
{
	l->objects[DAXFS_T_INODE] = inodes;
	l->objects[DAXFS_T_DIRENT] = inodes + inodes / 4 + 64;
	l->objects[DAXFS_T_PAGE] = pages;
	return lay(l);
}

static unsigned or_default(unsigned value, unsigned otherwise)
{
	return value ? value : otherwise;
}

/* A limit in bytes as pages: whole ones of a minimum, at most those of a maximum. */
static uint32_t limit_pages(uint64_t bytes, bool up)
{
	uint64_t pages = bytes / DAXFS_PAGE_SIZE + (up && bytes % DAXFS_PAGE_SIZE);

	return pages < UINT32_MAX ? (uint32_t)pages : UINT32_MAX;
}

static int take_cache_options(struct layout *l, const struct daxfs_mkfs_options *o, struct daxfs_error *err)
{
	l->cache_policy = o->cache_policy == DAXFS_CACHE_CLOCK ? DAXFS_POLICY_CLOCK : DAXFS_POLICY_HEAT;
	l->cache_min = limit_pages(o->cache_min, true);
	l->cache_max = limit_pages(o->cache_max, false);
	if (o->cache_max && l->cache_max < LAYOUT_CACHE_MAX_MIN)
		return daxfs_error_set(err, -EINVAL, "a cache of at most %llu bytes: give 0 (no limit), or %u and more",
				       (unsigned long long)o->cache_max, LAYOUT_CACHE_MAX_MIN * DAXFS_PAGE_SIZE);
	if (o->cache_max && o->cache_min > o->cache_max)
		return daxfs_error_set(err, -EINVAL, "a cache of at least %llu and at most %llu bytes: turn them round",
				       (unsigned long long)o->cache_min, (unsigned long long)o->cache_max);
	return 0;
}

/*
 * Lanes and tables of all slots lie before the pages, each at a place that follows from their number, so hosts can
 * come later only if their slots are there. Of one that nobody uses they cost memory alone (sync/slots.h).
 */
static unsigned many_slots(const struct layout *l)
{
	uint64_t slot = l->lanes_per_host * sizeof(struct sm_lane) + l->opens_per_host * sizeof(sm_u64) +
			sizeof(struct sm_holder) + sizeof(struct sm_asks);
	uint64_t n = l->size / SLOTS_PART / slot, most = DAXFS_LANES_MAX / l->lanes_per_host;

	if (most > DAXFS_HOSTS_MAX)
		most = DAXFS_HOSTS_MAX;
	if (n > most)
		n = most;
	return n < SLOTS_MIN ? SLOTS_MIN : (unsigned)n;
}

static int take_options(struct layout *l, const struct daxfs_mkfs_options *o, struct daxfs_error *err)
{
	l->lanes_per_host = or_default(o->lanes, 8);
	l->heartbeat_ms = or_default(o->heartbeat_ms, DAXFS_HEARTBEAT_MS_DEFAULT);
	l->opens_per_host = or_default(o->opens, 4096);
	l->hosts = o->hosts == DAXFS_HOSTS_MANY ? many_slots(l) : or_default(o->hosts, 8);
	l->lease_ms = o->lease_ms;
	if (l->hosts > DAXFS_HOSTS_MAX)
		return daxfs_error_set(err, -EINVAL, "%u hosts: a pool has at most %u", l->hosts, DAXFS_HOSTS_MAX);
	if ((uint64_t)l->hosts * l->lanes_per_host > DAXFS_LANES_MAX)
		return daxfs_error_set(err, -EINVAL,
				       "%u hosts x %u lanes: a pool has at most %u lanes; use fewer of either",
				       l->hosts, l->lanes_per_host, DAXFS_LANES_MAX);
	if (l->opens_per_host > LAYOUT_OPENS_MAX)
		return daxfs_error_set(err, -EINVAL, "%u open files per host: at most %u", l->opens_per_host,
				       LAYOUT_OPENS_MAX);
	if (l->heartbeat_ms < DAXFS_HEARTBEAT_MS_MIN || l->heartbeat_ms > DAXFS_HEARTBEAT_MS_MAX)
		return daxfs_error_set(err, -EINVAL, "heartbeat of %u ms: give %u to %u", l->heartbeat_ms,
				       DAXFS_HEARTBEAT_MS_MIN, DAXFS_HEARTBEAT_MS_MAX);
	if (l->lease_ms > LAYOUT_LEASE_MS_MAX || (l->lease_ms && l->lease_ms < DAXFS_LEASE_BEATS * l->heartbeat_ms))
		return daxfs_error_set(err, -EINVAL, "leases of %u ms: give 0 (none), or %u (%u heartbeats) to %u",
				       l->lease_ms, DAXFS_LEASE_BEATS * l->heartbeat_ms, DAXFS_LEASE_BEATS,
				       LAYOUT_LEASE_MS_MAX);
	if (o->inodes && (o->inodes < LAYOUT_INODES_MIN || o->inodes > DAXFS_OBJECTS_MAX / 2))
		return daxfs_error_set(err, -EINVAL, "%llu inodes: give %u to %llu, or 0 for one per 32 KiB",
				       (unsigned long long)o->inodes, LAYOUT_INODES_MIN, DAXFS_OBJECTS_MAX / 2);
	return take_cache_options(l, o, err);
}

/* As many as asked for; by default one per 32 KiB, but fewer where that leaves no room for pages. */
static uint64_t pick_inodes(struct layout *l, uint64_t wanted)
{
	uint64_t inodes = wanted ? wanted : l->size / INODE_BYTES_DEFAULT;

	if (inodes > DAXFS_OBJECTS_MAX / 2)
		inodes = DAXFS_OBJECTS_MAX / 2;
	while (!wanted && inodes > LAYOUT_INODES_MIN && need(l, inodes, LAYOUT_PAGES_MIN) > l->size)
		inodes /= 2;
	return inodes < LAYOUT_INODES_MIN ? LAYOUT_INODES_MIN : inodes;
}

/* The size at which such a pool has all the pages there can be. */
static uint64_t most_bytes(struct layout l, uint64_t wanted_inodes)
{
	uint64_t before;

	do { /* a smaller pool has fewer inodes by default */
		before = l.size;
		l.size = need(&l, pick_inodes(&l, wanted_inodes), DAXFS_OBJECTS_MAX);
	} while (l.size != before);
	return l.size;
}

/* The most pages that fit; `fixed` is what the pool needs with none. False: more than have numbers. */
static bool fill_with_pages(struct layout *l, uint64_t inodes, uint64_t fixed)
{
	uint64_t each = DAXFS_PAGE_SIZE + 3 * sizeof(sm_u64) + sizeof(sm_u8); /* page, state, birth, count, heat */
	uint64_t pages = (l->size - fixed) / (each * DAXFS_GROUP + sizeof(sm_u64)) * DAXFS_GROUP + DAXFS_GROUP;

	if (pages > DAXFS_OBJECTS_MAX)
		pages = DAXFS_OBJECTS_MAX + 1;
	/* Too many by up to a group, and by what rounding five tables up to pages costs. */
	while (need(l, inodes, pages) > l->size)
		pages--;
	return pages <= DAXFS_OBJECTS_MAX;
}

int layout_compute(uint64_t size, const struct daxfs_mkfs_options *options, struct layout *out, struct daxfs_error *err)
{
	struct layout l = { .size = size / DAXFS_PAGE_SIZE * DAXFS_PAGE_SIZE };
	uint64_t inodes, least;
	int rc = take_options(&l, options, err);

	if (rc)
		return rc;
	least = need(&l, options->inodes ? options->inodes : LAYOUT_INODES_MIN, LAYOUT_PAGES_MIN);
	if (l.size < least)
		return daxfs_error_set(
			err, -EINVAL, "%llu bytes are too small: this pool needs at least %llu (%llu KiB)",
			(unsigned long long)size, (unsigned long long)least, (unsigned long long)least / 1024);
	inodes = pick_inodes(&l, options->inodes);
	if (!fill_with_pages(&l, inodes, need(&l, inodes, 0)))
		return daxfs_error_set(
			err, -EFBIG,
			"%llu bytes are too large: such a pool has at most %llu (16 TiB of pages); give that "
			"as its size, or make several pools",
			(unsigned long long)l.size, (unsigned long long)most_bytes(l, options->inodes));
	*out = l;
	return 0;
}

static void *array_at(const struct pool *pool, unsigned id)
{
	return pool->shm.base + pool->super.region[id].offset + DAXFS_PAGE_SIZE;
}

static void place_summary(struct pool *pool)
{
	sm_u64 *at = array_at(pool, DAXFS_R_SUMMARY);

	for (unsigned type = 0; type < DAXFS_TYPES; type++) {
		struct pool_summary *s = &pool->summary[type];

		s->levels = group_counts(pool->objects[type], s->count);
		for (unsigned level = 0; level < s->levels; level++) {
			s->word[level] = at;
			at += s->count[level];
		}
	}
	pool->scarce = at;
}

void layout_place_events(struct pool *pool, struct shm shm, uint64_t offset)
{
	uint8_t *at = shm.base + offset;

	pool->events = (struct pool_events){
		.shm = shm,
		.last = (sm_u64 *)(at + DAXFS_EVENTS_OFFSET),
		.at = (struct sm_event *)(at + DAXFS_PAGE_SIZE),
		.count = pool->super.region[DAXFS_R_EVENTS].count,
	};
}

static void place_heat(struct pool *pool, uint64_t offset)
{
	uint8_t *at = pool->shm.base + offset;

	pool->heat.clock = (sm_u64 *)(at + DAXFS_CLOCK_OFFSET);
	pool->heat.host = (struct sm_cache_host *)(at + DAXFS_CACHED_OFFSET);
	pool->heat.at = (sm_u8 *)(at + DAXFS_PAGE_SIZE);
}

void layout_place(struct pool *pool)
{
	const struct sm_super *s = &pool->super;

	pool->lanes_total = s->hosts * s->lanes_per_host;
	pool->member = array_at(pool, DAXFS_R_MEMBER);
	pool->lanes = array_at(pool, DAXFS_R_LANES);
	pool->open_table = array_at(pool, DAXFS_R_OPEN_TABLE);
	for (unsigned t = 0; t < DAXFS_TYPES; t++) {
		pool->state[t] = array_at(pool, DAXFS_R_STATE0 + t);
		pool->birth[t] = array_at(pool, DAXFS_R_BIRTH0 + t);
		pool->objects[t] = s->region[DAXFS_R_STATE0 + t].count;
	}
	pool->count = array_at(pool, DAXFS_R_COUNT);
	pool->inodes = array_at(pool, DAXFS_R_INODES);
	pool->dirents = array_at(pool, DAXFS_R_DIRENTS);
	pool->trouble = array_at(pool, DAXFS_R_TROUBLE);
	pool->pages = array_at(pool, DAXFS_R_PAGES);
	place_summary(pool);
	pool->holders = array_at(pool, DAXFS_R_LEASES);
	if (super_has_region(s, DAXFS_R_EVENTS))
		layout_place_events(pool, pool->shm, s->region[DAXFS_R_EVENTS].offset);
	if (super_has_region(s, DAXFS_R_HEAT))
		place_heat(pool, s->region[DAXFS_R_HEAT].offset);
	if (super_has_region(s, DAXFS_R_ASKS)) {
		pool->asks.bell = (sm_u64 *)(pool->shm.base + s->region[DAXFS_R_ASKS].offset + DAXFS_BELL_OFFSET);
		pool->asks.host = array_at(pool, DAXFS_R_ASKS);
	}
}
