/* SPDX-License-Identifier: Apache-2.0 */
/* online.h - a pool made of one that hosts use: see cmd_backup.c. */
#ifndef DAXFSCTL_ONLINE_H
#define DAXFSCTL_ONLINE_H

#include "daxfsctl/copy_tree.h"
#include "daxfsctl/ctl.h"
#include "daxfsctl/json.h"

struct online_copy {
	struct copy_tree tree;
	char **in_pieces; /* files that are not of one moment: tree.pieces of them, or fewer without memory */
	size_t n;
	unsigned hosts; /* of the pool that is made; 0: as the other has */
};

/* Make a pool at `image`, as `pool` was, with its tree; with so many slots, the spare one too (0: as many). An
 * exit code; online_free in any case. */
int online_make(struct ctl *ctl, const char *pool, const char *image, unsigned hosts, struct online_copy *out);
void online_free(struct online_copy *o);
/* What was copied. */
void online_text(FILE *out, const struct online_copy *o);
void online_json(struct json *j, const struct online_copy *o);

#endif
