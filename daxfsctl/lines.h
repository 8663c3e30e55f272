/* SPDX-License-Identifier: Apache-2.0 */
/* lines.h - the library's lines about a pool, taken apart for JSON. */
#ifndef DAXFSCTL_LINES_H
#define DAXFSCTL_LINES_H

#include "daxfsctl/json.h"

/* "KIND: PLACE: TEXT" of check and repair: {"kind", "place", "text"}; place is empty where there is none. */
void lines_finding(struct json *j, const char *line);
/* "key=value key="a value" words" of dump and dry runs: {"key": "value", ..., "text": "words"}, all as strings. */
void lines_fields(struct json *j, const char *line);

#endif
