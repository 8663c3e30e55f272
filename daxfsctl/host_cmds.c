/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_cmds.c - daxfsctl recover, fence and confirm-dead: options, and fabricd's way.
 *
 * fabricd answers at once and acts in its next polls; --wait asks for the state
 * of the host until it is where the order leads.
 */
#include "daxfsctl/host_cmds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "daxfs/inspect.h"
#include "daxfs/member.h"
#include "daxfsctl/lines.h"
#include "daxfsctl/snapshot.h"
#include "proto/framing.h"

#define POLL_MS 20
#define REMOVE_S 60 /* to wait for, if nothing is said */

/* -- asking -------------------------------------------------------------------- */

/* An order is given once: where fabricd may have taken it, it is not repeated. */
static int send_order(const char *socket, enum order order, unsigned host, char *text, size_t size,
		      struct daxfs_error *err)
{
	Fabric__Request request = FABRIC__REQUEST__INIT;
	Fabric__Fence fence = FABRIC__FENCE__INIT;
	Fabric__ConfirmDead confirm = FABRIC__CONFIRM_DEAD__INIT;
	Fabric__Recover recover = FABRIC__RECOVER__INIT;
	Fabric__FenceTest test = FABRIC__FENCE_TEST__INIT;
	Fabric__Response *response;
	int rc;

	fence.host = confirm.host = recover.host = test.host = host;
	if (order == ORDER_FENCE) {
		request.verb_case = FABRIC__REQUEST__VERB_FENCE;
		request.fence = &fence;
	} else if (order == ORDER_TEST_BEGIN || order == ORDER_TEST) {
		request.verb_case = FABRIC__REQUEST__VERB_FENCE_TEST;
		request.fence_test = &test;
		test.begin = order == ORDER_TEST_BEGIN;
	} else if (order == ORDER_CONFIRM_DEAD || order == ORDER_REMOVE) {
		request.verb_case = FABRIC__REQUEST__VERB_CONFIRM_DEAD;
		request.confirm_dead = &confirm;
	} else {
		request.verb_case = FABRIC__REQUEST__VERB_RECOVER;
		request.recover = &recover;
		recover.again = order == ORDER_RECOVER_AGAIN;
	}
	rc = fabric_call(socket, &request, &response, err);
	if (rc)
		return rc;
	snprintf(text, size, "%s", response->text && response->text[0] ? response->text : "done");
	fabric__response__free_unpacked(response, NULL);
	return 0;
}

/* -- waiting ------------------------------------------------------------------- */

static bool reached(enum order order, const struct daxfs_host_view *before, const struct daxfs_host_view *now)
{
	/* A later generation: that tenant is over, whatever the slot is now. */
	if (now->state == DAXFS_HOST_FREE || now->state == DAXFS_HOST_RECOVERED)
		return true;
	if (order == ORDER_RECOVER || order == ORDER_RECOVER_AGAIN)
		return now->state < DAXFS_HOST_FENCED; /* joined again */
	if (order == ORDER_REMOVE)
		return now->generation > before->generation + 1 || /* or another one has the slot */
		       (now->generation > before->generation && now->state < DAXFS_HOST_FENCED);
	return now->state >= DAXFS_HOST_FENCED || now->generation != before->generation;
}

static int look(const char *socket, unsigned host, struct snapshot *s, struct daxfs_error *err)
{
	int rc = snapshot_ask(socket, s, err);

	if (rc == 0 && host >= s->n_hosts) {
		snprintf(err->text, sizeof(err->text), "no host %u: this pool has hosts 0 to %u", host, s->n_hosts - 1);
		return -EINVAL;
	}
	if (rc == 0 && !s->host[host].readable) {
		snprintf(err->text, sizeof(err->text), "host %u: its slot cannot be read; run daxfsctl check", host);
		return -EIO;
	}
	return rc;
}

static int await(struct ctl *ctl, const char *socket, enum order order, const struct daxfs_host_view *before,
		 uint64_t seconds)
{
	struct snapshot *s = calloc(1, sizeof(*s));
	struct daxfs_error err = { .text = "out of memory" };
	char text[96], reason[96];
	const struct daxfs_host_view *v = s ? &s->host[before->id].view : NULL;
	time_t start = time(NULL);
	int rc = s ? look(socket, before->id, s, &err) : -ENOMEM, code;

	while (rc == 0 && !reached(order, before, v) && (uint64_t)(time(NULL) - start) < seconds) {
		clock_nap_ms(POLL_MS);
		rc = look(socket, before->id, s, &err);
	}
	if (rc) {
		code = ctl_fail_value(ctl, rc, &err);
	} else if (reached(order, before, v)) {
		snprintf(text, sizeof(text), "host %u is %s", v->id, daxfs_host_state_name(v->state));
		code = ctl_host_done(ctl, v->id, daxfs_host_state_name(v->state), text);
	} else {
		code = ctl_fail(ctl, CTL_REFUSED, "host %u is still %s after %llu s (%s)", v->id,
				daxfs_host_state_name(v->state), (unsigned long long)seconds,
				daxfs_reason_text(v->reason, v->reason_ms, reason, sizeof(reason)));
	}
	free(s);
	return code;
}

/* -- fabricd's way ------------------------------------------------------------- */

/* Refused, but only because it is being done already, or was by now. */
static bool under_way(int error, enum order order, const struct daxfs_host_view *v)
{
	if (error != -EBUSY)
		return false;
	if (order == ORDER_RECOVER)
		return (v->state >= DAXFS_HOST_RECOVERING && v->deaths < DAXFS_RECOVERERS_MAX) ||
		       v->state == DAXFS_HOST_FREE;
	return order == ORDER_FENCE && v->state >= DAXFS_HOST_FENCING && v->state <= DAXFS_HOST_RECOVERING;
}

static int order_by(struct ctl *ctl, const char *socket, enum order order, unsigned host, uint64_t wait_seconds)
{
	struct daxfs_error err = { .text = "" }, none;
	struct daxfs_host_view before = { .id = host };
	struct snapshot *s = calloc(1, sizeof(*s));
	char text[256];
	int rc = s ? 0 : -ENOMEM;

	if (rc == 0 && wait_seconds)
		rc = look(socket, host, s, &err);
	if (rc == 0 && wait_seconds)
		before = s->host[host].view;
	if (rc == 0)
		rc = send_order(socket, order, host, text, sizeof(text), &err);
	if (rc && wait_seconds && s && look(socket, host, s, &none) == 0 && under_way(rc, order, &s->host[host].view))
		rc = 0;
	free(s);
	if (rc)
		return ctl_fail_value(ctl, rc, &err);
	return wait_seconds ? await(ctl, socket, order, &before, wait_seconds) : ctl_host_done(ctl, host, NULL, text);
}

int order_fabricd(struct ctl *ctl, enum order order, unsigned host, uint64_t wait_seconds)
{
	struct daxfs_error err = { .text = "" };
	char socket[PATH_MAX];
	int rc = snapshot_socket(ctl, socket, sizeof(socket), &err);

	if (rc)
		return ctl_fail(ctl, CTL_ERROR, "%s", err.text);
	return order_by(ctl, socket, order, host, wait_seconds);
}

/*
 * A host that never comes back: your word that it is dead, if nothing else proves it, and a wait until
 * its slot is free. A host that lives leaves by itself.
 */
static int remove_host(struct ctl *ctl, const char *socket, unsigned host, uint64_t wait_seconds)
{
	struct daxfs_error err = { .text = "" };
	struct snapshot *s = calloc(1, sizeof(*s));
	struct daxfs_host_view v = { .id = host };
	char text[256];
	int rc = s ? look(socket, host, s, &err) : -ENOMEM;

	if (rc == 0)
		v = s->host[host].view;
	free(s);
	if (rc)
		return ctl_fail_value(ctl, rc, &err);
	if (v.state == DAXFS_HOST_FREE)
		return ctl_host_done(ctl, host, "FREE", "its slot is free: nothing of it is left in the pool");
	if (v.state == DAXFS_HOST_JOINING || v.state == DAXFS_HOST_ALIVE)
		return ctl_fail(
			ctl, CTL_REFUSED,
			"host %u (%s) is %s: stop its node-agent, and it leaves; if it is gone for good, wait until "
			"its heartbeat is missed",
			host, v.name, daxfs_host_state_name(v.state));
	if (v.state == DAXFS_HOST_SUSPECT || v.state == DAXFS_HOST_FENCING)
		rc = send_order(socket, ORDER_REMOVE, host, text, sizeof(text), &err);
	return rc ? ctl_fail_value(ctl, rc, &err) : await(ctl, socket, ORDER_REMOVE, &v, wait_seconds);
}

/* Until each agent has answered: fabricd kills those that do not. */
static int fence_test(struct ctl *ctl, unsigned host)
{
	struct daxfs_error err = { .text = "" };
	char socket[PATH_MAX], text[512];
	int rc = snapshot_socket(ctl, socket, sizeof(socket), &err);

	if (rc)
		return ctl_fail(ctl, CTL_ERROR, "%s", err.text);
	rc = send_order(socket, ORDER_TEST_BEGIN, host, text, sizeof(text), &err);
	while (rc == -EAGAIN) {
		clock_nap_ms(POLL_MS);
		rc = send_order(socket, ORDER_TEST, host, text, sizeof(text), &err);
	}
	return rc ? ctl_fail_value(ctl, rc, &err) : ctl_host_done(ctl, host, NULL, text);
}

/* -- command lines ------------------------------------------------------------- */

struct target {
	struct arg_number host, as, wait;
	bool dry_run, again;
	const char *pool;    /* or NULL */
	const char *instead; /* what --direct is answered by what only fabricd can do, without POOL; or NULL */
};

/* Words may be the pool and, as --host is long to type, the host's number. */
static int take_words(struct ctl *ctl, struct target *t, const char *usage)
{
	for (unsigned i = 0; i < ctl->n_words; i++) {
		uint64_t number;

		if (!t->host.given && args_number(ctl->words[i], &number) == 0 && number < SNAPSHOT_HOSTS)
			t->host = (struct arg_number){ number, true };
		else if (!t->pool && !t->instead)
			t->pool = ctl->words[i];
		else if (t->instead)
			return ctl_fail(ctl, CTL_USAGE,
					"%.60s: no host, and fabricd knows its POOL; usage: daxfsctl %s", ctl->words[i],
					usage);
		else
			return ctl_fail(ctl, CTL_USAGE, "usage: daxfsctl %s", usage);
	}
	if (!t->host.given)
		return ctl_fail(ctl, CTL_USAGE, "which host? usage: daxfsctl %s", usage);
	return CTL_OK;
}

static int parse(struct ctl *ctl, int argc, char **argv, struct target *t, bool recover, const char *usage)
{
	const struct arg table[] = {
		{ "host", ARG_NUMBER, &t->host, SNAPSHOT_HOSTS - 1 },
		{ "wait", ARG_NUMBER, &t->wait, 86400 },
		{ "as", ARG_NUMBER, &t->as, SNAPSHOT_HOSTS - 1 },
		{ "dry-run", ARG_FLAG, &t->dry_run, 0 },
		{ "again", ARG_FLAG, &t->again, 0 },
	};
	int code = ctl_parse(ctl, argc, argv, table, recover ? 5 : 2, 0, 2, usage);

	if (code == CTL_OK && ctl->direct && t->instead)
		code = ctl_fail(ctl, CTL_USAGE, "only fabricd can do that; %s", t->instead);
	if (code == CTL_OK)
		code = take_words(ctl, t, usage);
	if (code == CTL_OK && ctl->direct && !t->pool)
		code = ctl_fail(ctl, CTL_USAGE, "--direct needs the POOL; usage: daxfsctl %s", usage);
	if (code == CTL_OK && t->pool && !ctl->direct && !t->dry_run)
		code = ctl_fail(ctl, CTL_USAGE,
				"fabricd knows its pool: leave %.60s out, or give --direct to do without fabricd",
				t->pool);
	return code;
}

static void dry_line(void *context, const char *line)
{
	struct json *j = context;

	lines_fields(j, line);
}

static void dry_text(void *context, const char *line)
{
	fprintf((FILE *)context, "%s\n", line);
}

static int dry_run(struct ctl *ctl, const char *pool, unsigned host)
{
	struct daxfs_error err = { .text = "" };
	struct daxfs *fs;
	struct daxfs_geometry g;
	struct json j;
	int rc = daxfs_open(pool, DAXFS_READ_ONLY, &fs, &err);

	if (rc)
		return ctl_fail_value(ctl, rc, &err);
	daxfs_geometry(fs, &g);
	if (host >= g.hosts) {
		rc = ctl_fail(ctl, CTL_USAGE, "host %u: this pool has hosts 0 to %u", host, g.hosts - 1);
	} else if (ctl->json) {
		json_begin(&j, ctl->out);
		json_add_schema(&j, "recover-dry-run");
		json_add_number(&j, "host", host);
		json_open_array(&j, "would");
		daxfs_recover_dry_run(fs, host, dry_line, &j);
		json_finish(&j);
	} else {
		daxfs_recover_dry_run(fs, host, dry_text, ctl->out);
	}
	daxfs_close(fs);
	return rc;
}

int cmd_recover(struct ctl *ctl, int argc, char **argv)
{
	static const char usage[] =
		"recover --host N [--again] [--wait SECONDS], recover POOL --direct --host N [--as M], "
		"or recover POOL --dry-run --host N";
	struct target t = { .pool = NULL };
	int code = parse(ctl, argc, argv, &t, true, usage);

	if (code)
		return code;
	if (t.dry_run && !t.pool)
		return ctl_fail(ctl, CTL_USAGE, "--dry-run reads the pool: give POOL");
	if (t.dry_run)
		return dry_run(ctl, t.pool, (unsigned)t.host.value);
	if (t.again && ctl->direct)
		return ctl_fail(ctl, CTL_USAGE, "--again is for fabricd; --direct tries as often as you ask");
	if (t.as.given && !ctl->direct)
		return ctl_fail(ctl, CTL_USAGE, "--as is for --direct; fabricd chooses the recoverer itself");
	if (ctl->direct)
		return order_recover_direct(ctl, t.pool, (unsigned)t.host.value, t.as.given ? (int)t.as.value : -1);
	return order_fabricd(ctl, t.again ? ORDER_RECOVER_AGAIN : ORDER_RECOVER, (unsigned)t.host.value, t.wait.value);
}

int cmd_fence(struct ctl *ctl, int argc, char **argv)
{
	struct target t = { .instead = "without it: switch the host off yourself, then "
				       "daxfsctl confirm-dead POOL --direct --host N" };
	int code = parse(ctl, argc, argv, &t, false, "fence --host N [--wait SECONDS]");

	return code ? code : order_fabricd(ctl, ORDER_FENCE, (unsigned)t.host.value, t.wait.value);
}

int cmd_fence_test(struct ctl *ctl, int argc, char **argv)
{
	struct target t = { .instead = "its fence agents are asked" };
	int code = parse(ctl, argc, argv, &t, false, "fence-test --host N");

	return code ? code : fence_test(ctl, (unsigned)t.host.value);
}

int cmd_remove(struct ctl *ctl, int argc, char **argv)
{
	struct daxfs_error err = { .text = "" };
	struct target t = { .wait = { .value = REMOVE_S },
			    .instead = "without it: daxfsctl confirm-dead POOL --direct --host N, then "
				       "daxfsctl recover POOL --direct --host N" };
	char socket[PATH_MAX];
	int code = parse(ctl, argc, argv, &t, false, "remove --host N [--wait SECONDS]");

	if (code)
		return code;
	if (snapshot_socket(ctl, socket, sizeof(socket), &err))
		return ctl_fail(ctl, CTL_ERROR, "%s", err.text);
	return remove_host(ctl, socket, (unsigned)t.host.value, t.wait.value);
}

int cmd_confirm_dead(struct ctl *ctl, int argc, char **argv)
{
	struct target t = { .pool = NULL };
	int code = parse(ctl, argc, argv, &t, false,
			 "confirm-dead --host N [--wait SECONDS], or confirm-dead POOL --direct --host N");

	if (code)
		return code;
	if (ctl->direct)
		return order_confirm_direct(ctl, t.pool, (unsigned)t.host.value);
	return order_fabricd(ctl, ORDER_CONFIRM_DEAD, (unsigned)t.host.value, t.wait.value);
}
