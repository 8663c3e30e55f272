/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_fixture.h - a pool with something of everything in it, at rest, to be
 * damaged by hand and judged by the check (inspect/check.c).
 *
 * All hosts have left. The pristine image is kept; fixture_restore() goes back to
 * it, so one scene serves any number of damages.
 */
#ifndef TESTS_UNIT_CHECK_FIXTURE_H
#define TESTS_UNIT_CHECK_FIXTURE_H

#include "pod.h"

#define SCENE_BYTES (2u << 20)
#define SCENE_NAMES 100
#define SCENE_LINES 64

struct picture; /* repair_fixture.h */

struct fixture {
	struct pod pod;
	struct pool *pool;
	void *pristine;
	/* inode indexes */
	uint64_t big, wide, small, link, fifo, dir, sub, victim; /* wide: of extents, one more is at rest */
	/* what a damage is to be reported as: the start of a line */
	char want[96];
	/* what the check said */
	char line[SCENE_LINES][256];
	unsigned lines;
	struct daxfs_check check;
	struct picture *before; /* what could be read */
};

void fixture_start(struct fixture *s);
void fixture_stop(struct fixture *s);
void fixture_restore(struct fixture *s);
/* Run the check; its lines are in s->line. */
uint64_t fixture_check(struct fixture *s);
bool fixture_said(const struct fixture *s, const char *start);
void fixture_want(struct fixture *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Give a host slot an owner, or none. */
void fixture_host(struct fixture *s, unsigned host, enum daxfs_host_state state);

static inline struct sm_inode *fixture_inode(struct fixture *s, uint64_t index)
{
	return &s->pool->inodes[index];
}

static inline void fixture_set(sm_u64 *word, enum daxfs_word_class class, uint64_t payload)
{
	sm_store(word, word_next(sm_load(word), class, payload));
}

static inline sm_u64 *fixture_state(struct fixture *s, enum daxfs_type type, uint64_t index)
{
	return &s->pool->state[type][index];
}

/* Page index under a direct word. */
static inline uint64_t fixture_direct(struct fixture *s, uint64_t inode, unsigned i)
{
	return link_index(sm_load(&fixture_inode(s, inode)->direct[i]));
}

/* First object of a type in a state. */
uint64_t fixture_find(const struct fixture *s, enum daxfs_type type, enum daxfs_state state);
/* The slot that names an inode in some directory node, and the page of that node. */
sm_u64 *fixture_slot(struct fixture *s, uint64_t inode, uint64_t *page, uint64_t *dirent);
/* Take the name of an inode away, as unlink would, all but the inode itself. */
void fixture_unname(struct fixture *s, uint64_t inode);

/* All hosts that make sense have left, whatever the pool says of them: nobody uses it. */
void fixture_end_tenants(struct fixture *s);
/* What can be read of the damaged pool, of which image is a copy; it is then as it was. */
void fixture_picture_damaged(struct fixture *s, const void *image, struct picture *out);
/* Recover what is FENCED: slots that made no sense. */
bool fixture_recover_all(struct fixture *s);

/* Damages: `make` does one and says by fixture_want what the check must say of it. */
struct damage {
	const char *name;
	void (*make)(struct fixture *s);
	unsigned problems; /* in all; 0: any number */
};
#define DAMAGE(f, n)                                                                                                   \
	{                                                                                                              \
#f, f, n                                                                                               \
	}
/* Do each to a sound pool and demand its finding. */
void fixture_damages(const struct damage *damages, size_t n);

#endif
