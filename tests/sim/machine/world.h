/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world.h - a pool in simulated memory and the hosts that use it.
 *
 * Host 0 is the one that dies or is paused, 1 and 2 survive; the observer is
 * no host of the pod: it formats, plays fabricd and checks. Everything - pool,
 * caches, each host's private memory - goes back to a mark together.
 */
#ifndef SIM_MACHINE_WORLD_H
#define SIM_MACHINE_WORLD_H

#include "daxfs/daxfs.h"
#include "mem/pool.h"
#include "machine/seam.h"

#define HOSTS 3u
#define OBSERVER 8u
#define NOTES 10u

/* What a host's kernel believes: see kernel.c. */
#define KERNEL_MAX 8u
struct kernel {
	struct kernel_name {
		daxfs_ino parent, ino; /* ino 0: there is no such name */
		uint64_t until;
		char name[16];
	} name[KERNEL_MAX];
	struct kernel_attr {
		struct daxfs_attr attr;
		uint64_t until;
	} attr[KERNEL_MAX];
};

/* What a host's program saw: see look.c. */
struct look {
	struct daxfs_attr attr;
	uint64_t contents;
	bool made;
};

struct world {
	bool wb, leases;
	uint64_t size;    /* of the pool; the memory may be larger */
	struct pool pool; /* the observer's */
	struct daxfs *fs[HOSTS];
	daxfs_ino note[NOTES]; /* handles that scripts gave a number */
	bool noted[NOTES];
	struct kernel kernel[HOSTS];
	bool off[HOSTS]; /* it died with its kernel */
	struct look look[HOSTS];
	unsigned serial, told;  /* events of scripts: begun, and said to be recorded */
	unsigned spoilt[HOSTS]; /* 1: its reads of storage, and writes, fail; 2: reads come short */
	unsigned listed;        /* directories of storage, by all hosts */
	bool unsynced[HOSTS];   /* it has written to storage, since that had lost its power so often: */
	unsigned power[HOSTS];
};

extern struct world world;

/* Format, attach all hosts; join those of the mask. Dies if it cannot. */
void world_make(bool wb, bool small, bool leases, unsigned join);
void world_mark(void);
void world_rewind(void);
void world_drop(void);

/* A host dies, not noticed by anybody: its dirty lines meet their fate. */
void world_lose(unsigned host, struct fate fate);
/*
 * fabricd fences a host and hands what it was recovering to another. False if
 * it owned nothing to recover: its slot is FREE or RECOVERED.
 */
bool world_fence(unsigned host, unsigned candidate);
/* fabricd revokes a host that still runs: FENCING. False if it owns no slot. */
bool world_revoke(unsigned host);
/* fabricd assigns the recovery of a FENCED host, RECOVERING by another. */
void world_assign(unsigned dead, unsigned by);
/* The same, to a tenant of that slot that is over: nobody recovers it. */
void world_abandon(unsigned dead, unsigned by);
/* Lanes that are not idle, for people. */
void world_show_lanes(FILE *out);
/* By a survivor; 0 or -errno, or -ELOOP when the run broke (why). */
int world_recover(unsigned by, unsigned dead, char *err);
/* As a joined host whose slot is recovered: a fresh context, joined again. */
int world_rejoin(unsigned host, char *err);
/* A process of a joined host that died is replaced by one that goes on in its place. */
void world_take_over(unsigned *host, struct run *run, seam_hook hook, void *context);
/* A host that is FENCED comes back, and recovers itself what it left. */
void world_revive(unsigned *host, struct run *run, seam_hook hook, void *context);
/* Make a RECOVERED host FENCED again, as if recovery had not been noticed. */
void world_unrecover(unsigned host);

struct world_check {
	uint64_t problems;
	char text[512]; /* the first ones */
	struct daxfs_statfs usage;
};
/* False when the check itself broke or failed. */
bool world_check(struct world_check *out);

/* world_storage.c: hosts get storage, and the disk behind it is as it was. */
int world_storage_attach(unsigned host);
void world_storage_reset(void);
void world_storage_mark(unsigned nth);
void world_storage_rewind(unsigned nth);
/* A host died; and is fenced, so that nothing of it comes late. Storage loses its power; how often it did. */
void world_storage_lose(unsigned host, struct fate fate);
void world_storage_fence(unsigned host);
void world_storage_power(void);
unsigned world_storage_powers(void);
/* Has any host done anything there, since it was reset? */
bool world_storage_used(void);

/* events.c: record some, of a script; what is wrong with those in the pool is added to *out. */
int world_tell(struct daxfs *fs, uint64_t n);
void world_judge_events(struct world_check *out);

#endif
