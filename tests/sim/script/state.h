/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.h - what a host can see of the filesystem, as canonical text.
 *
 * One line a name: path, type, mode, owner, link count, size, digest of the
 * contents, and which inode it is, numbered by first appearance so that hard
 * links are told from copies; and its locks. Then the noted handles: what is open without a
 * name. Directory listings, lookups and ".." are compared with one another on
 * the way; a contradiction becomes a line that no legal state has. Times are
 * left out: they are outside the all-or-nothing promise; so is how the names of a
 * directory lie in its pages.
 */
#ifndef SIM_SCRIPT_STATE_H
#define SIM_SCRIPT_STATE_H

#include "machine/world.h"

#define STATE_TEXT 6144u

struct state {
	uint64_t live[DAXFS_TYPES], unused[DAXFS_TYPES]; /* unused: free and retired */
	uint64_t private_, total;
	char text[STATE_TEXT];
};

/* By a joined host; usage from a check made before. False: the run broke. */
bool state_capture(unsigned by, const struct world_check *check, struct state *out, char *err);
bool state_equal(const struct state *a, const struct state *b);
bool state_text_equal(const struct state *a, const struct state *b);
/* The first line that differs, and the usage, for people. */
void state_explain(const struct state *got, const struct state *want, char *buf, size_t size);

#endif
