/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timing.c - the heartbeat, changed while hosts and managers are at work.
 *
 * A word of the manager's line says two things: how often hosts beat, and by what heartbeat managers count their
 * silence. 0: both are what mkfs wrote. Word: [63:32] changes so far [31:16] judged by, ms [15:0] beat, ms.
 *
 * No healthy host may be judged by less than it beats by. A host reads the word after each beat, before it sleeps. A
 * manager reads it in each poll *before* it looks at hearts, and where it changed counts all silence anew
 * (fabricd/decide.c).
 *
 *   1 beat <= judged by, always.
 *   2 longer: both at once. A manager that has read the old word in this poll has counted beats of the old kind: a
 *     host on time has been silent for two of its polls at most. In its next poll it reads the new word.
 *   3 shorter: `beat` alone, for a host may sleep by the old one when the word changes. Judged by is lowered by the
 *     primary, when since the change each host that may live has beaten in some poll, and so has read the word
 *     since (TIMING_CHANGE_POLLS), by CAS from the word it saw: after another change it waits anew. A manager that
 *     slept, or was deposed, may do it late: that each host has read this word stays true, and who joins reads it.
 *   4 shorter, then longer before 3 is done: beat grows up to judged by, or both do.
 *   5 a host that lengthens it (daxfs_member_lengthen) does so from a word that it saw to be shorter, by CAS: it undoes
 *     no longer one that somebody sets at the same time, and of several such hosts one changes the word. For the others
 *     it is rule 2.
 *
 * A crash anywhere leaves a word for which 1 holds; a change that is not finished is finished by the next primary. A
 * word that makes no sense counts as 0, for all alike. tests/unit/test_fabricd_heartbeat.c has hosts and managers
 * with clocks of their own, and what it costs to do without these rules.
 */
#include "sync/timing.h"

#include <errno.h>

#include "mem/layout.h"
#include "sync/member.h"

static bool possible(uint64_t ms)
{
	return ms >= DAXFS_HEARTBEAT_MS_MIN && ms <= DAXFS_HEARTBEAT_MS_MAX;
}

static uint64_t pack(unsigned beat_ms, unsigned judged_ms, uint64_t changes)
{
	return changes << 32 | (uint64_t)judged_ms << 16 | beat_ms;
}

struct daxfs_timing timing_load(const struct pool *pool)
{
	unsigned made = pool->super.heartbeat_ms;
	uint64_t word = sm_load(&pool->member->manager.timing);
	struct daxfs_timing t = {
		.word = word,
		.beat_ms = word & 0xffff,
		.judged_ms = word >> 16 & 0xffff,
	};

	if (possible(t.beat_ms) && possible(t.judged_ms) && t.beat_ms <= t.judged_ms)
		return t;
	t.beat_ms = t.judged_ms = made;
	return t;
}

static int change(struct daxfs_member *m, uint64_t seen, unsigned beat_ms, unsigned judged_ms)
{
	sm_u64 *word = &m->pool.member->manager.timing;

	/* ORD none: the word is all there is; who reads it needs nothing that was written before. */
	if (!sm_cas(word, seen, pack(beat_ms, judged_ms, (seen >> 32) + 1)))
		return -EAGAIN;
	sm_flush(&m->pool.shm, word, sizeof(*word));
	sm_drain(&m->pool.shm);
	return 0;
}

void daxfs_member_timing(const struct daxfs_member *m, struct daxfs_timing *out)
{
	*out = timing_load(&m->pool);
}

static int refuse(const struct daxfs_member *m, unsigned ms, struct daxfs_error *err)
{
	unsigned leases = m->pool.super.lease_ms;

	if (!*m->here)
		return daxfs_error_set(err, -ECHILD, "this process is a child of the one that opened the pool");
	if (!m->pool.writable)
		return daxfs_error_set(err, -EROFS, "the pool is mapped read-only");
	if (!possible(ms))
		return daxfs_error_set(err, -EINVAL, "heartbeat of %u ms: give %u to %u", ms, DAXFS_HEARTBEAT_MS_MIN,
				       DAXFS_HEARTBEAT_MS_MAX);
	if (leases && ms > leases / DAXFS_LEASE_BEATS)
		return daxfs_error_set(err, -EINVAL, "heartbeat of %u ms: at most %u with leases of %u ms", ms,
				       leases / DAXFS_LEASE_BEATS, leases);
	return 0;
}

static int set(struct daxfs_member *m, unsigned ms, bool may_shorten, struct daxfs_timing *was, struct daxfs_error *err)
{
	int rc = refuse(m, ms, err);
	struct daxfs_timing now;

	if (rc)
		return rc;
	do
		now = timing_load(&m->pool);
	while ((may_shorten || now.beat_ms < ms) && change(m, now.word, ms, now.judged_ms > ms ? now.judged_ms : ms));
	*was = now;
	return 0;
}

int daxfs_member_heartbeat(struct daxfs_member *m, unsigned ms, struct daxfs_error *err)
{
	struct daxfs_timing was;

	return set(m, ms, true, &was, err);
}

int daxfs_member_lengthen(struct daxfs_member *m, unsigned ms, struct daxfs_timing *was, struct daxfs_error *err)
{
	return set(m, ms, false, was, err);
}

int daxfs_member_judge(struct daxfs_member *m, const struct daxfs_timing *seen)
{
	if (!*m->here)
		return -ECHILD;
	if (!m->pool.writable)
		return -EROFS;
	return change(m, seen->word, seen->beat_ms, seen->beat_ms);
}
