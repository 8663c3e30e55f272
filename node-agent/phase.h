/* SPDX-License-Identifier: Apache-2.0 */
/*
 * phase.h - how far the life of an agent has got.
 *
 * STARTING -> WAITING -> JOINED -> BEATING -> RECOVERING -> MOUNTING -> SERVING -> ENDED
 *
 * Each phase has all that the ones before it have; what has to be undone at the end is told by the phase. Three
 * threads move it, each by a step that is its own: the event loop up to MOUNTING, FUSE's first worker to
 * SERVING, its loop to ENDED. The heartbeat looks at it. A step that does not follow is not made.
 */
#ifndef AGENT_PHASE_H
#define AGENT_PHASE_H

#include <stdatomic.h>
#include <stdbool.h>

enum agent_phase {
	AGENT_STARTING,   /* the pool is mapped */
	AGENT_WAITING,    /* for the slot, and has said so */
	AGENT_JOINED,     /* the slot is ours */
	AGENT_BEATING,    /* the heart beats */
	AGENT_RECOVERING, /* hosts that died are recovered */
	AGENT_MOUNTING,   /* workers are being started, or wait for the kernel to shake hands */
	AGENT_SERVING,    /* it has; the service manager is told */
	AGENT_ENDED,      /* nobody serves the mount any more: it was unmounted, or failed */
	AGENT_PHASES
};

typedef _Atomic(enum agent_phase) agent_phase_word;

/* Make the step to a phase, if it follows the one that is. */
bool agent_phase_move(agent_phase_word *word, enum agent_phase to);

#endif
