/* SPDX-License-Identifier: Apache-2.0 */
/*
 * append.c - two hosts, here two processes, append to one log at the same time.
 *
 * Neither asks the other: each append is one record, so no line is torn, lost or
 * written over. A child must not use what its parent has opened: each opens the
 * pool for itself.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "example.h"

#define LINES 1000

static daxfs_ino log_of(struct daxfs *fs)
{
	struct daxfs_attr log;

	MUST(daxfs_lookup(fs, DAXFS_ROOT, "log", &log));
	return log.ino;
}

static void append_lines(const char *path, unsigned host)
{
	struct daxfs *fs = join_pool(path, host, host ? "second" : "first");
	daxfs_ino log = log_of(fs);
	char line[32];

	for (int i = 0; i < LINES; i++) {
		int len = snprintf(line, sizeof(line), "host %u line %04d\n", host, i);

		MUST(daxfs_write(fs, log, line, (size_t)len, 0, DAXFS_APPEND));
	}
	daxfs_close(fs); /* leaves, too */
}

/* Each host's lines are there, each once and in its order, whatever lies between them. */
static int count_lines(const char *path)
{
	struct daxfs *fs = join_pool(path, 0, "reader");
	daxfs_ino log = log_of(fs);
	int next[2] = { 0, 0 }, number;
	unsigned host;
	char line[32];

	for (uint64_t at = 0; daxfs_read(fs, log, line, 17, at) == 17; at += 17)
		if (sscanf(line, "host %u line %d", &host, &number) != 2 || host > 1 || number != next[host]++)
			return printf("torn or lost at byte %llu\n", (unsigned long long)at), 1;
	daxfs_close(fs);
	printf("%d lines of host 0, %d of host 1\n", next[0], next[1]);
	return next[0] == LINES && next[1] == LINES ? 0 : 1;
}

int main(int argc, char **argv)
{
	const char *path = make_pool(argc, argv);
	struct daxfs *fs = join_pool(path, 0, "maker");
	struct daxfs_cred me = { .uid = 0, .gid = 0 };
	struct daxfs_attr log;
	int status;

	MUST(daxfs_mknod(fs, DAXFS_ROOT, "log", 0100644, 0, me, false, &log));
	daxfs_close(fs);
	if (fork() == 0) {
		append_lines(path, 1);
		_exit(0);
	}
	append_lines(path, 0);
	if (wait(&status) < 0 || status)
		return 1;
	return count_lines(path);
}
