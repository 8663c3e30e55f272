/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.c - options and the config file, from one table.
 *
 * Every setting has one row: its key in the file is its long option's name.
 * The file is read first, so that an option on the command line wins. Runs
 * before there are threads; getopt's state is the only global it touches.
 */
#include "node-agent/config.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char config_usage[] =
	"usage: daxfs-node-agent --pool PATH --host ID --mount DIR [options]\n"
	"\n"
	"Joins the pool at PATH as host slot ID, keeps its heartbeat, mounts the\n"
	"filesystem on DIR and recovers hosts that are assigned to this one. Runs in\n"
	"the foreground until SIGTERM or SIGINT; then unmounts and leaves cleanly.\n"
	"\n"
	"  --pool PATH         pool: a file in /dev/shm, a device-DAX device\n"
	"  --host ID           host slot in the pool, from 0\n"
	"  --mount DIR         where to mount\n"
	"  --name NAME         name of this host, up to 31 bytes (the machine's name)\n"
	"  --threads N         FUSE worker threads (lanes of a host less two)\n"
	"  --join-wait SECONDS wait for a slot whose last tenant is not recovered yet (0)\n"
	"  --attr-timeout S    seconds the kernel may trust attributes and names without\n"
	"                      asking; other hosts' changes are seen that late (0)\n"
	"  --no-realtime       heartbeat at ordinary priority\n"
	"  --config FILE       read settings from FILE first: the same keys, `host = 1`;\n"
	"                      `realtime = no` for --no-realtime\n"
	"  --version, --help\n"
	"\n"
	"Exit status: 0 stopped when asked, 1 failed, 2 bad usage or config,\n"
	"3 declared dead by the pod, 4 pool cannot be used, 5 host slot is taken,\n"
	"6 cannot mount.\n";

static int bad(struct daxfs_why *why, const char *key, const char *value, const char *wanted)
{
	snprintf(why->text, sizeof(why->text), "%s: \"%.80s\" is not %s", key, value, wanted);
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

static int set_number(unsigned *out, unsigned max, const char *key, const char *value, struct daxfs_why *why)
{
	char wanted[64];
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(value, &end, 10);
	if (!isdigit((unsigned char)value[0]) || *end != '\0' || errno != 0 || n > max) {
		snprintf(wanted, sizeof(wanted), "a number from 0 to %u", max);
		return bad(why, key, value, wanted);
	}
	*out = (unsigned)n;
	return 0;
}

static int set_pool(struct config *c, const char *key, const char *value, struct daxfs_why *why)
{
	return set_text(c->pool, sizeof(c->pool), key, value, why);
}

static int set_mount(struct config *c, const char *key, const char *value, struct daxfs_why *why)
{
	return set_text(c->mount, sizeof(c->mount), key, value, why);
}

static int set_name(struct config *c, const char *key, const char *value, struct daxfs_why *why)
{
	return set_text(c->name, sizeof(c->name), key, value, why);
}

/* How many slots there are is the pool's to say; this bounds the number. */
static int set_host(struct config *c, const char *key, const char *value, struct daxfs_why *why)
{
	unsigned host;
	int error = set_number(&host, INT_MAX, key, value, why);

	if (error == 0)
		c->host = (int)host;
	return error;
}

static int set_threads(struct config *c, const char *key, const char *value, struct daxfs_why *why)
{
	return set_number(&c->threads, CONFIG_THREADS_MAX, key, value, why);
}

static int set_join_wait(struct config *c, const char *key, const char *value, struct daxfs_why *why)
{
	return set_number(&c->join_wait_s, CONFIG_JOIN_WAIT_MAX_S, key, value, why);
}

static int set_attr_timeout(struct config *c, const char *key, const char *value, struct daxfs_why *why)
{
	char *end;
	double s = strtod(value, &end);

	if (!isdigit((unsigned char)value[0]) || *end != '\0' || !(s >= 0 && s <= CONFIG_ATTR_TIMEOUT_MAX_S))
		return bad(why, key, value, "a number of seconds from 0 to 3600");
	c->attr_timeout_s = s;
	return 0;
}

static int set_realtime(struct config *c, const char *key, const char *value, struct daxfs_why *why)
{
	if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
		return bad(why, key, value, "yes or no");
	c->realtime = value[0] == 'y';
	return 0;
}

static const struct setting {
	const char *key;
	int (*set)(struct config *c, const char *key, const char *value, struct daxfs_why *why);
} settings[] = {
	{ "pool", set_pool },
	{ "host", set_host },
	{ "mount", set_mount },
	{ "name", set_name },
	{ "threads", set_threads },
	{ "join-wait", set_join_wait },
	{ "attr-timeout", set_attr_timeout },
	{ "realtime", set_realtime },
};

enum { N_SETTINGS = sizeof(settings) / sizeof(settings[0]) };

static int set(struct config *c, const char *key, const char *value, struct daxfs_why *why)
{
	for (int i = 0; i < N_SETTINGS; i++)
		if (strcmp(settings[i].key, key) == 0)
			return settings[i].set(c, key, value, why);
	snprintf(why->text, sizeof(why->text), "%.80s: no such setting; see --help", key);
	return -EINVAL;
}

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

int config_line(struct config *config, const char *line, struct daxfs_why *why)
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
	return set(config, trim(key), trim(value), why);
}

static int read_lines(struct config *config, FILE *file, const char *path, struct daxfs_why *why)
{
	struct daxfs_why reason;
	char line[PATH_MAX + 64];
	int error;

	for (unsigned n = 1; fgets(line, sizeof(line), file); n++) {
		error = config_line(config, line, &reason);
		if (error) {
			snprintf(why->text, sizeof(why->text), "%.80s:%u: %.150s", path, n, reason.text);
			return error;
		}
	}
	return 0;
}

static int read_file(struct config *config, const char *path, struct daxfs_why *why)
{
	FILE *file = fopen(path, "re");
	int error;

	if (!file) {
		error = -errno;
		snprintf(why->text, sizeof(why->text), "cannot read config %.150s: %s", path, strerror(-error));
		return error;
	}
	error = read_lines(config, file, path, why);
	if (!error && ferror(file)) {
		error = -EIO;
		snprintf(why->text, sizeof(why->text), "cannot read config %.150s", path);
	}
	fclose(file);
	return error;
}

enum { OPT_CONFIG = 1000, OPT_NO_REALTIME, OPT_HELP, OPT_VERSION };

static const struct option options[] = {
	{ "pool", required_argument, NULL, 0 },
	{ "host", required_argument, NULL, 0 },
	{ "mount", required_argument, NULL, 0 },
	{ "name", required_argument, NULL, 0 },
	{ "threads", required_argument, NULL, 0 },
	{ "join-wait", required_argument, NULL, 0 },
	{ "attr-timeout", required_argument, NULL, 0 },
	{ "no-realtime", no_argument, NULL, OPT_NO_REALTIME },
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ NULL, 0, NULL, 0 },
};

/* First pass: is the usage right, which file, is it only a question. */
static int scan(int argc, char **argv, const char **file, enum config_action *action, struct daxfs_why *why)
{
	int opt;

	optind = 0;
	opterr = 0;
	*action = CONFIG_RUN;
	while ((opt = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (opt == OPT_CONFIG)
			*file = optarg;
		if (opt == OPT_HELP || opt == OPT_VERSION)
			*action = opt == OPT_HELP ? CONFIG_HELP : CONFIG_VERSION;
		if (opt == '?' || opt == ':') {
			snprintf(why->text, sizeof(why->text), "%.80s %s; see --help", argv[optind - 1],
				 opt == ':' ? "needs a value" : "is not an option");
			return -EINVAL;
		}
	}
	if (optind < argc) {
		snprintf(why->text, sizeof(why->text), "what is \"%.80s\"? see --help", argv[optind]);
		return -EINVAL;
	}
	return 0;
}

static int apply(int argc, char **argv, struct config *config, struct daxfs_why *why)
{
	int opt, index, error = 0;

	optind = 0;
	while (!error && (opt = getopt_long(argc, argv, ":", options, &index)) != -1) {
		if (opt == 0)
			error = set(config, options[index].name, optarg, why);
		if (opt == OPT_NO_REALTIME)
			config->realtime = false;
	}
	return error;
}

static int complete(const struct config *config, struct daxfs_why *why)
{
	const char *missing = NULL;

	if (!config->pool[0])
		missing = "--pool PATH";
	else if (config->host < 0)
		missing = "--host ID";
	else if (!config->mount[0])
		missing = "--mount DIR";
	if (!missing)
		return 0;
	snprintf(why->text, sizeof(why->text), "%s is missing; see --help", missing);
	return -EINVAL;
}

void config_defaults(struct config *config)
{
	memset(config, 0, sizeof(*config));
	config->host = -1;
	config->realtime = true;
}

int config_parse(int argc, char **argv, struct config *config, enum config_action *action, struct daxfs_why *why)
{
	const char *file = NULL;
	int error;

	config_defaults(config);
	error = scan(argc, argv, &file, action, why);
	if (error || *action != CONFIG_RUN)
		return error;
	if (file)
		error = read_file(config, file, why);
	if (!error)
		error = apply(argc, argv, config, why);
	if (!error)
		error = complete(config, why);
	return error;
}
