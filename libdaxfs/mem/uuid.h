/* SPDX-License-Identifier: Apache-2.0 */
/* uuid.h - what makes a new pool unlike any other. */
#ifndef DAXFS_MEM_UUID_H
#define DAXFS_MEM_UUID_H

#include <stdint.h>

struct pool_identity {
	uint8_t uuid[16]; /* RFC 4122 version 4 */
	uint64_t hash_key[2];
	uint64_t created_ns; /* CLOCK_REALTIME */
};

int identity_make(struct pool_identity *out);

#endif
