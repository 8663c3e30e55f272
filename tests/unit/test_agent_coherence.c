/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_coherence.c - three hosts look at what they keep while all of them change it.
 *
 * Objects: a file in its home directory, sometimes in another one, sometimes with a second name. Each
 * change is one step of an object's history, and one at a time. A look at any of its names must
 * show a state that it had between the begin and the end of the look: one between the last change that had
 * returned before, and the last that had begun after. States that are kept too long are told by their
 * size, mode and count of links, or by a name that should be there, or not.
 *
 * Meanwhile the process that serves a host is killed, and the next one goes on with what its kernel keeps.
 *
 * COHERENCE_LOOKS in the environment says how many looks, COHERENCE_KILLS how many kills, COHERENCE_PACE how many looks
 * a host has for a change of its own, at most: more, for the long run.
 */
#include "test_agent_watch.h"

#include <dirent.h>
#include <pthread.h>

#include "common/clock.h"

#define DIRS 48u
#define OBJECTS 96u
#define PAST 64u /* states of an object that are remembered */
#define LOOKS 200000u
#define KILLS 1u
#define LEASE_MS 2000u
#define PACE 3000u    /* so that there is something to keep */
#define TIMES 262144u /* changes whose times are remembered */

/* what a program may be told of an object */
struct state {
	bool home, away, second; /* the names that it has */
	unsigned mode, size;
};

enum name { HOME, AWAY, SECOND, NAMES };

struct object {
	pthread_mutex_t lock;    /* of who changes it */
	atomic_uint begun, done; /* changes */
	struct state past[PAST]; /* by the number of the change that made it */
};

struct pods {
	struct pod *pod;
	struct object object[OBJECTS];
	atomic_uint looks, sure, stale;
	atomic_bool stop;
	unsigned wanted, kills, pace;
	atomic_uint changes;
	unsigned took_us[TIMES]; /* of changes, with whatever they recall */
};

struct worker {
	struct pods *pods;
	int host;
	unsigned seed;
	pthread_t thread;
};

static const char *name_of(const struct pods *p, int host, unsigned object, enum name name)
{
	static const char letter[NAMES] = { 'h', 'h', 's' };
	char text[64];
	unsigned dir = object % DIRS;

	if (name != HOME)
		dir = (dir + 1 + (name == SECOND)) % DIRS;
	snprintf(text, sizeof(text), "d%u/%c%u", dir, letter[name], object);
	return at(p->pod, host, text);
}

/* -- changing ------------------------------------------------------------------------- */

/* What is done to it next. */
static struct state plan(struct state s, unsigned dice)
{
	if (!s.home && !s.away)
		return (struct state){ .home = true, .mode = 0600 };
	switch (dice % 6) {
	case 0: s.mode ^= 0077; break;
	case 1: s.size = (s.size + 1) % 4096; break;
	case 2:
		s.home = !s.home;
		s.away = !s.away;
		break;
	case 3: s.second = !s.second; break;
	default:
		if (s.second)
			s.second = false;
		else
			s.home = s.away = false;
	}
	return s;
}

static int carry_out(const struct pods *p, int host, unsigned object, const struct state *was, const struct state *is)
{
	const char *home = name_of(p, host, object, HOME), *away = name_of(p, host, object, AWAY);
	const char *second = name_of(p, host, object, SECOND), *path = was->home ? home : away;

	if (!was->home && !was->away)
		return close(open(home, O_WRONLY | O_CREAT | O_EXCL, is->mode));
	if (is->mode != was->mode)
		return chmod(path, is->mode);
	if (is->size != was->size)
		return truncate(path, is->size);
	if (is->second != was->second)
		return is->second ? link(path, second) : unlink(second);
	if (is->home || is->away)
		return rename(path, is->home ? home : away);
	return unlink(path);
}

/* What it will be is remembered before that can be seen. */
static void change(struct pods *p, int host, unsigned index, unsigned dice)
{
	struct object *o = &p->object[index];
	const struct state *was;
	struct state *is;
	int64_t began;
	unsigned n;

	pthread_mutex_lock(&o->lock);
	n = atomic_load(&o->done);
	was = &o->past[n % PAST];
	is = &o->past[(n + 1) % PAST];
	*is = plan(*was, dice);
	atomic_store(&o->begun, n + 1);
	began = clock_ns();
	if (carry_out(p, host, index, was, is) != 0)
		fail_msg("object %u on host %d: %s", index, host, strerror(errno));
	p->took_us[atomic_fetch_add(&p->changes, 1) % TIMES] = (unsigned)((clock_ns() - began) / 1000);
	atomic_store(&o->done, n + 1);
	pthread_mutex_unlock(&o->lock);
}

static void *change_main(void *context)
{
	struct worker *w = context;
	unsigned next = 0;

	while (!atomic_load(&w->pods->stop)) {
		if (atomic_load(&w->pods->looks) < next) {
			usleep(100);
			continue;
		}
		change(w->pods, w->host, (unsigned)rand_r(&w->seed) % OBJECTS, (unsigned)rand_r(&w->seed));
		next = atomic_load(&w->pods->looks) + (unsigned)rand_r(&w->seed) % w->pods->pace;
	}
	return NULL;
}

/* -- looking ----------------------------------------------------------------------------- */

static bool has(const struct state *s, enum name name)
{
	return name == HOME ? s->home : name == AWAY ? s->away : s->second;
}

static bool is_told(const struct state *s, const struct stat *st)
{
	return (st->st_mode & 0777) == s->mode && st->st_size == (off_t)s->size &&
	       st->st_nlink == (nlink_t)(s->home || s->away) + s->second;
}

/* The name leads to an inode at one moment, and that is as it is told then or later, when it may have lost the name. */
static bool is_true(const struct object *o, unsigned from, unsigned to, enum name name, int error,
		    const struct stat *st)
{
	bool there = false;

	for (unsigned n = from; n <= to; n++) {
		const struct state *s = &o->past[n % PAST];

		there |= has(s, name);
		if (error ? error == ENOENT && !has(s, name) : there && is_told(s, st))
			return true;
	}
	return false;
}

static void look(struct worker *w, unsigned index, enum name name)
{
	struct object *o = &w->pods->object[index];
	unsigned from = atomic_load(&o->done), to;
	struct stat st;
	bool right;
	int error = stat(name_of(w->pods, w->host, index, name), &st) == 0 ? 0 : errno;

	to = atomic_load(&o->begun);
	atomic_fetch_add(&w->pods->looks, 1);
	right = is_true(o, from, to, name, error, &st);
	if (atomic_load(&o->begun) - from >= PAST)
		return; /* what it was then has been forgotten */
	atomic_fetch_add(&w->pods->sure, 1);
	if (right)
		return;
	atomic_fetch_add(&w->pods->stale, 1);
	print_message("host %d, object %u, name %d: told %d %o %lld n%u, which it was not from change %u to %u\n",
		      w->host, index, (int)name, error, error ? 0 : st.st_mode & 0777,
		      error ? 0LL : (long long)st.st_size, error ? 0 : (unsigned)st.st_nlink, from, to);
}

/* The same objects again and again, and others now and then; and a listing, which tells of many. */
static void *look_main(void *context)
{
	struct worker *w = context;

	while (atomic_load(&w->pods->looks) < w->pods->wanted && !atomic_load(&w->pods->stale)) {
		unsigned first = (unsigned)rand_r(&w->seed) % OBJECTS;

		if (first % 4 == 0) {
			char dir[32];
			DIR *d;

			snprintf(dir, sizeof(dir), "d%u", first % DIRS);
			d = opendir(at(w->pods->pod, w->host, dir));
			while (d && readdir(d))
				;
			if (d)
				closedir(d);
		}
		for (unsigned i = 0; i < 64; i++)
			look(w, (first + i % 8) % OBJECTS, (enum name)((first + i / 8) % NAMES));
	}
	return NULL;
}

/* -- all of it --------------------------------------------------------------------------------- */

static void make_objects(struct pods *p)
{
	char dir[32];

	for (unsigned i = 0; i < DIRS; i++) {
		snprintf(dir, sizeof(dir), "d%u", i);
		assert_int_equal(mkdir(at(p->pod, A, dir), 0755), 0);
	}
	for (unsigned i = 0; i < OBJECTS; i++)
		pthread_mutex_init(&p->object[i].lock, NULL);
}

static unsigned requests_of_all(void)
{
	unsigned n = 0;

	for (int host = 0; host < POD_HOSTS; host++)
		n += watch_all(host);
	return n;
}

/* Evenly among the looks, and never one that has not begun to serve. */
static void *kill_main(void *context)
{
	struct pods *p = context;

	for (unsigned n = 0; n < p->kills; n++) {
		int host = (int)(n % POD_HOSTS);

		while (atomic_load(&p->looks) < (uint64_t)p->wanted * (n + 1) / (p->kills + 1) &&
		       !atomic_load(&p->stop))
			usleep(100);
		kill(pod_server(p->pod, host), SIGKILL);
		pod_wait_ready(p->pod, host);
	}
	return NULL;
}

static void run_all(struct pods *p)
{
	struct worker changer[POD_HOSTS], looker[POD_HOSTS];
	pthread_t killer;

	pthread_create(&killer, NULL, kill_main, p);

	for (int host = 0; host < POD_HOSTS; host++) {
		changer[host] = (struct worker){ .pods = p, .host = host, .seed = (unsigned)host + 1 };
		looker[host] = (struct worker){ .pods = p, .host = host, .seed = (unsigned)host + 101 };
		pthread_create(&changer[host].thread, NULL, change_main, &changer[host]);
		pthread_create(&looker[host].thread, NULL, look_main, &looker[host]);
	}
	for (int host = 0; host < POD_HOSTS; host++)
		pthread_join(looker[host].thread, NULL);
	atomic_store(&p->stop, true);
	pthread_join(killer, NULL);
	for (int host = 0; host < POD_HOSTS; host++)
		pthread_join(changer[host].thread, NULL);
}

static unsigned number(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);

	return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static int by_time(const void *a, const void *b)
{
	const unsigned *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

static void print_times(struct pods *p)
{
	unsigned n = atomic_load(&p->changes) < TIMES ? atomic_load(&p->changes) : TIMES;

	qsort(p->took_us, n, sizeof(p->took_us[0]), by_time);
	if (n)
		print_message("a change took %u us at the median, %u at the 99th percentile, %u at most\n",
			      p->took_us[n / 2], p->took_us[n - n / 100 - 1], p->took_us[n - 1]);
}

static void test_coherent(void **state)
{
	static struct pods p;

	if (!pod_possible())
		skip();
	p.pod = *state;
	p.wanted = number("COHERENCE_LOOKS", LOOKS);
	p.kills = number("COHERENCE_KILLS", KILLS);
	p.pace = number("COHERENCE_PACE", PACE);
	watch_start();
	pod_make_leased(p.pod, LEASE_MS);
	for (int host = 0; host < POD_HOSTS; host++)
		watch_pod_start(p.pod, host);
	make_objects(&p);
	run_all(&p);
	print_message("%u looks, %u of them judged, %u changes, %u kills, %u requests, %u stale\n",
		      atomic_load(&p.looks), atomic_load(&p.sure), atomic_load(&p.changes), p.kills, requests_of_all(),
		      atomic_load(&p.stale));
	print_times(&p);
	assert_int_equal(atomic_load(&p.stale), 0);
	assert_true(atomic_load(&p.sure) && atomic_load(&p.changes));
	assert_true(p.pace < PACE || requests_of_all() < atomic_load(&p.looks)); /* the rest was kept */
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct pod));
	return *state ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_coherent, setup, pod_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
