/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_scene.h - a pool with something of everything in it, at rest, to be
 * damaged by hand and judged by the check (inspect/check.c).
 *
 * All hosts have left. The pristine image is kept; scene_restore() goes back to
 * it, so one scene serves any number of damages.
 */
#ifndef TESTS_UNIT_CHECK_SCENE_H
#define TESTS_UNIT_CHECK_SCENE_H

#include "pod.h"

#define SCENE_BYTES (2u << 20)
#define SCENE_NAMES 100
#define SCENE_LINES 64

struct picture; /* repair_scene.h */

struct scene {
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

void scene_start(struct scene *s);
void scene_stop(struct scene *s);
void scene_restore(struct scene *s);
/* Run the check; its lines are in s->line. */
uint64_t scene_check(struct scene *s);
bool scene_said(const struct scene *s, const char *start);
void scene_want(struct scene *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Give a host slot an owner, or none. */
void scene_host(struct scene *s, unsigned host, enum daxfs_host_state state);

static inline struct sm_inode *scene_inode(struct scene *s, uint64_t index)
{
	return &s->pool->inodes[index];
}

static inline void scene_set(sm_u64 *word, enum daxfs_word_class class, uint64_t payload)
{
	sm_store(word, word_next(sm_load(word), class, payload));
}

static inline sm_u64 *scene_state(struct scene *s, enum daxfs_type type, uint64_t index)
{
	return &s->pool->state[type][index];
}

/* Page index under a direct word. */
static inline uint64_t scene_direct(struct scene *s, uint64_t inode, unsigned i)
{
	return link_index(sm_load(&scene_inode(s, inode)->direct[i]));
}

/* First object of a type in a state. */
uint64_t scene_find(const struct scene *s, enum daxfs_type type, enum daxfs_state state);
/* The slot that names an inode in some directory node, and the page of that node. */
sm_u64 *scene_slot(struct scene *s, uint64_t inode, uint64_t *page, uint64_t *dirent);
/* Take the name of an inode away, as unlink would, all but the inode itself. */
void scene_unname(struct scene *s, uint64_t inode);

/* All hosts that make sense have left, whatever the pool says of them: nobody uses it. */
void scene_end_tenants(struct scene *s);
/* What can be read of the damaged pool, of which image is a copy; it is then as it was. */
void scene_picture_damaged(struct scene *s, const void *image, struct picture *out);
/* Recover what is FENCED: slots that made no sense. */
bool scene_recover_all(struct scene *s);

/* Damages: `make` does one and says by scene_want what the check must say of it. */
struct damage {
	const char *name;
	void (*make)(struct scene *s);
	unsigned problems; /* in all; 0: any number */
};
#define DAMAGE(f, n) { #f, f, n }
/* Do each to a sound pool and demand its finding. */
void scene_damages(const struct damage *damages, size_t n);

#endif
