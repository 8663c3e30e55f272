/* SPDX-License-Identifier: Apache-2.0 */
/*
 * opens.c - files held open: a file without a name lives until its last holder.
 *
 * Shared: one bit a host in the inode's openers words, and the host's table of
 * handles in the pool. A handle is listed before its bit is set and unlisted
 * after it is cleared, so recovery clears what is listed and scans nothing.
 * Private: how often each file is held, in a table under striped locks; only the
 * first hold and the last release touch the pool. A lane is taken before a stripe
 * is locked, never after: who holds a lane may wait for a stripe. A file that is
 * created open is in the table before anybody can find it, so that no hold or
 * release of another thread comes in between. The record that clears the bit ends
 * the host's locks of the file, too (lock.c).
 *
 * Crash after listing: recovery finds no bit. After the bit: clears it. After
 * clearing it, before finishing: the handle is still listed, recovery finishes.
 */
#include <errno.h>
#include <stdlib.h>

#include "fs/fs.h"

#define STRIPES 16u

struct held {
	uint64_t handle;
	unsigned count, slot;
	struct held *next;
};

struct opens {
	pthread_mutex_t lock[STRIPES]; /* of the chains whose hash is theirs */
	struct held **chain;           /* n_chains, a multiple of STRIPES */
	unsigned n_chains;
	pthread_mutex_t slot_lock;
	unsigned *free_slot;           /* stack of places in the pool's table */
	unsigned n_free, n_slots;
};

static sm_u64 *table(struct daxfs *fs)
{
	return fs->pool.opens + (uint64_t)fs->host * fs->pool.super.opens_per_host;
}

int opens_init(struct daxfs *fs)
{
	struct opens *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	o->n_slots = o->n_free = fs->pool.super.opens_per_host;
	o->n_chains = (o->n_slots + STRIPES) / STRIPES * STRIPES;
	o->chain = calloc(o->n_chains, sizeof(struct held *));
	o->free_slot = calloc(o->n_slots + 1, sizeof(*o->free_slot));
	if (!o->chain || !o->free_slot) {
		free(o->chain);
		free(o->free_slot);
		free(o);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < o->n_slots; i++)
		o->free_slot[i] = o->n_slots - 1 - i;
	for (unsigned i = 0; i < STRIPES; i++)
		pthread_mutex_init(&o->lock[i], NULL);
	pthread_mutex_init(&o->slot_lock, NULL);
	fs->opens = o;
	return 0;
}

unsigned opens_held(struct daxfs *fs)
{
	return fs->opens ? fs->opens->n_slots - __atomic_load_n(&fs->opens->n_free, __ATOMIC_RELAXED) : 0;
}

/* -- the shared table --------------------------------------------------------- */

static int list(struct daxfs *fs, uint64_t handle, unsigned *slot)
{
	struct opens *o = fs->opens;
	unsigned n;

	pthread_mutex_lock(&o->slot_lock);
	n = o->n_free;
	if (n) {
		*slot = o->free_slot[n - 1];
		__atomic_store_n(&o->n_free, n - 1, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&o->slot_lock);
	if (!n)
		return -ENFILE;
	/* ORD list: before the openers bit (written back). */
	sm_store(&table(fs)[*slot], handle);
	sm_persist(&fs->pool.shm, &table(fs)[*slot], sizeof(sm_u64));
	sm_drain(&fs->pool.shm);
	return 0;
}

static void unlist(struct daxfs *fs, unsigned slot)
{
	struct opens *o = fs->opens;

	/* ORD unlist: after the openers bit is clear (its record wrote it back).
	 * A crash between leaves a listed file that nobody holds: nothing to do. */
	sm_store(&table(fs)[slot], 0);
	sm_persist(&fs->pool.shm, &table(fs)[slot], sizeof(sm_u64));
	pthread_mutex_lock(&o->slot_lock);
	o->free_slot[o->n_free] = slot;
	__atomic_store_n(&o->n_free, o->n_free + 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&o->slot_lock);
}

/* -- bits --------------------------------------------------------------------- */

static int set_bit(struct lane *lane, unsigned host, uint64_t handle)
{
	struct inode inode;
	uint64_t nlink, w, bit = 1ull << (host % 32);
	int rc = inode_get(lane, handle, &inode);
	sm_u64 *word;

	if (rc)
		return rc;
	word = &inode.sm->openers[host / 32];
	w = word_settle(lane, word);
	nlink = word_settle(lane, &inode.sm->nlink);
	if (nlink_life(nlink) != DAXFS_LIFE_ALIVE)
		return -ESTALE; /* nameless and not held by us: gone as far as we know */
	if (w & bit)
		return 0;
	record_begin(lane, OP_OPEN);
	record_word(lane, word, DAXFS_S_OPENERS, w, word_payload(w, DAXFS_S_OPENERS) | bit);
	record_word(lane, &inode.sm->nlink, DAXFS_S_NLINK, nlink, word_payload(nlink, DAXFS_S_NLINK));
	return record_commit(lane);
}

static int clear_bit(struct lane *lane, unsigned host, uint64_t handle)
{
	struct sm_inode *sm;
	uint64_t w, bit = 1ull << (host % 32);
	sm_u64 *word;
	int rc;

	if (!inode_is(lane, handle, &sm))
		return 0;
	word = &sm->openers[host / 32];
	w = word_settle(lane, word);
	if (!(w & bit))
		return lane->fault ? -EIO : 0;
	record_begin(lane, OP_CLOSE);
	record_word(lane, word, DAXFS_S_OPENERS, w, word_payload(w, DAXFS_S_OPENERS) & ~bit);
	rc = locks_stage_drop(lane, host, handle, sm);
	return rc ? record_abort(lane, rc) : record_commit(lane);
}

int opens_drop(struct lane *lane, unsigned host, uint64_t handle)
{
	int rc;

	while ((rc = clear_bit(lane, host, handle)) == -EAGAIN)
		lane_renew(lane);
	return rc ? rc : inode_finish(lane, handle);
}

/* -- holding ------------------------------------------------------------------ */

static struct held **find(struct opens *o, uint64_t handle, pthread_mutex_t **lock)
{
	uint64_t hash = handle * 0x9e3779b97f4a7c15ull >> 20;
	struct held **at = &o->chain[hash % o->n_chains];

	*lock = &o->lock[hash % o->n_chains % STRIPES];
	pthread_mutex_lock(*lock);
	while (*at && (*at)->handle != handle)
		at = &(*at)->next;
	return at;
}

/* List a handle and count one hold of it, at the end of its chain. */
static int add_held(struct daxfs *fs, struct held **at, uint64_t handle)
{
	struct held *held = malloc(sizeof(*held));
	int rc;

	if (!held)
		return -ENOMEM;
	*held = (struct held){ .handle = handle, .count = 1 };
	rc = list(fs, handle, &held->slot);
	if (rc)
		free(held);
	else
		*at = held;
	return rc;
}

/* keep: leave it listed, for recovery to look at. */
static void remove_held(struct daxfs *fs, struct held **at, bool keep)
{
	struct held *held = *at;

	*at = held->next;
	if (!keep)
		unlist(fs, held->slot);
	free(held);
}

static bool hold_again(struct daxfs *fs, uint64_t handle)
{
	pthread_mutex_t *lock;
	struct held **at = find(fs->opens, handle, &lock);
	bool held = *at;

	if (held)
		(*at)->count++;
	pthread_mutex_unlock(lock);
	return held;
}

static int hold_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	uint64_t handle = *(uint64_t *)arg;
	pthread_mutex_t *lock;
	struct held **at = find(fs->opens, handle, &lock);
	int rc = 0;

	if (*at) {
		(*at)->count++;
	} else {
		rc = add_held(fs, at, handle);
		if (rc == 0)
			rc = set_bit(lane, fs->host, handle);
		if (rc && *at) /* -EIO: the bit may be set, or get set */
			remove_held(fs, at, rc == -EIO);
	}
	pthread_mutex_unlock(lock);
	return rc;
}

int daxfs_hold(struct daxfs *fs, daxfs_ino ino)
{
	if (!fs->joined)
		return fs->pool.writable ? -ESTALE : -EROFS;
	return hold_again(fs, ino) ? 0 : fs_run(fs, hold_step, &ino);
}

int opens_expect(struct daxfs *fs, uint64_t handle)
{
	pthread_mutex_t *lock;
	struct held **at = find(fs->opens, handle, &lock);
	int rc = add_held(fs, at, handle);

	pthread_mutex_unlock(lock);
	return rc;
}

void opens_forget(struct daxfs *fs, uint64_t handle)
{
	pthread_mutex_t *lock;
	struct held **at = find(fs->opens, handle, &lock);

	if (*at)
		remove_held(fs, at, false);
	pthread_mutex_unlock(lock);
}

static int release_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	uint64_t handle = *(uint64_t *)arg;
	pthread_mutex_t *lock;
	struct held **at = find(fs->opens, handle, &lock);
	int rc = 0;

	if (!*at) {
		rc = -EBADF;
	} else if ((*at)->count > 1) {
		(*at)->count--;
	} else {
		rc = opens_drop(lane, fs->host, handle);
		remove_held(fs, at, rc != 0);
	}
	pthread_mutex_unlock(lock);
	return rc;
}

int daxfs_release(struct daxfs *fs, daxfs_ino ino)
{
	return fs->joined ? fs_run(fs, release_step, &ino) : -ESTALE;
}

static int drop_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	return opens_drop(lane, fs->host, *(uint64_t *)arg);
}

void opens_fini(struct daxfs *fs)
{
	struct opens *o = fs->opens;

	if (!o)
		return;
	for (unsigned i = 0; i < o->n_chains; i++)
		while (o->chain && o->chain[i]) {
			uint64_t handle = o->chain[i]->handle;

			remove_held(fs, &o->chain[i], fs_run(fs, drop_step, &handle) != 0);
		}
	for (unsigned i = 0; i < STRIPES; i++)
		pthread_mutex_destroy(&o->lock[i]);
	pthread_mutex_destroy(&o->slot_lock);
	free(o->chain);
	free(o->free_slot);
	free(o);
	fs->opens = NULL;
}
