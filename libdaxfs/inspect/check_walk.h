/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_walk.h - what the parts of the check share: the notes about each object
 * and the one way to follow a word. Private memory of one thread; nothing here
 * writes to the pool but, in a repair, what repair.h has.
 *
 * Order of the passes (check.c): headers, members, lanes (notes what is in
 * flight), marks, open tables, the tree from the root, orphans, inode words,
 * states of all objects (what was reached against what its state says).
 */
#ifndef DAXFS_RECOVER_CHECK_WALK_H
#define DAXFS_RECOVER_CHECK_WALK_H

#include <stdbool.h>

#include "daxfs/member.h"
#include "mem/pool.h"
#include "inspect/check.h"
#include "inspect/inspect.h"
#include "sync/word.h"

/* about one object */
enum check_note {
	CHECK_REACHED = 1,
	CHECK_RETIRING = 2, /* a committed record that is not finalized yet retires it */
	CHECK_TODO = 4,     /* inode: some lane will finish it */
	CHECK_ORPHAN = 8,   /* inode: reached without a name */
	CHECK_FOUND = 16,   /* inode: the same, but it is to have one (repair) */
};

struct repair; /* inspect/repair.h */

struct check {
	const struct pool *pool;
	daxfs_report report;
	void *context;
	struct daxfs_check *out;
	uint64_t owned;              /* bit h: host slot h has a tenant or awaits recovery */
	uint64_t epoch;              /* of reclamation */
	uint8_t *notes[DAXFS_TYPES]; /* enum check_note of each object */
	uint64_t *listed;            /* inode: hosts whose open tables name it */
	uint32_t *names;             /* inode: directory entries that name it */
	uint32_t *queue;             /* directories to walk, each at most once */
	uint64_t queued;
	uint64_t blind;     /* places that lead on, and cannot be read */
	uint64_t below;     /* objects that were not reached, though in use: below those, perhaps */
	void *memory;       /* of all arrays */
	struct repair *fix; /* NULL: only look */
	uint64_t top;       /* the directory without a name below which the walk is; 0: none */
};

/* Where a finding is: "inode 5 direct[3]", "page 12". */
struct place {
	const char *what;
	uint64_t index;
	const char *field; /* or NULL */
	int slot;          /* or -1 */
	uint64_t of;       /* inode whose node it is in, or 0 */
};

#define PLACE(what, index) (&(const struct place){ (what), (index), NULL, -1, 0 })
#define PLACE_FIELD(what, index, field, slot) (&(const struct place){ (what), (index), (field), (slot), 0 })
/* A slot of a page that inode `of` leads to. */
#define PLACE_SLOT(page, slot, of) (&(const struct place){ "page", (page), "slot", (int)(slot), (of) })

extern const char *const check_type_name[DAXFS_TYPES];

/* A place in words; returns their length. */
int check_place(char *buf, size_t size, const struct place *at);
/* Is memory lost that leads on to more? Then what is not reached may be below it. */
static inline bool check_blind(struct check *c, const void *p, size_t len)
{
	bool lost = pool_lost(c->pool, p, len);

	c->blind += lost;
	return lost;
}

void check_problem(struct check *c, const char *code, const struct place *at, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* A lane's status: one of those there are, under a number that fits into its marks. */
static inline bool check_status_sane(uint64_t status)
{
	return status_state(status) < DAXFS_STATUSES && status < 2 * DAXFS_STATUS_HAPPENED && /* no bits above that */
	       (!(status & DAXFS_STATUS_HAPPENED) || status_state(status) == DAXFS_IDLE);
}

/* -- following words ------------------------------------------------ */

/* What any reader would take the word for, without its version; 0 for an orphan mark. */
static inline uint64_t check_value(const struct check *c, const sm_u64 *word, enum daxfs_word_class class)
{
	return inspect_word(c->pool, word, class);
}

/* Is it lost what a word is: its own memory, or the record whose mark it carries? */
bool check_unknown(const struct check *c, const sm_u64 *word);
/* Complain about a mark that nobody will resolve. */
void check_mark(struct check *c, const sm_u64 *word, enum daxfs_word_class class, const struct place *at);
/* Complain if an object that a word names is not in a state to be named. */
void check_state(struct check *c, enum daxfs_type type, uint64_t index, enum daxfs_use use, const struct place *at);
/*
 * Account for the one reference that an object has. True when it exists and was
 * not reached before, so that it may be entered.
 */
bool check_reach(struct check *c, enum daxfs_type type, uint64_t index, enum daxfs_use use, const struct place *at);
/* Is {lane, seq} of a state word in flight in a slot somebody owns, as one of these (bits 1 << enum daxfs_status)? */
bool check_in_flight(const struct check *c, uint64_t txid, unsigned statuses);

/* It happened, or, of one word, may have: what it took may be linked, what it replaced not. */
#define CHECK_COMMITTED (1u << DAXFS_COMMITTED | 1u << DAXFS_SINGLE)
#define CHECK_ANY (CHECK_COMMITTED | 1u << DAXFS_PREPARE | 1u << DAXFS_UNDECIDED | 1u << DAXFS_ABORTED)

static inline bool check_host_owned(const struct check *c, unsigned host)
{
	return host < DAXFS_HOSTS_MAX && (c->owned >> host & 1);
}

static inline bool check_lane_owned(const struct check *c, unsigned lane)
{
	return lane < c->pool->lanes_total && check_host_owned(c, lane / c->pool->super.lanes_per_host);
}

static inline bool check_is(const struct check *c, enum daxfs_type type, uint64_t index, enum check_note note)
{
	return c->notes[type][index] & note;
}

/* Memory for the notes, to be freed as c->memory: 0 or -ENOMEM. */
int check_setup(struct check *c);

/* -- the other parts ---------------------------------------------------------- */

void check_headers(struct check *c);                 /* check_head.c */
void check_members(struct check *c);                 /* check_head.c: fills owned */
void check_lanes(struct check *c);                   /* check_lane.c: notes RETIRING, TODO */
void check_opens(struct check *c);                   /* check_lane.c: fills listed */
void check_tree(struct check *c);                    /* check_dir.c: everything that has a name */
void check_dirs_queued(struct check *c);             /* check_dir.c */
void check_file(struct check *c, uint64_t inode);    /* check_file.c: the pages below an inode */
void check_content(struct check *c, uint64_t inode); /* check_inode.c: whatever is below an inode */
void check_locks(struct check *c, uint64_t inode);   /* check_lock.c: its page of locks */
void check_xattrs(struct check *c, uint64_t inode);  /* check_xattr.c: its extended attributes */
void check_orphans(struct check *c);                 /* check_inode.c: everything that has none */
void check_found(struct check *c);                   /* check_inode.c: in a repair, what lost its name */
void check_inodes(struct check *c);                  /* check_inode.c: links, sizes, openers */
void check_note_todo(struct check *c, uint64_t handle);
void check_repairs(struct check *c);  /* check_trouble.c: notes TODO of what is to be repaired */
void check_trouble(struct check *c);  /* check_trouble.c */
void check_marks(struct check *c);    /* check_inode.c: words outside of nodes */
void check_counters(struct check *c); /* check_space.c: after the states were counted */
void check_summary(struct check *c);  /* check_space.c: where it is said that nothing is free */

#endif
