/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookup_pin.h - files and directories held for a moment between a lookup and what follows it.
 *
 * The kernel opens a file in two requests: LOOKUP gives it a handle, OPEN uses
 * it. If another host replaces the file in between, the handle is stale and the
 * kernel tries again, once. A file that is replaced all the time would show an
 * application ESTALE, although its name was there all the time. So would a directory on the way: GETATTR asks
 * whether it may be searched. Held, it may be, and what is made in a removed directory is ENOENT, as anywhere.
 *
 * So once a request has met a stale handle, lookups hold what they find open
 * for a moment: the kernel's second try cannot fail the same way. A pod without
 * such races never takes a pin, and a lookup stays a read.
 *
 * Where names of storage are given back for others, what was found may be gone in the same way, so that such races go
 * on as long as there is too little room. A directory of storage is therefore held without its names (daxfs_dir_keep):
 * else none of them could be given back for the very lookup that goes through it.
 */
#ifndef AGENT_PINS_H
#define AGENT_PINS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "daxfs/daxfs.h"

#define LOOKUP_PINS_MAX 256u     /* far more than lookups, with all that is on their way, between two requests */
#define LOOKUP_PINS_RACE_MS 200  /* lookups pin for so long after a race */
#define LOOKUP_PINS_KEEP_MS 1000 /* a pin is dropped when it is that old */

struct lookup_pins {
	struct daxfs *fs;
	atomic_llong until_ns; /* lookups pin until then */
	pthread_mutex_t lock;  /* of the ring; never held over a call of libdaxfs */
	struct lookup_pin {
		daxfs_ino ino; /* 0: none */
		bool kept;     /* without its names */
		int64_t taken_ns;
	} ring[LOOKUP_PINS_MAX];
	unsigned next;
};

void lookup_pins_init(struct lookup_pins *p, struct daxfs *fs);
/* A request met a stale handle. */
void lookup_pins_raced(struct lookup_pins *p);
/* Do lookups pin? */
bool lookup_pins_racing(const struct lookup_pins *p);
/* daxfs_lookup(), pinning what it finds while there are races. */
int lookup_pins_lookup(struct lookup_pins *p, daxfs_ino parent, const char *name, struct daxfs_attr *out);
/* Drop the pins older than age_ms; call now and then, and with 0 at the end. */
void lookup_pins_drop(struct lookup_pins *p, unsigned age_ms);
void lookup_pins_fini(struct lookup_pins *p);

#endif
