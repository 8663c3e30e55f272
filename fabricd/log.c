/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.c - lines for the journal, or for whoever reads stderr. See log.h.
 *
 * The count of dropped lines is the only state; one thread logs.
 */
#include "fabricd/log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define LOG_LINE_BYTES 1024

static unsigned log_dropped;

static bool log_has_room(void)
{
	struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };

	return poll(&out, 1, 0) == 1 && (out.revents & POLLOUT);
}

/* A line of up to PIPE_BUF is written whole, where poll said that there is room. */
static void log_line(const char *priority, const char *format, va_list args)
{
	const char *prefix = getenv("JOURNAL_STREAM") ? priority : "";
	char line[LOG_LINE_BYTES];
	int head, len;

	if (!log_has_room()) {
		log_dropped++;
		return;
	}
	head = snprintf(line, sizeof(line), "%sfabricd: ", prefix);
	if (log_dropped)
		head += snprintf(line + head, sizeof(line) - (size_t)head, "(%u lines lost) ", log_dropped);
	len = vsnprintf(line + head, sizeof(line) - (size_t)head, format, args);
	if (len < 0)
		return;
	len += head;
	if (len > LOG_LINE_BYTES - 2)
		len = LOG_LINE_BYTES - 2;
	line[len++] = '\n';
	log_dropped = write(STDERR_FILENO, line, (size_t)len) < 0 ? log_dropped + 1 : 0;
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
