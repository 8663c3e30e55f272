/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manage.c - fabricd's calls of the library, one after the other, as a command.
 *
 * Slot SPARE has a host that died while it was JOINING. To manage is to become
 * primary, to stamp every host, and to take that one all the way until it is
 * being recovered by host 2, of whose death it then knows. Whoever finds it further on goes on from there, as a
 * backup does whose primary died: so a manager may die at every step, and the
 * next one, doing the same, must come to the same end.
 */
#include <errno.h>
#include <string.h>

#include "machine/arena.h"
#include "fs/fs.h"
#include "pod/pod.h"
#include "script/script.h"
#include "sync/member.h"

#define SPARE HOSTS /* the pool has a slot more than hosts */

struct manager {
	struct daxfs_member *m;
	struct daxfs_host_view host;
	uint32_t epoch;
};

/* For setups: by the observer. */
void manage_appear(void)
{
	struct host_word word = { .generation = 1, .state = DAXFS_HOST_JOINING, .recoverer = -1 };
	uint64_t offset = memory_offset(&world.pool.member->host[SPARE].word), v = host_word_pack(word);

	memory_store(OBSERVER, offset, &v, sizeof(v));
	memory_persist(OBSERVER, 0, offset, sizeof(v));
	memory_drain(OBSERVER, 0);
}

static void put(sm_u64 *p, uint64_t v)
{
	memory_store(OBSERVER, memory_offset(p), &v, sizeof(v));
	memory_persist(OBSERVER, 0, memory_offset(p), sizeof(v));
	memory_drain(OBSERVER, 0);
}

/* A process that ended, on the machine of whoever is to find it: see __wrap_process_gone. */
static const struct daxfs_identity ended = { .machine = { 1 }, .boot = { 1 }, .pid = 8, .began = 1, .pids = 1 };

/* For setups: a host is ALIVE in slot SPARE, and its process has ended. */
void manage_reside(void)
{
	struct host_word word = { .generation = 1, .state = DAXFS_HOST_ALIVE, .recoverer = -1 };
	struct sm_host *host = &world.pool.member->host[SPARE];
	struct card card = card_make("ended", &ended);

	for (unsigned i = 0; i < 4; i++)
		put(&host->name[i], card.name[i]);
	for (unsigned i = 0; i < 2; i++) {
		put(&host->machine[i], card.machine[i]);
		put(&host->boot[i], card.boot[i]);
	}
	put(&host->process, card.process);
	put(&host->pids, card.pids);
	put(&host->tenancy, 1ull << 40 | 1);
	for (unsigned i = 0; i < world.pool.super.lanes_per_host; i++)
		put(&world.pool.lanes[SPARE * world.pool.super.lanes_per_host + i].owner, 1ull << 32 | SPARE);
	put(&host->word, host_word_pack(word));
}

/* Its successor ends its slot, as a join does. Whoever dies in it leaves that to the next one. */
int manage_end(struct daxfs *fs)
{
	struct daxfs_host_view v;
	int rc = -EAGAIN;

	while (rc == -EAGAIN) {
		rc = member_look(&fs->pool, SPARE, &v);
		if (rc || v.state == DAXFS_HOST_FENCED)
			break;
		rc = member_end(&fs->pool, &v, &ended);
		rc = rc ? rc : -EAGAIN; /* look at it */
	}
	return rc ? rc : v.state == DAXFS_HOST_FENCED && v.generation == 2 ? 0 : -EIO;
}

/* A successor goes on in its place; whoever finds that done, by itself or by another one, has nothing to do. */
int manage_succeed(struct daxfs *fs)
{
	const uint64_t process = 1ull << 32 | 16;
	struct daxfs_host_view v;
	int rc = member_succeed(&fs->pool, SPARE, 1ull << 40 | 1, card_make("", &ended).process, process);

	if (rc == -EAGAIN)
		rc = member_look(&fs->pool, SPARE, &v) || v.who.pid != 16 ? -EIO : 0;
	return rc;
}

static int take_over(struct manager *f)
{
	struct daxfs_manager_view seen;
	int rc;

	daxfs_member_manager(f->m, &seen);
	rc = daxfs_member_claim(f->m, &seen, &f->epoch);
	for (unsigned id = 0; rc == 0 && id <= SPARE; id++)
		do /* it may move by itself at the same time */
			rc = daxfs_member_host(f->m, id, &f->host) ? -EIO
								   : daxfs_member_stamp(f->m, &f->host, f->epoch);
		while (rc == -EAGAIN);
	daxfs_member_standby(f->m, (const uint8_t[16]){ 2 });
	if (rc == 0)
		rc = daxfs_member_settle(f->m, f->epoch, (const uint8_t[16]){ 1 });
	return rc ? rc : daxfs_member_manager_beat(f->m, f->epoch);
}

/* Become primary, and stamp every host twice, as if somebody else could become it meanwhile. */
int manage_preside(void)
{
	struct manager f = { .epoch = 0 };
	struct daxfs_manager_view seen;
	struct daxfs_error err;
	int rc;

	pod.size = world.size;
	rc = daxfs_member_open("pool", true, &f.m, &err);
	if (rc)
		return rc;
	daxfs_member_manager(f.m, &seen);
	rc = daxfs_member_claim(f.m, &seen, &f.epoch);
	for (unsigned i = 0; rc == 0 && i < 2 * HOSTS; i++) {
		rc = daxfs_member_host(f.m, i % HOSTS, &f.host);
		if (rc == 0 && daxfs_member_stamp(f.m, &f.host, f.epoch) == 0 && f.host.manager_epoch > f.epoch)
			rc = -EIO;
	}
	daxfs_member_close(f.m);
	return rc == -EAGAIN ? 0 : rc;
}

int manage_watch(void)
{
	struct daxfs_host_view host;
	struct daxfs_member *m;
	struct daxfs_error err;
	int rc;

	pod.size = world.size;
	rc = daxfs_member_open("pool", true, &m, &err);
	if (rc)
		return rc;
	rc = daxfs_member_host(m, 0, &host);
	daxfs_member_close(m);
	if (rc == 0 && daxfs_host_introduced(&host) && strcmp(host.name, host.generation ? "again" : "host0"))
		rc = -EIO;
	return rc;
}

/* One move on the way of the dead host. */
static int move_on(struct manager *f)
{
	static const enum daxfs_host_state next[DAXFS_HOST_STATES] = {
		[DAXFS_HOST_JOINING] = DAXFS_HOST_FENCING,
		[DAXFS_HOST_FENCING] = DAXFS_HOST_FENCED,
		[DAXFS_HOST_FENCED] = DAXFS_HOST_RECOVERING,
	};
	enum daxfs_host_state to = next[f->host.state];

	if (to == DAXFS_HOST_FENCED)
		daxfs_member_fence_took(f->m, &f->host, true, 1);
	return daxfs_member_move(f->m, &f->host, to, to == DAXFS_HOST_RECOVERING ? 2 : -1, f->epoch,
				 DAXFS_REASON_BEAT_LOST, 1);
}

/* As if host 2 had died of it: once, whoever does it. */
static int count_death(struct manager *f)
{
	int rc = daxfs_member_count_death(f->m, &f->host, f->epoch);

	return rc == -EAGAIN ? 0 : rc;
}

int manage(void)
{
	struct manager f = { .epoch = 0 };
	struct daxfs_error err;
	int rc;

	pod.size = world.size; /* of the mapping that pod/manager.c has in the place of a file */
	rc = daxfs_member_open("pool", true, &f.m, &err);
	if (rc)
		return rc;
	rc = take_over(&f);
	while (rc == 0) {
		rc = daxfs_member_host(f.m, SPARE, &f.host);
		if (rc || (f.host.state == DAXFS_HOST_RECOVERING && f.host.death_counted))
			break;
		rc = f.host.state == DAXFS_HOST_RECOVERING ? count_death(&f) : move_on(&f);
	}
	daxfs_member_close(f.m);
	return rc;
}
