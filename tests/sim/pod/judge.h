/* SPDX-License-Identifier: Apache-2.0 */
/* judge.h - operations under way, and whether their results are right. */
#ifndef SIM_POD_JUDGE_H
#define SIM_POD_JUDGE_H

#include "pod/oracle.h"

#define OP_STEPS 60000u /* in which an operation ends whoever is dead; a search of full tables takes 26000 */
#define OP_STORED_STEPS                                                                                                \
	(16 * OP_STEPS) /* of storage: there may be no room for each page of it, and others to be asked */

void pendings_reset(void);
/* The model has changed by op: what is permitted now, to whoever is under way? */
void pendings_refresh(const struct op *op);
/* A commit was taken back: what it permitted stays permitted, what it demanded is not. */
void pendings_look(void);
/* Somebody wants a lock: who else may be refused one? */
void pendings_see_lock(void);
/* The process on a machine died: nobody waits for its operations any more. */
void pendings_orphan(unsigned machine);
/* A slot is recovered: what its dead tenant was at has happened or never will. */
void pendings_bury(unsigned slot, uint32_t generation);
unsigned pendings_count(void);

#endif
