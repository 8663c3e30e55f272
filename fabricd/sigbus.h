/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sigbus.h - reading a pool that may go away.
 *
 * A region that was truncated, poisoned or unplugged answers a load with
 * SIGBUS. Inside guard_run that is an error of the function called; anywhere
 * else it is the bug it looks like, and kills the process.
 */
#ifndef FABRICD_GUARD_H
#define FABRICD_GUARD_H

/* Once, before the first guard_run. -errno. */
int guard_install(void);
/*
 * run(context). -EIO if the pool answered with SIGBUS: run was left where it
 * was, so it must hold nothing and leave nothing half done in its own memory.
 * Not nested; one thread.
 */
int guard_run(void (*run)(void *context), void *context);

#endif
