/* SPDX-License-Identifier: Apache-2.0 */
/* await_pool.c - see await_pool.h. */
#include "common/await_pool.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"

#define LOOK_MS 100

/* A link whose device is gone is missing, too. */
static bool is_missing(const char *path)
{
	return access(path, F_OK) && errno == ENOENT;
}

static bool is_device_name(const char *path)
{
	return strncmp(path, "/dev/", 5) == 0 && strncmp(path, "/dev/shm/", 9) != 0;
}

void await_pool(const char *path, unsigned seconds)
{
	int64_t began = clock_ms();

	if (!seconds || !is_device_name(path) || !is_missing(path))
		return;
	log_warn("%s is not there yet: waiting for it, up to %u s", path, seconds);
	sd_notifyf(0, "STATUS=waiting up to %u s for %s", seconds, path);
	while (is_missing(path) && clock_ms() - began < (int64_t)seconds * 1000) {
		sd_notify(0, "EXTEND_TIMEOUT_USEC=5000000");
		clock_nap_ms(LOOK_MS);
	}
	if (!is_missing(path))
		log_note("%s came after %lld ms", path, (long long)(clock_ms() - began));
}
