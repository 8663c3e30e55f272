/* SPDX-License-Identifier: Apache-2.0 */
/* text.h - numbers as people read them, and the JSON of what several commands show. */
#ifndef DAXFSCTL_TEXT_H
#define DAXFSCTL_TEXT_H

#include <stddef.h>

#include "daxfs/daxfs.h"
#include "daxfsctl/json.h"

/* Each fills and returns buf. */
const char *text_bytes(uint64_t bytes, char *buf, size_t size);                    /* "1.2 GiB" */
const char *text_ms(uint64_t ns, char *buf, size_t size);                          /* "0.8 ms" */
const char *text_id(const struct daxfs_geometry *g, char *buf, size_t size);       /* "6b04c766" of the uuid */
const char *text_recovery(const struct daxfs_recovery *r, char *buf, size_t size); /* "0.8 ms: 2 records ..." */
/* "1 host", "2 hosts"; not for words that need more than an s. */
const char *text_count(uint64_t n, const char *word, char *buf, size_t size);
unsigned text_percent(uint64_t part, uint64_t whole);

void text_json_pool(struct json *j, const struct daxfs_geometry *g, const char *path);
void text_json_recovery(struct json *j, const char *key, const struct daxfs_recovery *r);
void text_json_usage(struct json *j, const struct daxfs_statfs *usage, bool walked);

#endif
