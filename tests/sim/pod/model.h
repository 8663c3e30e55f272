/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.h - what a filesystem is, sequentially.
 *
 * Knows nothing of words, pages or records. The oracle feeds it one operation at
 * the moment that its record is seen to commit; what it then says must be what
 * the hosts are told. The log of what was fed lets one operation be taken back
 * (a commit lost with a cache that nobody else had looked into) by feeding the
 * others anew.
 *
 * An operation that changes nothing (it reads, or fails) is judged by what was
 * permitted at some moment while it ran: model_ask gives the errors that apply
 * now, all of them, because their precedence is nobody's business.
 */
#ifndef SIM_POD_MODEL_H
#define SIM_POD_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define MODEL_NAMES 10u
#define MODEL_IO_MAX (320u << 10)
#define LOCK_CELLS 4u /* that a file has for locks */
#define MODEL_BLOCK 4096u
#define MODEL_BLOCKS (MODEL_IO_MAX / MODEL_BLOCK + 1)

enum op_kind {
	DO_MKNOD,
	DO_MKDIR,
	DO_SYMLINK,
	DO_LINK,
	DO_UNLINK,
	DO_RMDIR,
	DO_RENAME,
	DO_SETATTR,
	DO_WRITE,
	DO_DRAFT,
	DO_HOLD,
	DO_RELEASE, /* change something up to here */
	DO_LOOKUP,
	DO_GETATTR,
	DO_READ,
	DO_VIEW,
	DO_READDIR,
	DO_READLINK,
	DO_FSYNC,
	DO_LOCK,
	DO_KINDS
};

struct op {
	enum op_kind kind;
	uint64_t parent[2], ino; /* handles */
	unsigned name[2];
	unsigned flags; /* of rename or write; mknod: 1 held open; enum daxfs_lock_kind */
	unsigned set;   /* enum daxfs_set, enum daxfs_lock_type; mknod: file set - 1 of storage; write: O_SYNC */
	uint32_t mode, uid, gid;
	uint64_t offset, len, tag; /* lock: of the cells offset to len, uid is the owner */
	unsigned host;             /* slot of whoever does it */
};

/* How a commit differs from the plain meaning of the operation. */
struct commit {
	uint64_t handle; /* of the inode made */
	bool sizes;      /* a write: the record has the size word */
	bool drop;       /* hold: release instead */
	unsigned host;   /* hold: of this host */
};

struct answer {
	unsigned errors; /* set of model_error_bit: any of these may be the result */
	bool nothing;    /* success without any change */
	uint64_t digest; /* of what is read */
	unsigned n_blocks;
	uint64_t *block; /* read: of each block; until the next question */
};

extern const char *const model_name[MODEL_NAMES];
const char *op_kind_name(enum op_kind kind);
void op_text(const struct op *op, char *buf, unsigned size);

void model_reset(void);
/* Bit for -errno as the library returns it, 0: none that a model knows. */
unsigned model_error_bit(int rc);
struct answer model_ask(const struct op *op);
/* Changes with everything that model_ask(op) may depend on, for reads of one inode; 0 otherwise. */
uint64_t model_version(const struct op *op);

/*
 * Feed a commit. NULL, or why it cannot be. vanished: what it is about went
 * away, or was cut, while it ran, so it may be in time only just.
 */
const char *model_commit(const struct op *op, const struct commit *c, bool vanished, unsigned *log_index);
/* Take back entry log_index. NULL, or why the others do not work without it. */
const char *model_take_back(unsigned log_index);

/* -- looking ------------------------------------------------------------------- */

bool model_known(uint64_t handle); /* was it ever made? */
bool model_exists(uint64_t handle);
bool model_is_dir(uint64_t handle);
bool model_is_empty(uint64_t handle); /* of names */
bool model_is_link(uint64_t handle);
bool model_held(uint64_t handle, unsigned host);
/* Hosts choose among the inodes that one of them was told of: a handle nobody was given may yet come to nothing. */
void model_tell(uint64_t handle);
bool model_told(uint64_t handle);
/* Handle that a name leads to, 0 none. */
uint64_t model_lookup(uint64_t dir, unsigned name);
/* The nth inode ever made (0 the root), by age; how many. */
unsigned model_count(void);
uint64_t model_handle(unsigned nth);
/* Handle now in use of an inode index, 0: none. */
uint64_t model_by_index(uint64_t index);
uint64_t model_parent(uint64_t dir);

uint64_t model_size(uint64_t handle); /* of a file, 0: of what is none */

struct model_attr {
	uint64_t ino, size;
	uint32_t mode, uid, gid, nlink;
};
bool model_attr(uint64_t handle, struct model_attr *out);
uint64_t attr_digest(const struct model_attr *attr);
/* Contents: up to len bytes from offset; returns how many. */
uint64_t model_read(uint64_t handle, uint64_t offset, uint64_t len, uint8_t *out);
uint64_t bytes_digest(const uint8_t *bytes, uint64_t len);
/* The same of what was read at offset, block by block; returns how many blocks. */
uint64_t blocks_combine(const uint64_t *block, unsigned n, uint64_t len);
unsigned blocks_digest(const uint8_t *bytes, uint64_t offset, uint64_t len, uint64_t *block, uint64_t *digest);
/* What a write puts at its nth byte, and the target of a link. */
void model_fill(uint8_t *out, uint64_t tag, uint64_t at, uint64_t len);
void model_target(uint64_t tag, char out[64]);
/* The tag of a page of a file of storage, as it began; each third one is zeros. */
uint64_t model_stored_tag(unsigned file, uint64_t page);
#define MODEL_STORED_HOLE(page) ((page) % 3 == 2)

struct model_use {
	uint64_t inodes, entries, pages; /* existing; pages with data, but for files of storage */
};
void model_usage(struct model_use *out);

#endif
