/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - what the agent tells its operator: one line an event, on stderr.
 *
 * A line is one write, so that lines of several threads never mix. A reader
 * that has stopped reading loses lines; it never stops the agent, because a
 * host that waits for its log is a host that is declared dead.
 */
#ifndef AGENT_LOG_H
#define AGENT_LOG_H

#include <stdarg.h>

/* Called once, before there are threads. who names this host in each line. */
void log_start(const char *who);
void log_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
