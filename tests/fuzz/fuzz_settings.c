/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_settings.c - any bytes as the config file of either daemon: taken, or
 * refused with one line that says why.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fabricd/options.h"
#include "node-agent/config.h"
#include "invariant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_file(char *path, size_t path_size, const uint8_t *data, size_t size)
{
	static int fd = -1;

	if (fd < 0)
		fd = memfd_create("config", MFD_CLOEXEC);
	demand(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size, "a file");
	snprintf(path, path_size, "/proc/self/fd/%d", fd);
}

/* Does the text end, and is it one line? */
static bool is_line(const char *text, size_t size)
{
	return memchr(text, '\0', size) && !strpbrk(text, "\r\n\v\f\033");
}

static void judge(int rc, const struct daxfs_error *err)
{
	demand_answer(rc, 0, "parse");
	if (rc)
		demand(is_line(err->text, sizeof(err->text)) && err->text[0], "reasons of one line");
}

static void judge_level(const struct fence_level *l)
{
	demand(is_line(l->agent, sizeof(l->agent)), "an agent of one line");
	demand(l->options <= FENCE_OPTIONS_MAX && l->secrets <= FENCE_SECRETS_MAX && l->hosts <= FENCE_HOSTS_MAX,
	       "numbers in their limits");
	for (unsigned i = 0; i < l->options; i++)
		demand(is_line(l->option[i], sizeof(l->option[i])) && strchr(l->option[i], '='),
		       "fence options of one line");
	for (unsigned i = 0; i < l->secrets; i++)
		demand(is_line(l->secret[i], sizeof(l->secret[i])), "secrets of one line");
	for (unsigned i = 0; i < l->hosts; i++)
		demand(is_line(l->host[i], sizeof(l->host[i])), "hosts of one line");
}

static void try_options(int argc, char **argv)
{
	struct daxfs_error err = { "" };
	enum settings_action action;
	struct options o;
	int rc = options_parse(argc, argv, &o, &action, &err);

	judge(rc, &err);
	if (rc)
		return;
	demand(action == SETTINGS_RUN && o.pool[0], "a pool");
	demand(is_line(o.pool, sizeof(o.pool)) && is_line(o.socket, sizeof(o.socket)) &&
		       is_line(o.group, sizeof(o.group)),
	       "texts of one line");
	demand(o.fence_timeout_ms && o.fence_timeout_ms <= OPTIONS_FENCE_TIMEOUT_MAX_MS, "numbers in their limits");
	for (unsigned level = 0; level < FENCE_LEVELS; level++)
		judge_level(&o.fence[level]);
}

static void try_config(int argc, char **argv)
{
	struct daxfs_error err = { "" };
	enum settings_action action;
	struct config c;
	int rc = config_parse(argc, argv, &c, &action, &err);

	judge(rc, &err);
	if (rc)
		return;
	demand(action == SETTINGS_RUN && c.pool[0] && c.mount[0] && c.host >= 0, "what must be given");
	demand(is_line(c.pool, sizeof(c.pool)) && is_line(c.mount, sizeof(c.mount)) && is_line(c.name, sizeof(c.name)),
	       "texts of one line");
	demand(c.threads <= CONFIG_THREADS_MAX && c.join_wait_s <= CONFIG_JOIN_WAIT_MAX_S && c.attr_timeout_s >= 0 &&
		       c.attr_timeout_s <= CONFIG_ATTR_TIMEOUT_MAX_S,
	       "numbers in their limits");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[32], *argv[] = { "fuzz", "--config", path, NULL };

	put_file(path, sizeof(path), data, size);
	try_options(3, argv);
	try_config(3, argv);
	return 0;
}
