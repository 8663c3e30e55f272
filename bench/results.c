/* SPDX-License-Identifier: Apache-2.0 */
/*
 * results.c - one line of JSON for each result, for bench/report.jq, one short line each
 * on the terminal while they come in. Nothing here knows a goal.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench.h"

static FILE *out;

void out_open(const char *path)
{
	out = fopen(path, "we");
	if (!out)
		bench_fail("cannot write %s: %s", path, strerror(errno));
	setvbuf(out, NULL, _IOLBF, 0);
}

static void put_spread(const char *key, const struct spread *s)
{
	fprintf(out, "\"%s\":{\"median\":%.6g,\"q1\":%.6g,\"q3\":%.6g,\"n\":%u}", key, s->median, s->q1, s->q3, s->n);
}

void out_measured(const struct workload *w, const struct measured *m)
{
	fprintf(out,
		"{\"name\":\"%s\",\"kind\":\"ratio\",\"method\":\"%s\",\"workers\":%u,\"worker\":\"%s\","
		"\"bytes\":%llu,\"conclusive\":%s,\"targets\":{",
		w->name, w->pairs ? "pairs" : "slices", w->workers, w->processes ? "host" : "thread",
		(unsigned long long)w->bytes, m->conclusive ? "true" : "false");
	printf("%-34s", w->name);
	for (unsigned i = 0; i < w->n_jobs; i++) {
		fprintf(out, "%s\"%s\":{", i ? "," : "", w->job[i].target);
		put_spread("ns", &m->ns[i]);
		fputc(',', out);
		put_spread("ratio", &m->ratio[i]);
		fprintf(out, ",\"valid\":%u,\"discarded\":%u}", m->valid[i], m->discarded[i]);
		printf(i ? "  %s %.0f (%.2fx)" : "  %s %.0f ns", w->job[i].target, m->ns[i].median, m->ratio[i].median);
	}
	fputs("}}\n", out);
	printf("%s\n", m->conclusive ? "" : "  inconclusive");
	fflush(stdout);
}

void out_figure(const char *name, double value, const char *unit, const struct spread *spread)
{
	fprintf(out, "{\"name\":\"%s\",\"kind\":\"figure\",\"value\":%.6g,\"unit\":\"%s\"", name, value, unit);
	if (spread) {
		fputc(',', out);
		put_spread("spread", spread);
	}
	fputs("}\n", out);
	printf("%-34s  %.4g %s\n", name, value, unit);
	fflush(stdout);
}

/* -- the machine ------------------------------------------------------------------- */

/* A line of a file after `key` and a colon, or its first line; "" if there is none. */
static const char *line_of(const char *path, const char *key, char *buf, size_t size)
{
	FILE *f = fopen(path, "re");
	char *found = NULL;

	while (f && !found && fgets(buf, (int)size, f))
		if (!key || strncmp(buf, key, strlen(key)) == 0)
			found = key && strchr(buf, ':') ? strchr(buf, ':') + 1 : buf;
	if (f)
		fclose(f);
	if (!found)
		return "";
	found += strspn(found, " \t");
	found[strcspn(found, "\n")] = '\0';
	return found;
}

void out_machine(void)
{
	struct utsname u;
	char cpu[256], mem[256], shmem[256];

	uname(&u);
	fprintf(out,
		"{\"name\":\"machine\",\"kind\":\"machine\",\"cpu\":\"%s\",\"cpus\":%u,\"memory\":\"%s\","
		"\"kernel\":\"%s %s\",\"page_size\":%ld,\"shmem_huge\":\"%s\",\"l2\":%ld,\"l3\":%ld}\n",
		line_of("/proc/cpuinfo", "model name", cpu, sizeof(cpu)), cpus(),
		line_of("/proc/meminfo", "MemTotal", mem, sizeof(mem)), u.release, u.machine, sysconf(_SC_PAGESIZE),
		line_of("/sys/kernel/mm/transparent_hugepage/shmem_enabled", NULL, shmem, sizeof(shmem)),
		sysconf(_SC_LEVEL2_CACHE_SIZE), sysconf(_SC_LEVEL3_CACHE_SIZE));
}

#define CALLS 20000u

/* What a system call costs here: ratios to tmpfs, which takes one for each operation, hold for machines like this. */
void out_call(void)
{
	double ns[ROUNDS];
	struct spread spread;

	if (!bench_wants("system-call"))
		return;
	for (unsigned r = 0; r < ROUNDS; r++) {
		uint64_t began = cpu_ns();

		for (unsigned i = 0; i < CALLS; i++)
			syscall(SYS_getppid);
		ns[r] = (double)(cpu_ns() - began) / CALLS;
	}
	spread = spread_of(ns, ROUNDS);
	out_figure("system-call", spread.median,
		   "ns (getppid: ratios to tmpfs do not travel to machines where it differs)", &spread);
}

void out_mapping(const struct rig *rig)
{
	struct daxfs_geometry g;

	daxfs_geometry(rig->fs, &g);
	fprintf(out,
		"{\"name\":\"pool\",\"kind\":\"pool\",\"bytes\":%llu,\"domain\":\"%s\",\"pool_huge_kib\":%llu,"
		"\"raw_huge_kib\":%llu}\n",
		(unsigned long long)g.size, g.wb ? "wb" : "gpf", (unsigned long long)rig_huge_kib(rig->pool),
		(unsigned long long)rig_huge_kib(rig->raw_path));
}
