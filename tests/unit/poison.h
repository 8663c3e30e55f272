/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poison.h - a pod whose memory can fail, page by page.
 *
 * The pool is a memfd that every host of the pod maps by itself, as hosts do. A page fails when
 * a page of an empty file is mapped in its place: each load and store of it is a SIGBUS, in one host's
 * mapping or in all. Healed, it is what it was, as after an error of the way to the memory.
 */
#ifndef TESTS_UNIT_POISON_H
#define TESTS_UNIT_POISON_H

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pod.h"

struct poison {
	struct pod pod; /* base: of host 0's mapping */
	int fd, empty;
	void *map[POD_HOSTS];
};

static inline void poison_map(struct poison *p, unsigned host)
{
	p->map[host] = mmap(NULL, p->pod.size, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, 0);
	assert_true(p->map[host] != MAP_FAILED);
}

static inline void poison_join(struct poison *p, unsigned host)
{
	struct daxfs_error err;
	char name[16];

	snprintf(name, sizeof(name), "unit%u", host);
	if (fs_attach(p->map[host], p->pod.size, &p->pod.fs[host], &err) ||
	    daxfs_join(p->pod.fs[host], host, name, &err))
		fail_msg("%s", err.text);
}

/* cmocka takes SIGBUS for itself in each test; the library has set its handler once. */
static inline void poison_handler(void)
{
	static struct sigaction library;

	if (library.sa_flags)
		sigaction(SIGBUS, &library, NULL);
	else
		sigaction(SIGBUS, NULL, &library);
}

static inline void poison_start(struct poison *p, uint64_t size, bool wb)
{
	struct daxfs_mkfs_options options = {
		.inodes = 64, .lanes = 2, .opens = 16, .hosts = POD_HOSTS, .size = size, .wb = wb
	};
	struct daxfs_error err;

	p->pod.size = size;
	p->fd = memfd_create("pool", MFD_CLOEXEC);
	p->empty = memfd_create("nothing", MFD_CLOEXEC);
	assert_true(p->fd >= 0 && p->empty >= 0);
	assert_int_equal(ftruncate(p->fd, (off_t)size), 0);
	for (unsigned i = 0; i < POD_HOSTS; i++)
		poison_map(p, i);
	p->pod.base = p->map[0];
	if (pool_format(p->map[0], size, &options, &err))
		fail_msg("%s", err.text);
	for (unsigned i = 0; i < POD_HOSTS; i++)
		poison_join(p, i);
	poison_handler();
}

static inline void poison_set(struct poison *p, unsigned host, uint64_t offset, bool bad)
{
	offset &= ~4095ull;
	assert_true(mmap((char *)p->map[host] + offset, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			 bad ? p->empty : p->fd, bad ? 0 : (off_t)offset) != MAP_FAILED);
}

static inline void poison_all(struct poison *p, uint64_t offset, bool bad)
{
	for (unsigned i = 0; i < POD_HOSTS; i++)
		poison_set(p, i, offset, bad);
}

/* No check: the test says what is left. */
static inline void poison_stop(struct poison *p)
{
	for (unsigned i = 0; i < POD_HOSTS; i++) {
		daxfs_close(p->pod.fs[i]);
		munmap(p->map[i], p->pod.size);
	}
	close(p->fd);
	close(p->empty);
}

#endif
