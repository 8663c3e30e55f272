/* SPDX-License-Identifier: Apache-2.0 */
/* verbs_more.c - verbs for ranges of files, extended attributes, events; the table is in verbs.c. */
#include <inttypes.h>

#include "machine/arena.h"
#include "script/script.h"

static void put(struct command_call *call, long rc)
{
	snprintf(call->result, sizeof(call->result), "%ld", rc);
}

static void allocate(struct command_call *call, enum daxfs_allocate what)
{
	const uint64_t *n = call->command->n;

	put(call, daxfs_allocate(world.fs[call->host], call->command->ino, n[0], n[1], what, false));
}

void do_allocate(struct command_call *call)
{
	allocate(call, DAXFS_ALLOCATE);
}

void do_zero(struct command_call *call)
{
	allocate(call, DAXFS_ZERO);
}

void do_punch(struct command_call *call)
{
	allocate(call, DAXFS_PUNCH);
}

/* Where data begins from an offset on, and where it ends. */
void do_seek(struct command_call *call)
{
	uint64_t data = 0, hole = 0;
	int rc = daxfs_seek(world.fs[call->host], call->command->ino, call->command->n[0], DAXFS_SEEK_DATA, &data);

	if (rc == 0)
		rc = daxfs_seek(world.fs[call->host], call->command->ino, data, DAXFS_SEEK_HOLE, &hole);
	snprintf(call->result, sizeof(call->result), "%d %" PRIu64 " %" PRIu64, rc, data, hole);
}

void do_setx(struct command_call *call)
{
	const struct command *c = call->command;
	uint8_t value[2048];

	if (c->n[0] > sizeof(value))
		arena_die("an attribute of a script is too large");
	script_fill(value, c->n[0], c->n[1]);
	put(call, daxfs_xattr_set(world.fs[call->host], c->ino, c->n[2] ? "user.b" : "user.a", value, c->n[0], 0));
}

void do_dropx(struct command_call *call)
{
	put(call,
	    daxfs_xattr_remove(world.fs[call->host], call->command->ino, call->command->n[0] ? "user.b" : "user.a"));
}

/* One attribute, and how long the names of all are. */
void do_getx(struct command_call *call)
{
	uint8_t value[2048];
	ssize_t n = daxfs_xattr_get(world.fs[call->host], call->command->ino, call->command->n[0] ? "user.b" : "user.a",
				    value, sizeof(value));

	snprintf(call->result, sizeof(call->result), "%zd %016" PRIx64, n, n < 0 ? 0 : script_digest(value, (size_t)n));
}

void do_tell(struct command_call *call)
{
	put(call, world_tell(world.fs[call->host], call->command->n[0]));
}
