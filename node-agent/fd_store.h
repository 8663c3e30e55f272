/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fd_store.h - the service manager keeps the mount while its service is started anew (systemd's FDSTORE).
 *
 * What the supervisor holds for the processes that serve (estate.h) is given to the service manager, too, which
 * hands it to the next supervisor: after `systemctl restart`, and after this one was killed. Until then
 * programs wait. `systemctl stop` closes what is kept; so a supervisor that stops for good unmounts first.
 *
 * Without a service manager, or one that keeps nothing (FileDescriptorStoreMax=0), nothing is ever found
 * here, and the mount ends with its supervisor.
 */
#ifndef AGENT_FD_STORE_H
#define AGENT_FD_STORE_H

#include "node-agent/estate.h"

/* Give it what outlives this process. True if there is somebody to give it to. */
bool fd_store_keep(const struct estate *e);
/* The mount is over: nothing is to be handed to the next one. */
void fd_store_forget(void);
/* What a former supervisor gave: true, and *e is it; else what there is of it is closed and forgotten. */
bool fd_store_inherit(struct estate *e);
/* Is this service being stopped to be started again? Asks the manager, and waits some seconds for the answer. */
bool fd_store_restarting(void);

#endif
