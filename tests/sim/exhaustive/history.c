/* SPDX-License-Identifier: Apache-2.0 */
/* history.c - see history.h. */
#include "exhaustive/history.h"

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

/* -- judging ------------------------------------------------------------------------------ */

struct judging {
	const struct history *h;
	struct references *refs;
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
		if (!reference_is_rest(ref->order[i]) && reference_host(ref->order[i]) == host && at-- == 0)
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
	struct reference *const *ref;
	bool first = true;
	size_t n;

	if (strncmp(references_script(j->refs, host)->command[at].text, "ls ", 3) || alone(j->h, host, at) ||
	    result[0] != '0')
		return false;
	n = references_all(j->refs, &ref);
	for (size_t i = 0; i < n; i++) {
		const char *other = result_in(ref[i], host, at);

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
	ref = references_find(j->refs, j->order);
	if (!ref)
		return false;
	for (unsigned i = 0; i < j->len; i++) {
		unsigned host = reference_host(j->order[i]), at = next[host];

		if (reference_is_rest(j->order[i]))
			continue;
		next[host]++;
		if (!j->h->event[host][at].ended || result_fits(j->h, j->h->event[host][at].result, ref, i) ||
		    listing_fits(j, host, at))
			continue;
		snprintf(j->buf, j->size, "not as in order \"%s\": host %u's command %u (%s) got \"%s\" want \"%s\"",
			 j->order, host, at + 1, references_script(j->refs, host)->command[at].text,
			 j->h->event[host][at].result, ref->result[i]);
		return false;
	}
	want = reference_state(j->refs, j->order, j->dead);
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
	for (const char *c = references_tight(j->refs) ? "01xy" : "01"; *c; c++) {
		unsigned host = reference_host(*c);
		bool found;

		if (!may_follow(j, host) || reference_at_rest(j->order, j->len, host))
			continue;
		j->order[j->len++] = *c;
		j->next[host]++;
		found = search(j);
		j->len--;
		j->next[host]--;
		if (found)
			return true;
	}
	return references_let_go(j->refs) && j->h->recovered && !reference_at_rest(j->order, j->len, ANY_HOST) &&
	       search_rest(j);
}

static bool search_rest(struct judging *j)
{
	bool found;

	j->order[j->len++] = j->h->recovered == 1 ? 'r' : 's';
	found = search(j);
	j->len--;
	return found;
}

const char *history_judge(const struct history *h, struct references *refs, unsigned dead, const struct state *state,
			  char *buf, size_t size)
{
	struct judging j = { .h = h, .refs = refs, .state = state, .dead = dead, .buf = buf, .size = size };

	snprintf(buf, size, "no legal order at all");
	if (search(&j))
		return NULL;
	return references_broken(refs) ? references_broken(refs) : buf;
}
