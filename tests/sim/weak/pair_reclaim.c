/* SPDX-License-Identifier: Apache-2.0 */
/* pair_reclaim.c - of pair.c: a word is loaded behind an announcement, and what it named is retired. */
#include "weak/pair_reclaim.h"

#include "fs/fs.h"
#include "machine/world.h"
#include "sync/member.h"
#include "sync/record.h"

static struct lane *lane(unsigned host)
{
	return &world.fs[host]->slots[0].lane;
}

static long enter(void *arg)
{
	(void)arg;
	lane_enter(lane(0));
	record_begin(lane(0), OP_SETATTR);
	return 0;
}

enum { NAMED = 2, NAMES_ANOTHER };

static uint64_t birth;

static sm_u64 *link_word(void)
{
	return &world.pool.inodes[9].mtime; /* of a free inode: a word that nobody minds */
}

static long name_born_now(void *arg)
{
	(void)arg;
	birth = sm_load(&world.pool.member->manager.epoch);
	sm_store(link_word(), NAMED);
	return 0;
}

static long advance_epoch(void *arg)
{
	(void)arg;
	epoch_advance(&lane(1)->epoch);
	return 0;
}

bool reclaim_name_object(void)
{
	return run_all(OBSERVER, name_born_now, NULL, NULL, NULL) == RUN_RETURNED;
}

/* It is younger than what lane 0 announces. */
bool reclaim_enter_before(void)
{
	return run_all(0, enter, NULL, NULL, NULL) == RUN_RETURNED &&
	       run_all(1, advance_epoch, NULL, NULL, NULL) == RUN_RETURNED && reclaim_name_object();
}

long reclaim_enter_and_load(void *arg)
{
	(void)arg;
	lane_enter(lane(0));
	return (long)epoch_load(&lane(0)->epoch, link_word());
}

/* What a join does of its word; its lanes are there. A whole one takes so long that all others are done by then. */
static bool takes_slot(unsigned host)
{
	struct pool *pool = fs_pool_writable(world.fs[host]);
	uint64_t word = sm_load(&pool->member->host[host].word);
	struct host_word to = { .state = DAXFS_HOST_JOINING, .recoverer = -1 };

	if (member_move(pool, host, word, to))
		return false;
	word = host_word_pack(to);
	to.state = DAXFS_HOST_ALIVE;
	return member_move(pool, host, word, to) == 0;
}

static long free_slot(void *arg)
{
	sm_store(&world.pool.member->host[*(unsigned *)arg].word, 0);
	return 0;
}

bool reclaim_name_and_free(void)
{
	return run_all(OBSERVER, free_slot, &(unsigned){ 0 }, NULL, NULL) == RUN_RETURNED && reclaim_name_object();
}

long reclaim_join_and_load(void *arg)
{
	return takes_slot(0) ? reclaim_enter_and_load(arg) : 0;
}

long reclaim_load(void *arg)
{
	(void)arg;
	return (long)epoch_load(&lane(0)->epoch, link_word());
}

long reclaim_take_over_and_load(void *arg)
{
	(void)arg;
	lane_take_over(lane(0));
	return (long)epoch_load(&lane(0)->epoch, link_word());
}

/* May the object be used again? */
long reclaim_retire_and_scan(void *arg)
{
	struct lane *own = lane(1);
	uint64_t retired;

	(void)arg;
	sm_cas(link_word(), NAMED, NAMES_ANOTHER);
	sm_fence();
	retired = sm_load(&world.pool.member->manager.epoch);
	epoch_rescan(&own->epoch);
	return epoch_reusable(&own->epoch.scan, retired, birth);
}

bool reclaim_used_again(const struct run *run)
{
	return run[0].result == NAMED && run[1].result;
}

/* Lane 0 is in a record when somebody retires what a word of it lies in, and the epoch moves on. */
bool reclaim_meet_record(void)
{
	return run_all(OBSERVER, name_born_now, NULL, NULL, NULL) == RUN_RETURNED &&
	       run_all(0, enter, NULL, NULL, NULL) == RUN_RETURNED &&
	       run_all(1, advance_epoch, NULL, NULL, NULL) == RUN_RETURNED;
}

long reclaim_end_record(void *arg)
{
	(void)arg;
	sm_store(link_word(), NAMES_ANOTHER);
	lane_exit(lane(0));
	return 0;
}

/* Is the record still in flight? Then what its words lie in is looked at. */
long reclaim_adopt(void *arg)
{
	struct lane *own = lane(2);

	(void)arg;
	lane_enter(own);
	epoch_adopt(&own->epoch, lane(0)->sm);
	return sm_load(link_word()) == NAMED;
}

bool reclaim_meet_and_free(void)
{
	return run_all(OBSERVER, free_slot, &(unsigned){ 2 }, NULL, NULL) == RUN_RETURNED && reclaim_meet_record();
}

long reclaim_join_and_adopt(void *arg)
{
	return takes_slot(2) ? reclaim_adopt(arg) : 0;
}

long reclaim_scan(void *arg)
{
	(void)arg;
	epoch_rescan(&lane(1)->epoch);
	return epoch_reusable(&lane(1)->epoch.scan, birth, birth); /* retired in the epoch in which it was born */
}

bool reclaim_used_under_helper(const struct run *run)
{
	return run[1].result && run[2].result;
}
