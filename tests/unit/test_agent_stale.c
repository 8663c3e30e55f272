/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_stale.c - programs make names in a directory that another host removes, replaces, exchanges and moves.
 *
 * The kernel walks a path in several requests, and what it has found may be gone at the next: ESTALE. It begins anew,
 * once; a second ESTALE is the program's. No local filesystem says that, so nobody may see it here: where the directory
 * was removed, making a name is ENOENT; where one is there all the time, looking at it succeeds.
 *
 * STALE_CALLS in the environment says how many calls there are for each way: more, for the long run.
 */
#include "test_agent_watch.h"

#include <pthread.h>

#define CALLS 4000u
#define LEASE_MS 2000u
#define ERRORS 140

enum way { REMOVED, REPLACED, EXCHANGED, MOVED, WAYS };

struct paths {
	char dir[128], other[128], inner[128], source[128];
};

/* a call of host A, and what it may say if the directory is there all the time, or is not */
struct call {
	const char *name;
	int (*call)(const struct paths *p, const char *path);
	bool makes; /* a name in it: ENOENT, if it was removed after it was found */
};

struct run {
	struct paths a, b; /* of the hosts */
	enum way way;
	atomic_bool stop;
};

/* -- what A does ------------------------------------------------------------------------------ */

static int do_symlink(const struct paths *p, const char *path)
{
	(void)p;
	return symlink("target", path);
}

static int do_mkdir(const struct paths *p, const char *path)
{
	(void)p;
	return mkdir(path, 0700);
}

static int do_mknod(const struct paths *p, const char *path)
{
	(void)p;
	return mknod(path, S_IFREG | 0600, 0);
}

static int do_link(const struct paths *p, const char *path)
{
	return link(p->source, path);
}

static int do_create(const struct paths *p, const char *path)
{
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);

	(void)p;
	return fd < 0 ? -1 : close(fd);
}

/* There is a source for the next one, whatever became of this. */
static int do_rename(const struct paths *p, const char *path)
{
	int rc = rename(p->source, path), error = errno;

	if (rc == 0)
		close(open(p->source, O_CREAT | O_WRONLY, 0600));
	errno = error;
	return rc;
}

static int do_unlink(const struct paths *p, const char *path)
{
	(void)p;
	return unlink(path);
}

static int do_stat(const struct paths *p, const char *path)
{
	struct stat st;

	(void)path;
	return stat(p->dir, &st);
}

static int do_chmod(const struct paths *p, const char *path)
{
	(void)path;
	return chmod(p->dir, 0755);
}

static int do_list(const struct paths *p, const char *path)
{
	DIR *dir = opendir(p->dir);

	(void)path;
	if (!dir)
		return -1;
	errno = 0;
	while (readdir(dir))
		;
	if (errno) {
		closedir(dir);
		return -1;
	}
	return closedir(dir);
}

static const struct call calls[] = {
	{ "symlink", do_symlink, true }, { "mkdir", do_mkdir, true },   { "mknod", do_mknod, true },
	{ "link", do_link, true },       { "create", do_create, true }, { "rename", do_rename, true },
	{ "unlink", do_unlink, true },   { "stat", do_stat, false },    { "chmod", do_chmod, false },
	{ "list", do_list, false }, /* between each two others, for it goes wrong seldom */
};

#define N_CALLS (sizeof(calls) / sizeof(calls[0]))

/* -- what B does ------------------------------------------------------------------------------ */

static void clear(const char *dir)
{
	char path[160];

	for (unsigned i = 0; i < N_CALLS; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, calls[i].name);
		if (unlink(path) != 0 && errno == EISDIR)
			rmdir(path);
	}
}

/* It may fail: A has made a name since. */
static void disturb(const struct paths *p, enum way way)
{
	switch (way) {
	case REMOVED:
		if (rmdir(p->dir) != 0)
			clear(p->dir);
		mkdir(p->dir, 0755);
		break;
	case REPLACED:
		mkdir(p->other, 0755);
		if (rename(p->other, p->dir) != 0)
			clear(p->dir);
		break;
	case EXCHANGED: renameat2(AT_FDCWD, p->dir, AT_FDCWD, p->other, RENAME_EXCHANGE); break;
	default: rename(p->dir, p->inner); rename(p->inner, p->dir);
	}
}

static void *disturb_main(void *context)
{
	struct run *r = context;

	while (!atomic_load(&r->stop))
		disturb(&r->b, r->way);
	return NULL;
}

/* -- both ----------------------------------------------------------------------------------------- */

static bool may_say(enum way way, const struct call *call, int error)
{
	if (error == ENOENT)
		return call->makes || way == REMOVED || way == MOVED;
	return error == EEXIST && call->makes;
}

static unsigned number(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);

	return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static void call_all(const struct run *r)
{
	unsigned wrong[ERRORS] = { 0 }, n_wrong = 0;
	char path[160];

	for (unsigned n = number("STALE_CALLS", CALLS); n; n--) {
		const struct call *call = &calls[n % 2 ? N_CALLS - 1 : n / 2 % N_CALLS];

		snprintf(path, sizeof(path), "%s/%s", r->a.dir, call->name);
		if (call->call(&r->a, path) == 0) {
			if (call->makes && unlink(path) != 0)
				rmdir(path);
		} else if (!may_say(r->way, call, errno)) {
			n_wrong++;
			if (wrong[errno % ERRORS]++ == 0)
				print_message("way %d, %s: %s\n", (int)r->way, call->name, strerror(errno));
		}
	}
	assert_int_equal(n_wrong, 0);
}

static void set_paths(const struct pod *pod, int host, struct paths *p)
{
	strcpy(p->dir, at(pod, host, "d"));
	strcpy(p->other, at(pod, host, "e"));
	strcpy(p->inner, at(pod, host, "e/d"));
	strcpy(p->source, at(pod, host, "source"));
}

static void run_way(struct pod *pod, enum way way)
{
	struct run r = { .way = way };
	pthread_t other;

	set_paths(pod, A, &r.a);
	set_paths(pod, B, &r.b);
	mkdir(r.a.dir, 0755);
	mkdir(r.a.other, 0755);
	put(r.a.source, "");
	pthread_create(&other, NULL, disturb_main, &r);
	call_all(&r);
	atomic_store(&r.stop, true);
	pthread_join(other, NULL);
	clear(r.b.dir);
	clear(r.b.other);
}

static void test_leased(void **state)
{
	struct pod *pod = watch_begin(state, LEASE_MS);

	for (int way = 0; way < WAYS; way++)
		run_way(pod, (enum way)way);
}

static void test_no_leases(void **state)
{
	struct pod *pod = watch_begin(state, 0);

	for (int way = 0; way < WAYS; way++)
		run_way(pod, (enum way)way);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_leased, watch_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_no_leases, watch_setup, pod_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
