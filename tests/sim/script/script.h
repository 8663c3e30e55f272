/* SPDX-License-Identifier: Apache-2.0 */
/*
 * script.h - operations as text: "create d/f; write d/f 100 4096 7".
 *
 *   create P | hold-new P | mkdir P | symlink P TARGET | link P NEW | unlink P | rmdir P
 *   rename P NEW | noreplace P NEW | exchange P NEW
 *   chattr P MODE UID GID SIZE | trunc P SIZE | utimes P
 *   write P OFFSET LEN TAG | append P LEN TAG | read P | pread P OFFSET LEN | stat P | ls P | readlink P
 *   draft P OFFSET LEN TAG | undraft P | view P OFFSET | review P OFFSET | renew P OFFSET
 *   hold P | release P | fsync P | statfs | join | leave | beat
 *   lock P START END TYPE | locked P START END TYPE | flock P TYPE (0 gives up, 1 reads, 2 writes)
 *   serve | unserve | poll | ask P | kstat P | believes P | kernels | attributes (kernel.c)
 *   look P (look.c)
 *   import P SIZE FILE | tree P FILE | forget P P (its inode, and its name) | drop P OFFSET LEN
 *   fetch P PAGE N (ask others to read) | lend (do what others ask) | wish P PAGE N (what one leaves that died)
 *   names P (ask others to list) | wish-names P
 *   writeback P (of a FILE from 100 on, which may be written) | restamp P (it differs in storage by its ctime)
 *   spoil N (1: this host's reads of storage fail, 2: come short, 0: neither; writes fail with either)
 *   note P N | fill P PAGES-LEFT (for setups) | evil P (directed.c)
 *   appear (for setups) | manage (manage.c)
 *
 * Paths start at the root, or with $N at the handle noted under N. A command is
 * prepared once: every handle it needs is looked up then, so that running it is
 * one call of the library, and works on what the names meant at that time.
 */
#ifndef SIM_SCRIPT_H
#define SIM_SCRIPT_H

#include "machine/world.h"

#define SCRIPT_MAX 16u
#define RESULT_BYTES 112u

struct command {
	char text[96];
	unsigned verb;
	daxfs_ino parent[2], ino;
	char name[2][DAXFS_NAME_MAX + 2];
	char word[64];
	uint64_t n[4];
};

struct script {
	unsigned n;
	struct command command[SCRIPT_MAX];
};

/* Take apart; dies on nonsense, which is a mistake in a table. */
void script_parse(struct script *script, const char *text);
/* Resolve by a host; dies when something is not there. */
void script_prepare(struct script *script, unsigned host);

/* one command by one host, as the argument of a run */
struct command_call {
	const struct command *command;
	unsigned host;
	char result[RESULT_BYTES]; /* set by the run: "0", "-17", "0 f 644 ..." */
};
long script_call(void *arg);

/* What a verb takes: i a path that exists, p a path by parent and name, P a
 * second one, n a number, w a word. */
struct verb {
	const char *name, *takes;
	void (*run)(struct command_call *call);
};
extern const struct verb script_verbs[]; /* verbs.c */
extern const unsigned script_n_verbs;

/* stored.c */
void script_import(struct command_call *call);
void script_tree(struct command_call *call);
void script_forget(struct command_call *call);
void script_give_back(struct command_call *call);
void script_discard(struct command_call *call);
void script_move(struct command_call *call);
void script_replace(struct command_call *call);
void script_drop(struct command_call *call);
void script_restamp(struct command_call *call);
void script_write_back(struct command_call *call);
void script_spoil(struct command_call *call);
void script_power(struct command_call *call);
void script_fetch(struct command_call *call);
void script_lend(struct command_call *call);
void script_names(struct command_call *call);
void script_wish_names(struct command_call *call);
void script_wish(struct command_call *call);

/* Prepare and run each; dies on a result other than success. */
void script_setup(const char *text);

/* What `evil` writes: a page, filled by directed.c. */
extern uint8_t script_evil[DAXFS_PAGE_SIZE];

/* verbs_more.c */
void do_allocate(struct command_call *call);
void do_zero(struct command_call *call);
void do_punch(struct command_call *call);
void do_seek(struct command_call *call);
void do_setx(struct command_call *call);
void do_dropx(struct command_call *call);
void do_getx(struct command_call *call);
void do_tell(struct command_call *call);

/* kernel.c: verbs */
void kernel_serve(struct command_call *call);
void kernel_unserve(struct command_call *call);
void kernel_ask(struct command_call *call);
void kernel_poll(struct command_call *call);
void kernel_stat(struct command_call *call);
void kernel_believes(struct command_call *call);
void kernel_compare(struct command_call *call);
void kernel_compare_attributes(struct command_call *call);

/* look.c: a verb; and what is wrong with the times of a file, or NULL. */
void script_look(struct command_call *call);
const char *look_judge(struct daxfs *fs, const struct daxfs_attr *is);

/* manage.c: fabricd's calls; a host for it to find dead. */
int manage(void);
int manage_preside(void); /* -EIO: a deposed manager was not refused */
int manage_watch(void);   /* host 0: -EIO if it would be fenced by a name that is not its tenant's */
void manage_appear(void);
void manage_reside(void);
int manage_succeed(struct daxfs *fs);
int manage_end(struct daxfs *fs); /* -EIO: what is over was not ended */

/* Contents that write and append produce, and a digest of contents. */
void script_fill(uint8_t *buf, size_t len, uint64_t tag);
uint64_t script_digest(const uint8_t *buf, size_t len);

#endif
