/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.c - one line an event on stderr, with the priority the journal reads.
 *
 * The prefix is set once before the first thread starts and constant
 * afterwards, so that lines need no lock; write(2) of one line up to PIPE_BUF
 * is atomic on the pipes and sockets that stderr usually is.
 */
#include "node-agent/log.h"

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define LOG_LINE_BYTES 1024
#define LOG_PATIENCE_MS 200 /* a pipe that stays full for so long loses the line */

static char log_who[48] = "daxfs-node-agent";
static bool log_to_journal;

void log_start(const char *who)
{
	snprintf(log_who, sizeof(log_who), "daxfs-node-agent %s", who);
	log_to_journal = getenv("JOURNAL_STREAM") != NULL;
}

static void log_out(const char *line, size_t len)
{
	struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };

	if (poll(&out, 1, LOG_PATIENCE_MS) == 1 && write(STDERR_FILENO, line, len) < 0)
		return; /* there is nobody left to tell */
}

static void log_line(const char *priority, const char *format, va_list args)
{
	char line[LOG_LINE_BYTES];
	int head, len;

	head = snprintf(line, sizeof(line), "%s%s: ", log_to_journal ? priority : "", log_who);
	len = vsnprintf(line + head, sizeof(line) - (size_t)head, format, args);
	if (len < 0)
		return;
	len += head;
	if (len > (int)sizeof(line) - 2)
		len = (int)sizeof(line) - 2;
	while (len > head && line[len - 1] == '\n')
		len--;
	line[len++] = '\n';
	log_out(line, (size_t)len);
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
