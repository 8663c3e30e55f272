/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steal.c - see steal.h.
 *
 * A guest's heartbeat thread has its priority among the threads of the guest alone: when the hypervisor runs another
 * guest the heart does not beat, and nothing in here can change that. So it is said: at the start, and with each
 * late heartbeat how much was taken.
 */
#include "node-agent/steal.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

#define LINE_BYTES 8192
#define STEAL_COLUMN 7 /* of /proc/stat, from 0 */
#define GUEST_MS 200u  /* a heartbeat that a guest under steal time can keep */

uint64_t steal_ms(void)
{
	FILE *f = fopen("/proc/stat", "re");
	char line[LINE_BYTES] = "", *at = line + strlen("cpu");
	unsigned long long ticks = 0;

	if (!f)
		return 0;
	if (fgets(line, sizeof(line), f))
		for (unsigned column = 0; column <= STEAL_COLUMN; column++) /* past the last: 0 */
			ticks = strtoull(at, &at, 10);
	fclose(f);
	return ticks * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

static bool is_guest(void)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char line[LINE_BYTES];
	bool guest = false;

	while (f && !guest && fgets(line, sizeof(line), f))
		guest = strncmp(line, "flags", 5) == 0 && strstr(line, " hypervisor");
	if (f)
		fclose(f);
	return guest;
}

void steal_warn(unsigned period_ms)
{
	if (period_ms < GUEST_MS && is_guest())
		log_note("this machine is a guest: on a busy hypervisor a heartbeat of %u ms may cost its life; %u are "
			 "safer (daxfsctl heartbeat)",
			 period_ms, GUEST_MS);
}
