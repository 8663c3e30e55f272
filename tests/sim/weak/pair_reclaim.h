/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pair_reclaim.h - of pair.c: host 0 loads a word behind an announcement, and host 1 retires what it named.
 *
 *   enter-scan     a word is loaded behind an announcement, and what it named is retired: it is in use
 *   join-scan      the same of a host that has just come, whose slot was free (V1 of sync/slots.h)
 *   extend-scan    the same of an object that is younger than the announcement was; taken-over: in a left lane
 *   adopt-scan     of three: a helper protects what an ended record was about: in use, for a third host's scan
 *   join-adopt     the same, and the helper has just come
 */
#ifndef SIM_WEAK_PAIR_RECLAIM_H
#define SIM_WEAK_PAIR_RECLAIM_H

#include <stdbool.h>

struct run;

bool reclaim_name_object(void);   /* a word names an object */
bool reclaim_name_and_free(void); /* ... and host 0 has no slot */
bool reclaim_enter_before(void);  /* ... that is younger than what lane 0 announces */
bool reclaim_meet_record(void);   /* lane 0 is in a record when what a word of it lies in is retired */
bool reclaim_meet_and_free(void); /* ... and host 2 has no slot */
/* Host 0: what does the word name? */
long reclaim_enter_and_load(void *arg);
long reclaim_join_and_load(void *arg);
long reclaim_load(void *arg);
long reclaim_take_over_and_load(void *arg);
/* Host 1: may the object be used again? */
long reclaim_retire_and_scan(void *arg);
long reclaim_scan(void *arg);
long reclaim_end_record(void *arg);
/* Host 2: is the record still in flight? Then what its words lie in is looked at. */
long reclaim_adopt(void *arg);
long reclaim_join_and_adopt(void *arg);
/* What would be wrong. */
bool reclaim_used_again(const struct run *run);
bool reclaim_used_under_helper(const struct run *run);

#endif
