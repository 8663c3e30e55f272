/* SPDX-License-Identifier: Apache-2.0 */
/* stored.c - verbs about files of storage, which machine/world.c plays. */
#include <inttypes.h>

#include "daxfs/cache.h"
#include "script/script.h"

static void put(struct command_call *call, long rc)
{
	snprintf(call->result, sizeof(call->result), "%ld", rc);
}

/* A name for a file of storage. */
void script_import(struct command_call *call)
{
	const struct command *c = call->command;
	const struct daxfs_attr attr = { .mode = 0644, .uid = 10, .gid = 20, .size = c->n[0] };

	put(call, daxfs_import(world.fs[call->host], c->parent[0], c->name[0], &attr, 0, c->n[1], NULL));
}

/* How many pages there were is not compared. */
void script_drop(struct command_call *call)
{
	const struct command *c = call->command;
	int64_t n = daxfs_cache_drop(world.fs[call->host], c->ino, c->n[0], c->n[1]);

	put(call, n < 0 ? n : 0);
}

void script_spoil(struct command_call *call)
{
	world.spoilt[call->host] = (unsigned)call->command->n[0];
	put(call, 0);
}
