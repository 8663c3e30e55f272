/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_image.c - any damage: a pool is opened, looked at, joined, recovered and
 * worked with, and damaged further between operations.
 */
#include "work.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

const unsigned item_kinds = ITEMS_ALL;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fixture *s = fixture_get();
	struct item item[ITEMS_MAX];
	unsigned n, i = 0;
	struct daxfs *fs;

	if (!size)
		return 0;
	fixture_restore(s, data[0] & 0x7f);
	n = items_read(data, size, item_kinds, item);
	for (; i < n && item[i].kind != ITEM_OPERATION; i++)
		alter(s, &item[i]);
	if (data[0] & 0x80)
		work_inspect(s);
	fs = work_begin(s);
	if (!fs)
		return 0;
	work_recover(fs, 1);
	work_recover(fs, 2);
	for (; i < n; i++) {
		if (item[i].kind == ITEM_OPERATION)
			work_operate(s, fs, &item[i]);
		else
			alter(s, &item[i]);
	}
	work_end(fs);
	return 0;
}
