/* SPDX-License-Identifier: Apache-2.0 */
/* mount_request.c - see mount_request.h. Works on the caller's memory, and on getopt's. */
#include "node-agent/mount_request.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include "node-agent/agent.h"

/* Settings of the agent that are options of the mount. A PATH must be absolute, for the agent is in / then. */
static const struct key {
	const char *name;
	char *option;
	enum { VALUE, PATH, WORD } kind;
} keys[] = {
	{ "host", "--host", VALUE },
	{ "name", "--name", VALUE },
	{ "threads", "--threads", VALUE },
	{ "join-wait", "--join-wait", VALUE },
	{ "attr-timeout", "--attr-timeout", VALUE },
	{ "keep", "--keep", VALUE },
	{ "backing", "--backing", VALUE },
	{ "dirty-max-mib", "--dirty-max-mib", VALUE },
	{ "pool", "--pool", PATH },
	{ "pool-uuid", "--pool-uuid", VALUE },
	{ "config", "--config", PATH },
	{ "machine-id", "--machine-id", PATH },
	{ "boot-id", "--boot-id", PATH },
	{ "no-realtime", "--no-realtime", WORD },
};

/* What the kernel's table of mounts shows, and mount(8) hands back for a remount. */
static const char *const shown[] = { "fd", "rootmode", "user_id", "group_id", "max_read", "blksize" };

static bool add(struct mount_request *r, char *word)
{
	if (r->arguments + 1 >= MOUNT_REQUEST_WORDS)
		return false;
	r->argument[r->arguments++] = word;
	r->argument[r->arguments] = NULL;
	return true;
}

/* Does the option begin with this name, whichever of - and _ is in it? */
static bool is_called(const char *option, size_t len, const char *name)
{
	if (strlen(name) != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (option[i] != name[i] && !(option[i] == '_' && name[i] == '-'))
			return false;
	return true;
}

static const struct key *key_of(const char *option)
{
	size_t len = strcspn(option, "=");

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (is_called(option, len, keys[i].name))
			return &keys[i];
	return NULL;
}

static bool is_shown(const char *option)
{
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		if (is_called(option, strcspn(option, "="), shown[i]))
			return true;
	return false;
}

static int take_key(struct mount_request *r, const struct key *key, char *option, struct daxfs_error *err)
{
	char *value = strchr(option, '=');

	if (key->kind != WORD && (!value || !value[1]))
		return daxfs_error_set(err, -EINVAL, "option %s has no value: write %s=...", key->name, key->name);
	if (key->kind == WORD && value)
		return daxfs_error_set(err, -EINVAL, "option %s takes no value", key->name);
	if (key->kind == PATH && value[1] != '/')
		return daxfs_error_set(err, -EINVAL, "option %s: %.200s is no absolute path", key->name, value + 1);
	if (!add(r, key->option) || (value && !add(r, value + 1)))
		return daxfs_error_set(err, -EINVAL, "too many options");
	return 0;
}

/* One that is the mount's own, not the agent's. */
static int take_mount_option(struct mount_request *r, const char *option, struct daxfs_error *err)
{
	size_t used = strlen(r->passed);
	int error;

	if (r->remount && is_shown(option))
		return 0;
	error = mount_options_set(&r->options, option, err);
	if (error)
		return r->sloppy ? 0 : error;
	snprintf(r->passed + used, sizeof(r->passed) - used, "%s%s", used ? "," : "", option);
	return 0;
}

/* A remount does not change these unless it names them: mount(8) does not say whether what it leaves out was. */
static void start_from_mounted(struct mount_request *r)
{
	struct statvfs now;

	if (statvfs(r->dir, &now) == 0)
		r->options.flags = (now.f_flag & ST_NOSUID ? MS_NOSUID : 0) | (now.f_flag & ST_NODEV ? MS_NODEV : 0);
}

static int take_options(struct mount_request *r, struct daxfs_error *err)
{
	char *rest = NULL;
	int error = 0;

	/* It comes last, from mount(8), and decides what the others mean. */
	for (const char *at = r->list; (at = strstr(at, "remount")) != NULL; at += strlen("remount"))
		if ((at == r->list || at[-1] == ',') && (at[7] == ',' || at[7] == '\0'))
			r->remount = true;
	if (r->remount)
		start_from_mounted(r);
	for (char *o = strtok_r(r->list, ",", &rest); o && !error; o = strtok_r(NULL, ",", &rest)) {
		const struct key *key = key_of(o);

		if (strcmp(o, "remount") == 0)
			continue;
		error = key ? take_key(r, key, o, err) : take_mount_option(r, o, err);
	}
	return error;
}

/* A path that leads nowhere stays as it is: it is the agent that says what is wrong with it. */
static void make_absolute(const char *path, char *out)
{
	if (!realpath(path, out))
		snprintf(out, PATH_MAX, "%s", path);
}

static int take_words(struct mount_request *r, int words, char **word, struct daxfs_error *err)
{
	static const char prefix[] = "pool=";
	bool prefixed;

	if (words != 2 || !word[0][0] || strlen(word[0]) >= sizeof(r->source) || !word[1][0])
		return daxfs_error_set(err, -EINVAL, "usage: mount -t daxfs POOL DIR -o host=N,...");
	strcpy(r->source, word[0]);
	make_absolute(word[1], r->dir);
	prefixed = strncmp(word[0], prefix, strlen(prefix)) == 0;
	if (prefixed || strchr(word[0], '/'))
		make_absolute(word[0] + (prefixed ? strlen(prefix) : 0), r->pool);
	return 0;
}

static int take_list(struct mount_request *r, const char *list, struct daxfs_error *err)
{
	size_t used = strlen(r->list);

	if (used + strlen(list) + 2 > sizeof(r->list))
		return daxfs_error_set(err, -EINVAL, "the options are too long");
	sprintf(r->list + used, "%s%s", used ? "," : "", list);
	return 0;
}

static int take_switches(struct mount_request *r, int argc, char **argv, struct daxfs_error *err)
{
	int c, error = 0;

	optind = 0; /* anew, whoever has used it */
	opterr = 0;
	while (!error && (c = getopt(argc, argv, "fnsvhN:o:t:")) >= 0)
		switch (c) {
		case 'f': r->fake = true; break;
		case 's': r->sloppy = true; break;
		case 'v': r->verbose = true; break;
		case 'h': r->help = true; break;
		case 'N': r->namespace = optarg; break;
		case 'o': error = take_list(r, optarg, err); break;
		case 'n': /* there is no table to leave alone */
		case 't': break;
		default: error = daxfs_error_set(err, -EINVAL, "unknown switch -%c; see mount.daxfs(8)", optopt);
		}
	return error;
}

/* Has one of the agent's arguments come from this option? */
static bool has(const struct mount_request *r, const char *option)
{
	for (int i = 0; i < r->arguments; i++)
		if (strcmp(r->argument[i], option) == 0)
			return true;
	return false;
}

static int complete(struct mount_request *r, struct daxfs_error *err)
{
	bool config = has(r, "--config"), ok;

	if (r->pool[0] && has(r, "--pool"))
		return daxfs_error_set(err, -EINVAL, "the pool is named twice: %.100s, and pool=", r->source);
	if (!r->pool[0] && !has(r, "--pool") && !config)
		return daxfs_error_set(err, -EINVAL, "%.100s is no path of a pool: write it, or the option pool=PATH",
				       r->source);
	if (!has(r, "--host") && !config)
		return daxfs_error_set(err, -EINVAL, "which host of the pool is this? write the option host=N");
	ok = add(r, "--mount") && add(r, r->dir) && add(r, "--source") && add(r, r->source);
	if (r->pool[0])
		ok = ok && add(r, "--pool") && add(r, r->pool);
	if (r->passed[0])
		ok = ok && add(r, "--options") && add(r, r->passed);
	if (!has(r, "--join-wait") && !config)
		ok = ok && add(r, "--join-wait") && add(r, "60");
	return ok ? 0 : daxfs_error_set(err, -EINVAL, "too many options");
}

int mount_request_parse(struct mount_request *r, int argc, char **argv, struct daxfs_error *err)
{
	int error;

	memset(r, 0, sizeof(*r));
	mount_options_default(&r->options);
	add(r, AGENT_NAME);
	error = take_switches(r, argc, argv, err);
	if (error || r->help)
		return error;
	error = take_words(r, argc - optind, argv + optind, err);
	if (!error)
		error = take_options(r, err);
	return error || r->remount ? error : complete(r, err);
}
