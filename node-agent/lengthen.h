/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lengthen.h - a guest that its hypervisor stops has the pool's heartbeat made longer, before it is taken for dead.
 *
 * What that costs the pod: a host that dies is declared dead later, after ten of the new heartbeats; at most after
 * five of the longest stop that was seen, and never after more than 2 s. So it is done on evidence, by a guest, for a
 * pool on a device: hosts that share a file are one machine's, and stop with whoever judges them. The pool's events and
 * `daxfsctl status` say who did it. It is the operator who makes it shorter again, and then it stays so: an agent
 * lengthens nothing any more, in its life, once somebody has undone what it did.
 */
#ifndef NODE_AGENT_LENGTHEN_H
#define NODE_AGENT_LENGTHEN_H

#include <stdbool.h>

struct lengthen {
	const char *pool; /* NULL: it is not for this host to do */
	unsigned host;
	unsigned done_ms; /* what it has made it last; 0: nothing yet */
	bool overruled;
};

/* A heartbeat was so late because of the hypervisor. */
void lengthen_for(struct lengthen *l, unsigned late_ms);

#endif
