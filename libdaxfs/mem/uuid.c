/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uuid.c - uuid, hash key and birthday of a new pool.
 *
 * Random from the kernel; in a simulated build constant instead, because there
 * every run must follow from its seed alone. No state.
 */
#include "mem/uuid.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#ifdef DAXFS_SIM

int identity_make(struct pool_identity *out)
{
	*out = (struct pool_identity){ .uuid = "simulated pool ",
				       .hash_key = { 0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull },
				       .created_ns = 1 };
	return 0;
}

#else

static int fill_random(void *buf, size_t len)
{
	ssize_t n;

	do
		n = getrandom(buf, len, 0);
	while (n < 0 && errno == EINTR);
	/* Up to 256 bytes come whole or not at all. */
	return n == (ssize_t)len ? 0 : n < 0 ? -errno : -EIO;
}

int identity_make(struct pool_identity *out)
{
	struct pool_identity id = { .created_ns = 0 };
	struct timespec now;
	int rc = fill_random(id.uuid, sizeof(id.uuid));

	if (rc == 0)
		rc = fill_random(id.hash_key, sizeof(id.hash_key));
	if (rc)
		return rc;
	if (clock_gettime(CLOCK_REALTIME, &now))
		return -errno;
	id.uuid[6] = (uint8_t)((id.uuid[6] & 0x0f) | 0x40);
	id.uuid[8] = (uint8_t)((id.uuid[8] & 0x3f) | 0x80);
	id.created_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	*out = id;
	return 0;
}

#endif
