/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - what a daemon tells its operator: one line an event, on stderr.
 *
 * A line is one write, so that lines of several threads never mix. A reader that
 * has stopped reading loses lines, and the next one that it takes says how many;
 * it never stops the daemon for longer than log_start() allowed: a host that
 * waits for its log is declared dead, a manager that does judges others late. Where the
 * reader has ended, lines go to the machine's own log (/dev/log).
 * Any thread may log.
 *
 * An event is a line that programs look for: in the journal it has a MESSAGE_ID and fields of its own, by the journal's
 * own protocol and with the same patience; elsewhere it is a line like any other.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

/*
 * Called before there are threads, again when more is known of who this is.
 * who begins each line; patience_ms is what one line may wait for room.
 */
void log_start(const char *who, int patience_ms);
void log_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

enum log_level { LOG_LEVEL_FAIL = 3, LOG_LEVEL_WARN = 4, LOG_LEVEL_NOTE = 6 }; /* as in syslog(3) */

struct log_event {
	enum log_level level;
	const char *id;     /* MESSAGE_ID: 32 hexadecimal digits */
	const char *fields; /* "KEY=value\nKEY=value\n" */
};

void log_event(const struct log_event *event, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Send events to another socket than the journal's, as tests do; called like log_start. */
void log_journal_at(const char *path);

#endif
