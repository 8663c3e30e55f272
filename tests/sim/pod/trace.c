/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace.c - what happens in a pod, as lines: all of them, or the last ones
 * before a violation. A seam call is told by its place, value and the name of
 * the ORD comment above it, if the source is at hand. Written from actors too,
 * whose memory is the arena: switched off here.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "machine/arena.h"
#include "pod/pod.h"
#include "inspect/inspect.h"
#include "sync/lane.h"

#define TAIL 100u
#define LINE_BYTES 240u
#define ORD_LINES 8
#define ORDERS_MAX 512u

static struct tracing {
	enum trace_mode mode;
	struct tail {
		uint64_t n;
		char line[TAIL][LINE_BYTES];
	} tail[2]; /* what happened; seam calls */
	struct {
		const struct sm_site *site;
		char name[24];
	} order[ORDERS_MAX];
	unsigned n_orders;
} tracing;

void trace_mode(enum trace_mode mode)
{
	tracing.mode = mode;
	tracing.tail[0].n = tracing.tail[1].n = 0;
}

bool trace_wanted(void)
{
	return tracing.mode != TRACE_OFF;
}

static void put(struct tail *tail, const char *format, va_list args)
{
	char *line = tail->line[tail->n++ % TAIL];
	bool was = arena_use(false);
	int n = snprintf(line, LINE_BYTES, "%9.3f ms ", (double)pod.now_ns / 1e6);

	vsnprintf(line + n, LINE_BYTES - (size_t)n, format, args);
	if (tracing.mode == TRACE_ALL)
		puts(line);
	arena_use(was);
}

void trace_line(const char *format, ...)
{
	va_list args;

	if (tracing.mode == TRACE_OFF)
		return;
	va_start(args, format);
	put(&tracing.tail[0], format, args);
	va_end(args);
}

static void trace_call(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void trace_call(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	put(&tracing.tail[1], format, args);
	va_end(args);
}

static void print_tail(const struct tail *tail, FILE *out)
{
	uint64_t from = tail->n > TAIL ? tail->n - TAIL : 0;

	for (uint64_t i = from; i < tail->n; i++)
		fprintf(out, "  %s\n", tail->line[i % TAIL]);
}

void trace_tail(FILE *out)
{
	fprintf(out, "  the last seam calls:\n");
	print_tail(&tracing.tail[1], out);
	fprintf(out, "  what happened last:\n");
	print_tail(&tracing.tail[0], out);
}

/* -- names ------------------------------------------------------------------------- */

/* The ORD comment that stands closest above a line. */
static void find_order(const struct sm_site *site, char name[24])
{
	FILE *source = fopen(site->file, "r");
	char line[256];
	unsigned at = 0, found = 0;

	name[0] = '\0';
	while (source && at < site->line && fgets(line, sizeof(line), source)) {
		const char *order = strstr(line, "ORD ");

		at++;
		if (order && strchr(order, ':')) {
			found = at;
			snprintf(name, 24, "%.*s", (int)strcspn(order + 4, ":"), order + 4);
		}
		if (line[0] == '}')
			name[0] = '\0';
	}
	if (source)
		fclose(source);
	if (found + ORD_LINES < site->line)
		name[0] = '\0';
}

static const char *order_of(const struct sm_site *site)
{
	unsigned i = 0;

	while (i < tracing.n_orders && tracing.order[i].site != site)
		i++;
	if (i == ORDERS_MAX)
		return "";
	if (i == tracing.n_orders) {
		tracing.order[tracing.n_orders++].site = site;
		find_order(site, tracing.order[i].name);
	}
	return tracing.order[i].name;
}

static void lane_text(uint64_t at, char *buf, size_t size)
{
	static const char *const fields[] = {
		"status", "owner", "todo", "n_words", "n_allocs", "n_retires", "?", "?", "low", "high",
	};
	uint64_t lane = at / sizeof(struct sm_lane), in = at % sizeof(struct sm_lane);

	if (in < sizeof(uint64_t) * 10)
		snprintf(buf, size, "lane %" PRIu64 " %s", lane, fields[in / 8]);
	else if (in < offsetof(struct sm_lane, allocs))
		snprintf(buf, size, "lane %" PRIu64 " word %" PRIu64, lane,
			 (in - offsetof(struct sm_lane, words)) / 24);
	else
		snprintf(buf, size, "lane %" PRIu64 " +%" PRIx64, lane, in);
}

static void place_text(uint64_t offset, char *buf, size_t size)
{
	static const char *const names[DAXFS_REGIONS] = {
		"member",      NULL,           "open", "page-state", "inode-state", "dirent-state", "page-birth",
		"inode-birth", "dirent-birth", NULL,   NULL,         "dirent",      "trouble",      NULL,
	};

	inspect_place_text(&pod.pool, offset, buf, size);
	for (unsigned i = 0; i < DAXFS_REGIONS; i++) {
		const struct sm_region *r = &pod.pool.super.region[i];
		uint64_t first = r->offset + DAXFS_PAGE_SIZE, at = offset - first;

		if (!r->elem_size || offset < first || at >= r->elem_size * r->count)
			continue;
		if (i == DAXFS_R_LANES)
			lane_text(at, buf, size);
		else if (i == DAXFS_R_MEMBER && at >= sizeof(struct sm_manager))
			snprintf(buf, size, "host %" PRIu64 " +%" PRIx64, (at - sizeof(struct sm_manager)) / 256,
				 (at - sizeof(struct sm_manager)) % 256);
		else if (names[i])
			snprintf(buf, size, "%s %" PRIu64 " +%" PRIx64, names[i], at / r->elem_size, at % r->elem_size);
	}
}

void trace_step(const struct actor *a, const struct seam_event *event)
{
	char who[48], place[96] = "", value[64] = "";
	const struct sm_site *site = event->site;
	const char *order;

	if (tracing.mode == TRACE_OFF)
		return;
	actor_text(a, who, sizeof(who));
	if (event->len)
		place_text(event->offset, place, sizeof(place));
	if (site->call[0] == 'c')
		snprintf(value, sizeof(value), "%" PRIx64 " -> %" PRIx64 "%s", event->expected, event->value,
			 peek(event->offset) == event->expected ? "" : " FAILS");
	else if (site->call[0] == 's')
		snprintf(value, sizeof(value), "%" PRIx64, event->value);
	else if (event->len == sizeof(uint64_t) && site->call[0] == 'l')
		snprintf(value, sizeof(value), "= %" PRIx64, peek(event->offset));
	order = order_of(site);
	trace_call("    %s: %s%s%s%s %s %s len %" PRIu64 " (%s:%u %s)", who, site->call, *order ? " [ORD " : "", order,
		   *order ? "]" : "", place, value, event->len, strrchr(site->file, '/') + 1, site->line, site->func);
}
