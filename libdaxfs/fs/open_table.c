/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open_table.c - files held open: a file without a name lives until its last holder.
 *
 * Shared: one bit a host in the inode's openers words, and the host's table of
 * handles in the pool. A handle is listed before its bit is set and unlisted
 * after it is cleared, so recovery clears what is listed and scans nothing.
 * Private: how often each file is open, in a table under striped locks; only the
 * first open and the last close touch the pool. A thread takes a lane before it locks a
 * stripe, never after, so a thread with a lane may wait for a stripe. Neighbouring inodes
 * share a stripe, because a lane takes them one after the other: so threads
 * that make files of their own share no line of either table. A file that is
 * created open is in the table before another thread can find it, so that no open or
 * close of such a thread comes in between. The record that clears the bit ends
 * the host's locks of the file, too (lock.c).
 *
 * A directory may be open for its locks alone: keep.c says what the pool has of that. The mark there is taken off
 * before somebody else opens it here, and put on after the last of them has closed it; both under the stripe's lock,
 * with its state.
 *
 * A load that fails under a stripe's lock is caught there (fs_try, shm_guard_run): the thread unlocks the
 * stripe, and treats the failure as any -EIO. A file that could not be released stays listed.
 *
 * Crash after listing: recovery finds no bit. After the bit: clears it. After clearing
 * it: the handle is still listed, recovery finishes. A file without a name is finished after
 * it is unlisted and its stripe let go, for others wait for that: lane.todo names it by then.
 */
#include <errno.h>
#include <stdlib.h>

#include "fs/lease.h"

#define STRIPES 64u
#define NEIGHBOURS 64u /* inodes next to each other, of one stripe */

/* Is the keep of a directory in the pool? UNSURE: what a former process left, or a record that failed. */
enum resting { AWAY, UNSURE, RESTING };

struct open_file {
	uint64_t handle;
	uint64_t count; /* would take centuries to come round */
	uint64_t kept;  /* of these, for locks alone */
	unsigned slot;
	enum resting resting;
	struct open_file *next;
};

struct stripe {
	pthread_mutex_t lock; /* of its chains, and what follows */
	unsigned place;       /* of the pool's table: where to look first for a free one */
	unsigned listed;      /* read by anybody */
	char apart[2 * DAXFS_LINE];
};

struct open_table {
	struct stripe stripe[STRIPES];
	unsigned n_slots, chains; /* chains of each stripe */
	struct open_file *chain[];
};

static sm_u64 *table(struct daxfs *fs)
{
	return fs->pool.open_table + (uint64_t)fs->host * fs->pool.super.opens_per_host;
}

int open_table_init(struct daxfs *fs)
{
	unsigned n_slots = fs->pool.super.opens_per_host, chains = n_slots / STRIPES + 1;
	struct open_table *o = calloc(1, sizeof(*o) + chains * STRIPES * sizeof(struct open_file *));

	if (!o)
		return -ENOMEM;
	o->n_slots = n_slots;
	o->chains = chains;
	for (unsigned i = 0; i < STRIPES; i++) {
		pthread_mutex_init(&o->stripe[i].lock, NULL);
		o->stripe[i].place = n_slots / STRIPES * i;
	}
	fs->open_table = o;
	return 0;
}

unsigned open_table_count(struct daxfs *fs)
{
	unsigned n = 0;

	for (unsigned i = 0; fs->open_table && i < STRIPES; i++)
		n += __atomic_load_n(&fs->open_table->stripe[i].listed, __ATOMIC_RELAXED);
	return n;
}

/* -- the shared table --------------------------------------------------------- */

/* what goes into the table, or comes out of it */
struct listing {
	struct daxfs *fs;
	struct stripe *stripe;
	uint64_t handle;
	unsigned slot;
};

/* A place of the table is free while it names nothing. */
static int find_place(struct daxfs *fs, struct stripe *stripe, uint64_t handle, unsigned *slot)
{
	unsigned n = fs->open_table->n_slots;

	for (unsigned i = 0; i < n; i++) {
		unsigned at = (stripe->place + i) % n;
		sm_u64 *place = &table(fs)[at];

		if (pool_lost(&fs->pool, place, sizeof(*place)))
			continue;
		/* ORD list: before the openers bit (written back: the record that sets it drains before it is
		 * published). A crash leaves a listed file that nobody holds: nothing to do. */
		if (sm_load_relaxed(place) || !sm_cas(place, 0, handle))
			continue;
		sm_flush(&fs->pool.shm, place, sizeof(*place));
		stripe->place = at + 1;
		__atomic_store_n(&stripe->listed, stripe->listed + 1, __ATOMIC_RELAXED);
		*slot = at;
		return 0;
	}
	return -ENFILE;
}

static int list_guarded(void *arg)
{
	struct listing *l = arg;

	return find_place(l->fs, l->stripe, l->handle, &l->slot);
}

static int clear_guarded(void *arg)
{
	struct listing *l = arg;
	sm_u64 *place = &table(l->fs)[l->slot];

	/* ORD unlist: after the openers bit is clear (its record wrote it back), and a lane names
	 * what is to be finished. A crash between leaves a listed file that nobody holds. */
	if (!pool_lost(&l->fs->pool, place, sizeof(*place))) {
		sm_store(place, 0);
		sm_flush(&l->fs->pool.shm, place, sizeof(*place));
	}
	return 0;
}

static int list(struct daxfs *fs, struct stripe *stripe, uint64_t handle, unsigned *slot)
{
	struct listing l = { fs, stripe, handle, 0 };
	int rc = fs_guarded(fs, list_guarded, &l);

	*slot = l.slot;
	return rc;
}

/* A place whose memory fails is as good as empty: recovery goes past it. */
static void unlist(struct daxfs *fs, struct stripe *stripe, unsigned slot)
{
	struct listing l = { fs, stripe, 0, slot };

	fs_guarded(fs, clear_guarded, &l);
	stripe->place = slot;
	__atomic_store_n(&stripe->listed, stripe->listed - 1, __ATOMIC_RELAXED);
}

/* -- letting go --------------------------------------------------------------- */

static int drop(struct lane *lane, unsigned host, uint64_t handle)
{
	int rc = opens_clear(lane, host, handle, false);

	if (rc == 0)
		rc = inode_finish_or_list(lane, handle);
	return rc > 0 ? 0 : rc;
}

/*
 * Our bit is clear: if the file has no name, nobody but us may be about to finish it, so the
 * lane names it before the table does not. With a name there is nothing to finish: who takes
 * that from now on finds no bit of ours.
 */
static void name_nameless(struct lane *lane, uint64_t handle)
{
	struct sm_inode *sm;

	if (!inode_is(lane, handle, &sm) || nlink_life(word_help(lane, &sm->nlink)) == DAXFS_LIFE_ALIVE)
		return;
	lane_todo(lane, handle);
	sm_drain(&lane->pool->shm); /* ORD unlist: the name is written back before the place of the table is */
}

/* -- holding ------------------------------------------------------------------ */

/* Where a file is, or would be, in the table; its stripe is locked. */
static struct open_file **find(struct open_table *o, uint64_t handle, struct stripe **stripe)
{
	uint64_t index = handle_index(handle), s = index / NEIGHBOURS % STRIPES;
	struct open_file **at = &o->chain[s * o->chains + index % o->chains];

	*stripe = &o->stripe[s];
	pthread_mutex_lock(&(*stripe)->lock);
	while (*at && (*at)->handle != handle)
		at = &(*at)->next;
	return at;
}

/* List a handle and count one hold of it, at the end of its chain. */
static int add_held(struct daxfs *fs, struct stripe *stripe, struct open_file **at, uint64_t handle)
{
	struct open_file *held = malloc(sizeof(*held));
	int rc;

	if (!held)
		return -ENOMEM;
	*held = (struct open_file){ .handle = handle, .count = 1 };
	rc = list(fs, stripe, handle, &held->slot);
	if (rc)
		free(held);
	else
		*at = held;
	return rc;
}

/* keep: leave it listed, for recovery to look at. */
static void remove_held(struct daxfs *fs, struct stripe *stripe, struct open_file **at, bool keep)
{
	struct open_file *held = *at;

	*at = held->next;
	if (!keep)
		unlist(fs, stripe, held->slot);
	free(held);
}

static bool hold_again(struct daxfs *fs, uint64_t handle)
{
	struct stripe *stripe;
	struct open_file **at = find(fs->open_table, handle, &stripe);
	bool held = *at && (*at)->resting == AWAY;

	if (held)
		(*at)->count++;
	pthread_mutex_unlock(&stripe->lock);
	return held;
}

/* K1: who opens it relies on the names of a directory from here on. */
static int wake(struct daxfs *fs, struct lane *lane, struct open_file *file)
{
	int rc = 0;

	if (file->resting != AWAY) {
		file->resting = UNSURE;
		rc = keep_set(fs, lane, file->handle, false);
	}
	if (rc == 0)
		file->resting = AWAY;
	return rc;
}

static int set_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	return opens_set(lane, fs->host, *(uint64_t *)arg);
}

static int let_go_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	uint64_t handle = *(uint64_t *)arg;
	int rc = opens_clear(lane, fs->host, handle, false);

	if (rc == 0)
		name_nameless(lane, handle);
	return rc;
}

static int drop_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	return drop(lane, fs->host, *(uint64_t *)arg);
}

struct holding {
	uint64_t handle;
	bool keep; /* for locks alone */
};

static int hold_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct holding *h = arg;
	struct stripe *stripe;
	struct open_file **at = find(fs->open_table, h->handle, &stripe);
	int rc = 0;

	if (*at) {
		rc = h->keep ? 0 : wake(fs, lane, *at);
		(*at)->count += rc == 0;
	} else {
		rc = add_held(fs, stripe, at, h->handle);
		if (rc == 0)
			rc = fs_try(fs, lane, set_step, &h->handle);
		if (rc && *at) /* -EIO: the bit may be set, or get set */
			remove_held(fs, stripe, at, rc == -EIO);
	}
	if (rc == 0)
		(*at)->kept += h->keep;
	pthread_mutex_unlock(&stripe->lock);
	return rc;
}

int daxfs_file_open(struct daxfs *fs, daxfs_ino ino)
{
	struct holding h = { .handle = ino };
	int rc = fs_ready(fs);

	if (rc)
		return rc;
	return hold_again(fs, ino) ? 0 : fs_run(fs, hold_step, &h);
}

int opens_expect(struct daxfs *fs, uint64_t handle)
{
	struct stripe *stripe;
	struct open_file **at = find(fs->open_table, handle, &stripe);
	int rc = add_held(fs, stripe, at, handle);

	pthread_mutex_unlock(&stripe->lock);
	return rc;
}

void opens_forget(struct daxfs *fs, uint64_t handle)
{
	struct stripe *stripe;
	struct open_file **at = find(fs->open_table, handle, &stripe);

	if (*at)
		remove_held(fs, stripe, at, false);
	pthread_mutex_unlock(&stripe->lock);
}

/* Is all that is left who keeps it for its locks, and has that not been said? */
static bool may_rest(const struct open_file *file)
{
	return file->kept && file->kept == file->count && file->resting != RESTING;
}

static int rest_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	uint64_t handle = *(uint64_t *)arg;
	struct stripe *stripe;
	struct open_file **at = find(fs->open_table, handle, &stripe);
	int rc = 0;

	if (*at && may_rest(*at)) {
		rc = wake(fs, lane, *at); /* of what is not known: that of another process would stay */
		if (rc == 0) {
			(*at)->resting = UNSURE;
			rc = keep_set(fs, lane, handle, true);
		}
		if (rc == 0)
			(*at)->resting = RESTING;
	}
	pthread_mutex_unlock(&stripe->lock);
	return rc;
}

struct release {
	uint64_t handle;
	bool keep; /* one that is for locks alone */
	bool left; /* by a former process: nobody of this one has it open */
	bool rests;
};

static bool may_release(const struct open_file *file, const struct release *r)
{
	if (r->left)
		return file->count == 0;
	return r->keep ? file->kept : file->count > file->kept;
}

static int release_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct release *r = arg;
	uint64_t handle = r->handle;
	struct stripe *stripe;
	struct open_file **at = find(fs->open_table, handle, &stripe);
	bool last = false;
	int rc = 0;

	if (!*at || !may_release(*at, r)) {
		rc = -EBADF;
	} else if ((*at)->count > 1) {
		(*at)->count--;
		(*at)->kept -= r->keep;
		r->rests = may_rest(*at);
	} else {
		rc = fs_try(fs, lane, let_go_step, &handle);
		remove_held(fs, stripe, at, rc != 0);
		last = rc == 0;
	}
	pthread_mutex_unlock(&stripe->lock);
	/* Without the stripe: it takes as long as the file is large. */
	if (last)
		rc = inode_finish_or_list(lane, handle);
	return rc > 0 ? 0 : rc;
}

static int release(struct daxfs *fs, struct release r)
{
	int rc = fs_run(fs, release_step, &r);

	if (rc == 0 && r.rests)
		fs_run(fs, rest_step, &r.handle); /* else names stay until it is tried again */
	return rc;
}

int daxfs_file_close(struct daxfs *fs, daxfs_ino ino)
{
	return release(fs, (struct release){ .handle = ino });
}

int daxfs_dir_unkeep(struct daxfs *fs, daxfs_ino dir)
{
	return release(fs, (struct release){ .handle = dir, .keep = true });
}

int daxfs_dir_keep(struct daxfs *fs, daxfs_ino dir)
{
	struct holding h = { .handle = dir, .keep = true };
	int rc = fs_ready(fs);

	if (rc == 0)
		rc = fs_run(fs, hold_step, &h);
	if (rc)
		return rc;
	rc = fs_run(fs, rest_step, &dir);
	if (rc && rc != -ENOSPC && rc != -ENOLCK)
		daxfs_dir_unkeep(fs, dir);
	return rc;
}

/* -- taking over ---------------------------------------------------------------- */

struct adoption {
	uint64_t handle;
	bool held; /* our host has its bit set */
};

/* Without its bit a file was being opened, or closed: there is nothing to hold, but perhaps a file to finish. */
static int adopt_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct adoption *a = arg;
	struct sm_inode *sm;

	a->held = inode_is(lane, a->handle, &sm) && word_help(lane, &sm->openers[fs->host / 32]) >> (fs->host % 32) & 1;
	if (a->held || lane->txn.fault)
		return 0;
	return inode_finish_or_list(lane, a->handle) < 0 ? -EIO : 0;
}

/* Listed at a place by a predecessor: for us to hold, or unlisted. */
static int adopt(struct daxfs *fs, unsigned slot, uint64_t handle)
{
	struct adoption a = { .handle = handle };
	int rc = fs_run(fs, adopt_step, &a);
	struct open_file **at, *held = NULL;
	struct stripe *stripe;

	if (rc)
		return rc;
	at = find(fs->open_table, handle, &stripe);
	__atomic_store_n(&stripe->listed, stripe->listed + 1, __ATOMIC_RELAXED);
	if (a.held && !*at) {
		held = calloc(1, sizeof(*held));
		rc = held ? 0 : -ENOMEM;
	}
	if (held) {
		held->handle = handle;
		held->slot = slot;
		held->resting = UNSURE;
		*at = held;
	} else if (rc == 0) {
		unlist(fs, stripe, slot); /* not held, or listed twice */
	}
	pthread_mutex_unlock(&stripe->lock);
	return rc;
}

int open_table_adopt(struct daxfs *fs)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < fs->open_table->n_slots; i++) {
		const sm_u64 *place = &table(fs)[i];
		uint64_t handle = pool_lost(&fs->pool, place, sizeof(*place)) ? 0 : sm_load(place);

		if (handle)
			rc = adopt(fs, i, handle);
	}
	return rc;
}

/* The first of a chain that nobody holds: its handle, or 0. */
static uint64_t unheld(struct open_table *o, unsigned chain)
{
	struct stripe *stripe = &o->stripe[chain / o->chains];
	const struct open_file *file;
	uint64_t handle;

	pthread_mutex_lock(&stripe->lock);
	for (file = o->chain[chain]; file && file->count; file = file->next)
		;
	handle = file ? file->handle : 0;
	pthread_mutex_unlock(&stripe->lock);
	return handle;
}

int open_table_settle(struct daxfs *fs)
{
	struct open_table *o = fs->open_table;
	uint64_t handle;
	int rc;

	for (unsigned i = 0; i < o->chains * STRIPES; i++)
		while ((handle = unheld(o, i))) {
			rc = release(fs, (struct release){ .handle = handle, .left = true });
			if (rc && rc != -EBADF) /* somebody has just opened it */
				return rc;
		}
	return 0;
}

void open_table_fini(struct daxfs *fs)
{
	struct open_table *o = fs->open_table;

	if (!o)
		return;
	for (unsigned i = 0; i < o->chains * STRIPES; i++)
		while (o->chain[i]) {
			uint64_t handle = o->chain[i]->handle;
			bool kept = fs_run(fs, drop_step, &handle) != 0;

			remove_held(fs, &o->stripe[i / o->chains], &o->chain[i], kept);
		}
	for (unsigned i = 0; i < STRIPES; i++)
		pthread_mutex_destroy(&o->stripe[i].lock);
	free(o);
	fs->open_table = NULL;
}
