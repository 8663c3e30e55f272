/* SPDX-License-Identifier: Apache-2.0 */
/* lease_fixture.h - a pod whose host 0 keeps answers. */
#ifndef TEST_LEASE_FIXTURE_H
#define TEST_LEASE_FIXTURE_H

#include "daxfs/lease.h"
#include "fs/lease.h"
#include "pod.h"

#define POOL_BYTES (4u << 20)
#define LONG_MS 60000u /* runs out in no test, on no machine */
#define SHORT_MS 40u

static inline void start(struct pod *pod, unsigned lease_ms, bool serve)
{
	pod_start_with(
		pod, POOL_BYTES,
		(struct daxfs_mkfs_options){ .inodes = 512, .lanes = 4, .heartbeat_ms = 5, .lease_ms = lease_ms });
	if (serve)
		assert_int_equal(daxfs_lease_start(pod->fs[0], NULL, NULL), 0);
	daxfs_beat(pod->fs[0]);
}

/* Whoever holds leases when a test ends lets go of them: pod_stop closes one host after the other. */
static inline void stop(struct pod *pod)
{
	for (unsigned i = 0; i < POD_HOSTS; i++)
		daxfs_lease_stop(pod->fs[i]);
	pod_stop(pod);
}

/* What host 0 is told about a name, and for how long. */
static inline int ask(struct pod *pod, const char *name, struct daxfs_attr *attr, struct daxfs_lease *lease)
{
	struct daxfs_answer answer;
	int rc;

	daxfs_beat(pod->fs[0]);
	daxfs_answer_begin(pod->fs[0], &answer);
	rc = daxfs_lookup_leased(pod->fs[0], DAXFS_ROOT, name, attr, lease);
	daxfs_answer_end(pod->fs[0], &answer);
	return rc;
}

#endif
