/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decide_observe.h - what decide remembers of each host, and how a poll changes it.
 *
 * The counting half of decide.c; pure as that is.
 */
#ifndef FABRICD_DECIDE_SEE_H
#define FABRICD_DECIDE_SEE_H

#include "fabricd/decide.h"

/* Take in one poll of a readable pool: tenants, counters, pauses. */
void see_hosts(struct decide *d, const struct decide_input *in);
/* Then what agents and the operator reported, whether it is readable or not. */
void see_reports(struct decide *d, const struct decide_input *in);

/* States in which an order of the operator can still change something. */
bool see_under_orders(enum daxfs_host_state state);
bool see_agent_running(const struct decide_host *h);
void see_forget_fencing(struct decide_host *h);
/* The next attempt comes after a pause, twice as long as the last one. */
void see_pause_fencing(struct decide_host *h);
/* Off for certain: from now on its counter must stand still. */
void see_proven_off(struct decide_host *h);

#endif
