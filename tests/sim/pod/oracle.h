/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oracle.h - is what happens allowed?
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

#include "pod/pod.h"

#define DIGESTS_MAX 24u
#define BLOCK_DIGESTS 48u
#define EVER_MAX 4096u /* more than a seed has commits, by two names each */

struct listing {
	unsigned n, twice, unknown;   /* names; seen twice; that nobody made */
	uint64_t handle[MODEL_NAMES]; /* 0: not listed */
};

struct outcome {
	long rc;
	uint64_t digest, handle; /* of what was read; of what was made or found */
	struct listing listing;
	uint64_t block[MODEL_BLOCKS]; /* read: of each block of the file */
	bool aborted;                 /* a draft: given up */
	char text[80];                /* attributes, for people */
	bool tarnished;               /* bytes of a poisoned line among those read */
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
	uint64_t handle;         /* of what it made */
	unsigned errors;         /* that applied at some moment */
	bool nothing;            /* success without a change was right at some moment */
	bool existed, vanished;  /* op.ino; it went away or was cut meanwhile */
	bool beyond;             /* somebody changed it just before, and the model heard of that after its end */
	unsigned changes;        /* of what it reads */
	bool was_short;          /* of space, at some moment: it may have been refused then, and go on long after */
	bool refusable;          /* lock: somebody was in the way, perhaps */
	bool bare;               /* its machine had not the storage */
	uint64_t storage_errors; /* before */
	uint8_t lock_sure[LOCK_CELLS], lock_maybe[LOCK_CELLS]; /* before */
	unsigned n_digest;
	uint64_t digest[DIGESTS_MAX], version;
	struct listing first; /* readdir: names there all the time */
	unsigned n_ever;
	/* from here on not cleared: only the first so many count */
	struct binding {
		uint64_t handle;
		unsigned name;
	} ever[EVER_MAX];
	uint8_t n_block[MODEL_BLOCKS];
	uint64_t block[MODEL_BLOCKS][BLOCK_DIGESTS]; /* read: of each block, at some moment */
};

void oracle_reset(void);
struct pending *oracle_begin(struct actor *a, const struct op *op);
/* What the library said. */
void oracle_end(struct pending *p, const struct outcome *out);
/* About to happen. */
void oracle_store(struct actor *a, const struct seam_event *event);
void oracle_cas(const struct actor *a, const struct seam_event *event);
/* The process of a machine is gone; after a loss of caches, which commits are gone with them? */
void oracle_died(unsigned machine);
/* It came back, and has recovered itself what it left there. */
void oracle_revived(unsigned slot, uint32_t generation);
void oracle_lost(void);

#endif
