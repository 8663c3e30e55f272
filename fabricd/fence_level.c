/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fence_level.c - see fence_level.h. A password is in a file that nobody else may read, is read
 * anew for each run, and goes to the agent's standard input: it is in no argument, log, or setting.
 */
#include "fabricd/fence_level.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
#define SECRET_BYTES 256u

/* -- settings ---------------------------------------------------------------------- */

static struct fence_level *level_of(struct fence_level *levels, const char *key)
{
	size_t len = strlen(key);

	return key[len - 2] == '-' ? &levels[key[len - 1] - '1'] : &levels[0];
}

/* Does the option have this key? */
static bool has_key(const char *option, const char *key, size_t len)
{
	return strncmp(option, key, len) == 0 && option[len] == '=';
}

static bool ends_with(const char *text, size_t len, const char *end)
{
	return len >= strlen(end) && strncasecmp(text + len - strlen(end), end, strlen(end)) == 0;
}

/* KEY=VALUE with a key that an option may have: its length, 0 if not. */
static size_t key_len(const char *key, const char *value, bool plug, struct daxfs_error *err)
{
	size_t len = strspn(value, KEY_LETTERS);

	if (len == 0 || value[len] != '=')
		settings_bad(key, value, "KEY=VALUE", err);
	else if (has_key(value, "action", 6) || (!plug && has_key(value, "plug", 4)))
		settings_bad(key, value, "for you to set: fabricd gives action and plug itself", err);
	else
		return len;
	return 0;
}

int fence_set_agent(struct fence_level *levels, const char *key, const char *value, struct daxfs_error *err)
{
	struct fence_level *l = level_of(levels, key);

	return settings_text(key, value, l->agent, sizeof(l->agent), err);
}

/* An option may come more than once; the last of the same key counts. */
int fence_set_option(struct fence_level *levels, const char *key, const char *value, struct daxfs_error *err)
{
	struct fence_level *l = level_of(levels, key);
	size_t len = key_len(key, value, false, err);
	unsigned i = 0;

	if (len == 0)
		return -EINVAL;
	if (ends_with(value, len, "passwd") || ends_with(value, len, "password"))
		return daxfs_error_set(err, -EINVAL,
				       "%s: a password is not given here: put it into a file of mode 0600, and set "
				       "fence-secret = %.*s=FILE",
				       key, (int)len, value);
	while (i < l->options && !has_key(l->option[i], value, len))
		i++;
	if (i == FENCE_OPTIONS_MAX)
		return settings_bad(key, value, "allowed: there are 12 already", err);
	if (settings_text(key, value, l->option[i], sizeof(l->option[i]), err))
		return -EINVAL;
	l->options += i == l->options;
	return 0;
}

int fence_set_secret(struct fence_level *levels, const char *key, const char *value, struct daxfs_error *err)
{
	struct fence_level *l = level_of(levels, key);
	size_t len = key_len(key, value, false, err);
	unsigned i = 0;

	if (len == 0)
		return -EINVAL;
	while (i < l->secrets && !has_key(l->secret[i], value, len))
		i++;
	if (i == FENCE_SECRETS_MAX)
		return settings_bad(key, value, "allowed: there are 2 already", err);
	if (settings_text(key, value, l->secret[i], sizeof(l->secret[i]), err))
		return -EINVAL;
	l->secrets += i == l->secrets;
	return 0;
}

static bool is_host(const char *row, const char *name, size_t len)
{
	return strncmp(row, name, len) == 0 && (row[len] == ' ' || row[len] == '\0');
}

/* NAME KEY=VALUE ..., each but the name as in fence-option. */
int fence_set_host(struct fence_level *levels, const char *key, const char *value, struct daxfs_error *err)
{
	struct fence_level *l = level_of(levels, key);
	size_t len = strcspn(value, " \t");
	char copy[FENCE_HOST_BYTES], *rest = copy, *word;
	unsigned i = 0;

	if (settings_text(key, value, copy, sizeof(copy), err))
		return -EINVAL;
	if (len == 0)
		return settings_bad(key, value, "NAME KEY=VALUE...", err);
	for (strsep(&rest, " \t"); rest && (word = strsep(&rest, " \t")) != NULL;)
		if (*word && key_len(key, word, true, err) == 0)
			return -EINVAL;
	while (i < l->hosts && !is_host(l->host[i], value, len))
		i++;
	if (i == FENCE_HOSTS_MAX)
		return settings_bad(key, value, "allowed: there are 64 already", err);
	snprintf(l->host[i], sizeof(l->host[i]), "%s", value);
	for (char *c = l->host[i]; *c; c++)
		if (*c == '\t')
			*c = ' ';
	l->hosts += i == l->hosts;
	return 0;
}

/* -- the agent's input ------------------------------------------------------------------ */

struct input {
	char *out;
	size_t len, size;
};

static void put(struct input *in, const char *text, size_t len)
{
	if (in->len + len + 1 < in->size) {
		memcpy(in->out + in->len, text, len);
		in->out[in->len + len] = '\n';
	}
	in->len += len + 1;
}

static const char *row_of(const struct fence_level *l, const char *name, unsigned nth)
{
	if (!name)
		return l->hosts ? l->host[nth % l->hosts] : "";
	for (unsigned i = 0; i < l->hosts; i++)
		if (is_host(l->host[i], name, strlen(name)))
			return l->host[i];
	return "";
}

/* The value that a row has for a key; NULL: none. */
static const char *in_row(const char *row, const char *key, size_t len)
{
	for (const char *c = strchr(row, ' '); c; c = strchr(c, ' ')) {
		c += strspn(c, " ");
		if (has_key(c, key, len))
			return c;
	}
	return NULL;
}

/* One line of a file that belongs to us and that nobody else may read. */
static int read_secret(const char *path, char out[SECRET_BYTES], struct daxfs_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), rc = fd < 0 ? -errno : 0;
	struct stat st;
	ssize_t n = 0;

	if (fd < 0)
		return daxfs_error_set(err, rc, "%s: %s", path, strerror(-rc));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 077)
		rc = daxfs_error_set(err, -EACCES, "%s: must be a file of fabricd's user with mode 0600", path);
	else
		n = read(fd, out, SECRET_BYTES - 1);
	close(fd);
	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\r\n")] = '\0';
	if (rc == 0 && out[0] == '\0')
		rc = daxfs_error_set(err, -ENODATA, "%s: no password in it", path);
	return rc;
}

static int put_secret(struct input *in, const char *secret, struct daxfs_error *err)
{
	const char *path = strchr(secret, '=') + 1;
	char line[FENCE_OPTION_BYTES + SECRET_BYTES], value[SECRET_BYTES];
	int rc = read_secret(path, value, err);

	if (rc)
		return rc;
	snprintf(line, sizeof(line), "%.*s%s", (int)(path - secret), secret, value);
	put(in, line, strlen(line));
	explicit_bzero(value, sizeof(value));
	explicit_bzero(line, sizeof(line));
	return 0;
}

int fence_input(const struct fence_level *l, const char *action, const char *name, unsigned nth, char *out, size_t size,
		struct daxfs_error *err)
{
	struct input in = { .out = out, .size = size };
	const char *row = row_of(l, name, nth), *c = strchr(row, ' ');
	char line[128];
	int rc = 0;

	if (name && strlen(name) >= sizeof(line) - sizeof("plug="))
		return daxfs_error_set(err, -ENAMETOOLONG, "a host's name is longer than any can be");
	if (name && l->hosts && !*row)
		return daxfs_error_set(err, -ENOENT, "no fence-host line for %s", name);
	put(&in, line, (size_t)snprintf(line, sizeof(line), "action=%s", action));
	if (name && !in_row(row, "plug", 4))
		put(&in, line, (size_t)snprintf(line, sizeof(line), "plug=%s", name));
	for (c = c ? c + strspn(c, " ") : row + strlen(row); *c; c += strcspn(c, " "), c += strspn(c, " "))
		put(&in, c, strcspn(c, " "));
	for (unsigned i = 0; i < l->options; i++)
		if (!in_row(row, l->option[i], strcspn(l->option[i], "=")))
			put(&in, l->option[i], strlen(l->option[i]));
	for (unsigned i = 0; rc == 0 && i < l->secrets; i++)
		rc = put_secret(&in, l->secret[i], err);
	if (rc == 0 && in.len >= size)
		rc = daxfs_error_set(err, -E2BIG, "more options than an agent can be told");
	return rc ? rc : (int)in.len;
}

/* -- programs ----------------------------------------------------------------------------- */

const char *fence_name(const char *command)
{
	const char *slash = strrchr(command, '/');

	return slash ? slash + 1 : command;
}

static int is_program(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return -errno;
	return S_ISREG(st.st_mode) && access(path, X_OK) == 0 ? 0 : -EACCES;
}

int fence_find(const char *command, char out[PATH_MAX])
{
	const char *path = getenv("PATH"), *dir = path ? path : "/usr/sbin:/usr/bin:/sbin:/bin";
	int rc = -ENOENT;

	if (strchr(command, '/')) {
		snprintf(out, PATH_MAX, "%s", command);
		return is_program(out);
	}
	for (size_t len; *dir && rc; dir += len + (dir[len] == ':')) {
		len = strcspn(dir, ":");
		if (len == 0 || snprintf(out, PATH_MAX, "%.*s/%s", (int)len, dir, command) >= PATH_MAX) {
			if (len == 0)
				dir++;
			continue;
		}
		rc = is_program(out);
	}
	return rc;
}
