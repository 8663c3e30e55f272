/* SPDX-License-Identifier: Apache-2.0 */
/* lock.c - two hosts and one lock: the second is refused until the first gives it up. */
#include <errno.h>

#include "example.h"

int main(int argc, char **argv)
{
	const char *path = make_pool(argc, argv);
	struct daxfs *first = join_pool(path, 0, "first"), *second = join_pool(path, 1, "second");
	struct daxfs_lock lock = {
		.start = 0, .end = 99, .owner = 1, .type = DAXFS_LOCK_WRITE, .kind = DAXFS_LOCK_POSIX
	};
	struct daxfs_cred me = { .uid = 0, .gid = 0 };
	struct daxfs_attr file;
	struct daxfs_lock found;

	MUST(daxfs_mknod(first, DAXFS_ROOT, "db", 0100644, 0, me, true, &file)); /* true: open, as a lock demands */
	MUST(daxfs_file_open(second, file.ino));
	MUST(daxfs_lock(first, file.ino, &lock));
	if (daxfs_lock(second, file.ino, &lock) != -EAGAIN)
		return puts("two hosts have one lock"), 1;
	MUST(daxfs_lock_get(second, file.ino, &lock, &found));
	printf("bytes %llu to %llu are locked by host %u\n", (unsigned long long)found.start,
	       (unsigned long long)found.end, found.host);
	MUST(daxfs_file_close(first, file.ino)); /* the last close of a host ends its locks */
	MUST(daxfs_lock(second, file.ino, &lock));
	puts("given up, and taken by the other");
	daxfs_close(second);
	daxfs_close(first);
	return 0;
}
