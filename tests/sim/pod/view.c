/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.c - see pod/view.h.
 *
 * What a view gave never changes while the view is held, whatever others write,
 * cut, remove or recover meanwhile. Each look is an operation of its own, judged
 * like a read of that page. A draft is one operation: as long as its pages are
 * filled, page after page and with others in between, it has not happened.
 *
 * The user's loads and stores of pages are no seam calls. Here they go into the
 * modelled memory all the same, as the host's: its cache may lose them.
 */
#include "pod/view.h"

#include <errno.h>
#include <string.h>

#include "machine/arena.h"

#define LOOKS_MAX 8u

/* at what a view gave */
struct look {
	const uint8_t *bytes;
	uint64_t len, digest;
};

static uint64_t digest_of(const struct actor *a, const uint8_t *bytes, uint64_t len)
{
	bool was = arena_use(false);
	uint64_t digest;

	if (memory_owns(bytes, len)) {
		memory_touch(a->run.host, memory_offset(bytes), len);
		bytes = memory_bytes() + memory_offset(bytes);
	}
	digest = bytes_digest(bytes, len);
	arena_use(was);
	return digest;
}

void view_choose(struct rng *r, struct op *op)
{
	uint64_t size = model_size(op->ino);

	op->offset = size && !rng_chance(r, 8) ? rng_below(r, size) : rng_below(r, 12 * MODEL_BLOCK);
	op->len = MODEL_BLOCK - op->offset % MODEL_BLOCK;
}

/* whole: all that lies together there is for looking at again, not only what is judged. */
static void look(struct actor *a, struct daxfs_view *view, const struct op *op, struct look *look, bool whole)
{
	struct outcome out = { .rc = 0 };
	const void *bytes = NULL;
	ssize_t together;

	*look = (struct look){ .bytes = NULL };
	a->pending = oracle_begin(a, op);
	if (!a->pending)
		return;
	together = daxfs_view_read(view, op->ino, op->offset, &bytes);
	out.rc = together > (ssize_t)op->len ? (ssize_t)op->len : together; /* of an extent there is more */
	if (out.rc > 0) {
		uint64_t n = (uint64_t)(whole ? together : out.rc);

		out.block[0] = digest_of(a, bytes, (uint64_t)out.rc);
		*look = (struct look){ bytes, n, digest_of(a, bytes, n) };
	}
	if (out.rc >= 0)
		out.digest = blocks_combine(out.block, out.rc > 0, (uint64_t)out.rc);
	out.tarnished = pod.poisoned;
	oracle_end(a->pending, &out);
	a->pending = NULL;
	pod.tallies->ops++;
}

static void look_again(const struct actor *a, const struct op *op, const struct look *look, unsigned n)
{
	char text[160];

	op_text(op, text, sizeof(text));
	for (unsigned i = 0; i < n && !pod.poisoned && !pod.damaged; i++)
		if (look[i].len && digest_of(a, look[i].bytes, look[i].len) != look[i].digest)
			pod_violation("machine %u: %s: what the view gave has changed", a->machine, text);
}

void view_work(struct actor *a, const struct op *op, struct rng *r)
{
	struct look looks[LOOKS_MAX];
	struct op next = *op;
	struct daxfs_view *view;
	int rc = daxfs_view_open(pod.machine[a->machine].fs, &view);
	unsigned n = 0;

	if (rc && rc != -EBUSY && rc != -ESTALE && !pod.damaged)
		pod_violation("machine %u cannot open a view: %d", a->machine, rc);
	if (rc)
		return;
	pod.tallies->views++;
	while (n < LOOKS_MAX && !rng_chance(r, 10)) {
		look(a, view, &next, &looks[n++], pod.groups && rng_chance(r, 3));
		actor_sleep(a, pod.now_ns + rng_below(r, HEARTBEAT_NS << rng_below(r, 5)));
		look_again(a, op, looks, n);
		view_choose(r, &next);
		if (!rng_chance(r, 6))
			continue;
		daxfs_view_renew(view);
		n = 0;
	}
	daxfs_view_close(view);
}

static void fill_page(struct actor *a, void *page, const uint8_t *bytes)
{
	bool was = arena_use(false);

	memory_store(a->run.host, memory_offset(page), bytes, MODEL_BLOCK);
	arena_use(was);
}

void draft_perform(struct actor *a, const struct op *op, struct rng *r, uint8_t *buf, struct outcome *out)
{
	void *page[MODEL_BLOCKS];
	struct daxfs_draft *draft;

	out->rc = daxfs_draft_begin(pod.machine[a->machine].fs, op->ino, op->offset, op->len, page, &draft);
	if (out->rc)
		return;
	model_fill(buf, op->tag, 0, op->len);
	for (unsigned i = 0; i < op->len / MODEL_BLOCK; i++) {
		fill_page(a, page[i], buf + i * MODEL_BLOCK);
		if (rng_chance(r, 3))
			actor_sleep(a, pod.now_ns + rng_below(r, HEARTBEAT_NS << rng_below(r, 4)));
	}
	out->aborted = rng_chance(r, 6);
	if (out->aborted)
		daxfs_draft_abort(draft);
	else
		out->rc = daxfs_draft_commit(draft);
	if (!out->rc && !out->aborted)
		out->rc = (long)op->len;
	pod.tallies->drafts += out->rc > 0;
}
