/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dryrun.c - what recovery of a host would find and make of it.
 *
 * Follows the steps of recover.c without doing them: records, unfinished files,
 * open files, announcements. The verdict on an UNDECIDED record is the one that
 * recovery would reach now; a survivor may still finish it first, or change one
 * of its words, which is why it is shown as "would".
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "fs/fs.h"
#include "fs/lockset.h"
#include "inspect/inspect.h"
#include "mem/process.h"
#include "sync/member.h"

struct dry {
	const struct pool *pool;
	daxfs_report report;
	void *context;
	unsigned host;
	uint64_t finish, undo, objects, files, opens;
};

/* -- records ------------------------------------------------------------------ */

enum verdict { DRY_COMMIT, DRY_ABORT, DRY_DEPENDS };

/* Whether entry i still fits: its word holds our mark or what the record expects. */
static enum verdict judge_word(const struct pool *pool, unsigned id, unsigned i, uint64_t seq)
{
	const sm_u64 *entry = &pool->lanes[id].words[3 * i];
	uint64_t offset = address_offset(sm_load_relaxed(entry)), w;

	if (offset % 8 || offset > pool->shm.size - 8)
		return DRY_ABORT;
	w = sm_load((const sm_u64 *)pool_at(pool, offset));
	if ((w & ~DAXFS_MARK_HELPED) == mark_make(id, i, seq) || w == sm_load_relaxed(entry + 1))
		return DRY_COMMIT;
	return word_is_mark(w) ? DRY_DEPENDS : DRY_ABORT;
}

/* Of one word: it happened unless the word names what it named before. */
static enum verdict judge_single(const struct pool *pool, unsigned id)
{
	const sm_u64 *entry = pool->lanes[id].words;
	uint64_t addr = sm_load_relaxed(entry), offset = address_offset(addr), now;
	enum daxfs_word_class class = address_class(addr);

	if (offset % 8 || offset > pool->shm.size - 8)
		return DRY_ABORT;
	now = inspect_word(pool, (const sm_u64 *)pool_at(pool, offset), class);
	return now == word_payload(sm_load_relaxed(entry + 1), class) &&
			       now != word_payload(sm_load_relaxed(entry + 2), class)
		       ? DRY_ABORT
		       : DRY_COMMIT;
}

static enum verdict judge(const struct pool *pool, unsigned id, uint64_t status)
{
	uint64_t n = sm_load(&pool->lanes[id].n_words);
	enum verdict verdict = DRY_COMMIT;

	if (status_state(status) == DAXFS_SINGLE)
		return judge_single(pool, id);
	if (status_state(status) != DAXFS_UNDECIDED)
		return status_state(status) == DAXFS_COMMITTED ? DRY_COMMIT : DRY_ABORT;
	for (unsigned i = 0; i < n && i < DAXFS_RECORD_WORDS; i++) {
		enum verdict v = judge_word(pool, id, i, status_seq(status));

		if (v == DRY_ABORT)
			return v;
		if (v == DRY_DEPENDS)
			verdict = v;
	}
	return verdict;
}

static void show_words(const struct dry *d, unsigned id, bool commit)
{
	const struct sm_lane *lane = &d->pool->lanes[id];
	uint64_t n = sm_load(&lane->n_words);
	char place[INSPECT_TEXT], before[INSPECT_TEXT], after[INSPECT_TEXT];

	for (unsigned i = 0; i < n && i < DAXFS_RECORD_WORDS; i++) {
		uint64_t addr = sm_load_relaxed(&lane->words[3 * i]);
		enum daxfs_word_class class = address_class(addr);

		inspect_place_text(d->pool, address_offset(addr), place, sizeof(place));
		inspect_value_text(word_payload(sm_load_relaxed(&lane->words[3 * i + 1]), class), class, before,
				   sizeof(before));
		inspect_value_text(word_payload(sm_load_relaxed(&lane->words[3 * i + 2]), class), class, after,
				   sizeof(after));
		inspect_line(d->report, d->context, "lane %u:   %s: %s -> %s%s", id, place, before, after,
			     commit ? "" : ", would stay as it was");
	}
}

/* What becomes of an object that a record took: see sync/finalize.c. */
static const char *finalized(const struct dry *d, uint64_t object, bool commit)
{
	unsigned use = use_of(sm_load(&d->pool->state[object_type(object)][object_index(object)]));

	if (!commit && (use == DAXFS_USE_TAIL || use == DAXFS_USE_KEPT))
		return "LIVE, as its extent says";
	return commit ? "LIVE" : "FREE";
}

static void show_allocs(struct dry *d, unsigned id, uint64_t status, bool commit)
{
	const struct sm_lane *lane = &d->pool->lanes[id];
	uint64_t n = sm_load(&lane->n_allocs);
	char text[INSPECT_TEXT];

	for (unsigned i = 0; i < n && i < DAXFS_RECORD_ALLOCS; i++) {
		uint64_t object = sm_load_relaxed(&lane->allocs[i]);

		if (!inspect_is_private_to(d->pool, object, id, status_seq(status)))
			continue;
		inspect_object_text(d->pool, object, text, sizeof(text));
		inspect_line(d->report, d->context, "lane %u:   %s: PRIVATE -> %s", id, text,
			     finalized(d, object, commit));
		d->objects++;
	}
}

/* Retirements name objects by txid: one that has another by now was retired already. */
static void show_retires(struct dry *d, unsigned id)
{
	const struct sm_lane *lane = &d->pool->lanes[id];
	uint64_t n = sm_load(&lane->n_retires);
	char text[INSPECT_TEXT];

	for (unsigned i = 0; i < n && i < DAXFS_RECORD_RETIRES; i++) {
		uint64_t object = sm_load_relaxed(&lane->retires[2 * i]), s;

		if (!inspect_object_text(d->pool, object, text, sizeof(text)))
			continue;
		s = sm_load(&d->pool->state[object_type(object)][object_index(object)]);
		if ((s & DAXFS_USE_TXID_MASK) != (sm_load_relaxed(&lane->retires[2 * i + 1]) & DAXFS_USE_TXID_MASK))
			continue;
		inspect_line(d->report, d->context, "lane %u:   %s: %s -> RETIRED", id, text,
			     state_of(s) == DAXFS_PRIVATE ? "PRIVATE" : "LIVE");
		d->objects++;
	}
}

static void show_record(struct dry *d, unsigned id)
{
	static const char *const text[] = {
		"would be finished",
		"would be rolled back",
		"would be finished or rolled back, as the record whose mark it met decides",
	};
	uint64_t status = sm_load(&d->pool->lanes[id].status);
	enum verdict verdict = judge(d->pool, id, status);
	bool commit = verdict != DRY_ABORT;

	if (status_state(status) == DAXFS_IDLE)
		return;
	inspect_line(d->report, d->context, "lane %u: %s %" PRIu64 " is %s: %s", id,
		     record_operation_name(status_operation(status)), status_seq(status),
		     inspect_status_name(status_state(status)),
		     status_state(status) >= DAXFS_STATUSES ? "recovery would refuse; run daxfsctl check"
							    : text[verdict]);
	if (inspect_has_record(status))
		show_words(d, id, commit);
	show_allocs(d, id, status, commit);
	if (inspect_has_record(status) && commit)
		show_retires(d, id);
	d->finish += commit;
	d->undo += !commit;
}

/* -- files -------------------------------------------------------------------- */

/* The inode of a handle, if it is still that one. */
static const struct sm_inode *inode_at(const struct pool *pool, uint64_t handle)
{
	uint64_t index = handle_index(handle);

	if (index == 0 || index >= pool->objects[DAXFS_T_INODE] ||
	    sm_load(&pool->inodes[index].i_generation) != handle_generation(handle))
		return NULL;
	return &pool->inodes[index];
}

static bool open_elsewhere(const struct dry *d, const struct sm_inode *sm)
{
	uint64_t open = inspect_word(d->pool, &sm->openers[0], DAXFS_W_OPENERS) |
			inspect_word(d->pool, &sm->openers[1], DAXFS_W_OPENERS) << 32;

	return open & ~(1ull << d->host);
}

/* What finishing an inode would come to. */
static const char *fate(const struct dry *d, const struct sm_inode *sm)
{
	enum daxfs_life life = nlink_life(inspect_word(d->pool, &sm->nlink, DAXFS_W_NLINK));
	bool pending = size_prune(inspect_word(d->pool, &sm->size, DAXFS_W_SIZE));

	if (life == DAXFS_LIFE_DEAD)
		return "freed: half taken apart";
	if (life == DAXFS_LIFE_ORPHAN)
		return open_elsewhere(d, sm) ? "kept: no name, but another host has it open"
					     : "freed: no name, no holder";
	return pending ? "pruned: pages past its end" : "kept";
}

static void show_todo(struct dry *d, unsigned id)
{
	uint64_t handle = sm_load(&d->pool->lanes[id].todo);
	const struct sm_inode *sm = inode_at(d->pool, handle);

	if (!handle)
		return;
	inspect_line(d->report, d->context, "lane %u: inode %" PRIu64 " was to be finished: would be %s", id,
		     handle_index(handle), sm ? fate(d, sm) : "left alone: it is gone already");
	d->files++;
}

static void show_locks(const struct dry *d, uint64_t inode, const struct sm_inode *sm)
{
	uint64_t w = inspect_word(d->pool, &sm->locks, DAXFS_W_LINK);
	struct sm_lock room[DAXFS_LOCKS_MAX];
	struct lockset set = { 0, room };
	unsigned n = 0;

	if (link_kind(w) == DAXFS_ABSENT || inspect_locks(d->pool, inode, w, &set))
		return;
	for (unsigned i = 0; i < set.n; i++)
		n += set.lock[i].host == d->host;
	if (n)
		inspect_line(d->report, d->context, "host %u: inode %" PRIu64 " %u locks: would be given up", d->host,
			     inode, n);
}

static void show_opens(struct dry *d)
{
	unsigned per_host = d->pool->super.opens_per_host;

	for (unsigned i = 0; i < per_host; i++) {
		uint64_t handle = sm_load(&d->pool->open_table[(uint64_t)d->host * per_host + i]);
		const struct sm_inode *sm = inode_at(d->pool, handle);

		if (!handle)
			continue;
		inspect_line(d->report, d->context, "host %u: inode %" PRIu64 " held open: would be released, then %s",
			     d->host, handle_index(handle), sm ? fate(d, sm) : "left alone: it is gone already");
		if (sm)
			show_locks(d, handle_index(handle), sm);
		d->opens++;
	}
}

/* -- all of it ---------------------------------------------------------------- */

static void show_host(const struct dry *d)
{
	struct host_word word;
	const char *advice = "";

	if (host_word_unpack(sm_load(&d->pool->member->host[d->host].word), &word)) {
		inspect_line(d->report, d->context, "host %u: word makes no sense; run daxfsctl check", d->host);
		return;
	}
	if (word.state == DAXFS_HOST_FREE || word.state == DAXFS_HOST_RECOVERED)
		advice = ": nobody's, nothing should follow";
	else if (word.state < DAXFS_HOST_FENCED)
		advice = ": still has an owner, what follows may change; it must be fenced first";
	inspect_line(d->report, d->context, "host %u: %s generation %u%s", d->host, daxfs_host_state_name(word.state),
		     word.generation, advice);
}

struct part {
	struct dry *d;
	unsigned id; /* of a lane */
};

static int host_part(void *arg)
{
	const struct part *part = arg;

	show_host(part->d);
	return 0;
}

static int lane_part(void *arg)
{
	const struct part *part = arg;
	struct dry *d = part->d;
	uint64_t low = sm_load(&d->pool->lanes[part->id].low);

	show_record(d, part->id);
	show_todo(d, part->id);
	if (low)
		inspect_line(d->report, d->context,
			     "lane %u: holds back what lived in epochs %" PRIu64 " to %" PRIu64 ": would be withdrawn",
			     part->id, low, sm_load(&d->pool->lanes[part->id].high));
	return 0;
}

static int opens_part(void *arg)
{
	const struct part *part = arg;

	show_opens(part->d);
	return 0;
}

static int dry_run(struct daxfs *fs, unsigned host, daxfs_report report, void *context)
{
	struct dry d = { .pool = fs_pool(fs), .report = report, .context = context, .host = host };
	unsigned lanes = d.pool->super.lanes_per_host;
	struct part part = { &d, host * lanes };

	if (!*fs->here)
		return -ECHILD;
	if (host >= d.pool->super.hosts)
		return -EINVAL;
	inspect_part(fs, host_part, &part, report, context);
	for (; part.id < (host + 1) * lanes; part.id++)
		inspect_part(fs, lane_part, &part, report, context);
	inspect_part(fs, opens_part, &part, report, context);
	inspect_line(report, context,
		     "host %u: %" PRIu64 " records to finish, %" PRIu64 " to roll back, %" PRIu64
		     " objects to finalize, %" PRIu64 " files to finish, %" PRIu64 " open files to release",
		     host, d.finish, d.undo, d.objects, d.files, d.opens);
	return 0;
}

int daxfs_recover_dry_run(struct daxfs *fs, unsigned host, daxfs_report report, void *context)
{
	int was = process_cancel_off(), rc = dry_run(fs, host, report, context);

	process_cancel_restore(was);
	return rc;
}
