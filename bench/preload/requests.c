/* SPDX-License-Identifier: Apache-2.0 */
/*
 * requests.c - counts the requests that a FUSE server reads; preloaded into it (LD_PRELOAD).
 *
 * The file REQUESTS names holds a number for each kind of request, which are added to. bench/mount reads it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KINDS 64

static uint64_t *counts;
static ssize_t (*real_read)(int fd, void *buf, size_t size); /* where libfuse cancels its workers when it ends */

static __attribute__((constructor)) void begin(void)
{
	const char *path = getenv("REQUESTS");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *at;

	*(void **)&real_read = dlsym(RTLD_NEXT, "read");
	if (fd < 0)
		return;
	at = mmap(NULL, KINDS * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at != MAP_FAILED)
		counts = at;
	close(fd);
}

ssize_t read(int fd, void *buf, size_t size)
{
	ssize_t n = real_read ? real_read(fd, buf, size) : syscall(SYS_read, fd, buf, size);
	const struct fuse_in_header *in = buf;

	if (counts && n >= (ssize_t)sizeof(*in) && in->len == (size_t)n && in->opcode < KINDS)
		__atomic_fetch_add(&counts[in->opcode], 1, __ATOMIC_RELAXED);
	return n;
}
