/* SPDX-License-Identifier: Apache-2.0 */
/* gaps.c - see gaps.h. */
#include "fabricd/gaps.h"

#include <stdio.h>

#include "common/log.h"
#include "fabricd/monitor.h"
#include "fabricd/timing.h"

static unsigned percent_of(unsigned silent_polls)
{
	unsigned percent = silent_polls * 100 / TIMING_FENCING_POLLS;

	return percent >= TIMING_WARN_LATE_PERCENT ? TIMING_WARN_LATE_PERCENT
	       : percent >= TIMING_WARN_PERCENT    ? TIMING_WARN_PERCENT
						   : 0;
}

/* The first look at a tenant tells when it was seen, and not when it beat. */
static void keep_beat(struct gap *g, uint64_t beat, uint64_t now_ms)
{
	if (g->n && beat == g->beat)
		return;
	if (g->n > 1)
		g->apart_ms[g->n % GAPS_KEPT] = (uint32_t)(now_ms - g->moved_ms);
	g->beat = beat;
	g->moved_ms = now_ms;
	g->n++;
}

const char *gaps_text(const struct gaps *gaps, unsigned host, char *buf, size_t size)
{
	const struct gap *g = &gaps->host[host];
	uint64_t first = g->n > GAPS_KEPT + 2 ? g->n - GAPS_KEPT : 2;
	size_t at = 0;

	buf[0] = '\0';
	for (uint64_t i = first; i < g->n && at < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s%u", i == first ? "beats " : " ",
				       g->apart_ms[i % GAPS_KEPT]);
	if (at && at < size)
		snprintf(buf + at, size - at, " ms apart");
	return buf;
}

static void look_at_host(struct gap *g, const struct watch *w, unsigned i)
{
	const struct daxfs_host_view *v = &w->in.view[i];
	const struct decide_host *h = &w->decide.host[i];
	unsigned percent = percent_of(h->silent);
	unsigned deadline_ms = TIMING_FENCING_POLLS * w->geometry.heartbeat_ms;

	if (g->tenancy != v->tenancy)
		*g = (struct gap){ .tenancy = v->tenancy };
	keep_beat(g, v->beat, w->in.now_ms);
	if (h->silent == 0 && g->percent)
		log_note("host %u (%s) beats again, after %llu ms", i, v->name, (unsigned long long)g->now_ms);
	if (percent > g->percent)
		log_warn("host %u (%s) has not beaten for %llu ms, over %u %% of the %u ms after which it is declared "
			 "dead",
			 i, v->name, (unsigned long long)decide_silence_ms(&w->decide, i, w->in.now_ms), percent,
			 deadline_ms);
	if (h->silent == 0 || percent > g->percent)
		g->percent = percent;
	g->now_ms = h->silent ? decide_silence_ms(&w->decide, i, w->in.now_ms) : 0;
	if (g->now_ms > g->worst_ms)
		g->worst_ms = g->now_ms;
}

void gaps_poll(struct gaps *gaps, const struct watch *w)
{
	for (unsigned i = 0; w->in.readable && i < w->decide.hosts; i++) {
		enum daxfs_host_state state = w->in.view[i].state;

		if (!w->in.sensible[i] || (state != DAXFS_HOST_ALIVE && state != DAXFS_HOST_SUSPECT))
			gaps->host[i] = (struct gap){ .percent = 0 };
		else
			look_at_host(&gaps->host[i], w, i);
	}
}
