/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.c - options and the config file, from one table.
 *
 * A key in the file is a long option's name. The file is read first, so that an
 * option on the command line wins; fence-option may come more than once, the
 * last of the same key counts. Runs before the event loop.
 */
#include "fabricd/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabricd/timing.h"

const char options_usage[] =
	"usage: fabricd --pool PATH [--fence-agent CMD] [options]\n"
	"\n"
	"Watches the heartbeats of the hosts of the pool at PATH, decides which are\n"
	"dead, has them fenced and assigns their recovery. Runs in the foreground\n"
	"until SIGTERM or SIGINT. A second fabricd on another host is a backup that\n"
	"takes over when the first one dies.\n"
	"\n"
	"  --pool PATH             pool: a file in /dev/shm, a device-DAX device\n"
	"  --socket PATH           control socket (/run/daxfs/fabricd-<pool name>.sock)\n"
	"  --fence-agent CMD       program with the ClusterLabs fence-agent interface;\n"
	"                          without it only `daxfsctl confirm-dead` ends a host\n"
	"  --fence-option KEY=VAL  for the agent's standard input; may be repeated\n"
	"  --fence-timeout-ms MS   kill an agent that takes longer (30000)\n"
	"  --no-realtime           run at ordinary priority\n"
	"  --config FILE           read settings from FILE first: the same keys,\n"
	"                          `pool = /dev/dax0.0`; `realtime = no` for --no-realtime\n"
	"  --foreground            what it always does\n"
	"  --version, --help\n"
	"\n"
	"Exit status: 0 stopped when asked, 1 failed, 2 bad usage or config, 4 pool\n"
	"cannot be used.\n";

void options_defaults(struct options *options)
{
	*options = (struct options){ .fence_timeout_ms = TIMING_AGENT_MS, .realtime = true };
}

/* One line, whatever the value is. */
static int bad(struct daxfs_why *why, const char *key, const char *value, const char *wanted)
{
	size_t len = strcspn(value, "\r\n");

	snprintf(why->text, sizeof(why->text), "%s: \"%.*s\" is not %s", key, len < 80 ? (int)len : 80, value, wanted);
	return -EINVAL;
}

static int set_text(char *out, size_t size, const char *key, const char *value, struct daxfs_why *why)
{
	size_t len = strlen(value);

	if (len == 0)
		return bad(why, key, value, "a value: give one");
	if (len >= size)
		return bad(why, key, value, "short enough");
	memcpy(out, value, len + 1);
	return 0;
}

static int set_pool(struct options *o, const char *key, const char *value, struct daxfs_why *why)
{
	return set_text(o->pool, sizeof(o->pool), key, value, why);
}

static int set_socket(struct options *o, const char *key, const char *value, struct daxfs_why *why)
{
	return set_text(o->socket, sizeof(o->socket), key, value, why);
}

static int set_fence_agent(struct options *o, const char *key, const char *value, struct daxfs_why *why)
{
	return set_text(o->fence_agent, sizeof(o->fence_agent), key, value, why);
}

/* Does the option have this key? */
static bool has_key(const char *option, const char *key, size_t len)
{
	return strncmp(option, key, len) == 0 && option[len] == '=';
}

/* The agent reads lines: a key of its own kind of letters, no line break. */
static int set_fence_option(struct options *o, const char *key, const char *value, struct daxfs_why *why)
{
	size_t len = strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
	unsigned i = 0;

	if (len == 0 || value[len] != '=' || strpbrk(value, "\r\n"))
		return bad(why, key, value, "KEY=VALUE");
	if (has_key(value, "action", len) || has_key(value, "plug", len))
		return bad(why, key, value, "for you to set: fabricd gives action and plug itself");
	while (i < o->fence_options && !has_key(o->fence_option[i], value, len))
		i++;
	if (i == OPTIONS_FENCE_MAX)
		return bad(why, key, value, "allowed: there are 12 already");
	if (set_text(o->fence_option[i], sizeof(o->fence_option[i]), key, value, why))
		return -EINVAL;
	o->fence_options += i == o->fence_options;
	return 0;
}

static int set_fence_timeout(struct options *o, const char *key, const char *value, struct daxfs_why *why)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(value, &end, 10);
	if (!isdigit((unsigned char)value[0]) || *end != '\0' || errno || n == 0 || n > OPTIONS_FENCE_TIMEOUT_MAX_MS)
		return bad(why, key, value, "a number of milliseconds from 1 to 3600000");
	o->fence_timeout_ms = (unsigned)n;
	return 0;
}

static int set_realtime(struct options *o, const char *key, const char *value, struct daxfs_why *why)
{
	if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
		return bad(why, key, value, "yes or no");
	o->realtime = value[0] == 'y';
	return 0;
}

static const struct setting {
	const char *key;
	int (*set)(struct options *o, const char *key, const char *value, struct daxfs_why *why);
} settings[] = {
	{ "pool", set_pool },
	{ "socket", set_socket },
	{ "fence-agent", set_fence_agent },
	{ "fence-option", set_fence_option },
	{ "fence-timeout-ms", set_fence_timeout },
	{ "realtime", set_realtime },
};

enum { N_SETTINGS = sizeof(settings) / sizeof(settings[0]) };

static int set(struct options *o, const char *key, const char *value, struct daxfs_why *why)
{
	for (int i = 0; i < N_SETTINGS; i++)
		if (strcmp(settings[i].key, key) == 0)
			return settings[i].set(o, key, value, why);
	snprintf(why->text, sizeof(why->text), "%.80s: no such setting; see --help", key);
	return -EINVAL;
}

/* -- the file --------------------------------------------------------------- */

/* Cut white space off both ends, in place. */
static char *trim(char *s)
{
	char *end = s + strlen(s);

	while (end > s && isspace((unsigned char)end[-1]))
		*--end = '\0';
	while (isspace((unsigned char)*s))
		s++;
	return s;
}

int options_line(struct options *options, const char *line, struct daxfs_why *why)
{
	char copy[PATH_MAX + 64];
	char *key, *value;

	if (strlen(line) >= sizeof(copy)) {
		snprintf(why->text, sizeof(why->text), "line is too long");
		return -EINVAL;
	}
	strcpy(copy, line);
	key = trim(copy);
	if (*key == '\0' || *key == '#')
		return 0;
	value = strchr(key, '=');
	if (!value) {
		snprintf(why->text, sizeof(why->text), "\"%.80s\": expected `key = value`", key);
		return -EINVAL;
	}
	*value++ = '\0';
	return set(options, trim(key), trim(value), why);
}

static int read_lines(struct options *options, FILE *file, const char *path, struct daxfs_why *why)
{
	char line[PATH_MAX + 64];
	struct daxfs_why reason;
	int rc;

	for (unsigned n = 1; fgets(line, sizeof(line), file); n++) {
		rc = options_line(options, line, &reason);
		if (rc == 0)
			continue;
		snprintf(why->text, sizeof(why->text), "%.80s:%u: %.150s", path, n, reason.text);
		return rc;
	}
	if (!ferror(file))
		return 0;
	snprintf(why->text, sizeof(why->text), "%.80s: cannot be read: %s", path, strerror(errno));
	return -EIO;
}

static int read_file(struct options *options, const char *path, struct daxfs_why *why)
{
	FILE *file = fopen(path, "re");
	int rc;

	if (!file) {
		rc = -errno;
		snprintf(why->text, sizeof(why->text), "%.80s: cannot be opened: %s", path, strerror(-rc));
		return rc;
	}
	rc = read_lines(options, file, path, why);
	fclose(file);
	return rc;
}

/* -- the command line --------------------------------------------------------- */

enum { OPT_CONFIG = 1000, OPT_NO_REALTIME, OPT_FOREGROUND, OPT_HELP, OPT_VERSION };

/* Values below N_SETTINGS are rows of settings[]. */
static const struct option long_options[] = {
	{ "pool", required_argument, NULL, 0 },
	{ "socket", required_argument, NULL, 1 },
	{ "fence-agent", required_argument, NULL, 2 },
	{ "fence-option", required_argument, NULL, 3 },
	{ "fence-timeout-ms", required_argument, NULL, 4 },
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "no-realtime", no_argument, NULL, OPT_NO_REALTIME },
	{ "foreground", no_argument, NULL, OPT_FOREGROUND },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ NULL, 0, NULL, 0 },
};

/* First pass: what to do at all, and which file to read. */
static int scan(int argc, char **argv, const char **file, enum options_action *action, struct daxfs_why *why)
{
	int opt;

	opterr = 0;
	optind = 0; /* glibc: start over */
	while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (opt == OPT_CONFIG)
			*file = optarg;
		if (opt == OPT_HELP || opt == OPT_VERSION)
			*action = opt == OPT_HELP ? OPTIONS_HELP : OPTIONS_VERSION;
		if (opt != '?')
			continue;
		snprintf(why->text, sizeof(why->text), "%.80s: not an option, or without its value; see --help",
			 argv[optind - 1]);
		return -EINVAL;
	}
	if (optind == argc)
		return 0;
	snprintf(why->text, sizeof(why->text), "%.80s: not understood; see --help", argv[optind]);
	return -EINVAL;
}

static int apply(int argc, char **argv, struct options *options, struct daxfs_why *why)
{
	int opt, rc = 0;

	optind = 0;
	while (rc == 0 && (opt = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (opt == OPT_NO_REALTIME)
			options->realtime = false;
		else if (opt >= 0 && opt < N_SETTINGS)
			rc = settings[opt].set(options, settings[opt].key, optarg, why);
	}
	return rc;
}

int options_parse(int argc, char **argv, struct options *options, enum options_action *action, struct daxfs_why *why)
{
	enum options_action wanted = OPTIONS_RUN;
	const char *file = NULL;
	struct options o;
	int rc;

	options_defaults(&o);
	rc = scan(argc, argv, &file, &wanted, why);
	if (rc == 0 && wanted == OPTIONS_RUN && file)
		rc = read_file(&o, file, why);
	if (rc == 0)
		rc = apply(argc, argv, &o, why);
	if (rc)
		return rc;
	if (wanted == OPTIONS_RUN && !o.pool[0]) {
		snprintf(why->text, sizeof(why->text), "no pool: give --pool PATH");
		return -EINVAL;
	}
	*options = o;
	*action = wanted;
	return 0;
}
