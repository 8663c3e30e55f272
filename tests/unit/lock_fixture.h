/* SPDX-License-Identifier: Apache-2.0 */
/* lock_fixture.h - one file that all hosts of a small pod hold open, to be locked by them. */
#ifndef TESTS_UNIT_LOCK_FIXTURE_H
#define TESTS_UNIT_LOCK_FIXTURE_H

#include <unistd.h>

#include "fs/lockset.h"
#include "hang.h"
#include "rig.h"

#define R DAXFS_LOCK_READ
#define W DAXFS_LOCK_WRITE
#define U DAXFS_UNLOCK
#define END DAXFS_LOCK_END

struct fixture {
	struct pod pod;
	daxfs_ino ino; /* held by all hosts */
};

static inline void fixture_start(struct fixture *s, unsigned inodes)
{
	alarm(HANG_S);
	pod_start_with(&s->pod, 4 << 20, (struct daxfs_mkfs_options){ .inodes = inodes, .lanes = 2, .opens = 16 });
	s->ino = pod_create(s->pod.fs[0], DAXFS_ROOT, "f");
	for (unsigned i = 0; i < POD_HOSTS; i++)
		assert_int_equal(daxfs_file_open(s->pod.fs[i], s->ino), 0);
}

static inline int range(struct fixture *s, unsigned host, uint64_t owner, enum daxfs_lock_type type, uint64_t start,
			uint64_t end)
{
	struct daxfs_lock lock = { .start = start, .end = end, .owner = owner, .pid = 100 + host, .type = type };

	return daxfs_lock(s->pod.fs[host], s->ino, &lock);
}

static inline uint64_t locks_word(struct fixture *s)
{
	return word_payload(sm_load(&rig_pool(&s->pod)->inodes[handle_index(s->ino)].locks), DAXFS_W_LINK);
}

#endif
