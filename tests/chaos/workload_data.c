/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workload_data.c - the load generator's block files and append files. What it reads
 * it checks at once: a block may be old, but never torn and never another's.
 */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int keep_open(struct worker *w, int *fd, const char *path, int flags)
{
	if (*fd < 0)
		*fd = openat(w->load->root, path, flags | O_CREAT | O_CLOEXEC, 0644);
	if (*fd < 0 && !mount_lost(w, errno))
		violation(w, "open %s: errno %d", path, errno);
	return *fd;
}

static void fill_blocks(struct worker *w, uint32_t file, uint64_t first, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		block_fill(w->buf + i * CHAOS_BLOCK, file, first + i, worker_op(w));
}

static void write_blocks(struct worker *w, int fd, const char *path, uint64_t first, uint64_t count)
{
	ssize_t n;

	op_begin(w, OP_BLOCK_WRITE, path, NULL);
	w->rec.b = first;
	w->rec.c = count;
	fill_blocks(w, round_path_id(w->load, path), first, count);
	op_intent(w);
	n = pwrite(fd, w->buf, count * CHAOS_BLOCK, (off_t)(first * CHAOS_BLOCK));
	op_done(w, n < 0 ? -errno : (int)n);
}

/* Sizes: often one, often the maximum, else anything. */
static uint64_t draw_count(struct worker *w)
{
	uint64_t most = w->load->mix == MIX_HEAVY ? 6 : 2;

	switch (draw(w, 8)) {
	case 0:
	case 1: return most == 6 ? CHAOS_BLOCKS_MAX : 1;
	case 2: return CHAOS_BLOCKS_MAX;
	case 3:
	case 4: return 1 + draw(w, CHAOS_BLOCKS_MAX);
	default: return most == 6 ? CHAOS_BLOCKS_MAX : 1 + draw(w, 8);
	}
}

/* Half of the longer writes are of whole groups; the others break some up. */
static void draw_whole(struct worker *w, uint64_t *first, uint64_t *count)
{
	if (*count < CHAOS_GROUP || draw(w, 2))
		return;
	*first -= *first % CHAOS_GROUP;
	*count -= *count % CHAOS_GROUP;
}

/* Half the writes go to files that all hosts write, half to the thread's own. */
void do_block_write(struct worker *w)
{
	uint64_t count = draw_count(w), first = draw(w, SHARED_BLOCKS - count + 1);
	unsigned i = (unsigned)draw(w, SHARED_FILES);
	char path[OPLOG_NAME];

	draw_whole(w, &first, &count);
	if (draw(w, 2)) {
		snprintf(path, sizeof(path), "shared/b%u", i);
		if (keep_open(w, &w->shared[i], path, O_RDWR) >= 0)
			write_blocks(w, w->shared[i], path, first, count);
	} else {
		snprintf(path, sizeof(path), "priv/%s.b", w->own);
		if (keep_open(w, &w->ws, path, O_RDWR) >= 0)
			write_blocks(w, w->ws, path, first, count);
	}
}

/* The working set: one file a thread, overwritten anywhere, as fast as it goes. */
void do_ws_write(struct worker *w)
{
	uint64_t blocks = w->load->ws_bytes / CHAOS_BLOCK, count = draw(w, 4) ? CHAOS_BLOCKS_MAX : 1 + draw(w, 16);
	char path[OPLOG_NAME];
	uint64_t first;

	if (count > blocks)
		count = blocks;
	first = draw(w, blocks - count + 1);
	draw_whole(w, &first, &count);
	snprintf(path, sizeof(path), "priv/%s.b", w->own);
	if (keep_open(w, &w->ws, path, O_RDWR) >= 0)
		write_blocks(w, w->ws, path, first, count);
}

void do_block_read(struct worker *w)
{
	uint64_t count = 1 + draw(w, 16), first = draw(w, SHARED_BLOCKS - count + 1), look = draw(w, count), i;
	unsigned file = (unsigned)draw(w, SHARED_FILES);
	char path[OPLOG_NAME];
	const char *err;
	struct stamp s;
	ssize_t n;

	snprintf(path, sizeof(path), "shared/b%u", file);
	if (keep_open(w, &w->shared[file], path, O_RDWR) < 0)
		return;
	op_begin(w, OP_BLOCK_READ, path, NULL);
	w->rec.b = first + look;
	op_intent(w);
	n = pread(w->shared[file], w->buf, count * CHAOS_BLOCK, (off_t)(first * CHAOS_BLOCK));
	for (i = 0; n > 0 && i < (uint64_t)n / CHAOS_BLOCK; i++) {
		if (is_zero(w->buf + i * CHAOS_BLOCK, CHAOS_BLOCK))
			continue;
		err = block_check(w->buf + i * CHAOS_BLOCK, round_path_id(w->load, path), first + i, &s);
		if (err)
			violation(w, "%s block %llu read: %s", path, (unsigned long long)(first + i), err);
		else if (i == look)
			w->rec.c = s.op;
	}
	if (n > 0 && n % CHAOS_BLOCK)
		violation(w, "%s read ends inside a block: %zd", path, n);
	op_done(w, n < 0 ? -errno : 0);
}

void do_append(struct worker *w)
{
	unsigned i = (unsigned)draw(w, APPEND_FILES);
	char path[OPLOG_NAME];
	struct stat st;
	uint32_t len;
	ssize_t n;

	snprintf(path, sizeof(path), "shared/a%u", i);
	if (keep_open(w, &w->append[i], path, O_WRONLY | O_APPEND) < 0)
		return;
	if (fstat(w->append[i], &st) || st.st_size > APPEND_CAP)
		return;
	len = (uint32_t)sizeof(struct append_hdr) + (uint32_t)draw(w, draw(w, 4) ? 3000 : CHAOS_APPEND_MAX - 64);
	op_begin(w, OP_APPEND, path, NULL);
	w->rec.b = len;
	append_fill(w->buf, round_path_id(w->load, path), worker_op(w), len);
	op_intent(w);
	n = write(w->append[i], w->buf, len);
	op_done(w, n < 0 ? -errno : (int)n);
}
