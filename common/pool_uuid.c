/* SPDX-License-Identifier: Apache-2.0 */
/* pool_uuid.c - see pool_uuid.h. No state; any thread. */
#include "common/pool_uuid.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/settings.h"

/* A dash stands before these bytes. */
static bool is_parted(unsigned byte)
{
	return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

const char *pool_uuid_text(const uint8_t uuid[16], char *buf, size_t size)
{
	size_t at = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < 16 && at + 2 + is_parted(i) < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s%02x", is_parted(i) ? "-" : "", uuid[i]);
	return buf;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Dashes where they belong, and nothing behind it. */
static bool parse(const char *text, uint8_t out[16])
{
	for (unsigned i = 0; i < 16; i++) {
		int high, low;

		if (is_parted(i) && *text++ != '-')
			return false;
		high = digit(*text);
		low = high < 0 ? -1 : digit(text[1]);
		if (low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	return *text == '\0';
}

int pool_uuid_set(const char *key, const char *value, struct pool_uuid *out, struct daxfs_error *err)
{
	struct pool_uuid parsed = { .given = true };

	if (!parse(value, parsed.bytes))
		return settings_bad(key, value, "a UUID, as daxfsctl probe POOL prints it", err);
	*out = parsed;
	return 0;
}

int pool_uuid_check(const struct pool_uuid *meant, const struct daxfs_geometry *g, const char *path,
		    struct daxfs_error *err)
{
	char is[POOL_UUID_TEXT_BYTES], wanted[POOL_UUID_TEXT_BYTES];

	if (!meant->given || memcmp(meant->bytes, g->uuid, sizeof(meant->bytes)) == 0)
		return 0;
	return daxfs_error_set(err, -ENODEV,
			       "%.60s holds the pool %.31s with UUID %s, not %s as pool-uuid says: name the device of "
			       "that one, or correct the setting",
			       path, g->name, pool_uuid_text(g->uuid, is, sizeof(is)),
			       pool_uuid_text(meant->bytes, wanted, sizeof(wanted)));
}
