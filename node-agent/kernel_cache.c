/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_cache.c - see kernel_cache.h.
 *
 * The thread does nothing that waits for a request: the notifications that it sends take no lock
 * that a request holds. It looks often while others ask, and seldom when nobody does. Crash: the host's leases run out.
 */
#include "node-agent/kernel_cache.h"
#include "node-agent/thread.h"

#include <errno.h>
#include <linux/fuse.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"

#define NS_PER_MS 1000000ll
#define BUSY_NS 50000ll
#define BUSY_LOOKS 40u /* after a request; 2 ms */
#define IDLE_NS NS_PER_MS
#define ARRIVE_NS (500 * NS_PER_MS) /* in a pool without leases */
#define TICKS_NS (20 * NS_PER_MS)   /* the kernel counts in ticks of up to 10 ms, and rounds up */

/* -- answers that are on their way ---------------------------------------------------------- */

static bool is_on_its_way(const struct kernel_cache *k, const struct kernel_asker *a)
{
	return atomic_load(&a->thread) && clock_ns() < a->since_ns + k->arrive_ns;
}

bool kernel_cache_tells(struct kernel_cache *k, uint32_t thread, daxfs_ino ino, bool listing)
{
	struct kernel_asker *a = &k->asker[thread % KERNEL_ASKERS];
	bool noted;

	if (!thread) /* of a PID namespace that is not ours */
		return false;
	pthread_mutex_lock(&k->lock);
	noted = !is_on_its_way(k, a) || atomic_load(&a->thread) == thread;
	if (noted) {
		a->ino = ino;
		a->listing = listing;
		a->since_ns = clock_ns();
		atomic_store(&a->thread, thread);
	}
	pthread_mutex_unlock(&k->lock);
	return noted;
}

/* Does a thread wait for the answer of every request that it has made before, when it makes this one? */
static bool is_in_order(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_LOOKUP:
	case FUSE_GETATTR:
	case FUSE_SETATTR:
	case FUSE_STATFS:
	case FUSE_READLINK:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_SYMLINK:
	case FUSE_CREATE:
	case FUSE_LINK:
	case FUSE_UNLINK:
	case FUSE_RMDIR:
	case FUSE_RENAME:
	case FUSE_RENAME2:
	case FUSE_OPEN:
	case FUSE_OPENDIR:
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
	case FUSE_GETXATTR:
	case FUSE_LISTXATTR:
	case FUSE_FLUSH: return true;
	default: return false;
	}
}

/* With the lock. */
static void lose_no_more(struct kernel_cache *k, struct kernel_loser *l)
{
	if (l->ino)
		atomic_fetch_sub(&k->losing[l->ino % KERNEL_LOSING], 1);
	l->ino = 0;
	atomic_store(&l->thread, 0);
}

/* By its handle a file is looked up in itself. */
void kernel_cache_asked(struct kernel_cache *k, uint32_t thread, uint32_t opcode, daxfs_ino ino)
{
	struct kernel_asker *a = &k->asker[thread % KERNEL_ASKERS];
	struct kernel_loser *l = &k->loser[thread % KERNEL_ASKERS];

	kernel_made_asked(&k->made, thread, is_in_order(opcode), opcode == FUSE_LOOKUP ? 0 : ino);
	if (!thread || (atomic_load(&a->thread) != thread && atomic_load(&l->thread) != thread) || !is_in_order(opcode))
		return;
	pthread_mutex_lock(&k->lock);
	if (atomic_load(&a->thread) == thread)
		atomic_store(&a->thread, 0);
	if (atomic_load(&l->thread) == thread)
		lose_no_more(k, l);
	pthread_mutex_unlock(&k->lock);
}

/* What a former process has told nobody knows. */
static bool former_tells(const struct kernel_cache *k)
{
	return clock_ns() < k->former_ns;
}

/* Is a listing on its way, of a directory, or of any (0)? */
static bool is_listed(struct kernel_cache *k, daxfs_ino dir)
{
	bool found = former_tells(k);

	pthread_mutex_lock(&k->lock);
	for (unsigned i = 0; i < KERNEL_ASKERS && !found; i++) {
		const struct kernel_asker *a = &k->asker[i];

		found = is_on_its_way(k, a) && a->listing && (!dir || a->ino == dir);
	}
	pthread_mutex_unlock(&k->lock);
	return found;
}

/* Is an answer about an inode on its way, to any thread but one (0: to any)? */
static bool is_told(struct kernel_cache *k, daxfs_ino ino, uint32_t but)
{
	bool found = former_tells(k);

	pthread_mutex_lock(&k->lock);
	for (unsigned i = 0; i < KERNEL_ASKERS && !found; i++) {
		const struct kernel_asker *a = &k->asker[i];

		found = is_on_its_way(k, a) && !a->listing && a->ino == ino && (!but || atomic_load(&a->thread) != but);
	}
	pthread_mutex_unlock(&k->lock);
	return found;
}

bool kernel_cache_told_another(struct kernel_cache *k, uint32_t thread, daxfs_ino ino)
{
	return kernel_cache_keeps_names(k) && is_told(k, ino, thread);
}

/* -- names that are removed ------------------------------------------------------------------ */

/* With the lock. Who has had the time to count it loses nothing any more. */
static bool is_losing(struct kernel_cache *k, struct kernel_loser *l)
{
	if (l->ino && clock_ns() >= l->since_ns + k->arrive_ns)
		lose_no_more(k, l);
	return l->ino;
}

/* With the lock, of a file that is asked for: as above, and a thread that has ended has counted. */
static bool may_be_losing(struct kernel_cache *k, struct kernel_loser *l)
{
	uint32_t thread = atomic_load(&l->thread);

	if (is_losing(k, l) && thread && thread_is_gone(thread))
		lose_no_more(k, l);
	return l->ino;
}

/* With the lock: a free place, at that of the thread, or behind it; NULL: there is none. */
static struct kernel_loser *free_loser(struct kernel_cache *k, uint32_t thread)
{
	for (unsigned i = 0; i < KERNEL_ASKERS; i++) {
		struct kernel_loser *l = &k->loser[(thread + i) % KERNEL_ASKERS];

		if (!is_losing(k, l))
			return l;
	}
	return NULL;
}

/* If it cannot be noted, all names are looked up again, and what is left is what is told of that file from now on. */
void kernel_cache_loses(struct kernel_cache *k, uint32_t thread, daxfs_ino ino)
{
	struct kernel_loser *l;

	pthread_mutex_lock(&k->lock);
	l = free_loser(k, thread);
	if (l) {
		l->ino = ino;
		l->since_ns = clock_ns();
		atomic_store(&l->thread, thread);
		atomic_fetch_add(&k->losing[ino % KERNEL_LOSING], 1);
	}
	pthread_mutex_unlock(&k->lock);
	if (!l)
		kernel_cache_forget_names(k);
}

/* The removal is noted before it happens: who was told that it has happened finds the note. */
unsigned kernel_cache_uncounted(struct kernel_cache *k, daxfs_ino ino)
{
	unsigned found = 0;

	if (!atomic_load(&k->losing[ino % KERNEL_LOSING]))
		return 0;
	pthread_mutex_lock(&k->lock);
	for (unsigned i = 0; i < KERNEL_ASKERS; i++)
		if (k->loser[i].ino == ino)
			found += may_be_losing(k, &k->loser[i]);
	pthread_mutex_unlock(&k->lock);
	if (found)
		kernel_cache_forget_names(k);
	return found;
}

void kernel_cache_counts(struct kernel_cache *k, daxfs_ino ino)
{
	if (kernel_cache_uncounted(k, ino))
		channel_forget_attributes(k->channel, ino);
}

/* -- giving back -------------------------------------------------------------------------- */

/*
 * Whoever takes an answer while we look has made the inode known, so we tell the kernel once more after a
 * look that found nobody. An error other than ENOENT: the mount is gone, and all that was kept of it.
 */
static bool forget_attributes(struct kernel_cache *k, daxfs_ino ino, bool arrives)
{
	if (channel_forget_attributes(k->channel, ino) != -ENOENT && !arrives)
		return true;
	if (arrives || is_told(k, ino, 0) || is_listed(k, 0))
		return false;
	channel_forget_attributes(k->channel, ino);
	return true;
}

static bool drop(void *context, daxfs_ino ino, bool names)
{
	struct kernel_cache *k = context;
	bool arrives = kernel_made_arrives(&k->made, ino);

	kernel_cache_uncounted(k, ino);
	if (names && kernel_cache_keeps_names(k)) {
		while (is_listed(k, ino))
			clock_nap_ns(BUSY_NS);
		channel_forget_names(k->channel);
	}
	return forget_attributes(k, ino, arrives);
}

/* In a worker, in a call that is about to change it. */
static bool changes(void *context, daxfs_ino ino, bool names)
{
	struct kernel_cache *k = context;

	(void)names;
	kernel_made_settle(&k->made, ino);
	return forget_attributes(k, ino, false);
}

static void *give_back(void *context)
{
	struct kernel_cache *k = context;
	unsigned looks = BUSY_LOOKS;

	while (!atomic_load(&k->stop)) {
		looks = daxfs_lease_poll(k->fs, drop, k) ? 0 : looks + 1;
		clock_nap_ns(looks < BUSY_LOOKS ? BUSY_NS : IDLE_NS);
	}
	return NULL;
}

int kernel_cache_start(struct kernel_cache *k, struct daxfs *fs, const struct channel *channel, struct estate *estate,
		       unsigned lease_ms, enum kernel_keeps wanted)
{
	int error;

	memset(k, 0, sizeof(*k));
	k->fs = fs;
	k->channel = channel;
	k->keeps = KERNEL_KEEPS_NOTHING;
	k->arrive_ns = lease_ms ? lease_ms * NS_PER_MS / 4 : ARRIVE_NS;
	pthread_mutex_init(&k->lock, NULL);
	kernel_made_start(&k->made, estate, k->arrive_ns, channel->goes_on);
	if (!lease_ms || wanted == KERNEL_KEEPS_NOTHING)
		return 0;
	k->former_ns = channel->goes_on ? clock_ns() + k->arrive_ns : 0;
	error = channel->goes_on ? daxfs_lease_go_on(fs, changes, k) : daxfs_lease_start(fs, changes, k);
	if (!error)
		error = thread_start(&k->thread, NULL, give_back, k);
	if (error) {
		daxfs_lease_stop(fs);
		return error;
	}
	k->keeps = channel->can & CHANNEL_EPOCHS ? wanted : KERNEL_KEEPS_ATTRIBUTES;
	if (k->keeps != wanted)
		log_note("this kernel cannot be told to forget names (6.16 can): it keeps attributes alone");
	if (channel->goes_on)
		kernel_cache_forget_names(k);
	return 0;
}

/* The root is known as long as there is a mount. */
void kernel_cache_stop(struct kernel_cache *k)
{
	if (k->keeps == KERNEL_KEEPS_NOTHING)
		return;
	atomic_store(&k->stop, true);
	pthread_join(k->thread, NULL);
	if (channel_forget_attributes(k->channel, DAXFS_ROOT))
		daxfs_lease_stop(k->fs);
	k->keeps = KERNEL_KEEPS_NOTHING;
}

/* -- answers --------------------------------------------------------------------------------- */

void kernel_cache_begin(struct kernel_cache *k, struct daxfs_answer *answer)
{
	if (kernel_cache_keeps_attributes(k))
		daxfs_answer_begin(k->fs, answer);
}

bool kernel_cache_end(struct kernel_cache *k, const struct daxfs_answer *answer)
{
	return !kernel_cache_keeps_attributes(k) || daxfs_answer_end(k->fs, answer);
}

double kernel_cache_seconds(uint64_t lease_ns)
{
	return lease_ns > TICKS_NS ? (double)(lease_ns - TICKS_NS) / 1e9 : 0;
}

void kernel_cache_forget(struct kernel_cache *k, daxfs_ino ino)
{
	if (!kernel_cache_keeps_attributes(k))
		return;
	kernel_made_await(&k->made, ino);
	channel_forget_attributes(k->channel, ino);
}

void kernel_cache_forget_names(struct kernel_cache *k)
{
	if (kernel_cache_keeps_names(k))
		channel_forget_names(k->channel);
}
