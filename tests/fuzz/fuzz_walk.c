/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_walk.c - damaged inodes, directories and files: everything is visited,
 * read, and then taken apart.
 */
#include "work.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

const unsigned item_kinds = PLACES_TREE;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fixture *s = fixture_get();
	struct item item[ITEMS_MAX];
	struct daxfs *fs;
	unsigned n;

	if (!size)
		return 0;
	fixture_restore(s, data[0] & 0x40 ? data[0] : 0);
	n = items_read(data, size, item_kinds, item);
	for (unsigned i = 0; i < n; i++)
		alter(s, &item[i]);
	fs = work_begin(s);
	demand(fs, "pools with good heads can be opened");
	work_walk(fs);
	if (data[0] & 0x80)
		work_clear(fs);
	work_end(fs);
	return 0;
}
