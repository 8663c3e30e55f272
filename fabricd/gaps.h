/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gaps.h - how near to being declared dead hosts come, and have come.
 *
 * A host that is silent for half of the polls after which it is FENCING, or for three quarters, is warned of with the
 * gap in milliseconds, once each; when it beats again that is said, with the whole gap. Counts of polls, so a manager
 * that was late itself warns of nobody. One thread.
 */
#ifndef FABRICD_GAPS_H
#define FABRICD_GAPS_H

#include <stdint.h>

#include "fabricd/decide.h"

struct watch;

struct gaps {
	struct gap {
		unsigned percent; /* of the deadline, the last that was warned of; 0: none */
		uint64_t now_ms, worst_ms;
		uint64_t tenancy; /* that worst_ms is of */
	} host[DECIDE_HOSTS_MAX];
};

/* After a poll. */
void gaps_poll(struct gaps *gaps, const struct watch *w);

#endif
