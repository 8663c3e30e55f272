/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weak.c - see weak.h.
 *
 * Invariants: a word that was stored to since weak_begin has a location, whose
 * messages are in the order in which they were stored, the newest with the value
 * that memory holds; the oldest is what memory held before, known to all. A thread
 * knows a message if its clock has the event at which that was stored, or the event
 * of a look that took this message or a newer one. Messages, looks and clocks are only
 * appended until weak_end. Single-threaded.
 */
#include "machine/weak.h"

#include <string.h>

#include "machine/arena.h"
#include "machine/memory.h"

#define THREADS 20u
#define CLOCKS (2 * THREADS) /* of each thread its accesses; then its streamed copies */
#define HOSTS_MAX 16u
#define WORD sizeof(uint64_t)
#define NOBODY UINT16_MAX

struct clock {
	uint32_t at[CLOCKS];
};

struct message {
	uint64_t value;
	uint32_t older;  /* in messages; 0: none */
	uint32_t nth;    /* of its location, 0 the oldest */
	uint32_t event;  /* of its writer's clock */
	uint32_t serial; /* of all stores */
	uint32_t clock;  /* what it carries: in clocks; 0: nothing */
	uint16_t writer; /* place in clocks */
	uint16_t unseen; /* loads that passed it by */
	bool rmw, focus;
};

struct look {
	uint32_t next, nth, event;
	uint16_t thread;
};

struct location {
	uint32_t word, newest, looks;
};

struct thread {
	unsigned host;
	bool running, dead;
	struct clock knows, pending, fenced; /* pending: for an acquire fence; fenced: at the last release fence */
	uint32_t streamed;                   /* its streamed copies that are ordered */
};

/* appended to */
struct pool_of {
	void *at;
	size_t n, capacity, size;
};

static struct weak {
	struct weak_policy policy;
	struct thread thread[THREADS];
	unsigned threads;
	struct clock ended, fences; /* what commands that ended knew; seq_cst fences */
	struct pool_of messages, looks, clocks, locations;
	int32_t *location_of; /* per word of memory: -1 none */
	uint64_t stores;
} weak = {
	.messages.size = sizeof(struct message),
	.looks.size = sizeof(struct look),
	.clocks.size = sizeof(struct clock),
	.locations.size = sizeof(struct location),
};

bool weak_on, weak_focus;

static void *append(struct pool_of *p)
{
	if (p->n == p->capacity) {
		p->capacity = p->capacity ? 2 * p->capacity : 1024;
		p->at = arena_host_realloc(p->at, p->capacity * p->size);
	}
	return memset((uint8_t *)p->at + p->n++ * p->size, 0, p->size);
}

static struct message *message_at(uint32_t i)
{
	return (struct message *)weak.messages.at + i;
}

static const struct clock *clock_at(uint32_t i)
{
	return (const struct clock *)weak.clocks.at + i;
}

static struct location *location_at(size_t i)
{
	return (struct location *)weak.locations.at + i;
}

/* -- clocks ---------------------------------------------------------------------- */

static void join(struct clock *to, const struct clock *from)
{
	for (unsigned i = 0; i < CLOCKS; i++)
		if (from->at[i] > to->at[i])
			to->at[i] = from->at[i];
}

/* All that a thread knows, but for its streams that are not ordered yet. */
static struct clock released(unsigned t)
{
	struct clock c = weak.thread[t].knows;

	c.at[THREADS + t] = weak.thread[t].streamed;
	return c;
}

static uint32_t keep_clock(const struct clock *c)
{
	struct clock *kept = append(&weak.clocks);

	*kept = *c;
	return (uint32_t)(weak.clocks.n - 1);
}

/* -- begin and end ------------------------------------------------------------------ */

static uint64_t in_memory(uint64_t offset)
{
	uint64_t v;

	memcpy(&v, memory_bytes() + offset, sizeof(v));
	return v;
}

void weak_begin(const struct weak_policy *policy)
{
	uint64_t words = memory_size() / WORD;

	if (!weak.location_of) {
		weak.location_of = arena_host_alloc(words * sizeof(*weak.location_of));
		memset(weak.location_of, 0xff, words * sizeof(*weak.location_of));
	}
	weak_end();
	weak.policy = *policy;
	weak_on = true;
}

void weak_end(void)
{
	for (size_t i = 0; i < weak.locations.n; i++)
		weak.location_of[location_at(i)->word] = -1;
	weak.messages.n = weak.looks.n = weak.clocks.n = weak.locations.n = 0;
	append(&weak.messages); /* place 0 of each means none */
	append(&weak.looks);
	append(&weak.clocks);
	memset(&weak.ended, 0, sizeof(weak.ended));
	memset(&weak.fences, 0, sizeof(weak.fences));
	weak.threads = 0;
	weak.stores = 0;
	weak_on = weak_focus = false;
}

void weak_set_policy(const struct weak_policy *policy)
{
	weak.policy = *policy;
}

uint64_t weak_stores(void)
{
	return weak.stores;
}

/* -- threads ------------------------------------------------------------------------ */

/* One whose run is over is gone on with: its host's next thread knows what it knew. */
unsigned weak_thread(unsigned host)
{
	unsigned t = 0;

	while (t < weak.threads && (weak.thread[t].host != host || weak.thread[t].running || weak.thread[t].dead))
		t++;
	if (t == THREADS)
		arena_die("too many threads for the weak memory");
	if (t == weak.threads) {
		weak.thread[t] = (struct thread){ .host = host };
		weak.threads++;
	}
	weak.thread[t].running = true;
	weak_command(t);
	return t;
}

void weak_command(unsigned thread)
{
	join(&weak.thread[thread].knows, &weak.ended);
}

void weak_command_done(unsigned thread)
{
	const struct clock c = released(thread);

	join(&weak.ended, &c);
}

void weak_thread_done(unsigned thread)
{
	weak_command_done(thread);
	weak.thread[thread].running = false;
}

/* -- messages ------------------------------------------------------------------------- */

static struct location *location_of(uint64_t offset)
{
	int32_t i = weak.location_of[offset / WORD];

	return i < 0 ? NULL : location_at((size_t)i);
}

static struct location *need_location(uint64_t offset)
{
	struct location *loc = location_of(offset);
	struct message *first;

	if (loc)
		return loc;
	weak.location_of[offset / WORD] = (int32_t)weak.locations.n;
	loc = append(&weak.locations);
	loc->word = (uint32_t)(offset / WORD);
	loc->newest = (uint32_t)weak.messages.n;
	first = append(&weak.messages);
	first->value = in_memory(offset);
	first->writer = NOBODY;
	return loc;
}

/* The place in its location of the oldest message that a thread may still take. */
static uint32_t oldest_for(const struct thread *t, const struct location *loc)
{
	const struct message *m = message_at(loc->newest);
	uint32_t nth;

	while (m->writer != NOBODY && t->knows.at[m->writer] < m->event)
		m = message_at(m->older);
	nth = m->nth;
	for (uint32_t i = loc->looks; i;) {
		const struct look *look = (const struct look *)weak.looks.at + i;

		if (t->knows.at[look->thread] >= look->event && look->nth > nth)
			nth = look->nth;
		i = look->next;
	}
	return nth;
}

static uint64_t scatter(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static bool hidden(const struct message *m)
{
	const struct weak_policy *p = &weak.policy;

	if (p->of && m->writer != NOBODY && !(p->of & 1u << weak.thread[m->writer % THREADS].host))
		return false;
	switch (p->hide) {
	case HIDE_ALL: return true;
	case HIDE_ONE: return m->serial == p->n;
	case HIDE_ALL_BUT: return m->serial != p->n;
	case HIDE_LATER: return m->serial > p->n && !m->focus;
	case HIDE_OTHERS:
		if (m->focus)
			return false;
		/* fall through */
	case HIDE_SOME: return scatter(p->n ^ (m->serial * 0x9e3779b97f4a7c15ull)) % 256 < p->density;
	default: return false;
	}
}

static bool passed_by(struct message *m)
{
	if (!hidden(m) || (weak.policy.patience && m->unseen >= weak.policy.patience))
		return false;
	m->unseen++;
	return true;
}

/* Which message a load takes. */
static struct message *choose(const struct location *loc, uint32_t oldest)
{
	struct message *m = message_at(loc->newest);

	if (weak.policy.hide == HIDE_ASK) {
		for (unsigned back = m->nth > oldest ? weak.policy.ask(m->nth - oldest + 1) : 0; back; back--)
			m = message_at(m->older);
		return m;
	}
	while (m->nth > oldest && !(weak_focus && weak.policy.hide >= HIDE_LATER) && passed_by(m))
		m = message_at(m->older);
	return m;
}

/* A thread takes a message: what it knows of it from then on. */
static void take(unsigned thread, struct location *loc, const struct message *m, uint32_t oldest, enum sm_order order)
{
	struct thread *t = &weak.thread[thread];

	if (m->nth > oldest) {
		struct look *look = append(&weak.looks);

		*look = (struct look){ loc->looks, m->nth, ++t->knows.at[thread], (uint16_t)thread };
		loc->looks = (uint32_t)(weak.looks.n - 1);
	}
	join(order & SM_ACQUIRE ? &t->knows : &t->pending, clock_at(m->clock));
}

/* A message behind all others, which carries what is in `clock`. */
static struct message *put(struct location *loc, unsigned writer, uint32_t event, uint64_t value, uint32_t clock)
{
	uint32_t older = loc->newest;
	struct message *m;

	loc->newest = (uint32_t)weak.messages.n;
	m = append(&weak.messages);
	m->value = value;
	m->older = older;
	m->nth = message_at(older)->nth + 1;
	m->event = event;
	m->serial = (uint32_t)weak.stores;
	m->focus = weak_focus;
	m->clock = clock;
	m->writer = (uint16_t)writer;
	return m;
}

/* -- accesses ------------------------------------------------------------------------- */

uint64_t weak_load(unsigned thread, uint64_t offset, enum sm_order order)
{
	struct location *loc = location_of(offset);
	const struct message *m;
	uint32_t oldest;

	if (!loc)
		return in_memory(offset);
	oldest = oldest_for(&weak.thread[thread], loc);
	m = choose(loc, oldest);
	take(thread, loc, m, oldest, order);
	return m->value;
}

/* What a store of this order carries. */
static struct clock carried(unsigned thread, enum sm_order order)
{
	return order & SM_RELEASE ? released(thread) : weak.thread[thread].fenced;
}

void weak_store(unsigned thread, uint64_t offset, uint64_t value, enum sm_order order)
{
	struct location *loc = need_location(offset);
	uint32_t event = ++weak.thread[thread].knows.at[thread];
	struct clock c = carried(thread, order);

	weak.stores++;
	put(loc, thread, event, value, keep_clock(&c));
}

bool weak_cas(unsigned thread, uint64_t offset, uint64_t *expected, uint64_t desired, enum sm_order order)
{
	struct location *loc = need_location(offset);
	uint32_t oldest = oldest_for(&weak.thread[thread], loc), event;
	const struct message *m = choose(loc, oldest), *newest = message_at(loc->newest);
	struct clock c;

	/* One that takes an older message can only fail. */
	if (m != newest && m->value == *expected)
		m = newest;
	take(thread, loc, m, oldest, order);
	if (m->value != *expected) {
		*expected = m->value;
		return false;
	}
	event = ++weak.thread[thread].knows.at[thread];
	c = carried(thread, order);
	join(&c, clock_at(newest->clock)); /* a release sequence */
	weak.stores++;
	put(loc, thread, event, desired, keep_clock(&c))->rmw = true;
	return true;
}

void weak_fence(unsigned thread, enum sm_order order)
{
	struct thread *t = &weak.thread[thread];

	if (order & SM_ACQUIRE)
		join(&t->knows, &t->pending);
	if (order == SM_SEQ_CST)
		join(&t->knows, &weak.fences);
	if (order & SM_RELEASE)
		t->fenced = released(thread);
	if (order == SM_SEQ_CST)
		join(&weak.fences, &t->fenced);
}

void weak_stream_end(unsigned thread)
{
	weak.thread[thread].streamed = weak.thread[thread].knows.at[THREADS + thread];
}

/* Of the word at `word`, the part that [at, end) meets. */
struct part {
	uint64_t word;
	size_t skip, n;
};

static struct part part_of(uint64_t at, uint64_t end)
{
	struct part p = { .word = at & ~(uint64_t)(WORD - 1), .skip = at % WORD };

	p.n = WORD - p.skip < end - at ? WORD - p.skip : (size_t)(end - at);
	return p;
}

void weak_read(unsigned thread, uint64_t offset, void *dst, size_t len)
{
	uint8_t *out = dst;

	for (uint64_t at = offset; at < offset + len;) {
		struct part p = part_of(at, offset + len);
		uint64_t v = weak_load(thread, p.word, SM_RELAXED);

		memcpy(out, (const uint8_t *)&v + p.skip, p.n);
		out += p.n;
		at += p.n;
	}
}

void weak_write(unsigned thread, uint64_t offset, const void *src, size_t len, bool stream)
{
	struct thread *t = &weak.thread[thread];
	unsigned writer = stream ? THREADS + thread : thread;
	uint32_t event = ++t->knows.at[writer], clock = keep_clock(&t->fenced);
	const uint8_t *in = src;

	weak.stores++;
	for (uint64_t at = offset; at < offset + len;) {
		struct part p = part_of(at, offset + len);
		struct location *loc = need_location(p.word);
		uint64_t v = message_at(loc->newest)->value;

		if (in)
			memcpy((uint8_t *)&v + p.skip, in + (at - offset), p.n);
		else
			memset((uint8_t *)&v + p.skip, 0, p.n);
		put(loc, writer, event, v, clock);
		at += p.n;
	}
}

void weak_declare(uint64_t offset, uint64_t value)
{
	put(need_location(offset), NOBODY, 0, value, keep_clock(&weak.ended));
}

/* -- hosts that are gone ------------------------------------------------------------------ */

static bool of_host(unsigned writer, unsigned host)
{
	return writer != NOBODY && weak.thread[writer % THREADS].host == host && !weak.thread[writer % THREADS].dead;
}

/* What of each clock somebody who stays knows. */
static struct clock known_elsewhere(unsigned host)
{
	struct clock c = { { 0 } };

	for (unsigned t = 0; t < weak.threads; t++)
		if (!of_host(t, host))
			join(&c, &weak.thread[t].knows);
	return c;
}

/* Did somebody who stays take this message, or a newer one? */
static bool taken_elsewhere(const struct location *loc, const struct message *m, unsigned host)
{
	for (uint32_t i = loc->looks; i;) {
		const struct look *look = (const struct look *)weak.looks.at + i;

		if (look->nth >= m->nth && !of_host(look->thread, host))
			return true;
		i = look->next;
	}
	return false;
}

static void set_newest(struct location *loc, void (*set)(uint64_t offset, uint64_t value))
{
	uint64_t offset = (uint64_t)loc->word * WORD, v = message_at(loc->newest)->value;

	if (in_memory(offset) != v)
		set(offset, v);
}

/* The newest of a location is lost; those above are. */
static bool lose_newest(struct location *loc, unsigned host, const struct clock *must)
{
	const struct message *m = message_at(loc->newest);

	if (!of_host(m->writer, host) || m->rmw || m->event <= must->at[m->writer] || !hidden(m) ||
	    taken_elsewhere(loc, m, host))
		return false;
	loc->newest = m->older;
	return true;
}

/* What stays needs what it carries: until nothing more has to stay. */
static bool need_carried(struct clock *must, unsigned host)
{
	struct clock before = *must;

	for (size_t i = 0; i < weak.locations.n; i++) {
		struct location *loc = location_at(i);
		uint32_t at = loc->newest;

		while (message_at(at)->nth && of_host(message_at(at)->writer, host) &&
		       message_at(at)->event > must->at[message_at(at)->writer] && !message_at(at)->rmw &&
		       hidden(message_at(at)) && !taken_elsewhere(loc, message_at(at), host))
			at = message_at(at)->older;
		if (of_host(message_at(at)->writer, host))
			join(must, clock_at(message_at(at)->clock));
	}
	return memcmp(&before, must, sizeof(before)) != 0;
}

static void bury(unsigned host)
{
	for (unsigned t = 0; t < weak.threads; t++) {
		if (!of_host(t, host))
			continue;
		weak.ended.at[t] = weak.thread[t].knows.at[t];
		weak.ended.at[THREADS + t] = weak.thread[t].knows.at[THREADS + t];
		weak.thread[t].dead = true;
	}
}

void weak_lose(unsigned host, void (*set)(uint64_t offset, uint64_t value))
{
	struct clock must = known_elsewhere(host);

	while (need_carried(&must, host))
		;
	for (size_t i = 0; i < weak.locations.n; i++) {
		struct location *loc = location_at(i);

		while (lose_newest(loc, host, &must))
			;
		set_newest(loc, set);
	}
	bury(host);
}

void weak_follow(unsigned host)
{
	for (size_t i = 0; i < weak.locations.n; i++) {
		struct location *loc = location_at(i);
		uint64_t v = in_memory((uint64_t)loc->word * WORD);

		while (message_at(loc->newest)->value != v && of_host(message_at(loc->newest)->writer, host))
			loc->newest = message_at(loc->newest)->older;
		message_at(loc->newest)->value = v;
	}
	bury(host);
}
