/* SPDX-License-Identifier: Apache-2.0 */
/*
 * await_pool.h - a pool's device that is not there yet.
 *
 * When a machine boots, a daemon may be started before udev has found the device and given it its name in
 * /dev/daxfs/by-uuid. It waits for the name, so long, and says so: to the log, and to the service manager,
 * whose patience it prolongs meanwhile. A file elsewhere, /dev/shm too, is made by an operator: it is not
 * waited for.
 */
#ifndef COMMON_AWAIT_POOL_H
#define COMMON_AWAIT_POOL_H

/* Returns when there is something of that name, or after so many seconds: opening it says what is wrong then. */
void await_pool(const char *path, unsigned seconds);

#endif
