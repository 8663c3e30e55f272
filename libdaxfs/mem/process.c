/* SPDX-License-Identifier: Apache-2.0 */
/* process.c - see process.h. Private memory only: a crash leaves nothing. */
#include "mem/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mem/pool.h"

#define MARK_BYTES 1u /* a page */
#define STAT_BEGAN 22 /* field of /proc/PID/stat */

int process_mark(bool **mark, struct daxfs_error *err)
{
	bool *page = mmap(NULL, MARK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return daxfs_error_set(err, -ENOMEM, "out of memory");
	if (madvise(page, MARK_BYTES, MADV_WIPEONFORK)) {
		munmap(page, MARK_BYTES);
		return daxfs_error_set(err, -EINVAL,
				       "this kernel cannot tell a process from its children: use Linux 4.14");
	}
	*page = true;
	*mark = page;
	return 0;
}

void process_unmark(bool *mark)
{
	munmap(mark, MARK_BYTES);
}

int process_keep(void *base, size_t len)
{
	return madvise(base, len, MADV_DONTFORK) ? -errno : 0;
}

int process_read_text(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, out, size - 1);
	rc = n < 0 ? -errno : 0;
	close(fd);
	out[n > 0 ? n : 0] = '\0';
	return rc;
}

uint32_t process_began(uint32_t pid)
{
	char path[32], text[1024], *at;

	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	if (process_read_text(path, text, sizeof(text)))
		return 0;
	at = strrchr(text, ')'); /* of its name, which may hold anything */
	for (int field = 2; at && field < STAT_BEGAN; field++)
		at = strchr(at + 1, ' ');
	return at ? (uint32_t)strtoull(at, NULL, 10) : 0;
}

uint32_t process_namespace(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) ? 0 : (uint32_t)st.st_ino;
}

bool process_gone(uint32_t pid, uint32_t began, uint32_t pids)
{
	struct pollfd ended = { .events = POLLIN };
	uint32_t there;
	bool gone;

	if (!pid || !began || !pids || pids != process_namespace())
		return false;
	ended.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (ended.fd < 0)
		return errno == ESRCH;
	/* The descriptor holds on to the process whose beginning is read, or to one that has ended since. */
	there = process_began(pid);
	gone = (there && there != began) || poll(&ended, 1, 0) == 1; /* readable: all its threads have ended */
	close(ended.fd);
	return gone;
}
