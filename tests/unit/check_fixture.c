/* SPDX-License-Identifier: Apache-2.0 */
/* check_fixture.c - see check_fixture.h. */
#include "check_fixture.h"

#include "findings.h"
#include "inspect/inspect.h"
#include "repair_fixture.h"

/* -- what is in it ------------------------------------------------------------ */

static void write_at(struct daxfs *fs, daxfs_ino ino, uint64_t page)
{
	char bytes[300];

	memset(bytes, 'x', sizeof(bytes));
	assert_int_equal(daxfs_write(fs, ino, bytes, sizeof(bytes), page * DAXFS_PAGE_SIZE, 0), sizeof(bytes));
}

/* Pages under direct words and under nodes of each height, the last one not full. */
static uint64_t make_big(struct daxfs *fs)
{
	daxfs_ino ino = pod_create(fs, DAXFS_ROOT, "big");

	write_at(fs, ino, 0);
	write_at(fs, ino, 7);
	write_at(fs, ino, 8);
	write_at(fs, ino, 8 + 511);
	write_at(fs, ino, 8 + 512);
	write_at(fs, ino, 8 + 512 + 512 * 512);
	write_at(fs, ino, 8ull + 512 + 512 * 512 + 512 * 512 * 512);
	return handle_index(ino);
}

/* Two extents, of which one has replaced another, and half a group of single pages. */
static uint64_t make_wide(struct daxfs *fs)
{
	const size_t group = DAXFS_EXTENT_PAGES * DAXFS_PAGE_SIZE, half = group / 2;
	daxfs_ino ino = pod_create(fs, DAXFS_ROOT, "wide");
	char *bytes = calloc(5, half);

	assert_non_null(bytes);
	memset(bytes, 'w', 5 * half);
	for (unsigned i = 0; i < 2; i++) /* the second time a group makes an extent */
		assert_int_equal(daxfs_write(fs, ino, bytes, 5 * half, group, 0), 5 * half);
	assert_int_equal(daxfs_write(fs, ino, bytes, group, 2 * group, 0), group);
	free(bytes);
	return handle_index(ino);
}

static void make_names(struct daxfs *fs, daxfs_ino dir)
{
	char name[32];

	for (unsigned i = 0; i < SCENE_NAMES; i++) {
		snprintf(name, sizeof(name), "name %u", i);
		pod_create(fs, dir, name);
	}
	for (unsigned i = 0; i < SCENE_NAMES; i += 7) {
		snprintf(name, sizeof(name), "name %u", i);
		assert_int_equal(daxfs_unlink(fs, dir, name), 0);
	}
}

static void populate(struct fixture *s)
{
	struct daxfs *fs = s->pod.fs[0];
	daxfs_ino dir = pod_mkdir(fs, DAXFS_ROOT, "dir"), small = pod_create(fs, dir, "small");
	struct daxfs_attr attr;

	s->big = make_big(fs);
	s->wide = make_wide(fs);
	s->dir = handle_index(dir);
	s->small = handle_index(small);
	s->sub = handle_index(pod_mkdir(fs, dir, "sub"));
	write_at(fs, small, 0);
	assert_int_equal(daxfs_link(fs, small, DAXFS_ROOT, "other name", &attr), 0);
	assert_int_equal(daxfs_symlink(fs, dir, "link", "to/where", pod_root, &attr), 0);
	s->link = handle_index(attr.ino);
	assert_int_equal(daxfs_mknod(fs, dir, "fifo", S_IFIFO | 0600, 0, pod_root, false, &attr), 0);
	s->fifo = handle_index(attr.ino);
	assert_int_equal(daxfs_xattr_set(fs, small, "user.of small", "12345", 5, 0), 0);
	assert_int_equal(daxfs_xattr_set(fs, small, "user.empty", "", 0, 0), 0);
	assert_int_equal(daxfs_xattr_set(fs, dir, "user.of dir", "xyz", 3, 0), 0);
	s->victim = handle_index(pod_create(fs, dir, "victim"));
	make_names(s->pod.fs[1], dir);
	assert_int_equal(daxfs_rename(fs, dir, "name 1", DAXFS_ROOT, "moved", 0), 0);
}

void fixture_start(struct fixture *s)
{
	memset(s, 0, sizeof(*s));
	pod_start_with(&s->pod, SCENE_BYTES, (struct daxfs_mkfs_options){ .inodes = 256, .lanes = 2 });
	populate(s);
	s->before = calloc(1, sizeof(*s->before));
	assert_non_null(s->before);
	picture_take(s->pod.fs[0], s->before);
	for (unsigned i = 0; i < POD_HOSTS; i++)
		assert_int_equal(daxfs_leave(s->pod.fs[i]), 0);
	s->pool = fs_pool_writable(s->pod.fs[0]);
	s->pristine = malloc(SCENE_BYTES);
	assert_non_null(s->pristine);
	memcpy(s->pristine, s->pod.base, SCENE_BYTES);
}

void fixture_restore(struct fixture *s)
{
	memcpy(s->pod.base, s->pristine, SCENE_BYTES);
	s->want[0] = '\0';
}

void fixture_stop(struct fixture *s)
{
	fixture_restore(s);
	free(s->before);
	free(s->pristine);
	pod_stop(&s->pod);
}

/* -- judging ------------------------------------------------------------------ */

static void collect(void *context, const char *line)
{
	struct fixture *s = context;

	finding_seen(line);
	if (s->lines < SCENE_LINES)
		snprintf(s->line[s->lines++], sizeof(s->line[0]), "%s", line);
}

uint64_t fixture_check(struct fixture *s)
{
	s->lines = 0;
	assert_int_equal(check_pool(s->pool, collect, s, &s->check), 0);
	return s->check.problems;
}

bool fixture_said(const struct fixture *s, const char *start)
{
	for (unsigned i = 0; i < s->lines; i++)
		if (strncmp(s->line[i], start, strlen(start)) == 0)
			return true;
	return false;
}

void fixture_want(struct fixture *s, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(s->want, sizeof(s->want), format, ap);
	va_end(ap);
}

/* -- hands -------------------------------------------------------------------- */

void fixture_host(struct fixture *s, unsigned host, enum daxfs_host_state state)
{
	sm_u64 *word = &s->pool->member->host[host].word;
	struct host_word w = { 0 };

	assert_int_equal(host_word_unpack(sm_load(word), &w), 0);
	w.state = state;
	w.recoverer = state == DAXFS_HOST_RECOVERING ? 0 : -1;
	sm_store(word, host_word_pack(w));
}

uint64_t fixture_find(const struct fixture *s, enum daxfs_type type, enum daxfs_state state)
{
	for (uint64_t i = 2; i < s->pool->objects[type]; i++)
		if (state_of(sm_load(&s->pool->state[type][i])) == (unsigned)state)
			return i;
	fail_msg("no object of type %u in state %u", type, state);
	return 0;
}

/* The word of a node that names what `is` says: its page; NULL: none does. */
static sm_u64 *named_in_node(struct fixture *s, uint64_t *page, bool (*is)(struct fixture *, uint64_t, uint64_t),
			     uint64_t what)
{
	for (*page = 0; *page < s->pool->objects[DAXFS_T_PAGE]; ++*page) {
		uint64_t state = sm_load(&s->pool->state[DAXFS_T_PAGE][*page]);
		struct sm_node *node = map_node(s->pool, *page);

		for (unsigned i = 0; state_of(state) == DAXFS_LIVE && use_of(state) == DAXFS_USE_NODE && i < 512; i++) {
			if (is(s, sm_load(&node->slot[i]), what))
				return &node->slot[i];
		}
	}
	return NULL;
}

static bool is_name_of(struct fixture *s, uint64_t w, uint64_t inode)
{
	return link_kind(w) == DAXFS_DIRENT && handle_index(s->pool->dirents[link_index(w)].handle) == inode;
}

static bool is_node(struct fixture *s, uint64_t w, uint64_t page)
{
	(void)s;
	return (link_kind(w) == DAXFS_NODE || link_kind(w) == DAXFS_LEAF) && link_index(w) == page;
}

sm_u64 *fixture_slot(struct fixture *s, uint64_t inode, uint64_t *page, uint64_t *dirent)
{
	sm_u64 *slot = named_in_node(s, page, is_name_of, inode);

	if (!slot)
		fail_msg("inode %llu has no name", (unsigned long long)inode);
	*dirent = link_index(sm_load(slot));
	return slot;
}

/* Clear a word of a node, or those of a run from its first on: the use that is left of it. */
static uint64_t clear_slot(struct fixture *s, sm_u64 *slot, uint64_t page)
{
	unsigned n = link_kind(sm_load(slot)) == DAXFS_LEAF ? 1u << name_hint(sm_load(slot)) : 1;
	sm_u64 *count = &s->pool->count[page];
	uint64_t left = word_payload(sm_load(count), DAXFS_W_COUNT) - n;

	for (unsigned i = 0; i < n; i++)
		fixture_set(&slot[i], DAXFS_W_NAME, 0);
	fixture_set(count, DAXFS_W_COUNT, left);
	return left;
}

/* Nodes go with their last name. Which names share one is up to the pool's key. */
void fixture_unname(struct fixture *s, uint64_t inode)
{
	uint64_t page, dirent, above;
	sm_u64 *slot = fixture_slot(s, inode, &page, &dirent);

	sm_store(&s->pool->state[DAXFS_T_DIRENT][dirent], 0);
	while (clear_slot(s, slot, page) == 0 && (slot = named_in_node(s, &above, is_node, page))) {
		sm_store(&s->pool->state[DAXFS_T_PAGE][page], 0);
		page = above;
	}
}

/* -- damages ------------------------------------------------------------------ */

static unsigned complain(const struct fixture *s, const struct damage *d, const char *what)
{
	(void)s;
	print_message("%s: %s\n", d->name, what);
	return 1;
}

/* All that the pool holds of tenants is over: the repair is of a pool that nobody uses. */
void fixture_end_tenants(struct fixture *s)
{
	for (unsigned host = 0; host < s->pool->super.hosts; host++) {
		struct host_word w;

		if (host_word_unpack(sm_load(&s->pool->member->host[host].word), &w) == 0)
			fixture_host(s, host, DAXFS_HOST_RECOVERED);
	}
}

/* A slot that made no sense is to be recovered, after the repair. */
bool fixture_recover_all(struct fixture *s)
{
	struct daxfs_recovery report;
	struct daxfs *fs = s->pod.fs[0];
	struct daxfs_error err;
	bool ok = true;

	for (unsigned host = 0; host < s->pool->super.hosts; host++) {
		struct host_word w;
		unsigned from = host ? 0 : 1;

		if (host_word_unpack(sm_load(&s->pool->member->host[host].word), &w) || w.state != DAXFS_HOST_FENCED)
			continue;
		ok &= daxfs_join(fs, from, "x", &err) == 0 && daxfs_recover(fs, host, &report) == 0 &&
		      daxfs_leave(fs) == 0;
	}
	return ok;
}

/* What can be read of a damaged pool, which is then as it was. */
void fixture_picture_damaged(struct fixture *s, const void *image, struct picture *out)
{
	struct daxfs_error err;

	out->n = 0;
	for (unsigned host = s->pool->super.hosts; host-- > 0;) {
		if (daxfs_join(s->pod.fs[0], host, "looks", &err))
			continue; /* something is left in it */
		picture_take(s->pod.fs[0], out);
		picture_see_damaged(s->pod.fs[0], s->before);
		daxfs_leave(s->pod.fs[0]);
		break;
	}
	memcpy(s->pod.base, image, SCENE_BYTES);
}

static unsigned judge_repair(struct fixture *s, const struct damage *d, const struct picture *damaged,
			     const struct repaired *r)
{
	struct picture *now = calloc(1, sizeof(*now));
	struct daxfs_error err;
	unsigned wrong = 0;

	assert_non_null(now);
	if (r->result.left || fixture_check(s))
		wrong += complain(s, d, "not clean after its repair");
	if (!fixture_recover_all(s))
		wrong += complain(s, d, "a slot cannot be recovered");
	if (daxfs_join(s->pod.fs[0], 0, "looks", &err)) {
		wrong += complain(s, d, err.text);
	} else {
		picture_take(s->pod.fs[0], now);
		if (damaged->n && picture_unsaid(s->before, damaged, now, r))
			wrong += complain(s, d, "reads otherwise");
		daxfs_leave(s->pod.fs[0]);
	}
	if (fixture_check(s))
		wrong += complain(s, d, "not clean after it was used");
	free(now);
	return wrong;
}

/* A dry run changes nothing; a repair leaves nothing. */
static unsigned try_repair(struct fixture *s, const struct damage *d)
{
	struct repaired r;
	unsigned wrong = 0;
	void *damaged = malloc(SCENE_BYTES);
	struct picture *seen = calloc(1, sizeof(*seen));

	fixture_end_tenants(s);
	if (fixture_check(s) == 0) {
		free(damaged);
		free(seen);
		return 0; /* it was one of a tenant */
	}
	assert_non_null(damaged);
	memcpy(damaged, s->pod.base, SCENE_BYTES);
	if (repair_scene(&s->pod, true, &r) || !r.result.repairs || memcmp(damaged, s->pod.base, SCENE_BYTES) != 0)
		wrong += complain(s, d, "a dry run says nothing, or does something");
	repaired_free(&r);
	fixture_picture_damaged(s, damaged, seen);
	free(damaged);
	if (repair_scene(&s->pod, false, &r))
		wrong += complain(s, d, "cannot be repaired");
	else
		wrong += judge_repair(s, d, seen, &r);
	free(seen);
	for (unsigned i = 0; wrong && i < r.lines; i++)
		print_message("  %s\n", r.line[i]);
	for (unsigned i = 0; wrong && i < s->lines; i++)
		print_message("  left: %s\n", s->line[i]);
	repaired_free(&r);
	return wrong;
}

static unsigned try_damage(struct fixture *s, const struct damage *d)
{
	uint64_t n;

	fixture_restore(s);
	d->make(s);
	n = fixture_check(s);
	if (fixture_said(s, s->want) && (!d->problems || n == d->problems))
		return try_repair(s, d);
	print_message("%s: want \"%s...\", %u in all; got %llu:\n", d->name, s->want, d->problems,
		      (unsigned long long)n);
	for (unsigned k = 0; k < s->lines; k++)
		print_message("  %s\n", s->line[k]);
	return 1;
}

void fixture_damages(const struct damage *damages, size_t n)
{
	struct fixture *s = calloc(1, sizeof(*s));
	unsigned wrong = 0;

	fixture_start(s);
	for (size_t i = 0; i < n; i++)
		wrong += try_damage(s, &damages[i]);
	fixture_stop(s);
	free(s);
	assert_int_equal(wrong, 0);
}
