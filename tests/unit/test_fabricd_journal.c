/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_fabricd_journal.c - what a journal gets of a real pool: a host dies, is fenced and recovered. Each id that
 * fabricd(8) lists comes out, with its fields, and no other.
 *
 * The journal is a socket of this test. Polls are made one after the other; no test waits for time.
 */
#include <errno.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/log.h"
#include "fabricd_real.h"

#define ID_CHARS 32

/* For good: who asks a journal for these finds years. So they are written out here. */
static const struct kind {
	const char *id, *priority, *with[4];
} kinds[] = {
	{ "30af1a7494354e9c82c558df1e16976f", "6", { "DAXFS_POOL=testpool\n", "DAXFS_EPOCH=1\n" } },
	{ "8bef724943494865ab636ebc570e6bc6",
	  "6",
	  { "DAXFS_POOL=testpool\n", "DAXFS_NAME=host1\n", "DAXFS_STATE=RECOVERING\n" } },
	{ "76bcc07262aa481cbd7578ee22f3f498",
	  "4",
	  { "DAXFS_HOST=1\n", "DAXFS_NAME=host1\n", "DAXFS_STATE=SUSPECT\n" } },
	{ "890fd71311c645bcac31c925db837b71",
	  "4",
	  { "DAXFS_HOST=1\n", "DAXFS_GENERATION=0\n", "DAXFS_STATE=FENCING\n" } },
	{ "492e0863f557439e8917727aab553980",
	  "4",
	  { "DAXFS_HOST=1\n", "DAXFS_GENERATION=1\n", "DAXFS_STATE=FENCED\n" } },
	{ "c0967aae9fbd48fc9670d981f5c1fbc5", "6", { "DAXFS_HOST=1\n", "DAXFS_STATE=RECOVERED\n" } },
	{ "ef5a65fdc49a4e57b3427f5d0e7d90a3", "4", { "DAXFS_POOL=testpool\n", "DAXFS_CODE=host-absent\n" } },
	{ "9464fa0d7f684c93b00cae23d39cb947", "6", { "DAXFS_POOL=testpool\n", "DAXFS_CODE=host-absent\n" } },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct journal {
	struct real r;
	char path[64];
	int fd;
	bool seen[KINDS]; /* one with all of its fields */
};

static void journal_begin(struct journal *j)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	memset(j, 0, sizeof(*j));
	snprintf(j->path, sizeof(j->path), "/tmp/daxfs-journal-%d", (int)getpid());
	strcpy(at.sun_path, j->path);
	j->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(j->fd, (struct sockaddr *)&at, sizeof(at)), 0);
	log_journal_at(j->path);
	real_start(&j->r);
}

static void journal_end(struct journal *j)
{
	real_stop(&j->r);
	log_journal_at("/nonexistent");
	close(j->fd);
	unlink(j->path);
}

static bool has_all(const char *message, const struct kind *kind)
{
	char priority[32];

	snprintf(priority, sizeof(priority), "\nPRIORITY=%s\n", kind->priority);
	if (!strstr(message, priority) || !strstr(message, "\nMESSAGE="))
		return false;
	for (unsigned i = 0; i < 4 && kind->with[i]; i++)
		if (!strstr(message, kind->with[i]))
			return false;
	return true;
}

static void take(struct journal *j, const char *message)
{
	unsigned k = 0;

	assert_int_equal(strncmp(message, "MESSAGE_ID=", 11), 0);
	while (k < KINDS && strncmp(message + 11, kinds[k].id, ID_CHARS) != 0)
		k++;
	if (k == KINDS)
		fail_msg("an id that fabricd(8) does not list: %s", message);
	j->seen[k] |= has_all(message, &kinds[k]);
}

static void read_all(struct journal *j)
{
	char message[4096];
	ssize_t n;

	while ((n = recv(j->fd, message, sizeof(message) - 1, 0)) > 0) {
		message[n] = '\0';
		take(j, message);
	}
	assert_int_equal(errno, EAGAIN);
}

/* The journal is read all the while: it has room for some ten. */
static void polls(struct journal *j, unsigned n, unsigned beating)
{
	while (n--) {
		real_polls(&j->r, 1, beating);
		health_poll(&j->r.watch.health, &j->r.watch);
		real_agents(&j->r);
		read_all(j);
	}
}

static void until(struct journal *j, enum daxfs_host_state state)
{
	for (unsigned i = 0; real_view(&j->r, 1).state != state; i++) {
		assert_true(i < 100);
		polls(j, 1, 1);
	}
}

static void each_kind_comes_out(void **state)
{
	struct daxfs_recovery recovery[2];
	struct journal j;

	(void)state;
	journal_begin(&j);
	strcpy(j.r.options.expected[j.r.options.n_expected++], "host2");
	real_join(&j.r, 0);
	real_join(&j.r, 1);
	polls(&j, TIMING_MANAGER_POLLS + TIMING_WINDOW_POLLS + 2, 3);
	until(&j, DAXFS_HOST_RECOVERING);
	polls(&j, 1, 1);
	assert_int_equal(daxfs_recover_assigned(j.r.host[0], recovery, 2), 1);
	until(&j, DAXFS_HOST_FREE);
	real_join(&j.r, 2);
	polls(&j, 2, 5);
	for (unsigned k = 0; k < KINDS; k++)
		if (!j.seen[k])
			fail_msg("%s (%s) did not come out", kinds[k].id, kinds[k].with[1]);
	journal_end(&j);
}

/* The lines of the manual's table that begin with an id. */
static void the_manual_lists_them(void **state)
{
	static const char here[] = __FILE__, hex[] = "0123456789abcdef";
	char path[PATH_MAX], line[256];
	unsigned listed = 0;
	FILE *file;

	(void)state;
	snprintf(path, sizeof(path), "%.*s../../deploy/man/fabricd.8", (int)(strrchr(here, '/') + 1 - here), here);
	file = fopen(path, "r");
	if (!file)
		fail_msg("%s: %s (tests run in the source tree)", path, strerror(errno));
	while (fgets(line, sizeof(line), file)) {
		unsigned k = 0;

		if (strspn(line, hex) != ID_CHARS)
			continue;
		while (k < KINDS && strncmp(line, kinds[k].id, ID_CHARS) != 0)
			k++;
		if (k == KINDS)
			fail_msg("fabricd(8) lists what fabricd does not say: %s", line);
		listed++;
	}
	fclose(file);
	assert_int_equal(listed, KINDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_comes_out),
		cmocka_unit_test(the_manual_lists_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
