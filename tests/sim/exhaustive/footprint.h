/* SPDX-License-Identifier: Apache-2.0 */
/*
 * footprint.h - what each of two hosts touches: words in gpf pools, lines in wb pools.
 *
 * A place matters that one host changes and the other reads or changes. It is
 * not known beforehand which ones do: the more is played, the more are noted.
 */
#ifndef SIM_EXHAUSTIVE_FOOTPRINT_H
#define SIM_EXHAUSTIVE_FOOTPRINT_H

#include "machine/seam.h"

struct footprint {
	uint8_t *how; /* per word or line */
	unsigned shift;
	uint64_t shared; /* places that matter */
	bool grown;      /* by one more; the reader clears it */
};

/* Of the world as it is; none noted yet. */
void footprint_begin(struct footprint *t);
/* Of a step about to happen: does the other host mind? */
bool footprint_note(struct footprint *t, unsigned host, const struct seam_event *event);

#endif
