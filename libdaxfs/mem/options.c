/* SPDX-License-Identifier: Apache-2.0 */
/* options.c - taking options of any version: see options.h. */
#include "mem/options.h"

#include <errno.h>
#include <string.h>

#include "daxfs/daxfs.h"

static bool all_zero(const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bytes[i])
			return false;
	return true;
}

int options_take(void *out, size_t known, size_t least, const void *options, struct daxfs_error *err)
{
	size_t size;

	memcpy(&size, options, sizeof(size));
	if (size < least)
		return daxfs_error_set(err, -EINVAL,
				       "options of %zu bytes: set struct_size to the size of the struct, %zu or more",
				       size, least);
	if (size > known && !all_zero((const uint8_t *)options + known, size - known))
		return daxfs_error_set(err, -E2BIG, "an option is set that version %s of the library does not know",
				       daxfs_version());
	memset(out, 0, known);
	memcpy(out, options, size < known ? size : known);
	return 0;
}
