/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - one line an event, on stderr.
 *
 * Never blocks: a manager that waits for its log would judge hosts late. A line
 * that a full pipe does not take is dropped, and the next one says how many
 * were.
 */
#ifndef FABRICD_LOG_H
#define FABRICD_LOG_H

void log_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
