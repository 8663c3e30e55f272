/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history.h - what two hosts did when, and whether that is legal.
 *
 * Two scripts, a by host 0 and b by host 1. A history has for every command
 * when it began, and when it ended and with what result unless its host died in
 * it. It is legal, together with the state that was seen afterwards, if the
 * commands can be put in one order that respects both scripts and real time,
 * in which every finished command is, each unfinished one is or is not, and
 * whose sequential execution by the library gives the same results and the same
 * state (linearizability, Herlihy & Wing 1990). The sequential executions all
 * have the same start (references.h).
 *
 * A listing is not of one moment. While the other host was at work, each name
 * is there or not as it is in some order; all the rest is as above.
 *
 * An inode without name and holder is reclaimed some time after its last name
 * went: by who removed it, or, had that host died, by recovery. Until then its
 * handle works. So a command's result may also be the one it has when nothing
 * is reclaimed before the end; the state afterwards is the same. And when one host
 * is recovered while the other works, what it held open goes at some moment then. If
 * it may have had locks, or open files, what the other may do changes at that moment, and so does the
 * state: then the recovery has a place in the order.
 */
#ifndef SIM_EXHAUSTIVE_HISTORY_H
#define SIM_EXHAUSTIVE_HISTORY_H

#include "exhaustive/references.h"

struct history {
	uint64_t clock;
	unsigned recovered; /* 1 + the host that died, and was recovered while the other was at work; or 0 */
	unsigned n[2];      /* commands begun */
	uint64_t digest;    /* of what judging asks of the following */
	struct {
		uint64_t begun, ended; /* ended 0: not */
		char result[RESULT_BYTES];
	} event[2][SCRIPT_MAX];
};

void history_begin(struct history *h, unsigned host);
void history_end(struct history *h, unsigned host, const char *result);

/* Equal for histories that are judged alike, if nothing else differs. */
uint64_t history_digest(const struct history *h);

/* A script as the argument of a run that keeps a history. */
struct performance {
	const struct script *script;
	struct history *history; /* NULL: nobody asks */
	unsigned host;
};
long perform(void *arg);

/* NULL if legal, else why not, in buf. */
const char *history_judge(const struct history *h, struct references *refs, unsigned dead, const struct state *state,
			  char *buf, size_t size);

#endif
