/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_agent.c - what fence agents are told, and what they answer: any options
 * and host name, any exit statuses at any time.
 *
 * What an agent reads is one action and one plug, then the options, whatever
 * they are; and no sequence of ends leads to FENCED but off done, then status
 * off, and a counter that stands still since off.
 */
#include "invariant.h"
#include "fabricd/fence_agent.c"
#include "fabricd/timing.h"

#define HOSTS 3u
#define STEPS_MAX 400u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *at, *end;
};

static unsigned next_byte(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

/* A text up to its NUL. */
static void next_text(struct input *in, char *out, size_t size)
{
	size_t n = 0;
	unsigned c;

	while ((c = next_byte(in)) && n + 1 < size)
		out[n++] = (char)c;
	out[n] = '\0';
}

/* -- what it is told ------------------------------------------------------------- */

static void tell(struct input *in)
{
	const char *verb = next_byte(in) & 1 ? "off" : "status";
	char line[400], plug[128], text[FENCE_INPUT_BYTES + 1], head[96];
	struct options options;
	struct daxfs_error err;
	int len;

	options_defaults(&options);
	for (unsigned n = next_byte(in) % 16; n; n--) {
		strcpy(line, "fence-option=");
		next_text(in, line + strlen(line), sizeof(line) - strlen(line));
		options_line(&options, line, &err);
	}
	next_text(in, plug, sizeof(plug));
	if (!plug_makes_sense(plug))
		return;
	memset(text, 0, sizeof(text));
	len = fence_input(&options.fence[0], verb, plug, 0, text, FENCE_INPUT_BYTES, &err);
	if (len == -ENAMETOOLONG)
		return;
	demand(len > 0 && (size_t)len < FENCE_INPUT_BYTES, "all options with an action and a plug fit");
	demand(strlen(text) == (size_t)len, "text");
	snprintf(head, sizeof(head), "action=%s\nplug=%s\n", verb, plug);
	demand(strncmp(text, head, strlen(head)) == 0, "action and plug first");
	demand(!strstr(text + 1, "\naction=") && !strstr(text + strlen(head) - 1, "\nplug="),
	       "no other action or plug");
}

/* -- what it answers -------------------------------------------------------------- */

struct pod {
	struct decide d;
	struct decide_input in;
	bool running[HOSTS], off[HOSTS];                                /* its agent */
	bool off_done[HOSTS], proven[HOSTS];                            /* by the agent's ends */
	unsigned off_done_at[HOSTS], proven_at[HOSTS], moved_at[HOSTS]; /* steps */
	unsigned step;
};

static void move(struct pod *p, const struct decide_action *a)
{
	struct daxfs_host_view *v = &p->in.view[a->host];

	if (a->to == DAXFS_HOST_FENCED) {
		demand(p->proven[a->host], "FENCED only after off and status off");
		demand(p->moved_at[a->host] <= p->proven_at[a->host], "FENCED only with a still counter");
		demand(p->step - p->off_done_at[a->host] >= TIMING_FROZEN_POLLS, "FENCED only a while after off");
		demand(p->step - p->moved_at[a->host] >= TIMING_FROZEN_POLLS,
		       "FENCED only after a while without a beat");
		v->generation++;
	}
	if (a->to == DAXFS_HOST_FENCING && v->state != DAXFS_HOST_FENCING)
		p->off_done[a->host] = p->proven[a->host] = false;
	v->state = a->to;
	v->recoverer = a->recoverer;
	v->reason = a->reason;
}

static void carry_out(struct pod *p, const struct decide_action *a)
{
	if (a->kind == DECIDE_CLAIM) {
		p->in.manager.epoch++;
		decide_claimed(&p->d, p->in.manager.epoch);
	} else if (a->kind == DECIDE_STAMP) {
		p->in.view[a->host].manager_epoch = p->d.epoch & 0xffff;
	} else if (a->kind == DECIDE_MOVE) {
		move(p, a);
	} else if (a->kind == DECIDE_AGENT_OFF || a->kind == DECIDE_AGENT_STATUS) {
		p->running[a->host] = true;
		p->off[a->host] = a->kind == DECIDE_AGENT_OFF;
		if (p->off[a->host])
			p->off_done[a->host] = false;
		p->proven[a->host] = false;
	} else if (a->kind == DECIDE_AGENT_STOP) {
		p->running[a->host] = false;
	}
}

/* An agent's end: any wait status. */
static void end_agent(struct pod *p, unsigned host, int status)
{
	enum decide_result result = judge(p->off[host] ? TASK_OFF : TASK_STATUS, status);

	p->running[host] = false;
	p->in.result[host] = result;
	if (result == RESULT_OFF_DONE) {
		demand(p->off[host] && WIFEXITED(status) && WEXITSTATUS(status) == 0, "off is done by exit 0");
		p->off_done[host] = true;
		p->off_done_at[host] = p->step;
	}
	if (result == RESULT_STATUS_OFF) {
		demand(!p->off[host] && WIFEXITED(status) && WEXITSTATUS(status) == 2, "off is status 2");
		p->proven[host] = p->off_done[host];
		p->proven_at[host] = p->step;
	}
}

static int a_status(struct input *in, unsigned how)
{
	static const int common[] = { 0, 2 << 8, 1 << 8, 9, 0x7f, 0xffff };

	return how < 6 ? common[how] : (int)(next_byte(in) | next_byte(in) << 8 | next_byte(in) << 24);
}

static void poll_once(struct pod *p, struct input *in)
{
	struct decide_action actions[DECIDE_ACTIONS_MAX];
	unsigned what = next_byte(in), n;

	p->step++;
	p->in.now_ms += 50;
	for (unsigned i = 0; i < HOSTS; i++) {
		if (i && !(what >> i & 1))
			continue;
		p->in.view[i].beat++;
		p->moved_at[i] = p->step;
	}
	for (unsigned i = 0; i < HOSTS; i++)
		if (p->running[i] && what & 8)
			end_agent(p, i, a_status(in, what >> 4 & 7));
	n = decide_poll(&p->d, &p->in, actions);
	demand(n <= DECIDE_ACTIONS_MAX, "actions that fit");
	memset(p->in.result, 0, sizeof(p->in.result));
	for (unsigned i = 0; i < n; i++)
		carry_out(p, &actions[i]);
}

static void be_answered(struct input *in)
{
	static struct pod p;

	memset(&p, 0, sizeof(p));
	decide_init(&p.d, HOSTS, 50);
	p.in.readable = true;
	p.in.now_ms = 1000000;
	for (unsigned i = 0; i < HOSTS; i++) {
		p.in.view[i] = (struct daxfs_host_view){
			.id = i, .state = DAXFS_HOST_ALIVE, .generation = 1, .recoverer = -1, .tenancy = 1ull << 40 | 1
		};
		snprintf(p.in.view[i].name, sizeof(p.in.view[i].name), "host%u", i);
		p.in.sensible[i] = true;
	}
	for (unsigned i = 0; i < STEPS_MAX && in->at < in->end; i++)
		poll_once(&p, in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };

	if (next_byte(&in) & 1)
		tell(&in);
	else
		be_answered(&in);
	return 0;
}
