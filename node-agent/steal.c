/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steal.c - see steal.h.
 *
 * A guest's heartbeat thread has its priority among the threads of the guest alone: when the hypervisor runs another
 * guest the heart does not beat, and nothing in here can change that. It can be told afterwards, by what is missing.
 * The thread sleeps; a timer wakes it; it waits for a processor; it beats.
 *
 *   late because of          time stolen   waited for a processor   SIGCONT
 *   the hypervisor, said     most of it    -                        no
 *   the hypervisor, unsaid   0             little: the timer, too, came late      no
 *   load in this machine     little        most of it               no
 *   SIGSTOP                  0             little                   yes
 *
 * "Unsaid" is what a hypervisor without steal time looks like: an emulator, or one that its guest's kernel does not
 * know. On a machine that is no guest it is a kernel that was busy with itself. Not told from it: a process that the
 * cgroup freezer or a debugger stopped. Not seen at all: a guest whose clock was stopped as well (QMP stop, emulated).
 */
#include "node-agent/steal.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/hypervisor.h"
#include "daxfs/daxfs.h"

#define LINE_BYTES 8192
#define STEAL_COLUMN 7  /* of /proc/stat, from 0 */
#define WAITED_COLUMN 1 /* of schedstat, ns */
#define NS_PER_MS 1000000

/* A number of the first line of a file, after so many bytes of it; 0: there is none. */
static uint64_t column_of(const char *root, const char *file, size_t skip, unsigned column)
{
	char path[PATH_MAX], line[LINE_BYTES] = "", *at = line;
	unsigned long long n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s%s", root, file);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fgets(line, sizeof(line), f) && strlen(line) > skip)
		for (unsigned i = 0; i <= column; i++) /* past the last: 0 */
			n = strtoull(i ? at : line + skip, &at, 10);
	fclose(f);
	return n;
}

uint64_t steal_ms(const char *root)
{
	return column_of(root, "/proc/stat", strlen("cpu"), STEAL_COLUMN) * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

uint64_t steal_waited_ms(const char *root, int tid)
{
	char file[64];

	snprintf(file, sizeof(file), "/proc/self/task/%d/schedstat", tid);
	return column_of(root, file, 0, WAITED_COLUMN) / NS_PER_MS;
}

enum late_cause late_cause(const struct lateness *l)
{
	if (l->continued)
		return LATE_SIGNAL;
	if (l->stolen_ms > l->late_ms / 2)
		return LATE_STOLEN;
	return l->guest && l->waited_ms <= l->late_ms / 2 ? LATE_UNSEEN : LATE_LOAD;
}

unsigned steal_heartbeat_ms(unsigned late_ms, unsigned lease_ms)
{
	unsigned ms = late_ms / 2 + late_ms % 2, most = HYPERVISOR_HEARTBEAT_MS;

	if (lease_ms && lease_ms / DAXFS_LEASE_BEATS < most)
		most = lease_ms / DAXFS_LEASE_BEATS;
	return ms < most ? ms : most;
}
