/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backing_intent.c - whose turn it is to change names of a backing, and what is about to be changed.
 *
 * Locks. A change of names locks the directories that it is about, by number modulo NAME_LOCKS: locks of the pool
 * on the backing's directory, so that a dead host loses them when its recovery ends; within this process mutexes, for
 * the pool knows hosts. Taken in order of number: nobody waits in a circle.
 *
 * Intents. Before storage is changed, what is to be done is written into an attribute of the backing's directory,
 * and removed when the pool is as storage: N1 to N3 in backing_change.c. An attribute, since it takes one record and
 * no name; there is room for seven of the longest. The key says whose it is: tenancy and request.
 *
 * A host dies          what it leaves
 *   with locks         locks, until it is recovered; a process: until its successor has done what it is asked for
 *                      again, and settled the rest (the backings are there before daxfs_resume_end)
 *   after the intent   the intent: settled by whoever needs the names, removed by whoever gets its locks
 * An intent is bytes of the pool: checked before it is used, and ignored, then removed, if it makes no sense.
 */
#include "node-agent/backing_change.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "daxfs/resume.h"

#define OWNER 2u /* of locks: the flusher is 1 */
#define POLL_MS 1
#define LIST_BYTES 8192u
#define PREFIX BACKING_RESERVED "name."

static void nap(unsigned ms)
{
	const struct timespec t = { 0, (long)ms * 1000000 };

	nanosleep(&t, NULL);
}

/* -- locks --------------------------------------------------------------------------------- */

static unsigned number_of(daxfs_ino dir)
{
	return (unsigned)((dir * 0x9e3779b97f4a7c15ull) >> 32) % NAME_LOCKS;
}

/* Apart, so that they are not merged into one. */
static int lock_pod(struct backing *b, unsigned first, unsigned last, enum daxfs_lock_type type)
{
	const struct daxfs_lock lock = {
		.start = 2 * first, .end = 2 * last, .owner = OWNER, .type = type, .kind = DAXFS_LOCK_POSIX
	};

	return daxfs_lock(b->fs, b->root, &lock);
}

/* until_ns 0: as long as it takes. -EAGAIN: not by then; -ENOTCONN: this agent stops. */
static int lock_one(struct backing *b, unsigned i, int64_t until_ns)
{
	int rc;

	while (pthread_mutex_trylock(&b->names[i]) != 0) {
		if (backing_has_stopped(b))
			return -ENOTCONN;
		if (until_ns && clock_ns() > until_ns)
			return -EAGAIN;
		nap(POLL_MS);
	}
	while ((rc = lock_pod(b, i, i, DAXFS_LOCK_WRITE)) == -EAGAIN || rc == -ENOLCK) {
		if (backing_has_stopped(b))
			rc = -ENOTCONN;
		else if (until_ns && clock_ns() > until_ns)
			rc = -EAGAIN;
		else {
			nap(POLL_MS);
			continue;
		}
		break;
	}
	if (rc)
		pthread_mutex_unlock(&b->names[i]);
	return rc;
}

static void unlock_one(struct backing *b, unsigned i)
{
	lock_pod(b, i, i, DAXFS_UNLOCK);
	pthread_mutex_unlock(&b->names[i]);
}

static void add_lock(struct name_locks *l, unsigned number)
{
	unsigned i = l->n;

	for (unsigned j = 0; j < l->n; j++)
		if (l->number[j] == number)
			return;
	for (; i > 0 && l->number[i - 1] > number; i--)
		l->number[i] = l->number[i - 1];
	l->number[i] = number;
	l->n++;
}

int backing_lock_names(struct backing *b, struct name_locks *out, const daxfs_ino dir[], unsigned n,
		       unsigned patience_ms)
{
	int64_t until = patience_ms ? clock_ns() + (int64_t)patience_ms * 1000000 : 0;
	struct name_locks want = { .n = 0 };
	int rc = 0;

	for (unsigned i = 0; i < n && want.n < NAME_LOCKS_HELD; i++)
		if (dir[i])
			add_lock(&want, number_of(dir[i]));
	for (out->n = 0; rc == 0 && out->n < want.n;) {
		rc = lock_one(b, want.number[out->n], until);
		if (rc == 0) {
			out->number[out->n] = want.number[out->n];
			out->n++;
		}
	}
	if (rc)
		backing_unlock_names(b, out);
	return rc;
}

void backing_unlock_names(struct backing *b, struct name_locks *l)
{
	while (l->n)
		unlock_one(b, l->number[--l->n]);
}

bool backing_has_locked(const struct name_locks *l, daxfs_ino ino)
{
	for (unsigned i = 0; i < l->n; i++)
		if (l->number[i] == number_of(ino))
			return true;
	return false;
}

void backing_release_left_locks(struct backing *b)
{
	for (unsigned i = 0; i < NAME_LOCKS; i++)
		if (pthread_mutex_trylock(&b->names[i]) == 0)
			unlock_one(b, i);
}

/* -- intents ------------------------------------------------------------------------------- */

/* what an attribute says; the two names follow, each ended */
struct intent {
	uint64_t dir, ino, file, to_dir, victim;
	uint8_t op, last, victim_last, pad[5];
};
#define INTENT_MAX (sizeof(struct intent) + 2 * sizeof(((struct backing_change *)0)->name))

static bool is_name(const char *name)
{
	return name[0] && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* 0, or -EINVAL: it makes no sense. */
static int parse(const uint8_t *buf, size_t len, struct backing_change *out)
{
	const char *names = (const char *)buf + sizeof(struct intent);
	struct intent in;
	size_t room, first, second;

	if (len < sizeof(in) + 2 || len > INTENT_MAX || buf[len - 1])
		return -EINVAL;
	memcpy(&in, buf, sizeof(in));
	room = len - sizeof(in);
	first = strlen(names);
	if (first + 1 >= room)
		return -EINVAL;
	second = strlen(names + first + 1);
	if (first + second + 2 != room || first >= sizeof(out->name) || second >= sizeof(out->to_name))
		return -EINVAL;
	out->op = in.op;
	out->dir = in.dir;
	out->ino = in.ino;
	out->file = in.file;
	out->to_dir = in.to_dir;
	out->victim = in.victim;
	out->last = in.last & 1;
	out->victim_last = in.victim_last & 1;
	memcpy(out->name, names, first + 1);
	memcpy(out->to_name, names + first + 1, second + 1);
	return is_name(out->name) && (in.op == BACKING_MOVE ? is_name(out->to_name) : in.op <= BACKING_LINK) ? 0
													     : -EINVAL;
}

int backing_intend(struct backing *b, struct backing_change *c)
{
	uint8_t buf[INTENT_MAX];
	struct intent in = { .dir = c->dir, .ino = c->ino, .file = c->file, .to_dir = c->to_dir, .victim = c->victim };
	size_t first = strlen(c->name) + 1, second = strlen(c->to_name) + 1;
	int rc;

	in.op = (uint8_t)c->op;
	in.last = c->last;
	in.victim_last = c->victim_last;
	memcpy(buf, &in, sizeof(in));
	memcpy(buf + sizeof(in), c->name, first);
	memcpy(buf + sizeof(in) + first, c->to_name, second);
	/* Others have all the room: for a moment. */
	while ((rc = daxfs_xattr_set(b->fs, b->root, c->key, buf, sizeof(in) + first + second, 0)) == -ENOSPC) {
		if (backing_has_stopped(b))
			return -ENOTCONN;
		nap(POLL_MS);
	}
	return rc;
}

void backing_intent_key(struct backing *b, uint64_t request, struct backing_change *c)
{
	snprintf(c->key, sizeof(c->key), PREFIX "%016llx.%llx", (unsigned long long)daxfs_tenancy(b->fs),
		 (unsigned long long)request);
}

void backing_intent_done(struct backing *b, const struct backing_change *c)
{
	daxfs_xattr_remove(b->fs, b->root, c->key);
}

bool backing_intent_is_ours(struct backing *b, const struct backing_change *c)
{
	char prefix[64];
	int n = snprintf(prefix, sizeof(prefix), PREFIX "%016llx.", (unsigned long long)daxfs_tenancy(b->fs));

	return strncmp(c->key, prefix, (size_t)n) == 0;
}

bool backing_intent_is_of(const struct name_locks *l, const struct backing_change *c)
{
	return backing_has_locked(l, c->dir) || (c->to_dir && backing_has_locked(l, c->to_dir));
}

/* One that makes no sense is of nobody. */
static void read_intent(struct backing *b, const char *key, struct backing_intents *out)
{
	struct backing_change *more = realloc(out->change, (out->n + 1) * sizeof(*more)), *c;
	uint8_t buf[INTENT_MAX];
	ssize_t n;

	if (!more)
		return;
	out->change = more;
	c = &more[out->n];
	*c = (struct backing_change){ .op = 0 };
	n = daxfs_xattr_get(b->fs, b->root, key, buf, sizeof(buf));
	if (n < 0 && n != -ERANGE)
		return; /* it is done */
	if (n == -ERANGE || parse(buf, (size_t)n, c) || strlen(key) >= sizeof(c->key)) {
		daxfs_xattr_remove(b->fs, b->root, key);
		return;
	}
	memcpy(c->key, key, strlen(key) + 1);
	out->n++;
}

void backing_intents(struct backing *b, struct backing_intents *out)
{
	char list[LIST_BYTES];
	ssize_t n = daxfs_xattr_list(b->fs, b->root, list, sizeof(list));

	*out = (struct backing_intents){ 0 };
	for (ssize_t at = 0; at < n; at += (ssize_t)strlen(list + at) + 1)
		if (strncmp(list + at, PREFIX, sizeof(PREFIX) - 1) == 0)
			read_intent(b, list + at, out);
}
