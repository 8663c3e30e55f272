/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poison_world.h - a small pod with some files, and what host 1 can have left in flight.
 */
#ifndef TESTS_UNIT_POISON_WORLD_H
#define TESTS_UNIT_POISON_WORLD_H

#include "poison_trap.h"
#include "rig.h"
#include "sync/record.h"

#define FILLERS 18u /* so that inodes lie in two pages */

struct world {
	struct poison p;
	daxfs_ino dir, file, big, other;
	struct pool *pool; /* as host 2 sees it, which does nothing but look */
	unsigned recoverer;
	daxfs_ino pair[2];              /* their inodes lie in two pages, in this order */
	struct lane *sleeper, *claimer; /* of host 1: the owner of a record in flight; a helper between its two steps */
	sm_u64 *word[2];                /* of that record, as host 1 sees them */
};

static char bytes[256 << 10];

static inline void world_start(struct world *w, bool wb)
{
	struct daxfs *fs;
	char name[16];

	poison_start(&w->p, POOL, wb);
	fs = w->p.pod.fs[0];
	w->pool = fs_pool_writable(w->p.pod.fs[2]);
	w->dir = pod_mkdir(fs, DAXFS_ROOT, "dir");
	w->file = pod_create(fs, w->dir, "file");
	w->big = pod_create(fs, w->dir, "big");
	assert_int_equal(daxfs_write(fs, w->file, bytes, 6000, 0, 0), 6000);
	assert_int_equal(daxfs_write(fs, w->big, bytes, 20 * 4096, 0, 0), 20 * 4096);
	pod_create(fs, w->dir, "victim");
	for (unsigned i = 0; i < FILLERS; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		w->pair[1] = w->other;
		w->other = pod_create(w->p.pod.fs[2], DAXFS_ROOT, name);
	}
	w->pair[0] = handle_index(w->file) < handle_index(w->pair[1]) ? w->file : w->pair[1];
	w->pair[1] = w->pair[0] == w->file ? w->pair[1] : w->file;
	w->recoverer = 1;
	w->sleeper = w->claimer = NULL;
	assert_int_equal(daxfs_write(w->p.pod.fs[2], w->other, "other", 5, 0, 0), 5);
}

/* -- a record in flight ------------------------------------------------------------------- */

/* Host 1 is to change two modes at once, or two sizes, and stops when so many words are marked. */
static inline void hang_in(struct world *w, unsigned marks, bool sizes)
{
	struct pool *pool = fs_pool_writable(w->p.pod.fs[1]);
	struct lane *lane = rig_enter(w->p.pod.fs[1]);

	record_begin(lane, OP_SETATTR);
	for (unsigned i = 0; i < 2; i++) {
		struct sm_inode *sm = &pool->inodes[handle_index(w->pair[i])];
		enum daxfs_word_class class = sizes ? DAXFS_W_SIZE : DAXFS_W_ATTR;
		uint64_t before;

		w->word[i] = sizes ? &sm->size : &sm->mode;
		before = word_help(lane, w->word[i]);
		txn_word(&lane->txn, w->word[i], class, before, word_payload(before, class));
	}
	rig_undecided(lane);
	for (unsigned i = 0; i < marks; i++)
		rig_mark(lane, i);
	w->sleeper = lane;
}

static inline void hang(struct world *w, unsigned marks)
{
	hang_in(w, marks, false);
}

/* Sizes are helped before a record of one's own is begun, modes in it. */
static inline void hang_marked_size(struct world *w)
{
	hang_in(w, 1, true);
}

static inline void hang_unmarked(struct world *w)
{
	hang(w, 0);
}

static inline void hang_marked(struct world *w)
{
	hang(w, 1);
}

/* Its second thread helped, and stopped when its claim was in the second word. */
static inline void hang_claimed(struct world *w)
{
	struct lane *lane;
	struct sm_claim *claim;

	hang(w, 1);
	lane = rig_enter(w->p.pod.fs[1]);
	claim = &lane->sm->claim;
	sm_store(&w->sleeper->sm->status, sm_load(&w->sleeper->sm->status) | DAXFS_STATUS_HELPED);
	sm_store(&claim->number, ++lane->claims);
	sm_store(&claim->where, pool_offset(lane->pool, w->word[1]));
	sm_store(&claim->mark, status_mark(sm_load(&w->sleeper->sm->status), w->sleeper->id, 1));
	sm_store(&claim->before, sm_load(w->word[1]));
	sm_store(w->word[1], claim_make(lane->id, lane->claims));
	lane->claiming = true;
	w->claimer = lane;
}

/* Host 1 is dead, and has left a file without a name, and what it was about to do. */
static inline void die_in(struct world *w, void (*work)(struct world *w))
{
	daxfs_ino nameless = pod_create(w->p.pod.fs[1], w->dir, "nameless");

	assert_int_equal(daxfs_write(w->p.pod.fs[1], nameless, bytes, 5000, 0, 0), 5000);
	assert_int_equal(daxfs_file_open(w->p.pod.fs[1], nameless), 0);
	assert_int_equal(daxfs_unlink(w->p.pod.fs[1], w->dir, "nameless"), 0);
	work(w);
	pod_fence(&w->p.pod, 1);
	w->recoverer = 2;
}

static inline void die(struct world *w)
{
	die_in(w, hang_claimed);
}

static inline void die_early(struct world *w)
{
	die_in(w, hang_unmarked);
}

#endif
