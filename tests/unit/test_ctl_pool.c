/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_ctl_pool.c - daxfsctl on real pools, without fabricd: mkfs, status, check,
 * dump, selftest, and the whole way back of a host that was killed.
 *
 * The host is a child process that maps the pool itself and is ended by SIGKILL.
 */
#include "ctl_run.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>

#include "daxfs/format.h"
#include "daxfs/member.h"
#include "daxfsctl/medium.h"
#include "fake_root.h"

struct place {
	char dir[64], pool[96];
	struct ctl_run r;
};

static void setup(struct place *p, const char *options)
{
	memset(p, 0, sizeof(*p));
	strcpy(p->dir, "/dev/shm/daxfs-ctl-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->pool, sizeof(p->pool), "%s/pool", p->dir);
	ctl_run(&p->r, "mkfs %s --size 16M --name unit --hosts 3 --lanes 2 --heartbeat-ms 20 %s", p->pool, options);
	ctl_expect(&p->r, CTL_OK, "pool unit ");
}

static void teardown(struct place *p)
{
	ctl_run_end(&p->r);
	unlink(p->pool);
	assert_int_equal(rmdir(p->dir), 0);
}

/* -- hosts that live in children -------------------------------------------------- */

struct child {
	pid_t pid;
	int ready; /* its pipe; a byte when it has done its work */
};

/* Join, leave a file unlinked but held, say so, and wait to be killed, beating or not. */
static void child_main(const char *pool, unsigned host, bool beats, int ready)
{
	static const char *const names[] = { "elder", "child", "third" };
	struct daxfs_cred cred = { 0, 0 };
	struct daxfs_error err;
	struct daxfs_attr attr;
	struct daxfs *fs;
	char name[32];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(name, sizeof(name), "file%u", host);
	if (daxfs_open(pool, DAXFS_READ_WRITE, &fs, &err) || daxfs_join(fs, host, names[host], &err) ||
	    daxfs_mknod(fs, DAXFS_ROOT, name, S_IFREG | 0644, 0, cred, true, &attr) ||
	    daxfs_write(fs, attr.ino, "hello", 5, 0, 0) != 5 || daxfs_unlink(fs, DAXFS_ROOT, name) ||
	    daxfs_mkdir(fs, DAXFS_ROOT, names[host], 0755, cred, &attr))
		_exit(1);
	if (write(ready, "", 1) != 1)
		_exit(2);
	for (;;) {
		if (beats)
			daxfs_beat(fs);
		usleep(2000);
	}
}

static struct child child_start(const char *pool, unsigned host, bool beats)
{
	struct child c;
	int fd[2];
	char byte;

	assert_int_equal(pipe(fd), 0);
	c.pid = fork();
	assert_true(c.pid >= 0);
	if (c.pid == 0)
		child_main(pool, host, beats, fd[1]);
	close(fd[1]);
	c.ready = fd[0];
	assert_int_equal(read(c.ready, &byte, 1), 1);
	return c;
}

static void child_kill(const struct child *c)
{
	int status;

	kill(c->pid, SIGKILL);
	assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	assert_true(WIFSIGNALED(status));
	close(c->ready);
}

/* -- pools at rest ------------------------------------------------------------------ */

static void a_new_pool(void **unused)
{
	struct place p;

	(void)unused;
	setup(&p, "--domain wb --inodes 100 --opens 7");
	ctl_run(&p.r, "status %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "format 4  wb  leases 2000 ms  epoch 1   no fabricd   UNUSED: no fabricd has run\n");
	assert_non_null(strstr(p.r.out, "\nno fabricd has run: nobody would notice that a host died; on two machines: "
					"systemctl enable --now fabricd@unit\n"));
	ctl_run(&p.r, "status --json --direct %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "\"opens_per_host\": 7");
	ctl_expect_json(&p.r, "\"inodes\": 100");
	ctl_run(&p.r, "hosts %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "slots 3 of 3 free\n");
	ctl_run(&p.r, "check %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "clean; files 0, directories 1, names 0, pages in use 1\n");
	ctl_run(&p.r, "check %s --json", p.pool);
	ctl_expect_json(&p.r, "\"clean\": true");
	ctl_run(&p.r, "selftest %s --processes 3 --increments 1000", p.pool);
	ctl_expect(&p.r, CTL_OK, "grew by 3000 of 3000: exact");
	ctl_run(&p.r, "--json selftest %s --processes 2 --increments 500", p.pool);
	ctl_expect_json(&p.r, "\"grown\": 1000");
	teardown(&p);
}

/* Of what other machines may share, in a guest, alone. */
static void heartbeat_of_a_guest(void **unused)
{
	struct fake_root f;
	struct place p;

	(void)unused;
	setup(&p, "");
	fake_root_make(&f);
	fake_root_put(&f, "/proc/cpuinfo", "flags\t\t: fpu\n");
	assert_int_equal(medium_heartbeat_ms("/dev/null", f.path), 0);
	fake_root_put(&f, "/proc/cpuinfo", "flags\t\t: fpu hypervisor\n");
	assert_int_equal(medium_heartbeat_ms("/dev/null", f.path), 200);
	assert_int_equal(medium_heartbeat_ms(p.pool, f.path), 0);
	assert_int_equal(medium_heartbeat_ms("/nowhere", f.path), 0);
	fake_root_end(&f);
	teardown(&p);
}

static void heartbeats(void **unused)
{
	struct place p;

	(void)unused;
	setup(&p, "--lease-ms 2000");
	ctl_run(&p.r, "heartbeat %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "heartbeat 20 ms\n");
	ctl_run(&p.r, "heartbeat %s --profile rt", p.pool);
	ctl_expect(&p.r, CTL_OK, "heartbeat 5 ms; hosts are judged by 20 ms until");
	ctl_run(&p.r, "heartbeat %s --ms 500 --json", p.pool);
	ctl_expect_json(&p.r, "\"judged_ms\": 500");
	ctl_run(&p.r, "status %s --json", p.pool);
	ctl_expect_json(&p.r, "\"heartbeat_ms\": 500");
	ctl_expect_json(&p.r, "\"heartbeat_made_ms\": 20");
	ctl_expect_json(&p.r, "heartbeat 500 ms; was 5 ms");
	ctl_run(&p.r, "status %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "\nheartbeat 500 ms, made with 20, since 20");
	ctl_run(&p.r, "heartbeat %s --ms 501", p.pool);
	ctl_expect(&p.r, CTL_USAGE, "at most 500 with leases of 2000 ms");
	ctl_run(&p.r, "mkfs %s --force --size 16M --profile rt --json", p.pool);
	ctl_expect_json(&p.r, "\"heartbeat_ms\": 5");
	teardown(&p);
}

static void features(void **unused)
{
	struct place p;

	(void)unused;
	setup(&p, "");
	ctl_run(&p.r, "features %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "cache    incompat on\nlinks    incompat on\nevents   compat   on, by mkfs\nheat ");
	ctl_run(&p.r, "features %s --enable cache --json", p.pool);
	ctl_expect(&p.r, CTL_OK, "\"unknown_to\"");
	ctl_run(&p.r, "features %s --enable colour", p.pool);
	ctl_expect(&p.r, CTL_USAGE, "colour: no such feature; daxfsctl features POOL lists them");
	teardown(&p);
}

static void mkfs_refuses(void **unused)
{
	static const char *const out_of_range[] = {
		"--size 16M --lease-ms 7",
		"--size 16M --lease-ms 60001",
		"--size 16M --heartbeat-ms 1",
		"--size 16M --hosts 64",
		"--size 16M --hosts 63 --lanes 999",
		"--size 16M --opens 99999999",
		"--size 16M --inodes 1",
		"--size 16M --cache-max 4K",
		"--size 99T",
		"--size 4K",
		"--size 16M --name a\tb",
		"--size 9999999T",
		"",
	};
	struct place p;
	char second[128];

	(void)unused;
	setup(&p, "");
	snprintf(second, sizeof(second), "%s2", p.pool);
	ctl_run(&p.r, "mkfs %s --size 16M", p.pool);
	ctl_expect(&p.r, CTL_REFUSED, "--force");
	ctl_run(&p.r, "mkfs %s --size 16M --name again --force --json", p.pool);
	assert_int_equal(p.r.code, CTL_OK);
	ctl_expect_json(&p.r, "\"name\": \"again\"");
	for (unsigned i = 0; i < sizeof(out_of_range) / sizeof(out_of_range[0]); i++) {
		ctl_run(&p.r, "mkfs %s2 %s", p.pool, out_of_range[i]);
		ctl_expect(&p.r, CTL_USAGE, "");
		assert_int_not_equal(access(second, F_OK), 0);
	}
	ctl_run(&p.r, "mkfs /dev/null --size 16M"); /* that is no value out of range */
	ctl_expect(&p.r, CTL_ERROR, "not a device-DAX device");
	ctl_run(&p.r, "mkfs %s/x --size 16M", p.pool);
	ctl_expect(&p.r, CTL_ERROR, "");
	teardown(&p);
}

/* A file that the kernel keeps on a disk is a pool, too, but hardly the one that was meant. */
static void on_a_disk(void **unused)
{
	char path[] = "/var/tmp/daxfs-disk-XXXXXX";
	int fd = mkstemp(path);
	struct ctl_run r = { 0 };
	struct statfs s;

	(void)unused;
	assert_true(fd >= 0 && fstatfs(fd, &s) == 0);
	close(fd);
	ctl_run(&r, "mkfs %s --size 16M", path);
	assert_int_equal(r.code, CTL_OK);
	if (s.f_type == 0x01021994 /* TMPFS_MAGIC */)
		assert_string_equal(r.err, "");
	else
		assert_non_null(strstr(r.err, "is on a disk, not in memory"));
	unlink(path);
	ctl_run_end(&r);
}

static void dumps(void **unused)
{
	struct place p;

	(void)unused;
	setup(&p, "");
	ctl_run(&p.r, "dump %s super", p.pool);
	ctl_expect(&p.r, CTL_OK, "name=unit ");
	ctl_run(&p.r, "dump %s member", p.pool);
	ctl_expect(&p.r, CTL_OK, "host=3 ");
	ctl_run(&p.r, "dump %s lanes --json", p.pool);
	ctl_expect(&p.r, CTL_OK, "\"lane\": \"7\"");
	ctl_expect_json(&p.r, "\"what\": \"lanes\"");
	ctl_run(&p.r, "dump %s inode 1", p.pool);
	ctl_expect(&p.r, CTL_OK, "inode=1 state=LIVE");
	ctl_run(&p.r, "dump %s dir 1", p.pool);
	ctl_expect(&p.r, CTL_OK, "level=0 page=0 count=0\n");
	ctl_run(&p.r, "dump %s dir 2 --json", p.pool);
	ctl_expect(&p.r, CTL_ERROR, "not a directory");
	ctl_expect_json(&p.r, "\"exit\": 8");
	ctl_run(&p.r, "dump %s inode 123456", p.pool);
	ctl_expect(&p.r, CTL_ERROR, "no inode of that number");
	ctl_run(&p.r, "dump %s nonsense", p.pool);
	ctl_expect(&p.r, CTL_USAGE, "give super");
	teardown(&p);
}

/* One bit of the second superblock: usable, and found. */
static void damage_is_reported(void **unused)
{
	struct place p;
	char byte;
	int fd;

	(void)unused;
	setup(&p, "");
	fd = open(p.pool, O_RDWR);
	assert_int_equal(pread(fd, &byte, 1, 4096 + 100), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, 4096 + 100), 1);
	close(fd);
	ctl_run(&p.r, "check %s", p.pool);
	ctl_expect(&p.r, CTL_PROBLEMS, "bad-super: superblock 1: wrong checksum\n");
	assert_non_null(strstr(p.r.out, ": 1 problem; "));
	ctl_run(&p.r, "check %s --json", p.pool);
	assert_int_equal(p.r.code, CTL_PROBLEMS);
	ctl_expect_json(&p.r, "\"kind\": \"bad-super\",\n");
	assert_int_equal(truncate(p.pool, 100000), 0);
	ctl_run(&p.r, "check %s", p.pool);
	ctl_expect(&p.r, CTL_ERROR, "");
	teardown(&p);
}

static void repaired(void **unused)
{
	struct sm_super super;
	struct place p;
	char byte = 'x';
	int fd;

	(void)unused;
	setup(&p, "");
	ctl_run(&p.r, "repair %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "clean: nothing to repair\n");
	fd = open(p.pool, O_RDWR);
	assert_int_equal(pread(fd, &super, sizeof(super), 0), sizeof(super));
	assert_int_equal(pwrite(fd, &byte, 1, 4096 + 100), 1); /* a copy of the superblock, */
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)super.region[DAXFS_R_OPEN_TABLE].offset), 1); /* and a header */
	close(fd);
	ctl_run(&p.r, "check %s", p.pool);
	assert_int_equal(p.r.code, CTL_ERROR);
	assert_non_null(strstr(p.r.err, "daxfsctl repair"));
	ctl_run(&p.r, "repair %s --dry-run", p.pool);
	ctl_expect(&p.r, CTL_PROBLEMS, "2 problems, 2 repairs would be tried first; nothing was changed\n");
	assert_non_null(strstr(p.r.out, "would: superblock 1: written anew"));
	ctl_run(&p.r, "repair %s --dry-run --json", p.pool);
	ctl_expect_json(&p.r, "\"dry_run\"");
	ctl_run(&p.r, "repair %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "2 problems, 2 repairs, 0 losses, 0 files found; the check is clean\n");
	ctl_run(&p.r, "check %s", p.pool);
	assert_int_equal(p.r.code, CTL_OK);
	ctl_run(&p.r, "repair %s --item 1 --json", p.pool); /* the root: in use, and so it stays */
	assert_int_equal(p.r.code, CTL_REFUSED);
	ctl_expect_json(&p.r, "\"repaired\": false");
	teardown(&p);
}

/* In use: it says by whom, and does nothing. */
static void not_repaired_in_use(void **unused)
{
	struct place p;
	struct child c;

	(void)unused;
	setup(&p, "");
	c = child_start(p.pool, 1, true);
	ctl_run(&p.r, "repair %s", p.pool);
	assert_int_equal(p.r.code, CTL_REFUSED);
	assert_non_null(strstr(p.r.err, "host 1 is ALIVE"));
	ctl_run(&p.r, "repair %s --json", p.pool);
	ctl_expect_json(&p.r, "host 1 is ALIVE");
	child_kill(&c);
	teardown(&p);
}

/* -- a host dies --------------------------------------------------------------------- */

static void killed_and_recovered(void **unused)
{
	struct place p;
	struct child c;

	(void)unused;
	setup(&p, "");
	c = child_start(p.pool, 1, true);
	ctl_run(&p.r, "status %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "DEGRADED: no fabricd has run\n");
	assert_non_null(strstr(p.r.out, "\ndegraded: no fabricd has run: nobody would notice that a host died; on two "
					"machines: systemctl enable --now fabricd@unit\n"));
	assert_non_null(strstr(p.r.out, "\n 1 child  ALIVE         0  "));
	ctl_run(&p.r, "status %s --json", p.pool);
	ctl_expect_json(&p.r, "\"pins\": 1,");
	ctl_expect_json(&p.r, "\"beating\": true");
	ctl_expect_json(&p.r, "\"free_slots\": 2");
	ctl_expect_json(&p.r, "\"healthy\": false");
	ctl_run(&p.r, "status %s --json --watch --wait 0", p.pool);
	ctl_expect(&p.r, CTL_OK, "\"schema\": \"daxfs-status-1\"");
	assert_ptr_equal(strchr(p.r.out, '\n'), p.r.out + strlen(p.r.out) - 1); /* a line each */
	ctl_run(&p.r, "check %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "clean; files 1, directories 2, names 1");
	ctl_run(&p.r, "confirm-dead %s --direct --host 1", p.pool);
	ctl_expect(&p.r, CTL_REFUSED, "host 1 is not dead");
	ctl_run(&p.r, "recover %s --direct --host 1", p.pool);
	ctl_expect(&p.r, CTL_REFUSED, "host 1 is ALIVE");
	child_kill(&c);
	ctl_run(&p.r, "status %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "1 host without heartbeat");
	ctl_run(&p.r, "recover %s --host 1 --dry-run", p.pool);
	ctl_expect(&p.r, CTL_OK, "held open: would be released, then freed: no name, no holder\n");
	ctl_run(&p.r, "recover %s --host 1 --dry-run --json", p.pool);
	ctl_expect_json(&p.r, "\"would\": [");
	ctl_run(&p.r, "confirm-dead 1 %s --direct", p.pool);
	ctl_expect(&p.r, CTL_OK, "host 1 is FENCED, generation 1\n");
	ctl_run(&p.r, "confirm-dead 1 %s --direct --json", p.pool);
	ctl_expect_json(&p.r, "\"state\": \"FENCED\"");
	ctl_run(&p.r, "status %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "DEGRADED: 1 host fenced");
	ctl_run(&p.r, "recover %s --direct --host 1 --as 1", p.pool);
	ctl_expect(&p.r, CTL_USAGE, "give another host slot");
	ctl_run(&p.r, "recover %s --direct --host 1", p.pool);
	ctl_expect(&p.r, CTL_OK, "host 1 recovered in ");
	assert_non_null(strstr(p.r.out, "1 pin"));
	ctl_run(&p.r, "recover %s --direct --host 1", p.pool);
	ctl_expect(&p.r, CTL_REFUSED, "nothing of it is left");
	ctl_run(&p.r, "check %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "clean; files 0, directories 2, names 1");
	ctl_run(&p.r, "status %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "UNUSED");
	assert_non_null(strstr(p.r.out, "confirmed dead by operator"));
	teardown(&p);
}

/* No slot is left to work from. */
static void all_are_dead(void **unused)
{
	struct child c[3];
	struct place p;

	(void)unused;
	setup(&p, "");
	for (unsigned host = 0; host < 3; host++)
		c[host] = child_start(p.pool, host, true);
	for (unsigned host = 0; host < 3; host++)
		child_kill(&c[host]);
	for (unsigned host = 0; host < 3; host++)
		ctl_run(&p.r, "confirm-dead %s --direct --host %u", p.pool, host);
	ctl_run(&p.r, "status %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "3 hosts fenced");
	for (unsigned host = 0; host < 3; host++) {
		ctl_run(&p.r, "recover %s --direct --host %u", p.pool, host);
		ctl_expect(&p.r, CTL_OK, "recovered in ");
		assert_non_null(strstr(p.r.out, "1 pin"));
	}
	ctl_run(&p.r, "status %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "UNUSED");
	ctl_run(&p.r, "check %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "clean; files 0,");
	teardown(&p);
}

/* The recoverer died too: its recovery is taken from it once it is fenced. */
static void recoverer_died(void **unused)
{
	struct daxfs_error err;
	struct daxfs_host_view v;
	struct daxfs_member *m;
	struct place p;
	struct child c[2];

	(void)unused;
	setup(&p, "");
	c[0] = child_start(p.pool, 0, false);
	c[1] = child_start(p.pool, 1, false);
	child_kill(&c[0]);
	child_kill(&c[1]);
	ctl_run(&p.r, "confirm-dead %s --direct --host 1", p.pool);
	ctl_expect(&p.r, CTL_OK, "host 1 is FENCED");
	assert_int_equal(daxfs_member_open(p.pool, true, &m, &err), 0);
	assert_int_equal(daxfs_member_host(m, 1, &v), 0);
	assert_int_equal(daxfs_member_move(m, &v, DAXFS_HOST_RECOVERING, 0, 0, DAXFS_REASON_NONE, 0), 0);
	ctl_run(&p.r, "recover %s --direct --host 1", p.pool);
	ctl_expect(&p.r, CTL_REFUSED, "host 0 is recovering host 1");
	ctl_run(&p.r, "confirm-dead %s --direct --host 0", p.pool);
	ctl_expect(&p.r, CTL_OK, "host 0 is FENCED");
	ctl_run(&p.r, "recover %s --direct --host 1 --as 2 --json", p.pool);
	ctl_expect_json(&p.r, "\"state\": \"RECOVERED\"");
	ctl_run(&p.r, "recover %s --direct --host 0", p.pool);
	ctl_expect(&p.r, CTL_OK, "host 0 recovered");
	ctl_run(&p.r, "check %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "clean; files 0, directories 3, names 2");
	daxfs_member_close(m);
	teardown(&p);
}

struct beater {
	struct daxfs_member *m;
	atomic_bool done;
};

static void *beat_manager(void *context)
{
	struct beater *b = context;

	while (!atomic_load(&b->done)) {
		daxfs_member_manager_beat(b->m, 1);
		usleep(1000);
	}
	return NULL;
}

/* While a fabricd beats, its decisions stand. */
static void fabricd_is_at_work(void **unused)
{
	struct daxfs_manager_view seen;
	struct daxfs_member *m;
	struct daxfs_error err;
	struct place p;
	struct child c;
	uint32_t epoch;
	struct beater beater;
	pthread_t thread;

	(void)unused;
	setup(&p, "");
	c = child_start(p.pool, 1, false);
	child_kill(&c);
	assert_int_equal(daxfs_member_open(p.pool, true, &m, &err), 0);
	daxfs_member_manager(m, &seen);
	assert_int_equal(daxfs_member_claim(m, &seen, &epoch), 0);
	beater = (struct beater){ .m = m };
	assert_int_equal(pthread_create(&thread, NULL, beat_manager, &beater), 0);
	ctl_run(&p.r, "confirm-dead %s --direct --host 1", p.pool);
	ctl_expect(&p.r, CTL_REFUSED, "is at work");
	ctl_run(&p.r, "status %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "(primary)");
	atomic_store(&beater.done, true);
	pthread_join(thread, NULL);
	ctl_run(&p.r, "status %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "fabricd does not beat");
	ctl_run(&p.r, "confirm-dead %s --direct --host 1", p.pool);
	ctl_expect(&p.r, CTL_OK, "host 1 is FENCED");
	daxfs_member_close(m);
	teardown(&p);
}

/* What udev takes: each line a key and a value without anything to quote. */
static void probes(void **unused)
{
	struct place p;
	char uuid[40];

	(void)unused;
	setup(&p, "");
	ctl_run(&p.r, "probe %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "DAXFS_NAME=unit\n");
	assert_int_equal(sscanf(p.r.out, "DAXFS_UUID=%36[0-9a-f-]\n", uuid), 1);
	assert_int_equal(strlen(uuid), 36);
	ctl_run(&p.r, "probe %s --json", p.pool);
	ctl_expect(&p.r, CTL_OK, uuid);
	ctl_run(&p.r, "mkfs %s --size 16M --force --name a$b/c", p.pool);
	ctl_run(&p.r, "probe %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "DAXFS_NAME=a_b_c\n");
	ctl_run(&p.r, "probe /dev/zero");
	ctl_expect(&p.r, CTL_ERROR, "");
	ctl_run(&p.r, "probe %s-none", p.pool);
	ctl_expect(&p.r, CTL_ERROR, "");
	teardown(&p);
}

/* A line is NAME{LABELS} VALUE; a name of the pool cannot end a label. */
static void metrics(void **unused)
{
	struct place p;
	struct child c;

	(void)unused;
	setup(&p, "");
	ctl_run(&p.r, "mkfs %s --size 16M --force --name a\"b\\c --heartbeat-ms 20", p.pool);
	c = child_start(p.pool, 1, true);
	ctl_run(&p.r, "metrics %s", p.pool);
	ctl_expect(&p.r, CTL_OK,
		   "daxfs_host_state{pool=\"a\\\"b\\\\c\",host=\"1\",name=\"child\",state=\"ALIVE\"} 1\n");
	ctl_expect(&p.r, CTL_OK, "name=\"child\",state=\"FENCED\"} 0\n");
	ctl_expect(&p.r, CTL_OK, "daxfs_objects{pool=\"a\\\"b\\\\c\",type=\"inode\",state=\"live\"} 4\n");
	ctl_expect(&p.r, CTL_OK, "daxfs_reserved_pages{pool=\"a\\\"b\\\\c\"} 2");
	assert_null(strstr(p.r.out, "host=\"0\""));
	for (char *line = strtok(p.r.out, "\n"); line; line = strtok(NULL, "\n"))
		assert_true(strncmp(line, "daxfs_", 6) == 0 ? strstr(line, "} ") != NULL : line[0] == '#');
	child_kill(&c);
	teardown(&p);
}

static void wrong_targets(void **unused)
{
	struct place p;

	(void)unused;
	setup(&p, "");
	ctl_run(&p.r, "confirm-dead %s --direct --host 0", p.pool);
	ctl_expect(&p.r, CTL_REFUSED, "host 0 is FREE");
	ctl_run(&p.r, "confirm-dead %s --direct --host 9", p.pool);
	ctl_expect(&p.r, CTL_USAGE, "hosts 0 to 3");
	ctl_run(&p.r, "recover %s --host 9 --dry-run", p.pool);
	ctl_expect(&p.r, CTL_USAGE, "hosts 0 to 3");
	ctl_run(&p.r, "recover %s --direct --host 2", p.pool);
	ctl_expect(&p.r, CTL_REFUSED, "nothing of it is left");
	ctl_run(&p.r, "recover %s2 --direct --host 2", p.pool);
	ctl_expect(&p.r, CTL_ERROR, "");
	teardown(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_pool),
		cmocka_unit_test(heartbeats),
		cmocka_unit_test(heartbeat_of_a_guest),
		cmocka_unit_test(features),
		cmocka_unit_test(mkfs_refuses),
		cmocka_unit_test(on_a_disk),
		cmocka_unit_test(dumps),
		cmocka_unit_test(damage_is_reported),
		cmocka_unit_test(repaired),
		cmocka_unit_test(not_repaired_in_use),
		cmocka_unit_test(killed_and_recovered),
		cmocka_unit_test(all_are_dead),
		cmocka_unit_test(recoverer_died),
		cmocka_unit_test(fabricd_is_at_work),
		cmocka_unit_test(probes),
		cmocka_unit_test(metrics),
		cmocka_unit_test(wrong_targets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
