/* SPDX-License-Identifier: Apache-2.0 */
/* verify_common.c - what all checks of the oracle share; see verify.h. */
#include "verify.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHOW_MAX 12u /* of each check */

void bad(struct verify *v, const char *format, ...)
{
	va_list ap;

	v->violations++;
	if (v->shown++ >= SHOW_MAX)
		return;
	va_start(ap, format);
	fputs("VIOLATION: ", stdout);
	vprintf(format, ap);
	fputc('\n', stdout);
	va_end(ap);
}

_Noreturn void give_up(const char *format, ...)
{
	va_list ap;

	fflush(stdout);
	va_start(ap, format);
	fputs("verify: ", stderr);
	vfprintf(stderr, format, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(2);
}

void *get_memory(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size);

	if (!p)
		give_up("out of memory");
	return p;
}

const struct op **select_ops(const struct verify *v, bool (*pick)(const struct op *op, const void *arg),
			     const void *arg, size_t *n)
{
	const struct op **out = get_memory(v->log.count, sizeof(const struct op *));

	*n = 0;
	for (size_t i = 0; i < v->log.count; i++)
		if (pick(&v->log.ops[i], arg))
			out[(*n)++] = &v->log.ops[i];
	return out;
}

uint8_t *slurp(const struct verify *v, const char *path, size_t *size, int *error)
{
	int fd = openat(v->root, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	uint8_t *data = NULL;
	size_t at = 0;
	struct stat st;
	ssize_t n = 0;

	*error = 0;
	if (fd < 0 || fstat(fd, &st)) {
		*error = -errno;
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	data = get_memory((size_t)st.st_size + 1, 1);
	while (at < (size_t)st.st_size && (n = pread(fd, data + at, (size_t)st.st_size - at, (off_t)at)) > 0)
		at += (size_t)n;
	if (n < 0 || at != (size_t)st.st_size) {
		*error = n < 0 ? -errno : -EIO;
		free(data);
		data = NULL;
	}
	*size = at;
	close(fd);
	return data;
}

void each_entry(struct verify *v, const char *dir, void (*each)(void *arg, const char *name), void *arg)
{
	int fd = openat(v->root, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		bad(v, "%s: cannot list: %s", dir, strerror(errno));
		return;
	}
	for (errno = 0; (e = readdir(d)); errno = 0)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			each(arg, e->d_name);
	if (errno)
		bad(v, "%s: listing failed: %s", dir, strerror(errno));
	closedir(d);
}

static void show_history(const struct op *const *ops, size_t n, const struct op *culprit)
{
	char who[64];

	for (size_t i = 0; i < n; i++) {
		if (ops[i]->t1 + 3000000 < culprit->t0 || ops[i]->t0 > culprit->t1)
			continue;
		printf("  %s %-12s %s %s b=%llu result %d [%lld, %lld] us%s\n", ops[i] == culprit ? ">" : " ",
		       op_name(ops[i]->kind), ops[i]->name[0], ops[i]->name[1], (unsigned long long)ops[i]->b,
		       ops[i]->result, ((long long)ops[i]->t0 - (long long)culprit->t0) / 1000,
		       op_pending(ops[i]) ? -1LL : ((long long)ops[i]->t1 - (long long)culprit->t0) / 1000,
		       op_text(ops[i]->id, who));
	}
}

static bool call_step(void *context, uint64_t state, const void *op, uint64_t *next)
{
	return (*(history_step *)context)(state, op, next);
}

enum linear_verdict judge_history(const struct op *const *ops, size_t n, uint64_t initial, history_step step,
				  const struct op **culprit)
{
	struct linear_op *list = get_memory(n + 1, sizeof(*list));
	const struct linear_op *where = NULL;
	enum linear_verdict verdict;

	for (size_t i = 0; i < n; i++)
		list[i] = (struct linear_op){
			.t0 = ops[i]->t0,
			.t1 = ops[i]->t1,
			.optional = op_pending(ops[i]),
			.op = ops[i],
		};
	verdict = linear_check(list, n, initial, call_step, &step, &where);
	*culprit = where ? where->op : NULL;
	free(list);
	return verdict;
}

void check_history(struct verify *v, const char *what, const struct op *const *ops, size_t n, uint64_t initial,
		   history_step step)
{
	const struct op *culprit = NULL;
	char who[64];

	v->histories++;
	switch (judge_history(ops, n, initial, step, &culprit)) {
	case LINEAR_OK: return;
	case LINEAR_TOO_WIDE: bad(v, "%s: too many operations at once to decide", what); return;
	case LINEAR_IMPOSSIBLE:
		if (culprit->t0 == TIME_FINAL)
			bad(v, "%s: no order of its %zu operations ends in what is there (%llu, result %d)", what, n,
			    (unsigned long long)culprit->b, culprit->result);
		else
			bad(v, "%s: no order explains %s by %s, result %d", what, op_name(culprit->kind),
			    op_text(culprit->id, who), culprit->result);
		if (v->shown <= 5)
			show_history(ops, n, culprit);
	}
}
