/* SPDX-License-Identifier: Apache-2.0 */
/* hello.c - make a pool, join it as host 0, write a file, read it back, leave. */
#include "example.h"

int main(int argc, char **argv)
{
	const char *path = make_pool(argc, argv);
	struct daxfs *fs = join_pool(path, 0, "hello");
	struct daxfs_cred me = { .uid = 0, .gid = 0 };
	struct daxfs_attr dir, file;
	char text[64];
	long long n;

	MUST(daxfs_mkdir(fs, DAXFS_ROOT, "letters", 0755, me, &dir));
	MUST(daxfs_mknod(fs, dir.ino, "first", 0100644, 0, me, false, &file)); /* 0100000: a regular file */
	MUST(daxfs_write(fs, file.ino, "hello, pod\n", 11, 0, 0));
	n = MUST(daxfs_read(fs, file.ino, text, sizeof(text), 0));
	printf("%.*s", (int)n, text);
	MUST(daxfs_leave(fs));
	daxfs_close(fs);
	return 0;
}
