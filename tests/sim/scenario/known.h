/* SPDX-License-Identifier: Apache-2.0 */
/*
 * known.h - outcomes that were looked at before.
 *
 * What recovery, the check and a look at everything find after a state follows from what there was at its end: memory
 * and caches, DRAM of the host that recovers and looks, what scripts and kernels have seen, the time. Of states that
 * end alike one is recovered and looked at; each is judged, for each has a history of its own. With --every all are
 * looked at, and two that end alike must be found the same.
 */
#ifndef SIM_SCENARIO_KNOWN_H
#define SIM_SCENARIO_KNOWN_H

#include "script/state.h"

/* A digest of all that decides what is found; 0: of storage, too, which has none. */
uint64_t known_end(unsigned dead);
/* What was found there; NULL: nobody has looked. */
const struct state *known_outcome(uint64_t end);
void known_add(uint64_t end, const struct state *outcome);
/* Another scenario begins. */
void known_forget(void);

#endif
