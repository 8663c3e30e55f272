/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk.c - which functions one daxfs_write of 4 KiB enters, up to the CAS that commits it.
 *
 * Built by scripts/walk, with a library that tells of each function when it is entered and left. The write is over
 * a page that is there, by a host that has written before. The word of the inode that names the page is looked at each
 * time: when it has changed, the write has happened. Prints the address of each function that was entered before, in
 * their order.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/fs.h"

#define UNSEEN __attribute__((no_instrument_function))
#define FUNCTIONS_MAX 4096u

void __cyg_profile_func_enter(void *function, void *site);
void __cyg_profile_func_exit(void *function, void *site);

static struct {
	const void *word; /* NULL: nothing is noted */
	uint64_t before;
	void *function[FUNCTIONS_MAX];
	unsigned n;
} walk;

UNSEEN static bool noting(void)
{
	if (walk.word && memcmp(walk.word, &walk.before, sizeof(walk.before)) != 0)
		walk.word = NULL;
	return walk.word;
}

UNSEEN void __cyg_profile_func_enter(void *function, void *site)
{
	(void)site;
	if (noting() && walk.n < FUNCTIONS_MAX)
		walk.function[walk.n++] = function;
}

UNSEEN void __cyg_profile_func_exit(void *function, void *site)
{
	(void)function;
	(void)site;
	noting();
}

static void must(long rc, const char *what)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "walk: %s: %s\n", what, strerror((int)-rc));
	exit(1);
}

static struct daxfs *begin(const char *pool)
{
	struct daxfs_mkfs_options options = {
		.struct_size = sizeof(options), .name = "walk", .size = 64u << 20, .hosts = 4, .lanes = 4
	};
	struct daxfs_error err;
	struct daxfs *fs;

	must(daxfs_mkfs(pool, &options, &err), "mkfs");
	must(daxfs_open(pool, DAXFS_READ_WRITE, &fs, &err), "open");
	must(daxfs_join(fs, 0, "walk", &err), "join");
	return fs;
}

int main(int argc, char **argv)
{
	static const char bytes[DAXFS_PAGE_SIZE] = "x";
	const struct daxfs_cred cred = { 0, 0 };
	struct daxfs *fs = argc == 2 ? begin(argv[1]) : NULL;
	struct daxfs_attr attr;

	if (!fs)
		return 2;
	must(daxfs_mknod(fs, DAXFS_ROOT, "file", S_IFREG | 0644, 0, cred, true, &attr), "mknod");
	for (unsigned i = 0; i < 2;
	     i++) /* the second one is over a page that is there; what is first done once is done */
		must(daxfs_write(fs, attr.ino, bytes, sizeof(bytes), 0, 0), "write");
	memcpy(&walk.before, &fs->pool.inodes[handle_index(attr.ino)].direct[0], sizeof(walk.before));
	walk.word = &fs->pool.inodes[handle_index(attr.ino)].direct[0];
	must(daxfs_write(fs, attr.ino, bytes, sizeof(bytes), 0, 0), "write");
	if (walk.word || walk.n == FUNCTIONS_MAX) {
		fputs("walk: the write has not changed the word that names its page\n", stderr);
		return 1;
	}
	daxfs_close(fs);
	for (unsigned i = 0; i < walk.n; i++)
		printf("%p\n", walk.function[i]);
	return 0;
}
