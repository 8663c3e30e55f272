/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_common_log.c - lines on a pipe and a socket in stderr's place, one that
 * nobody reads, and several threads at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"

#define THREADS 4
#define THREAD_LINES 2000

struct sink {
	int kept, in, out; /* the real stderr; what is read, what is written */
};

static void sink_open(struct sink *s, int in, int out)
{
	*s = (struct sink){ .kept = dup(STDERR_FILENO), .in = in, .out = out };
	assert_true(s->kept >= 0);
	assert_true(dup2(out, STDERR_FILENO) >= 0);
}

static void sink_pipe(struct sink *s)
{
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	sink_open(s, fd[0], fd[1]);
}

/* No more is written. */
static void sink_end(struct sink *s)
{
	assert_true(dup2(s->kept, STDERR_FILENO) >= 0);
	close(s->kept);
	close(s->out);
}

/* What there is now. */
static const char *sink_read(const struct sink *s, char *text, size_t size)
{
	ssize_t n = read(s->in, text, size - 1);

	assert_true(n >= 0);
	text[n] = '\0';
	return text;
}

/* Leave no room for a line; the bytes are blanks. */
static void fill(int out)
{
	static char blanks[4096];
	int flags = fcntl(out, F_GETFL);

	memset(blanks, ' ', sizeof(blanks));
	assert_int_equal(fcntl(out, F_SETFL, flags | O_NONBLOCK), 0);
	while (write(out, blanks, sizeof(blanks)) > 0)
		;
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(fcntl(out, F_SETFL, flags), 0);
}

static void drain(int in)
{
	char bytes[4096];
	int flags = fcntl(in, F_GETFL);

	assert_int_equal(fcntl(in, F_SETFL, flags | O_NONBLOCK), 0);
	while (read(in, bytes, sizeof(bytes)) > 0)
		;
	assert_int_equal(fcntl(in, F_SETFL, flags), 0);
}

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void one_line_each(void **state)
{
	char text[4096], big[3000];
	struct sink s;

	(void)state;
	unsetenv("JOURNAL_STREAM");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	sink_pipe(&s);
	log_start("who", 0);
	log_note("a %d", 1);
	assert_string_equal(sink_read(&s, text, sizeof(text)), "who: a 1\n");
	log_warn("a\nb\n\n");
	assert_string_equal(sink_read(&s, text, sizeof(text)), "who: a b\n");
	log_fail("%s", big);
	sink_read(&s, text, sizeof(text));
	assert_in_range(strlen(text), 1000, 1024);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	setenv("JOURNAL_STREAM", "8:1", 1);
	log_start("who", 0);
	log_fail("x");
	log_note("y");
	assert_string_equal(sink_read(&s, text, sizeof(text)), "<3>who: x\n<6>who: y\n");
	unsetenv("JOURNAL_STREAM");
	sink_end(&s);
	close(s.in);
}

/* Without a reader three lines are lost, in the time allowed; the next one says so. */
static void nobody_reads(struct sink *s, int patience_ms)
{
	char text[4096];
	long began, took;

	log_start("who", patience_ms);
	fill(s->out);
	began = now_ms();
	for (int i = 0; i < 3; i++)
		log_note("lost");
	took = now_ms() - began;
	drain(s->in);
	log_note("here");
	log_note("again");
	sink_end(s);
	assert_true(took >= 3 * patience_ms);
	assert_string_equal(sink_read(s, text, sizeof(text)), "who: (3 lines lost) here\nwho: again\n");
	close(s->in);
}

static void a_full_pipe(void **state)
{
	struct sink s;

	(void)state;
	sink_pipe(&s);
	nobody_reads(&s, 0);
	sink_pipe(&s);
	nobody_reads(&s, 20);
}

static void a_full_socket(void **state)
{
	struct sink s;
	int fd[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	sink_open(&s, fd[0], fd[1]);
	nobody_reads(&s, 0);
}

/* What is sent to the machine's log. */
static char machine_path[108], machine_text[128];

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
	const struct iovec *part = message->msg_iov;

	(void)fd;
	assert_true(flags & MSG_DONTWAIT);
	strcpy(machine_path, ((struct sockaddr_un *)message->msg_name)->sun_path);
	snprintf(machine_text, sizeof(machine_text), "%.*s%.*s", (int)part[0].iov_len, (char *)part[0].iov_base,
		 (int)part[1].iov_len, (char *)part[1].iov_base);
	return (ssize_t)strlen(machine_text);
}

/* mount(8) is over, and its end of stderr with it. */
static void the_reader_has_ended(void **state)
{
	struct sink s;
	int fd[2];

	(void)state;
	for (int journal = 0; journal < 2; journal++) {
		if (journal)
			setenv("JOURNAL_STREAM", "8:1", 1);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
		sink_open(&s, fd[0], fd[1]);
		close(fd[0]);
		log_start("who", 20);
		log_warn("gone %d", journal);
		sink_end(&s);
		unsetenv("JOURNAL_STREAM");
		assert_string_equal(machine_path, "/dev/log");
		assert_string_equal(machine_text, journal ? "<28>who: gone 1\n" : "<28>who: gone 0\n");
	}
}

/* -- threads -------------------------------------------------------------------- */

static void *talk(void *context)
{
	for (int i = 0; i < THREAD_LINES; i++)
		log_note("thread %d says its line number %d.", *(const int *)context, i);
	return NULL;
}

struct heard {
	const struct sink *sink;
	unsigned lines, lost, broken;
};

static void *listen_to(void *context)
{
	struct heard *h = context;
	FILE *in = fdopen(h->sink->in, "r");
	unsigned lost;
	char line[256];

	while (in && fgets(line, sizeof(line), in)) {
		h->lines++;
		if (sscanf(line, "who: (%u lines lost)", &lost) == 1)
			h->lost += lost;
		h->broken += strncmp(line, "who: ", 5) != 0 || !strstr(line, "thread ") || !strstr(line, ".\n");
	}
	fclose(in);
	return NULL;
}

/* Lines of threads do not mix, and each of them is read or counted. */
static void threads(void **state)
{
	pthread_t talker[THREADS], listener;
	struct heard heard = { .lines = 0 };
	int id[THREADS];
	struct sink s;

	(void)state;
	sink_pipe(&s);
	heard.sink = &s;
	log_start("who", 0);
	for (int i = 0; i < THREADS; i++) {
		id[i] = i;
		assert_int_equal(pthread_create(&talker[i], NULL, talk, &id[i]), 0);
	}
	assert_int_equal(pthread_create(&listener, NULL, listen_to, &heard), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(talker[i], NULL);
	log_start("who", 10000);
	log_note("thread none says the last one."); /* and what was lost until then */
	sink_end(&s);
	pthread_join(listener, NULL);
	assert_int_equal(heard.broken, 0);
	assert_int_equal(heard.lines + heard.lost, THREADS * THREAD_LINES + 1);
	assert_true(heard.lines > 1);
}

/* -- events ------------------------------------------------------------------- */

/* A journal that this test reads, and stderr, as the manager's. */
struct journal {
	struct sink sink;
	char path[64];
	int fd;
};

static int journal_begin(void **state)
{
	static struct journal j;
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	j.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	snprintf(j.path, sizeof(j.path), "/tmp/daxfs-journal-%d", (int)getpid());
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", j.path);
	assert_true(j.fd >= 0);
	assert_int_equal(bind(j.fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	sink_pipe(&j.sink);
	log_start("manager", 0);
	log_journal_at(j.path);
	*state = &j;
	return 0;
}

/* The journal is gone: nobody reads what comes. */
static void journal_close(struct journal *j)
{
	if (j->fd >= 0)
		close(j->fd);
	j->fd = -1;
	unlink(j->path);
}

static int journal_end(void **state)
{
	struct journal *j = *state;

	close(j->sink.in);
	journal_close(j);
	return 0;
}

/* What came on stderr, which is ours again. */
static const char *journal_lines(struct journal *j, char *text, size_t size)
{
	sink_end(&j->sink);
	return sink_read(&j->sink, text, size);
}

static const struct log_event death = {
	.level = LOG_LEVEL_WARN,
	.id = "0123456789abcdef0123456789abcdef",
	.fields = "DAXFS_HOST=3\nDAXFS_NAME=alpha\n",
};

/* One datagram, with its fields, and nothing on stderr. */
static void an_event_has_fields(void **state)
{
	struct journal *j = *state;
	char message[4096], text[256];
	ssize_t n;

	log_event(&death, "host %d is\ndead", 3);
	n = recv(j->fd, message, sizeof(message) - 1, 0);
	assert_string_equal(journal_lines(j, text, sizeof(text)), "");
	assert_true(n > 0);
	message[n] = '\0';
	assert_string_equal(message,
			    "MESSAGE_ID=0123456789abcdef0123456789abcdef\nPRIORITY=4\nSYSLOG_IDENTIFIER=manager\n"
			    "DAXFS_HOST=3\nDAXFS_NAME=alpha\nMESSAGE=host 3 is dead\n");
}

/* Nobody reads: no wait, and the next line says what was lost. */
static void a_full_journal_holds_nobody_up(void **state)
{
	struct journal *j = *state;
	char text[4096];

	for (unsigned i = 0; i < 5000; i++)
		log_event(&death, "host %u is dead", i);
	log_note("and on");
	journal_lines(j, text, sizeof(text));
	assert_int_equal(strncmp(text, "manager: (", 10), 0);
	assert_non_null(strstr(text, " lines lost) and on\n"));
}

/* Without a journal, and when it has gone: a line. */
static void an_event_is_a_line_elsewhere(void **state)
{
	struct journal *j = *state;
	char text[256];

	journal_close(j);
	log_event(&death, "host 3 is dead");
	log_journal_at("/nonexistent");
	log_event(&death, "host 4 is dead");
	assert_string_equal(journal_lines(j, text, sizeof(text)), "manager: host 3 is dead\nmanager: host 4 is dead\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_event_has_fields, journal_begin, journal_end),
		cmocka_unit_test_setup_teardown(a_full_journal_holds_nobody_up, journal_begin, journal_end),
		cmocka_unit_test_setup_teardown(an_event_is_a_line_elsewhere, journal_begin, journal_end),
		cmocka_unit_test(one_line_each),
		cmocka_unit_test(a_full_pipe),
		cmocka_unit_test(a_full_socket),
		cmocka_unit_test(the_reader_has_ended),
		cmocka_unit_test(threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
