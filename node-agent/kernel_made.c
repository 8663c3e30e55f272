/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_made.c - see kernel_made.h. */
#include "node-agent/kernel_made.h"

#include <string.h>

#include "common/clock.h"
#include "node-agent/thread.h"

#define NAP_NS 50000ll

/* -- notes, with the lock --------------------------------------------------------------------- */

static atomic_uint *count_of(struct kernel_made *m, daxfs_ino ino)
{
	return ino ? &m->made[ino % KERNEL_MADE] : &m->making;
}

static void take_note(struct kernel_made *m, struct kernel_maker *maker, const struct kernel_maker *what)
{
	*maker = *what;
	maker->since_ns = clock_ns();
	atomic_fetch_add(count_of(m, maker->ino), 1);
	atomic_fetch_add(&m->thread[maker->thread % KERNEL_MADE], 1);
}

static void end_note(struct kernel_made *m, struct kernel_maker *maker)
{
	atomic_fetch_sub(&m->thread[maker->thread % KERNEL_MADE], 1);
	atomic_fetch_sub(count_of(m, maker->ino), 1);
	if (maker->ino)
		estate_file_made_by(m->estate, maker->fh, 0);
	maker->thread = 0;
}

/* Interruptibly, or it is stopped or dead. */
static bool is_asleep(uint32_t thread)
{
	char line[128];
	const char *state = thread_stat(thread, line, sizeof(line));

	return state && state[0] == ' ' && state[1] && strchr("STtZX", state[1]);
}

/* What is not answered yet may take longer. */
static bool has_arrived(const struct kernel_made *m, const struct kernel_maker *maker)
{
	if (!maker->ino)
		return false;
	return clock_ns() >= maker->since_ns + m->arrive_ns || thread_is_gone(maker->thread) ||
	       (maker->answered && is_asleep(maker->thread));
}

static bool is_noted(struct kernel_made *m, struct kernel_maker *maker)
{
	if (maker->thread && has_arrived(m, maker))
		end_note(m, maker);
	return maker->thread;
}

/* -- a creation --------------------------------------------------------------------------------- */

struct kernel_maker *kernel_made_begin(struct kernel_made *m, uint32_t thread, uint64_t fh)
{
	struct kernel_maker *found = NULL;

	if (!thread)
		return NULL;
	pthread_mutex_lock(&m->lock);
	for (unsigned i = 0; i < KERNEL_MAKERS && !found; i++) {
		struct kernel_maker *maker = &m->maker[(thread + i) % KERNEL_MAKERS];

		if (!is_noted(m, maker))
			found = maker;
	}
	if (found)
		take_note(m, found, &(struct kernel_maker){ .thread = thread, .fh = fh });
	pthread_mutex_unlock(&m->lock);
	return found;
}

bool kernel_made_as(struct kernel_made *m, struct kernel_maker *maker, daxfs_ino ino)
{
	struct kernel_maker now;

	pthread_mutex_lock(&m->lock);
	now = *maker;
	end_note(m, maker);
	now.ino = now.contested ? 0 : ino;
	if (now.ino) {
		take_note(m, maker, &now);
		estate_file_made_by(m->estate, now.fh, now.thread);
	}
	pthread_mutex_unlock(&m->lock);
	return now.ino;
}

/* It may be over, and the place be of another one. */
void kernel_made_answered(struct kernel_made *m, struct kernel_maker *maker, uint64_t fh)
{
	pthread_mutex_lock(&m->lock);
	if (maker->thread && maker->fh == fh)
		maker->answered = true;
	pthread_mutex_unlock(&m->lock);
}

/* -- everybody else ------------------------------------------------------------------------------ */

void kernel_made_told(struct kernel_made *m, uint32_t thread, daxfs_ino ino)
{
	if (!ino || (!atomic_load(&m->making) && !atomic_load(count_of(m, ino))))
		return;
	pthread_mutex_lock(&m->lock);
	for (unsigned i = 0; i < KERNEL_MAKERS; i++)
		if (m->maker[i].thread != thread && (!m->maker[i].ino || m->maker[i].ino == ino))
			m->maker[i].contested = true;
	pthread_mutex_unlock(&m->lock);
}

/* A thread that asks about the file that it made has taken that, whatever it asks. */
static bool has_taken(const struct kernel_maker *maker, uint32_t thread, bool in_order, daxfs_ino ino)
{
	if (maker->thread == thread)
		return in_order || maker->ino == ino;
	return maker->ino == ino && !maker->contested;
}

void kernel_made_asked(struct kernel_made *m, uint32_t thread, bool in_order, daxfs_ino ino)
{
	in_order = in_order && thread && atomic_load(&m->thread[thread % KERNEL_MADE]);
	if (!in_order && (!ino || !atomic_load(count_of(m, ino))))
		return;
	pthread_mutex_lock(&m->lock);
	for (unsigned i = 0; i < KERNEL_MAKERS; i++) {
		struct kernel_maker *maker = &m->maker[i];

		if (maker->thread && maker->ino && has_taken(maker, thread, in_order, ino))
			end_note(m, maker);
	}
	pthread_mutex_unlock(&m->lock);
	if (ino)
		kernel_made_settle(m, ino);
}

static bool arrives(struct kernel_made *m, daxfs_ino ino, bool contested)
{
	bool found = false;

	if (!atomic_load(count_of(m, ino)))
		return false;
	pthread_mutex_lock(&m->lock);
	for (unsigned i = 0; i < KERNEL_MAKERS && !found; i++) {
		struct kernel_maker *maker = &m->maker[i];

		found = maker->ino == ino && (maker->contested || !contested) && is_noted(m, maker);
	}
	pthread_mutex_unlock(&m->lock);
	return found;
}

bool kernel_made_arrives(struct kernel_made *m, daxfs_ino ino)
{
	return arrives(m, ino, false);
}

void kernel_made_await(struct kernel_made *m, daxfs_ino ino)
{
	while (arrives(m, ino, false))
		clock_nap_ns(NAP_NS);
}

void kernel_made_settle(struct kernel_made *m, daxfs_ino ino)
{
	while (arrives(m, ino, true))
		clock_nap_ns(NAP_NS);
}

/* -- a successor ------------------------------------------------------------------------------------ */

/*
 * What was noted before this process began: who has been told of it since nobody knows. If it was not answered, it is
 * asked for again, and then nothing of it is kept.
 */
static void go_on(void *context, uint64_t fh, daxfs_ino ino, uint32_t thread)
{
	struct kernel_made *m = context;
	const struct kernel_maker former = {
		.thread = thread, .contested = true, .answered = true, .ino = ino, .fh = fh
	};

	for (unsigned i = 0; i < KERNEL_MAKERS; i++)
		if (!m->maker[i].thread) {
			take_note(m, &m->maker[i], &former);
			return;
		}
}

void kernel_made_start(struct kernel_made *m, struct estate *estate, int64_t arrive_ns, bool goes_on)
{
	memset(m, 0, sizeof(*m));
	m->estate = estate;
	m->arrive_ns = arrive_ns;
	pthread_mutex_init(&m->lock, NULL);
	if (goes_on)
		estate_each_made(estate, go_on, m);
}
