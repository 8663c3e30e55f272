/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weak_reasons.c - memory orders that nobody notices when they are left out, and why.
 */
#include "sim.h"

const char *weak_reason(const struct sm_site *site, enum sm_order without)
{
	(void)site, (void)without;
	return NULL;
}
