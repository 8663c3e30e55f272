/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pair_times.h - of pair.c: a change of a file, and somebody who looks at its times (fs/times.c).
 *
 *   look-change    a change is decided, and another host looks at the times of before: the change moves them (T3)
 *   look-halves    both times move, and another host looks: it is not told the old ctime with the new mtime (T1)
 *   look-relied    two move times that somebody has seen, and one finds that the other has: so it is (T2)
 */
#ifndef SIM_WEAK_PAIR_TIMES_H
#define SIM_WEAK_PAIR_TIMES_H

#include <stdbool.h>

bool times_unseen(void); /* a file that nobody has looked at */
bool times_seen(void);   /* one that somebody has */
/* Host 0 changes a word: is it done without another look at the times? Host 1 looks at them: is the word as it was? */
long times_change(void *arg);
long times_look(void *arg);
/* Host 0 moves both times; host 1 looks: is it told the old ctime, and the new mtime? */
long times_move(void *arg);
long times_look_half(void *arg);
/* Host 1 changes it, too, then looks: has a time stood still? */
long times_rely(void *arg);

#endif
