/* SPDX-License-Identifier: Apache-2.0 */
/* file_fixture.h - one file of host 0, and a lane of host 1 with which a test looks at it and changes it by hand. */
#ifndef TESTS_UNIT_FILE_FIXTURE_H
#define TESTS_UNIT_FILE_FIXTURE_H

#include <unistd.h>

#include "hang.h"
#include "rig.h"

struct fixture {
	struct pod pod;
	struct pool *pool;
	struct lane *lane;
	daxfs_ino ino;
	struct sm_inode *sm;
};

static void fixture_start(struct fixture *s)
{
	alarm(HANG_S);
	pod_start(&s->pod, 8 << 20);
	s->pool = rig_pool(&s->pod);
	s->ino = pod_create(s->pod.fs[0], DAXFS_ROOT, "f");
	s->sm = &s->pool->inodes[handle_index(s->ino)];
	s->lane = rig_enter(s->pod.fs[1]);
}

#endif
