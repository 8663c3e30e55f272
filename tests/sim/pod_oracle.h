/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pod_oracle.h - is what happens allowed?
 *
 * Sees each store and CAS just before it is done. The CAS that makes a record
 * COMMITTED is the moment at which its operation happened: the model is fed
 * then. A worker tells when its operation begins and what came of it.
 *
 * An operation whose process died stays pending until its slot is RECOVERED:
 * its record may commit until then, by whoever helps or recovers, and not later.
 */
#ifndef SIM_POD_ORACLE_H
#define SIM_POD_ORACLE_H

#include "pod.h"

#define DIGESTS_MAX 24u

struct listing {
	unsigned n, twice, unknown;     /* names; seen twice; that nobody made */
	uint64_t handle[MODEL_NAMES];   /* 0: not listed */
};

struct pending {
	bool used, dead;
	uint64_t serial;
	struct op op;
	struct actor *actor;
	unsigned slot;
	uint32_t generation;
	bool committed, taken_back;
	unsigned log_index;
	uint64_t handle;          /* of what it made */
	unsigned errors;          /* that applied at some moment */
	bool nothing;             /* success without a change was right at some moment */
	bool existed, vanished;   /* op.ino; it went away or was cut meanwhile */
	bool tarnished;           /* read bytes of a poisoned line */
	unsigned changes;         /* of what it reads */
	unsigned n_digest;
	uint64_t digest[DIGESTS_MAX], version;
	struct listing first;     /* readdir: names there all the time */
	unsigned n_ever;
	struct {
		unsigned name;
		uint64_t handle;
	} ever[64];
};

void oracle_reset(void);
struct pending *oracle_begin(struct actor *a, const struct op *op);
/* What the library said. handle: of what it made; listing: of readdir. */
void oracle_end(struct pending *p, long rc, uint64_t digest, uint64_t handle, const struct listing *listing);
/* About to happen. */
void oracle_store(struct actor *a, const struct seam_event *event);
void oracle_cas(const struct actor *a, const struct seam_event *event);
/* The process of a machine is gone; after a loss of caches, which commits are gone with them? */
void oracle_died(unsigned machine);
void oracle_lost(void);

#endif
