/* SPDX-License-Identifier: Apache-2.0 */
/* hypervisor.h - is this machine a guest, whose processors somebody else may take away? */
#ifndef COMMON_HYPERVISOR_H
#define COMMON_HYPERVISOR_H

#include <stdbool.h>

/* A heartbeat that a guest keeps: 2 s of silence are over before it is declared dead. */
#define HYPERVISOR_HEARTBEAT_MS 200u

/* As far as its kernel tells. root: "", or a directory with proc and sys of its own, for tests. */
bool hypervisor_here(const char *root);

#endif
