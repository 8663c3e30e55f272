/* SPDX-License-Identifier: Apache-2.0 */
/* proof.h - has it been tested that the pool's memory is coherent between its hosts? */
#ifndef NODE_AGENT_PROOF_H
#define NODE_AGENT_PROOF_H

#include <stdbool.h>

#include "daxfs/inspect.h"

/*
 * What to warn of when a host joins, or NULL: the test found the memory not coherent, or a device that hosts of several
 * machines share was not tested by any two. hosts: slots of the pool; proof: NULL if there is none.
 */
const char *proof_warning(bool device, unsigned hosts, const struct daxfs_coherence *proof);
/* Is that path a device? */
bool proof_is_device(const char *path);

#endif
