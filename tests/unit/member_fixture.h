/* SPDX-License-Identifier: Apache-2.0 */
/* member_fixture.h - a pool of two hosts, its manager's mapping, and one to look and meddle. */
#ifndef TESTS_UNIT_MEMBER_FIXTURE_H
#define TESTS_UNIT_MEMBER_FIXTURE_H

#include <errno.h>

#include "sync/member.h"
#include "test_mem_util.h"

struct fixture {
	struct util_file file;
	struct daxfs_member *m; /* of a manager */
	struct pool pool;       /* the same pool, to look and meddle */
	uint32_t epoch;
};

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct daxfs_manager_view seen;
	struct daxfs_error err;

	util_pool_file(&f->file);
	if (daxfs_member_open(f->file.path, true, &f->m, &err) ||
	    pool_map(f->file.path, DAXFS_READ_WRITE, &f->pool, &err))
		return -1;
	daxfs_member_manager(f->m, &seen);
	*state = f;
	return daxfs_member_claim(f->m, &seen, &f->epoch);
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	daxfs_member_close(f->m);
	pool_unmap(&f->pool);
	close(f->file.fd);
	free(f);
	return 0;
}

static inline void set_word(struct fixture *f, unsigned host, struct host_word w)
{
	sm_store(&f->pool.member->host[host].word, host_word_pack(w));
}

static inline uint64_t word(struct fixture *f, unsigned host)
{
	return sm_load(&f->pool.member->host[host].word);
}

static inline struct daxfs_host_view view(struct fixture *f, unsigned host)
{
	struct daxfs_host_view v;

	assert_int_equal(daxfs_member_host(f->m, host, &v), 0);
	return v;
}

static inline struct host_word in_state(unsigned state)
{
	return (struct host_word){
		.generation = 7,
		.state = (enum daxfs_host_state)state,
		.recoverer = state == DAXFS_HOST_RECOVERING ? 1 : -1,
		.epoch = 3,
	};
}

#define WITH_POOL(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

#endif
