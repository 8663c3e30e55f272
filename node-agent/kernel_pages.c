/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_pages.c - see kernel_pages.h.
 *
 * Files are in sets of WAYS by their number; what is open cached keeps its place. Any worker, any time, under the
 * lock of its set, in which nothing waits. Crash: all is forgotten, and nothing was shared.
 */
#include "node-agent/kernel_pages.h"
#include "node-agent/thread.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>

#define SETS 16384u
#define WAYS 8u

struct pages_file {
	daxfs_ino ino;
	unsigned handles;             /* open files that are cached */
	unsigned used;                /* when: a number of the set's */
	uint64_t since;               /* no page is older than that lease; 0: not known */
	uint64_t good;                /* nor is any that an open file will come to see */
	uint64_t told_fh, told_since; /* it was told to drop its pages, under that lease, and has not read yet */
};

struct pages_set {
	unsigned uses;
	unsigned writing; /* changes under way */
	bool lost;        /* something is open cached that has found no place: all of the set may be */
	uint64_t changes;
	struct pages_file file[WAYS];
};

struct pages_question {
	fuse_req_t req;
	daxfs_ino ino;
	struct channel_place place;
	struct pages_question *next;
};

/* -- what is known of files --------------------------------------------------------------------- */

static struct pages_set *lock_set(struct kernel_pages *k, daxfs_ino ino)
{
	uint64_t at = (ino ^ ino >> 32) % SETS;

	pthread_mutex_lock(&k->set_lock[at % KERNEL_PAGES_LOCKS]);
	return &k->set[at];
}

static void unlock_set(struct kernel_pages *k, const struct pages_set *set)
{
	pthread_mutex_unlock(&k->set_lock[(size_t)(set - k->set) % KERNEL_PAGES_LOCKS]);
}

static struct pages_file *find(struct pages_set *set, daxfs_ino ino)
{
	for (unsigned i = 0; i < WAYS; i++)
		if (set->file[i].ino == ino)
			return &set->file[i];
	return NULL;
}

/* What nobody has open makes room, the oldest first. NULL: there is none. */
static struct pages_file *find_or_add(struct pages_set *set, daxfs_ino ino)
{
	struct pages_file *f = find(set, ino);

	for (unsigned i = 0; !f && i < WAYS; i++)
		if (!set->file[i].ino)
			f = &set->file[i];
	for (unsigned i = 0; !f && i < WAYS; i++)
		if (!set->file[i].handles)
			f = &set->file[i];
	for (unsigned i = 0; f && f->ino != ino && i < WAYS; i++)
		if (!set->file[i].handles && set->uses - set->file[i].used > set->uses - f->used)
			f = &set->file[i];
	if (f && f->ino != ino)
		*f = (struct pages_file){ .ino = ino };
	if (f)
		f->used = ++set->uses;
	return f;
}

/* -- opening and reading ------------------------------------------------------------------------ */

static unsigned open_cached(struct pages_file *f, uint64_t fh, uint64_t since)
{
	bool keep = f->since == since;

	if (!f->handles++)
		f->good = since;
	if (!keep) {
		f->told_fh = fh;
		f->told_since = since;
	}
	return keep ? FOPEN_KEEP_CACHE : 0;
}

unsigned kernel_pages_open(struct kernel_pages *k, daxfs_ino ino, uint64_t fh, uint64_t since)
{
	struct pages_set *set = lock_set(k, ino);
	struct pages_file *f = since && !set->writing && !set->lost ? find_or_add(set, ino) : NULL;
	unsigned flags = f ? open_cached(f, fh, since) : FOPEN_DIRECT_IO;

	unlock_set(k, set);
	return flags;
}

void kernel_pages_close(struct kernel_pages *k, daxfs_ino ino)
{
	struct pages_set *set = lock_set(k, ino);
	struct pages_file *f = find(set, ino);

	if (f && f->handles)
		f->handles--;
	unlock_set(k, set);
}

void kernel_pages_read(struct kernel_pages *k, daxfs_ino ino, uint64_t fh)
{
	struct pages_set *set = lock_set(k, ino);
	struct pages_file *f = find(set, ino);

	if (f && f->told_fh == fh) {
		f->since = f->told_since;
		f->told_fh = f->told_since = 0;
	}
	unlock_set(k, set);
}

/* Of a former life. */
static void adopt(void *context, daxfs_ino ino)
{
	struct kernel_pages *k = context;
	struct pages_set *set = lock_set(k, ino);
	struct pages_file *f = find_or_add(set, ino);

	if (f)
		f->handles++;
	else
		set->lost = true;
	unlock_set(k, set);
}

/* -- changing ------------------------------------------------------------------------------------- */

/* The kernel takes no answer that was asked for before it is told that attributes are old. */
void kernel_pages_change(struct kernel_pages *k, daxfs_ino ino)
{
	struct pages_set *set = lock_set(k, ino);
	struct pages_file *f = find(set, ino);
	bool tell = set->lost || (f && f->handles);

	set->writing++;
	set->changes++;
	if (f)
		f->since = f->good = f->told_fh = f->told_since = 0;
	unlock_set(k, set);
	if (tell)
		channel_forget_attributes(k->channel, ino);
}

void kernel_pages_changed(struct kernel_pages *k, daxfs_ino ino)
{
	struct pages_set *set = lock_set(k, ino);

	set->writing--;
	unlock_set(k, set);
}

/* -- questions ------------------------------------------------------------------------------------- */

bool kernel_pages_open_cached(struct kernel_pages *k, daxfs_ino ino)
{
	struct pages_set *set = lock_set(k, ino);
	const struct pages_file *f = find(set, ino);
	bool is = set->lost || (f && f->handles);

	unlock_set(k, set);
	return is;
}

bool kernel_pages_good(struct kernel_pages *k, daxfs_ino ino, uint64_t since)
{
	struct pages_set *set = lock_set(k, ino);
	const struct pages_file *f = find(set, ino);
	bool good = !set->lost && (!f || !f->handles || (since && f->good == since));

	unlock_set(k, set);
	return good;
}

uint64_t kernel_pages_changes(struct kernel_pages *k, daxfs_ino ino)
{
	struct pages_set *set = lock_set(k, ino);
	uint64_t changes = set->changes;

	unlock_set(k, set);
	return changes;
}

void kernel_pages_dropped(struct kernel_pages *k, daxfs_ino ino, uint64_t since, uint64_t changes)
{
	struct pages_set *set = lock_set(k, ino);
	struct pages_file *f = find(set, ino);

	if (f && !set->lost && !set->writing && set->changes == changes)
		f->since = f->good = since;
	unlock_set(k, set);
}

bool kernel_pages_question(struct kernel_pages *k, fuse_req_t req, daxfs_ino ino)
{
	struct pages_question *q = malloc(sizeof(*q));
	bool taken;

	if (!q)
		return false;
	*q = (struct pages_question){ .req = req, .ino = ino };
	channel_leave(k->channel, &q->place);
	pthread_mutex_lock(&k->lock);
	taken = !k->stop;
	if (taken) {
		*k->last = q;
		k->last = &q->next;
		pthread_cond_signal(&k->changed);
	}
	pthread_mutex_unlock(&k->lock);
	if (!taken)
		free(q);
	return taken;
}

/* NULL: none is left, and none will come. */
static struct pages_question *next_question(struct kernel_pages *k)
{
	struct pages_question *q;

	pthread_mutex_lock(&k->lock);
	while (!k->first && !k->stop)
		pthread_cond_wait(&k->changed, &k->lock);
	q = k->first;
	if (q)
		k->first = q->next;
	if (!k->first)
		k->last = &k->first;
	pthread_mutex_unlock(&k->lock);
	return q;
}

static void *answer_all(void *context)
{
	struct kernel_pages *k = context;
	struct pages_question *q;

	while ((q = next_question(k))) {
		channel_go_on(k->channel, &q->place);
		k->answer(q->req, q->ino);
		free(q);
	}
	return NULL;
}

/* -- beginning and end ------------------------------------------------------------------------------- */

int kernel_pages_start(struct kernel_pages *k, const struct channel *channel, struct estate *estate,
		       struct dropper *dropper, void (*answer)(fuse_req_t req, daxfs_ino ino))
{
	memset(k, 0, sizeof(*k));
	k->channel = channel;
	k->dropper = dropper;
	k->answer = answer;
	k->last = &k->first;
	k->set = calloc(SETS, sizeof(*k->set));
	if (!k->set)
		return -ENOMEM;
	for (unsigned i = 0; i < KERNEL_PAGES_LOCKS; i++)
		pthread_mutex_init(&k->set_lock[i], NULL);
	pthread_mutex_init(&k->lock, NULL);
	pthread_cond_init(&k->changed, NULL);
	estate_each_cached(estate, adopt, k);
	k->on = thread_start(&k->thread, NULL, answer_all, k) == 0;
	return k->on ? 0 : -EAGAIN;
}

void kernel_pages_quiesce(struct kernel_pages *k)
{
	if (!k->on || k->stop)
		return;
	pthread_mutex_lock(&k->lock);
	k->stop = true;
	pthread_cond_signal(&k->changed);
	pthread_mutex_unlock(&k->lock);
	pthread_join(k->thread, NULL);
}

void kernel_pages_stop(struct kernel_pages *k)
{
	if (!k->on)
		return;
	pthread_cond_destroy(&k->changed);
	pthread_mutex_destroy(&k->lock);
	for (unsigned i = 0; i < KERNEL_PAGES_LOCKS; i++)
		pthread_mutex_destroy(&k->set_lock[i]);
	free(k->set);
	k->on = false;
}
