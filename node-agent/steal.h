/* SPDX-License-Identifier: Apache-2.0 */
/* steal.h - what a hypervisor takes of a guest's time. */
#ifndef NODE_AGENT_STEAL_H
#define NODE_AGENT_STEAL_H

#include <stdint.h>

/* Of all processors together, since boot; 0 where the kernel does not say. */
uint64_t steal_ms(void);
/* Say so where this machine is a guest, as far as its processor says, and the heartbeat is short for one. */
void steal_warn(unsigned period_ms);

#endif
