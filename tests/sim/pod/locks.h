/* SPDX-License-Identifier: Apache-2.0 */
/*
 * locks.h - who has which lock for sure, and who perhaps.
 *
 * From when a host is told that it has a lock until it begins to give it up, it
 * has it for sure: nobody else may be told the same, not while the host is dead
 * either, until its recovery begins. From when it first asks until it is told
 * that the lock is gone, or is recovered, it has it perhaps: that alone excuses
 * a refusal. A file is a few cells here, an owner is a worker.
 */
#ifndef SIM_POD_LOCKS_H
#define SIM_POD_LOCKS_H

#include "pod/oracle.h"

void locks_reset(void);
/* An operation begins: a lock, or a release, which may end locks. */
void locks_begin(struct pending *p);
/* May it be refused now? */
bool locks_refusable(const struct op *op);
/* It is over; NULL, or what is wrong. */
const char *locks_end(const struct pending *p, long rc);
/* The host does not hold the file any more, for sure. */
void locks_released(unsigned slot, uint64_t ino);
/* It begins to leave, or to be recovered; nothing is left of it. */
void locks_ending(unsigned slot);
void locks_ended(unsigned slot);

#endif
