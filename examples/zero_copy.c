/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zero_copy.c - write through a draft, read through a view: no byte is copied.
 *
 * A draft gives fresh pages of the pool to fill, and one commit makes them the file's. A view gives pointers
 * to a file's bytes, which never change: whoever writes replaces pages, and the old ones stay until the view moves on.
 */
#include "example.h"

#define PAGES 16

int main(int argc, char **argv)
{
	const char *path = make_pool(argc, argv);
	struct daxfs *fs = join_pool(path, 0, "zero");
	struct daxfs_cred me = { .uid = 0, .gid = 0 };
	struct daxfs_draft *draft;
	struct daxfs_view *view;
	struct daxfs_attr file;
	void *page[PAGES];
	const void *bytes;
	uint64_t at = 0;
	long long n;

	MUST(daxfs_mknod(fs, DAXFS_ROOT, "weights", 0100644, 0, me, false, &file));
	MUST(daxfs_draft_begin(fs, file.ino, 0, sizeof(page) / sizeof(page[0]) * 4096, page, &draft));
	for (int i = 0; i < PAGES; i++)
		memset(page[i], 'A' + i, 4096);
	MUST(daxfs_draft_commit(draft));

	MUST(daxfs_view_open(fs, &view));
	while ((n = MUST(daxfs_view_read(view, file.ino, at, &bytes))) > 0) {
		printf("%lld bytes at %llu: %c...\n", n, (unsigned long long)at, *(const char *)bytes);
		at += (uint64_t)n;
	}
	daxfs_view_close(view);
	daxfs_close(fs);
	return at == PAGES * 4096 ? 0 : 1;
}
