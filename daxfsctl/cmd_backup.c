/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_backup.c - daxfsctl backup and restore: a pool as a file, and back.
 *
 * The copy is written under another name, checked as a pool, and only then gets the name that was asked for. So what
 * has that name is a whole copy, and a former one is not lost before the new one is there.
 *
 * Of a pool that hosts use (--online) a second pool is made first, by a guest in it (guest.h) that copies the tree
 * (copy_tree.h says what the copy then has); that one nobody uses, and it is what is copied.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daxfs/inspect.h"
#include "daxfsctl/ctl.h"
#include "daxfsctl/json.h"
#include "daxfsctl/online.h"
#include "daxfsctl/text.h"

static void show(struct ctl *ctl, const char *what, const char *from, const char *to, const struct online_copy *online)
{
	char size[16], used[16];
	struct stat st;
	struct json j;

	if (stat(to, &st))
		memset(&st, 0, sizeof(st));
	if (ctl->json) {
		json_begin(&j, ctl->out);
		json_add_schema(&j, "copy");
		json_add_text(&j, "from", from);
		json_add_text(&j, "to", to);
		json_add_number(&j, "size", (uint64_t)st.st_size);
		if (online)
			online_json(&j, online);
		json_finish(&j);
		return;
	}
	fprintf(ctl->out, "%s %s to %s", what, from, to);
	if (S_ISREG(st.st_mode))
		fprintf(ctl->out, ": %s, %s of them stored", text_bytes((uint64_t)st.st_size, size, sizeof(size)),
			text_bytes((uint64_t)st.st_blocks * 512, used, sizeof(used)));
	putc('\n', ctl->out);
	if (online)
		online_text(ctl->out, online);
}

/* Is it a whole pool, in order? */
static int check_copy(struct ctl *ctl, const char *path)
{
	struct daxfs_error err = { .text = "" };
	struct daxfs_check found;
	struct daxfs *fs;
	int rc = daxfs_open(path, DAXFS_READ_ONLY, &fs, &err);

	if (rc)
		return ctl_fail_error(ctl, rc, &err);
	rc = daxfs_check(fs, NULL, NULL, &found);
	daxfs_close(fs);
	if (rc)
		return ctl_fail(ctl, CTL_ERROR, "the copy cannot be checked: %s", strerror(-rc));
	if (found.problems)
		return ctl_fail(ctl, CTL_PROBLEMS, "the pool has problems: run daxfsctl check; nothing was kept");
	return CTL_OK;
}

static int write_copy(struct ctl *ctl, const char *pool, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), rc;
	struct daxfs_error err = { .text = "" };
	struct daxfs *fs;

	if (fd < 0)
		return ctl_fail(ctl, CTL_ERROR, "%s: %s", path, strerror(errno));
	rc = daxfs_open(pool, DAXFS_READ_ONLY, &fs, &err);
	if (rc == 0) {
		rc = daxfs_backup(fs, fd, &err);
		daxfs_close(fs);
	}
	close(fd);
	return rc ? ctl_fail_error(ctl, rc, &err) : CTL_OK;
}

/* A copy of a pool that nobody uses. */
static int copy_pool(struct ctl *ctl, const char *pool, const char *to)
{
	char temporary[PATH_MAX];
	int code;

	snprintf(temporary, sizeof(temporary), "%s.part", to);
	code = write_copy(ctl, pool, temporary);
	if (code == CTL_OK)
		code = check_copy(ctl, temporary);
	if (code == CTL_OK && rename(temporary, to))
		code = ctl_fail(ctl, CTL_ERROR, "%s: %s", to, strerror(errno));
	if (code != CTL_OK)
		unlink(temporary);
	return code;
}

int cmd_backup(struct ctl *ctl, int argc, char **argv)
{
	bool online = false;
	struct arg_number hosts = { .given = false };
	const struct arg table[] = { { "online", ARG_FLAG, &online, 0 },
				     { "hosts", ARG_NUMBER, &hosts, CTL_HOSTS_MAX } };
	int code = ctl_parse(ctl, argc, argv, table, 2, 2, 2, "backup [--online [--hosts N]] POOL FILE");
	struct online_copy copied;
	char image[PATH_MAX];
	const char *to;

	if (code)
		return code;
	if (hosts.given && (!online || !hosts.value))
		return ctl_fail(
			ctl, CTL_USAGE,
			"--hosts is a number of at least 1, with --online: an exact copy has the slots of its pool");
	to = ctl->words[1];
	if (snprintf(image, sizeof(image), "%s.image", to) >= (int)sizeof(image))
		return ctl_fail(ctl, CTL_USAGE, "%.60s...: too long a name", to);
	if (!online) {
		code = copy_pool(ctl, ctl->words[0], to);
	} else {
		code = online_make(ctl, ctl->words[0], image, hosts.given ? (unsigned)hosts.value + 1 : 0, &copied);
		if (code == CTL_OK)
			code = copy_pool(ctl, image, to);
		unlink(image);
	}
	if (code == CTL_OK)
		show(ctl, "copied", ctl->words[0], to, online ? &copied : NULL);
	if (online)
		online_free(&copied);
	return code;
}

int cmd_restore(struct ctl *ctl, int argc, char **argv)
{
	bool force = false;
	const struct arg table[] = { { "force", ARG_FLAG, &force, 0 } };
	struct daxfs_error err = { .text = "" };
	int code = ctl_parse(ctl, argc, argv, table, 1, 2, 2, "restore FILE POOL [--force]"), rc;

	if (code)
		return code;
	rc = daxfs_restore(ctl->words[0], ctl->words[1], force, &err);
	if (rc)
		return ctl_fail_error(ctl, rc, &err);
	show(ctl, "restored", ctl->words[0], ctl->words[1], NULL);
	return CTL_OK;
}
