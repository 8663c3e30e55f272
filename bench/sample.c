/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sample.c - how samples are taken, so that ratios hold on a noisy machine.
 *
 * Slices: bursts of about 2 ms, all targets in turn; one is thrown away when its
 * wall time exceeds its CPU time by 2 % (somebody else had the CPU) or its
 * workers did not overlap. A round is 4 bursts to warm up and then 8 good ones
 * of each target; its figure is their median, its ratio that of two
 * medians; the result is the median of 5 rounds.
 *
 * Pairs: where somebody sleeps (a contended lock) or workers outnumber CPUs, CPU
 * time says nothing. Each target in turn runs for 0.35 s of wall time, five
 * times over. A turn is thrown away, and a few of a workload are taken again, when others
 * used more than 5 % of the machine meanwhile.
 *
 * Time is limited, so that a run ends on any machine. A round that did not get its good samples
 * in time is made of all it took, slices by the CPU time they used, and a workload with too few
 * good rounds is reported as inconclusive.
 */
#include <stdio.h>
#include <string.h>

#include "bench.h"

#define SLICE_NS 2e6
#define SLICES_WARM 4u
#define SLICES_MIN 8u
#define SLICES_MAX 60u
#define ROUND_NS 0.6e9 /* of slices, then it ends as it is */
#define CALIBRATIONS 3u
#define TURN_NS 0.35e9
#define BURST_NS 0.08e9 /* of a turn */
#define TURNS_AGAIN 4u  /* of a workload */
#define FOREIGN_MAX 0.05
#define ROUNDS_MIN 3u /* good ones for a conclusion */
#define QUICK 20      /* times less of everything, to see that it works */

static double limit(double ns)
{
	return bench_args()->quick ? ns / QUICK : ns;
}

/* The shortest of a few: the first may do what is done once, as looking for free pages past all those of a file. */
static double shortest(struct crew *crew, unsigned job, unsigned n)
{
	double ns = crew_shoot(crew, job, n).wall_ns;

	for (unsigned i = 1; i < CALIBRATIONS; i++) {
		double again = crew_shoot(crew, job, n).wall_ns;

		ns = again < ns ? again : ns;
	}
	return ns;
}

/* Operations a worker does in about `want` ns. */
static unsigned calibrate(struct crew *crew, const struct workload *w, unsigned job, double want)
{
	unsigned n = 1, max = w->ops_max ? w->ops_max : 1u << 30;
	double ns;

	for (;;) {
		ns = shortest(crew, job, n);
		if (n >= max || ns >= want / 4)
			break;
		n = n * 2 < max ? n * 2 : max;
	}
	ns = want / ns * n;
	return ns < 1 ? 1 : ns > max ? max : (unsigned)ns;
}

/* -- slices ------------------------------------------------------------------------ */

/* of one target: ns an operation, of all in CPU time */
struct slices {
	double good[SLICES_MAX], all[SLICES_MAX];
	unsigned n_good, n_all;
};

static void one_slice(struct crew *crew, unsigned job, unsigned n, struct slices *s)
{
	struct shot shot = crew_shoot(crew, job, n);

	s->all[s->n_all++] = shot.cpu_per_op;
	if (shot.undisturbed)
		s->good[s->n_good++] = shot.ns_per_op;
}

static bool slices(struct crew *crew, const struct workload *w, const unsigned *n, struct measured *out, double *ns)
{
	uint64_t end = now_ns() + (uint64_t)limit(ROUND_NS);
	struct slices s[TARGETS_MAX] = { 0 };
	unsigned fewest = 0;

	for (unsigned job = 0; job < w->n_jobs; job++)
		for (unsigned i = 0; i < SLICES_WARM; i++)
			crew_shoot(crew, job, n[job]);
	for (unsigned i = 0; i < SLICES_MAX && fewest < SLICES_MIN && (i == 0 || now_ns() < end); i++) {
		fewest = SLICES_MIN;
		for (unsigned job = 0; job < w->n_jobs; job++) {
			one_slice(crew, job, n[job], &s[job]);
			fewest = s[job].n_good < fewest ? s[job].n_good : fewest;
		}
	}
	for (unsigned job = 0; job < w->n_jobs; job++) {
		out->valid[job] += s[job].n_good;
		out->discarded[job] += s[job].n_all - s[job].n_good;
		ns[job] = fewest >= SLICES_MIN ? spread_of(s[job].good, s[job].n_good).median
					       : spread_of(s[job].all, s[job].n_all).median;
	}
	return fewest >= SLICES_MIN;
}

/* -- pairs ------------------------------------------------------------------------- */

/* Jiffies that all CPUs were busy, in ns. */
static double machine_busy_ns(void)
{
	unsigned long long v[8] = { 0 };
	FILE *f = fopen("/proc/stat", "re");
	int n = f ? fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5],
			   &v[6], &v[7])
		  : 0;

	if (f)
		fclose(f);
	if (n != 8)
		bench_fail("cannot read /proc/stat");
	return (double)(v[0] + v[1] + v[2] + v[5] + v[6] + v[7]) * 1e7; /* USER_HZ is 100 everywhere */
}

/* One turn: ns an operation; false if others disturbed it. */
static bool turn(struct crew *crew, unsigned job, unsigned n, double *ns_per_op)
{
	double busy = machine_busy_ns(), own = (double)crew_cpu_ns(crew), began = (double)now_ns();
	double ns = 0, weighted = 0, foreign;
	struct shot shot;

	while (ns < limit(TURN_NS)) {
		shot = crew_shoot(crew, job, n);
		ns += shot.wall_ns;
		weighted += shot.wall_ns / shot.ns_per_op;
	}
	foreign = machine_busy_ns() - busy - ((double)crew_cpu_ns(crew) - own);
	*ns_per_op = ns / weighted;
	return foreign <= FOREIGN_MAX * cpus() * ((double)now_ns() - began);
}

static bool turns(struct crew *crew, const struct workload *w, const unsigned *n, struct measured *out, double *ns,
		  unsigned *again)
{
	bool all = true;

	for (unsigned job = 0; job < w->n_jobs; job++) {
		bool good = turn(crew, job, n[job], &ns[job]);

		for (; !good && *again; --*again) {
			out->discarded[job]++;
			good = turn(crew, job, n[job], &ns[job]);
		}
		out->discarded[job] += !good;
		out->valid[job] += good;
		all &= good;
	}
	return all;
}

/* -- rounds -------------------------------------------------------------------------- */

/* Of the good rounds if there are enough for a conclusion, else of all, and that is said. */
static void summarize(unsigned n_jobs, double ns[ROUNDS][TARGETS_MAX], const bool good[ROUNDS], struct measured *out)
{
	unsigned rounds = 0;

	for (unsigned i = 0; i < ROUNDS; i++)
		rounds += good[i];
	out->conclusive = rounds >= ROUNDS_MIN;
	for (unsigned job = 0; job < n_jobs; job++) {
		double time[ROUNDS], ratio[ROUNDS];
		unsigned n = 0;

		for (unsigned i = 0; i < ROUNDS; i++) {
			if ((out->conclusive && !good[i]) || ns[i][job] <= 0 || ns[i][0] <= 0)
				continue;
			time[n] = ns[i][job];
			ratio[n++] = ns[i][job] / ns[i][0];
		}
		out->ns[job] = spread_of(time, n);
		out->ratio[job] = spread_of(ratio, n);
	}
}

void sample(struct crew *crew, const struct workload *w, struct measured *out)
{
	double ns[ROUNDS][TARGETS_MAX];
	unsigned n[TARGETS_MAX], again = bench_args()->quick ? 0 : TURNS_AGAIN;
	bool good[ROUNDS];

	memset(out, 0, sizeof(*out));
	for (unsigned job = 0; job < w->n_jobs; job++)
		n[job] = calibrate(crew, w, job, limit(w->pairs ? BURST_NS : SLICE_NS));
	for (unsigned i = 0; i < ROUNDS; i++)
		good[i] = w->pairs ? turns(crew, w, n, out, ns[i], &again) : slices(crew, w, n, out, ns[i]);
	summarize(w->n_jobs, ns, good, out);
}

/* Ours alone, for a profiler. */
static void run_ours(struct crew *crew, const struct workload *w, double seconds)
{
	unsigned n = calibrate(crew, w, 0, BURST_NS);

	for (uint64_t end = now_ns() + (uint64_t)(seconds * 1e9); now_ns() < end;)
		crew_shoot(crew, 0, n);
}

void measure(const struct workload *workload, struct rig *rig)
{
	double alone = bench_args()->alone;
	struct crew *crew = crew_open(workload, rig);
	struct measured m;

	if (alone > 0)
		run_ours(crew, workload, alone);
	else
		sample(crew, workload, &m);
	crew_close(crew);
	if (alone == 0)
		out_measured(workload, &m);
}
