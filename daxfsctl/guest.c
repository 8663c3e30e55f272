/* SPDX-License-Identifier: Apache-2.0 */
/* guest.c - daxfsctl in a slot of the pod: see guest.h. */
#include "daxfsctl/guest.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PRIORITY 50   /* as an agent's heartbeat */
#define TRIES 50u     /* while a slot of a former guest is watched, whether it stands still */
#define PAUSE_MS 100u /* between them */
#define REPORTS 8u

static void pause_ms(unsigned ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000l };

	nanosleep(&t, NULL);
}

static void *beat(void *context)
{
	struct daxfs_recovery reports[REPORTS];
	struct guest *g = context;

	while (!atomic_load(&g->stop)) {
		if (daxfs_beat(g->fs) == -ESTALE) {
			atomic_store(&g->dead, true);
			return NULL;
		}
		daxfs_recover_assigned(g->fs, reports, REPORTS);
		pause_ms(daxfs_heartbeat_ms(g->fs));
	}
	return NULL;
}

int guest_join(struct daxfs *fs, unsigned slot, const char *command, struct daxfs_error *err)
{
	struct daxfs_identity who = { .pid = (uint32_t)getpid() };
	char machine[HOST_NAME_MAX + 1] = "", name[32];

	gethostname(machine, sizeof(machine) - 1);
	machine[strcspn(machine, ".")] = '\0';
	snprintf(name, sizeof(name), "%.9s@%.13s.%u", command, machine, (unsigned)getpid());
	daxfs_identity_here(NULL, NULL, &who, NULL); /* not known: then only the operator can prove its death */
	return daxfs_join_as(fs, slot, name, &who, err);
}

/* The last slot first: that is kept for such times. */
static int join_any(struct daxfs *fs, const char *command, struct daxfs_error *err)
{
	struct daxfs_geometry g;
	int rc = -EBUSY;

	daxfs_geometry(fs, &g);
	for (unsigned host = g.hosts; rc == -EBUSY && host > 0; host--)
		rc = guest_join(fs, host - 1, command, err);
	return rc;
}

int guest_come(struct guest *g, struct daxfs *fs, const char *command, struct daxfs_error *err)
{
	struct sched_param priority = { .sched_priority = PRIORITY };
	int rc = -EBUSY;

	g->fs = fs;
	atomic_init(&g->stop, false);
	atomic_init(&g->dead, false);
	for (unsigned tries = 0; rc == -EBUSY && tries < TRIES; tries++) {
		if (tries)
			pause_ms(PAUSE_MS);
		rc = join_any(fs, command, err);
	}
	if (rc)
		return rc;
	rc = -pthread_create(&g->thread, NULL, beat, g);
	if (rc) {
		daxfs_leave(fs);
		return daxfs_error_set(err, rc, "no thread for the heartbeat");
	}
	pthread_setschedparam(g->thread, SCHED_FIFO, &priority); /* or without, where it is not allowed */
	return 0;
}

int guest_go(struct guest *g)
{
	atomic_store(&g->stop, true);
	pthread_join(g->thread, NULL);
	return atomic_load(&g->dead) ? -ESTALE : daxfs_leave(g->fs);
}
