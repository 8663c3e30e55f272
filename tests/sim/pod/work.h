/* SPDX-License-Identifier: Apache-2.0 */
/* work.h - workers: what they choose to do, and doing it. */
#ifndef SIM_POD_WORK_H
#define SIM_POD_WORK_H

#include "pod/oracle.h"

/* A worker's life: the argument is its actor. */
long worker_main(void *arg);
/* One operation by a context, as the library does it. */
void work_perform(struct daxfs *fs, const struct op *op, uint8_t *buf, struct outcome *out);

#endif
