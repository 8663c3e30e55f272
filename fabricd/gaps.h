/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gaps.h - how near to being declared dead hosts come, and have come.
 *
 * A host that is silent for half of the polls after which it is FENCING, or for three quarters, is warned of with the
 * gap in milliseconds, once each; when it beats again that is said, with the whole gap. Counts of polls, so a manager
 * that was late itself warns of nobody. The last times between two beats, as they were seen at polls, are kept for the
 * events of a host's end. One thread.
 */
#ifndef FABRICD_GAPS_H
#define FABRICD_GAPS_H

#include <stddef.h>
#include <stdint.h>

#include "fabricd/decide.h"

struct watch;

#define GAPS_KEPT 8u

struct gaps {
	struct gap {
		unsigned percent; /* of the deadline, the last that was warned of; 0: none */
		uint64_t now_ms, worst_ms;
		uint64_t tenancy; /* that worst_ms, and what follows, is of */
		uint64_t beat, moved_ms;
		uint64_t n; /* times that the counter was seen to have moved */
		uint32_t apart_ms[GAPS_KEPT];
	} host[DECIDE_HOSTS_MAX];
};

/* After a poll. */
void gaps_poll(struct gaps *gaps, const struct watch *w);
/* "beats 50 51 49 ms apart", the last one last; empty: fewer than two were seen. */
const char *gaps_text(const struct gaps *gaps, unsigned host, char *buf, size_t size);

#endif
