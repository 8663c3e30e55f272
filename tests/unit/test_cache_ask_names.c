/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cache_ask_names.c - a host without the storage asks those that have it for the names of a directory, or whether
 * a file is what it was: when it may believe that, and what it is told when they fail, die, are slow, or know no such
 * asks.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "cache_fixture.h"

#define ASKER 2u
#define NAMES 6u
#define LOOKS 200u        /* for an answer that does not come */
#define MANY_LOOKS 40000u /* ... that comes */
#define AGAIN 20u         /* looks before it is asked again: 4 ms */
#define SLOW_US 60000u

/* what a host does that is to list */
struct lister {
	struct daxfs *fs;
	unsigned names; /* that it has of the directory */
	int error;
	unsigned dies_after; /* names; 0: it does not */
	unsigned slow_us;
	const struct daxfs_ask *once_more; /* another thread takes it while this one lists */
	struct pod *pod;
	unsigned host;
	atomic_uint lists, at_once, most_at_once;
	int look_error;
	atomic_uint looks, finds;
	daxfs_ino looked;
};

struct names {
	struct fixture s;
	daxfs_ino dir, other;
	bool finds; /* hosts know asks for one name */
	struct lister lister[POD_HOSTS];
	atomic_bool stop;
	pthread_t server[POD_HOSTS][2];
};

static void name_of(char *name, unsigned i)
{
	snprintf(name, 16, "n%u", i);
}

static int import_one(struct lister *l, daxfs_ino dir, unsigned i)
{
	const struct daxfs_attr attr = { .mode = S_IFREG | 0644, .size = 5 };
	struct daxfs_attr out;
	char name[16];
	int rc;

	name_of(name, i);
	rc = daxfs_import(l->fs, dir, name, &attr, BACKING, 100 + i, &out);
	return rc == -EEXIST ? 0 : rc;
}

static int list(void *context, daxfs_ino dir)
{
	struct lister *l = ((struct storage *)context)->context;
	unsigned now = atomic_fetch_add(&l->at_once, 1) + 1;
	int rc = l->error;

	atomic_fetch_add(&l->lists, 1);
	if (now > atomic_load(&l->most_at_once))
		atomic_store(&l->most_at_once, now);
	usleep(l->slow_us);
	if (l->once_more)
		assert_int_equal(daxfs_serve(l->fs, l->once_more), -EALREADY);
	for (unsigned i = 0; rc == 0 && i < l->names; i++) {
		if (l->dies_after && i == l->dies_after)
			pod_fence(l->pod, l->host);
		rc = import_one(l, dir, i);
	}
	atomic_fetch_sub(&l->at_once, 1);
	return rc;
}

static int find(void *context, daxfs_ino dir, uint64_t key)
{
	struct lister *l = ((struct storage *)context)->context;
	int rc = l->error ? l->error : -ENOENT;
	char name[16];

	atomic_fetch_add(&l->finds, 1);
	for (unsigned i = 0; rc == -ENOENT && i < l->names; i++) {
		name_of(name, i);
		if (daxfs_name_key(l->fs, name) == key)
			rc = import_one(l, dir, i);
	}
	return rc;
}

static int look(void *context, daxfs_ino ino)
{
	struct lister *l = ((struct storage *)context)->context;

	atomic_fetch_add(&l->looks, 1);
	l->looked = ino;
	return l->look_error;
}

static daxfs_ino import_dir(struct names *n, const char *name, uint64_t file)
{
	const struct daxfs_attr attr = { .mode = S_IFDIR | 0755 };
	struct daxfs_attr out;

	assert_int_equal(daxfs_import(n->s.pod.fs[0], DAXFS_ROOT, name, &attr, BACKING, file, &out), 0);
	return out.ino;
}

static void attach(struct names *n, unsigned host, bool lists)
{
	const struct daxfs_storage storage = {
		.struct_size = sizeof(storage),
		.read = storage_read,
		.context = &n->s.storage[host],
		.patience_ms = PATIENCE_MS,
		.list = lists ? list : NULL,
		.look = lists ? look : NULL,
		.find = lists && n->finds ? find : NULL,
	};
	struct daxfs_ask ask;

	n->lister[host].fs = n->s.pod.fs[host];
	n->lister[host].names = NAMES;
	n->lister[host].pod = &n->s.pod;
	n->lister[host].host = host;
	n->s.storage[host].context = &n->lister[host];
	assert_int_equal(daxfs_backing_attach(n->s.pod.fs[host], BACKING, &storage), 0);
	assert_int_equal(daxfs_asked(n->s.pod.fs[host], BACKING, &ask), 0); /* from here on others rely on it */
}

static void start(struct names *n)
{
	memset(n, 0, sizeof(*n));
	fixture_start(&n->s, 16 << 20, PAGE, PATIENCE_MS);
	for (unsigned i = 0; i < POD_HOSTS; i++)
		assert_int_equal(daxfs_backing_detach(n->s.pod.fs[i], BACKING), 0);
	n->dir = import_dir(n, "dir", 7);
	n->other = import_dir(n, "other", 8);
	cache_ask_patience(n->s.pod.fs[ASKER], MANY_LOOKS, AGAIN);
}

struct server {
	struct names *n;
	unsigned host;
};

static void *serve(void *context)
{
	struct server *v = context;
	struct daxfs *fs = v->n->s.pod.fs[v->host];
	static pthread_mutex_t taking = PTHREAD_MUTEX_INITIALIZER; /* one thread takes, others serve */
	struct daxfs_ask ask;

	while (!atomic_load(&v->n->stop)) {
		int rc;

		pthread_mutex_lock(&taking);
		rc = daxfs_asked(fs, BACKING, &ask);
		pthread_mutex_unlock(&taking);
		if (rc == 1)
			daxfs_serve(fs, &ask);
		else
			usleep(100);
	}
	free(v);
	return NULL;
}

static void server_start(struct names *n, unsigned host)
{
	for (unsigned i = 0; i < 2; i++) {
		struct server *v = malloc(sizeof(*v));

		*v = (struct server){ n, host };
		assert_int_equal(pthread_create(&n->server[host][i], NULL, serve, v), 0);
	}
}

static void servers_stop(struct names *n)
{
	atomic_store(&n->stop, true);
	for (unsigned host = 0; host < POD_HOSTS; host++)
		for (unsigned i = 0; i < 2; i++)
			if (n->server[host][i])
				pthread_join(n->server[host][i], NULL);
}

static void stop(struct names *n)
{
	char name[16];

	servers_stop(n);
	for (unsigned i = 0; i < NAMES; i++) {
		name_of(name, i);
		for (unsigned k = 0; k < 2; k++) {
			daxfs_ino dir = k ? n->other : n->dir, ino;

			if (pod_lookup(n->s.pod.fs[1], dir, name, &ino) == 0)
				assert_int_equal(daxfs_forget(n->s.pod.fs[1], dir, name, ino), 0);
		}
	}
	assert_int_equal(daxfs_forget(n->s.pod.fs[1], DAXFS_ROOT, "dir", n->dir), 0);
	assert_int_equal(daxfs_forget(n->s.pod.fs[1], DAXFS_ROOT, "other", n->other), 0);
	fixture_stop(&n->s);
}

static int ask_names(struct names *n)
{
	return daxfs_ask_names(n->s.pod.fs[ASKER], n->dir);
}

/* All that storage has, or a name is missing. */
static void expect_all(struct names *n, daxfs_ino dir)
{
	char name[16];

	for (unsigned i = 0; i < NAMES; i++) {
		name_of(name, i);
		assert_int_equal(pod_lookup(n->s.pod.fs[ASKER], dir, name, NULL), 0);
	}
}

static void test_names(void **state)
{
	struct names n;

	(void)state;
	start(&n);
	attach(&n, 0, true);
	server_start(&n, 0);
	assert_int_equal(pod_lookup(n.s.pod.fs[ASKER], n.dir, "n0", NULL), -ENOENT);
	assert_int_equal(ask_names(&n), 0);
	expect_all(&n, n.dir);
	assert_int_equal(pod_lookup(n.s.pod.fs[ASKER], n.other, "n0", NULL), -ENOENT);
	assert_int_equal(pod_lookup(n.s.pod.fs[ASKER], n.dir, "none", NULL), -ENOENT);
	n.lister[0].error = -ENETDOWN; /* of storage: said, and not kept */
	assert_int_equal(ask_names(&n), -ENETDOWN);
	n.lister[0].error = 0;
	assert_int_equal(ask_names(&n), 0);
	assert_int_equal(n.lister[0].lists, 3);
	stop(&n);
}

static int ask_name(struct names *n, const char *name)
{
	return daxfs_ask_name(n->s.pod.fs[ASKER], n->dir, name);
}

/* One name comes, and no other one; that there is none is said. Who knows no such asks lists all. */
static void test_one_name(void **state)
{
	struct names n;
	char *long_name;

	(void)state;
	for (unsigned knows = 0; knows < 2; knows++) {
		start(&n);
		n.finds = knows;
		attach(&n, 0, true);
		server_start(&n, 0);
		assert_int_equal(ask_name(&n, "n3"), knows);
		assert_int_equal(pod_lookup(n.s.pod.fs[ASKER], n.dir, "n3", NULL), 0);
		assert_int_equal(pod_lookup(n.s.pod.fs[ASKER], n.dir, "n2", NULL), knows ? -ENOENT : 0);
		assert_int_equal(ask_name(&n, "none"), knows ? -ENOENT : 0);
		assert_int_equal(n.lister[0].lists, knows ? 0 : 2);
		assert_int_equal(n.lister[0].finds, knows ? 2 : 0);
		n.lister[0].error = -ENETDOWN;
		assert_int_equal(ask_name(&n, "n4"), -ENETDOWN);
		n.lister[0].error = 0;
		assert_int_equal(ask_names(&n), 0);
		expect_all(&n, n.dir);
		long_name = calloc(1, 300);
		memset(long_name, 'x', 299);
		assert_int_equal(ask_name(&n, long_name), -ENAMETOOLONG);
		free(long_name);
		assert_int_equal(ask_name(&n, ".."), -EINVAL);
		assert_int_equal(ask_name(&n, "a/b"), -EINVAL);
		assert_true(daxfs_name_key(n.s.pod.fs[0], "n1") != daxfs_name_key(n.s.pod.fs[0], "n2"));
		assert_true(daxfs_name_key(n.s.pod.fs[0], "a/b") == UINT64_MAX);
		stop(&n);
	}
}

/* Of a file, and of a directory, whose names are not meant then. */
static void test_look(void **state)
{
	struct daxfs *fs;
	struct names n;

	(void)state;
	start(&n);
	fs = n.s.pod.fs[ASKER];
	assert_int_equal(daxfs_ask_look(fs, n.s.ino), -ENXIO);
	attach(&n, 0, true);
	server_start(&n, 0);
	assert_int_equal(daxfs_ask_look(fs, n.s.ino), 0);
	assert_true(n.lister[0].looked == n.s.ino);
	assert_int_equal(daxfs_ask_look(fs, n.dir), 0);
	assert_true(n.lister[0].looked == n.dir);
	n.lister[0].look_error = -ESTALE;
	assert_int_equal(daxfs_ask_look(fs, n.s.ino), -ESTALE);
	n.lister[0].look_error = -ENETDOWN;
	assert_int_equal(daxfs_ask_look(fs, n.s.ino), -ENETDOWN);
	assert_int_equal(daxfs_ask_look(fs, DAXFS_ROOT), -EINVAL);
	assert_int_equal(n.lister[0].looks, 4);
	assert_int_equal(n.lister[0].lists, 0);
	stop(&n);
}

/* Who can read and not look has not looked. One who takes it and does not answer: it is given up. */
static void test_look_in_vain(void **state)
{
	struct names n;

	(void)state;
	start(&n);
	attach(&n, 0, false);
	cache_ask_patience(n.s.pod.fs[ASKER], LOOKS, 2 * LOOKS);
	assert_int_equal(daxfs_ask_look(n.s.pod.fs[ASKER], n.s.ino), -ETIMEDOUT);
	cache_ask_patience(n.s.pod.fs[ASKER], MANY_LOOKS, AGAIN);
	server_start(&n, 0);
	assert_int_equal(daxfs_ask_look(n.s.pod.fs[ASKER], n.s.ino), -ENXIO);
	stop(&n);
}

static void test_what_is_asked(void **state)
{
	struct names n;
	daxfs_ino own;

	(void)state;
	start(&n);
	own = pod_mkdir(n.s.pod.fs[0], DAXFS_ROOT, "own");
	assert_int_equal(daxfs_ask_names(n.s.pod.fs[ASKER], own), -EINVAL);
	assert_int_equal(daxfs_ask_names(n.s.pod.fs[ASKER], n.s.ino), -ENOTDIR);
	assert_int_equal(daxfs_rmdir(n.s.pod.fs[0], DAXFS_ROOT, "own"), 0);
	assert_int_equal(daxfs_ask_names(n.s.pod.fs[ASKER], own), -ESTALE);
	stop(&n);
}

struct asker {
	struct names *n;
	daxfs_ino dir;
	pthread_t thread;
	int rc;
};

static void *ask(void *context)
{
	struct asker *a = context;

	a->rc = daxfs_ask_names(a->n->s.pod.fs[ASKER], a->dir);
	return NULL;
}

static void asker_start(struct asker *a, struct names *n, daxfs_ino dir)
{
	*a = (struct asker){ .n = n, .dir = dir };
	assert_int_equal(pthread_create(&a->thread, NULL, ask, a), 0);
}

static int asker_end(struct asker *a)
{
	pthread_join(a->thread, NULL);
	return a->rc;
}

static void take_one(struct names *n, unsigned host, daxfs_ino dir, struct daxfs_ask *out)
{
	while (daxfs_asked(n->s.pod.fs[host], BACKING, out) != 1)
		usleep(100);
	assert_int_equal(out->ino, dir);
}

/* Nobody that has it, nobody that can list; a version that knows pages alone takes it for one, and fails. */
static void test_nobody(void **state)
{
	struct daxfs_ask taken;
	struct asker a;
	struct names n;

	(void)state;
	start(&n);
	assert_int_equal(ask_names(&n), -ENXIO);
	attach(&n, 0, false);
	asker_start(&a, &n, n.dir);
	take_one(&n, 0, n.dir, &taken);
	assert_int_equal(daxfs_serve(n.s.pod.fs[0], &taken), -EOPNOTSUPP);
	assert_int_equal(asker_end(&a), -ENXIO);
	taken = (struct daxfs_ask){ .host = ASKER, .ino = n.dir, .backing = BACKING, .pages = 1 };
	assert_int_equal(cache_provide(n.s.pod.fs[0], taken.ino, taken.page, taken.pages), -EISDIR);
	assert_int_equal(daxfs_backing_detach(n.s.pod.fs[0], BACKING), 0);
	assert_int_equal(ask_names(&n), -ENXIO);
	stop(&n);
}

/* A listing that takes longer than until it is asked again: done once at a time, and its end is the answer. */
static void test_slow(void **state)
{
	struct names n;

	(void)state;
	start(&n);
	attach(&n, 0, true);
	n.lister[0].slow_us = SLOW_US;
	server_start(&n, 0);
	assert_int_equal(ask_names(&n), 0);
	expect_all(&n, n.dir);
	assert_int_equal(n.lister[0].most_at_once, 1);
	assert_in_range(n.lister[0].lists, 1, 2); /* it may be asked again in the moment in which it ends */
	stop(&n);
}

/* A server dies before it has begun, or among the names: the asker waits for another one, which lists them all. */
static void test_taker_dies(void **state)
{
	(void)state;
	for (unsigned after = 0; after < NAMES; after += NAMES / 2) {
		struct daxfs_ask taken;
		struct asker a;
		struct names n;

		start(&n);
		attach(&n, 0, true);
		attach(&n, 1, true);
		asker_start(&a, &n, n.dir);
		take_one(&n, 0, n.dir, &taken);
		n.lister[0].dies_after = after;
		if (after)
			assert_true(daxfs_serve(n.s.pod.fs[0], &taken) < 0);
		else
			pod_fence(&n.s.pod, 0);
		server_start(&n, 1);
		assert_int_equal(asker_end(&a), 0);
		expect_all(&n, n.dir);
		stop(&n);
	}
}

/* Who gave up asks for another directory by the same place: what was done for the first is no answer to that. */
static void test_late(void **state)
{
	struct daxfs_ask old, now;
	struct asker a;
	struct names n;

	(void)state;
	start(&n);
	attach(&n, 0, true);
	cache_ask_patience(n.s.pod.fs[ASKER], LOOKS, 2 * LOOKS);
	asker_start(&a, &n, n.dir);
	take_one(&n, 0, n.dir, &old);
	assert_int_equal(asker_end(&a), -ETIMEDOUT);
	cache_ask_patience(n.s.pod.fs[ASKER], MANY_LOOKS, MANY_LOOKS);
	asker_start(&a, &n, n.other);
	take_one(&n, 0, n.other, &now);
	assert_int_equal(now.place, old.place);
	assert_int_equal(daxfs_serve(n.s.pod.fs[0], &old), 0);
	assert_int_equal(sm_load(&n.s.pool->asks.host[ASKER].word[now.place]) & 3, DAXFS_ASK_TAKEN);
	n.lister[0].once_more = &now;
	assert_int_equal(daxfs_serve(n.s.pod.fs[0], &now), 0);
	assert_int_equal(asker_end(&a), 0);
	expect_all(&n, n.other);
	stop(&n);
}

/* A tenant's last asks are lost with its cache: its successor asks by numbers that it did not use. */
static void test_next_tenant(void **state)
{
	struct daxfs_recovery report;
	struct daxfs_ask old, now;
	struct daxfs_error err;
	struct asker a;
	struct names n;
	sm_u64 *word;
	uint64_t before;

	(void)state;
	start(&n);
	attach(&n, 0, true);
	cache_ask_patience(n.s.pod.fs[ASKER], LOOKS, 2 * LOOKS);
	word = &n.s.pool->asks.host[ASKER].word[0];
	before = sm_load(word);
	asker_start(&a, &n, n.dir);
	take_one(&n, 0, n.dir, &old);
	assert_int_equal(asker_end(&a), -ETIMEDOUT);
	pod_fence(&n.s.pod, ASKER);
	assert_int_equal(daxfs_recover(n.s.pod.fs[1], ASKER, &report), 0);
	daxfs_close(n.s.pod.fs[ASKER]);
	sm_store(word, before);
	assert_int_equal(fs_attach(n.s.pod.base, n.s.pod.size, &n.s.pod.fs[ASKER], &err), 0);
	assert_int_equal(daxfs_join(n.s.pod.fs[ASKER], ASKER, "unit2", &err), 0);
	cache_ask_patience(n.s.pod.fs[ASKER], MANY_LOOKS, MANY_LOOKS);
	asker_start(&a, &n, n.other);
	take_one(&n, 0, n.other, &now);
	assert_int_equal(daxfs_serve(n.s.pod.fs[0], &old), 0);
	assert_int_equal(sm_load(word) & 3, DAXFS_ASK_TAKEN);
	assert_int_equal(daxfs_serve(n.s.pod.fs[0], &now), 0);
	assert_int_equal(asker_end(&a), 0);
	stop(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),         cmocka_unit_test(test_one_name),
		cmocka_unit_test(test_what_is_asked), cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_slow),          cmocka_unit_test(test_taker_dies),
		cmocka_unit_test(test_late),          cmocka_unit_test(test_next_tenant),
		cmocka_unit_test(test_look),          cmocka_unit_test(test_look_in_vain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
