/* SPDX-License-Identifier: Apache-2.0 */
/* verbs.c - what scripts can do: each verb fills call->result. Their table is at the end. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "machine/arena.h"
#include "fs/local.h"
#include "script/script.h"

#define IO_MAX (320u << 10)

static void put(struct command_call *call, long rc)
{
	snprintf(call->result, sizeof(call->result), "%ld", rc);
}

static void put_attr(struct command_call *call, long rc, const struct daxfs_attr *attr)
{
	if (rc)
		put(call, rc);
	else
		snprintf(call->result, sizeof(call->result), "0 %o %u:%u n%u %" PRIu64, attr->mode, attr->uid,
			 attr->gid, attr->nlink, attr->size);
}

static struct daxfs *fs_of(const struct command_call *call)
{
	return world.fs[call->host];
}

static const struct daxfs_cred cred = { .uid = 10, .gid = 20 };

static void do_create(struct command_call *call)
{
	const struct command *c = call->command;
	bool hold = c->text[0] == 'h';

	put(call, daxfs_mknod(fs_of(call), c->parent[0], c->name[0], 0100644, 0, cred, hold, NULL));
}

static void do_mkdir(struct command_call *call)
{
	const struct command *c = call->command;

	put(call, daxfs_mkdir(fs_of(call), c->parent[0], c->name[0], 0755, cred, NULL));
}

static void do_symlink(struct command_call *call)
{
	const struct command *c = call->command;

	put(call, daxfs_symlink(fs_of(call), c->parent[0], c->name[0], c->word, cred, NULL));
}

static void do_link(struct command_call *call)
{
	const struct command *c = call->command;

	put(call, daxfs_link(fs_of(call), c->ino, c->parent[1], c->name[1], NULL));
}

static void do_unlink(struct command_call *call)
{
	put(call, daxfs_unlink(fs_of(call), call->command->parent[0], call->command->name[0]));
}

static void do_rmdir(struct command_call *call)
{
	put(call, daxfs_rmdir(fs_of(call), call->command->parent[0], call->command->name[0]));
}

static void rename_with(struct command_call *call, unsigned flags)
{
	const struct command *c = call->command;

	put(call, daxfs_rename(fs_of(call), c->parent[0], c->name[0], c->parent[1], c->name[1], flags));
}

static void do_rename(struct command_call *call)
{
	rename_with(call, 0);
}

static void do_noreplace(struct command_call *call)
{
	rename_with(call, DAXFS_RENAME_NOREPLACE);
}

static void do_exchange(struct command_call *call)
{
	rename_with(call, DAXFS_RENAME_EXCHANGE);
}

static void do_chattr(struct command_call *call)
{
	const uint64_t *n = call->command->n;
	struct daxfs_attr in = { .mode = (uint32_t)n[0], .uid = (uint32_t)n[1], .gid = (uint32_t)n[2], .size = n[3] };
	struct daxfs_attr out;
	unsigned set = DAXFS_SET_MODE | DAXFS_SET_UID | DAXFS_SET_GID | DAXFS_SET_SIZE;

	put(call, daxfs_setattr(fs_of(call), call->command->ino, set, &in, &out));
}

static void do_trunc(struct command_call *call)
{
	struct daxfs_attr in = { .size = call->command->n[0] }, out;

	put(call, daxfs_setattr(fs_of(call), call->command->ino, DAXFS_SET_SIZE, &in, &out));
}

static void do_utimes(struct command_call *call)
{
	struct daxfs_attr in = { .atime.tv_nsec = 5, .mtime.tv_nsec = 6 }, out;

	put(call, daxfs_setattr(fs_of(call), call->command->ino, DAXFS_SET_ATIME | DAXFS_SET_MTIME, &in, &out));
}

static void write_at(struct command_call *call, uint64_t offset, size_t len, uint64_t tag, unsigned flags)
{
	uint8_t *buf = malloc(len); /* the host's: other hosts run while this one is paused */

	if (!buf || len > IO_MAX)
		arena_die("a write of a script is too large");
	script_fill(buf, len, tag);
	put(call, daxfs_write(fs_of(call), call->command->ino, buf, len, offset, flags));
	free(buf);
}

static void do_write(struct command_call *call)
{
	const uint64_t *n = call->command->n;

	write_at(call, n[0], n[1], n[2], 0);
}

static void do_append(struct command_call *call)
{
	const uint64_t *n = call->command->n;

	write_at(call, 0, n[0], n[1], DAXFS_APPEND);
}

static void do_read(struct command_call *call)
{
	uint8_t *buf = malloc(IO_MAX);
	bool part = call->command->text[0] == 'p';
	ssize_t n;

	if (!buf)
		arena_die("out of memory");
	n = daxfs_read(fs_of(call), call->command->ino, buf, part ? call->command->n[1] : IO_MAX,
		       part ? call->command->n[0] : 0);
	if (n < 0)
		put(call, n);
	else
		snprintf(call->result, sizeof(call->result), "%zd %016" PRIx64, n, script_digest(buf, (size_t)n));
	free(buf);
}

/* One commit of whole pages that are filled where they are. */
static void do_draft(struct command_call *call)
{
	const uint64_t *n = call->command->n;
	void *pages[DAXFS_ATOMIC_WRITE_MAX / DAXFS_PAGE_SIZE];
	uint8_t *buf = malloc(IO_MAX);
	struct daxfs_draft *draft;
	int rc;

	if (!buf || n[1] > DAXFS_ATOMIC_WRITE_MAX)
		arena_die("a draft of a script is too large");
	script_fill(buf, n[1], n[2]);
	do {
		rc = daxfs_draft_begin(fs_of(call), call->command->ino, n[0], n[1], pages, &draft);
		for (size_t i = 0; rc == 0 && i < n[1] / DAXFS_PAGE_SIZE; i++) /* its user may go around the caches */
			sm_write_stream(pages[i], buf + i * DAXFS_PAGE_SIZE, DAXFS_PAGE_SIZE);
		seam_new_thread(); /* who commits it need not be who began it */
		rc = rc ? rc : daxfs_draft_commit(draft);
	} while (rc == -EAGAIN);
	put(call, rc);
	free(buf);
}

/* A draft that comes to nothing. */
static void do_undraft(struct command_call *call)
{
	void *page;
	struct daxfs_draft *draft;
	int rc = daxfs_draft_begin(fs_of(call), call->command->ino, 0, DAXFS_PAGE_SIZE, &page, &draft);

	if (rc == 0) {
		sm_write(page, "nothing", 8);
		seam_new_thread();
		daxfs_draft_abort(draft);
	}
	put(call, rc);
}

static void copy_viewed(uint8_t *to, const void *from, size_t n)
{
	if (memory_owns(from, n))
		sm_read(to, from, n);
	else
		memcpy(to, from, n); /* a hole */
}

/* What a view shows stays as it is, whatever others do. */
static void look_twice(struct command_call *call, struct daxfs_view *view, uint64_t offset)
{
	ssize_t rest = (ssize_t)(DAXFS_PAGE_SIZE - offset % DAXFS_PAGE_SIZE);
	uint8_t once[DAXFS_PAGE_SIZE], again[DAXFS_PAGE_SIZE];
	const void *at = NULL;
	ssize_t n = daxfs_view_read(view, call->command->ino, offset, &at);

	if (n == -ENODATA) /* what is cached at which moment is nothing that callers may rely on */
		n = daxfs_read(fs_of(call), call->command->ino, once, (size_t)rest, offset);
	if (n <= 0) {
		put(call, n);
		return;
	}
	n = n < rest ? n : rest; /* what else lies there depends on how pages were found */
	if (at)
		copy_viewed(once, at, (size_t)n);
	if (at)
		copy_viewed(again, at, (size_t)n);
	else
		memcpy(again, once, (size_t)n);
	snprintf(call->result, sizeof(call->result), "%zd %016" PRIx64 "%s", n, script_digest(once, (size_t)n),
		 memcmp(once, again, (size_t)n) ? " and it CHANGED" : "");
}

/* review: it has found the file before; renew: and was renewed since. */
static void do_view(struct command_call *call)
{
	const struct command *c = call->command;
	struct daxfs_view *view;
	int rc = daxfs_view_open(fs_of(call), &view);

	if (rc) {
		put(call, rc);
		return;
	}
	if (c->text[0] == 'r')
		look_twice(call, view, 0);
	if (!strncmp(c->text, "renew", 5))
		daxfs_view_renew(view);
	if (!strstr(call->result, "CHANGED"))
		look_twice(call, view, c->n[0]);
	daxfs_view_close(view);
}

static void do_stat(struct command_call *call)
{
	struct daxfs_attr attr;

	put_attr(call, daxfs_lookup(fs_of(call), call->command->parent[0], call->command->name[0], &attr), &attr);
}

static void do_getattr(struct command_call *call)
{
	struct daxfs_attr attr;

	put_attr(call, daxfs_getattr(fs_of(call), call->command->ino, &attr), &attr);
}

struct listing {
	unsigned n;
	uint32_t name[16]; /* digests, with the type: 20 bits */
};

static bool take_name(void *context, const char *name, daxfs_ino ino, unsigned dt_type, uint64_t next)
{
	struct listing *list = context;
	uint32_t digest = (uint32_t)(script_digest((const uint8_t *)name, strlen(name)) + dt_type) & 0xfffff;
	unsigned at = list->n++;

	(void)ino, (void)next;
	if (at >= sizeof(list->name) / sizeof(list->name[0]))
		arena_die("a script lists too many names");
	for (; at && list->name[at - 1] > digest; at--) /* order is by hash: any */
		list->name[at] = list->name[at - 1];
	list->name[at] = digest;
	return true;
}

static void do_ls(struct command_call *call)
{
	struct listing list = { 0 };
	int rc = daxfs_readdir(fs_of(call), call->command->ino, 0, take_name, &list);
	int used = snprintf(call->result, sizeof(call->result), "%d", rc);

	for (unsigned i = 0; i < list.n; i++) /* one that comes twice is like no name that there is */
		used += snprintf(call->result + used, sizeof(call->result) - (size_t)used, " %05x%s", list.name[i],
				 i && list.name[i] == list.name[i - 1] ? "-twice" : "");
}

static void do_readlink(struct command_call *call)
{
	char target[DAXFS_PAGE_SIZE];
	int rc = daxfs_readlink(fs_of(call), call->command->ino, target, sizeof(target));

	snprintf(call->result, sizeof(call->result), "%d %.60s", rc, rc ? "" : target);
}

static void do_hold(struct command_call *call)
{
	put(call, daxfs_file_open(fs_of(call), call->command->ino));
}

/* For its locks alone, as an agent the topmost directory of a backing. */
static void do_keep(struct command_call *call)
{
	put(call, daxfs_dir_keep(fs_of(call), call->command->ino));
}

static void do_release(struct command_call *call)
{
	put(call, daxfs_file_close(fs_of(call), call->command->ino));
}

/* One set of copies of pages (fs/local.h). */
static void do_local(struct command_call *call)
{
	put(call, local_open(fs_of(call), 1u << 16));
}

static void do_fsync(struct command_call *call)
{
	put(call, daxfs_fsync(fs_of(call), call->command->ino));
}

/* Each host is one owner. */
static struct daxfs_lock lock_of(const uint64_t *n)
{
	return (struct daxfs_lock){ .start = n[0], .end = n[1], .owner = 7, .type = (enum daxfs_lock_type)n[2] };
}

static void do_lock(struct command_call *call)
{
	struct daxfs_lock lock = lock_of(call->command->n);

	put(call, daxfs_lock(fs_of(call), call->command->ino, &lock));
}

static void do_flock(struct command_call *call)
{
	struct daxfs_lock lock = {
		.owner = 7,
		.type = (enum daxfs_lock_type)call->command->n[0],
		.kind = DAXFS_LOCK_FLOCK,
	};

	put(call, daxfs_lock(fs_of(call), call->command->ino, &lock));
}

static void do_locked(struct command_call *call)
{
	struct daxfs_lock lock = lock_of(call->command->n), found = { .type = DAXFS_UNLOCK };
	int rc = daxfs_lock_get(fs_of(call), call->command->ino, &lock, &found);

	snprintf(call->result, sizeof(call->result), "%d %u host %u %" PRIu64 "-%" PRIu64, rc, found.type, found.host,
		 found.start, found.end);
}

static void do_statfs(struct command_call *call)
{
	struct daxfs_statfs out;

	put(call, daxfs_statfs(fs_of(call), &out)); /* exact only at rest: not compared */
}

/* Append pages until so many are free. */
static void do_fill(struct command_call *call)
{
	const struct command *c = call->command;
	uint8_t page[DAXFS_PAGE_SIZE];
	struct daxfs_statfs use;
	ssize_t rc = 0;

	script_fill(page, sizeof(page), 77);
	while (rc >= 0 && daxfs_statfs(fs_of(call), &use) == 0 && use.pages.free + use.pages.retired > c->n[0])
		rc = daxfs_write(fs_of(call), c->ino, page, sizeof(page), 0, DAXFS_APPEND);
	put(call, rc < 0 ? rc : 0);
}

uint8_t script_evil[DAXFS_PAGE_SIZE];

static void do_evil(struct command_call *call)
{
	put(call, daxfs_write(fs_of(call), call->command->ino, script_evil, sizeof(script_evil), 0, 0));
}

static void do_reside(struct command_call *call)
{
	manage_reside();
	put(call, 0);
}

static void do_succeed(struct command_call *call)
{
	put(call, manage_succeed(fs_of(call)));
}

static void do_end(struct command_call *call)
{
	put(call, manage_end(fs_of(call)));
}

static void do_manage(struct command_call *call)
{
	put(call, manage());
}

static void do_preside(struct command_call *call)
{
	put(call, manage_preside());
}

static void do_watch(struct command_call *call)
{
	put(call, manage_watch());
}

static void do_appear(struct command_call *call)
{
	manage_appear();
	put(call, 0);
}

/* -- how not to do it: for the simulator's own tests ----------------------------- */

/* A rename in two steps. */
static void do_bad_rename(struct command_call *call)
{
	const struct command *c = call->command;
	struct daxfs_attr attr;
	int rc = daxfs_lookup(fs_of(call), c->parent[0], c->name[0], &attr);

	if (rc == 0)
		rc = daxfs_link(fs_of(call), attr.ino, c->parent[1], c->name[1], NULL);
	put(call, rc ? rc : daxfs_unlink(fs_of(call), c->parent[0], c->name[0]));
}

/* An append at the size that was. */
static void do_bad_append(struct command_call *call)
{
	const uint64_t *n = call->command->n;
	struct daxfs_attr attr = { .size = 0 };

	daxfs_getattr(fs_of(call), call->command->ino, &attr);
	write_at(call, attr.size, n[0], n[1], 0);
}

/* Waits until the first lane of host 0 is idle. */
static void do_bad_wait(struct command_call *call)
{
	while (sm_load(&world.pool.lanes[0].status) & 255)
		;
	put(call, 0);
}

/* Takes a page and forgets it, in a pool where nobody looks at records. */
static void do_bad_leak(struct command_call *call)
{
	(void)call;
	sm_store(&world.pool.state[DAXFS_T_PAGE][world.pool.objects[DAXFS_T_PAGE] - 1], (uint64_t)DAXFS_LIVE << 61);
	put(call, 0);
}

static unsigned state_of_record(void)
{
	return sm_load(&world.pool.lanes[0].status) & 255;
}

/*
 * Only if the record of host 0 is being prepared at a first look, and committed, but not
 * done, at a second one: an answer that is wrong (1), private memory that is spoilt
 * (2), a page lost (3).
 */
static void do_bad_luck(struct command_call *call)
{
	bool begun = state_of_record() == DAXFS_PREPARE, unlucky = state_of_record() == DAXFS_COMMITTED && begun;
	uint64_t what = unlucky ? call->command->n[0] : 0;

	if (what == 2)
		fs_of(call)->joined = false;
	if (what == 3)
		do_bad_leak(call);
	put(call, what == 1 ? -5 : 0);
}

/* A load that bypasses the seam. */
static void do_bad_load(struct command_call *call)
{
	uint8_t byte;

	memcpy(&byte, memory_base(), sizeof(byte));
	put(call, byte);
}

static void do_beat(struct command_call *call)
{
	put(call, daxfs_beat(fs_of(call)));
}

static void do_join(struct command_call *call)
{
	struct daxfs_error err;

	put(call, daxfs_join(fs_of(call), call->host, "again", &err));
}

static void do_leave(struct command_call *call)
{
	put(call, daxfs_leave(fs_of(call)));
}

static void do_note(struct command_call *call)
{
	uint64_t n = call->command->n[0];

	if (n >= NOTES)
		arena_die("a script notes a number that is too large");
	world.note[n] = call->command->ino;
	world.noted[n] = true;
	put(call, 0);
}

const struct verb script_verbs[] = {
	{ "create", "p", do_create },
	{ "hold-new", "p", do_create },
	{ "mkdir", "p", do_mkdir },
	{ "symlink", "pw", do_symlink },
	{ "link", "iP", do_link },
	{ "unlink", "p", do_unlink },
	{ "rmdir", "p", do_rmdir },
	{ "rename", "pP", do_rename },
	{ "noreplace", "pP", do_noreplace },
	{ "exchange", "pP", do_exchange },
	{ "chattr", "innnn", do_chattr },
	{ "trunc", "in", do_trunc },
	{ "utimes", "i", do_utimes },
	{ "write", "innn", do_write },
	{ "append", "inn", do_append },
	{ "allocate", "inn", do_allocate },
	{ "zero", "inn", do_zero },
	{ "punch", "inn", do_punch },
	{ "seek", "in", do_seek },
	{ "read", "i", do_read },
	{ "pread", "inn", do_read },
	{ "stat", "p", do_stat },
	{ "draft", "innn", do_draft },
	{ "undraft", "i", do_undraft },
	{ "view", "in", do_view },
	{ "review", "in", do_view },
	{ "renew", "in", do_view },
	{ "getattr", "i", do_getattr },
	{ "ls", "i", do_ls },
	{ "readlink", "i", do_readlink },
	{ "hold", "i", do_hold },
	{ "release", "i", do_release },
	{ "keep", "i", do_keep },
	{ "fsync", "i", do_fsync },
	{ "local", "", do_local },
	{ "statfs", "", do_statfs },
	{ "join", "", do_join },
	{ "leave", "", do_leave },
	{ "note", "in", do_note },
	{ "beat", "", do_beat },
	{ "serve", "", kernel_serve },
	{ "unserve", "", kernel_unserve },
	{ "ask", "i", kernel_ask },
	{ "poll", "", kernel_poll },
	{ "kstat", "p", kernel_stat },
	{ "believes", "p", kernel_believes },
	{ "kernels", "", kernel_compare },
	{ "attributes", "", kernel_compare_attributes },
	{ "look", "i", script_look },
	{ "lock", "innn", do_lock },
	{ "locked", "innn", do_locked },
	{ "flock", "in", do_flock },
	{ "setx", "innn", do_setx },
	{ "dropx", "in", do_dropx },
	{ "getx", "in", do_getx },
	{ "import", "pnn", script_import },
	{ "tree", "pn", script_tree },
	{ "forget", "iP", script_forget },
	{ "giveback", "iP", script_give_back },
	{ "discard", "iP", script_discard },
	{ "move", "ipP", script_move },
	{ "replace", "ipP", script_replace },
	{ "drop", "inn", script_drop },
	{ "restamp", "i", script_restamp },
	{ "writeback", "i", script_write_back },
	{ "spoil", "n", script_spoil },
	{ "power", "", script_power },
	{ "fetch", "inn", script_fetch },
	{ "lend", "", script_lend },
	{ "names", "i", script_names },
	{ "wish-names", "i", script_wish_names },
	{ "wish", "inn", script_wish },
	{ "fill", "in", do_fill },
	{ "evil", "i", do_evil },
	{ "manage", "", do_manage },
	{ "reside", "", do_reside },
	{ "end", "", do_end },
	{ "succeed", "", do_succeed },
	{ "appear", "", do_appear },
	{ "watch", "", do_watch },
	{ "tell", "n", do_tell },
	{ "preside", "", do_preside },
	{ "bad-rename", "pP", do_bad_rename },
	{ "bad-append", "inn", do_bad_append },
	{ "bad-wait", "", do_bad_wait },
	{ "bad-leak", "", do_bad_leak },
	{ "bad-load", "", do_bad_load },
	{ "bad-luck", "n", do_bad_luck },
};

const unsigned script_n_verbs = sizeof(script_verbs) / sizeof(script_verbs[0]);
