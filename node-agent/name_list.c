/* SPDX-License-Identifier: Apache-2.0 */
/* name_list.c - names of a directory, in private memory: see name_list.h. */
#include "node-agent/name_list.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int name_list_add(struct name_list *list, const char *text, daxfs_ino ino, bool directory)
{
	size_t room = list->room ? 2 * list->room : 64;
	struct listed_name *more = list->name;

	if (list->n == list->room) {
		more = realloc(list->name, room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		list->name = more;
		list->room = room;
	}
	more[list->n] = (struct listed_name){ ino, directory, strdup(text) };
	return more[list->n].text ? (list->n++, 0) : -ENOMEM;
}

void name_list_free(struct name_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->name[i].text);
	free(list->name);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct listed_name *)a)->text, ((const struct listed_name *)b)->text);
}

void name_list_sort(struct name_list *list)
{
	if (list->n)
		qsort(list->name, list->n, sizeof(*list->name), by_text);
}

static bool add_of_pool(void *context, const char *name, daxfs_ino ino, unsigned type, uint64_t next)
{
	struct name_list *list = context;

	(void)next;
	if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && name_list_add(list, name, ino, type == DT_DIR))
		list->failed = true;
	return !list->failed;
}

int name_list_of_pool(struct daxfs *fs, daxfs_ino dir, struct name_list *list)
{
	int rc = daxfs_readdir(fs, dir, 0, add_of_pool, list);

	return rc ? rc : list->failed ? -ENOMEM : 0;
}
