/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mutate.c - see mutate.h. Where an item may point, and what it may put there.
 * Every choice is taken modulo what there is, so that most inputs hit something.
 */
#include "mutate.h"

#include "fs/lockset.h"
#include "mem/crc32c.h"
#include "mem/layout.h"
#include "mem/super.h"
#include "sync/member.h"

#define OTHER 0x8000u /* in a pick: any object, not one that is in use */

/* -- places ------------------------------------------------------------------- */

static uint64_t pick(const struct fixture *s, enum daxfs_type type, unsigned by)
{
	if (by & OTHER || !s->n_listed[type])
		return (by & ~OTHER) % s->pool.objects[type];
	return s->listed[type][by % s->n_listed[type]];
}

/* A page, by preference one of this use. */
static uint64_t pick_page(const struct fixture *s, enum daxfs_use use, unsigned by)
{
	for (unsigned i = 0; !(by & OTHER) && i < s->n_listed[DAXFS_T_PAGE]; i++) {
		uint64_t page = pick(s, DAXFS_T_PAGE, (by + i) & ~OTHER);

		if (use_of(sm_load(&s->pool.state[DAXFS_T_PAGE][page])) == (unsigned)use)
			return page;
	}
	return pick(s, DAXFS_T_PAGE, by);
}

static uint64_t pick_node(const struct fixture *s, unsigned by)
{
	return pick_page(s, DAXFS_USE_NODE, by);
}

/* A slot of a node: one that is used, or any. */
static sm_u64 *pick_slot(const struct fixture *s, unsigned a, unsigned b)
{
	sm_u64 *slot = map_node(&s->pool, pick_node(s, a))->slot;

	for (unsigned i = 0; !(b & OTHER) && i < DAXFS_NODE_SLOTS; i++)
		if (sm_load(&slot[(b + i) % DAXFS_NODE_SLOTS]))
			return &slot[(b + i) % DAXFS_NODE_SLOTS];
	return &slot[b % DAXFS_NODE_SLOTS];
}

/* The first page of an extent, or some page. */
static uint64_t pick_extent(const struct fixture *s, unsigned by)
{
	uint64_t page = pick_page(s, DAXFS_USE_EXTENT, by);

	return by & OTHER ? page : page - page % DAXFS_EXTENT_PAGES;
}

/* The head of the by-th group that names an extent, or a word of any node. */
static sm_u64 *pick_group(const struct fixture *s, unsigned by)
{
	sm_u64 *slot = map_node(&s->pool, pick_node(s, by))->slot;

	for (unsigned page = 0; page < s->n_listed[DAXFS_T_PAGE]; page++) {
		uint64_t node = pick_node(s, page);

		for (unsigned i = 0; i < DAXFS_NODE_SLOTS; i += DAXFS_EXTENT_PAGES)
			if (link_kind(sm_load(&map_node(&s->pool, node)->slot[i])) == DAXFS_EXTENT && by-- == 0)
				return &map_node(&s->pool, node)->slot[i];
	}
	return slot;
}

static struct sm_lane *pick_lane(const struct fixture *s, unsigned by)
{
	return &s->pool.lanes[by % s->pool.lanes_total];
}

static sm_u64 *words_of(void *p, size_t size, unsigned by)
{
	return (sm_u64 *)p + by % (size / sizeof(sm_u64));
}

static sm_u64 *lane_word(const struct fixture *s, const struct item *item)
{
	struct sm_lane *lane = pick_lane(s, item->a);

	switch (item->kind) {
	case PLACE_STATUS: return &lane->status;
	case PLACE_LANE: return words_of(lane, offsetof(struct sm_lane, words), item->b);
	case PLACE_WORD: return &lane->words[item->b % (3 * DAXFS_RECORD_WORDS)];
	case PLACE_ALLOC: return &lane->allocs[item->b % DAXFS_RECORD_ALLOCS];
	default: return &lane->retires[item->b % (2 * DAXFS_RECORD_RETIRES)];
	}
}

static sm_u64 *object_word(const struct fixture *s, const struct item *item)
{
	const struct pool *p = &s->pool;
	enum daxfs_type type = (enum daxfs_type)(item->b % DAXFS_TYPES);

	switch (item->kind) {
	case PLACE_STATE: return &p->state[type][pick(s, type, item->a)];
	case PLACE_EXTENT:
		return &p->state[DAXFS_T_PAGE]
				[(pick_extent(s, item->a) + item->b % DAXFS_EXTENT_PAGES) % p->objects[DAXFS_T_PAGE]];
	case PLACE_GROUP: return pick_group(s, item->a & 3) + item->b % DAXFS_EXTENT_PAGES;
	case PLACE_BIRTH: return &p->birth[type][pick(s, type, item->a)];
	case PLACE_COUNT: return &p->count[pick_node(s, item->a)];
	case PLACE_INODE:
		return words_of(&p->inodes[pick(s, DAXFS_T_INODE, item->a)], sizeof(struct sm_inode), item->b);
	case PLACE_DIRENT:
		return words_of(&p->dirents[pick(s, DAXFS_T_DIRENT, item->a)], sizeof(struct sm_dirent),
				item->b & OTHER ? item->b : item->b % 4);
	default: return pick_slot(s, item->a, item->b);
	}
}

static sm_u64 *head_word(const struct fixture *s, const struct item *item)
{
	const struct sm_region *region = &s->pool.super.region[item->a % DAXFS_REGIONS];

	if (item->kind == PLACE_SUPER)
		return words_of(s->base, sizeof(struct sm_super), item->b);
	return words_of(s->base + region->offset, sizeof(struct sm_region_hdr), item->b);
}

static sm_u64 *word_of(const struct fixture *s, const struct item *item)
{
	const struct pool *p = &s->pool;

	switch (item->kind) {
	case PLACE_HOST:
		return words_of(&p->member->host[item->a % SCENE_HOSTS], sizeof(struct sm_host),
				item->b & OTHER ? item->b : 0);
	case PLACE_MANAGER: return words_of(&p->member->manager, sizeof(struct sm_manager) / 2, item->b);
	case PLACE_STATUS:
	case PLACE_LANE:
	case PLACE_WORD:
	case PLACE_ALLOC:
	case PLACE_RETIRE: return lane_word(s, item);
	case PLACE_OPEN: return &p->open_table[item->a % (p->super.hosts * p->super.opens_per_host)];
	case PLACE_SUPER:
	case PLACE_HEADER: return head_word(s, item);
	case PLACE_ANY: return words_of(s->base, s->size, (unsigned)item->a << 16 | item->b);
	default: return object_word(s, item);
	}
}

/* -- values ------------------------------------------------------------------- */

uint64_t alter_handle(const struct fixture *s, unsigned by)
{
	uint64_t index = pick(s, DAXFS_T_INODE, by & ~0x4000u);
	uint64_t i_generation = sm_load(&s->pool.inodes[index].i_generation);

	return handle_make(i_generation + (by & 0x4000 ? 1 : 0), index);
}

static uint64_t a_link(const struct fixture *s, uint64_t was, uint64_t v)
{
	unsigned kind = v & 7, by = (unsigned)(v >> 8) & 0xffff;
	uint64_t index = kind == DAXFS_INODE    ? pick(s, DAXFS_T_INODE, by)
			 : kind == DAXFS_DIRENT ? pick(s, DAXFS_T_DIRENT, by)
			 : kind == DAXFS_NODE   ? pick_node(s, by)
			 : kind == DAXFS_LEAF   ? pick_node(s, by)
			 : kind == DAXFS_EXTENT ? pick_extent(s, by)
						: pick(s, DAXFS_T_PAGE, by);

	if (v >> 24 & 1)
		return word_next(was, DAXFS_W_NAME, name_payload((enum daxfs_link_kind)kind, index, v >> 25 & 63));
	return word_next(was, DAXFS_W_LINK, link_payload((enum daxfs_link_kind)kind, index));
}

static uint64_t a_mark(const struct fixture *s, uint64_t v)
{
	unsigned lane = (unsigned)v % s->pool.lanes_total;
	uint64_t seq = status_seq(sm_load(&s->pool.lanes[lane].status));

	return mark_make(lane, (unsigned)(v >> 8) % 96, seq + (v >> 40) % 2);
}

static uint64_t an_address(const struct fixture *s, uint64_t v)
{
	static const uint64_t classes[] = {
		DAXFS_W_LINK,  DAXFS_W_SIZE, DAXFS_W_NLINK, DAXFS_W_OPENERS, DAXFS_W_COUNT,      DAXFS_W_ATTR,
		DAXFS_W_LOCKS, DAXFS_W_TICK, DAXFS_W_NAME,  DAXFS_W_NONE,    DAXFS_WORD_CLASSES, 63,
	};
	struct item at = { .kind = (uint8_t)(v % (PLACE_ANY + 1)), .a = (uint16_t)(v >> 16), .b = (uint16_t)(v >> 32) };

	return classes[(v >> 8) % (sizeof(classes) / sizeof(classes[0]))] << 56 |
	       pool_offset(&s->pool, word_of(s, &at));
}

static uint64_t an_object(const struct fixture *s, uint64_t v)
{
	enum daxfs_type type = (enum daxfs_type)(v % DAXFS_TYPES);

	return object_make(type, pick(s, type, (unsigned)(v >> 8) & 0xffff));
}

static uint64_t a_state(const struct fixture *s, uint64_t v)
{
	unsigned lane = (unsigned)(v >> 16) % s->pool.lanes_total;

	return state_make((enum daxfs_state)(v & 7), (enum daxfs_use)((v >> 8) % 8),
			  v >> 32 & 1 ? txid_make(lane, status_seq(sm_load(&s->pool.lanes[lane].status)))
				      : (v >> 33) % 64);
}

static uint64_t a_host_word(uint64_t v)
{
	struct host_word word = {
		.generation = v >> 32 & 3,
		.state = (enum daxfs_host_state)(v % DAXFS_HOST_STATES),
		.recoverer = v % DAXFS_HOST_STATES == DAXFS_HOST_RECOVERING ? (int)(v >> 8) % 5 : -1,
		.recoverer_generation = v % DAXFS_HOST_STATES == DAXFS_HOST_RECOVERING ? (v >> 16) & 3 : 0,
	};

	return host_word_pack(word);
}

static uint64_t an_edge(uint64_t v)
{
	static const uint64_t edges[] = {
		0,
		1,
		UINT64_MAX,
		UINT64_MAX >> 1,
		DAXFS_MARK,
		UINT32_MAX,
		1ull << 32,
		DAXFS_SEQ_MASK,
		DAXFS_FILE_MAX,
		DAXFS_SIZE_MASK,
		DAXFS_SIZE_PRUNE,
		DAXFS_COUNT_FROZEN,
		DAXFS_RECORD_WORDS,
		DAXFS_RECORD_WORDS + 1,
		DAXFS_RECORD_ALLOCS,
		0x1ffff,
		1ull << 61,
		3ull << 61,
	};

	return edges[v % (sizeof(edges) / sizeof(edges[0]))];
}

static uint64_t value_of(const struct fixture *s, const struct item *item, uint64_t was)
{
	struct item other = *item;

	switch (item->how % VALUES) {
	case VALUE_FLIP: return was ^ 1ull << (item->v & 63);
	case VALUE_MIX: return was ^ item->v;
	case VALUE_ADD: return was + (uint64_t)(int64_t)(int8_t)item->v;
	case VALUE_LINK: return a_link(s, was, item->v);
	case VALUE_MARK: return a_mark(s, item->v);
	case VALUE_ADDRESS: return an_address(s, item->v);
	case VALUE_OBJECT: return an_object(s, item->v);
	case VALUE_HANDLE: return alter_handle(s, item->v & 0xffff);
	case VALUE_STATE: return a_state(s, item->v);
	case VALUE_STATUS: return (was & ~255ull) | item->v % 6;
	case VALUE_HOST: return a_host_word(item->v);
	case VALUE_COPY:
		other.a = (uint16_t)item->v;
		other.b = (uint16_t)(item->v >> 16);
		return sm_load(word_of(s, &other));
	case VALUE_EDGE: return an_edge(item->v);
	default: return item->v;
	}
}

/* -- changes ------------------------------------------------------------------ */

static struct sm_super *super_at(const struct fixture *s, unsigned copy)
{
	return (struct sm_super *)(void *)(s->base + copy * DAXFS_PAGE_SIZE);
}

/* Checksums as they should be, of the bytes there are. */
static void seal_super(const struct fixture *s, unsigned copy)
{
	struct sm_super *super = super_at(s, copy);

	if (super->magic == DAXFS_MAGIC && super->version == DAXFS_VERSION)
		super_seal(super);
}

static void seal_headers(const struct fixture *s, const struct sm_super *super)
{
	for (unsigned id = 0; id < DAXFS_REGIONS; id++) {
		struct sm_region_hdr hdr;

		region_hdr_make(super, id, &hdr);
		memcpy(s->base + super->region[id].offset, &hdr, sizeof(hdr));
	}
}

/* A pool of fewer hosts, lanes, open files or objects, each where it was. */
static void reshape(const struct fixture *s, const struct item *item)
{
	struct sm_super super = s->pool.super;
	uint64_t objects[DAXFS_TYPES];

	super.hosts = 1 + item->a % super.hosts;
	super.lanes_per_host = 1 + (item->a >> 8) % super.lanes_per_host;
	super.opens_per_host = 1 + item->b % super.opens_per_host;
	for (unsigned type = 0; type < DAXFS_TYPES; type++)
		objects[type] = 1 + (item->v >> (16 * type) & 0xffff) % s->pool.objects[type];
	for (unsigned id = 0; id < DAXFS_REGIONS; id++)
		super.region[id].count = region_elements(id, super.hosts, super.lanes_per_host, super.opens_per_host,
							 objects);
	if (item->v >> 48 & 1)
		super.size = region_end(&super.region[DAXFS_REGIONS - 1]) + (item->v >> 49 & 7);
	super_seal(&super);
	*super_at(s, 0) = super;
	*super_at(s, 1) = super;
	seal_headers(s, &super);
}

static void change_super(const struct fixture *s, const struct item *item)
{
	sm_u64 *word = word_of(s, item);
	bool both = item->a & 1, right = item->a & 6;

	sm_store(word, value_of(s, item, sm_load(word)));
	if (right)
		seal_super(s, 0);
	if (both)
		*super_at(s, 1) = *super_at(s, 0);
}

static void change_header(const struct fixture *s, const struct item *item)
{
	const struct sm_region *region = &s->pool.super.region[item->a % DAXFS_REGIONS];
	struct sm_region_hdr *hdr = (struct sm_region_hdr *)(void *)(s->base + region->offset);
	sm_u64 *word = word_of(s, item);

	sm_store(word, value_of(s, item, sm_load(word)));
	if (item->a & OTHER)
		return;
	hdr->crc = 0;
	hdr->crc = crc32c(0, hdr, sizeof(*hdr));
}

/* v, 16 bits each: link as by a_link, first slot, how many. */
static void change_nodes(const struct fixture *s, const struct item *item)
{
	sm_u64 *slot = map_node(&s->pool, pick_node(s, item->a))->slot;
	unsigned first = item->b % DAXFS_NODE_SLOTS, n = (unsigned)(item->v >> 32) % (DAXFS_NODE_SLOTS + 1);

	for (unsigned i = first; i < DAXFS_NODE_SLOTS && i - first < n; i++)
		sm_store(&slot[i], a_link(s, sm_load(&slot[i]), item->v));
}

/* So many locks, alike, from place b on; or another word of the page. */
static void change_locks(const struct fixture *s, const struct item *item)
{
	struct sm_locks *page = (struct sm_locks *)(void *)pool_page(&s->pool, pick_page(s, DAXFS_USE_LOCKS, item->a));
	unsigned first = item->b % DAXFS_LOCKS_MAX, n = 1 + (unsigned)(item->v >> 40) % DAXFS_LOCKS_MAX;
	sm_u64 *word = words_of(page, sizeof(*page), item->b);

	if (item->b & OTHER)
		sm_store(word, value_of(s, item, sm_load(word)));
	for (unsigned i = first; !(item->b & OTHER) && i < DAXFS_LOCKS_MAX && i - first < n; i++) {
		page->lock[i] = (struct sm_lock){
			.start = item->v & 0xff,
			.end = item->v >> 8 & 0xffff,
			.owner = item->v >> 24 & 3,
			.host = item->v >> 26 & 3,
			.type = item->v >> 28 & 3,
			.kind = item->v >> 30 & 1,
		};
		page->count = i + 1;
		sm_store(&page->live[i / 32], sm_load(&page->live[i / 32]) | 1ull << i % 32);
	}
	if (page->count <= DAXFS_LOCKS_MAX)
		page->crc = locks_page_crc(page);
}

void alter(struct fixture *s, const struct item *item)
{
	sm_u64 *word;

	switch (item->kind) {
	case PLACE_GEOMETRY: reshape(s, item); return;
	case PLACE_SUPER: change_super(s, item); return;
	case PLACE_HEADER: change_header(s, item); return;
	case PLACE_NODES: change_nodes(s, item); return;
	case PLACE_LOCKS: change_locks(s, item); return;
	default:
		word = word_of(s, item);
		sm_store(word, value_of(s, item, sm_load(word)));
		return;
	}
}
