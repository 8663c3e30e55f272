/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_names_kill.c - hosts and agents that are killed while names of storage are changed through real mounts;
 * and one that is slow to do what a dead one has left.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "agent_dead.h"

#define ROUNDS 6u
#define LEFT_MS (BACKING_LEFT_MS + 2500) /* then what nobody asks for again was given up */
#define NAMES 8u

/* -- whose turn it is to write back ----------------------------------------------------------------- */

/* between the test and its agents */
static struct {
	atomic_int stop, hit;   /* the second: 1 + the host that was stopped when it was about to give up its turn */
	atomic_int next, first; /* 1 + the host whose next process's first use of the lock is noted: 1 + its type */
	atomic_int hold, held;  /* the first of B that renames in the pool, before it does */
	atomic_int die, dying;  /* the first of A that removes in the pool what storage has not any more */
	atomic_int wait, waits; /* A's next process, before it removes, and so locks names */
	atomic_int refused;     /* B had to wait for that */
} * shared;

static int me; /* the host that an agent is of: what it was when that was started */

int __real_daxfs_lock(struct daxfs *fs, daxfs_ino ino, const struct daxfs_lock *lock);
int __wrap_daxfs_lock(struct daxfs *fs, daxfs_ino ino, const struct daxfs_lock *lock);
int __wrap_daxfs_lock(struct daxfs *fs, daxfs_ino ino, const struct daxfs_lock *lock)
{
	bool turn = lock->owner == 1 && lock->kind == DAXFS_LOCK_FLOCK;
	bool names = lock->owner == 2 && lock->kind == DAXFS_LOCK_POSIX && lock->type == DAXFS_LOCK_WRITE;
	int one = 1, none = 0, rc;

	if (turn && lock->type == DAXFS_UNLOCK && atomic_compare_exchange_strong(&shared->stop, &one, 0)) {
		atomic_store(&shared->hit, 1 + me);
		for (;;)
			pause();
	}
	if (turn && atomic_load(&shared->next) == 1 + me)
		atomic_compare_exchange_strong(&shared->first, &none, 1 + (int)lock->type);
	rc = __real_daxfs_lock(fs, ino, lock);
	if (names && me == B && rc == -EAGAIN)
		atomic_store(&shared->refused, 1);
	return rc;
}

int __real_daxfs_discard(struct daxfs *fs, daxfs_ino parent, const char *name, daxfs_ino ino,
			 const struct daxfs_since *since);
int __wrap_daxfs_discard(struct daxfs *fs, daxfs_ino parent, const char *name, daxfs_ino ino,
			 const struct daxfs_since *since);
int __wrap_daxfs_discard(struct daxfs *fs, daxfs_ino parent, const char *name, daxfs_ino ino,
			 const struct daxfs_since *since)
{
	int one = 1;

	if (me == A && atomic_compare_exchange_strong(&shared->die, &one, 0)) {
		atomic_store(&shared->dying, 1);
		for (;;)
			pause();
	}
	return __real_daxfs_discard(fs, parent, name, ino, since);
}

int __real_daxfs_move(struct daxfs *fs, daxfs_ino parent, const char *name, daxfs_ino ino, daxfs_ino new_parent,
		      const char *new_name, daxfs_ino victim, const struct daxfs_since *since);
int __wrap_daxfs_move(struct daxfs *fs, daxfs_ino parent, const char *name, daxfs_ino ino, daxfs_ino new_parent,
		      const char *new_name, daxfs_ino victim, const struct daxfs_since *since);
int __wrap_daxfs_move(struct daxfs *fs, daxfs_ino parent, const char *name, daxfs_ino ino, daxfs_ino new_parent,
		      const char *new_name, daxfs_ino victim, const struct daxfs_since *since)
{
	int none = 0;

	if (me == B && atomic_load(&shared->hold) && atomic_compare_exchange_strong(&shared->held, &none, 1))
		while (atomic_load(&shared->hold))
			usleep(1000);
	return __real_daxfs_move(fs, parent, name, ino, new_parent, new_name, victim, since);
}

/* -- agents that are killed ------------------------------------------------------------------------ */

enum action { MAKE, WRITE, REMOVE, MOVE, LINK };

/* what names say: text i of name n, 0: not there; those of one file say the same */
struct names {
	unsigned text[NAMES], file[NAMES];
};

/* one thread on A, and what it was told */
struct work {
	struct tree *t;
	unsigned round, next;
	atomic_bool stop;
	struct names names;
	struct {
		enum action action;
		unsigned from, to, text;
	} pending;
	int failed; /* errno of what was not to fail */
};

static const char *name_of(const struct work *w, bool storage, int host, unsigned n)
{
	char name[48];

	snprintf(name, sizeof(name), "%sk%u/n%u", storage ? "" : "data/", w->round, n);
	return storage ? in(w->t, name) : at(&w->t->pod, host, name);
}

static int write_text(const char *path, int flags, unsigned text)
{
	char buf[16];
	int fd = open(path, flags, 0644), rc = 0;

	if (fd < 0)
		return -1;
	snprintf(buf, sizeof(buf), "%08u", text);
	if (pwrite(fd, buf, 8, 0) != 8)
		rc = -1;
	return close(fd) ? -1 : rc;
}

static int act(struct work *w)
{
	const char *from = name_of(w, false, A, w->pending.from);

	switch (w->pending.action) {
	case MAKE: return write_text(from, O_WRONLY | O_CREAT | O_EXCL, w->pending.text);
	case WRITE: return write_text(from, O_WRONLY, w->pending.text);
	case REMOVE: return unlink(from);
	case LINK: return link(from, name_of(w, false, A, w->pending.to));
	default: return rename(from, name_of(w, false, A, w->pending.to));
	}
}

static void done(struct names *n, const struct work *w)
{
	unsigned from = w->pending.from, to = w->pending.to, file = n->file[from], text = n->text[from];

	switch (w->pending.action) {
	case MAKE:
		file = w->pending.text;
		n->file[from] = file;
		n->text[from] = file;
		return;
	case WRITE:
		for (unsigned i = 0; i < NAMES; i++)
			n->text[i] = n->file[i] == file ? w->pending.text : n->text[i];
		return;
	case MOVE:
		if (n->file[to] == file)
			return; /* two names of one file stay, says POSIX */
		n->text[from] = n->file[from] = 0;
		break;
	case REMOVE: n->text[from] = n->file[from] = 0; return;
	case LINK: break;
	}
	n->file[to] = file;
	n->text[to] = text;
}

/* A name that is there is written, removed, moved, or, to one that is not, linked. */
static enum action choose(const struct work *w, unsigned random)
{
	enum action action = WRITE + random % 4;

	if (!w->names.text[w->pending.from])
		return MAKE;
	return action == LINK && w->names.text[w->pending.to] ? MOVE : action;
}

static void *make_and_rename(void *arg)
{
	struct work *w = arg;
	unsigned random = w->round * 7919 + 17;

	while (!atomic_load(&w->stop)) {
		random = random * 1103515245 + 12345;
		w->pending.from = random / 65536 % NAMES;
		w->pending.to = (w->pending.from + 1 + random / 524288 % (NAMES - 1)) % NAMES;
		w->pending.text = ++w->next;
		w->pending.action = choose(w, random / 4194304);
		if (act(w)) {
			w->failed = errno;
			break;
		}
		done(&w->names, w);
	}
	return NULL;
}

/* What a name has to say: "" was made and not written. */
static bool says(const char *path, unsigned text, bool made)
{
	char buf[16] = "", want[16] = "";
	int fd = open(path, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT && !text;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	assert_true(n >= 0);
	if (text)
		snprintf(want, sizeof(want), "%08u", text);
	return text && (strcmp(buf, want) == 0 || (made && n == 0));
}

static bool all_say(const struct work *w, bool storage, const struct names *names, bool pending)
{
	bool made = pending && w->pending.action == MAKE;

	for (unsigned i = 0; i < NAMES; i++)
		if (!says(name_of(w, storage, B, i), names->text[i], made && i == w->pending.from))
			return false;
	return true;
}

/* All that was acknowledged, and the last one wholly or not at all. */
static void expect_all(const struct work *w, bool storage)
{
	struct names after = w->names;

	done(&after, w);
	assert_true(all_say(w, storage, &w->names, false) || all_say(w, storage, &after, true));
}

static void sync_all(const struct work *w)
{
	for (unsigned i = 0; i < NAMES; i++) {
		int fd = open(name_of(w, false, B, i), O_RDONLY);

		if (fd < 0)
			continue;
		while (fsync(fd) != 0) { /* its new process has not found the storage yet, or A is being recovered */
			assert_true(errno == ENXIO || errno == ENOTCONN);
			usleep(20000);
		}
		close(fd);
	}
}

static int count_names(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* All of A, and B recovers it; or the process that serves, of A or B, twice, and the next one goes on. */
static void kill_some(struct tree *t, unsigned round)
{
	if (round % 3 == 0) {
		kill_host(t, A);
		manager_fence(&t->manager, A);
		manager_move(&t->manager, A, DAXFS_HOST_RECOVERING, B);
		return;
	}
	pod_kill_server(&t->pod, A);
	usleep(20000 + round * 7013 % 50000);
	pod_kill_server(&t->pod, round % 3 == 1 ? A : B);
}

static void *look_at(void *path)
{
	struct stat st;

	stat(path, &st);
	return NULL;
}

/* B finds what another host has renamed and dies of, and is slow: until it does the same in the pool, A has renamed it
 * back. While the other host lives its locks keep those away who would settle with them. */
static void test_late(void **state)
{
	struct tree *t = *state;
	pthread_t thread;
	struct dead d;
	char path[256];
	int fd;

	if (!pod_possible())
		skip();
	close(make_file(at(&t->pod, A, "data/early"), "written"));
	alarm(HANG_S);
	die_begin(t, &d);
	dead_lock(&d);
	intend(&d, t, BACKING_MOVE, "early", "late");
	snprintf(path, sizeof(path), "%s", in(t, "early"));
	assert_int_equal(rename(path, in(t, "late")), 0);
	atomic_store(&shared->hold, 1);
	snprintf(path, sizeof(path), "%s", at(&t->pod, B, "data/late"));
	assert_int_equal(pthread_create(&thread, NULL, look_at, path), 0);
	while (!atomic_load(&shared->held))
		usleep(1000);
	dead_unlock(&d);
	die(&d);
	snprintf(path, sizeof(path), "%s", at(&t->pod, A, "data/late"));
	assert_int_equal(rename(path, at(&t->pod, A, "data/early")), 0);
	atomic_store(&shared->hold, 0);
	pthread_join(thread, NULL);
	fd = open(at(&t->pod, A, "data/early"), O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(fsync(fd), 0);
	close(fd);
	alarm(0);
	expect_text(in(t, "early"), "written");
	expect_text(at(&t->pod, B, "data/early"), "written");
	assert_false(is_there(at(&t->pod, B, "data/late")));
	assert_int_equal(unlink(at(&t->pod, A, "data/early")), 0);
}

/* Its process dies when all is written, and before it gives up its turn; a program there keeps the backing's directory
 * open, and with it what locks its host has. Others write back all the same. */
static void test_turn_left(void **state)
{
	struct tree *t = *state;
	struct dead d;
	int fd, victim;
	DIR *open;

	if (!pod_possible())
		skip();
	close(make_file(at(&t->pod, A, "data/turn"), "written"));
	die_begin(t, &d);
	atomic_store(&shared->stop, 1);
	assert_int_equal(daxfs_xattr_set(d.b.fs, d.b.root, BACKING_SYNC, "1", 1, 0), 0);
	die(&d);
	alarm(HANG_S);
	while (!atomic_load(&shared->hit))
		usleep(1000);
	victim = atomic_load(&shared->hit) - 1;
	open = opendir(at(&t->pod, victim, "data"));
	assert_non_null(open);
	atomic_store(&shared->next, 1 + victim);
	pod_kill_server(&t->pod, victim);
	while (!atomic_load(&shared->first))
		usleep(1000);
	assert_int_equal(atomic_load(&shared->first),
			 1 + DAXFS_UNLOCK); /* or it waits till there is something to write */
	fd = make_file(at(&t->pod, !victim, "data/next"), "text");
	assert_int_equal(fsync(fd), 0);
	alarm(0);
	close(fd);
	closedir(open);
	expect_text(in(t, "next"), "text");
	assert_int_equal(unlink(at(&t->pod, A, "data/next")), 0);
	assert_int_equal(unlink(at(&t->pod, A, "data/turn")), 0);
}

int __real_backing_remove(struct backing *b, struct backing_change *c, uint64_t request, bool directory);
int __wrap_backing_remove(struct backing *b, struct backing_change *c, uint64_t request, bool directory);
int __wrap_backing_remove(struct backing *b, struct backing_change *c, uint64_t request, bool directory)
{
	while (me == A && atomic_load(&shared->wait)) {
		atomic_store(&shared->waits, 1);
		usleep(1000);
	}
	return __real_backing_remove(b, c, request, directory);
}

struct asked {
	char path[256];
	bool makes; /* or removes */
	int error;
	atomic_bool over;
};

static void *ask(void *arg)
{
	struct asked *a = arg;
	int fd = a->makes ? open(a->path, O_WRONLY | O_CREAT | O_EXCL, 0644) : unlink(a->path);

	a->error = fd < 0 ? errno : 0;
	if (a->makes && !a->error) {
		assert_int_equal(write(fd, "another", 7), 7);
		close(fd);
	}
	atomic_store(&a->over, true);
	return NULL;
}

/*
 * A's process dies when storage has removed a name, and the pool has not. Until the next one has done what it is asked
 * for once more, however late, nobody else changes names there: else it would find no intent, and remove what B made.
 */
static void test_left_to_the_next(void **state)
{
	struct tree *t = *state;
	struct asked a = { .makes = false }, b = { .makes = true };
	pthread_t thread[2];

	if (!pod_possible())
		skip();
	close(make_file(at(&t->pod, A, "data/again"), "removed"));
	snprintf(a.path, sizeof(a.path), "%s", at(&t->pod, A, "data/again"));
	snprintf(b.path, sizeof(b.path), "%s", at(&t->pod, B, "data/again"));
	alarm(HANG_S);
	atomic_store(&shared->die, 1);
	assert_int_equal(pthread_create(&thread[A], NULL, ask, &a), 0);
	while (!atomic_load(&shared->dying))
		usleep(1000);
	atomic_store(&shared->wait, 1);
	pod_kill_server(&t->pod, A);
	atomic_store(&shared->waits, 0);
	while (!atomic_load(&shared->waits))
		usleep(1000);
	atomic_store(&shared->refused, 0);
	assert_int_equal(pthread_create(&thread[B], NULL, ask, &b), 0);
	while (!atomic_load(&shared->refused) && !atomic_load(&b.over))
		usleep(1000);
	for (unsigned ms = 0; ms < LEFT_MS && !atomic_load(&b.over); ms += 10)
		usleep(10000);
	atomic_store(&shared->wait, 0);
	for (int i = A; i <= B; i++)
		pthread_join(thread[i], NULL);
	alarm(0);
	assert_int_equal(a.error, 0);
	assert_int_equal(b.error, 0);
	expect_text(at(&t->pod, A, "data/again"), "another");
	await_no_intents(t);
	assert_int_equal(unlink(at(&t->pod, B, "data/again")), 0);
}

static int setup_hosts(void **state)
{
	struct tree *t = calloc(1, sizeof(*t));

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(shared != MAP_FAILED);
	*state = t;
	if (!pod_possible())
		return 0;
	tree_make(t);
	for (me = 0; me < POD_HOSTS; me++)
		start(t, me);
	return 0;
}

static void test_kills(void **state)
{
	struct tree *t = *state;
	const char *more = getenv("DAXFS_KILLS");
	unsigned rounds = more ? (unsigned)atoi(more) : ROUNDS;
	struct work *w = calloc(1, sizeof(*w));
	char dir[32];
	pthread_t thread;

	if (!pod_possible()) {
		free(w);
		skip();
	}
	for (unsigned round = 0; round < rounds; round++) {
		*w = (struct work){ .t = t, .round = round };
		snprintf(dir, sizeof(dir), "data/k%u", round);
		assert_int_equal(mkdir(at(&t->pod, B, dir), 0755), 0);
		assert_int_equal(pthread_create(&thread, NULL, make_and_rename, w), 0);
		usleep(20000 + round * 17011 % 100000);
		kill_some(t, round);
		if (t->pod.agent[A]) {
			usleep(30000);
			atomic_store(&w->stop, true);
		}
		pthread_join(thread, NULL);
		if (t->pod.agent[A])
			assert_int_equal(w->failed, 0); /* to programs it was a pause */
		print_message("round %u: %u changes\n", round, w->next);
		expect_all(w, false);
		await_log(t, B, ", and writing");
		sync_all(w);
		expect_all(w, true);
		expect_all(w, false);
		assert_int_equal(count_names(at(&t->pod, B, dir)), count_names(in(t, dir + 5)));
		if (!t->pod.agent[A])
			start(t, A);
		for (unsigned i = 0; i < NAMES; i++)
			unlink(name_of(w, false, i % 2 ? A : B, i));
		assert_int_equal(rmdir(at(&t->pod, A, dir)), 0);
	}
	await_no_intents(t);
	free(w);
}

static void test_stop(void **state)
{
	struct tree *t = *state;

	if (!pod_possible())
		skip();
	close(make_file(at(&t->pod, A, "data/last"), "at end"));
	pod_leave_clean(&t->pod);
	expect_text(in(t, "last"), "at end");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_late),  cmocka_unit_test(test_turn_left), cmocka_unit_test(test_left_to_the_next),
		cmocka_unit_test(test_kills), cmocka_unit_test(test_stop),
	};

	return cmocka_run_group_tests(tests, setup_hosts, teardown);
}
