/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify.c - the oracle of the kill tests.
 *
 *	verify --mount DIR --round NAME --log DIR    0: all promises kept; 1: violations, each printed; 2: cannot tell
 *	verify --self-test                           0: the oracle finds what is planted
 *
 * Prints violations to stdout, then one line of totals.
 */
#include "verify.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Errors that an operation may meet when others are quick; anything else is a violation. */
static bool expected_error(const struct op *op)
{
	switch (op->kind) {
	case OP_NAME_CREATE:
	case OP_NAME_MKDIR:
	case OP_NAME_SYMLINK:
	case OP_NAME_LINK:
	case OP_DIR_MAKE: return op->result == -EEXIST;
	case OP_NAME_UNLINK:
	case OP_NAME_STAT:
	case OP_TOKEN_MOVE:
	case OP_DIR_DROP: return op->result == -ENOENT;
	case OP_DIR_REMOVE: return op->result == -ENOENT || op->result == -ENOTEMPTY;
	case OP_DIR_ADD: return op->result == -ENOENT || op->result == -EEXIST;
	default: return op->kind >= OP_OWN_MKDIR; /* the model judges those */
	}
}

void check_expected_errors(struct verify *v)
{
	char who[64];

	for (size_t i = 0; i < v->log.count; i++) {
		const struct op *op = &v->log.ops[i];

		v->pending += op_pending(op);
		if (!op_pending(op) && op->result < 0 && !expected_error(op))
			bad(v, "%s %s %s by %s failed: %s", op_name(op->kind), op->name[0], op->name[1],
			    op_text(op->id, who), strerror(-op->result));
	}
	for (size_t i = 0; i < v->log.n_notes; i++)
		bad(v, "seen by %s: %s", op_text(v->log.notes[i].id, who), v->log.notes[i].name[0]);
}

static int check_all(struct verify *v, const char *mount, const char *log_dir)
{
	static void (*const checks[])(struct verify *) = {
		check_expected_errors, check_blocks, check_appends, check_names, check_dirs,
		check_tokens,          check_own,    check_tree,
	};
	char path[4096];

	if (oplog_load(log_dir, &v->log))
		return 2;
	snprintf(path, sizeof(path), "%s/%s", mount, v->round);
	v->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (v->root < 0)
		give_up("%s: %s", path, strerror(errno));
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		v->shown = 0;
		checks[i](v);
	}
	printf("verify: %s violations=%llu ops=%zu pending=%llu blocks=%llu records=%llu names=%llu own_files=%llu "
	       "histories=%llu\n",
	       v->violations ? "FAIL" : "OK", (unsigned long long)v->violations, v->log.count,
	       (unsigned long long)v->pending, (unsigned long long)v->blocks, (unsigned long long)v->records,
	       (unsigned long long)v->names, (unsigned long long)v->own_files, (unsigned long long)v->histories);
	close(v->root);
	oplog_free(&v->log);
	return v->violations ? 1 : 0;
}

static const struct option options[] = {
	{ "mount", required_argument, NULL, 'm' },
	{ "round", required_argument, NULL, 'r' },
	{ "log", required_argument, NULL, 'l' },
	{ "self-test", no_argument, NULL, 'S' },
	{ NULL, 0, NULL, 0 },
};

int main(int argc, char **argv)
{
	const char *mount = NULL, *log_dir = NULL;
	struct verify v = { .root = -1 };
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'm': mount = optarg; break;
		case 'r': v.round = optarg; break;
		case 'l': log_dir = optarg; break;
		case 'S': return self_test();
		default: return 2;
		}
	}
	if (!mount || !log_dir || !v.round || optind != argc)
		give_up("usage: verify --mount DIR --round NAME --log DIR | verify --self-test");
	return check_all(&v, mount, log_dir);
}
