/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steal.h - what a hypervisor takes of a guest's time.
 *
 * root: "", or a directory with a proc of its own, for tests.
 */
#ifndef NODE_AGENT_STEAL_H
#define NODE_AGENT_STEAL_H

#include <stdbool.h>
#include <stdint.h>

/* Of all processors together, since boot; 0 where the kernel does not say. */
uint64_t steal_ms(const char *root);
/* How long a thread of this process has waited for a processor, since it began; 0 where the kernel does not say. */
uint64_t steal_waited_ms(const char *root, int tid);

/* Why a heartbeat was late. */
enum late_cause {
	LATE_LOAD,   /* others in this machine had the processor; or nobody knows */
	LATE_SIGNAL, /* this process was stopped by a signal */
	LATE_STOLEN, /* the hypervisor says that it took the time */
	LATE_UNSEEN, /* nobody in this guest had the time: the hypervisor took it, and does not say so */
};

struct lateness {
	unsigned late_ms;
	uint64_t stolen_ms, waited_ms; /* meanwhile: as above */
	bool guest, continued;         /* a signal made us go on */
};

enum late_cause late_cause(const struct lateness *l);

/*
 * The heartbeat that a guest needs which was stopped for so long: five such stops fit into the silence after which it
 * is declared dead. Not more than a guest has from the beginning, nor than leases allow (0: there are none).
 */
unsigned steal_heartbeat_ms(unsigned late_ms, unsigned lease_ms);

#endif
