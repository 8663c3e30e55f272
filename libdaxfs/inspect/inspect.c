/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect.c - what check, dump and repair share, and public calls that look at one thing.
 *
 * All but the scratch word of daxfs_selftest is read only. Every number that
 * comes out of the pool is compared with the pool's limits before it leads
 * anywhere; loops are bounded by private copies of those limits.
 */
#include "inspect/inspect.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "fs/fs.h"
#include "fs/lockset.h"
#include "fs/xattrset.h"
#include "mem/guard.h"

/* -- words ------------------------------------------------------------------ */

const sm_u64 *inspect_mark(const struct pool *pool, const sm_u64 *word, uint64_t mark, uint64_t *status)
{
	const struct sm_lane *lane;
	const sm_u64 *entry;

	if (mark_lane(mark) >= pool->lanes_total || mark_widx(mark) >= DAXFS_RECORD_WORDS)
		return NULL;
	lane = &pool->lanes[mark_lane(mark)];
	if (pool_lost(pool, lane, sizeof(*lane)))
		return NULL;
	*status = sm_load(&lane->status);
	if (status_seq(*status) != mark_seq(mark) || !inspect_has_record(*status) ||
	    status_state(*status) == DAXFS_SINGLE || (mark_helped(mark) && !status_helped(*status)))
		return NULL;
	entry = &lane->words[3 * mark_widx(mark)];
	if (address_offset(sm_load_relaxed(entry)) != pool_offset(pool, word))
		return NULL;
	return mark_widx(mark) < sm_load_relaxed(&lane->n_words) ? entry : NULL;
}

bool inspect_claim(const struct pool *pool, const sm_u64 *word, uint64_t w, uint64_t *before)
{
	const struct sm_claim *claim;

	if (!word_is_claim(w) || mark_lane(w) >= pool->lanes_total)
		return false;
	claim = &pool->lanes[mark_lane(w)].claim;
	if (pool_lost(pool, claim, sizeof(*claim)))
		return false;
	*before = sm_load_relaxed(&claim->before);
	return sm_load(&claim->number) == mark_seq(w) && sm_load_relaxed(&claim->where) == pool_offset(pool, word) &&
	       !word_is_mark(*before) && word_is_mark(sm_load_relaxed(&claim->mark));
}

uint64_t inspect_word(const struct pool *pool, const sm_u64 *word, enum daxfs_word_class class)
{
	uint64_t w, status;
	const sm_u64 *entry;

	if (pool_lost(pool, word, sizeof(*word)))
		return 0;
	w = sm_load(word);
	if (!word_is_mark(w))
		return word_payload(w, class);
	if (word_is_claim(w))
		return inspect_claim(pool, word, w, &status) ? word_payload(status, class) : 0;
	entry = inspect_mark(pool, word, w, &status);
	if (!entry)
		return 0;
	if (status_state(status) == DAXFS_COMMITTED && mark_helped(w) == status_helped(status))
		entry++; /* what was decided */
	return word_payload(sm_load_relaxed(entry + 1), class);
}

/* -- locks ------------------------------------------------------------------ */

const char *inspect_locks(const struct pool *pool, uint64_t i, uint64_t w, struct lockset *out)
{
	const size_t from = offsetof(struct sm_locks, inode);
	const struct sm_locks *page;
	struct sm_locks copy;
	uint64_t bits = 0;

	out->n = 0;
	if (link_kind(w) != DAXFS_LOCKS || link_index(w) >= pool->objects[DAXFS_T_PAGE])
		return "no page of locks";
	if (pool_lost_page(pool, link_index(w)))
		return NULL; /* nothing can be said of it */
	page = (const struct sm_locks *)(const void *)pool_page(pool, link_index(w));
	sm_read(&copy.inode, &page->inode, sizeof(copy) - from);
	if (!locks_page_sane(&copy, handle_make(sm_load(&pool->inodes[i].i_generation), i)))
		return "the page makes no sense";
	for (unsigned k = 0; k < 32 * DAXFS_LOCK_WORDS; k++) {
		if (k % 32 == 0)
			bits = inspect_word(pool, &page->live[k / 32], DAXFS_W_LOCKS);
		if (!(bits >> k % 32 & 1))
			continue;
		if (k >= copy.count)
			return "a bit for a lock that is not there";
		out->lock[out->n++] = copy.lock[k];
	}
	return out->n ? NULL : "a page without a lock in force";
}

/* -- extended attributes ---------------------------------------------------- */

static bool twice(const struct sm_xattrs *set)
{
	struct xattr a, b;
	uint32_t at = 0, next;

	while (xattrset_next(set, &at, &a))
		for (next = at; xattrset_next(set, &next, &b);)
			if (a.name_len == b.name_len && memcmp(a.name, b.name, a.name_len) == 0)
				return true;
	return false;
}

const char *inspect_xattrs(const struct pool *pool, uint64_t i, uint64_t w, struct sm_xattrs *out)
{
	out->used = 0;
	if (link_kind(w) != DAXFS_XATTR || link_index(w) >= pool->objects[DAXFS_T_PAGE])
		return "no page of attributes";
	if (pool_lost_page(pool, link_index(w)))
		return NULL; /* nothing can be said of it */
	sm_read(out, pool_page(pool, link_index(w)), sizeof(*out));
	if (!xattrset_sane(out, handle_make(sm_load(&pool->inodes[i].i_generation), i))) {
		out->used = 0;
		return "the page makes no sense";
	}
	return twice(out) ? "a name comes twice" : NULL;
}

/* -- texts ------------------------------------------------------------------ */

const char *inspect_status_name(unsigned status)
{
	static const char *const name[DAXFS_STATUSES] = {
		"IDLE", "PREPARE", "UNDECIDED", "COMMITTED", "ABORTED", "SINGLE",
	};

	return status < DAXFS_STATUSES ? name[status] : "DAMAGED";
}

static const char *inode_field(uint64_t offset, int *slot)
{
	static const char *const plain[] = {
		"size", "trunc", "nlink", NULL, NULL, "mode", "uid", "gid", "parent", "dir_root",
	};
	uint64_t k = offset / 8;

	*slot = -1;
	if (offset == offsetof(struct sm_inode, locks))
		return "locks";
	if (offset == offsetof(struct sm_inode, xattrs))
		return "xattrs";
	if (offset >= offsetof(struct sm_inode, atime))
		return "time";
	if (offset >= offsetof(struct sm_inode, indirect))
		*slot = (int)(k - offsetof(struct sm_inode, indirect) / 8);
	else if (offset >= offsetof(struct sm_inode, direct))
		*slot = (int)(k - offsetof(struct sm_inode, direct) / 8);
	else if (!plain[k])
		*slot = (int)(k - offsetof(struct sm_inode, openers) / 8);
	if (offset >= offsetof(struct sm_inode, direct))
		return offset >= offsetof(struct sm_inode, indirect) ? "indirect" : "direct";
	return plain[k] ? plain[k] : "openers";
}

/* Is offset in the array of `count` elements of `size` bytes at base? */
static bool within(const struct pool *pool, const void *base, uint64_t count, uint64_t size, uint64_t *offset)
{
	uint64_t start = pool_offset(pool, base);

	if (*offset < start || *offset - start >= count * size)
		return false;
	*offset -= start;
	return true;
}

void inspect_place_text(const struct pool *pool, uint64_t offset, char *buf, size_t size)
{
	uint64_t at = offset;
	const char *field;
	int slot;

	if (within(pool, pool->inodes, pool->objects[DAXFS_T_INODE], sizeof(struct sm_inode), &at)) {
		field = inode_field(at % sizeof(struct sm_inode), &slot);
		if (slot < 0)
			snprintf(buf, size, "inode %" PRIu64 " %s", at / sizeof(struct sm_inode), field);
		else
			snprintf(buf, size, "inode %" PRIu64 " %s[%d]", at / sizeof(struct sm_inode), field, slot);
	} else if (within(pool, pool->pages, pool->objects[DAXFS_T_PAGE], DAXFS_PAGE_SIZE, &at)) {
		snprintf(buf, size, "page %" PRIu64 " slot[%" PRIu64 "]", at / DAXFS_PAGE_SIZE,
			 at % DAXFS_PAGE_SIZE / 8);
	} else if (within(pool, pool->count, pool->objects[DAXFS_T_PAGE], sizeof(sm_u64), &at)) {
		snprintf(buf, size, "page %" PRIu64 " count", at / 8);
	} else if (within(pool, &pool->member->manager.tree, 1, sizeof(sm_u64), &at)) {
		snprintf(buf, size, "manager tree");
	} else {
		snprintf(buf, size, "offset %#" PRIx64, offset);
	}
}

static void link_text(uint64_t payload, char *buf, size_t size)
{
	static const char *const name[] = { "nothing",   "data page", "node page", "dirent",         "inode",
					    "lock page", "extent",    "leaf page", "attribute page", "clean page" };
	static const char *const stored[] = { "all", "some old", "being written", "some cut off" };

	if (link_kind(payload) == DAXFS_ABSENT)
		snprintf(buf, size, "nothing");
	else if (link_kind(payload) == DAXFS_FILLING)
		snprintf(buf, size, "filling by host %u of generation %u, process %u", filling_host(payload),
			 filling_generation(payload), filling_succession(payload));
	else if (link_kind(payload) == DAXFS_VOID)
		snprintf(buf, size, "zeros of storage");
	else if (link_kind(payload) == DAXFS_STORED)
		snprintf(buf, size, "storage has %" PRIu64 " pages, %s", stored_pages(payload),
			 stored[stored_state(payload)]);
	else if (link_kind(payload) > DAXFS_CLEAN)
		snprintf(buf, size, "kind %u index %" PRIu64, link_kind(payload), link_index(payload));
	else
		snprintf(buf, size, "%s %" PRIu64, name[link_kind(payload)], link_index(payload));
}

void inspect_value_text(uint64_t payload, enum daxfs_word_class class, char *buf, size_t size)
{
	static const char *const life[] = { "NONE", "ALIVE", "ORPHAN", "DEAD" };
	uint64_t count = payload & (DAXFS_COUNT_FROZEN - 1);

	switch (class) {
	case DAXFS_W_LINK:
	case DAXFS_W_NAME: link_text(payload, buf, size); break;
	case DAXFS_W_SIZE:
		snprintf(buf, size, "%" PRIu64 " bytes%s", size_bytes(payload), size_prune(payload) ? " PRUNE" : "");
		break;
	case DAXFS_W_NLINK: snprintf(buf, size, "%s %u", life[nlink_life(payload)], nlink_count(payload)); break;
	case DAXFS_W_COUNT:
		snprintf(buf, size, "%" PRIu64 "%s", count, payload & DAXFS_COUNT_FROZEN ? " FROZEN" : "");
		break;
	case DAXFS_W_TICK: snprintf(buf, size, "a tick"); break;
	default: /* ATTR, OPENERS and LOCKS */ snprintf(buf, size, "%#" PRIx64, payload); break;
	}
}

bool inspect_object_text(const struct pool *pool, uint64_t object, char *buf, size_t size)
{
	static const char *const name[DAXFS_TYPES] = { "page", "inode", "dirent" };
	unsigned type = object_type(object);

	if (type >= DAXFS_TYPES || object_index(object) >= pool->objects[type]) {
		snprintf(buf, size, "object %#" PRIx64, object);
		return false;
	}
	snprintf(buf, size, "%s %" PRIu64, name[type], object_index(object));
	return true;
}

bool inspect_is_private_to(const struct pool *pool, uint64_t object, unsigned lane, uint64_t seq)
{
	unsigned type = object_type(object);
	uint64_t s;

	if (type >= DAXFS_TYPES || object_index(object) >= pool->objects[type])
		return false;
	if (pool_lost(pool, &pool->state[type][object_index(object)], sizeof(sm_u64)))
		return false;
	s = sm_load(&pool->state[type][object_index(object)]);
	return state_of(s) == DAXFS_PRIVATE && txid_of(s) == txid_make(lane, seq);
}

void inspect_line(daxfs_report report, void *context, const char *format, ...)
{
	char line[1536]; /* a name of 255 bytes, each escaped, and what goes with it */
	va_list ap;

	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	report(context, line);
}

/* -- public calls ------------------------------------------------------------- */

struct inflight_call {
	const struct pool *pool;
	unsigned host;
	struct daxfs_inflight *out;
};

static unsigned private_objects(const struct pool *pool, unsigned id, uint64_t status)
{
	const struct sm_lane *lane = &pool->lanes[id];
	uint64_t n = sm_load(&lane->n_allocs);
	unsigned owned = 0;

	for (unsigned i = 0; i < n && i < DAXFS_RECORD_ALLOCS; i++)
		owned += inspect_is_private_to(pool, sm_load_relaxed(&lane->allocs[i]), id, status_seq(status));
	return owned;
}

static int count_inflight(void *arg)
{
	const struct inflight_call *call = arg;
	const struct pool *pool = call->pool;
	unsigned lanes = pool->super.lanes_per_host, opens = pool->super.opens_per_host, host = call->host;
	struct daxfs_inflight sum = { 0 };

	for (unsigned id = host * lanes; id < (host + 1) * lanes; id++) {
		uint64_t status;
		bool record;

		if (lane_lost(pool, id))
			continue;
		status = sm_load(&pool->lanes[id].status);
		record = status_state(status) != DAXFS_IDLE;
		sum.lanes += record || sm_load(&pool->lanes[id].low);
		sum.records += record;
		sum.owned += record ? private_objects(pool, id, status) : 0;
	}
	for (unsigned i = 0; i < opens; i++) {
		const sm_u64 *open = &pool->open_table[(uint64_t)host * opens + i];

		sum.opens += !pool_lost(pool, open, sizeof(*open)) && sm_load(open) != 0;
	}
	*call->out = sum;
	return 0;
}

int daxfs_inflight(struct daxfs *fs, unsigned host, struct daxfs_inflight *out)
{
	struct inflight_call call = { fs_pool(fs), host, out };

	if (!*fs->here)
		return -ECHILD;
	return host < call.pool->super.hosts ? fs_look(fs, count_inflight, &call) : -EINVAL;
}

int inspect_part(struct daxfs *fs, int (*show)(void *arg), void *arg, daxfs_report report, void *context)
{
	const struct pool *pool = fs_pool(fs);
	struct shm_guard guard = shm_guard_of(&pool->shm);
	int rc = shm_guard_run(&guard, show, arg);
	char text[INSPECT_TEXT];

	if (!guard.hit)
		return rc;
	inspect_page_text(pool, guard.offset & ~(DAXFS_PAGE_SIZE - 1ull), text, sizeof(text));
	inspect_line(report, context, "memory failed at offset %#" PRIx64 " (%s): the rest of this cannot be shown",
		     guard.offset, text);
	return 0;
}

struct selftest_call {
	struct pool *pool;
	uint64_t increments;
	struct daxfs_selftest *out;
};

static int selftest(void *arg)
{
	const struct selftest_call *call = arg;
	struct pool *pool = call->pool;
	struct daxfs_selftest result = { 0 };
	uint64_t header = pool->super.region[DAXFS_R_LANES].offset;
	sm_u64 *word = pool_at(pool, header + DAXFS_SCRATCH_OFFSET);
	uint64_t seen = sm_load(word);

	while (result.increments < call->increments) {
		/* ORD none: only the word's own atomicity is under test. */
		bool won = sm_cas_value(word, &seen, seen + 1);

		result.tries++;
		result.increments += won;
		seen += won;
	}
	result.value = sm_load(word);
	*call->out = result;
	return 0;
}

int daxfs_selftest(struct daxfs *fs, uint64_t increments, struct daxfs_selftest *out)
{
	struct selftest_call call = { fs_pool_writable(fs), increments, out };
	struct shm_guard guard = shm_guard_of(&call.pool->shm);

	if (!*fs->here)
		return -ECHILD;
	if (increments && !call.pool->writable)
		return -EROFS;
	return shm_guard_run(&guard, selftest, &call);
}
