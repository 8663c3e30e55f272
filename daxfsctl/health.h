/* SPDX-License-Identifier: Apache-2.0 */
/* health.h - the verdict on a snapshot: HEALTHY, or what is wrong. */
#ifndef DAXFSCTL_HEALTH_H
#define DAXFSCTL_HEALTH_H

#include "daxfsctl/snapshot.h"

bool health_good(const struct snapshot *s);
/* "HEALTHY", "DEGRADED: 1 host recovering, 2 hosts suspect", or "UNUSED: no fabricd has run": no host is in it. */
const char *health_text(const struct snapshot *s, char *buf, size_t size);
/* Add to the conditions what only who asks can see. */
void health_conditions(struct snapshot *s);
/* What to start before the first host of a pool that is UNUSED; else nothing. */
const char *health_note(const struct snapshot *s, char *buf, size_t size);
/* "fabricd pid 811 (primary)" */
const char *health_fabricd(const struct snapshot *s, char *buf, size_t size);
/* Does status list this slot? Not one that nobody uses. */
bool health_shown(const struct snapshot_host *h);

#endif
