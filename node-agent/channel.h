/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel.h - what passes between libfuse and the kernel's connection.
 *
 * libfuse reads requests and writes answers through here, so that the agent can
 * offer the kernel more than the installed libfuse knows of (Debian 12's is older
 * than shared mappings of direct files), and see what libfuse does not tell.
 */
#ifndef AGENT_CHANNEL_H
#define AGENT_CHANNEL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node-agent/estate.h"

/* what a kernel can do, of what we ask for */
#define CHANNEL_MAPPINGS 1u /* shared mappings of direct files: 6.6 */
#define CHANNEL_RESENDS 2u  /* requests that were taken and not answered are sent again if asked for: 6.9 */
#define CHANNEL_EPOCHS 4u   /* all names can be made old at once: 6.16 */

struct fuse_session;
struct told_names;

struct channel {
	unsigned can; /* CHANNEL_*, once channel_greet() has returned */
	/* To be set by then: the kernel has its answer, and whoever ends this process from here on leaves a mount. */
	void (*served)(void *context);
	void *context;
	struct told_names *told; /* NULL, or what is noted of what the kernel forgets */

	/* private */
	int fd; /* the connection; workers may have clones of it */
	struct estate *estate;
	struct daxfs *fs;
	unsigned char *init; /* the kernel's first request */
	size_t init_len;
	atomic_uint readers;  /* that were given a descriptor */
	bool goes_on;         /* the kernel has had its answer in a former life */
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	enum { CHANNEL_NEW, CHANNEL_GREETED, CHANNEL_OPEN } phase;
};

/*
 * Read the kernel's first request from a connection that is mounted, or from what the former
 * life has left. 0 or -errno: -EPROTO is no such request.
 */
int channel_greet(struct channel *c, int fd, struct estate *estate, struct daxfs *fs);
/* Let a session, whose user data has c, read and write by way of it; the descriptor is the session's then. */
int channel_attach(const struct channel *c, struct fuse_session *se);
void channel_fini(struct channel *c);

/*
 * Tell the kernel to forget what it keeps: the attributes of an inode (-ENOENT: it does not know it), or all names.
 * Takes no lock that a request may hold. An error says that the mount is gone.
 */
int channel_forget_attributes(const struct channel *c, uint64_t ino);
int channel_forget_names(const struct channel *c);

/* Is the read that this thread is serving one of the kernel for its page cache, as mappings need it? */
bool channel_reads_for_cache(void);
/* The place in the estate of the request that this thread is serving; NULL: it changes nothing. */
struct estate_request *channel_request(void);
/* What this thread does from here on is (true) not what that request is about, and no receipt is kept. What was so? */
bool channel_aside(struct daxfs *fs, bool aside);

/*
 * By which descriptor this thread has read its request: the kernel takes the answer by no other. A thread
 * that answers for others says so first.
 */
int channel_door(void);
void channel_answer_by(int door);

/* where a request is served: its descriptor, its place in the estate */
struct channel_place {
	int door;
	struct estate_request *request;
};
/* Another thread will answer the request that this one serves; that thread goes on with it. */
void channel_leave(const struct channel *c, struct channel_place *out);
void channel_go_on(const struct channel *c, const struct channel_place *place);

#endif
