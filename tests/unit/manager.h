/* SPDX-License-Identifier: Apache-2.0 */
/* manager.h - fabricd's part, played by a test on a pool that real agents use. */
#ifndef TESTS_UNIT_MANAGER_H
#define TESTS_UNIT_MANAGER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daxfs/member.h"

struct manager {
	struct daxfs_member *member;
	uint32_t epoch;
};

static inline void manager_open(struct manager *m, const char *pool)
{
	struct daxfs_manager_view view;
	struct daxfs_error err = { .text = "" };

	if (daxfs_member_open(pool, true, &m->member, &err) != 0)
		fail_msg("member: %s", err.text);
	daxfs_member_manager(m->member, &view);
	assert_int_equal(daxfs_member_claim(m->member, &view, &m->epoch), 0);
}

static inline struct daxfs_host_view manager_see(struct manager *m, unsigned host)
{
	struct daxfs_host_view view;

	assert_int_equal(daxfs_member_host(m->member, host, &view), 0);
	return view;
}

static inline void manager_move(struct manager *m, unsigned host, enum daxfs_host_state to, int recoverer)
{
	struct daxfs_host_view view = manager_see(m, host);

	assert_int_equal(daxfs_member_move(m->member, &view, to, recoverer, m->epoch, DAXFS_REASON_BEAT_LOST, 1), 0);
}

static inline void manager_fence(struct manager *m, unsigned host)
{
	manager_move(m, host, DAXFS_HOST_SUSPECT, -1);
	manager_move(m, host, DAXFS_HOST_FENCING, -1);
	manager_move(m, host, DAXFS_HOST_FENCED, -1);
}

#endif
