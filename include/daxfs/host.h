/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host.h - this process as a host of the pool: join, beat, recover, leave.
 *
 * A host that stops beating is declared dead by fabricd, fenced, and recovered by another one.
 * Included by daxfs.h, at whose head stands what holds for all calls.
 */
#ifndef DAXFS_HOST_H
#define DAXFS_HOST_H

#include "daxfs/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Whose process has a slot: it is written there with the name, so that others can tell what is over.
 * A machine or boot of zeros is not known.
 */
struct daxfs_identity {
	uint8_t machine[16]; /* a hash of the machine's id */
	uint8_t boot[16];    /* the kernel's boot_id */
	uint32_t pid;
	uint32_t began; /* when that process began, in clock ticks after boot; 0: not known */
	uint32_t pids;  /* inode number of its pid namespace; 0: not known */
};

/* What another identity is to one's own. */
enum daxfs_kin {
	DAXFS_KIN_NONE,     /* of another machine, or not known */
	DAXFS_KIN_HERE,     /* of this boot of this machine; it runs, or nobody can tell that it does not */
	DAXFS_KIN_ENDED,    /* of this boot; the process has ended, and with it all that it could store */
	DAXFS_KIN_REBOOTED, /* of another boot of this machine: over, if no clone of it has the same id */
	DAXFS_KINS
};

/*
 * daxfs_identity_here - the identity of this process
 *
 * Reads the machine's id and the boot's from the files named; NULL or "": /etc/machine-id and the kernel's
 * boot_id. Hosts that share a machine, as containers do, need machine ids of their own to be fenced apart.
 *
 * Errors:
 * -EINVAL   a file holds no such id
 * -ENOENT, -EACCES and others of open(2)
 */
DAXFS_API int daxfs_identity_here(const char *machine_file, const char *boot_file, struct daxfs_identity *out,
				  struct daxfs_error *err);

/*
 * daxfs_identity_kin - what another identity is to one's own
 *
 * Asks the kernel about a process of this boot.
 */
DAXFS_API enum daxfs_kin daxfs_identity_kin(const struct daxfs_identity *mine, const struct daxfs_identity *other);

/*
 * daxfs_join_as - become a host of the pool, with an identity
 *
 * Takes the slot `host` and makes it ALIVE. From here on the caller must beat (daxfs_beat) at the
 * pool's interval, or it is declared dead. name is told to fence agents and shown in status: up to 31
 * bytes, NULL for none, and no living host's.
 *
 * Slots whose tenants were this machine's, and are over, it makes FENCED first: those whose process has
 * ended (DAXFS_KIN_ENDED) and those of another boot (DAXFS_KIN_REBOOTED), when they have not beaten for
 * 10 heartbeats between two calls of this. Nobody need cut them off, and they can be recovered.
 * identity NULL: not known.
 *
 * Errors:
 * -EBUSY    the slot has a living tenant, or a dead one that is not recovered yet; or a former tenant
 *           left something in it, and it is now FENCED, for recovery; or it is being watched whether a
 *           former boot's slot stands still: err says which, and to try again helps
 * -EALREADY this fs has joined
 * -EEXIST   another host that lives has this name; or this machine's id, so it is a clone
 * -ENAMETOOLONG the name is longer
 * -EROFS    opened read-only
 * -EINVAL   no such slot
 * -ESTALE   declared dead while joining
 * -EIO      the slot makes no sense
 * Crash: a host that dies here leaves its slot JOINING until fabricd declares it dead. From the
 * moment it is JOINING its name and identity are known.
 */
DAXFS_API int daxfs_join_as(struct daxfs *fs, unsigned host, const char *name, const struct daxfs_identity *identity,
			    struct daxfs_error *err);

/*
 * daxfs_join - become a host of the pool
 *
 * daxfs_join_as without an identity: only a fence agent, or the operator, can prove such a host dead.
 */
DAXFS_API int daxfs_join(struct daxfs *fs, unsigned host, const char *name, struct daxfs_error *err);

/*
 * daxfs_leave - leave the pool in order
 *
 * Closes all open files, which ends their locks, and frees the slot: nothing is left to recover. No
 * other call may be under way.
 *
 * Errors:
 * -EBUSY    views or drafts are open; nothing happened
 * -ESTALE   declared dead meanwhile: recovery does it
 * -EIO      something could not be put in order: the host goes without its slot, which stays ALIVE
 *           until it is fenced and recovered
 * Crash: a host that dies here is recovered like any other.
 */
DAXFS_API int daxfs_leave(struct daxfs *fs);

/*
 * daxfs_beat - advance this host's heartbeat
 *
 * Counts the host's beat up by one and publishes its figures. One thread, every daxfs_heartbeat_ms; never
 * blocks.
 *
 * Errors:
 * -ESTALE   this host was declared dead: stop using the pool
 */
DAXFS_API int daxfs_beat(struct daxfs *fs);

/*
 * daxfs_heartbeat_ms - how often hosts beat
 *
 * It may change while they do (daxfs_member_heartbeat): to be asked after each beat, and slept by.
 */
DAXFS_API unsigned daxfs_heartbeat_ms(const struct daxfs *fs);

/*
 * daxfs_stores_checked - does each store of this host ask whether the host lives
 *
 * True where a process that was stopped, and goes on after its host was declared dead, stores nothing in the pool any
 * more: on x86-64, where the kernel and the C library have restartable sequences (rseq(2), glibc 2.35). False
 * elsewhere, where each of its threads ends what it was in the middle of, and before daxfs_join.
 */
DAXFS_API bool daxfs_stores_checked(const struct daxfs *fs);

/*
 * daxfs_progressing - are all calls of this host moving on
 *
 * False if some call has stood still for the last `calls` calls of this function: its worker is stuck.
 * A long call (a large file is deleted, or recovered from a dead host) goes on by batches, each of
 * which counts, so it may take as long as it takes. One thread.
 */
DAXFS_API bool daxfs_progressing(struct daxfs *fs, unsigned calls);

struct daxfs_recovery {
	unsigned host;        /* that died */
	uint32_t generation;  /* before the bump */
	uint64_t finished;    /* records rolled forward or finalized as committed */
	uint64_t rolled_back; /* records undone */
	uint64_t objects;     /* pages, inodes, entries finalized */
	uint64_t opens;       /* open files released */
	uint64_t files;       /* truncations and unlinks finished */
	uint64_t ns;          /* duration */
	uint64_t passed;      /* files it could not finish and lanes it could not tell: see daxfs_repair_list */
};

/*
 * daxfs_recover_assigned - recover the hosts that were assigned to this one
 *
 * Recovers each slot that is RECOVERING by this host. Returns how many were recovered; at most max
 * reports are filled, oldest first. One thread, on each heartbeat.
 *
 * Crash: every step may be done again, so another host, named by fabricd, begins anew.
 */
DAXFS_API int daxfs_recover_assigned(struct daxfs *fs, struct daxfs_recovery *reports, unsigned max);

/*
 * daxfs_recover - recover one fenced host
 *
 * Claims a FENCED slot for this host and recovers it; no fabricd is needed. Finishes or undoes what
 * that host had under way, closes its open files, ends its locks, frees the slot.
 *
 * Errors:
 * -EBUSY    not FENCED, or somebody else recovers it
 * -EINVAL   no such host
 * -EIO      the slot makes no sense
 * Crash: as daxfs_recover_assigned.
 */
DAXFS_API int daxfs_recover(struct daxfs *fs, unsigned host, struct daxfs_recovery *report);

/*
 * daxfs_revive - join in the slot of a dead host, and recover by oneself what it left
 *
 * daxfs_join_as, but the slot may also be FENCED, or RECOVERING by a host that is over. For when nobody else is
 * there to recover it, above all when all hosts have died: no other slot is needed, and nobody is waited for. Once the
 * slot is this host's, alive(context) is called, if not NULL: from there on it must beat, for what follows may take
 * long (large files are cut, or what the dead granted to their kernels must run out). Then it finishes what the former
 * tenant had under way and closes its open files; report tells of it, and has zeros if there was nothing to do. Nothing
 * else may use fs meanwhile, but daxfs_beat.
 *
 * Errors: as daxfs_join_as. And after alive() was called, when the host has joined:
 * -ESTALE   declared dead meanwhile
 * -EIO      memory of all its lanes, or of the list of what failed, cannot be reached: stop beating and leave
 * Crash: the host is fenced and recovered as any other, or comes back again: every step may be done again.
 */
DAXFS_API int daxfs_revive(struct daxfs *fs, unsigned host, const char *name, const struct daxfs_identity *identity,
			   void (*alive)(void *context), void *context, struct daxfs_recovery *report,
			   struct daxfs_error *err);

#ifdef __cplusplus
}
#endif
#endif
