/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hang.h - how long a test waits for what must come.
 *
 * Nothing takes so long, on any machine and beside any load: what has not come
 * by then never comes. No test says anything else about time.
 */
#ifndef TESTS_UNIT_HANG_H
#define TESTS_UNIT_HANG_H

#define HANG_S 600

#endif
