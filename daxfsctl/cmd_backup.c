/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_backup.c - daxfsctl backup and restore: a pool as a file, and back.
 *
 * The copy is written under another name, FILE.part, checked as a pool, and only then gets the name that was asked for.
 * So what has that name is a whole copy, and a former one, which only --force replaces, is not lost before the new one
 * is there. FILE.part is locked meanwhile: a second backup to the same FILE is refused, and what a killed one left has
 * no lock and is written over.
 *
 * Of a pool that hosts use (--online) a second pool is made first, by a guest in it (guest.h) that copies the tree
 * (copy_tree.h says what the copy then has); that one nobody uses, and it is what is copied.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daxfs/inspect.h"
#include "daxfs/member.h"
#include "daxfsctl/ctl.h"
#include "daxfsctl/json.h"
#include "daxfsctl/medium.h"
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

/* -- where it is written ---------------------------------------------------------- */

struct copy {
	struct ctl *ctl;
	const char *pool, *to;
	bool force;
	char part[PATH_MAX], image[PATH_MAX];
	int fd; /* of `part`, locked */
};

static bool is_same(const char *path, const struct stat *st)
{
	struct stat other;

	return stat(path, &other) == 0 && other.st_dev == st->st_dev && other.st_ino == st->st_ino;
}

/* Before anything is copied: would FILE be anything that is not to be lost? */
static int may_replace(const struct copy *c)
{
	struct stat st;

	if (stat(c->to, &st))
		return CTL_OK;
	if (!S_ISREG(st.st_mode))
		return ctl_fail(c->ctl, CTL_REFUSED, "%s is no regular file: name one that the copy is to be", c->to);
	if (is_same(c->pool, &st))
		return ctl_fail(c->ctl, CTL_REFUSED, "%s is the pool itself: name another file", c->to);
	if (!c->force)
		return ctl_fail(c->ctl, CTL_REFUSED,
				"%s is there: name another file, or --force, which replaces it once "
				"the new copy is whole",
				c->to);
	return CTL_OK;
}

/* False: another process has it. Storage without locks has no word in that. */
static bool take_lock(const struct copy *c, int kind)
{
	return flock(c->fd, kind | LOCK_NB) == 0 || errno != EWOULDBLOCK;
}

/* The one that had FILE.part may have given it its name between our open and our lock. */
static int lock_part(struct copy *c)
{
	struct stat st;

	if (!take_lock(c, LOCK_EX) || fstat(c->fd, &st) || !is_same(c->part, &st))
		return ctl_fail(c->ctl, CTL_REFUSED, "%s is being written by another backup", c->part);
	if (!S_ISREG(st.st_mode))
		return ctl_fail(c->ctl, CTL_REFUSED, "%s is no regular file", c->part);
	if (ftruncate(c->fd, 0))
		return ctl_fail(c->ctl, CTL_ERROR, "%s: %s", c->part, strerror(errno));
	return CTL_OK;
}

static int open_part(struct copy *c)
{
	int code = may_replace(c);

	if (code)
		return code;
	c->fd = open(c->part, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (c->fd < 0)
		return ctl_fail(c->ctl, CTL_ERROR, "%s: %s", c->part, strerror(errno));
	code = lock_part(c);
	if (code) {
		close(c->fd);
		c->fd = -1;
	}
	return code;
}

/* Without --force only if nobody made such a file meanwhile; where storage cannot promise that, by a look. */
static int give_name(const struct copy *c)
{
	int error = renameat2(AT_FDCWD, c->part, AT_FDCWD, c->to, c->force ? 0 : RENAME_NOREPLACE) ? errno : 0;
	int code = error == EEXIST || error == EINVAL ? may_replace(c) : CTL_OK;

	if (code)
		return code;
	if (error == EINVAL)
		error = rename(c->part, c->to) ? errno : 0;
	return error ? ctl_fail(c->ctl, CTL_ERROR, "%s: %s", c->to, strerror(error)) : CTL_OK;
}

/* -- backup ------------------------------------------------------------------------- */

/* A copy of a pool that nobody uses. */
static int copy_pool(struct copy *c, const char *pool)
{
	struct daxfs_error err = { .text = "" };
	struct daxfs *fs;
	int rc = daxfs_open(pool, DAXFS_READ_ONLY, &fs, &err), code;

	if (rc == 0) {
		rc = daxfs_backup(fs, c->fd, &err);
		daxfs_close(fs);
	}
	if (rc)
		return ctl_fail_error(c->ctl, rc, &err);
	if (!take_lock(c, LOCK_SH)) { /* the check maps it: so does a reader */
		c->part[0] = '\0';
		return ctl_fail(c->ctl, CTL_REFUSED, "another backup to %s was faster", c->to);
	}
	code = check_copy(c->ctl, c->part);
	return code ? code : give_name(c);
}

static int copy_online(struct copy *c, unsigned hosts, struct online_copy *copied)
{
	int code = online_make(c->ctl, c->pool, c->image, hosts, copied);

	if (code == CTL_OK)
		code = copy_pool(c, c->image);
	unlink(c->image);
	return code;
}

static bool make_names(struct copy *c)
{
	return snprintf(c->part, sizeof(c->part), "%s.part", c->to) < (int)sizeof(c->part) &&
	       snprintf(c->image, sizeof(c->image), "%s.image", c->to) < (int)sizeof(c->image);
}

int cmd_backup(struct ctl *ctl, int argc, char **argv)
{
	bool online = false;
	struct copy c = { .ctl = ctl };
	struct arg_number hosts = { .given = false };
	const struct arg table[] = { { "online", ARG_FLAG, &online, 0 },
				     { "hosts", ARG_NUMBER, &hosts, CTL_HOSTS_MAX },
				     { "force", ARG_FLAG, &c.force, 0 } };
	int code = ctl_parse(ctl, argc, argv, table, 3, 2, 2, "backup POOL FILE [--online [--hosts N]] [--force]");
	struct online_copy copied = { .n = 0 };

	if (code)
		return code;
	if (hosts.given && (!online || !hosts.value))
		return ctl_fail(
			ctl, CTL_USAGE,
			"--hosts is a number of at least 1, with --online: an exact copy has the slots of its pool");
	c.pool = ctl->words[0];
	c.to = ctl->words[1];
	if (!make_names(&c))
		return ctl_fail(ctl, CTL_USAGE, "%.60s...: too long a name", c.to);
	code = open_part(&c);
	if (code)
		return code;
	code = online ? copy_online(&c, hosts.given ? (unsigned)hosts.value + 1 : 0, &copied) : copy_pool(&c, c.pool);
	if (code != CTL_OK)
		unlink(c.part);
	close(c.fd);
	if (code == CTL_OK)
		show(ctl, "copied", c.pool, c.to, online ? &copied : NULL);
	online_free(&copied);
	return code;
}

/*
 * In what backup wrote no slot has a tenant. In a pool that hosts use some have, and a copy of that would have words of
 * one time and pages of another; and a fabricd that watches it would miss their heartbeats, and have the hosts cut off
 * that work in the pool it was copied from. What cannot be read at all is for daxfs_restore to say.
 */
static int refuse_tenants(struct ctl *ctl, const char *file)
{
	struct daxfs_error ignored;
	struct daxfs_host_view host;
	struct daxfs_member *m;
	int code = CTL_OK, rc;

	if (daxfs_member_open(file, false, &m, &ignored))
		return CTL_OK;
	for (unsigned i = 0; code == CTL_OK && (rc = daxfs_member_host(m, i, &host)) != -EINVAL; i++)
		if (rc == 0 && daxfs_host_may_live(&host))
			code = ctl_fail(ctl, CTL_REFUSED,
					"host %u is %s in %s: give a file that daxfsctl backup wrote; of a pool "
					"that hosts use, backup --online makes one",
					i, daxfs_host_state_name(host.state), file);
	daxfs_member_close(m);
	return code;
}

int cmd_restore(struct ctl *ctl, int argc, char **argv)
{
	bool force = false;
	const struct arg table[] = { { "force", ARG_FLAG, &force, 0 } };
	struct daxfs_error err = { .text = "" };
	int code = ctl_parse(ctl, argc, argv, table, 1, 2, 2, "restore FILE POOL [--force]"), rc;

	if (code == CTL_OK)
		code = refuse_tenants(ctl, ctl->words[0]);
	if (code)
		return code;
	rc = daxfs_restore(ctl->words[0], ctl->words[1], force, &err);
	if (rc)
		return ctl_fail_error(ctl, rc, &err);
	show(ctl, "restored", ctl->words[0], ctl->words[1], NULL);
	medium_warn(ctl, ctl->words[1]);
	return CTL_OK;
}
