/* SPDX-License-Identifier: Apache-2.0 */
/* history.c - see history.h. */
#include "exhaustive/history.h"

#include <stdlib.h>

#include "machine/arena.h"

#define ORDER_MAX (2 * SCRIPT_MAX + 1)
#define DEAD_MAX 4u
#define NO_SPACE "-28"

struct reference {
	char order[ORDER_MAX + 1]; /* hosts: '0' '1', 'x' 'y' without effect; 'r' 's' they are recovered */
	char result[ORDER_MAX][RESULT_BYTES];
	char late[ORDER_MAX][RESULT_BYTES];  /* when nothing is reclaimed before the end */
	char after[ORDER_MAX][RESULT_BYTES]; /* of host 1, after the recovery of host 0 */
	struct state *state;                 /* one for each set of the dead */
	bool lacks[DEAD_MAX];                /* there is none: who would recover and look is laid to rest */
};

struct references {
	const struct script *script[2];
	unsigned dead[DEAD_MAX], n_dead;
	bool tight, lets_go; /* the death of a host lets go of what others may want */
	char broken[1200];   /* why there are none */
	struct reference *at;
	size_t n, capacity;
};

/* -- keeping one -------------------------------------------------------------------- */

static uint64_t fold(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9fb21c651e98df25ull;
	return h ^ h >> 29;
}

/* Commands of a host that had ended when this one began: all that judging asks of times. */
static uint64_t ended_before(const struct history *h, unsigned host, uint64_t begun)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < h->n[host]; i++)
		n += h->event[host][i].ended && h->event[host][i].ended < begun;
	return n;
}

static uint64_t digest(const struct history *h)
{
	uint64_t d = 0;

	for (unsigned host = 0; host < 2; host++) {
		d = fold(d, h->n[host]);
		for (unsigned i = 0; i < h->n[host]; i++) {
			const char *result = h->event[host][i].result;

			d = fold(d, ended_before(h, 1 - host, h->event[host][i].begun));
			d = fold(d, h->event[host][i].ended != 0);
			d = fold(d, script_digest((const uint8_t *)result, strlen(result)));
		}
	}
	return d;
}

uint64_t history_digest(const struct history *h)
{
	return fold(h->digest, h->recovered);
}

void history_begin(struct history *h, unsigned host)
{
	h->event[host][h->n[host]].begun = ++h->clock;
	h->event[host][h->n[host]].ended = 0;
	h->event[host][h->n[host]++].result[0] = '\0';
	h->digest = digest(h);
}

void history_end(struct history *h, unsigned host, const char *result)
{
	h->event[host][h->n[host] - 1].ended = ++h->clock;
	snprintf(h->event[host][h->n[host] - 1].result, RESULT_BYTES, "%s", result);
	h->digest = digest(h);
}

long perform(void *arg)
{
	const struct performance *p = arg;

	for (unsigned i = 0; i < p->script->n; i++) {
		struct command_call call = { .command = &p->script->command[i], .host = p->host };

		if (p->history)
			history_begin(p->history, p->host);
		script_call(&call);
		if (p->history)
			history_end(p->history, p->host, call.result);
	}
	return 0;
}

/* -- the end of a scenario ------------------------------------------------------------ */

unsigned aftermath_by(unsigned dead)
{
	return dead & 2u ? 2 : 1;
}

bool aftermath(unsigned dead, struct state *out, char *err, size_t size)
{
	struct world_check check;
	unsigned by = aftermath_by(dead), fenced = 0;
	char broken[160] = "";

	for (unsigned host = 0; host < HOSTS; host++)
		if (dead & 1u << host && world_fence(host, by))
			fenced |= 1u << host;
	for (unsigned host = 0; host < HOSTS; host++) {
		int rc = fenced & 1u << host ? world_recover(by, host, broken) : 0;

		if (rc) {
			snprintf(err, size, "recovery of host %u by host %u: %d %s", host, by, rc, broken);
			return false;
		}
	}
	if (!world_check(&check) || check.problems) {
		snprintf(err, size, "check: %llu problems: %s", (unsigned long long)check.problems, check.text);
		return false;
	}
	if (!state_capture(by, &check, out, broken)) {
		snprintf(err, size, "looking at the outcome: %s", broken);
		return false;
	}
	return true;
}

/* -- sequential executions -------------------------------------------------------------- */

static struct reference *reference_add(struct references *refs, const char *order)
{
	struct reference *ref;

	if (refs->n == refs->capacity) {
		refs->capacity = refs->capacity ? 2 * refs->capacity : 16;
		refs->at = arena_host_realloc(refs->at, refs->capacity * sizeof(*refs->at));
	}
	ref = &refs->at[refs->n++];
	memset(ref, 0, sizeof(*ref));
	memcpy(ref->order, order, strlen(order) + 1);
	ref->state = arena_host_alloc(refs->n_dead * sizeof(*ref->state));
	return ref;
}

static void no_reference(struct references *refs, const char *order, const char *err)
{
	if (!refs->broken[0])
		snprintf(refs->broken, sizeof(refs->broken), "sequential execution \"%s\": %s", order, err);
}

static unsigned host_of(char c)
{
	return c == '1' || c == 'y';
}

static bool does_something(char c)
{
	return c == '0' || c == '1';
}

/* A host died after its last command and is recovered. */
static void lay_to_rest(struct references *refs, const char *order, unsigned host)
{
	char err[160] = "";

	world_lose(host, (struct fate){ .kind = FATE_KEEP_ALL });
	if (world_fence(host, 2) && world_recover(2, host, err))
		no_reference(refs, order, err);
}

static bool is_rest(char c)
{
	return c == 'r' || c == 's';
}

/* rest_from: place before which host 0 is laid to rest; none if beyond the end. */
static void run_order(struct references *refs, const char *order, size_t rest_from, char result[][RESULT_BYTES])
{
	unsigned next[2] = { 0 };
	char err[160] = "";

	for (unsigned i = 0; order[i]; i++) {
		unsigned host = host_of(order[i]);
		struct command_call call = { .command = &refs->script[host]->command[next[host]], .host = host };

		snprintf(result[i], RESULT_BYTES, NO_SPACE);
		if (i == rest_from || is_rest(order[i]))
			lay_to_rest(refs, order, order[i] == 's');
		next[host] += !is_rest(order[i]);
		if (!does_something(order[i]))
			continue;
		if (run_all(host, script_call, &call, NULL, err) != RUN_RETURNED)
			no_reference(refs, order, err);
		memcpy(result[i], call.result, RESULT_BYTES);
	}
}

static void execute(struct references *refs, struct reference *ref)
{
	char err[1024] = "";

	world_mark();
	run_order(refs, ref->order, ORDER_MAX, ref->result);
	for (unsigned i = 0; i < refs->n_dead; i++) {
		ref->lacks[i] = strchr(ref->order, 's') && aftermath_by(refs->dead[i]) == 1;
		if (ref->lacks[i])
			continue;
		world_mark();
		for (unsigned host = 0; host < HOSTS; host++)
			if (refs->dead[i] & 1u << host)
				world_lose(host, (struct fate){ .kind = FATE_KEEP_ALL });
		if (!aftermath(refs->dead[i], &ref->state[i], err, sizeof(err)))
			no_reference(refs, ref->order, err);
		world_rewind();
		world_drop();
	}
	world_rewind();
	world_drop();
}

static long call_hold(void *arg)
{
	return daxfs_file_open(world.fs[2], *(daxfs_ino *)arg);
}

/* The same with everything the scripts name held open by host 2. */
static void execute_late(struct references *refs, struct reference *ref)
{
	world_mark();
	for (unsigned host = 0; host < 2; host++)
		for (unsigned i = 0; i < refs->script[host]->n; i++) {
			const struct command *c = &refs->script[host]->command[i];
			daxfs_ino ino[] = { c->ino, c->parent[0], c->parent[1] };

			for (unsigned k = 0; k < 3; k++)
				if (ino[k])
					run_all(2, call_hold, &ino[k], NULL, NULL);
		}
	run_order(refs, ref->order, ORDER_MAX, ref->late);
	world_rewind();
	world_drop();
}

static void execute_after(struct references *refs, struct reference *ref)
{
	size_t from = strlen(ref->order);

	while (from && host_of(ref->order[from - 1]) == 1)
		from--;
	world_mark();
	run_order(refs, ref->order, from, ref->after);
	world_rewind();
	world_drop();
}

/* Is the host, or any (2), laid to rest in that order? */
static bool at_rest(const char *order, unsigned len, unsigned host)
{
	return (host != 1 && memchr(order, 'r', len)) || (host != 0 && memchr(order, 's', len));
}

#define ANY_HOST 2u

static bool has_any(const struct script *script, const char *word)
{
	for (unsigned i = 0; i < script->n; i++)
		if (strstr(script->command[i].text, word))
			return true;
	return false;
}

static bool lets_go(const struct script *script)
{
	return has_any(script, "lock") || has_any(script, "hold") || has_any(script, "release");
}

/* Host 1 is recovered while host 0 works only where it may be the only one that died (interleave.h). */
static const char *may_rest(const struct references *refs)
{
	for (unsigned i = 0; i < refs->n_dead; i++)
		if (refs->dead[i] == 2u)
			return "rs";
	return "r";
}

/* Every order of a beginning of a with a beginning of b. */
static void execute_all(struct references *refs, char *order, unsigned len, unsigned a, unsigned b)
{
	struct reference *ref;

	order[len] = '\0';
	if (refs->broken[0])
		return;
	ref = reference_add(refs, order);
	execute(refs, ref);
	execute_late(refs, ref);
	execute_after(refs, ref);
	for (const char *c = refs->tight ? "01xy" : "01"; *c; c++) {
		unsigned host = host_of(*c);

		if ((host ? b : a) == refs->script[host]->n || at_rest(order, len, host))
			continue;
		order[len] = *c;
		execute_all(refs, order, len + 1, a + !host, b + host);
	}
	for (const char *c = refs->lets_go && !at_rest(order, len, ANY_HOST) ? may_rest(refs) : ""; *c; c++) {
		order[len] = *c;
		execute_all(refs, order, len + 1, a, b);
	}
}

struct references *references_make(const struct script *a, const struct script *b, const unsigned *dead,
				   unsigned n_dead, bool tight)
{
	struct references *refs = arena_host_alloc(sizeof(*refs));
	char order[ORDER_MAX + 1];

	*refs = (struct references){ .script = { a, b }, .n_dead = n_dead, .tight = tight };
	refs->lets_go = lets_go(a) || lets_go(b);
	memcpy(refs->dead, dead, n_dead * sizeof(*dead));
	execute_all(refs, order, 0, 0, 0);
	return refs;
}

const char *references_broken(const struct references *refs)
{
	return refs->broken[0] ? refs->broken : NULL;
}

void references_free(struct references *refs)
{
	for (size_t i = 0; i < refs->n; i++)
		arena_host_free(refs->at[i].state);
	arena_host_free(refs->at);
	arena_host_free(refs);
}

static const struct reference *reference_find(const struct references *refs, const char *order)
{
	for (size_t i = 0; i < refs->n; i++)
		if (!strcmp(refs->at[i].order, order))
			return &refs->at[i];
	return NULL;
}

static const struct state *state_of_dead(const struct references *refs, const struct reference *ref, unsigned dead)
{
	for (unsigned i = 0; i < refs->n_dead; i++)
		if (refs->dead[i] == dead && !ref->lacks[i])
			return &ref->state[i];
	return NULL;
}

const struct state *reference_state(const struct references *refs, const char *order, unsigned dead)
{
	const struct reference *ref = reference_find(refs, order);

	return ref ? state_of_dead(refs, ref, dead) : NULL;
}

/* -- judging ------------------------------------------------------------------------------ */

struct judging {
	const struct history *h;
	const struct references *refs;
	const struct state *state;
	unsigned dead;
	char order[ORDER_MAX + 1];
	unsigned len, next[2];
	char *buf; /* why the last candidate did not fit */
	size_t size;
};

/* May the next command of a host come now? Not if another one, not placed yet,
 * had ended before it began. */
static bool may_follow(const struct judging *j, unsigned host)
{
	unsigned other = 1 - host, o = j->next[other];

	if (j->next[host] == j->h->n[host])
		return false;
	return o == j->h->n[other] || !j->h->event[other][o].ended ||
	       j->h->event[other][o].ended > j->h->event[host][j->next[host]].begun;
}

/* Only what did not finish is missing. */
static bool may_end(const struct judging *j)
{
	for (unsigned host = 0; host < 2; host++)
		if (j->next[host] < j->h->n[host] && j->h->event[host][j->next[host]].ended)
			return false;
	return true;
}

static bool result_fits(const struct history *h, const char *result, const struct reference *ref, unsigned i)
{
	return !strcmp(result, ref->result[i]) || !strcmp(result, ref->late[i]) ||
	       (h->recovered == 1 && !strcmp(result, ref->after[i]));
}

/* Was the other host at work in the meantime? */
static bool alone(const struct history *h, unsigned host, unsigned at)
{
	unsigned other = 1 - host;

	for (unsigned i = 0; i < h->n[other]; i++)
		if (h->event[other][i].begun < h->event[host][at].ended &&
		    (!h->event[other][i].ended || h->event[other][i].ended > h->event[host][at].begun))
			return false;
	return true;
}

/* The result of a host's command in this order; NULL: it does not come to it. */
static const char *result_in(const struct reference *ref, unsigned host, unsigned at)
{
	for (unsigned i = 0; ref->order[i]; i++)
		if (!is_rest(ref->order[i]) && host_of(ref->order[i]) == host && at-- == 0)
			return ref->result[i];
	return NULL;
}

static bool has_name(const char *listing, const char *name, size_t len)
{
	for (const char *at = listing; (at = strchr(at, ' ')); at++)
		if (!strncmp(at + 1, name, len) && (at[1 + len] == ' ' || !at[1 + len]))
			return true;
	return false;
}

/* Take out of a listing what another one has not. */
static void keep_common(char *names, const char *other)
{
	char kept[RESULT_BYTES] = "";
	size_t used = 0;

	for (const char *at = names; (at = strchr(at, ' ')); at++) {
		size_t len = strcspn(at + 1, " ");

		if (has_name(other, at + 1, len))
			used += (size_t)snprintf(kept + used, sizeof(kept) - used, " %.*s", (int)len, at + 1);
	}
	memcpy(names, kept, sizeof(kept));
}

/* Has each name in `these` its like in `those`? */
static bool names_within(const char *these, const char *those)
{
	for (const char *at = these; (at = strchr(at, ' ')); at++)
		if (!has_name(those, at + 1, strcspn(at + 1, " ")))
			return false;
	return true;
}

/* A name of the listing that no order has, or one that all have and it has not: then it does not fit. */
static bool listing_fits(const struct judging *j, unsigned host, unsigned at)
{
	const char *result = j->h->event[host][at].result;
	char all[2048] = "", always[RESULT_BYTES] = "";
	bool first = true;

	if (strncmp(j->refs->script[host]->command[at].text, "ls ", 3) || alone(j->h, host, at) || result[0] != '0')
		return false;
	for (size_t i = 0; i < j->refs->n; i++) {
		const char *other = result_in(&j->refs->at[i], host, at);

		if (!other || other[0] != '0')
			continue;
		if (strlen(all) + strlen(other) < sizeof(all))
			strcat(all, other + 1);
		if (first)
			snprintf(always, sizeof(always), "%s", other + 1);
		keep_common(always, other);
		first = false;
	}
	return !first && names_within(result, all) && names_within(always, result);
}

static bool fits(struct judging *j)
{
	const struct reference *ref;
	const struct state *want;
	unsigned next[2] = { 0 };
	int n;

	j->order[j->len] = '\0';
	ref = reference_find(j->refs, j->order);
	if (!ref)
		return false;
	for (unsigned i = 0; i < j->len; i++) {
		unsigned host = host_of(j->order[i]), at = next[host];

		if (is_rest(j->order[i]))
			continue;
		next[host]++;
		if (!j->h->event[host][at].ended || result_fits(j->h, j->h->event[host][at].result, ref, i) ||
		    listing_fits(j, host, at))
			continue;
		snprintf(j->buf, j->size, "not as in order \"%s\": host %u's command %u (%s) got \"%s\" want \"%s\"",
			 j->order, host, at + 1, j->refs->script[host]->command[at].text, j->h->event[host][at].result,
			 ref->result[i]);
		return false;
	}
	want = state_of_dead(j->refs, ref, j->dead);
	if (!want || state_equal(j->state, want))
		return want;
	n = snprintf(j->buf, j->size, "state not as in order \"%s\": ", j->order);
	state_explain(j->state, want, j->buf + n, j->size - (size_t)n);
	return false;
}

static bool search_rest(struct judging *j);

static bool search(struct judging *j)
{
	if (may_end(j) && fits(j))
		return true;
	for (const char *c = j->refs->tight ? "01xy" : "01"; *c; c++) {
		unsigned host = host_of(*c);
		bool found;

		if (!may_follow(j, host) || at_rest(j->order, j->len, host))
			continue;
		j->order[j->len++] = *c;
		j->next[host]++;
		found = search(j);
		j->len--;
		j->next[host]--;
		if (found)
			return true;
	}
	return j->refs->lets_go && j->h->recovered && !at_rest(j->order, j->len, ANY_HOST) && search_rest(j);
}

static bool search_rest(struct judging *j)
{
	bool found;

	j->order[j->len++] = j->h->recovered == 1 ? 'r' : 's';
	found = search(j);
	j->len--;
	return found;
}

const char *history_judge(const struct history *h, const struct references *refs, unsigned dead,
			  const struct state *state, char *buf, size_t size)
{
	struct judging j = { .h = h, .refs = refs, .state = state, .dead = dead, .buf = buf, .size = size };

	snprintf(buf, size, "no legal order at all");
	return search(&j) ? NULL : buf;
}
