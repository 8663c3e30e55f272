/* SPDX-License-Identifier: Apache-2.0 */
/* condition.h - why a pod is DEGRADED: which host, and since when. */
#ifndef DAXFSCTL_CONDITION_H
#define DAXFSCTL_CONDITION_H

#include "daxfs/member.h"

#define CONDITIONS_MAX 208u

struct condition {
	char code[24];     /* "host-fencing": for programs; daxfsctl(8) lists them */
	int host;          /* -1: of the pod */
	uint64_t since_ns; /* CLOCK_REALTIME; 0: not known */
	char text[168];
};

struct snapshot;

/* Of a pool that was read without fabricd: states of hosts, and since when by the pool's events. */
void condition_direct(struct snapshot *s, const struct daxfs_member *m);
/* One that daxfsctl itself has found. */
void condition_add(struct snapshot *s, const char *code, int host, uint64_t since_ns, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
unsigned condition_count(const struct snapshot *s, const char *code);

#endif
