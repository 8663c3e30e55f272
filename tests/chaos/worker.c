/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.c - one thread of the load generator: chooses operations by its seed
 * and brackets each with the log. Owns nothing shared but load->stop and ->lost.
 */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint64_t draw(struct worker *w, uint64_t below)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return (w->rng >> 11) % below;
}

uint64_t worker_op(const struct worker *w)
{
	return op_id(w->load->host, w->load->generation, w->thread, w->seq);
}

uint32_t round_path_id(const struct load *load, const char *path)
{
	char full[OPLOG_NAME + 32];

	snprintf(full, sizeof(full), "%s/%s", load->round, path);
	return path_id(full);
}

static void log_record(struct worker *w)
{
	if (oplog_append(w->log, &w->rec)) {
		atomic_store(&w->load->broken, true);
		atomic_store(&w->load->stop, true);
	}
}

bool mount_lost(struct worker *w, int error)
{
	if (error != ENOTCONN && error != ECONNABORTED)
		return false;
	atomic_store(&w->load->lost, true);
	atomic_store(&w->load->stop, true);
	return true;
}

void op_begin(struct worker *w, enum op_kind kind, const char *name0, const char *name1)
{
	struct op_record *r = &w->rec;

	memset(r, 0, sizeof(*r));
	r->kind = (uint16_t)kind;
	r->host = (uint8_t)w->load->host;
	r->generation = w->load->generation;
	r->thread = w->thread;
	r->seq = ++w->seq;
	snprintf(r->name[0], OPLOG_NAME, "%s", name0 ? name0 : "");
	snprintf(r->name[1], OPLOG_NAME, "%s", name1 ? name1 : "");
}

void op_intent(struct worker *w)
{
	w->rec.phase = OP_INTENT;
	w->rec.t0 = now_ns();
	log_record(w);
	w->rec.t0 = now_ns();
}

int op_done(struct worker *w, int result)
{
	w->rec.t1 = now_ns();
	w->rec.phase = OP_ACK;
	w->rec.result = result;
	log_record(w);
	mount_lost(w, -result);
	return result;
}

void violation(struct worker *w, const char *format, ...)
{
	struct op_record keep = w->rec;
	va_list ap;

	va_start(ap, format);
	vsnprintf(w->rec.name[0], OPLOG_NAME, format, ap);
	va_end(ap);
	w->rec.phase = OP_VIOLATION;
	w->rec.t1 = now_ns();
	log_record(w);
	w->rec = keep;
}

bool worker_init(struct worker *w, struct load *load, unsigned thread)
{
	char path[4096];

	memset(w, 0, sizeof(*w));
	w->load = load;
	w->thread = thread;
	w->rng = (load->seed + 1) * 0x9e3779b97f4a7c15ull ^ op_id(load->host, load->generation, thread, 1);
	for (int i = 0; i < 8; i++)
		draw(w, 2);
	w->ws = w->seen.fd = -1;
	memset(w->shared, 0xff, sizeof(w->shared));
	memset(w->append, 0xff, sizeof(w->append));
	memset(w->held, 0xff, sizeof(w->held));
	snprintf(w->own, sizeof(w->own), "h%ug%ut%u", load->host, load->generation, thread);
	w->buf = aligned_alloc(CHAOS_BLOCK, CHAOS_BLOCKS_MAX * CHAOS_BLOCK);
	snprintf(path, sizeof(path), "%s/%s.log", load->log_dir, w->own);
	w->log = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0644);
	if (w->log < 0)
		fprintf(stderr, "writer: %s: %s\n", path, strerror(errno));
	return w->buf && w->log >= 0;
}

static void close_all(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

void worker_fini(struct worker *w)
{
	close_all(w->shared, SHARED_FILES);
	close_all(w->append, APPEND_FILES);
	close_all(w->held, HELD);
	close_all(&w->ws, 1);
	close_all(&w->seen.fd, 1);
	close_all(&w->log, 1);
	free(w->buf);
}

struct choice {
	unsigned weight;
	void (*run)(struct worker *w);
};

static const struct choice mixed[] = {
	{ 20, do_block_write }, { 10, do_block_read }, { 10, do_append }, { 20, do_names },
	{ 6, do_dirs },         { 8, do_token },       { 26, do_own },    { 0, NULL },
};
static const struct choice unread[] = {
	{ 24, do_block_write }, { 12, do_append }, { 22, do_names }, { 6, do_dirs },
	{ 8, do_token },        { 28, do_own },    { 0, NULL },
};
static const struct choice heavy[] = {
	{ 55, do_block_write }, { 5, do_append }, { 15, do_names }, { 10, do_token }, { 15, do_own }, { 0, NULL },
};
static const struct choice overwrite[] = { { 1, do_ws_write }, { 0, NULL } };

static const struct choice *const mixes[] = {
	[MIX_MIXED] = mixed, [MIX_UNREAD] = unread, [MIX_HEAVY] = heavy, [MIX_OVERWRITE] = overwrite
};

void worker_run(struct worker *w)
{
	const struct choice *c, *all = mixes[w->load->mix];
	unsigned total = 0, at;

	for (c = all; c->run; c++)
		total += c->weight;
	if (w->load->mix != MIX_OVERWRITE)
		own_start(w);
	while (!atomic_load(&w->load->stop)) {
		if (w->load->pace_us)
			usleep(w->load->pace_us);
		at = (unsigned)draw(w, total);
		for (c = all; at >= c->weight; c++)
			at -= c->weight;
		c->run(w);
		if (w->load->mix == MIX_MIXED || w->load->mix == MIX_UNREAD)
			do_excl(w);
	}
}
