/* SPDX-License-Identifier: Apache-2.0 */
/* work.c - see pod/work.h. */
#include "pod/work.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "machine/arena.h"
#include "daxfs/format.h"
#include "pod/locks.h"
#include "pod/store.h"
#include "pod/view.h"

#define PAGE 4096u
#define SMALL_PAGES 20u
#define GROUP (DAXFS_EXTENT_PAGES * PAGE)
#define GROUPS 4u /* of a file, the first of which is none */
#define HELD_MAX 4u
#define TARNISHED_RUN 8u /* of the same odd byte: hardly by chance */

static uint8_t buffers[MACHINES_MAX][WORKERS_MAX][MODEL_IO_MAX];

/* -- doing ---------------------------------------------------------------------------- */

static bool list_name(void *context, const char *name, daxfs_ino ino, unsigned dt_type, uint64_t next)
{
	struct listing *l = context;
	unsigned i = 0;

	(void)dt_type, (void)next;
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return true;
	while (i < MODEL_NAMES && strcmp(name, model_name[i]))
		i++;
	l->n++;
	if (i == MODEL_NAMES) {
		l->unknown++;
		return true;
	}
	l->twice += l->handle[i] != 0;
	l->handle[i] = ino;
	return true;
}

static uint64_t digest_attr(const struct daxfs_attr *attr)
{
	struct model_attr a = {
		.ino = attr->ino,
		.size = attr->size,
		.mode = attr->mode,
		.uid = attr->uid,
		.gid = attr->gid,
		.nlink = attr->nlink,
	};

	return attr_digest(&a);
}

/* Are bytes of a poisoned line among these? At either end there may be few of it. */
static bool tarnished(const uint8_t *buf, size_t len)
{
	size_t run = 0;

	if (pod.poisoned && len && (buf[0] == POISON_BYTE || buf[len - 1] == POISON_BYTE))
		return true;
	for (size_t i = 0; pod.poisoned && i < len && run < TARNISHED_RUN; i++)
		run = buf[i] == POISON_BYTE ? run + 1 : 0;
	return run == TARNISHED_RUN;
}

static long make(struct daxfs *fs, const struct op *op, struct daxfs_attr *attr)
{
	struct daxfs_cred cred = { op->uid, op->gid };
	const char *name = model_name[op->name[0]];
	char target[64];

	if (op->kind == DO_MKNOD)
		return daxfs_mknod(fs, op->parent[0], name, S_IFREG | op->mode, 0, cred, op->flags, attr);
	if (op->kind == DO_MKDIR)
		return daxfs_mkdir(fs, op->parent[0], name, op->mode, cred, attr);
	model_target(op->tag, target);
	return daxfs_symlink(fs, op->parent[0], name, target, cred, attr);
}

static long lock(struct daxfs *fs, const struct op *op)
{
	const struct daxfs_lock want = {
		.start = op->offset * 10,
		.end = op->len == LOCK_CELLS - 1 ? DAXFS_LOCK_END : op->len * 10 + 9,
		.owner = op->uid,
		.pid = op->uid,
		.type = (enum daxfs_lock_type)op->set,
		.kind = (enum daxfs_lock_kind)op->flags,
	};

	return daxfs_lock(fs, op->ino, &want);
}

static long change(struct daxfs *fs, const struct op *op, uint8_t *buf)
{
	struct daxfs_attr in = { .mode = op->mode, .uid = op->uid, .gid = op->gid, .size = op->len };
	const char *name = model_name[op->name[0]];

	switch (op->kind) {
	case DO_LINK: return daxfs_link(fs, op->ino, op->parent[0], name, NULL);
	case DO_UNLINK: return daxfs_unlink(fs, op->parent[0], name);
	case DO_RMDIR: return daxfs_rmdir(fs, op->parent[0], name);
	case DO_RENAME: return daxfs_rename(fs, op->parent[0], name, op->parent[1], model_name[op->name[1]], op->flags);
	case DO_SETATTR: return daxfs_setattr(fs, op->ino, op->set, &in, NULL);
	case DO_WRITE:
		model_fill(buf, op->tag, 0, op->len);
		return daxfs_write(fs, op->ino, buf, op->len, op->offset, op->flags);
	case DO_LOCK: return lock(fs, op);
	case DO_HOLD: return daxfs_file_open(fs, op->ino);
	case DO_RELEASE: return daxfs_file_close(fs, op->ino);
	default: return daxfs_fsync(fs, op->ino);
	}
}

void work_perform(struct daxfs *fs, const struct op *op, uint8_t *buf, struct outcome *out)
{
	struct daxfs_attr attr = { .ino = 0 };

	*out = (struct outcome){ .rc = 0 };
	switch (op->kind) {
	case DO_MKNOD:
	case DO_MKDIR:
	case DO_SYMLINK:
		out->rc = make(fs, op, &attr);
		out->handle = attr.ino;
		break;
	case DO_LOOKUP:
	case DO_GETATTR:
		out->rc = op->kind == DO_LOOKUP ? daxfs_lookup(fs, op->parent[0], model_name[op->name[0]], &attr)
						: daxfs_getattr(fs, op->ino, &attr);
		out->digest = out->rc ? 0 : digest_attr(&attr);
		out->handle = out->rc ? 0 : attr.ino;
		snprintf(out->text, sizeof(out->text), "%llx mode %o %u:%u n%u size %llu", (unsigned long long)attr.ino,
			 attr.mode, attr.uid, attr.gid, attr.nlink, (unsigned long long)attr.size);
		break;
	case DO_READ:
		out->rc = daxfs_read(fs, op->ino, buf, op->len, op->offset);
		if (out->rc >= 0)
			blocks_digest(buf, op->offset, (uint64_t)out->rc, out->block, &out->digest);
		out->tarnished = out->rc > 0 && tarnished(buf, (size_t)out->rc);
		break;
	case DO_READLINK:
		out->rc = daxfs_readlink(fs, op->ino, (char *)buf, PAGE);
		out->digest = out->rc ? 0 : bytes_digest(buf, strlen((char *)buf));
		out->tarnished = out->rc == 0 && tarnished(buf, strlen((char *)buf));
		break;
	case DO_READDIR: out->rc = daxfs_readdir(fs, op->parent[0], 0, list_name, &out->listing); break;
	default: out->rc = change(fs, op, buf);
	}
}

/* -- choosing ----------------------------------------------------------------------------- */

static uint64_t any_inode(struct rng *r, bool dir, bool alive)
{
	unsigned n = model_count(), start = (unsigned)rng_below(r, n);

	for (unsigned i = 0; i < n; i++) {
		uint64_t handle = model_handle((start + i) % n);

		if (model_is_dir(handle) == dir && (!alive || model_exists(handle)) && model_told(handle))
			return handle;
	}
	return DAXFS_ROOT;
}

static uint64_t choose_any_dir(struct rng *r)
{
	uint64_t hot = model_lookup(DAXFS_ROOT, (unsigned)rng_below(r, 2));

	if (pod.hot && hot && model_is_dir(hot) && model_told(hot) && rng_chance(r, 2))
		return hot;
	if (rng_chance(r, 25))
		return any_inode(r, rng_chance(r, 2), false);
	return rng_chance(r, 2) ? DAXFS_ROOT : any_inode(r, true, true);
}

/* Names of storage are nobody's to change. */
static uint64_t choose_dir(struct rng *r)
{
	uint64_t dir = choose_any_dir(r);

	return pod.stored && (dir == store.tree || store_file(dir) >= 0) ? DAXFS_ROOT : dir;
}

/* A file, mostly one that is. */
static uint64_t choose_file(struct rng *r)
{
	uint64_t hot = model_lookup(DAXFS_ROOT, (unsigned)rng_below(r, 2));

	if (pod.hot && hot && model_told(hot) && !rng_chance(r, 4))
		return hot;
	if (pod.stored && !rng_chance(r, 5))
		return store.file[rng_below(r, STORE_FILES)];
	return any_inode(r, !pod.stored && rng_chance(r, 30), !rng_chance(r, 20));
}

/* A name, mostly one that is (or is not) there. */
static unsigned choose_name(struct rng *r, uint64_t dir, bool there)
{
	unsigned name = (unsigned)rng_below(r, pod.names);

	for (unsigned i = 0; i < pod.names && !rng_chance(r, 8); i++) {
		if ((model_lookup(dir, name) != 0) == there)
			break;
		name = (name + 1) % pod.names;
	}
	return name;
}

/* Whole groups, one or several; or a piece that begins and ends anywhere in them. */
static void choose_group(struct rng *r, struct op *op)
{
	op->offset = GROUP + rng_below(r, GROUPS - 1) * GROUP;
	op->len = rng_chance(r, 3) ? 2 * GROUP : GROUP;
	if (!rng_chance(r, 3))
		return;
	op->offset += rng_below(r, GROUP);
	op->len = 1 + rng_below(r, rng_chance(r, 2) ? GROUP : 2 * PAGE);
	if (!rng_chance(r, 3))
		return;
	op->offset -= op->offset % PAGE;
	op->len += PAGE - 1 - (op->len - 1) % PAGE;
}

static void choose_range(struct rng *r, struct op *op)
{
	uint64_t pages = rng_chance(r, 40) ? 70 : pod.roles || rng_chance(r, 4) ? SMALL_PAGES : 3;

	if (pod.groups && !rng_chance(r, 8)) {
		choose_group(r, op);
		return;
	}
	op->offset = rng_below(r, pages) * PAGE;
	op->len = (1 + rng_below(r, pages / 2 + 1)) * PAGE;
	if (pod.sparse && !rng_chance(r, 3))
		op->offset = op->offset % (3 * PAGE) + DAXFS_DIRECT * PAGE;
	if (rng_chance(r, 2)) {
		op->offset += rng_below(r, PAGE);
		op->len -= rng_below(r, PAGE);
	}
	if (op->len > 256u << 10)
		op->len = 256u << 10;
}

static void choose_place(struct rng *r, struct op *op)
{
	choose_range(r, op);
	if (op->kind == DO_WRITE)
		op->flags = rng_chance(r, pod.groups ? 8 : 3) ? DAXFS_APPEND : 0;
	if (op->kind == DO_READ && !pod.groups && rng_chance(r, 2)) {
		op->offset = 0;
		op->len = 96u << 10;
	}
	if (op->kind == DO_VIEW)
		view_choose(r, op);
	if (op->kind == DO_DRAFT) {
		op->offset -= op->offset % PAGE;
		op->len += PAGE - 1 - (op->len - 1) % PAGE;
	}
}

/* Of a file that this worker holds; its own, and nobody else's. */
static void choose_lock(struct rng *r, struct op *op, unsigned owner)
{
	op->uid = owner;
	op->set = (unsigned)rng_below(r, 3);
	op->flags = rng_chance(r, 4) ? DAXFS_LOCK_FLOCK : DAXFS_LOCK_POSIX;
	op->offset = op->flags ? 0 : rng_below(r, LOCK_CELLS);
	op->len = op->flags ? LOCK_CELLS - 1 : op->offset + rng_below(r, LOCK_CELLS - op->offset);
}

static void choose_attr(struct rng *r, struct op *op)
{
	op->set = 1 + (unsigned)rng_below(r, 15);
	if (rng_chance(r, 2))
		op->set = DAXFS_SET_SIZE;
	choose_range(r, op);
	op->len = op->offset + (rng_chance(r, 4) ? 0 : op->len);
	if (pod.groups && rng_chance(r, 2))
		op->len = rng_below(r, (GROUPS + 1) * GROUP); /* into one */
	if (rng_chance(r, 3))
		op->len = 0;
	op->offset = 0;
}

/* A directory that can go. */
static void choose_empty(struct rng *r, struct op *op)
{
	unsigned n = model_count(), start = (unsigned)rng_below(r, n), name = 0;
	uint64_t handle = 0;

	for (unsigned i = 0; i < n && !handle; i++) {
		handle = model_handle((start + i) % n);
		if (!model_is_dir(handle) || !model_exists(handle) || !model_is_empty(handle) || handle == DAXFS_ROOT)
			handle = 0;
	}
	while (handle && name < MODEL_NAMES && model_lookup(model_parent(handle), name) != handle)
		name++;
	if (!handle || name == MODEL_NAMES)
		return;
	op->parent[0] = model_parent(handle);
	op->name[0] = name;
}

static void choose_names(struct rng *r, struct op *op)
{
	bool makes = op->kind <= DO_LINK;

	op->parent[0] = choose_dir(r);
	op->name[0] = choose_name(r, op->parent[0], !makes);
	if (op->kind == DO_RMDIR && !rng_chance(r, 4))
		choose_empty(r, op);
	if (op->kind != DO_RENAME)
		return;
	op->flags = rng_chance(r, 4) ? DAXFS_RENAME_EXCHANGE : rng_chance(r, 6) ? DAXFS_RENAME_NOREPLACE : 0;
	op->parent[1] = rng_chance(r, 2) ? op->parent[0] : choose_dir(r);
	op->name[1] = choose_name(r, op->parent[1], op->flags == DAXFS_RENAME_EXCHANGE || rng_chance(r, 2));
}

static enum op_kind choose_kind(struct rng *r)
{
	uint64_t sum = 0, at;
	unsigned kind = 0;

	for (unsigned i = 0; i < DO_KINDS; i++)
		sum += pod.weight[i];
	for (at = rng_below(r, sum); at >= pod.weight[kind]; kind++)
		at -= pod.weight[kind];
	return (enum op_kind)kind;
}

static void choose(struct rng *r, struct actor *a, struct op *op)
{
	struct machine *m = &pod.machine[a->machine];
	unsigned *n_held = &m->n_held[a->nth];

	*op = (struct op){ .kind = choose_kind(r), .host = m->slot, .mode = (unsigned)rng_below(r, 01000) };
	if (pod.roles && a->machine == 0 && op->kind == DO_WRITE)
		op->kind = DO_VIEW;
	else if (pod.roles && a->machine && op->kind == DO_VIEW)
		op->kind = DO_WRITE;
	if (op->kind == DO_LOCK && !*n_held)
		op->kind = DO_HOLD;
	if (op->kind == DO_RELEASE && !*n_held)
		op->kind = DO_READDIR;
	if (op->kind == DO_HOLD && *n_held == HELD_MAX)
		op->kind = DO_RELEASE;
	op->uid = (unsigned)rng_below(r, 100);
	op->gid = (unsigned)rng_below(r, 100);
	op->tag = pod.ops_left + 1;
	if (op->kind <= DO_RENAME || op->kind == DO_LOOKUP || op->kind == DO_READDIR)
		choose_names(r, op);
	if (op->kind == DO_MKNOD)
		op->flags = *n_held < HELD_MAX && rng_chance(r, 5);
	if (op->kind == DO_LINK || !op->parent[0])
		op->ino = choose_file(r);
	for (unsigned i = 0; i < 4 && (op->kind == DO_READ || op->kind == DO_VIEW) && !model_size(op->ino); i++)
		op->ino = choose_file(r); /* rather one with something in it */
	if (op->kind == DO_READ && model_is_link(op->ino))
		op->kind = DO_READLINK; /* the bytes of a link are nobody's business */
	if (op->kind == DO_RELEASE || op->kind == DO_LOCK)
		op->ino = m->held[a->nth][rng_below(r, *n_held)];
	if (op->kind == DO_SETATTR)
		choose_attr(r, op);
	if (op->kind == DO_LOCK)
		choose_lock(r, op, a->nth + 1);
	if (op->kind == DO_WRITE || op->kind == DO_READ || op->kind == DO_DRAFT || op->kind == DO_VIEW)
		choose_place(r, op);
	if (store_file(op->ino) >= 0)
		store_choose(r, op);
}

/* -- one worker ---------------------------------------------------------------------------- */

/* Or is about to. */
static bool somebody_holds(unsigned machine, uint64_t handle)
{
	for (unsigned w = 0; w < pod.workers; w++) {
		const struct pending *p = actor_of(ACTOR_WORKER, machine, w)->pending;

		for (unsigned i = 0; i < pod.machine[machine].n_held[w]; i++)
			if (pod.machine[machine].held[w][i] == handle)
				return true;
		if (p && p->op.kind == DO_HOLD && p->op.ino == handle)
			return true;
	}
	return false;
}

static void keep_held(struct actor *a, const struct op *op, const struct outcome *out)
{
	struct machine *m = &pod.machine[a->machine];
	uint64_t *held = m->held[a->nth], handle = op->kind == DO_MKNOD ? out->handle : op->ino;
	unsigned *n = &m->n_held[a->nth], i = 0;

	if (out->rc == 0 && (op->kind == DO_HOLD || (op->kind == DO_MKNOD && op->flags)))
		held[(*n)++] = handle;
	if (op->kind != DO_RELEASE)
		return;
	while (i < *n && held[i] != handle)
		i++;
	if (i < *n)
		held[i] = held[--*n];
	/* A zombie's release is refused: recovery ends its locks. */
	if (out->rc == 0 && !somebody_holds(a->machine, handle))
		locks_released(m->slot, handle);
}

static void work(struct actor *a, const struct op *op, struct rng *r)
{
	struct outcome out = { .rc = 0 };

	if (op->kind == DO_VIEW) {
		view_work(a, op, r);
		return;
	}
	a->pending = oracle_begin(a, op);
	if (!a->pending)
		return;
	if (op->kind == DO_DRAFT)
		draft_perform(a, op, r, buffers[a->machine][a->nth], &out);
	else if (store_file(op->ino) >= 0)
		store_perform(a, op, buffers[a->machine][a->nth], &out);
	else
		work_perform(pod.machine[a->machine].fs, op, buffers[a->machine][a->nth], &out);
	oracle_end(a->pending, &out);
	a->pending = NULL;
	pod.tallies->ops++;
	keep_held(a, op, &out);
}

static void release_all(struct actor *a, struct rng *r)
{
	struct machine *m = &pod.machine[a->machine];

	while (m->n_held[a->nth]) {
		struct op op = { .kind = DO_RELEASE, .host = m->slot, .ino = m->held[a->nth][0] };

		work(a, &op, r);
	}
}

long worker_main(void *arg)
{
	struct actor *a = arg;
	struct machine *m = &pod.machine[a->machine];
	struct rng r = rng_stream(pod.seed, STREAM_WORK, m->lives * 64 + a->machine * 8 + a->nth);

	if (pod.stored && a->nth == STORE_FLUSHER) {
		store_flusher(a);
		return 0;
	}
	while (pod.ops_left && !pod.liveness && !m->leave) {
		struct op op;

		if (pod.stored && a->nth == STORE_FLUSHER - 1)
			store_serve(a);
		choose(&r, a, &op);
		pod.ops_left--;
		pod.worked_ns = pod.now_ns;
		work(a, &op, &r);
		actor_sleep(a, pod.now_ns + rng_below(&r, pod.think_ns));
	}
	if (!m->leave)
		release_all(a, &r);
	return 0;
}
