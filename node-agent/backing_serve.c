/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backing_serve.c - reading storage, and looking at names and files, for hosts that have it not; and asking for that.
 *
 * A thread a backing looks whether others ask for something (daxfs_asked, which is one load), often while they do,
 * and gives it to the threads that read. One that stops, or dies, leaves what it took: the other hosts ask again.
 */
#include "node-agent/backing.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define BUSY_US 200u
#define IDLE_US 2000u
#define BUSY_LOOKS 100u /* without an ask, and it is idle */

struct served {
	struct backing_work work; /* first */
	struct backing *b;        /* kept */
	struct daxfs_ask ask;
};

static void run(struct backing_work *work)
{
	struct served *s = (struct served *)work;

	if (!backing_has_stopped(s->b))
		daxfs_serve(s->b->fs, &s->ask); /* who asks is told what comes of it */
	backing_put(s->b);
	free(s);
}

/* The backing is kept for it. False: there is nothing now. */
static bool serve_one(struct backing *b)
{
	struct served *s = calloc(1, sizeof(*s));

	if (!s || daxfs_asked(b->fs, b->number, &s->ask) <= 0) {
		free(s);
		return false;
	}
	s->work.run = run;
	s->b = b;
	pthread_mutex_lock(&b->lock);
	b->users++;
	pthread_mutex_unlock(&b->lock);
	backing_add(b, &s->work, false);
	return true;
}

static bool is_serving(struct backing *b, bool *stop)
{
	bool serving;

	pthread_mutex_lock(&b->lock);
	*stop = b->stop;
	serving = b->attached && !b->stop;
	b->users += serving;
	pthread_mutex_unlock(&b->lock);
	return serving;
}

void *backing_server(void *context)
{
	struct backing *b = context;
	unsigned idle = BUSY_LOOKS;
	bool stop = false;

	while (!stop) {
		const struct timespec nap = { .tv_nsec = (idle < BUSY_LOOKS ? BUSY_US : IDLE_US) * 1000l };
		bool serving = is_serving(b, &stop);

		idle++;
		while (serving && serve_one(b))
			idle = 0;
		if (serving)
			backing_put(b);
		nanosleep(&nap, NULL);
	}
	return NULL;
}

int backing_list_for_others(void *context, daxfs_ino dir)
{
	return backing_list(context, dir);
}

int backing_look_for_others(void *context, daxfs_ino ino)
{
	return backing_look_at(context, ino);
}

int backing_find_for_others(void *context, daxfs_ino dir, uint64_t key)
{
	return backing_find(context, dir, key);
}

int backing_ask_name(struct backing *others, daxfs_ino dir, const char *name)
{
	backing_others_revalidate(others, dir);
	return backing_has_stopped(others) ? -ENOTCONN : daxfs_ask_name(others->fs, dir, name);
}

int backing_ask_look(struct backing *others, daxfs_ino ino)
{
	int rc = -ENOTCONN;

	backing_others_revalidate(others, ino);
	if (!backing_has_stopped(others))
		rc = daxfs_ask_look(others->fs, ino);
	if (rc == 0)
		backing_note(others, ino, 0, "", true);
	return rc;
}

int backing_ask_names(struct backing *others, daxfs_ino dir)
{
	const struct daxfs_attr unknown = { .mode = 0 };
	struct daxfs_source before = { .stamp = 0 };
	int rc = -ENOTCONN;

	backing_others_revalidate(others, dir);
	daxfs_source(others->fs, dir, &before);
	if (!backing_has_stopped(others))
		rc = daxfs_ask_names(others->fs, dir);
	if (rc == 0)
		backing_note_list(others, dir, &unknown, before.stamp);
	return rc;
}
