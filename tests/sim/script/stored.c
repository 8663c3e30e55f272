/* SPDX-License-Identifier: Apache-2.0 */
/* stored.c - verbs about files of storage, which machine/world.c plays. */
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "daxfs/cache.h"
#include "fs/cache.h"
#include "script/script.h"

static void put(struct command_call *call, long rc)
{
	snprintf(call->result, sizeof(call->result), "%ld", rc);
}

/* A name for a file of storage; those from FILE 100 on may be written. */
void script_import(struct command_call *call)
{
	const struct command *c = call->command;
	const struct daxfs_attr attr = { .mode = 0644, .uid = 10, .gid = 20, .size = c->n[0] };

	put(call, daxfs_import(world.fs[call->host], c->parent[0], c->name[0], &attr, c->n[1] >= 100, c->n[1], NULL));
}

/* A directory of storage. */
void script_tree(struct command_call *call)
{
	const struct command *c = call->command;
	const struct daxfs_attr attr = { .mode = S_IFDIR | 0755, .uid = 10, .gid = 20 };

	put(call, daxfs_import(world.fs[call->host], c->parent[0], c->name[0], &attr, 0, c->n[0], NULL));
}

void script_forget(struct command_call *call)
{
	const struct command *c = call->command;

	put(call, daxfs_forget(world.fs[call->host], c->parent[1], c->name[1], c->ino));
}

/* As an agent that needs the room; whoever has the directory open counts on its names. */
void script_give_back(struct command_call *call)
{
	const struct command *c = call->command;

	put(call, daxfs_give_back(world.fs[call->host], c->parent[1], c->name[1], c->ino, true));
}

void script_discard(struct command_call *call)
{
	const struct command *c = call->command;
	struct daxfs *fs = world.fs[call->host];
	struct daxfs_since since;
	long rc;

	do { /* as an agent that has not the locks */
		rc = daxfs_since(fs, c->parent[1], &since);
		if (rc == 0)
			rc = daxfs_discard(fs, c->parent[1], c->name[1], c->ino, &since);
	} while (rc == -ECANCELED);
	put(call, rc);
}

/* To a name that nobody has. */
void script_move(struct command_call *call)
{
	const struct command *c = call->command;
	struct daxfs *fs = world.fs[call->host];
	struct daxfs_since since;
	long rc;

	do {
		rc = daxfs_since(fs, c->parent[0], &since);
		if (rc == 0)
			rc = daxfs_move(fs, c->parent[0], c->name[0], c->ino, c->parent[1], c->name[1], 0, &since);
	} while (rc == -ECANCELED);
	put(call, rc);
}

/* Of a name that nobody else changes, over one that has this file. */
void script_replace(struct command_call *call)
{
	const struct command *c = call->command;
	struct daxfs *fs = world.fs[call->host];
	struct daxfs_attr moved;
	long rc = daxfs_lookup(fs, c->parent[0], c->name[0], &moved);

	if (rc == 0)
		rc = daxfs_move(fs, c->parent[0], c->name[0], moved.ino, c->parent[1], c->name[1], c->ino, NULL);
	put(call, rc);
}

/* What it is like in storage has changed, by ctime alone; another host may have seen that, too. */
void script_restamp(struct command_call *call)
{
	struct daxfs *fs = world.fs[call->host];
	struct daxfs_source source;
	long rc;

	do {
		rc = daxfs_source(fs, call->command->ino, &source);
		if (rc == 0)
			rc = daxfs_restamp(fs, call->command->ino, source.stamp, source.stamp ^ 1);
	} while (rc == -ECANCELED);
	put(call, rc);
}

/* How many pages there were is not compared. */
void script_drop(struct command_call *call)
{
	const struct command *c = call->command;
	int64_t n = daxfs_cache_drop(world.fs[call->host], c->ino, c->n[0], c->n[1]);

	put(call, n < 0 ? n : 0);
}

void script_write_back(struct command_call *call)
{
	unsigned power;
	int rc;

	do { /* what storage lost with its power is written again, as the agent does */
		power = world_storage_powers();
		rc = daxfs_write_back(world.fs[call->host], call->command->ino);
	} while (rc == -EIO && power != world_storage_powers());
	put(call, rc);
}

void script_power(struct command_call *call)
{
	world_storage_power();
	put(call, 0);
}

void script_spoil(struct command_call *call)
{
	world.spoilt[call->host] = (unsigned)call->command->n[0];
	put(call, 0);
}

#define LOOKS 6u /* for an answer, */
#define AGAIN 3u /* ... and so many before it is asked again */

/* Whether somebody is there to answer is a matter of turns: what comes of it is not compared. */
void script_fetch(struct command_call *call)
{
	const struct command *c = call->command;

	cache_ask_patience(world.fs[call->host], LOOKS, AGAIN);
	cache_ask(world.fs[call->host], 1ull << 56, c->ino, c->n[0], (unsigned)c->n[1]);
	put(call, 0);
}

void script_lend(struct command_call *call)
{
	struct daxfs_ask ask;

	while (daxfs_asked(world.fs[call->host], 0, &ask) == 1)
		daxfs_serve(world.fs[call->host], &ask);
	put(call, 0);
}

/* The same; but where it is answered, somebody has listed the directory since (A6 of cache_ask.c), or it is 1. */
void script_names(struct command_call *call)
{
	struct daxfs *fs = world.fs[call->host];
	unsigned before = world.listed;

	cache_ask_patience(fs, LOOKS, AGAIN);
	put(call, daxfs_ask_names(fs, call->command->ino) == 0 && world.listed == before);
}

void script_wish_names(struct command_call *call)
{
	struct sm_asks *asks = &world.pool.asks.host[call->host];

	sm_store(&asks->ask[1].ino, call->command->ino);
	sm_store(&asks->ask[1].pages, 1);
	sm_store(&asks->word[1], 7ull << 32 | DAXFS_ASKED);
	sm_store(world.pool.asks.bell, 7);
	put(call, 0);
}

void script_wish(struct command_call *call)
{
	const struct command *c = call->command;
	struct sm_asks *asks = &world.pool.asks.host[call->host];

	sm_store(&asks->ask[1].ino, c->ino);
	sm_store(&asks->ask[1].page, c->n[0]);
	sm_store(&asks->ask[1].pages, c->n[1]);
	sm_store(&asks->word[1], 7ull << 32 | DAXFS_ASKED);
	sm_store(world.pool.asks.bell, 7);
	put(call, 0);
}
