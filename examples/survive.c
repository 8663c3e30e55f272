/* SPDX-License-Identifier: Apache-2.0 */
/*
 * survive.c - a host dies in the middle of its work; the other goes on, and recovers it.
 *
 * fabricd and the agents do this for a pod. Here the parent is everybody: it sees that the child is
 * gone (waitpid is its proof), says so in the child's host word, and recovers what it left.
 * Each write is all or nothing, so the file holds one whole version of its text, never half of one.
 */
#include <daxfs/member.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "example.h"

#define SIZE (64u << 10)

/* The victim: replaces the file's contents until it is killed. */
static void write_for_ever(const char *path)
{
	struct daxfs *fs = join_pool(path, 1, "victim");
	static char text[SIZE];
	struct daxfs_attr file;

	MUST(daxfs_lookup(fs, DAXFS_ROOT, "f", &file));
	for (char c = 'a';; c = c == 'z' ? 'a' : (char)(c + 1)) {
		memset(text, c, SIZE);
		MUST(daxfs_write(fs, file.ino, text, SIZE, 0, 0));
	}
}

/* ALIVE -> SUSPECT -> FENCING -> FENCED: from here on nothing that it does would count. */
static void declare_dead(const char *path, unsigned host)
{
	static const enum daxfs_host_state way[] = { DAXFS_HOST_SUSPECT, DAXFS_HOST_FENCING, DAXFS_HOST_FENCED };
	struct daxfs_manager_view manager;
	struct daxfs_host_view view;
	struct daxfs_member *m;
	struct daxfs_error err;
	uint32_t epoch;

	must_say(daxfs_member_open(path, true, &m, &err), &err);
	daxfs_member_manager(m, &manager);
	MUST(daxfs_member_claim(m, &manager, &epoch));
	for (unsigned i = 0; i < 3; i++) {
		MUST(daxfs_member_host(m, host, &view));
		MUST(daxfs_member_move(m, &view, way[i], -1, epoch, DAXFS_REASON_OPERATOR_CONFIRM, 0));
	}
	daxfs_member_close(m);
}

/* One letter throughout. */
static int whole(struct daxfs *fs, daxfs_ino file)
{
	static char text[SIZE];
	long long n = MUST(daxfs_read(fs, file, text, SIZE, 0));

	return n == SIZE && memcmp(text, text + 1, SIZE - 1) == 0;
}

int main(int argc, char **argv)
{
	const char *path = make_pool(argc, argv);
	struct daxfs *fs = join_pool(path, 0, "survivor");
	struct daxfs_cred me = { .uid = 0, .gid = 0 };
	struct daxfs_recovery report;
	struct daxfs_attr file;
	pid_t victim;

	MUST(daxfs_mknod(fs, DAXFS_ROOT, "f", 0100644, 0, me, false, &file));
	victim = fork();
	if (victim == 0)
		write_for_ever(path);
	while (MUST(daxfs_getattr(fs, file.ino, &file)) == 0 && !file.size)
		usleep(1000); /* until it has begun */
	usleep(50000);
	kill(victim, SIGKILL);
	waitpid(victim, NULL, 0);
	if (!whole(fs, file.ino)) /* nobody has recovered it yet, and nobody need wait for that */
		return puts("half a write was left"), 1;
	declare_dead(path, 1);
	MUST(daxfs_recover(fs, 1, &report));
	printf("recovered: %llu records finished, %llu rolled back; the file is whole\n",
	       (unsigned long long)report.finished, (unsigned long long)report.rolled_back);
	daxfs_close(fs);
	return 0;
}
