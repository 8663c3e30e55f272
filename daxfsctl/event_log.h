/* SPDX-License-Identifier: Apache-2.0 */
/* event_log.h - the pool's events, from fabricd or from the pool itself, and one of them shown. */
#ifndef DAXFSCTL_EVENT_LOG_H
#define DAXFSCTL_EVENT_LOG_H

#include "daxfs/events.h"
#include "daxfsctl/ctl.h"
#include "daxfsctl/json.h"
#include "proto/framing.h"

/* where they come from, and those that were read; zeros at first */
struct event_log {
	struct daxfs_member *member; /* NULL: fabricd at socket */
	char socket[108];
	struct daxfs_event *event;
	unsigned n, room;
};

/* Whom to ask, as the command line says: POOL is the word of that number, if there is one. CTL_OK, or ctl_fail's. */
int event_log_open(struct ctl *ctl, unsigned pool_word, struct event_log *log);
/* Read those after an event, in the place of those that were read before. CTL_OK, or ctl_fail's. */
int event_log_read(struct ctl *ctl, struct event_log *log, uint64_t after);
/* Keep those of one answer; *after: the number of the last one. -EPROTO: they are not in order. */
int event_log_take(struct event_log *log, const Fabric__Response *response, uint64_t *after, struct daxfs_error *err);
void event_log_close(struct event_log *log);

/* "2026-11-28T20:19:03.123456Z" */
const char *event_time(uint64_t wall_ns, char *buf, size_t size);
/* "fabricd pid 811 epoch 3 on machine ab12cd34", "pid 4711" */
const char *event_writer(const struct daxfs_event *e, char *buf, size_t size);
void event_show(FILE *out, const struct daxfs_event *e);
void event_json(struct json *j, const char *key, const struct daxfs_event *e);

#endif
