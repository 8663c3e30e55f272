/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_ctl_online.c - daxfsctl backup --force --online: what is copied while two hosts write.
 *
 * Linked with a daxfs_view_read that lets the other hosts write in the middle of a look at a file.
 */
#include "ctl_run.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "daxfs/inspect.h"
#include "hang.h"

#define PIECES 4u
#define PIECE DAXFS_ATOMIC_WRITE_MAX

struct place {
	char dir[64], pool[96], copy[96], other[96];
	struct daxfs *host[2];
	struct ctl_run r;
};

static const struct daxfs_cred nobody = { 7, 8 };
static struct place *at;
static void (*meanwhile)(struct place *p);
static unsigned looks, at_look; /* meanwhile comes after so many of them */

ssize_t __real_daxfs_view_read(struct daxfs_view *view, daxfs_ino ino, uint64_t offset, const void **out);
ssize_t __wrap_daxfs_view_read(struct daxfs_view *view, daxfs_ino ino, uint64_t offset, const void **out);
ssize_t __wrap_daxfs_view_read(struct daxfs_view *view, daxfs_ino ino, uint64_t offset, const void **out)
{
	ssize_t n = __real_daxfs_view_read(view, ino, offset, out);

	if (meanwhile && ++looks % at_look == 0)
		meanwhile(at);
	return n;
}

/* -- a pool, and two hosts in it ----------------------------------------------------------- */

static struct daxfs *join(const char *pool, unsigned host, const char *name)
{
	struct daxfs_error err;
	struct daxfs *fs;

	assert_int_equal(daxfs_open(pool, DAXFS_READ_WRITE, &fs, &err), 0);
	if (daxfs_join(fs, host, name, &err))
		fail_msg("%s", err.text);
	return fs;
}

static void leave(struct daxfs *fs)
{
	assert_int_equal(daxfs_leave(fs), 0);
	daxfs_close(fs);
}

static void setup(struct place *p)
{
	memset(p, 0, sizeof(*p));
	alarm(HANG_S);
	at = p;
	looks = 0;
	strcpy(p->dir, "/dev/shm/daxfs-online-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->pool, sizeof(p->pool), "%s/pool", p->dir);
	snprintf(p->copy, sizeof(p->copy), "%s/copy", p->dir);
	snprintf(p->other, sizeof(p->other), "%s/other", p->dir);
	ctl_run(&p->r, "mkfs %s --size 48M --hosts 3 --name online --heartbeat-ms 20", p->pool);
	ctl_expect(&p->r, CTL_OK, "pool ");
	for (unsigned i = 0; i < 2; i++)
		p->host[i] = join(p->pool, i, i ? "one" : "zero");
}

static void teardown(struct place *p)
{
	meanwhile = NULL;
	ctl_run_end(&p->r);
	leave(p->host[0]);
	leave(p->host[1]);
	unlink(p->pool);
	unlink(p->copy);
	unlink(p->other);
	assert_int_equal(rmdir(p->dir), 0); /* nothing half is left */
}

/* The copy as a pool, in order. */
static struct daxfs *restored(struct place *p)
{
	unlink(p->other);
	ctl_run(&p->r, "restore %s %s", p->copy, p->other);
	ctl_expect(&p->r, CTL_OK, "restored ");
	ctl_run(&p->r, "check %s", p->other);
	ctl_expect(&p->r, CTL_OK, "clean; files ");
	return join(p->other, 0, "reader");
}

static daxfs_ino make(struct daxfs *fs, daxfs_ino parent, const char *name)
{
	struct daxfs_attr attr;

	assert_int_equal(daxfs_mknod(fs, parent, name, S_IFREG | 0640, 0, nobody, false, &attr), 0);
	return attr.ino;
}

static struct daxfs_attr find(struct daxfs *fs, daxfs_ino parent, const char *name)
{
	struct daxfs_attr attr;

	assert_int_equal(daxfs_lookup(fs, parent, name, &attr), 0);
	return attr;
}

/* -- at rest ------------------------------------------------------------------------------------ */

static void as_it_is(void **unused)
{
	const struct timespec then = { .tv_sec = 12345, .tv_nsec = 678 };
	struct daxfs_attr attr = { .mode = 01777, .mtime = then, .atime = then }, out, link;
	struct daxfs_geometry g;
	char text[64];
	struct daxfs *fs;
	daxfs_ino file;
	struct place p;

	(void)unused;
	setup(&p);
	assert_int_equal(daxfs_mkdir(p.host[0], DAXFS_ROOT, "dir", 0700, nobody, &out), 0);
	file = make(p.host[0], out.ino, "file");
	assert_int_equal(daxfs_write(p.host[0], file, "text", 4, 100000, 0), 4);
	assert_int_equal(daxfs_xattr_set(p.host[0], file, "user.a", "b", 1, 0), 0);
	assert_int_equal(daxfs_link(p.host[0], file, DAXFS_ROOT, "again", &attr), 0);
	assert_int_equal(daxfs_symlink(p.host[0], out.ino, "link", "../again", nobody, &attr), 0);
	assert_int_equal(daxfs_mknod(p.host[1], DAXFS_ROOT, "fifo", S_IFIFO | 0600, 0, nobody, false, &attr), 0);
	attr.mode = 01777;
	attr.mtime = attr.atime = then;
	assert_int_equal(daxfs_setattr(p.host[1], out.ino, DAXFS_SET_MODE | DAXFS_SET_MTIME, &attr, &attr), 0);

	ctl_run(&p.r, "backup --force --online %s %s", p.pool, p.copy);
	ctl_expect(&p.r, CTL_OK, "1 files of 1700 bytes, 2 directories, 2 others");
	fs = restored(&p);
	out = find(fs, DAXFS_ROOT, "dir");
	assert_int_equal(out.mode, S_IFDIR | 01777);
	assert_true(out.mtime.tv_sec == then.tv_sec && out.mtime.tv_nsec == then.tv_nsec && out.uid == 7);
	attr = find(fs, out.ino, "file");
	link = find(fs, DAXFS_ROOT, "again");
	assert_true(attr.ino == link.ino && attr.nlink == 2 && attr.size == 100004 && attr.blocks < 100);
	assert_int_equal(daxfs_read(fs, attr.ino, text, 64, 100000), 4);
	assert_memory_equal(text, "text", 4);
	assert_int_equal(daxfs_xattr_get(fs, attr.ino, "user.a", text, 64), 1);
	assert_int_equal(daxfs_readlink(fs, find(fs, out.ino, "link").ino, text, 64), 0);
	assert_int_equal(find(fs, DAXFS_ROOT, "fifo").mode, S_IFIFO | 0600);
	leave(fs);
	/* Again, over it; with more slots, in which a host can be. */
	ctl_run(&p.r, "backup --force --online --hosts 9 %s %s", p.pool, p.copy);
	ctl_expect(&p.r, CTL_OK, "1 files of 1700 bytes");
	fs = restored(&p);
	daxfs_geometry(fs, &g);
	assert_int_equal(g.hosts, 10);
	leave(fs);
	fs = join(p.other, 8, "ninth");
	assert_int_equal(find(fs, DAXFS_ROOT, "again").nlink, 2);
	leave(fs);
	ctl_run(&p.r, "backup --hosts 9 %s %s", p.pool, p.copy);
	ctl_expect(&p.r, CTL_USAGE, "with --online");
	ctl_run(&p.r, "backup --force --online --hosts 64 %s %s", p.pool, p.copy);
	ctl_expect(&p.r, CTL_USAGE, "hosts");
	ctl_run(&p.r, "backup --force --online %s %s --json", p.pool, p.copy);
	ctl_expect_json(&p.r, "\"in_pieces\"");
	teardown(&p);
}

/* -- a file of which all pieces are written in turn, each with the number of the turn ----------- */

static daxfs_ino turns; /* the file */
static uint32_t turn;

static void write_piece(struct daxfs *fs, unsigned i)
{
	static uint32_t buf[PIECE / sizeof(uint32_t)];

	for (unsigned k = 0; k < PIECE / sizeof(uint32_t); k++)
		buf[k] = turn;
	assert_int_equal(daxfs_write(fs, turns, buf, PIECE, (uint64_t)i * PIECE, 0), PIECE);
}

/* By one host and the other. */
static void write_turn(struct place *p)
{
	turn++;
	for (unsigned i = 0; i < PIECES; i++)
		write_piece(p->host[i & 1], i);
}

static void write_once(struct place *p)
{
	meanwhile = NULL;
	write_turn(p);
}

/* Of one moment: piece by piece no newer than before, and no more than one turn apart. */
static void of_one_moment(struct daxfs *fs, bool expected)
{
	static uint32_t buf[PIECE / sizeof(uint32_t)];
	uint32_t first = 0, before = UINT32_MAX;
	bool is = true;

	for (unsigned i = 0; i < PIECES; i++) {
		assert_int_equal(daxfs_read(fs, find(fs, DAXFS_ROOT, "turns").ino, buf, PIECE, (uint64_t)i * PIECE),
				 PIECE);
		for (unsigned k = 0; k < PIECE / sizeof(uint32_t); k++)
			assert_int_equal(buf[k], buf[0]); /* each piece is */
		first = i ? first : buf[0];
		is &= buf[0] <= before && first - buf[0] <= 1;
		before = buf[0];
	}
	assert_int_equal(is, expected);
}

static void begin_turns(struct place *p)
{
	turn = 0;
	turns = make(p->host[0], DAXFS_ROOT, "turns");
	write_turn(p);
}

/* One look would have the first piece of one turn and the last of the next. */
static void written_in_the_middle_of_a_look(void **unused)
{
	struct daxfs *fs;
	struct place p;

	(void)unused;
	for (at_look = 1; at_look < 40; at_look += 9) {
		setup(&p);
		begin_turns(&p);
		meanwhile = write_once;
		ctl_run(&p.r, "backup --force --online %s %s", p.pool, p.copy);
		ctl_expect(&p.r, CTL_OK, "copied ");
		assert_null(strstr(p.r.out, "not of one moment: "));
		fs = restored(&p);
		of_one_moment(fs, true);
		leave(fs);
		teardown(&p);
	}
}

/* It changes in every look: then it is told. */
static void written_all_the_time(void **unused)
{
	struct daxfs *fs;
	struct place p;

	(void)unused;
	setup(&p);
	begin_turns(&p);
	at_look = 3; /* a look has more, and what a view shows is not used again */
	meanwhile = write_turn;
	ctl_run(&p.r, "backup --force --online %s %s", p.pool, p.copy);
	ctl_expect(&p.r, CTL_OK, "not of one moment: /turns\n");
	fs = restored(&p);
	of_one_moment(fs, true); /* and still no piece is torn; nobody wrote while it was copied by pieces */
	leave(fs);
	teardown(&p);
}

/* -- two hosts at work ---------------------------------------------------------------------- */

static atomic_bool stop;

/* Files that are replaced by rename, with the same bytes as long as they live. */
static void *replace(void *context)
{
	struct daxfs *fs = context;
	uint8_t byte = 0, buf[9000];
	struct daxfs_attr attr;

	while (!atomic_load(&stop)) {
		memset(buf, byte++ | 1, sizeof(buf));
		if (daxfs_mknod(fs, DAXFS_ROOT, "new", S_IFREG | 0600, 0, nobody, false, &attr) ||
		    daxfs_write(fs, attr.ino, buf, sizeof(buf), 0, 0) != sizeof(buf) ||
		    daxfs_rename(fs, DAXFS_ROOT, "new", DAXFS_ROOT, "current", 0))
			return "a call failed";
		usleep(200);
	}
	return NULL;
}

/* Appends of 1000 bytes to one, names that come and go. */
static void *append(void *context)
{
	struct daxfs *fs = context;
	struct daxfs_attr attr, log;
	char buf[1000], name[32];

	if (daxfs_mknod(fs, DAXFS_ROOT, "log", S_IFREG | 0600, 0, nobody, false, &log))
		return "no log";
	for (unsigned n = 0; !atomic_load(&stop); n++) {
		memset(buf, 'a' + (int)(n % 26), sizeof(buf));
		snprintf(name, sizeof(name), "name%u", n % 20);
		if (n < 4000 && daxfs_write(fs, log.ino, buf, sizeof(buf), 0, DAXFS_APPEND) != sizeof(buf))
			return "no append";
		if (daxfs_unlink(fs, DAXFS_ROOT, name) == -ENOENT &&
		    daxfs_mknod(fs, DAXFS_ROOT, name, S_IFREG | 0600, 0, nobody, false, &attr))
			return "no name";
		usleep(100);
	}
	return NULL;
}

static void judge(struct daxfs *fs)
{
	struct daxfs_attr current = find(fs, DAXFS_ROOT, "current"), log = find(fs, DAXFS_ROOT, "log");
	static uint8_t buf[4u << 20];

	assert_int_equal(current.size, 9000);
	assert_int_equal(daxfs_read(fs, current.ino, buf, 9000, 0), 9000);
	for (unsigned i = 0; i < 9000; i++)
		assert_true(buf[i] == buf[0] && buf[0]);
	assert_int_equal(log.size % 1000, 0);
	assert_int_equal(daxfs_read(fs, log.ino, buf, sizeof(buf), 0), log.size);
	for (unsigned i = 0; i < log.size; i++)
		assert_int_equal(buf[i], 'a' + i / 1000 % 26);
}

static void two_hosts_at_work(void **unused)
{
	struct daxfs_attr attr;
	pthread_t thread[2];
	struct daxfs *fs;
	struct place p;
	void *wrong;

	(void)unused;
	setup(&p);
	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&thread[0], NULL, replace, p.host[0]), 0);
	assert_int_equal(pthread_create(&thread[1], NULL, append, p.host[1]), 0);
	while (daxfs_lookup(p.host[0], DAXFS_ROOT, "current", &attr) ||
	       daxfs_lookup(p.host[0], DAXFS_ROOT, "log", &attr))
		usleep(1000);
	for (unsigned n = 0; n < 5; n++) {
		ctl_run(&p.r, "backup --force --online %s %s", p.pool, p.copy);
		ctl_expect(&p.r, CTL_OK, "copied ");
		fs = restored(&p);
		judge(fs);
		leave(fs);
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(thread[i], &wrong), 0);
		if (wrong)
			fail_msg("host %u: %s", i, (char *)wrong);
	}
	teardown(&p);
}

/* -- what is refused -------------------------------------------------------------------------- */

static void without_a_slot(void **unused)
{
	struct daxfs *third, *spare;
	struct place p;

	(void)unused;
	setup(&p);
	third = join(p.pool, 2, "two");
	spare = join(p.pool, 3, "three");
	ctl_run(&p.r, "backup --force --online %s %s", p.pool, p.copy);
	ctl_expect(&p.r, CTL_REFUSED, "host 0 is ALIVE");
	leave(third);
	leave(spare);
	ctl_run(&p.r, "backup --force --online %s %s/nowhere/copy", p.pool, p.dir);
	ctl_expect(&p.r, CTL_ERROR, "nowhere");
	leave(join(p.pool, 3, "three")); /* it has left */
	teardown(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_it_is),
		cmocka_unit_test(written_in_the_middle_of_a_look),
		cmocka_unit_test(written_all_the_time),
		cmocka_unit_test(two_hosts_at_work),
		cmocka_unit_test(without_a_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
