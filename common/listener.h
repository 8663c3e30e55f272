/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listener.h - does anybody listen at a unix socket? Its file outlives a process that was killed.
 */
#ifndef COMMON_LISTENER_H
#define COMMON_LISTENER_H

#include <stdbool.h>

/*
 * *nobody: is the file at path one that nobody listens at, or none at all? Only a refusal says so: a listener that
 * may not be asked, or whose queue is full, is there. -ENAMETOOLONG, or what socket(2) says. Never waits.
 */
int listener_probe(const char *path, bool *nobody);

#endif
