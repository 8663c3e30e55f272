/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.h - what happened to a pool's hosts and managers, as the pool remembers it.
 *
 * A ring in the pool, written by fabricd and by the hosts, which all may die without an event being lost that
 * was recorded. For people and their tools: nothing is decided from it, and where it cannot be written
 * nobody waits. Numbers are given in the order of recording; one whose writer died in the
 * middle is missing.
 */
#ifndef DAXFS_EVENTS_H
#define DAXFS_EVENTS_H

#include "daxfs/member.h"

#ifdef __cplusplus
extern "C" {
#endif

enum daxfs_event_kind {
	DAXFS_EVENT_NONE = 0,
	DAXFS_EVENT_STATE, /* a host entered a state; value: its heartbeat counter, or how long a recovery took, ns */
	DAXFS_EVENT_FOUND, /* a new manager found a host in that state */
	DAXFS_EVENT_RECOVERER_DIED, /* `by` died while it recovered the host; value: how many did so far */
	DAXFS_EVENT_RESUMED,        /* another process goes on with a host's slot */
	DAXFS_EVENT_PRIMARY,        /* a fabricd became the primary; value: its epoch */
	DAXFS_EVENT_MEMORY,         /* memory of the pool failed; value: offset of 4 KiB */
	DAXFS_EVENT_MENDED,         /* a host mended a lane of its own, and went on; value: the lane */
	DAXFS_EVENT_DEGRADED,       /* the pod is degraded, as the primary sees it; text: why */
	DAXFS_EVENT_HEALTHY,        /* it is not any more */
	DAXFS_EVENT_HEARTBEAT,      /* the heartbeat was changed, by the host if there is one; value: to, ms */
	DAXFS_EVENT_KINDS
};

struct daxfs_event {
	uint64_t number;             /* 1.. */
	uint64_t wall_ns, mono_ns;   /* CLOCK_REALTIME and CLOCK_MONOTONIC of the writer; 0 to daxfs_event_add: now */
	enum daxfs_event_kind kind;  /* may be of a later version: not below DAXFS_EVENT_KINDS then */
	int host, by;                /* host ids, or -1 */
	enum daxfs_host_state state; /* of the host */
	enum daxfs_reason reason;    /* of the state */
	uint32_t ms;                 /* of the reason */
	uint32_t generation;         /* of the host */
	uint32_t epoch;              /* of the manager that wrote it; 0: a host did */
	uint32_t pid;                /* of the writer */
	uint8_t machine[16];         /* of the writer; zeros: not known */
	uint64_t value;              /* what it is depends on the kind */
	char name[32];               /* of the host */
	char text[64];               /* more, for people */
};

/*
 * daxfs_event_kind_name - a kind of event as a word
 *
 * "state" and the like; "?" for one that this version does not know.
 */
DAXFS_API const char *daxfs_event_kind_name(enum daxfs_event_kind kind);

/*
 * daxfs_event_text - an event as a line, without its number and its times
 *
 * "host 3 (alpha) generation 4 FENCED: heartbeat lost 512 ms" and the like, written to buf, of which 320 bytes
 * suffice. Returns buf.
 */
DAXFS_API const char *daxfs_event_text(const struct daxfs_event *e, char *buf, size_t size);

/*
 * daxfs_event_add - record an event
 *
 * The number is given here. What is too long in a text is cut. Never waits: for no lock, no other host.
 *
 * Errors:
 * -EROFS    the pool is mapped read-only
 * -EOPNOTSUPP the pool was made without events
 * -EIO      memory of the ring failed: not recorded
 * -EAGAIN   others are faster, again and again: not recorded
 * Crash: recorded, or one number is missing.
 */
DAXFS_API int daxfs_event_add(struct daxfs_member *m, const struct daxfs_event *e);

typedef bool (*daxfs_event_fill)(void *context, const struct daxfs_event *e);

/*
 * daxfs_event_list - what was recorded after an event
 *
 * Calls fill for each event that the ring still has with a number above `after`, in their order, until it returns
 * false. Events that are being written, or that their writer never finished, or in memory that
 * fails, are left out. Read-only mode suffices. Returns how many fill was called for.
 *
 * Errors:
 * -EOPNOTSUPP the pool was made without events
 * -ENOMEM   out of memory
 */
DAXFS_API int daxfs_event_list(const struct daxfs_member *m, uint64_t after, daxfs_event_fill fill, void *context);

#ifdef __cplusplus
}
#endif
#endif
