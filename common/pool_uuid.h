/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_uuid.h - the setting pool-uuid: which pool is meant, wherever it lies.
 *
 * Numbers of dax devices move, and a path can lead to another pool than yesterday. Who names the pool's UUID is
 * refused another one, before anything in it is changed.
 */
#ifndef COMMON_POOL_UUID_H
#define COMMON_POOL_UUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daxfs/daxfs.h"

#define POOL_UUID_TEXT_BYTES 37u /* with its end */

struct pool_uuid {
	uint8_t bytes[16];
	bool given;
};

/* 8-4-4-4-12 hexadecimal digits, in small letters: fills and returns buf, as far as it has room. */
const char *pool_uuid_text(const uint8_t uuid[16], char *buf, size_t size);
/* A setting's value, in letters of either case; out is left as it is on -EINVAL. */
int pool_uuid_set(const char *key, const char *value, struct pool_uuid *out, struct daxfs_error *err);
/* Is the pool at path the one that is meant? -ENODEV: it is another one. Without the setting each is. */
int pool_uuid_check(const struct pool_uuid *meant, const struct daxfs_geometry *g, const char *path,
		    struct daxfs_error *err);

#endif
