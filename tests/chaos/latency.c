/* SPDX-License-Identifier: Apache-2.0 */
/*
 * latency.c - how long the operations in the logs took.
 *
 *	latency --log DIR [--host N]... [--since NS] [--until NS] [--histogram] [--slow US]
 *	latency --now                     print CLOCK_MONOTONIC, for --since
 *
 * Counts acknowledged operations of the given hosts (default: all) in progress
 * after --since (CLOCK_MONOTONIC), and prints one line of key=value; with --slow
 * also each that took longer. An
 * operation that was logged before and after a death but took its time in
 * between is what P3 forbids.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oplog.h"
#include "payload.h"

#define BUCKETS 40

struct query {
	const char *dir;
	uint64_t hosts; /* bit per host; 0: all */
	uint64_t since, until, slow_us;
	bool histogram, now;
};

struct figures {
	uint64_t *us;
	size_t n;
	const struct op *worst;
	uint64_t buckets[BUCKETS]; /* by powers of two of microseconds */
};

static bool wanted(const struct query *q, const struct op *op)
{
	unsigned host = (unsigned)(op->id >> 56);

	if (op_pending(op) || host > 63 || (q->hosts && !(q->hosts >> host & 1)))
		return false;
	return op->t1 >= q->since && op->t0 <= q->until;
}

static void count(const struct query *q, struct figures *f, const struct op *op)
{
	uint64_t us = (op->t1 - op->t0) / 1000;
	unsigned b = 0;
	char who[64];

	while (us >> b && b < BUCKETS - 1)
		b++;
	if (q->slow_us && us > q->slow_us)
		printf("  %llu us: %s %s %s by %s, %lld ms after\n", (unsigned long long)us, op_name(op->kind),
		       op->name[0], op->name[1], op_text(op->id, who),
		       ((long long)op->t0 - (long long)q->since) / 1000000);
	f->buckets[b]++;
	f->us[f->n++] = us;
	if (!f->worst || op->t1 - op->t0 > f->worst->t1 - f->worst->t0)
		f->worst = op;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void print(const struct query *q, struct figures *f)
{
	static const double parts[] = { 0.5, 0.99, 0.999 };
	static const char *const names[] = { "p50_us", "p99_us", "p999_us" };

	qsort(f->us, f->n, sizeof(*f->us), by_value);
	printf("ops=%zu", f->n);
	for (int i = 0; i < 3; i++)
		printf(" %s=%llu", names[i], (unsigned long long)(f->n ? f->us[(size_t)((double)f->n * parts[i])] : 0));
	printf(" max_us=%llu", (unsigned long long)(f->n ? f->us[f->n - 1] : 0));
	if (f->worst)
		printf(" max_host=%u max_after_ms=%lld max_op=%s", (unsigned)(f->worst->id >> 56),
		       ((long long)f->worst->t0 - (long long)q->since) / 1000000, op_name(f->worst->kind));
	printf("\n");
	for (unsigned b = 0; q->histogram && b < BUCKETS; b++)
		if (f->buckets[b])
			printf("  < %10llu us: %llu\n", 1ull << b, (unsigned long long)f->buckets[b]);
}

static int usage(void)
{
	fprintf(stderr, "usage: latency --now | --log DIR [--host N]... [--since NS] [--until NS] [--histogram] "
			"[--slow US]\n");
	return 2;
}

static int parse(int argc, char **argv, struct query *q)
{
	static const struct option options[] = {
		{ "log", required_argument, NULL, 'l' },   { "host", required_argument, NULL, 'h' },
		{ "since", required_argument, NULL, 's' }, { "until", required_argument, NULL, 'u' },
		{ "histogram", no_argument, NULL, 'H' },   { "now", no_argument, NULL, 'n' },
		{ "slow", required_argument, NULL, 'S' },  { NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'l': q->dir = optarg; break;
		case 'h': q->hosts |= 1ull << (strtoul(optarg, NULL, 10) & 63); break;
		case 's': q->since = strtoull(optarg, NULL, 10); break;
		case 'u': q->until = strtoull(optarg, NULL, 10); break;
		case 'S': q->slow_us = strtoull(optarg, NULL, 10); break;
		case 'H': q->histogram = true; break;
		case 'n': q->now = true; break;
		default: return usage();
		}
	}
	return (q->dir || q->now) && optind == argc ? 0 : usage();
}

int main(int argc, char **argv)
{
	struct query q = { .until = UINT64_MAX };
	struct figures f = { 0 };
	struct oplog log;

	if (parse(argc, argv, &q))
		return 2;
	if (q.now) {
		printf("%llu\n", (unsigned long long)now_ns());
		return 0;
	}
	if (oplog_load(q.dir, &log))
		return 2;
	f.us = calloc(log.count + 1, sizeof(*f.us));
	if (!f.us)
		return 2;
	for (size_t i = 0; i < log.count; i++)
		if (wanted(&q, &log.ops[i]))
			count(&q, &f, &log.ops[i]);
	print(&q, &f);
	free(f.us);
	oplog_free(&log);
	return 0;
}
