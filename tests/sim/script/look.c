/* SPDX-License-Identifier: Apache-2.0 */
/*
 * look.c - what a program on each host saw of a file when it last looked: its attributes, then what is in it.
 *
 *   look P      look
 *
 * In the end, when nobody changes anything any more and the dead are recovered: if what was seen is not what is there,
 * the times say so, to whoever only compares these. The looker may be dead: it has told others.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "machine/arena.h"
#include "script/script.h"

#define BYTES 262144u

static bool add_name(void *context, const char *name, daxfs_ino ino, unsigned dt_type, uint64_t next)
{
	uint64_t *sum = context;

	(void)ino, (void)next;
	*sum += script_digest((const uint8_t *)name, strlen(name)) + dt_type; /* in any order */
	return true;
}

static int contents_of(struct daxfs *fs, const struct daxfs_attr *attr, uint64_t *out)
{
	uint8_t *buf;
	ssize_t n;

	*out = 0;
	if (S_ISDIR(attr->mode))
		return daxfs_readdir(fs, attr->ino, 0, add_name, out);
	if (!S_ISREG(attr->mode))
		return 0;
	buf = malloc(BYTES);
	if (!buf)
		arena_die("out of memory");
	n = daxfs_read(fs, attr->ino, buf, BYTES, 0);
	*out = n < 0 ? 0 : script_digest(buf, (size_t)n);
	free(buf);
	return n < 0 ? (int)n : 0;
}

void script_look(struct command_call *call)
{
	struct look *look = &world.look[call->host], now = { .made = true };
	struct daxfs *fs = world.fs[call->host];
	int rc = daxfs_getattr(fs, call->command->ino, &now.attr);

	look->made = false;
	if (rc == 0)
		rc = contents_of(fs, &now.attr, &now.contents);
	if (rc == 0)
		*look = now;
	snprintf(call->result, sizeof(call->result), "%d", rc);
}

static bool same(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

const char *look_judge(struct daxfs *fs, const struct daxfs_attr *is)
{
	uint64_t contents;

	for (unsigned host = 0; host < HOSTS; host++) {
		const struct daxfs_attr *was = &world.look[host].attr;
		bool modified;

		if (!world.look[host].made || was->ino != is->ino || contents_of(fs, is, &contents))
			continue;
		modified = contents != world.look[host].contents || is->size != was->size;
		if (modified && same(&is->mtime, &was->mtime))
			return "the mtime of what has changed stands still";
		if (same(&is->ctime, &was->ctime) && (modified || is->mode != was->mode || is->uid != was->uid ||
						      is->gid != was->gid || is->nlink != was->nlink))
			return "the ctime of what has changed stands still";
	}
	return NULL;
}
