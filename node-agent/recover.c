/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recover.c - a thread that looks for assigned recoveries once a heartbeat.
 *
 * Apart from the heartbeat, so that a long recovery does not silence this host.
 * If this host dies in the middle, its recoverer is assigned both and goes on
 * from what is in the pool; nothing is kept here.
 */
#include "node-agent/recover.h"
#include "node-agent/thread.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"

#define REPORTS_MAX 8

void recover_log(const struct daxfs_recovery *r)
{
	log_note("recovered host %u generation %u in %.1f ms: %llu records finished, %llu rolled back, "
		 "%llu objects finalized, %llu open files released, %llu files finished",
		 r->host, r->generation, (double)r->ns / 1e6, (unsigned long long)r->finished,
		 (unsigned long long)r->rolled_back, (unsigned long long)r->objects, (unsigned long long)r->opens,
		 (unsigned long long)r->files);
}

/* -ESTALE is the heartbeat's to notice. Anything else is said once, not on
 * every period it lasts. Returns what to compare the next outcome with. */
static int recover_once(struct recover *r, int last_error)
{
	struct daxfs_recovery reports[REPORTS_MAX];
	int n = daxfs_recover_assigned(r->fs, reports, REPORTS_MAX);

	if (n < 0) {
		if (n != last_error && n != -ESTALE)
			log_fail("recovery failed and will be tried again: %s; run daxfsctl check", strerror(-n));
		return n;
	}
	for (int i = 0; i < n && i < REPORTS_MAX; i++)
		recover_log(&reports[i]);
	atomic_fetch_add(&r->recovered, (unsigned)n);
	return 0;
}

static void wait_period(struct recover *r)
{
	const struct timespec until = clock_deadline(CLOCK_MONOTONIC, daxfs_heartbeat_ms(r->fs));

	pthread_cond_timedwait(&r->wake, &r->lock, &until);
}

static void *recover_main(void *context)
{
	struct recover *r = context;
	int error = 0;

	pthread_mutex_lock(&r->lock);
	while (!r->stop) {
		pthread_mutex_unlock(&r->lock);
		error = recover_once(r, error);
		pthread_mutex_lock(&r->lock);
		if (!r->stop)
			wait_period(r);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

static void destroy(struct recover *r)
{
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->lock);
}

int recover_start(struct recover *r)
{
	pthread_condattr_t attr;
	int error;

	r->stop = false;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->wake, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&r->lock, NULL);
	error = thread_start(&r->thread, NULL, recover_main, r);
	if (error)
		destroy(r);
	return error;
}

void recover_stop(struct recover *r)
{
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	destroy(r);
}
