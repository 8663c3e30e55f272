/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_cache.c - see kernel_cache.h.
 *
 * The thread does nothing that waits for a request: the notifications that it sends take no lock
 * that a request holds. It looks often while others ask, and seldom when nobody does. Crash: the host's leases run out.
 */
#include "node-agent/kernel_cache.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"

#define NS_PER_MS 1000000ll
#define BUSY_NS 50000ll
#define BUSY_LOOKS 40u /* after a request; 2 ms */
#define IDLE_NS NS_PER_MS
#define TICKS_NS (20 * NS_PER_MS) /* the kernel counts in ticks of up to 10 ms, and rounds up */

static void nap(int64_t ns)
{
	const struct timespec t = { .tv_nsec = ns };

	nanosleep(&t, NULL);
}

/* -- listings that are on their way ----------------------------------------------------- */

bool kernel_cache_lists(struct kernel_cache *k, uint64_t fh, daxfs_ino dir)
{
	bool noted = false;

	if (!kernel_cache_keeps_names(k) || !fh)
		return false;
	pthread_mutex_lock(&k->lock);
	for (unsigned i = 0; i < KERNEL_LISTINGS_MAX && !noted; i++)
		if (!k->listing[i].fh || clock_ns() >= k->listing[i].since_ns + k->arrive_ns) {
			k->listing[i].fh = fh;
			k->listing[i].dir = dir;
			k->listing[i].since_ns = clock_ns();
			noted = true;
		}
	pthread_mutex_unlock(&k->lock);
	return noted;
}

void kernel_cache_listed(struct kernel_cache *k, uint64_t fh)
{
	if (!kernel_cache_keeps_names(k) || !fh)
		return;
	pthread_mutex_lock(&k->lock);
	for (unsigned i = 0; i < KERNEL_LISTINGS_MAX; i++)
		if (k->listing[i].fh == fh)
			k->listing[i].fh = 0;
	pthread_mutex_unlock(&k->lock);
}

static bool is_listing(struct kernel_cache *k, daxfs_ino dir)
{
	bool found = false;

	pthread_mutex_lock(&k->lock);
	for (unsigned i = 0; i < KERNEL_LISTINGS_MAX; i++)
		found |= k->listing[i].fh && k->listing[i].dir == dir &&
			 clock_ns() < k->listing[i].since_ns + k->arrive_ns;
	pthread_mutex_unlock(&k->lock);
	return found;
}

/* -- giving back -------------------------------------------------------------------------- */

/* An error other than ENOENT: the mount is gone, and all that was kept of it. */
static bool drop(void *context, daxfs_ino ino, bool names)
{
	struct kernel_cache *k = context;

	if (names && kernel_cache_keeps_names(k)) {
		while (is_listing(k, ino))
			nap(BUSY_NS);
		channel_forget_names(k->channel);
	}
	return channel_forget_attributes(k->channel, ino) != -ENOENT;
}

/* In a worker, at the end of a call that has changed it. */
static bool changed(void *context, daxfs_ino ino, bool names)
{
	struct kernel_cache *k = context;

	(void)names;
	return channel_forget_attributes(k->channel, ino) == 0;
}

static void *give_back(void *context)
{
	struct kernel_cache *k = context;
	unsigned looks = BUSY_LOOKS;

	while (!atomic_load(&k->stop)) {
		looks = daxfs_lease_poll(k->fs, drop, k) ? 0 : looks + 1;
		nap(looks < BUSY_LOOKS ? BUSY_NS : IDLE_NS);
	}
	return NULL;
}

static int start_thread(struct kernel_cache *k)
{
	sigset_t all, old;
	int error;

	sigfillset(&all);
	sigdelset(&all, SIGBUS); /* a load of the pool that fails is its thread's own */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = -pthread_create(&k->thread, NULL, give_back, k);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return error;
}

int kernel_cache_start(struct kernel_cache *k, struct daxfs *fs, const struct channel *channel, unsigned lease_ms,
		       enum kernel_keeps wanted)
{
	int error;

	memset(k, 0, sizeof(*k));
	k->fs = fs;
	k->channel = channel;
	k->keeps = KERNEL_KEEPS_NOTHING;
	if (!lease_ms || wanted == KERNEL_KEEPS_NOTHING)
		return 0;
	k->arrive_ns = lease_ms * NS_PER_MS / 4;
	pthread_mutex_init(&k->lock, NULL);
	error = daxfs_lease_start(fs, changed, k);
	if (!error)
		error = start_thread(k);
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
	pthread_mutex_destroy(&k->lock);
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
	if (kernel_cache_keeps_attributes(k))
		channel_forget_attributes(k->channel, ino);
}

void kernel_cache_forget_names(struct kernel_cache *k)
{
	if (kernel_cache_keeps_names(k))
		channel_forget_names(k->channel);
}
