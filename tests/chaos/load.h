/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h - inside the load generator: one worker thread and its operations.
 *
 * struct load is constant while workers run, but for `stop` and `lost`. A
 * struct worker belongs to its thread. Every operation is
 *	op_begin(); op_intent(); <system calls>; op_done();
 * and whatever happens to the process in between, the log tells the truth.
 */
#ifndef CHAOS_LOAD_H
#define CHAOS_LOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "oplog.h"
#include "payload.h"

#define SHARED_FILES 4u
#define SHARED_BLOCKS 256u
#define APPEND_FILES 2u
#define APPEND_CAP (12u << 20)
#define FIGHT_NAMES 12u
#define FIGHT_DIRS 4u
#define DIR_ENTRIES 2u
#define TOKENS 6u
#define EXCL_SLOT_NS 20000000ull
#define HELD 4u

enum mix { MIX_MIXED, MIX_UNREAD /* the same without reads of shared blocks */, MIX_HEAVY, MIX_OVERWRITE };

struct load {
	const char *mount, *log_dir;
	char round[24]; /* directory under the mount */
	int root;       /* of that directory */
	unsigned host, threads, pace_us;
	uint32_t generation;
	uint64_t seed, ws_bytes;
	enum mix mix;
	atomic_bool stop;
	atomic_bool lost;   /* the mount went away under us */
	atomic_bool broken; /* the log could not be written: nothing we did counts */
};

/* somebody's file that we opened by a contested name and keep */
struct seen_file {
	int fd;
	uint32_t crc;
	uint32_t len;
};

struct worker {
	struct load *load;
	unsigned thread;
	uint64_t rng, seq;
	int log;
	struct op_record rec;
	char own[24]; /* this thread's directory */
	uint8_t *buf; /* CHAOS_BLOCKS_MAX blocks, page aligned */
	int shared[SHARED_FILES], append[APPEND_FILES], ws;
	int held[HELD];
	struct seen_file seen;
	char source[OPLOG_NAME]; /* a file to link from; empty until made */
	uint64_t source_ino, excl_slot;
	uint32_t append_id[APPEND_FILES];
};

/* -- worker.c --------------------------------------------------------------- */
uint64_t draw(struct worker *w, uint64_t below);
void op_begin(struct worker *w, enum op_kind kind, const char *name0, const char *name1);
void op_intent(struct worker *w);
/* result >= 0 or -errno. Returns it. */
int op_done(struct worker *w, int result);
/* Whether error says that the mount's daemon is gone; if so everything stops. */
bool mount_lost(struct worker *w, int error);
/* What the generator itself saw go wrong. */
void violation(struct worker *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
uint64_t worker_op(const struct worker *w); /* op_id() of the operation in progress */
/* The file id of a path of this round. */
uint32_t round_path_id(const struct load *load, const char *path);
bool worker_init(struct worker *w, struct load *load, unsigned thread);
void worker_run(struct worker *w);
void worker_fini(struct worker *w);

/* -- operations; each picks its own parameters -------------------------------- */
void do_block_write(struct worker *w);
void do_block_read(struct worker *w);
void do_ws_write(struct worker *w);
void do_append(struct worker *w);
void do_names(struct worker *w);
void do_excl(struct worker *w);
void do_dirs(struct worker *w);
void do_token(struct worker *w);
void do_own(struct worker *w);
void own_start(struct worker *w); /* makes the thread's directory */

#endif
