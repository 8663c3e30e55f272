/* SPDX-License-Identifier: Apache-2.0 */
/*
 * references.h - what sequential executions of two scripts give.
 *
 * An order is a string of hosts: '0' and '1' are the next command of host 0 and host 1, 'x' and 'y' the
 * same without effect, for want of space; with 'r' and 's' host 0 and host 1 are recovered. Scripts of
 * few commands have all their orders executed at once. Of longer ones there are thousands, and few of
 * them are ever compared with anything: each is executed when somebody asks for it, and kept.
 */
#ifndef SIM_EXHAUSTIVE_REFERENCES_H
#define SIM_EXHAUSTIVE_REFERENCES_H

#include "script/script.h"
#include "script/state.h"

#define ORDER_MAX (2 * SCRIPT_MAX + 1)
#define DEAD_MAX 4u

struct reference {
	char order[ORDER_MAX + 1];
	char result[ORDER_MAX][RESULT_BYTES];
	char late[ORDER_MAX][RESULT_BYTES];  /* when nothing is reclaimed before the end */
	char after[ORDER_MAX][RESULT_BYTES]; /* of host 1, after the recovery of host 0 */
	struct state *state[DEAD_MAX];       /* one for each set of the dead; NULL: nobody asked */
	bool lacks[DEAD_MAX];                /* there is none: who would recover and look is laid to rest */
};

struct references;

/*
 * From the world as it is. `dead`: sets of hosts (bit masks) that die afterwards and are recovered before
 * the state is taken. tight: a command may also find no space, because of who was stopped, and then does
 * nothing.
 */
struct references *references_make(const struct script *a, const struct script *b, const unsigned *dead,
				   unsigned n_dead, bool tight);
void references_free(struct references *refs);

/* Execute every order that there is, and each set of the dead after it: is even that right? */
void references_execute_all(struct references *refs);
/* NULL, or why even a sequential execution went wrong. */
const char *references_broken(const struct references *refs);

const struct script *references_script(const struct references *refs, unsigned host);
/* May a command find no space? Has the recovery of a host a place in the order? */
bool references_tight(const struct references *refs);
bool references_let_go(const struct references *refs);

/* NULL if that is no order. It stays where it is. */
const struct reference *references_find(struct references *refs, const char *order);
/* All orders, with their results; how many. */
size_t references_all(struct references *refs, struct reference *const **out);
/* The state after an order such as "0" or "011"; NULL if there is none. */
const struct state *reference_state(struct references *refs, const char *order, unsigned dead);

bool reference_is_rest(char c);
unsigned reference_host(char c);
/* Is the host, or any (ANY_HOST), laid to rest in that order? */
#define ANY_HOST 2u
bool reference_at_rest(const char *order, unsigned len, unsigned host);

/* Fence, recover, check and look: the end of every execution, sequential or not. False with why. */
bool aftermath(unsigned dead, struct state *out, char *err, size_t size);
/* Who recovers and looks: host 1, or host 2 when host 1 is among the dead. */
unsigned aftermath_by(unsigned dead);

#endif
