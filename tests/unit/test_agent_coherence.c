/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_coherence.c - files that all hosts look at, and change (agent_coherence.h).
 *
 * An object is a file in its home directory, sometimes in another one, sometimes with a second name. What is kept too
 * long is told by its size, mode and count of links, or by a name that should be there, or not.
 */
#include <stdbool.h>

#define OBJECTS 96u
#define DIRS 48u

/* what a program may be told of an object */
struct state {
	bool home, away, second; /* the names that it has */
	unsigned mode, size;
};

#include "agent_coherence.h"

enum name { HOME, AWAY, SECOND, NAMES };

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
static bool is_true(const struct look *l, enum name name, int error, const struct stat *st)
{
	bool there = false;

	for (unsigned n = l->from; n <= l->to; n++) {
		const struct state *s = state_at(l, n);

		there |= has(s, name);
		if (error ? error == ENOENT && !has(s, name) : there && is_told(s, st))
			return true;
	}
	return false;
}

static void look(struct worker *w, unsigned index, enum name name)
{
	struct look l = look_begin(w, index);
	struct stat st;
	int error = stat(name_of(w->pods, w->host, index, name), &st) == 0 ? 0 : errno;

	look_taken(&l);
	if (look_is_wrong(w, &l, is_true(&l, name, error, &st)))
		print_message("host %d, object %u, name %d: told %d %o %lld n%u, not so from change %u to %u\n",
			      w->host, index, (int)name, error, error ? 0 : st.st_mode & 0777,
			      error ? 0LL : (long long)st.st_size, error ? 0 : (unsigned)st.st_nlink, l.from, l.to);
}

/* The same objects again and again, and others now and then; and a listing, which tells of many. */
static void look_around(struct worker *w)
{
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

static void make_places(struct pods *p)
{
	char dir[32];

	for (unsigned i = 0; i < DIRS; i++) {
		snprintf(dir, sizeof(dir), "d%u", i);
		assert_int_equal(mkdir(at(p->pod, A, dir), 0755), 0);
	}
}

int main(void)
{
	return coherence_main();
}
