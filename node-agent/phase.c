/* SPDX-License-Identifier: Apache-2.0 */
/* phase.c - which phase of an agent follows which: see phase.h. */
#include "node-agent/phase.h"

#define TO(phase) (1u << (phase))

static const unsigned follow[AGENT_PHASES] = {
	[AGENT_STARTING] = TO(AGENT_WAITING) | TO(AGENT_JOINED),
	[AGENT_WAITING] = TO(AGENT_JOINED),
	[AGENT_JOINED] = TO(AGENT_BEATING),
	[AGENT_BEATING] = TO(AGENT_RECOVERING),
	[AGENT_RECOVERING] = TO(AGENT_MOUNTING),
	/* Back: there is no mount. ENDED: the kernel refused it, or it was gone at once. */
	[AGENT_MOUNTING] = TO(AGENT_RECOVERING) | TO(AGENT_SERVING) | TO(AGENT_ENDED),
	[AGENT_SERVING] = TO(AGENT_ENDED),
	[AGENT_ENDED] = 0,
};

bool agent_phase_move(agent_phase_word *word, enum agent_phase to)
{
	enum agent_phase from = atomic_load(word);

	do {
		if (from >= AGENT_PHASES || !(follow[from] & TO(to)))
			return false;
	} while (!atomic_compare_exchange_weak(word, &from, to));
	return true;
}
