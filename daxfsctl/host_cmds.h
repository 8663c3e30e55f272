/* SPDX-License-Identifier: Apache-2.0 */
/* host_cmds.h - changing the state of a host: by fabricd, or in the pool itself. */
#ifndef DAXFSCTL_ORDER_H
#define DAXFSCTL_ORDER_H

#include "daxfsctl/ctl.h"

enum order {
	ORDER_FENCE,
	ORDER_CONFIRM_DEAD,
	ORDER_RECOVER,
	ORDER_RECOVER_AGAIN,
	ORDER_REMOVE,
	ORDER_TEST_BEGIN,
	ORDER_TEST
};

/* Each returns an exit code, having said what was done or why not. */
int order_fabricd(struct ctl *ctl, enum order order, unsigned host, uint64_t wait_seconds); /* host_cmds.c */
int order_recover_direct(struct ctl *ctl, const char *path, unsigned host, int as);         /* host_cmds_direct.c */
int order_confirm_direct(struct ctl *ctl, const char *path, unsigned host);                 /* host_cmds_direct.c */

#endif
