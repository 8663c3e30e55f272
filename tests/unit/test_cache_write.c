/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cache_write.c - files of storage that are written: what all hosts read, what storage gets, and when.
 *
 * Storage is an array that forgets what was not made safe: `safe` is what it has after its power failed.
 */
#include "cache_fixture.h"

#define SPACE (96u * PAGE)

struct disk {
	uint8_t bytes[SPACE], safe[SPACE];
	uint64_t size, safe_size;
	int error, sync_error; /* of the next calls */
	unsigned writes, syncs;
	void (*during)(struct disk *d); /* a write; once */
	struct fixture *s;
};

static ssize_t disk_read(void *context, daxfs_ino ino, uint64_t file, void *buf, size_t len, uint64_t offset)
{
	const struct disk *d = context;
	size_t n = offset >= d->size ? 0 : d->size - offset < len ? (size_t)(d->size - offset) : len;

	(void)ino;
	assert_int_equal(file, FILE_NUMBER);
	memset(buf, 0, len);
	memcpy(buf, d->bytes + offset, n);
	return (ssize_t)len;
}

static int disk_write(void *context, daxfs_ino ino, uint64_t file, const void *buf, size_t len, uint64_t offset)
{
	struct disk *d = context;
	void (*during)(struct disk * d) = d->during;

	(void)ino, (void)file;
	d->writes++;
	if (d->error)
		return d->error;
	assert_true(offset + len <= SPACE);
	if (offset > d->size)
		memset(d->bytes + d->size, 0, (size_t)(offset - d->size));
	memcpy(d->bytes + offset, buf, len);
	if (offset + len > d->size)
		d->size = offset + len;
	d->during = NULL;
	if (during)
		during(d);
	return 0;
}

static int disk_resize(void *context, daxfs_ino ino, uint64_t file, uint64_t size, bool exact)
{
	struct disk *d = context;

	(void)ino, (void)file;
	if (d->error)
		return d->error;
	if (d->size < size && !exact)
		return 0;
	if (d->size < size)
		memset(d->bytes + d->size, 0, (size_t)(size - d->size));
	d->size = size;
	return 0;
}

static int disk_sync(void *context, daxfs_ino ino, uint64_t file, uint64_t *stamp)
{
	struct disk *d = context;

	(void)ino, (void)file;
	if (d->sync_error)
		return d->sync_error;
	memcpy(d->safe, d->bytes, SPACE);
	d->safe_size = d->size;
	*stamp = ++d->syncs;
	return 0;
}

static struct disk disk;

static void attach(struct fixture *s, unsigned host, unsigned patience_ms)
{
	const struct daxfs_storage storage = {
		.struct_size = sizeof(storage),
		.read = disk_read,
		.context = &disk,
		.patience_ms = patience_ms,
		.write = disk_write,
		.resize = disk_resize,
		.sync = disk_sync,
	};

	assert_int_equal(daxfs_backing_attach(s->pod.fs[host], BACKING, &storage), 0);
}

static void start(struct fixture *s, uint64_t pool_bytes, uint64_t size)
{
	alarm(HANG_S);
	*s = (struct fixture){ .size = size };
	disk = (struct disk){ .size = size, .safe_size = size, .s = s };
	for (uint64_t i = 0; i < SPACE; i++) /* what is behind the end must never be seen */
		disk.bytes[i] = disk.safe[i] = i / PAGE % 5 == 4 && i < size ? 0 : (uint8_t)(1 + i * 7 / 251 % 250);
	pod_start(&s->pod, pool_bytes);
	s->pool = rig_pool(&s->pod);
	for (unsigned i = 0; i < POD_HOSTS; i++)
		attach(s, i, 0);
	s->ino = storage_import(s->pod.fs[0], "f", BACKING, FILE_NUMBER, size);
}

static bool is_dirty(struct fixture *s)
{
	struct daxfs_source source;
	daxfs_ino ino = 0;
	uint64_t at = 0;
	int rc;

	assert_int_equal(daxfs_source(s->pod.fs[1], s->ino, &source), 0);
	while ((rc = daxfs_dirty(s->pod.fs[1], BACKING, &at, &ino)) == 0)
		;
	assert_int_equal(rc, source.dirty ? 1 : -ENOENT);
	assert_true(!source.dirty || ino == s->ino);
	at = 0;
	while ((rc = daxfs_dirty(s->pod.fs[1], BACKING + 1, &at, &ino)) == 0)
		;
	assert_int_equal(rc, -ENOENT);
	return source.dirty;
}

/* The file is that, through this host. */
static void same(struct fixture *s, unsigned host, const uint8_t *want, uint64_t size)
{
	uint8_t got[SPACE];
	struct daxfs_attr attr;

	assert_int_equal(daxfs_getattr(s->pod.fs[host], s->ino, &attr), 0);
	assert_int_equal(attr.size, size);
	assert_int_equal(daxfs_read(s->pod.fs[host], s->ino, got, SPACE, 0), (ssize_t)size);
	assert_memory_equal(got, want, size);
}

/* Storage has that, and would have it after a failure of its power. */
static void stored(const uint8_t *want, uint64_t size)
{
	assert_int_equal(disk.size, size);
	assert_memory_equal(disk.bytes, want, size);
	assert_int_equal(disk.safe_size, size);
	assert_memory_equal(disk.safe, want, size);
}

static void put(struct fixture *s, unsigned host, uint8_t *want, uint64_t offset, size_t len, uint8_t byte)
{
	memset(want + offset, byte, len);
	assert_int_equal(daxfs_write(s->pod.fs[host], s->ino, want + offset, len, offset, 0), (ssize_t)len);
}

static void cut(struct fixture *s, unsigned host, uint8_t *want, uint64_t was, uint64_t size)
{
	const struct daxfs_attr attr = { .size = size };

	if (size < was)
		memset(want + size, 0, (size_t)(was - size));
	assert_int_equal(daxfs_setattr(s->pod.fs[host], s->ino, DAXFS_SET_SIZE, &attr, NULL), 0);
}

static void stop(struct fixture *s)
{
	fixture_stop(s);
}

/* -- what is written ----------------------------------------------------------------------- */

static void test_written(void **state)
{
	static uint8_t want[SPACE];
	struct fixture s;

	(void)state;
	start(&s, 8 << 20, 10 * PAGE - 100);
	memcpy(want, disk.bytes, 10 * PAGE - 100);
	assert_false(is_dirty(&s));
	put(&s, 0, want, PAGE, PAGE, 0xa1);              /* a page */
	put(&s, 1, want, 3 * PAGE + 10, 2 * PAGE, 0xa2); /* parts of two, of which one is zeros, and one between */
	put(&s, 2, want, 10 * PAGE - 200, 500, 0xa3);    /* across the end */
	put(&s, 0, want, 40 * PAGE + 5, 7, 0xa4);        /* far behind it */
	for (unsigned i = 0; i < POD_HOSTS; i++)
		same(&s, i, want, 40 * PAGE + 12);
	assert_int_equal(disk.writes, 0);
	assert_int_equal(link_kind(word_of(&s, 1)), DAXFS_DATA);
	assert_true(is_dirty(&s));
	assert_int_equal(daxfs_cache_drop(s.pod.fs[0], s.ino, 0, UINT64_MAX) > 0, 1);
	same(&s, 1, want, 40 * PAGE + 12); /* what is dirty was not dropped */
	pod_check(&s.pod);
	assert_int_equal(daxfs_write_back(s.pod.fs[1], s.ino), 0);
	stored(want, 40 * PAGE + 12);
	assert_false(is_dirty(&s));
	assert_int_equal(link_kind(word_of(&s, 1)), DAXFS_CLEAN);
	pod_check(&s.pod);
	assert_int_equal(daxfs_cache_drop(s.pod.fs[0], s.ino, 0, UINT64_MAX) > 6, 1);
	same(&s, 2, want, 40 * PAGE + 12);
	disk.writes = 0;
	assert_int_equal(daxfs_write_back(s.pod.fs[1], s.ino), 0); /* nothing to do */
	assert_int_equal(disk.writes, 0);
	stop(&s);
}

/* Of what was cut off nothing comes back, whoever makes the file longer, and whatever storage still has. */
static void test_cut(void **state)
{
	static uint8_t want[SPACE];
	struct fixture s;

	(void)state;
	start(&s, 8 << 20, 30 * PAGE);
	memcpy(want, disk.bytes, 30 * PAGE);
	cut(&s, 0, want, 30 * PAGE,
	    20 * PAGE + 70); /* within a page that is in storage alone, below a node that is not */
	cut(&s, 1, want, 20 * PAGE + 70, 25 * PAGE);
	same(&s, 2, want, 25 * PAGE);
	put(&s, 2, want, 24 * PAGE + 5, 10, 0xb1);
	same(&s, 0, want, 25 * PAGE);
	assert_int_equal(daxfs_write_back(s.pod.fs[0], s.ino), 0);
	stored(want, 25 * PAGE);
	daxfs_cache_drop(s.pod.fs[0], s.ino, 0, UINT64_MAX);
	same(&s, 0, want, 25 * PAGE);
	cut(&s, 0, want, 25 * PAGE, 0);
	same(&s, 0, want, 0);
	cut(&s, 0, want, 0, 3 * PAGE);
	put(&s, 1, want, PAGE, PAGE, 0xb2);
	same(&s, 0, want, 3 * PAGE);
	assert_int_equal(daxfs_write_back(s.pod.fs[0], s.ino), 0);
	stored(want, 3 * PAGE);
	assert_false(is_dirty(&s));
	stop(&s);
}

/* -- meanwhile -------------------------------------------------------------------------------- */

static uint8_t meanwhile[SPACE];

static void write_meanwhile(struct disk *d)
{
	put(d->s, 2, meanwhile, PAGE, PAGE, 0xc2);
}

static void test_changed_meanwhile(void **state)
{
	struct fixture s;

	(void)state;
	start(&s, 8 << 20, 4 * PAGE);
	memcpy(meanwhile, disk.bytes, 4 * PAGE);
	put(&s, 0, meanwhile, 0, 6 * PAGE, 0xc1); /* longer, too: storage is to have that though it is not the end */
	disk.during = write_meanwhile;
	assert_int_equal(daxfs_write_back(s.pod.fs[1], s.ino), 0);
	assert_int_equal(disk.safe[PAGE], 0xc1); /* as it was when that began, or later */
	assert_true(is_dirty(&s));
	assert_int_equal(link_kind(word_of(&s, 0)), DAXFS_CLEAN);
	assert_int_equal(link_kind(word_of(&s, 1)), DAXFS_DATA);
	daxfs_cache_drop(s.pod.fs[0], s.ino, 0, UINT64_MAX);
	same(&s, 1, meanwhile, 6 * PAGE);
	assert_int_equal(daxfs_write_back(s.pod.fs[1], s.ino), 0);
	stored(meanwhile, 6 * PAGE);
	stop(&s);
}

static void cut_meanwhile(struct disk *d)
{
	cut(d->s, 2, meanwhile, 20 * PAGE, 2 * PAGE + 9);
	cut(d->s, 2, meanwhile, 2 * PAGE + 9, 18 * PAGE);
}

/* It is cut off, and made longer, while it is written: storage then has more than it may be asked for. */
static void test_cut_meanwhile(void **state)
{
	struct fixture s;

	(void)state;
	start(&s, 8 << 20, 6 * PAGE);
	memcpy(meanwhile, disk.bytes, 6 * PAGE);
	put(&s, 0, meanwhile, 5 * PAGE, 15 * PAGE, 0xc3);
	disk.during = cut_meanwhile;
	assert_int_equal(daxfs_write_back(s.pod.fs[1], s.ino), 0);
	assert_true(is_dirty(&s));
	daxfs_cache_drop(s.pod.fs[0], s.ino, 0, UINT64_MAX);
	same(&s, 1, meanwhile, 18 * PAGE);
	assert_int_equal(daxfs_write_back(s.pod.fs[1], s.ino), 0);
	stored(meanwhile, 18 * PAGE);
	daxfs_cache_drop(s.pod.fs[0], s.ino, 0, UINT64_MAX);
	same(&s, 1, meanwhile, 18 * PAGE);
	stop(&s);
}

static void other_flusher(struct disk *d)
{
	assert_int_equal(daxfs_write_back(d->s->pod.fs[2], d->s->ino), 0);
}

static void test_two_flushers(void **state)
{
	struct fixture s;

	(void)state;
	start(&s, 8 << 20, 4 * PAGE);
	put(&s, 0, meanwhile, 0, PAGE, 0xc5);
	disk.during = other_flusher;
	assert_int_equal(daxfs_write_back(s.pod.fs[1], s.ino), -EBUSY);
	assert_false(is_dirty(&s));
	stop(&s);
}

/* -- what fails ----------------------------------------------------------------------------- */

static void test_errors(void **state)
{
	static uint8_t want[SPACE];
	struct fixture s;

	(void)state;
	start(&s, 8 << 20, 4 * PAGE);
	memcpy(want, disk.bytes, 4 * PAGE);
	put(&s, 0, want, PAGE, 2 * PAGE, 0xd1);
	disk.error = -ENOSPC;
	assert_int_equal(daxfs_write_back(s.pod.fs[0], s.ino), -ENOSPC);
	assert_int_equal(daxfs_write_back(s.pod.fs[1], s.ino), -ENOSPC); /* whoever asks */
	assert_int_equal(link_kind(word_of(&s, 1)), DAXFS_DATA);
	disk.error = 0;
	disk.sync_error = -EIO;
	assert_int_equal(daxfs_write_back(s.pod.fs[0], s.ino), -EIO);
	assert_int_equal(link_kind(word_of(&s, 1)), DAXFS_DATA); /* it is not safe */
	disk.sync_error = 0;
	same(&s, 2, want, 4 * PAGE);
	assert_true(is_dirty(&s));
	pod_check(&s.pod);
	assert_int_equal(daxfs_write_back(s.pod.fs[2], s.ino), 0);
	stored(want, 4 * PAGE);
	stop(&s);
}

static void test_refused(void **state)
{
	const struct daxfs_attr attr = { .size = 5 };
	struct daxfs_storage storage = { .struct_size = sizeof(storage), .read = disk_read, .context = &disk };
	struct fixture s;
	daxfs_ino other;
	uint8_t byte = 1;

	(void)state;
	start(&s, 8 << 20, 4 * PAGE);
	assert_int_equal(daxfs_backing_detach(s.pod.fs[1], BACKING), 0);
	assert_int_equal(daxfs_write(s.pod.fs[1], s.ino, &byte, 1, 0, 0), -EROFS);
	storage.write = disk_write;
	assert_int_equal(daxfs_backing_attach(s.pod.fs[1], BACKING, &storage), -EINVAL);
	storage.write = NULL;
	assert_int_equal(daxfs_backing_attach(s.pod.fs[1], BACKING, &storage), 0);
	assert_int_equal(daxfs_write(s.pod.fs[1], s.ino, &byte, 1, 0, 0), -EROFS);
	assert_int_equal(daxfs_setattr(s.pod.fs[1], s.ino, DAXFS_SET_SIZE, &attr, NULL), -EROFS);
	assert_int_equal(daxfs_write(s.pod.fs[0], s.ino, &byte, 1, 0, 0), 1);
	assert_int_equal(daxfs_write_back(s.pod.fs[1], s.ino), -EROFS);
	assert_int_equal(daxfs_xattr_set(s.pod.fs[0], s.ino, "user.a", "b", 1, 0), -EOPNOTSUPP);
	assert_int_equal(daxfs_xattr_set(s.pod.fs[1], s.ino, "user.a", "b", 1, 0), -EROFS);
	assert_int_equal(daxfs_allocate(s.pod.fs[0], s.ino, 0, PAGE, DAXFS_PUNCH, true), -EOPNOTSUPP);
	assert_int_equal(daxfs_allocate(s.pod.fs[1], s.ino, 0, PAGE, DAXFS_PUNCH, true), -EROFS);
	assert_int_equal(daxfs_write(s.pod.fs[0], s.ino, &byte, 1, DAXFS_FILE_MAX - PAGE, 0), -EFBIG);
	other = pod_create(s.pod.fs[0], DAXFS_ROOT, "g");
	assert_int_equal(daxfs_write_back(s.pod.fs[0], other), -EINVAL);
	assert_int_equal(daxfs_stamp(s.pod.fs[0], other, 1), -EINVAL);
	assert_int_equal(daxfs_restamp(s.pod.fs[0], other, 0, 1), -EINVAL);
	daxfs_unlink(s.pod.fs[0], DAXFS_ROOT, "g");
	assert_int_equal(daxfs_write_back(s.pod.fs[0], s.ino), 0);
	stop(&s);
}

/* What is dirty takes room until it is written; then files, and what is dirty, may have that. */
static void test_room(void **state)
{
	static uint8_t want[SPACE];
	struct fixture s;
	daxfs_ino other;
	ssize_t n = 0;
	uint64_t at = 0;

	(void)state;
	start(&s, 2 << 20, 10 * PAGE);
	memcpy(want, disk.bytes, 10 * PAGE);
	put(&s, 0, want, 0, 20 * PAGE, 0xe1);
	other = pod_create(s.pod.fs[0], DAXFS_ROOT, "g");
	while ((n = daxfs_write(s.pod.fs[0], other, want, PAGE, at, 0)) == PAGE)
		at += PAGE;
	assert_int_equal(n, -ENOSPC);
	same(&s, 1, want, 20 * PAGE);
	assert_int_equal(daxfs_write_back(s.pod.fs[1], s.ino), 0);
	assert_int_equal(daxfs_write(s.pod.fs[0], other, want, PAGE, at, 0), PAGE);
	daxfs_unlink(s.pod.fs[0], DAXFS_ROOT, "g");
	same(&s, 2, want, 20 * PAGE);
	stop(&s);
}

/* A host that is slow has claimed the page of which we write a part: we read past it, and it publishes nothing. */
static void test_past_a_filler(void **state)
{
	static uint8_t want[SPACE];
	struct fixture s;
	struct cache_aside *aside = calloc(1, sizeof(*aside));
	struct cache_fill fill = { .first = 1, .wanted = 1, .aside = aside };

	(void)state;
	start(&s, 8 << 20, 4 * PAGE);
	memcpy(want, disk.bytes, 4 * PAGE);
	fill.ino = s.ino;
	assert_int_equal(fs_run(s.pod.fs[2], cache_claim, &fill), 0);
	assert_int_equal(fill.n, 1);
	assert_int_equal(link_kind(word_of(&s, 1)), DAXFS_FILLING);
	put(&s, 0, want, PAGE + 100, 50, 0xf1);
	assert_int_equal(link_kind(word_of(&s, 1)), DAXFS_DATA);
	aside->n = 1;
	memset(aside->bytes, 0x99, PAGE);
	assert_int_equal(fs_run(s.pod.fs[2], cache_publish, &fill), 0);
	assert_int_equal(fill.filled, 0);
	same(&s, 1, want, 4 * PAGE);
	free(aside);
	assert_int_equal(daxfs_write_back(s.pod.fs[1], s.ino), 0);
	stop(&s);
}

/* What an old version, or a fault, could leave: check says so. */
static void test_damage(void **state)
{
	static uint8_t want[SPACE];
	struct fixture s;
	struct daxfs_check check;
	sm_u64 *stored_word, was;

	(void)state;
	start(&s, 8 << 20, 4 * PAGE);
	put(&s, 0, want, 0, 2 * PAGE, 0xf1);
	stored_word = &s.pool->inodes[handle_index(s.ino)].dir_root;
	sm_store(&was, sm_load(stored_word));
	for (unsigned i = 0; i < 4; i++) {
		const uint64_t bad[] = {
			0, /* all is in storage */
			stored_payload(DAXFS_STORED_SAME, 4),
			stored_payload(DAXFS_STORED_DIRTY, 5),
			link_payload(DAXFS_NODE, 1),
		};

		sm_store(stored_word, bad[i]);
		assert_int_equal(check_pool(s.pool, NULL, NULL, &check), 0);
		assert_true(check.problems > 0);
	}
	sm_store(stored_word, sm_load(&was));
	assert_int_equal(daxfs_write_back(s.pod.fs[0], s.ino), 0);
	stop(&s);
}

/* -- all of it, at random -------------------------------------------------------------------- */

static uint64_t seed;

static uint64_t rnd(uint64_t n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 33) % n;
}

static void step(struct fixture *s, uint8_t *want, uint64_t *size)
{
	unsigned host = (unsigned)rnd(POD_HOSTS);
	uint64_t offset = rnd(SPACE - PAGE), len = 1 + rnd(rnd(2) ? 300 : 9 * PAGE);

	if (rnd(3) == 0)
		offset -= offset % PAGE;
	if (len > SPACE - offset)
		len = SPACE - offset;
	switch (rnd(6)) {
	case 0:
	case 1:
		put(s, host, want, offset, len, (uint8_t)(1 + rnd(255)));
		*size = offset + len > *size ? offset + len : *size;
		break;
	case 2:
		cut(s, host, want, *size, offset);
		*size = offset;
		break;
	case 3:
		assert_int_equal(daxfs_write_back(s->pod.fs[host], s->ino), 0);
		stored(want, *size);
		break;
	case 4: daxfs_cache_drop(s->pod.fs[host], s->ino, offset, len * 4); break;
	default: same(s, host, want, *size);
	}
}

static void test_random(void **state)
{
	static uint8_t want[SPACE];
	struct fixture s;

	(void)state;
	for (unsigned round = 0; round < 40; round++) {
		uint64_t size = round * 3 * PAGE / 2;

		seed = round;
		start(&s, 8 << 20, size);
		memset(want, 0, SPACE);
		memcpy(want, disk.bytes, size);
		for (unsigned i = 0; i < 60; i++)
			step(&s, want, &size);
		same(&s, 1, want, size);
		assert_int_equal(daxfs_write_back(s.pod.fs[0], s.ino), 0);
		stored(want, size);
		stop(&s);
	}
}

/* -- names -------------------------------------------------------------------------------------- */

static daxfs_ino import_in(struct fixture *s, daxfs_ino dir, const char *name, uint32_t mode, uint64_t file)
{
	const struct daxfs_attr attr = { .mode = mode, .size = S_ISREG(mode) ? 2 * PAGE : 0 };
	struct daxfs_attr out;

	assert_int_equal(daxfs_import(s->pod.fs[0], dir, name, &attr, BACKING, file, &out), 0);
	return out.ino;
}

static void write_to(struct fixture *s, daxfs_ino ino, char byte)
{
	assert_int_equal(daxfs_write(s->pod.fs[0], ino, &byte, 1, 0, 0), 1);
}

static struct daxfs_source source_of(struct fixture *s, daxfs_ino ino)
{
	struct daxfs_source source;

	assert_int_equal(daxfs_source(s->pod.fs[1], ino, &source), 0);
	return source;
}

/* What is dirty keeps its name but for what storage says of it; it goes with its name, and nobody writes it back. */
static void test_names_of_dirty(void **state)
{
	struct fixture s;
	struct daxfs *fs;
	daxfs_ino d, e, a, b;
	struct daxfs_attr out;
	char byte;

	(void)state;
	start(&s, 8 << 20, PAGE);
	fs = s.pod.fs[2];
	d = import_in(&s, DAXFS_ROOT, "d", S_IFDIR | 0755, 5);
	e = import_in(&s, DAXFS_ROOT, "e", S_IFDIR | 0755, 6);
	a = import_in(&s, d, "a", S_IFREG | 0644, FILE_NUMBER);
	b = import_in(&s, e, "b", S_IFREG | 0644, FILE_NUMBER);
	write_to(&s, a, 'a');
	write_to(&s, b, 'b');
	assert_int_equal(daxfs_forget(fs, d, "a", a), -EBUSY);
	assert_int_equal(daxfs_lookup(fs, d, "a", &out), 0);
	/* Moved over another one, which somebody has open. */
	assert_int_equal(daxfs_move(fs, DAXFS_ROOT, "f", s.ino, e, "c", 0, NULL), -EINVAL);
	assert_int_equal(daxfs_move(fs, d, "a", a, e, "b", 0, NULL), -ESTALE);
	assert_int_equal(daxfs_move(fs, d, "a", b, e, "b", b, NULL), -ESTALE);
	assert_int_equal(daxfs_file_open(s.pod.fs[1], b), 0);
	assert_true(source_of(&s, a).directory == d && source_of(&s, b).dirty);
	assert_int_equal(daxfs_move(fs, d, "a", a, e, "b", b, NULL), 0);
	assert_int_equal(daxfs_move(fs, d, "a", a, e, "b", b, NULL), -ENOENT);
	assert_true(source_of(&s, a).directory == e && source_of(&s, a).dirty);
	assert_false(source_of(&s, b).dirty);
	write_to(&s, b, 'c'); /* its last user goes on */
	assert_false(source_of(&s, b).dirty);
	assert_int_equal(daxfs_read(s.pod.fs[1], b, &byte, 1, 0), 1);
	assert_int_equal(byte, 'c');
	assert_int_equal(daxfs_file_close(s.pod.fs[1], b), 0);
	assert_int_equal(daxfs_read(s.pod.fs[1], a, &byte, 1, 0), 1);
	assert_int_equal(byte, 'a');
	/* Directories, of another parent, too. */
	assert_int_equal(daxfs_move(fs, DAXFS_ROOT, "d", d, e, "d", 0, NULL), -EINVAL);
	d = import_in(&s, e, "d", S_IFDIR | 0755, 7);
	assert_int_equal(daxfs_move(fs, e, "b", a, d, "b", 0, NULL), 0);
	assert_int_equal(daxfs_discard(fs, e, "d", d, NULL), -ENOTEMPTY);
	assert_int_equal(daxfs_discard(fs, d, "b", e, NULL), -ESTALE);
	assert_int_equal(daxfs_discard(fs, d, "none", a, NULL), -ENOENT);
	pod_check(&s.pod);
	assert_int_equal(daxfs_discard(fs, d, "b", a, NULL), 0);
	assert_int_equal(daxfs_source(fs, a, &(struct daxfs_source){ 0 }), -ESTALE);
	assert_int_equal(daxfs_discard(fs, e, "d", d, NULL), 0);
	assert_int_equal(daxfs_forget(fs, DAXFS_ROOT, "e", e), 0);
	assert_int_equal(daxfs_lookup(fs, DAXFS_ROOT, "d", &out), 0);
	assert_int_equal(daxfs_forget(fs, DAXFS_ROOT, "d", out.ino), 0);
	stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_written),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_changed_meanwhile),
		cmocka_unit_test(test_cut_meanwhile),
		cmocka_unit_test(test_two_flushers),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_names_of_dirty),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_past_a_filler),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
