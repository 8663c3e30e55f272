/* SPDX-License-Identifier: Apache-2.0 */
/* agent_dead.h - a host that dies between storage and the pool: a pod of real agents finds what it was about to do. */
#ifndef TESTS_UNIT_AGENT_DEAD_H
#define TESTS_UNIT_AGENT_DEAD_H

#include <sys/xattr.h>

#include "agent_tree.h"
#include "node-agent/backing_change.h"

/* a host that leaves intents, and does with storage what it likes */
struct dead {
	struct backing b;
	uint64_t request;
	struct name_locks locks;
};

static inline void die_begin(struct tree *t, struct dead *d)
{
	struct daxfs_error err;
	struct daxfs_attr attr;

	memset(d, 0, sizeof(*d));
	assert_int_equal(daxfs_open(t->pod.pool, DAXFS_READ_WRITE, &d->b.fs, &err), 0);
	assert_int_equal(daxfs_join(d->b.fs, 3, "admin", &err), 0);
	assert_int_equal(daxfs_lookup(d->b.fs, DAXFS_ROOT, "data", &attr), 0);
	d->b.root = attr.ino;
}

/* Nobody settles what it intends until it has changed storage. */
static inline void dead_lock(struct dead *d)
{
	assert_int_equal(daxfs_file_open(d->b.fs, d->b.root), 0);
	assert_int_equal(backing_lock_names(&d->b, &d->locks, &d->b.root, 1, HANG_S * 1000), 0);
}

static inline void dead_unlock(struct dead *d)
{
	backing_unlock_names(&d->b, &d->locks);
	assert_int_equal(daxfs_file_close(d->b.fs, d->b.root), 0);
}

static inline void die(struct dead *d)
{
	assert_int_equal(daxfs_leave(d->b.fs), 0);
	daxfs_close(d->b.fs);
}

static inline void intend(struct dead *d, const struct tree *t, enum backing_op op, const char *name, const char *to)
{
	struct backing_change c = { .op = op, .dir = d->b.root, .to_dir = to ? d->b.root : 0 };
	struct daxfs_source source = { .file = 0 };
	struct daxfs_attr attr = { .ino = 0 };
	struct stat st;

	strcpy(c.name, name);
	strcpy(c.to_name, to ? to : "");
	if (op != BACKING_MAKE) {
		assert_int_equal(daxfs_lookup(d->b.fs, d->b.root, name, &attr), 0);
		assert_int_equal(daxfs_source(d->b.fs, attr.ino, &source), 0);
	}
	c.ino = attr.ino;
	c.file = source.file;
	if (op == BACKING_REMOVE) {
		assert_int_equal(lstat(in(t, name), &st), 0);
		c.last = st.st_nlink == 1;
	}
	if (to && daxfs_lookup(d->b.fs, d->b.root, to, &attr) == 0) {
		assert_int_equal(lstat(in(t, to), &st), 0);
		c.victim = attr.ino;
		c.victim_last = st.st_nlink == 1;
	}
	backing_intent_key(&d->b, ++d->request, &c);
	assert_int_equal(backing_intend(&d->b, &c), 0);
}

/* Of a second name for what the first one leads to. */
static inline void intend_of(struct dead *d, enum backing_op op, const char *of, const char *name)
{
	struct backing_change c = { .op = op, .dir = d->b.root };
	struct daxfs_source source;
	struct daxfs_attr attr;

	assert_int_equal(daxfs_lookup(d->b.fs, d->b.root, of, &attr), 0);
	assert_int_equal(daxfs_source(d->b.fs, attr.ino, &source), 0);
	strcpy(c.name, name);
	c.ino = attr.ino;
	c.file = source.file;
	backing_intent_key(&d->b, ++d->request, &c);
	assert_int_equal(backing_intend(&d->b, &c), 0);
}

static inline bool intents_left(const struct tree *t)
{
	char list[8192];
	ssize_t n = listxattr(at(&t->pod, B, "data"), list, sizeof(list));

	assert_true(n >= 0);
	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(list + i) + 1)
		if (strncmp(list + i, "trusted.daxfs.name.", 19) == 0)
			return true;
	return false;
}

static inline void await_no_intents(const struct tree *t)
{
	alarm(HANG_S);
	while (intents_left(t))
		usleep(20000);
	alarm(0);
}

#endif
