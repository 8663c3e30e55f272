/* SPDX-License-Identifier: Apache-2.0 */
/* coherence.h - the test of coherence between hosts, and what it found as text and JSON. */
#ifndef DAXFSCTL_COHERENCE_H
#define DAXFSCTL_COHERENCE_H

#include "daxfs/inspect.h"
#include "daxfsctl/ctl.h"
#include "daxfsctl/json.h"

/* Take part in a test; shows what it found. The exit code. */
int coherence_test(struct ctl *ctl, const char *path, struct daxfs_coherence_options *options);
/* "3 hosts on 3 machines, 1000 rounds: coherent"; returns buf. */
const char *coherence_text(const struct daxfs_coherence *c, char *buf, size_t size);
/* Its members, into the object that is open. */
void coherence_json(struct json *j, const struct daxfs_coherence *c);

#endif
