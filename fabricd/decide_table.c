/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decide_table.c - the rules of membership, one row each. See decide_table.h.
 *
 * Read a row as: in these states, if each fact is one of those named, then do
 * this. ANY means whatever. No two rows match the same facts, so their order is
 * for the reader. What cannot be seen here: decide.c consults the table only
 * for a readable pool, under its own epoch, and not while a window is waited
 * out.
 */
#include "fabricd/decide_table.h"

#include <stddef.h>

struct row {
	unsigned state, beat, order, fence, proof, recoverer, toll, candidate; /* sets of values */
	enum decide_verdict verdict;
};

#define ANY (~0u)
#define S(x) (1u << DAXFS_HOST_##x)
#define B(x) (1u << BEAT_##x)
#define O(x) (1u << ORDER_##x)
#define F(x) (1u << FENCE_##x)
#define P(x) (1u << PROOF_##x)
#define R(x) (1u << RECOVERER_##x)
#define T(x) (1u << TOLL_##x)
#define H(x) (1u << HEIR_##x)
#define V(x) VERDICT_##x
#define BEATING (B(MOVED) | B(QUIET) | B(AWAY))
#define SILENT (B(LATE) | B(LOST))
#define IN_TIME (BEATING | B(LATE))
#define STILL (B(QUIET) | B(AWAY) | SILENT)
#define PATIENT (B(QUIET) | B(AWAY) | B(LATE))
#define UNDER_WAY (F(HELD) | F(RUNNING) | F(WAITING))
#define NOT_OVER (P(NONE) | P(HERE))
#define UNPROVEN (F(HELD) | F(IDLE) | F(RUNNING) | F(OFF_DONE) | F(FAILED) | F(WAITING))
#define UNLESS_FENCE (O(NONE) | O(CONFIRM))

/* clang-format off */
static const struct row rows[] = {
/* state          beat      order         fence        proof     recover. toll        candidate */
{ S(FREE),       ANY,      ANY,          ANY,         ANY,      ANY,     ANY,        ANY,      V(NOTHING) },

{ S(JOINING),    IN_TIME,  O(NONE),      ANY,         ANY,      ANY,     ANY,        ANY,      V(NOTHING) },
{ S(JOINING),    B(LOST),  O(NONE),      ANY,         ANY,      ANY,     ANY,        ANY,      V(LOST) },
{ S(JOINING),    ANY,      O(FENCE),     ANY,         ANY,      ANY,     ANY,        ANY,      V(FENCE_ORDERED) },
{ S(JOINING),    BEATING,  O(CONFIRM),   ANY,         ANY,      ANY,     ANY,        ANY,      V(REFUSE) },
{ S(JOINING),    SILENT,   O(CONFIRM),   ANY,         ANY,      ANY,     ANY,        ANY,      V(CONFIRM) },

{ S(ALIVE),      BEATING,  O(NONE),      ANY,         ANY,      ANY,     ANY,        ANY,      V(NOTHING) },
{ S(ALIVE),      SILENT,   UNLESS_FENCE, ANY,         ANY,      ANY,     ANY,        ANY,      V(SUSPECT) },
{ S(ALIVE),      BEATING,  O(CONFIRM),   ANY,         ANY,      ANY,     ANY,        ANY,      V(REFUSE) },
{ S(ALIVE),      ANY,      O(FENCE),     ANY,         ANY,      ANY,     ANY,        ANY,      V(FENCE_ORDERED) },

{ S(SUSPECT),    B(MOVED), UNLESS_FENCE, ANY,         ANY,      ANY,     ANY,        ANY,      V(RESUME) },
{ S(SUSPECT),    PATIENT,  O(NONE),      ANY,         ANY,      ANY,     ANY,        ANY,      V(NOTHING) },
{ S(SUSPECT),    B(LOST),  O(NONE),      ANY,         ANY,      ANY,     ANY,        ANY,      V(LOST) },
{ S(SUSPECT),    STILL,    O(CONFIRM),   ANY,         ANY,      ANY,     ANY,        ANY,      V(CONFIRM) },
{ S(SUSPECT),    ANY,      O(FENCE),     ANY,         ANY,      ANY,     ANY,        ANY,      V(FENCE_ORDERED) },

{ S(FENCING),    ANY,      O(NONE),      F(IDLE),     P(NONE),  ANY,     ANY,        ANY,      V(AGENT_OFF) },
{ S(FENCING),    ANY,      O(NONE),      F(IDLE),     P(HERE),  ANY,     ANY,        ANY,      V(OWN_MACHINE) },
{ S(FENCING),    ANY,      O(NONE),      UNDER_WAY,   NOT_OVER, ANY,     ANY,        ANY,      V(NOTHING) },
{ S(FENCING),    ANY,      O(NONE),      F(OFF_DONE), NOT_OVER, ANY,     ANY,        ANY,      V(AGENT_STATUS) },
{ S(FENCING),    ANY,      O(NONE),      F(FAILED),   NOT_OVER, ANY,     ANY,        ANY,      V(FAILED) },
{ S(FENCING),    ANY,      O(CONFIRM),   UNPROVEN,    NOT_OVER, ANY,     ANY,        ANY,      V(DEAD_CONFIRMED) },
{ S(FENCING),    ANY,      UNLESS_FENCE, F(PROVEN),   NOT_OVER, ANY,     ANY,        ANY,      V(NOTHING) },
{ S(FENCING),    ANY,      UNLESS_FENCE, F(THAWED),   NOT_OVER, ANY,     ANY,        ANY,      V(BEATING) },
{ S(FENCING),    ANY,      UNLESS_FENCE, F(FROZEN),   NOT_OVER, ANY,     ANY,        ANY,      V(FENCED) },
{ S(FENCING),    ANY,      O(FENCE),     ANY,         NOT_OVER, ANY,     ANY,        ANY,      V(RETRY_NOW) },
{ S(FENCING),    ANY,      ANY,          ANY,         P(OVER),  ANY,     ANY,        ANY,      V(OVER) },

{ S(FENCED),     ANY,      ANY,          ANY,         ANY,      ANY,     ANY,        H(READY), V(ASSIGN) },
{ S(FENCED),     ANY,      ANY,          ANY,         ANY,      ANY,     ANY,        H(NONE),  V(NOTHING) },
{ S(RECOVERING), ANY,      ANY,          ANY,         ANY,      R(HELD), ANY,        ANY,      V(NOTHING) },
{ S(RECOVERING), ANY,      ANY,          ANY,         ANY,      R(DIED), ANY,        ANY,      V(COUNT) },
{ S(RECOVERING), ANY,      ANY,          ANY,         ANY,      R(GONE), T(LOW),     H(READY), V(REASSIGN) },
{ S(RECOVERING), ANY,      ANY,          ANY,         ANY,      R(GONE), T(LOW),     H(NONE),  V(NOTHING) },
{ S(RECOVERING), ANY,      ANY,          ANY,         ANY,      R(GONE), T(RESTING), ANY,      V(NOTHING) },
{ S(RECOVERING), ANY,      ANY,          ANY,         ANY,      R(GONE), T(HIGH),    ANY,      V(NOTHING) },
{ S(RECOVERED),  ANY,      ANY,          ANY,         ANY,      ANY,     ANY,        ANY,      V(RELEASE) },
};
/* clang-format on */

static bool has(unsigned set, unsigned value)
{
	return value < 32 && set & 1u << value;
}

static bool matches(const struct row *row, const struct decide_facts *f)
{
	return has(row->state, f->state) && has(row->beat, f->beat) && has(row->order, f->order) &&
	       has(row->fence, f->fence) && has(row->proof, f->proof) && has(row->recoverer, f->recoverer) &&
	       has(row->toll, f->toll) && has(row->candidate, f->candidate);
}

enum decide_verdict decide_verdict(const struct decide_facts *facts)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (matches(&rows[i], facts))
			return rows[i].verdict;
	return VERDICT_NOTHING; /* a state that is none: decide nothing from it */
}

unsigned decide_rows(const struct decide_facts *facts)
{
	unsigned n = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		n += matches(&rows[i], facts);
	return n;
}
