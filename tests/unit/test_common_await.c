/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_common_await.c - a daemon that starts before its pool's device has a name.
 *
 * The name is one in /dev/shm, written so that it is none of those that are not waited for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/await_pool.h"
#include "common/clock.h"
#include "common/log.h"

struct place {
	char dir[64], link[96], target[96], log[96];
	int notices;
};

static void setup(struct place *p)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memset(p, 0, sizeof(*p));
	strcpy(p->dir, "/dev/shm/daxfs-await-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->link, sizeof(p->link), "/dev/.%s/link", p->dir + 4);
	snprintf(p->target, sizeof(p->target), "%s/device", p->dir);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", p->dir);
	p->notices = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(p->notices >= 0);
	assert_int_equal(bind(p->notices, (struct sockaddr *)&address, sizeof(address)), 0);
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
	log_start("test", 100);
}

static void teardown(struct place *p)
{
	char notify[96];

	snprintf(notify, sizeof(notify), "%s/notify", p->dir);
	close(p->notices);
	unsetenv("NOTIFY_SOCKET");
	unlink(notify);
	unlink(p->link);
	unlink(p->target);
	assert_int_equal(rmdir(p->dir), 0);
}

/* What the service manager was told first; then nothing more than patience. */
static void expect_notice(const struct place *p, const char *words)
{
	char text[256];
	ssize_t n = recv(p->notices, text, sizeof(text) - 1, MSG_DONTWAIT);

	assert_true(n > 0);
	text[n] = '\0';
	assert_non_null(strstr(text, words));
}

/* udev: the name first, what it names later. */
static void *make_device(void *context)
{
	const struct place *p = context;
	int fd;

	clock_nap_ms(150);
	assert_int_equal(symlink(p->target, p->link), 0);
	clock_nap_ms(150);
	fd = open(p->target, O_CREAT | O_RDWR, 0600);
	assert_true(fd >= 0);
	close(fd);
	return NULL;
}

static void waits_for_a_device(void **unused)
{
	pthread_t udev;
	struct place p;

	(void)unused;
	setup(&p);
	assert_int_equal(pthread_create(&udev, NULL, make_device, &p), 0);
	await_pool(p.link, 3600);
	assert_int_equal(access(p.target, F_OK), 0);
	pthread_join(udev, NULL);
	expect_notice(&p, "STATUS=waiting up to 3600 s for /dev/./shm/");
	expect_notice(&p, "EXTEND_TIMEOUT_USEC=");
	teardown(&p);
}

static void but_not_for_ever(void **unused)
{
	int64_t began;
	struct place p;

	(void)unused;
	setup(&p);
	began = clock_ms();
	await_pool(p.link, 1);
	assert_true(clock_ms() - began >= 1000);
	teardown(&p);
}

/* Nobody asked to wait; it is there; it is a file, which does not come by itself. */
static void does_not_wait(void **unused)
{
	char byte;
	struct place p;

	(void)unused;
	setup(&p);
	await_pool(p.link, 0);
	await_pool(p.dir, 3600);
	await_pool("/dev/null", 3600);
	await_pool(p.target, 3600);
	await_pool("/nonexistent/pool", 3600);
	assert_int_equal(recv(p.notices, &byte, 1, MSG_DONTWAIT), -1);
	teardown(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_for_a_device),
		cmocka_unit_test(but_not_for_ever),
		cmocka_unit_test(does_not_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
