/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.c - lines for the journal, or for whoever reads stderr. See log.h.
 *
 * Who and patience are set before the first thread starts and constant after.
 * One line at a time is written, under log_lock: two threads that both saw room
 * for one line would leave one of them in write(2). Waiting for the lock counts
 * as waiting for room. log_lost is changed without the lock, too, by those who
 * did not get it in time.
 *
 * Events go to the journal's own socket as one datagram (systemd.io/JOURNAL_NATIVE_PROTOCOL). sd_journal_sendv() does
 * the same, but waits in sendmsg(2) for a journal that does not read, for as long as that takes.
 *
 * stderr may be shared with other processes, so it is not made non-blocking. On
 * a socket (the journal's) no write waits; on a pipe one could, if another
 * process filled it between poll and write.
 *
 * A reader that has ended, as mount(8) does once the mount is there, leaves the lines to the machine's own log.
 */
#include "common/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"

#define LOG_LINE_BYTES 1024 /* less than PIPE_BUF: a pipe takes it whole */
#define LOG_MACHINE "/dev/log"
#define LOG_HEAD_BYTES 3 /* "<6>", of each line: the journal's, on stderr */

static char log_who[64] = "daxfs";
static int log_patience_ms;
static bool log_to_journal;
static int log_journal = -1; /* its socket, for events */
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint log_lost;

void log_start(const char *who, int patience_ms)
{
	snprintf(log_who, sizeof(log_who), "%s", who);
	log_patience_ms = patience_ms;
	log_to_journal = getenv("JOURNAL_STREAM") != NULL;
	if (log_to_journal && log_journal < 0)
		log_journal_at("/run/systemd/journal/socket");
}

void log_journal_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		fd = -1;
	}
	if (log_journal >= 0)
		close(log_journal);
	log_journal = fd;
}

/* -- when ----------------------------------------------------------------------- */

static int ms_until(const struct timespec *deadline)
{
	struct timespec now;
	long ms;

	clock_gettime(CLOCK_MONOTONIC, &now);
	/* Rounded up: what is left is waited for, not polled. */
	ms = (long)(deadline->tv_sec - now.tv_sec) * 1000 + (deadline->tv_nsec - now.tv_nsec + 999999) / 1000000;
	return ms > 0 ? (int)ms : 0;
}

static bool room_until(const struct timespec *deadline)
{
	struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };
	int n;

	do
		n = poll(&out, 1, ms_until(deadline));
	while (n < 0 && errno == EINTR);
	return n == 1 && (out.revents & POLLOUT);
}

/* -- what ----------------------------------------------------------------------- */

/* One line, whatever the message is, behind its priority: its length. */
static size_t compose(char *line, const char *priority, unsigned lost, const char *format, va_list args)
{
	int head, len;

	head = snprintf(line, LOG_LINE_BYTES, "%s%s: ", priority, log_who);
	if (lost)
		head += snprintf(line + head, LOG_LINE_BYTES - (size_t)head, "(%u lines lost) ", lost);
	len = vsnprintf(line + head, LOG_LINE_BYTES - (size_t)head, format, args);
	len = len < 0 ? head : head + len;
	if (len > LOG_LINE_BYTES - 2)
		len = LOG_LINE_BYTES - 2;
	while (len > head && line[len - 1] == '\n')
		len--;
	for (int i = head; i < len; i++)
		if (line[i] == '\n')
			line[i] = ' ';
	line[len++] = '\n';
	return (size_t)len;
}

static bool put_machine(char *line, size_t len)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = LOG_MACHINE };
	char head[8];
	struct iovec part[2] = { { head, (size_t)snprintf(head, sizeof(head), "<%d>", LOG_DAEMON | (line[1] - '0')) },
				 { line + LOG_HEAD_BYTES, len - LOG_HEAD_BYTES } };
	struct msghdr message = { .msg_name = &at, .msg_namelen = sizeof(at), .msg_iov = part, .msg_iovlen = 2 };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool taken = fd >= 0 && sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;

	if (fd >= 0)
		close(fd);
	return taken;
}

static bool put(char *line, size_t len)
{
	const char *text = log_to_journal ? line : line + LOG_HEAD_BYTES;
	size_t bytes = len - (size_t)(text - line);
	ssize_t n = send(STDERR_FILENO, text, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno == ENOTSOCK)
		n = write(STDERR_FILENO, text, bytes);
	if (n < 0 && errno == EPIPE)
		return put_machine(line, len);
	return n == (ssize_t)bytes;
}

static void log_line(const char *priority, const char *format, va_list args)
{
	struct timespec deadline = clock_deadline(CLOCK_MONOTONIC, log_patience_ms);
	char line[LOG_LINE_BYTES];
	unsigned lost;

	if (pthread_mutex_clocklock(&log_lock, CLOCK_MONOTONIC, &deadline)) {
		atomic_fetch_add(&log_lost, 1);
		return;
	}
	lost = atomic_exchange(&log_lost, 0);
	if (!room_until(&deadline) || !put(line, compose(line, priority, lost, format, args)))
		atomic_fetch_add(&log_lost, lost + 1);
	pthread_mutex_unlock(&log_lock);
}

void log_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(SD_INFO, format, args);
	va_end(args);
}

void log_warn(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(SD_WARNING, format, args);
	va_end(args);
}

void log_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(SD_ERR, format, args);
	va_end(args);
}

/* -- events ----------------------------------------------------------------------- */

/* What is said, on one line. */
static void say(char *text, size_t size, const char *format, va_list args)
{
	vsnprintf(text, size, format, args);
	for (char *c = text; (c = strchr(c, '\n')) != NULL;)
		*c = ' ';
}

/* False: not by the journal's socket. A journal that is full gets nothing; the next line says how many were lost. */
static bool send_event(const struct log_event *event, const char *text)
{
	char message[2 * LOG_LINE_BYTES];
	int len;

	if (log_journal < 0)
		return false;
	len = snprintf(message, sizeof(message), "MESSAGE_ID=%s\nPRIORITY=%d\nSYSLOG_IDENTIFIER=%s\n%sMESSAGE=%s\n",
		       event->id, (int)event->level, log_who, event->fields, text);
	if (len < 0 || (size_t)len >= sizeof(message))
		return false;
	if (send(log_journal, message, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL) == len)
		return true;
	if (errno == EAGAIN)
		atomic_fetch_add(&log_lost, 1);
	return errno == EAGAIN;
}

void log_event(const struct log_event *event, const char *format, ...)
{
	char text[LOG_LINE_BYTES];
	va_list args;

	va_start(args, format);
	say(text, sizeof(text), format, args);
	va_end(args);
	if (send_event(event, text))
		return;
	if (event->level == LOG_LEVEL_NOTE)
		log_note("%s", text);
	else if (event->level == LOG_LEVEL_WARN)
		log_warn("%s", text);
	else
		log_fail("%s", text);
}
