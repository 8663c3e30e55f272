/* SPDX-License-Identifier: Apache-2.0 */
/* name_list.h - names of a directory, in private memory: what they are in the pool, or in storage. */
#ifndef AGENT_NAME_LIST_H
#define AGENT_NAME_LIST_H

#include <stddef.h>

#include "daxfs/daxfs.h"

struct name_list {
	struct listed_name {
		daxfs_ino ino; /* 0: not of the pool */
		bool directory;
		char *text;
	} * name;
	size_t n, room;
	bool failed;
};

/* -ENOMEM. */
int name_list_add(struct name_list *list, const char *text, daxfs_ino ino, bool directory);
void name_list_free(struct name_list *list);
void name_list_sort(struct name_list *list);
/* Those that the pool has, but for "." and "..". */
int name_list_of_pool(struct daxfs *fs, daxfs_ino dir, struct name_list *list);

#endif
