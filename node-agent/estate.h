/* SPDX-License-Identifier: Apache-2.0 */
/*
 * estate.h - what a process of the agent leaves to the next one.
 *
 * The mount, its open files and its requests outlive the process that serves them. What
 * the next one must know of them is in memory that both map (a memfd that their parent
 * keeps, see supervisor.c): how the kernel was greeted, which files it has open, and which
 * requests were in progress, with the library's receipts of what became of them.
 *
 * Every store of it may be the last one. Invariants:
 *
 *  - An open file is in the table before the kernel hears of it, and until it is closed in the pool. So
 *    a successor holds at least what the kernel has open.
 *  - The number of an open file names its place and how often that was used: a number that the
 *    kernel gives back twice is not another file's.
 *  - A request is in the journal before anything is done for it, until it is answered.
 *
 * One process serves at a time: it holds a lock of the memory, which the kernel lets go of when all that the
 * process could still store is stored.
 *
 * What stays when a program is killed in the moment in which the agent dies, and its open is
 * never asked for again, is one file held too long: until this host leaves.
 */
#ifndef AGENT_ESTATE_H
#define AGENT_ESTATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daxfs/resume.h"

#define ESTATE_GREETING_MAX 512u /* bytes of the kernel's first request that are of interest */
#define ESTATE_REQUESTS 4096u    /* in progress, of all lives */
#define ESTATE_DOORS 16u         /* descriptors of the connection that workers read from */

/* a request that changes something or opens a file */
struct estate_request {
	uint64_t unique; /* the kernel's number; 0: this place is free */
	uint64_t fh;     /* of the file that it opens, once it is known */
	struct daxfs_receipt receipt;
};

struct config;
struct estate_head;
struct estate_body;

struct estate {
	int fd;      /* the memory */
	int fuse_fd; /* the connection to the kernel */
	struct estate_head *head;
	struct estate_body *body;
	size_t size;

	/* this life's */
	pthread_mutex_t lock; /* of what follows */
	uint32_t *free;       /* places of open files that are free again */
	size_t n_free, free_max;
	bool *taken; /* of each place of a request: by a worker, or left by a former life */
	bool *left;  /* the latter, and nobody has come for it yet */
	bool *again; /* ... and somebody has, and it is not answered */
	atomic_uint n_left, n_again;
};

/* A further descriptor of the connection, of ESTATE_DOORS, which outlives this process like the first. */
int estate_door(const struct estate *e, unsigned i);

/* New, empty, and a connection that is not mounted yet; or what a former program has passed on (upgrade). */
int estate_create(struct estate *e, struct daxfs_error *err);
int estate_inherit(struct estate *e, int fd, int fuse_fd, struct daxfs_error *err);
/* Close all descriptors, and forget what estate_enter made. */
void estate_close(struct estate *e);
/* All descriptors are to be there in the next program. */
void estate_pass_on(const struct estate *e);
/* The further descriptors, where they have other numbers than they had. */
void estate_set_doors(struct estate *e, const int door[ESTATE_DOORS]);
/* In each life: wait for the end of the former one, then look at what is there. -ENOMEM, -errno. */
int estate_enter(struct estate *e);

/* The service manager would hand it to the next supervisor (fd_store.h). */
void estate_kept(struct estate *e);
bool estate_is_kept(const struct estate *e);
/* What is served where. */
void estate_place(struct estate *e, const struct config *config, const char *mountpoint);
/* Is it the mount that these settings ask for? */
bool estate_is_of(const struct estate *e, const struct config *config);
const char *estate_mountpoint(const struct estate *e);

/* Is there a mount for a successor to go on with? From estate_mounted() on. */
bool estate_is_mounted(const struct estate *e);
void estate_mounted(struct estate *e, uint64_t tenancy);
uint64_t estate_tenancy(const struct estate *e);
/* The kernel's first request: room of ESTATE_GREETING_MAX bytes, and its length. */
unsigned char *estate_greeting(struct estate *e, size_t **len);
/* Lives that came to serve: counted up by each. */
void estate_served(struct estate *e);
uint64_t estate_lives(const struct estate *e);

/* -- open files: numbers of the kernel (fh), never 0 ------------------------------- */

/* A number for the next open file, not in use yet; 0: there are too many. */
uint64_t estate_file_new(struct estate *e);
/* From here on it is of this file. */
void estate_file_set(struct estate *e, uint64_t fh, daxfs_ino ino);
/* What it is of: 0 if it is not, or not any more, in use. */
daxfs_ino estate_file(const struct estate *e, uint64_t fh);
/* The kernel will be told to read it by its cache. Was it? */
void estate_file_cached(struct estate *e, uint64_t fh);
bool estate_file_is_cached(const struct estate *e, uint64_t fh);
/* Those that are: their files. Before there are requests. */
void estate_each_cached(const struct estate *e, void (*each)(void *context, daxfs_ino ino), void *context);
/* That thread made it, and may not have taken the answer yet (kernel_made.h); 0: it has. The number may be over. */
void estate_file_made_by(struct estate *e, uint64_t fh, uint32_t thread);
/* Those that are. Before there are requests. */
void estate_each_made(const struct estate *e, void (*each)(void *context, uint64_t fh, daxfs_ino ino, uint32_t thread),
		      void *context);
void estate_file_free(struct estate *e, uint64_t fh);

/* -- requests --------------------------------------------------------------------- */

/*
 * In the place of the process that died, whose stores are over (estate_enter): the host's slot, its open files and its
 * locks as they are; and of the requests that were in progress what became of each. -errno: it cannot be gone on with.
 */
int estate_take_over(struct estate *e, struct daxfs *fs, unsigned host, struct daxfs_error *err);
/* A request comes: its place; it may be one that a former life began. NULL: there is none. */
struct estate_request *estate_begin(struct estate *e, uint64_t unique, bool again);
void estate_end(struct estate *e, struct estate_request *r);
/* Are any in progress that a former life began? */
bool estate_does_again(const struct estate *e);
/* Requests that nobody came for in a while were answered after all. */
void estate_expire(struct estate *e);

#endif
