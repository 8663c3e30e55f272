/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel.c - the kernel of each host, as far as it believes what it was told.
 *
 * Names and attributes with the time until which they are believed, filled from leased answers and
 * emptied by recalls, as FUSE does it. It is no part of its host's agent: it goes on to believe when that
 * is dead. An answer is under way for some steps before it arrives.
 *
 *   serve | unserve      begin to grant; nothing is believed any more
 *   poll | ask P         give back what others asked for; ask host 0 for a lease
 *   kstat P              what a program on this host is told of a name
 *   believes P           the script is to no purpose if it does not: a name and its attributes
 *   kernels              what other hosts' kernels believe at this moment, compared with what is
 *   attributes           the same of attributes alone, in the kernel of a host that is changing them, too
 */
#include <errno.h>

#include "daxfs/lease.h"
#include "machine/arena.h"
#include "fs/fs.h"
#include "script/script.h"

#define NONE 0u

static uint64_t clock_now(void)
{
	return lease_clock();
}

static void put(struct command_call *call, const char *text)
{
	snprintf(call->result, sizeof(call->result), "%s", text);
}

static struct kernel_name *find_name(struct kernel *k, daxfs_ino parent, const char *name)
{
	struct kernel_name *free_one = NULL;

	for (unsigned i = 0; i < KERNEL_MAX; i++) {
		if (k->name[i].parent == parent && !strcmp(k->name[i].name, name))
			return &k->name[i];
		if (!k->name[i].parent)
			free_one = &k->name[i];
	}
	if (!free_one || strlen(name) >= sizeof(free_one->name))
		arena_die("a script names too much for its kernel");
	free_one->parent = parent;
	strcpy(free_one->name, name);
	return free_one;
}

static struct kernel_attr *find_attr(struct kernel *k, daxfs_ino ino)
{
	struct kernel_attr *free_one = NULL;

	for (unsigned i = 0; i < KERNEL_MAX; i++) {
		if (k->attr[i].attr.ino == ino)
			return &k->attr[i];
		if (!k->attr[i].attr.ino)
			free_one = &k->attr[i];
	}
	if (!free_one)
		arena_die("a script has too many files for its kernel");
	return free_one;
}

static bool drop(void *context, daxfs_ino ino, bool names)
{
	struct kernel *k = context;

	for (unsigned i = 0; i < KERNEL_MAX; i++) {
		if (names)
			k->name[i].until = 0;
		if (k->attr[i].attr.ino == ino)
			k->attr[i].until = 0;
	}
	return true;
}

void kernel_serve(struct command_call *call)
{
	snprintf(call->result, sizeof(call->result), "%d",
		 daxfs_lease_start(world.fs[call->host], drop, &world.kernel[call->host]));
}

void kernel_unserve(struct command_call *call)
{
	struct kernel *k = &world.kernel[call->host];

	for (unsigned i = 0; i < KERNEL_MAX; i++)
		k->name[i].until = k->attr[i].until = 0;
	daxfs_lease_stop(world.fs[call->host]);
	put(call, "0");
}

void kernel_ask(struct command_call *call)
{
	lease_ask(fs_pool_writable(world.fs[call->host]), 0, handle_index(call->command->ino));
	put(call, "0");
}

void kernel_poll(struct command_call *call)
{
	daxfs_lease_poll(world.fs[call->host], drop, &world.kernel[call->host]);
	put(call, "0");
}

/* Some steps between an answer and its arrival. */
static void travel(struct daxfs *fs)
{
	struct daxfs_attr attr;

	daxfs_getattr(fs, DAXFS_ROOT, &attr);
}

static int ask_attr(struct daxfs *fs, struct kernel *k, daxfs_ino ino, struct daxfs_attr *out)
{
	struct kernel_attr *a = find_attr(k, ino);
	struct daxfs_lease lease;
	struct daxfs_answer answer;
	int rc;

	if (a->until > clock_now()) {
		*out = a->attr;
		return 0;
	}
	daxfs_answer_begin(fs, &answer);
	rc = daxfs_getattr_leased(fs, ino, false, out, &lease);
	travel(fs);
	if (rc == 0) {
		a->attr = *out;
		a->until = lease.attr_ns ? clock_now() + lease.attr_ns : 0;
	}
	if (!daxfs_answer_end(fs, &answer))
		a->until = 0;
	return rc;
}

static int ask_name(struct daxfs *fs, struct kernel *k, struct kernel_name *n, struct daxfs_attr *out)
{
	struct daxfs_answer answer;
	struct daxfs_lease lease;
	struct kernel_attr *a = NULL;
	int rc;

	daxfs_answer_begin(fs, &answer);
	rc = daxfs_lookup_leased(fs, n->parent, n->name, out, &lease);
	travel(fs);
	n->ino = rc == 0 ? out->ino : NONE;
	n->until = lease.names_ns && (rc == 0 || rc == -ENOENT) ? clock_now() + lease.names_ns : 0;
	if (rc == 0) {
		a = find_attr(k, out->ino);
		a->attr = *out;
		a->until = lease.attr_ns ? clock_now() + lease.attr_ns : 0;
	}
	if (!daxfs_answer_end(fs, &answer)) {
		n->until = 0;
		if (a)
			a->until = 0;
	}
	return rc;
}

void kernel_stat(struct command_call *call)
{
	const struct command *c = call->command;
	struct daxfs *fs = world.fs[call->host];
	struct kernel *k = &world.kernel[call->host];
	struct kernel_name *n = find_name(k, c->parent[0], c->name[0]);
	struct daxfs_attr attr;
	int rc = -ESTALE;

	if (n->until > clock_now())
		rc = n->ino ? ask_attr(fs, k, n->ino, &attr) : -ENOENT;
	if (rc == -ESTALE) /* the name is not believed, or leads nowhere any more, and the kernel looks again */
		rc = ask_name(fs, k, n, &attr);
	if (rc)
		snprintf(call->result, sizeof(call->result), "%d", rc);
	else
		snprintf(call->result, sizeof(call->result), "0 %o %u:%u n%u %llu", attr.mode, attr.uid, attr.gid,
			 attr.nlink, (unsigned long long)attr.size);
}

void kernel_believes(struct command_call *call)
{
	const struct command *c = call->command;
	struct kernel *k = &world.kernel[call->host];
	struct kernel_name *n = find_name(k, c->parent[0], c->name[0]);

	put(call, "0");
	if (n->until <= clock_now() || (n->ino && find_attr(k, n->ino)->until <= clock_now()))
		arena_die("a script's kernel does not believe what it is to believe");
}

/* What is believed of a name, if it is, and what is. */
static bool name_true(struct daxfs *fs, const struct kernel_name *n)
{
	struct daxfs_attr attr;
	int rc = daxfs_lookup(fs, n->parent, n->name, &attr);

	return n->ino ? rc == 0 && attr.ino == n->ino : rc == -ENOENT;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool attr_true(struct daxfs *fs, const struct daxfs_attr *was)
{
	struct daxfs_attr is;

	return daxfs_getattr(fs, was->ino, &is) == 0 && is.mode == was->mode && is.size == was->size &&
	       is.nlink == was->nlink && is.uid == was->uid && is.gid == was->gid &&
	       same_time(&is.mtime, &was->mtime) && same_time(&is.ctime, &was->ctime);
}

/* What was believed of it before the look counts if it still is, behind it. */
static void compare_names(struct command_call *call, const struct kernel *k)
{
	for (unsigned i = 0; i < KERNEL_MAX; i++) {
		const struct kernel_name n = k->name[i];

		if (n.parent && n.until && !name_true(world.fs[call->host], &n) && k->name[i].until == n.until &&
		    n.until > clock_now())
			put(call, "!a name is believed that is not true");
	}
}

static void compare_attributes(struct command_call *call, const struct kernel *k)
{
	for (unsigned i = 0; i < KERNEL_MAX; i++) {
		const struct kernel_attr a = k->attr[i];

		if (a.attr.ino && a.until && !attr_true(world.fs[call->host], &a.attr) && k->attr[i].until == a.until &&
		    a.until > clock_now())
			put(call, "!attributes are believed that are not true");
	}
}

/* By the host that has changed something, so that nothing changes meanwhile. */
void kernel_compare(struct command_call *call)
{
	put(call, "0");
	for (unsigned host = 0; host < HOSTS; host++)
		if (host != call->host) {
			compare_names(call, &world.kernel[host]);
			compare_attributes(call, &world.kernel[host]);
		}
}

/* Of a host that stands still in a change, or has died in it. */
void kernel_compare_attributes(struct command_call *call)
{
	put(call, "0");
	for (unsigned host = 0; host < HOSTS; host++)
		compare_attributes(call, &world.kernel[host]);
}
