/* SPDX-License-Identifier: Apache-2.0 */
/* pair_features.c - the two sides of the pair join-enable: see pair.c, and F1 of sync/features.c. */
#include "weak/pair_features.h"

#include "fs/fs.h"
#include "machine/world.h"
#include "sync/features.h"
#include "sync/member.h"

/* Host 0 runs an older version, in a pool that one like it has made. */
bool features_older(void)
{
	for (unsigned host = 0; host < HOSTS; host++)
		world.fs[host]->pool.super.incompat = 0;
	world.fs[0]->pool.knows &= ~(uint32_t)DAXFS_INCOMPAT_CACHE;
	return true;
}

/* What a join does of it. */
long features_come(void *arg)
{
	struct pool *pool = &world.fs[0]->pool;
	struct host_word joining = { .state = DAXFS_HOST_JOINING, .recoverer = -1 };
	struct daxfs_error err;

	(void)arg;
	return member_move(pool, 0, 0, joining) ? -1 : features_enter(pool, 0, 0, &err);
}

long features_switch_on(void *arg)
{
	struct daxfs_member m = { .pool = world.fs[1]->pool, .here = world.fs[1]->here };
	struct daxfs_error err;

	(void)arg;
	return daxfs_member_enable(&m, "cache", &err);
}
