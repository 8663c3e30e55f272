/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_coherence_dirs.c - directories that all hosts look at, list, and change (agent_coherence.h).
 *
 * An object is a directory, in one of two places, with some of eight names in it. What is kept too long is told by a
 * name that should be there, or not, in a listing, too; by the mode; and by the times: while nothing changes they are
 * the same on all hosts; each change moves the ctime on, and each change of the names in it the mtime, as nothing else
 * does.
 *
 * Of a directory that another host has moved the kernel says ESTALE while others make names where it was (LIMITS.md):
 * then it is asked again, and what it says then is judged.
 */
#include <stdbool.h>
#include <stdint.h>

#define OBJECTS 48u
#define PLACES 12u
#define NAMES 8u
#define FILES 6u /* of them; the others are directories */

/* what a program may be told of an object */
struct state {
	bool there, away;
	unsigned mode, names; /* a bit each */
	unsigned life;        /* how often it was made: one directory */
	unsigned lists;       /* how often the names in it have changed */
};

#include "agent_coherence.h"

/* what was told of the times after a change and before the next */
struct told {
	pthread_mutex_t lock;
	bool known;
	unsigned change;
	struct state state;
	struct timespec mtime, ctime;
};

static struct told told[OBJECTS];

static const char *path_of(const struct pods *p, int host, unsigned object, bool away)
{
	char text[64];

	snprintf(text, sizeof(text), "p%u/o%u", (object + away) % PLACES, object);
	return at(p->pod, host, text);
}

static const char *name_of(const struct pods *p, int host, unsigned object, bool away, unsigned name)
{
	char text[64];

	snprintf(text, sizeof(text), "p%u/o%u/n%u", (object + away) % PLACES, object, name);
	return at(p->pod, host, text);
}

static atomic_uint refused;

static bool again(int rc)
{
	if (rc == 0 || errno != ESTALE)
		return false;
	atomic_fetch_add(&refused, 1);
	return true;
}

/* 0, or an errno. */
static int stat_it(const char *path, struct stat *st)
{
	int rc;

	do
		rc = stat(path, st);
	while (again(rc));
	return rc ? errno : 0;
}

/* -- changing ------------------------------------------------------------------------- */

static unsigned some_bit(unsigned of, unsigned dice)
{
	for (unsigned i = 0; i < NAMES; i++)
		if (of & 1u << (dice + i) % NAMES)
			return 1u << (dice + i) % NAMES;
	return 0;
}

/* One name comes or goes, or becomes another one. */
static struct state plan_names(struct state s, unsigned dice)
{
	unsigned files = (1u << FILES) - 1, from = some_bit(s.names & files, dice / 8),
		 to = some_bit(~s.names & files, dice / 64);

	if (dice % 4 == 0 && from && to)
		s.names ^= from | to;
	else
		s.names ^= some_bit(~0u, dice / 8);
	s.lists++;
	return s;
}

static struct state plan(struct state s, unsigned dice)
{
	if (!s.there)
		return (struct state){ .there = true, .mode = 0700, .life = s.life + 1, .lists = s.lists + 1 };
	switch (dice % 8) {
	case 0: s.mode ^= 0077; return s;
	case 1: s.away = !s.away; return s;
	case 2:
	case 3:
		if (s.names) {
			s.names &= ~some_bit(s.names, dice / 8);
			s.lists++;
		} else {
			s.there = false;
		}
		return s;
	default: return plan_names(s, dice / 8);
	}
}

static int change_names(const struct pods *p, int host, unsigned object, const struct state *was,
			const struct state *is)
{
	unsigned gone = was->names & ~is->names, new = is->names & ~was->names;
	unsigned name = (unsigned)__builtin_ctz(gone ? gone : new);
	const char *path = name_of(p, host, object, is->away, name);

	if (gone && new)
		return rename(path, name_of(p, host, object, is->away, (unsigned)__builtin_ctz(new)));
	if (gone)
		return name < FILES ? unlink(path) : rmdir(path);
	return name < FILES ? close(open(path, O_WRONLY | O_CREAT | O_EXCL, 0600)) : mkdir(path, 0700);
}

static int carry_out_once(const struct pods *p, int host, unsigned object, const struct state *was,
			  const struct state *is)
{
	const char *path = path_of(p, host, object, was->away);

	if (was->there != is->there)
		return is->there ? mkdir(path_of(p, host, object, false), is->mode) : rmdir(path);
	if (was->mode != is->mode)
		return chmod(path, is->mode);
	if (was->away != is->away)
		return rename(path, path_of(p, host, object, is->away));
	return change_names(p, host, object, was, is);
}

static int carry_out(const struct pods *p, int host, unsigned object, const struct state *was, const struct state *is)
{
	int rc;

	do
		rc = carry_out_once(p, host, object, was, is);
	while (again(rc));
	return rc;
}

/* -- times ------------------------------------------------------------------------------------ */

static bool is_later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec > b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec > b->tv_nsec);
}

static bool is_same(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* The times follow from those that were told before, maybe on another host. */
static bool follows(const struct told *t, unsigned change, const struct state *s, const struct stat *st)
{
	if (!t->known || t->state.life != s->life || change < t->change)
		return true;
	if (change == t->change ? !is_same(&st->st_ctim, &t->ctime) : !is_later(&st->st_ctim, &t->ctime))
		return false;
	return s->lists == t->state.lists ? is_same(&st->st_mtim, &t->mtime) : is_later(&st->st_mtim, &t->mtime);
}

static void remember(struct told *t, unsigned change, const struct state *s, const struct stat *st)
{
	t->known = true;
	t->change = change;
	t->state = *s;
	t->mtime = st->st_mtim;
	t->ctime = st->st_ctim;
}

/* They are judged where nothing changed during the look. */
static bool are_times_true(unsigned object, const struct look *l, const struct stat *st)
{
	struct told *t = &told[object];
	const struct state *s = state_at(l, l->from);
	bool right;

	if (l->from != l->to)
		return true;
	pthread_mutex_lock(&t->lock);
	right = follows(t, l->from, s, st);
	if (!t->known || l->from > t->change)
		remember(t, l->from, s, st);
	pthread_mutex_unlock(&t->lock);
	return right;
}

/* -- looking ----------------------------------------------------------------------------- */

static bool is_at(const struct state *s, bool away)
{
	return s->there && s->away == away;
}

/* The name leads to it at one moment, and it is as it is told then or later: it may have moved, or be gone. */
static bool is_true(const struct look *l, bool away, int error, const struct stat *st)
{
	bool there = false;

	for (unsigned n = l->from; n <= l->to; n++) {
		const struct state *s = state_at(l, n);

		there |= is_at(s, away);
		if (error ? error == ENOENT && !is_at(s, away)
			  : there && (st->st_mode & 0777) == s->mode && st->st_nlink == s->there &&
				    S_ISDIR(st->st_mode))
			return true;
	}
	return false;
}

static void look_at_it(struct worker *w, unsigned index, bool away)
{
	struct look l = look_begin(w, index);
	struct stat st;
	int error = stat_it(path_of(w->pods, w->host, index, away), &st);
	bool right;

	look_taken(&l);
	right = is_true(&l, away, error, &st) && (error || are_times_true(index, &l, &st));
	if (look_is_wrong(w, &l, right))
		print_message(
			"host %d, object %u, away %d, change %u to %u: %d %o n%u mtime %ld.%09ld ctime %ld.%09ld\n",
			w->host, index, away, l.from, l.to, error, error ? 0 : st.st_mode,
			error ? 0 : (unsigned)st.st_nlink, (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
			(long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
}

/* Is a name so that it is found there, or that it is not? What is listed may have moved since it was opened. */
static bool was_there(const struct look *l, bool away, unsigned name, bool found)
{
	bool there = false;

	for (unsigned n = l->from; n <= l->to; n++) {
		const struct state *s = state_at(l, n);

		there |= is_at(s, away);
		if (found ? there && s->names & 1u << name : !is_at(s, away) || !(s->names & 1u << name))
			return true;
	}
	return false;
}

static void look_in_it(struct worker *w, unsigned index, bool away, unsigned name)
{
	struct look l = look_begin(w, index);
	struct stat st;
	int error = stat_it(name_of(w->pods, w->host, index, away, name), &st);
	bool right;

	look_taken(&l);
	right = (!error || error == ENOENT) && was_there(&l, away, name, !error);
	if (look_is_wrong(w, &l, right))
		print_message("host %d, object %u, away %d, name %u: told %d, not so from change %u to %u\n", w->host,
			      index, away, name, error, l.from, l.to);
}

/* The names that are listed, a bit each; -1: it is not there. */
static int list(const char *path)
{
	struct dirent *entry;
	int names = 0;
	DIR *dir;

	do
		dir = opendir(path);
	while (again(dir ? 0 : -1));
	if (!dir)
		return -1;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] == 'n')
			names |= 1 << (entry->d_name[1] - '0');
	closedir(dir);
	return names;
}

static bool is_list_true(const struct look *l, bool away, int names)
{
	bool right = true;

	if (names < 0)
		return is_true(l, away, ENOENT, NULL);
	for (unsigned name = 0; name < NAMES; name++)
		right &= was_there(l, away, name, names & 1 << name);
	return right;
}

static void look_by_list(struct worker *w, unsigned index, bool away)
{
	struct look l = look_begin(w, index);
	int names = list(path_of(w->pods, w->host, index, away));

	look_taken(&l);
	if (look_is_wrong(w, &l, is_list_true(&l, away, names)))
		print_message("host %d, object %u, away %d: listed %x, not so from change %u to %u\n", w->host, index,
			      away, (unsigned)names, l.from, l.to);
}

/* The same directories again and again, and others now and then. */
static void look_around(struct worker *w)
{
	unsigned first = (unsigned)rand_r(&w->seed) % OBJECTS;

	for (unsigned i = 0; i < 64; i++) {
		unsigned index = (first + i % 4) % OBJECTS;
		bool away = i / 4 % 2;

		if (i % 16 == 0)
			look_by_list(w, index, away);
		else if (i % 3)
			look_in_it(w, index, away, i % NAMES);
		else
			look_at_it(w, index, away);
	}
}

static void make_places(struct pods *p)
{
	char place[32];

	for (unsigned i = 0; i < PLACES; i++) {
		snprintf(place, sizeof(place), "p%u", i);
		assert_int_equal(mkdir(at(p->pod, A, place), 0755), 0);
	}
	for (unsigned i = 0; i < OBJECTS; i++)
		pthread_mutex_init(&told[i].lock, NULL);
}

int main(void)
{
	int failed = coherence_main();

	print_message("%u times a directory that had moved was refused\n", atomic_load(&refused));
	return failed;
}
