/* SPDX-License-Identifier: Apache-2.0 */
/*
 * references.c - see references.h.
 *
 * A child process keeps the world as it was at the start: it is forked before anything else is played, and plays each
 * order that it is asked for from there. The world of the parent is somewhere in the middle of a crash by then. The two
 * share a page of memory for the question and the answer; a byte in the socket says that there is one.
 */
#include "exhaustive/references.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine/arena.h"

#define NO_SPACE "-28"
#define AT_ONCE 64u /* so many orders are executed at once; of more, those that somebody asks for */

/* What the child is asked, and what it answers. */
struct exchange {
	struct reference ref; /* its order is the question */
	unsigned dead;        /* whose state; n_dead: the results */
	bool lacks;
	struct state state;
	char broken[1200];
};

struct references {
	const struct script *script[2];
	unsigned dead[DEAD_MAX], n_dead;
	bool tight, lets_go; /* the death of a host lets go of what others may want */
	char broken[1200];   /* why there are none */
	struct reference **at;
	size_t n, capacity;
	bool whole;                /* all orders are there, with their results */
	struct exchange *exchange; /* with the child; NULL: there is none */
	pid_t child;
	int socket;
};

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
	world_storage_power();
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

/* -- one sequential execution ------------------------------------------------------------- */

static void no_reference(struct references *refs, const char *order, const char *err)
{
	if (!refs->broken[0])
		snprintf(refs->broken, sizeof(refs->broken), "sequential execution \"%s\": %s", order, err);
}

unsigned reference_host(char c)
{
	return c == '1' || c == 'y';
}

bool reference_is_rest(char c)
{
	return c == 'r' || c == 's';
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

/* rest_from: place before which host 0 is laid to rest; none if beyond the end. */
static void run_order(struct references *refs, const char *order, size_t rest_from, char result[][RESULT_BYTES])
{
	unsigned next[2] = { 0 };
	char err[160] = "";

	for (unsigned i = 0; order[i]; i++) {
		unsigned host = reference_host(order[i]);
		struct command_call call = { .command = &refs->script[host]->command[next[host]], .host = host };

		snprintf(result[i], RESULT_BYTES, NO_SPACE);
		if (i == rest_from || reference_is_rest(order[i]))
			lay_to_rest(refs, order, order[i] == 's');
		next[host] += !reference_is_rest(order[i]);
		if (!does_something(order[i]))
			continue;
		if (run_all(host, script_call, &call, NULL, err) != RUN_RETURNED)
			no_reference(refs, order, err);
		memcpy(result[i], call.result, RESULT_BYTES);
		if (call.result[0] == '!') /* wrong in any order */
			no_reference(refs, order, call.result);
	}
}

static void execute(struct references *refs, struct reference *ref)
{
	world_mark();
	run_order(refs, ref->order, ORDER_MAX, ref->result);
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

	while (from && reference_host(ref->order[from - 1]) == 1)
		from--;
	world_mark();
	run_order(refs, ref->order, from, ref->after);
	world_rewind();
	world_drop();
}

static void execute_results(struct references *refs, struct reference *ref)
{
	execute(refs, ref);
	execute_late(refs, ref);
	execute_after(refs, ref);
}

/* What is there in the end, after the death of a set of hosts; false: nobody is left to look. */
static bool execute_state(struct references *refs, const char *order, unsigned dead, struct state *out)
{
	char ignored[ORDER_MAX][RESULT_BYTES], err[1024] = "";

	if (strchr(order, 's') && aftermath_by(dead) == 1)
		return false;
	world_mark();
	run_order(refs, order, ORDER_MAX, ignored);
	for (unsigned host = 0; host < HOSTS; host++)
		if (dead & 1u << host)
			world_lose(host, (struct fate){ .kind = FATE_KEEP_ALL });
	if (!aftermath(dead, out, err, sizeof(err)))
		no_reference(refs, order, err);
	world_rewind();
	world_drop();
	return true;
}

/* -- the child, which is still where they start ------------------------------------------- */

static void answer(struct references *refs, struct exchange *e)
{
	if (e->dead == refs->n_dead)
		execute_results(refs, &e->ref);
	else
		e->lacks = !execute_state(refs, e->ref.order, refs->dead[e->dead], &e->state);
	memcpy(e->broken, refs->broken, sizeof(e->broken));
}

static void child_start(struct references *refs)
{
	int socket[2];
	char byte;

	refs->exchange = arena_host_map_shared(sizeof(*refs->exchange));
	if (refs->exchange == MAP_FAILED || socketpair(AF_UNIX, SOCK_STREAM, 0, socket))
		arena_die("no memory or no socket for sequential executions");
	refs->child = fork();
	if (refs->child < 0)
		arena_die("no process for sequential executions");
	if (refs->child) {
		close(socket[1]);
		refs->socket = socket[0];
		return;
	}
	close(socket[0]);
	while (read(socket[1], &byte, 1) == 1) { /* the parent's end closes this end's loop, too */
		answer(refs, refs->exchange);
		if (write(socket[1], &byte, 1) != 1)
			break;
	}
	_exit(0);
}

static void child_end(struct references *refs)
{
	close(refs->socket);
	waitpid(refs->child, NULL, 0);
	munmap(refs->exchange, sizeof(*refs->exchange));
}

/* The answer lies in the exchange. */
static void child_ask(struct references *refs, const char *order, unsigned dead)
{
	char byte = 0;

	memcpy(refs->exchange->ref.order, order, strlen(order) + 1);
	refs->exchange->dead = dead;
	if (write(refs->socket, &byte, 1) != 1 || read(refs->socket, &byte, 1) != 1)
		arena_die("the process of sequential executions died");
	memcpy(refs->broken, refs->exchange->broken, sizeof(refs->broken));
}

/* -- what is kept ---------------------------------------------------------------------------- */

static struct reference *reference_add(struct references *refs, const char *order)
{
	struct reference *ref = arena_host_alloc(sizeof(*ref));

	if (refs->n == refs->capacity) {
		refs->capacity = refs->capacity ? 2 * refs->capacity : 16;
		refs->at = arena_host_realloc(refs->at, refs->capacity * sizeof(struct reference *));
	}
	memset(ref, 0, sizeof(*ref));
	memcpy(ref->order, order, strlen(order) + 1);
	refs->at[refs->n++] = ref;
	return ref;
}

static struct reference *reference_kept(const struct references *refs, const char *order)
{
	for (size_t i = 0; i < refs->n; i++)
		if (!strcmp(refs->at[i]->order, order))
			return refs->at[i];
	return NULL;
}

static struct reference *reference_get(struct references *refs, const char *order)
{
	struct reference *ref = reference_kept(refs, order);

	if (ref)
		return ref;
	ref = reference_add(refs, order);
	if (!refs->exchange) {
		execute_results(refs, ref);
		return ref;
	}
	child_ask(refs, order, refs->n_dead);
	memcpy(ref->result, refs->exchange->ref.result, sizeof(ref->result));
	memcpy(ref->late, refs->exchange->ref.late, sizeof(ref->late));
	memcpy(ref->after, refs->exchange->ref.after, sizeof(ref->after));
	return ref;
}

/* i: of the sets of the dead */
static const struct state *reference_get_state(struct references *refs, struct reference *ref, unsigned i)
{
	if (ref->lacks[i] || ref->state[i])
		return ref->state[i];
	ref->state[i] = arena_host_alloc(sizeof(*ref->state[i]));
	if (!refs->exchange) {
		ref->lacks[i] = !execute_state(refs, ref->order, refs->dead[i], ref->state[i]);
	} else {
		child_ask(refs, ref->order, i);
		ref->lacks[i] = refs->exchange->lacks;
		*ref->state[i] = refs->exchange->state;
	}
	if (ref->lacks[i]) {
		arena_host_free(ref->state[i]);
		ref->state[i] = NULL;
	}
	return ref->state[i];
}

/* -- the orders that there are ----------------------------------------------------------------- */

bool reference_at_rest(const char *order, unsigned len, unsigned host)
{
	return (host != 1 && memchr(order, 'r', len)) || (host != 0 && memchr(order, 's', len));
}

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

typedef void (*order_visitor)(struct references *refs, const char *order, size_t *n);

/* Every order of a beginning of a with a beginning of b; at: so many of each are in it. */
static void each_order(struct references *refs, char *order, const unsigned at[2], order_visitor visit, size_t *n)
{
	unsigned len = (unsigned)strlen(order);

	visit(refs, order, n);
	order[len + 1] = '\0';
	for (const char *c = refs->tight ? "01xy" : "01"; *c; c++) {
		unsigned host = reference_host(*c);

		if (at[host] == refs->script[host]->n || reference_at_rest(order, len, host))
			continue;
		order[len] = *c;
		each_order(refs, order, (unsigned[]){ at[0] + !host, at[1] + host }, visit, n);
		order[len + 1] = '\0';
	}
	for (const char *c = refs->lets_go && !reference_at_rest(order, len, ANY_HOST) ? may_rest(refs) : ""; *c; c++) {
		order[len] = *c;
		each_order(refs, order, at, visit, n);
		order[len + 1] = '\0';
	}
	order[len] = '\0';
}

static size_t visit_orders(struct references *refs, order_visitor visit)
{
	char order[ORDER_MAX + 2] = "";
	size_t n = 0;

	each_order(refs, order, (unsigned[]){ 0, 0 }, visit, &n);
	return n;
}

static void count(struct references *refs, const char *order, size_t *n)
{
	(void)refs, (void)order;
	++*n;
}

static void take_results(struct references *refs, const char *order, size_t *n)
{
	++*n;
	if (!refs->broken[0])
		reference_get(refs, order);
}

static void take_all(struct references *refs, const char *order, size_t *n)
{
	struct reference *ref;

	take_results(refs, order, n);
	ref = reference_kept(refs, order);
	for (unsigned i = 0; i < refs->n_dead && !refs->broken[0]; i++)
		reference_get_state(refs, ref, i);
}

/* -- for those who ask ---------------------------------------------------------------------------- */

struct references *references_make(const struct script *a, const struct script *b, const unsigned *dead,
				   unsigned n_dead, bool tight)
{
	struct references *refs = arena_host_alloc(sizeof(*refs));

	*refs = (struct references){ .script = { a, b }, .n_dead = n_dead, .tight = tight };
	refs->lets_go = lets_go(a) || lets_go(b);
	memcpy(refs->dead, dead, n_dead * sizeof(*dead));
	if (visit_orders(refs, count) <= AT_ONCE)
		references_execute_all(refs);
	else
		child_start(refs);
	return refs;
}

void references_execute_all(struct references *refs)
{
	visit_orders(refs, take_all);
	refs->whole = true;
}

void references_free(struct references *refs)
{
	if (refs->exchange)
		child_end(refs);
	for (size_t i = 0; i < refs->n; i++) {
		for (unsigned k = 0; k < refs->n_dead; k++)
			arena_host_free(refs->at[i]->state[k]);
		arena_host_free(refs->at[i]);
	}
	arena_host_free(refs->at);
	arena_host_free(refs);
}

const char *references_broken(const struct references *refs)
{
	return refs->broken[0] ? refs->broken : NULL;
}

const struct script *references_script(const struct references *refs, unsigned host)
{
	return refs->script[host];
}

bool references_tight(const struct references *refs)
{
	return refs->tight;
}

bool references_let_go(const struct references *refs)
{
	return refs->lets_go;
}

const struct reference *references_find(struct references *refs, const char *order)
{
	if (refs->whole || (strchr(order, 's') && !strchr(may_rest(refs), 's')))
		return reference_kept(refs, order);
	return reference_get(refs, order);
}

size_t references_all(struct references *refs, struct reference *const **out)
{
	if (!refs->whole)
		visit_orders(refs, take_results);
	refs->whole = true;
	*out = refs->at;
	return refs->n;
}

const struct state *reference_state(struct references *refs, const char *order, unsigned dead)
{
	struct reference *ref;

	if (!references_find(refs, order))
		return NULL;
	ref = reference_kept(refs, order);
	for (unsigned i = 0; i < refs->n_dead; i++)
		if (refs->dead[i] == dead)
			return reference_get_state(refs, ref, i);
	return NULL;
}
