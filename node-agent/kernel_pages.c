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
	bool fixed;                   /* it never changes; the rest is of those that may, but for: */
	unsigned handles;             /* open files that are cached */
	unsigned used;                /* when: a number of the set's */
	uint64_t since;               /* no page is older than that lease; 0: not known */
	uint64_t good;                /* nor is any that an open file will come to see */
	uint64_t told_fh, told_since; /* it was told to drop its pages, under that lease, and has not read yet */
	unsigned waiting;             /* reads by open files that are cached wait for storage */
};

struct pages_set {
	unsigned uses;
	unsigned writing; /* changes under way */
	bool lost;        /* something is open cached that has found no place: all of the set may be */
	uint64_t changes; /* how often one has begun or ended */
	struct pages_file file[WAYS];
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

	f->fixed = false;
	if (!f->handles++)
		f->good = since;
	if (!keep) {
		f->told_fh = fh;
		f->told_since = since;
	}
	return keep ? FOPEN_KEEP_CACHE : 0;
}

/* A page that waits for storage is locked, and to drop it in open(2) would wait for that. */
static unsigned open_direct(const struct pages_file *f)
{
	return FOPEN_DIRECT_IO | (f && f->waiting ? FOPEN_KEEP_CACHE : 0);
}

unsigned kernel_pages_open(struct kernel_pages *k, daxfs_ino ino, uint64_t fh, uint64_t since)
{
	struct pages_set *set = lock_set(k, ino);
	struct pages_file *f = k->drops && since && !set->writing && !set->lost ? find_or_add(set, ino) : NULL;
	unsigned flags = f && (!f->waiting || f->since == since) ? open_cached(f, fh, since)
								 : open_direct(find(set, ino));

	unlock_set(k, set);
	return flags;
}

/* One that has no place is direct, for who closes it would not find it. */
unsigned kernel_pages_open_fixed(struct kernel_pages *k, daxfs_ino ino, bool direct, bool cold)
{
	struct pages_set *set = lock_set(k, ino);
	struct pages_file *f = find(set, ino);
	unsigned how = FOPEN_KEEP_CACHE;

	if (!direct && !cold)
		f = find_or_add(set, ino);
	if (!direct && f && (!cold || f->fixed)) {
		f->fixed = true;
		f->handles++;
	} else {
		how |= FOPEN_DIRECT_IO;
	}
	unlock_set(k, set);
	return how;
}

unsigned kernel_pages_open_direct(struct kernel_pages *k, daxfs_ino ino)
{
	struct pages_set *set = lock_set(k, ino);
	unsigned flags = open_direct(find(set, ino));

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

/* What has no place here is open in no way that it would be dropped by: `lost`. */
bool kernel_pages_wait(struct kernel_pages *k, daxfs_ino ino)
{
	struct pages_set *set = lock_set(k, ino);
	struct pages_file *f = find(set, ino);
	bool noted = f && f->handles && !f->fixed;

	if (noted)
		f->waiting++;
	unlock_set(k, set);
	return noted;
}

void kernel_pages_waited(struct kernel_pages *k, daxfs_ino ino)
{
	struct pages_set *set = lock_set(k, ino);
	struct pages_file *f = find(set, ino);
	bool last = f && f->waiting && --f->waiting == 0;

	unlock_set(k, set);
	if (last)
		kernel_questions_again(&k->questions);
}

static bool waits(void *context, daxfs_ino ino)
{
	struct kernel_pages *k = context;
	struct pages_set *set = lock_set(k, ino);
	const struct pages_file *f = find(set, ino);
	bool is = f && f->waiting;

	unlock_set(k, set);
	return is;
}

void kernel_pages_told(struct kernel_pages *k, daxfs_ino ino)
{
	if (waits(k, ino))
		channel_forget_attributes(k->channel, ino);
}

/* Of a former life, with these settings. If others may be open cached, it counts as one that may change. */
static void adopt(void *context, daxfs_ino ino)
{
	struct kernel_pages *k = context;
	struct pages_set *set = lock_set(k, ino);
	struct pages_file *f = find_or_add(set, ino);

	if (f) {
		f->handles++;
		f->fixed = !k->drops;
	} else {
		set->lost = true;
	}
	unlock_set(k, set);
}

/* -- changing ------------------------------------------------------------------------------------- */

/* The kernel takes no answer that was asked for before it is told that attributes are old. */
void kernel_pages_change(struct kernel_pages *k, daxfs_ino ino)
{
	struct pages_set *set = lock_set(k, ino);
	struct pages_file *f = find(set, ino);
	bool tell = k->drops && (set->lost || (f && f->handles));

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
	set->changes++; /* who began to drop pages in the middle of it must learn of it, too */
	unlock_set(k, set);
}

/* -- questions ------------------------------------------------------------------------------------- */

bool kernel_pages_open_cached(struct kernel_pages *k, daxfs_ino ino)
{
	struct pages_set *set = lock_set(k, ino);
	const struct pages_file *f = find(set, ino);
	bool is = k->drops && (set->lost || (f && f->handles && !f->fixed));

	unlock_set(k, set);
	return is;
}

bool kernel_pages_good(struct kernel_pages *k, daxfs_ino ino, uint64_t since)
{
	struct pages_set *set = lock_set(k, ino);
	const struct pages_file *f = find(set, ino);
	bool good = !k->drops || (!set->lost && (!f || !f->handles || f->fixed || (since && f->good == since)));

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

bool kernel_pages_question(struct kernel_pages *k, fuse_req_t req, daxfs_ino ino, int backing)
{
	return kernel_questions_add(&k->questions, req, ino, backing);
}

/* -- beginning and end ------------------------------------------------------------------------------- */

int kernel_pages_start(struct kernel_pages *k, const struct channel *channel, struct estate *estate,
		       struct dropper *dropper, void (*answer)(fuse_req_t req, daxfs_ino ino, int backing, int drop))
{
	int rc;

	memset(k, 0, sizeof(*k));
	k->channel = channel;
	k->drops = dropper != NULL;
	k->questions = (struct kernel_questions){
		.channel = channel, .dropper = dropper, .answer = answer, .waits = waits, .context = k
	};
	k->set = calloc(SETS, sizeof(*k->set));
	if (!k->set)
		return -ENOMEM;
	for (unsigned i = 0; i < KERNEL_PAGES_LOCKS; i++)
		pthread_mutex_init(&k->set_lock[i], NULL);
	estate_each_cached(estate, adopt, k);
	rc = k->drops ? kernel_questions_start(&k->questions) : 0;
	k->on = rc == 0;
	return rc;
}

void kernel_pages_quiesce(struct kernel_pages *k)
{
	if (k->on && k->drops && !k->stuck)
		k->stuck = !kernel_questions_quiesce(&k->questions);
}

void kernel_pages_stop(struct kernel_pages *k)
{
	if (!k->on || k->stuck)
		return;
	if (k->drops)
		kernel_questions_stop(&k->questions);
	for (unsigned i = 0; i < KERNEL_PAGES_LOCKS; i++)
		pthread_mutex_destroy(&k->set_lock[i]);
	free(k->set);
	k->on = false;
}
