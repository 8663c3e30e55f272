/* SPDX-License-Identifier: Apache-2.0 */
/* show.h - a snapshot as text, which is for people and may change, and as JSON, which scripts read. */
#ifndef DAXFSCTL_SHOW_H
#define DAXFSCTL_SHOW_H

#include "daxfsctl/snapshot.h"

void show_status(FILE *out, const struct snapshot *s);
void show_hosts(FILE *out, const struct snapshot *s);
void show_json(FILE *out, const struct snapshot *s);
void show_json_line(FILE *out, const struct snapshot *s); /* all of it on one */

#endif
