/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seam.c - the sm_* functions of the simulator: see seam.h.
 *
 * Single-threaded; one run is current at a time, and none while the harness
 * itself works (in a hook, between runs).
 */
#include "machine/seam.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "machine/arena.h"
#include "machine/weak.h"

static struct seam {
	struct run *current;
	uint64_t changes;
	FILE *trace;
	unsigned trace_hosts;
	const struct sm_site *broken;
	seam_namer namer;
	seam_rule rule;
	void (*describe)(FILE *out);
} seam;

/* -- runs ---------------------------------------------------------------------- */

static void enter_run(void *arg)
{
	struct run *run = arg;

	run->result = run->call(run->arg);
}

void run_start(struct run *run, unsigned host, long (*call)(void *arg), void *arg)
{
	*run = (struct run){ .host = host, .call = call, .arg = arg, .steps_max = SEAM_STEPS_MAX };
	run->fiber = fiber_new(enter_run, run);
	if (weak_on)
		run->weak = weak_thread(host) + 1;
}

enum run_end run_until(struct run *run, uint64_t pause_at)
{
	struct run *outer = seam.current;
	unsigned owner = arena_owner(run->host);
	bool was = arena_use(true);

	run->pause_at = pause_at;
	run->end = RUN_PAUSED;
	seam.current = run;
	if (fiber_resume(run->fiber)) {
		run->end = RUN_RETURNED;
		if (weak_on)
			weak_thread_done(run->weak - 1);
	}
	seam.current = outer;
	arena_use(was);
	arena_owner(owner);
	return run->end;
}

void seam_new_thread(void)
{
	if (seam.current)
		memory_new_thread(seam.current->host, seam.current->thread);
}

/* The current run's thread of the weak memory. */
static unsigned self(void)
{
	return seam.current->weak - 1;
}

void seam_command(void)
{
	seam_new_thread();
	if (weak_on && seam.current)
		weak_command(self());
}

void seam_command_done(void)
{
	if (weak_on && seam.current)
		weak_command_done(self());
}

void run_free(struct run *run)
{
	fiber_free(run->fiber);
}

enum run_end run_all(unsigned host, long (*call)(void *arg), void *arg, long *result, char *err)
{
	struct run run;

	run_start(&run, host, call, arg);
	run_until(&run, 0);
	if (run.end == RUN_RETURNED && result)
		*result = run.result;
	if (run.end == RUN_BROKEN && err)
		memcpy(err, run.err, sizeof(run.err));
	run_free(&run);
	return run.end;
}

/* The run cannot go on. Does not return to it. */
static void break_run(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void break_run(struct run *run, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(run->err, sizeof(run->err), format, args);
	va_end(args);
	run->end = RUN_BROKEN;
	for (;;)
		fiber_pause(run->fiber);
}

/* -- steps --------------------------------------------------------------------- */

void seam_event_text(const struct run *run, const struct seam_event *event, char *buf, size_t size)
{
	char place[64] = "";

	if (event->len && seam.namer)
		seam.namer(event->offset, place, sizeof(place));
	snprintf(buf, size, "host %u step %" PRIu64 ": %s %s len %" PRIu64 " part %u value %" PRIx64 " at %s:%u %s",
		 run->host, event->step, event->site->call, place, event->len, event->part, event->value,
		 event->site->file, event->site->line, event->site->func);
}

static void trace(const struct run *run, const struct seam_event *event)
{
	char text[320];

	if (!seam.trace || !(seam.trace_hosts & 1u << run->host))
		return;
	seam_event_text(run, event, text, sizeof(text));
	fprintf(seam.trace, "%s\n", text);
}

static void trace_old(uint64_t taken, uint64_t newest)
{
	if (seam.trace && taken != newest)
		fprintf(seam.trace, "  takes %" PRIx64 ", which is old: %" PRIx64 "\n", taken, newest);
}

/* The harness has control: no run is current and memory is the C library's. */
static void call_hook(struct run *run, const struct seam_event *event)
{
	bool was = arena_use(false);

	seam.current = NULL;
	run->hook(run->context, run, event);
	seam.current = run;
	arena_use(was);
}

static void see(uint64_t value)
{
	uint64_t h = (seam.current->seen ^ value) * 0x9fb21c651e98df25ull;

	seam.current->seen = h ^ h >> 32;
}

static void step_event(struct sm_site *site, struct seam_event event)
{
	struct run *run = seam.current;

	if (!run)
		arena_die("the harness called the seam outside a run");
	event.site = site;
	event.step = ++run->steps;
	run->site = site;
	site->hits++;
	trace(run, &event);
	if (run->hook)
		call_hook(run, &event);
	if (run->steps == run->pause_at)
		fiber_pause(run->fiber);
	if (run->steps > run->steps_max)
		break_run(run, "no end after %" PRIu64 " steps: waits for something", run->steps);
}

static void step(struct sm_site *site, uint64_t offset, uint64_t len, unsigned part, uint64_t value)
{
	step_event(site, (struct seam_event){ .part = part, .offset = offset, .len = len, .value = value });
}

static uint64_t place(const void *p, size_t len, size_t align, const struct sm_site *site)
{
	struct run *run = seam.current;

	if (run && (!memory_owns(p, len) || (uintptr_t)p % align))
		break_run(run, "%s of %zu bytes outside the pool or misaligned at %s:%u (%s)", site->call, len,
			  site->file, site->line, site->func);
	return memory_offset(p);
}

/* Nobody wants to know about this run's steps one by one. */
static bool unwatched(const struct run *run)
{
	return run && !run->hook && !run->pause_at && !seam.trace && run->steps < run->steps_max && !weak_on;
}

/* What a site asks for, but for what a test leaves out. */
static enum sm_order order_of(const struct sm_site *site)
{
	weak_focus = site->without;
	return site->order & ~site->without;
}

static uint64_t load(const sm_u64 *p, struct sm_site *site)
{
	uint64_t offset = (uintptr_t)p - memory_view.base, v;

	if (unwatched(seam.current) && offset <= memory_view.size - sizeof(v) && offset % sizeof(v) == 0 &&
	    memory_view.index[offset / LINE] < 0) {
		seam.current->steps++;
		seam.current->site = site;
		site->hits++;
		memcpy(&v, memory_view.bytes + offset, sizeof(v));
		return v;
	}
	place(p, sizeof(*p), sizeof(*p), site);

	step(site, offset, sizeof(*p), 0, 0);
	memcpy(&v, memory_bytes() + offset, sizeof(v));
	if (weak_on) {
		uint64_t newest = v;

		v = weak_load(self(), offset, order_of(site));
		trace_old(v, newest);
		if (v == newest) /* an older one was loaded before: that touched nothing */
			memory_touch(seam.current->host, offset, sizeof(*p));
	} else {
		memory_touch(seam.current->host, offset, sizeof(*p));
	}
	see(v);
	return v;
}

static void store(sm_u64 *p, uint64_t v, struct sm_site *site)
{
	uint64_t offset = place(p, sizeof(*p), sizeof(*p), site);

	const char *broken;

	step(site, offset, sizeof(*p), 0, v);
	broken = seam.rule ? seam.rule(offset, v) : NULL;
	if (broken)
		break_run(seam.current, "%s at %s:%u (%s)", broken, site->file, site->line, site->func);
	if (weak_on)
		weak_store(self(), offset, v, order_of(site));
	memory_store(seam.current->host, offset, &v, sizeof(v));
	seam.changes++;
}

uint64_t sm_load_at(const sm_u64 *p, struct sm_site *site)
{
	return load(p, site);
}

uint64_t sm_load_relaxed_at(const sm_u64 *p, struct sm_site *site)
{
	return load(p, site);
}

void sm_store_at(sm_u64 *p, uint64_t v, struct sm_site *site)
{
	store(p, v, site);
}

void sm_store_relaxed_at(sm_u64 *p, uint64_t v, struct sm_site *site)
{
	store(p, v, site);
}

bool sm_cas_value_at(sm_u64 *p, uint64_t *expected, uint64_t desired, struct sm_site *site)
{
	uint64_t offset = place(p, sizeof(*p), sizeof(*p), site), v;

	step_event(site, (struct seam_event){
				 .offset = offset,
				 .len = sizeof(*p),
				 .value = desired,
				 .expected = *expected,
			 });
	memory_touch(seam.current->host, offset, sizeof(*p));
	memcpy(&v, memory_bytes() + offset, sizeof(v));
	if (weak_on) {
		uint64_t found = *expected, newest = v;

		if (weak_cas(self(), offset, &found, desired, order_of(site)))
			v = *expected;
		else
			v = found;
		trace_old(v, newest);
	}
	see(v);
	if (v != *expected) {
		*expected = v;
		return false;
	}
	memory_store(seam.current->host, offset, &desired, sizeof(desired));
	seam.changes++;
	return true;
}

static void fence(struct sm_site *site)
{
	step(site, 0, 0, 0, 0);
	if (weak_on)
		weak_fence(self(), order_of(site));
}

static void (*napper)(unsigned us);

void seam_set_nap(void (*nap)(unsigned us))
{
	napper = nap;
}

void sm_nap(unsigned us)
{
	if (napper)
		napper(us);
}

void sm_fence_at(struct sm_site *site)
{
	fence(site);
}

void sm_fence_acquire_at(struct sm_site *site)
{
	fence(site);
}

void sm_stream_end_at(struct sm_site *site)
{
	step(site, 0, 0, 0, 0);
	if (weak_on && order_of(site))
		weak_stream_end(self());
}

/* -- copies: stops after the first, the middle and the line before the last ------ */

static size_t bytes_of_lines(uint64_t offset, size_t len, size_t lines)
{
	size_t n = lines * LINE - offset % LINE;

	return n < len ? n : len;
}

/* The next stop after `done` of `lines` lines. */
static size_t next_stop(size_t done, size_t lines)
{
	const size_t stops[] = { 1, lines / 2, lines - 1 };

	for (unsigned i = 0; i < 3; i++)
		if (stops[i] > done && stops[i] < lines)
			return stops[i];
	return lines;
}

static size_t lines_of(uint64_t offset, size_t len)
{
	return len ? (offset + len - 1) / LINE - offset / LINE + 1 : 0;
}

/* Copies from page to page read shared memory too. */
static const uint8_t *source(const uint8_t *src, size_t n)
{
	static uint8_t seen[DAXFS_PAGE_SIZE];

	if (!memory_owns(src, n))
		return src;
	weak_focus = false;
	if (weak_on) {
		weak_read(self(), memory_offset(src), seen, n);
		return seen;
	}
	memory_touch(seam.current->host, memory_offset(src), n);
	return memory_bytes() + memory_offset(src);
}

static void copy_part(uint64_t offset, const uint8_t *bytes, size_t n, bool stream)
{
	weak_focus = false;
	if (weak_on)
		weak_write(self(), offset, bytes, n, stream);
	memory_store(seam.current->host, offset, bytes, n);
}

/* src NULL: zeros. */
static void copy_in(uint64_t offset, const uint8_t *src, size_t len, bool stream, struct sm_site *site)
{
	static const uint8_t zeros[DAXFS_PAGE_SIZE];
	size_t lines = lines_of(offset, len), done = 0, from = 0;
	struct seam_event event = {
		.offset = offset,
		.len = len,
		.from = src && memory_owns(src, len) ? memory_offset(src) : 0,
	};

	step_event(site, event);
	while (done < lines) {
		done = next_stop(done, lines);
		while (from < bytes_of_lines(offset, len, done)) {
			size_t n = bytes_of_lines(offset, len, done) - from;

			n = n < sizeof(zeros) ? n : sizeof(zeros);
			copy_part(offset + from, src ? source(src + from, n) : zeros, n, stream);
			from += n;
		}
		seam.changes++;
		event.part = (unsigned)done;
		if (done < lines)
			step_event(site, event);
	}
}

static void see_bytes(const uint8_t *bytes, size_t n)
{
	uint64_t word = 0;

	for (size_t i = 0; i < n; i += sizeof(word)) {
		memcpy(&word, bytes + i, n - i < sizeof(word) ? n - i : sizeof(word));
		see(word);
	}
}

void sm_read_at(void *dst, const void *src, size_t len, struct sm_site *site)
{
	uint64_t offset = place(src, len, 1, site);
	size_t lines = lines_of(offset, len), done = 0, from = 0;
	uint8_t *out = dst;

	step(site, offset, len, 0, 0);
	while (done < lines) {
		size_t upto = bytes_of_lines(offset, len, done = next_stop(done, lines));

		memory_touch(seam.current->host, offset + from, upto - from);
		weak_focus = false;
		if (weak_on)
			weak_read(self(), offset + from, out + from, upto - from);
		else
			memcpy(out + from, memory_bytes() + offset + from, upto - from);
		see_bytes(out + from, upto - from);
		from = upto;
		if (done < lines)
			step(site, offset, len, (unsigned)done, 0);
	}
}

void sm_write_at(void *dst, const void *src, size_t len, struct sm_site *site)
{
	copy_in(place(dst, len, 1, site), src, len, false, site);
}

void sm_write_stream_at(void *dst, const void *src, size_t len, struct sm_site *site)
{
	copy_in(place(dst, len, 1, site), src, len, true, site);
}

void sm_zero_at(void *dst, size_t len, struct sm_site *site)
{
	copy_in(place(dst, len, 1, site), NULL, len, false, site);
}

/* -- write-back ------------------------------------------------------------------ */

void sm_flush_at(const struct shm *shm, const void *p, size_t len, struct sm_site *site)
{
	uint64_t offset = place(p, len, 1, site);

	step(site, offset, len, 0, 0);
	if (shm->wb && site != seam.broken)
		memory_persist(seam.current->host, seam.current->thread, offset, len);
}

void sm_drain_at(const struct shm *shm, struct sm_site *site)
{
	step(site, 0, 0, 0, 0);
	if (shm->wb && site != seam.broken && memory_drain(seam.current->host, seam.current->thread))
		seam.changes++;
}

/* -- settings -------------------------------------------------------------------- */

void seam_changed(void)
{
	seam.changes++;
}

uint64_t seam_changes(void)
{
	return seam.changes;
}

void seam_trace(FILE *out, unsigned hosts)
{
	seam.trace = out;
	seam.trace_hosts = hosts;
}

void seam_break_site(const struct sm_site *site)
{
	seam.broken = site;
}

void seam_set_namer(seam_namer namer)
{
	seam.namer = namer;
}

void seam_set_rule(seam_rule rule)
{
	seam.rule = rule;
}

void seam_describe(void (*describe)(FILE *out))
{
	seam.describe = describe;
}

/* The library touched the protected mapping, or a wild pointer: the process
 * cannot go on, but says where it was. */
static void on_fault(int signo, siginfo_t *info, void *context)
{
	const struct run *run = seam.current;

	(void)context;
	fprintf(stderr, "daxfs-sim: signal %d at %p: %s\n", signo, info->si_addr,
		memory_owns(info->si_addr, 1) ? "shared memory touched outside the seam" : "wild pointer");
	if (run && run->site)
		fprintf(stderr, "daxfs-sim: host %u after step %" PRIu64 ", seam call at %s:%u (%s)\n", run->host,
			run->steps, run->site->file, run->site->line, run->site->func);
	if (seam.describe)
		seam.describe(stderr);
	_exit(1);
}

void seam_guard(void)
{
	static uint8_t stack[64 << 10];
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	sigaltstack(&alternate, NULL);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}
