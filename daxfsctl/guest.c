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
	struct guest *g = context;

	while (!atomic_load(&g->stop)) {
		if (daxfs_beat(g->fs) == -ESTALE) {
			atomic_store(&g->dead, true);
			return NULL;
		}
		pause_ms(daxfs_heartbeat_ms(g->fs));
	}
	return NULL;
}

static void *recover(void *context)
{
	struct daxfs_recovery reports[REPORTS];
	struct guest *g = context;

	while (!atomic_load(&g->stop)) {
		daxfs_recover_assigned(g->fs, reports, REPORTS);
		pause_ms(daxfs_heartbeat_ms(g->fs));
	}
	return NULL;
}

/* -- coming and going ----------------------------------------------------------------- */

static void begin(struct guest *g, struct daxfs *fs)
{
	g->fs = fs;
	g->beats = g->recovers = false;
	atomic_init(&g->stop, false);
	atomic_init(&g->dead, false);
}

/* In the slot, from here on. */
static void live(void *guest)
{
	struct sched_param priority = { .sched_priority = PRIORITY };
	struct guest *g = guest;

	g->beats = pthread_create(&g->heart, NULL, beat, g) == 0;
	if (g->beats)
		pthread_setschedparam(g->heart, SCHED_FIFO, &priority); /* or without, where it is not allowed */
}

static int no_thread(struct daxfs *fs, struct daxfs_error *err)
{
	daxfs_leave(fs);
	return daxfs_error_set(err, -EAGAIN, "no thread for the heartbeat");
}

static int come_alive(struct guest *g, struct daxfs_error *err)
{
	live(g);
	return g->beats ? 0 : no_thread(g->fs, err);
}

static const char *introduce(const char *command, char name[32], struct daxfs_identity *who)
{
	char machine[HOST_NAME_MAX + 1] = "";

	*who = (struct daxfs_identity){ .pid = (uint32_t)getpid() };
	gethostname(machine, sizeof(machine) - 1);
	machine[strcspn(machine, ".")] = '\0';
	snprintf(name, 32, "%.9s@%.13s.%u", command, machine, (unsigned)getpid());
	daxfs_identity_here(NULL, NULL, who, NULL); /* not known: then only the operator can prove its death */
	return name;
}

static int join_one(struct daxfs *fs, unsigned slot, const char *command, struct daxfs_error *err)
{
	struct daxfs_identity who;
	char name[32];

	return daxfs_join_as(fs, slot, introduce(command, name, &who), &who, err);
}

/* The last slot first: that is kept for such times. */
static int join_any(struct daxfs *fs, const char *command, struct daxfs_error *err)
{
	struct daxfs_geometry g;
	int rc = -EBUSY;

	daxfs_geometry(fs, &g);
	for (unsigned host = g.hosts; rc == -EBUSY && host > 0; host--)
		rc = join_one(fs, host - 1, command, err);
	return rc;
}

int guest_come(struct guest *g, struct daxfs *fs, const char *command, struct daxfs_error *err)
{
	int rc = -EBUSY;

	begin(g, fs);
	for (unsigned tries = 0; rc == -EBUSY && tries < TRIES; tries++) {
		if (tries)
			pause_ms(PAUSE_MS);
		rc = join_any(fs, command, err);
	}
	if (rc == 0)
		rc = come_alive(g, err);
	if (rc == 0)
		g->recovers = pthread_create(&g->recoverer, NULL, recover, g) == 0;
	return rc;
}

int guest_come_to(struct guest *g, struct daxfs *fs, unsigned slot, const char *command, struct daxfs_error *err)
{
	int rc;

	begin(g, fs);
	rc = join_one(fs, slot, command, err);
	return rc ? rc : come_alive(g, err);
}

int guest_revive(struct guest *g, struct daxfs *fs, unsigned slot, const char *command, struct daxfs_recovery *report,
		 struct daxfs_error *err)
{
	struct daxfs_identity who;
	char name[32];
	int rc;

	begin(g, fs);
	rc = daxfs_revive(fs, slot, introduce(command, name, &who), &who, live, g, report, err);
	if (rc == 0 && !g->beats)
		return no_thread(fs, err);
	if (rc && g->beats)
		guest_go(g);
	return rc;
}

int guest_go(struct guest *g)
{
	atomic_store(&g->stop, true);
	if (g->recovers)
		pthread_join(g->recoverer, NULL);
	pthread_join(g->heart, NULL);
	return atomic_load(&g->dead) ? -ESTALE : daxfs_leave(g->fs);
}
