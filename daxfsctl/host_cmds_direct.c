/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_cmds_direct.c - recover and confirm-dead without a fabricd.
 *
 * For a pod whose fabricd is gone. While one is at work its decisions stand, so
 * both refuse when the manager's beat moves. Every change is a CAS against the
 * word that was seen, under the manager epoch in force: a fabricd that starts
 * meanwhile makes it fail, not fight.
 *
 * confirm-dead: the operator's word replaces the fence agent, but not the look
 * at the heartbeat: one that moves within STILL_BEATS heartbeats refutes it.
 *
 *   JOINING, ALIVE, SUSPECT --still--> FENCING --still--> FENCED
 *
 * Killed in between: the host is FENCING, which the next confirm-dead, or the
 * next fabricd, takes up.
 *
 * recover: a last look that neither the dead nor a fabricd beats, then it joins
 * a free slot for the time it takes. Killed meanwhile: that slot
 * is one more host that died, recovered like any other.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "daxfs/member.h"
#include "daxfsctl/guest.h"
#include "daxfsctl/json.h"
#include "daxfsctl/host_cmds.h"
#include "daxfsctl/text.h"

#define STILL_BEATS 10u

struct direct {
	struct ctl *ctl;
	struct daxfs_member *m;
	struct daxfs_geometry geometry;
	struct daxfs_host_view host; /* the one this is about, as last seen */
};

static int look(struct direct *d)
{
	int rc = daxfs_member_host(d->m, d->host.id, &d->host);

	if (rc)
		return ctl_fail(d->ctl, CTL_ERROR, "host %u: its slot makes no sense; run daxfsctl check", d->host.id);
	return CTL_OK;
}

static int start(struct direct *d, struct ctl *ctl, const char *path, unsigned host)
{
	struct daxfs_error err = { .text = "" };
	int rc = daxfs_member_open(path, true, &d->m, &err), code;

	d->ctl = ctl;
	if (rc)
		return ctl_fail_error(ctl, rc, &err);
	daxfs_member_geometry(d->m, &d->geometry);
	d->host.id = host;
	if (host >= d->geometry.hosts)
		code = ctl_fail(ctl, CTL_USAGE, "host %u: this pool has hosts 0 to %u", host, d->geometry.hosts - 1);
	else
		code = look(d);
	if (code)
		daxfs_member_close(d->m);
	return code;
}

/* Counters of the host and of the manager over STILL_BEATS heartbeats: CTL_OK if neither moved. */
static int stands_still(struct direct *d)
{
	struct daxfs_manager_view manager, now;
	uint64_t beat = d->host.beat, tenancy = d->host.tenancy;
	int code = CTL_OK;

	daxfs_member_manager(d->m, &manager);
	for (unsigned i = 0; code == CTL_OK && i < STILL_BEATS; i++) {
		clock_nap_ms(d->geometry.heartbeat_ms);
		daxfs_member_manager(d->m, &now);
		code = look(d);
		if (code == CTL_OK && (now.beat != manager.beat || now.epoch != manager.epoch))
			return ctl_fail(d->ctl, CTL_REFUSED, "fabricd pid %u is at work: ask it, without --direct",
					now.pid);
		if (code == CTL_OK && (d->host.beat != beat || d->host.tenancy != tenancy))
			return ctl_fail(d->ctl, CTL_REFUSED,
					"host %u is not dead: its heartbeat moves; cut it off first", d->host.id);
	}
	return code;
}

static int move(struct direct *d, enum daxfs_host_state to, int recoverer, enum daxfs_reason reason)
{
	struct daxfs_manager_view manager;
	int rc;

	daxfs_member_manager(d->m, &manager);
	rc = daxfs_member_move(d->m, &d->host, to, recoverer, manager.epoch, reason, 0);
	if (rc == -EAGAIN || rc == -ESTALE)
		return ctl_fail(d->ctl, CTL_REFUSED, "host %u was just moved by somebody else; look again", d->host.id);
	if (rc)
		return ctl_fail(d->ctl, ctl_exit_of(rc), "host %u cannot go from %s to %s: %s", d->host.id,
				daxfs_host_state_name(d->host.state), daxfs_host_state_name(to), strerror(-rc));
	return look(d);
}

/* -- confirm-dead ---------------------------------------------------------------- */

static int confirm(struct direct *d)
{
	enum daxfs_host_state state = d->host.state;
	char text[96];
	int code = CTL_OK;

	if (state == DAXFS_HOST_FREE)
		return ctl_fail(d->ctl, CTL_REFUSED, "host %u is FREE: nobody has that slot", d->host.id);
	if (state < DAXFS_HOST_FENCED)
		code = stands_still(d);
	if (code == CTL_OK && state < DAXFS_HOST_FENCING) {
		code = move(d, DAXFS_HOST_FENCING, -1, DAXFS_REASON_OPERATOR_CONFIRM);
		if (code == CTL_OK) /* revoked: once more, now that it can know */
			code = stands_still(d);
	}
	if (code == CTL_OK && state < DAXFS_HOST_FENCED)
		code = move(d, DAXFS_HOST_FENCED, -1, DAXFS_REASON_OPERATOR_CONFIRM);
	if (code)
		return code;
	snprintf(text, sizeof(text), "host %u is %s%s, generation %u", d->host.id,
		 state < DAXFS_HOST_FENCED ? "" : "already ", daxfs_host_state_name(d->host.state), d->host.generation);
	return ctl_host_done(d->ctl, d->host.id, daxfs_host_state_name(d->host.state), text);
}

int order_confirm_direct(struct ctl *ctl, const char *path, unsigned host)
{
	struct direct d = { .ctl = ctl };
	int code = start(&d, ctl, path, host);

	if (code)
		return code;
	code = confirm(&d);
	daxfs_member_close(d.m);
	return code;
}

/* -- recover --------------------------------------------------------------------- */

/* A slot to work from: the one asked for, or of those that are free the least used. */
static int choose_slot(const struct direct *d, int as)
{
	uint32_t used = UINT32_MAX;
	int best = -1;

	for (unsigned i = 0; i < d->geometry.hosts; i++) {
		struct daxfs_host_view v;

		if (i == d->host.id || (as >= 0 && (unsigned)as != i) || daxfs_member_host(d->m, i, &v))
			continue;
		if (as >= 0)
			return as;
		if ((v.state == DAXFS_HOST_FREE || v.state == DAXFS_HOST_RECOVERED) && v.generation <= used) {
			used = v.generation;
			best = (int)i;
		}
	}
	return best;
}

/* May the host that a RECOVERING word names still be at work on it? */
static bool recoverer_gone(const struct direct *d)
{
	struct daxfs_host_view v;

	if (d->host.recoverer < 0 || daxfs_member_host(d->m, (unsigned)d->host.recoverer, &v))
		return false;
	return daxfs_recoverer_over(&d->host, &v);
}

static int recoverable(const struct direct *d)
{
	unsigned host = d->host.id;

	switch (d->host.state) {
	case DAXFS_HOST_FENCED: return CTL_OK;
	case DAXFS_HOST_RECOVERING:
		if (recoverer_gone(d))
			return CTL_OK;
		return ctl_fail(d->ctl, CTL_REFUSED,
				"host %d is recovering host %u; if it is dead: "
				"daxfsctl confirm-dead POOL --direct --host %d",
				d->host.recoverer, host, d->host.recoverer);
	case DAXFS_HOST_FREE:
	case DAXFS_HOST_RECOVERED:
		return ctl_fail(d->ctl, CTL_REFUSED, "host %u is %s: nothing of it is left to recover", host,
				daxfs_host_state_name(d->host.state));
	default:
		return ctl_fail(d->ctl, CTL_REFUSED,
				"host %u is %s: only what is cut off is recovered; if it is dead: "
				"daxfsctl confirm-dead POOL --direct --host %u",
				host, daxfs_host_state_name(d->host.state), host);
	}
}

static int recovered(struct ctl *ctl, const struct daxfs_recovery *r)
{
	char text[192];
	struct json j;

	if (!ctl->json) {
		fprintf(ctl->out, "host %u recovered in %s\n", r->host, text_recovery(r, text, sizeof(text)));
		return CTL_OK;
	}
	json_begin(&j, ctl->out);
	json_add_number(&j, "host", r->host);
	json_add_text(&j, "state", daxfs_host_state_name(DAXFS_HOST_RECOVERED));
	text_json_recovery(&j, "recovery", r);
	json_finish(&j);
	return CTL_OK;
}

/* Joined: take the recovery over if it was somebody's, then do it. */
static int recover_joined(struct direct *d, struct daxfs *fs, unsigned slot)
{
	struct daxfs_recovery report;
	int code = CTL_OK, rc;

	if (d->host.state == DAXFS_HOST_RECOVERING)
		code = move(d, DAXFS_HOST_RECOVERING, (int)slot, DAXFS_REASON_RECOVERER_DIED);
	if (code)
		return code;
	rc = daxfs_recover(fs, d->host.id, &report);
	if (rc)
		return ctl_fail(d->ctl, ctl_exit_of(rc), "host %u is not recovered: %s%s", d->host.id, strerror(-rc),
				rc == -EIO ? "; run daxfsctl check" : "");
	return recovered(d->ctl, &report);
}

static int leave(struct direct *d, struct guest *g, unsigned slot, int code)
{
	int rc = guest_go(g);

	if (rc && code == CTL_OK)
		return ctl_fail(d->ctl, ctl_exit_of(rc), "slot %u, worked from, was not left cleanly: %s", slot,
				strerror(-rc));
	return code;
}

static int recover_from(struct direct *d, struct daxfs *fs, unsigned slot)
{
	struct daxfs_error err = { .text = "" };
	struct guest g;
	int rc = guest_come_to(&g, fs, slot, "recover", &err);

	if (rc)
		return ctl_fail_error(d->ctl, rc, &err);
	return leave(d, &g, slot, recover_joined(d, fs, slot));
}

/* No slot is free, for all are of dead hosts, perhaps: this one is as good as any. */
static int recover_in_place(struct direct *d, struct daxfs *fs)
{
	struct daxfs_error err = { .text = "" };
	struct daxfs_recovery report;
	struct guest g;
	int rc = guest_revive(&g, fs, d->host.id, "recover", &report, &err);

	if (rc)
		return ctl_fail_error(d->ctl, rc, &err);
	return leave(d, &g, d->host.id, recovered(d->ctl, &report));
}

static int recover_open(struct direct *d, const char *path, int slot)
{
	struct daxfs_error err = { .text = "" };
	struct daxfs *fs;
	int rc = daxfs_open(path, DAXFS_READ_WRITE, &fs, &err), code;

	if (rc)
		return ctl_fail_error(d->ctl, rc, &err);
	code = slot < 0 ? recover_in_place(d, fs) : recover_from(d, fs, (unsigned)slot);
	daxfs_close(fs);
	return code;
}

int order_recover_direct(struct ctl *ctl, const char *path, unsigned host, int as)
{
	struct direct d = { .ctl = ctl };
	int code = start(&d, ctl, path, host), slot;

	if (code)
		return code;
	code = recoverable(&d);
	if (code == CTL_OK)
		code = stands_still(&d);
	slot = choose_slot(&d, as);
	if (code == CTL_OK && slot < 0 && as >= 0)
		code = ctl_fail(ctl, CTL_USAGE, "--as %d: give another host slot of this pool", as);
	if (code == CTL_OK)
		code = recover_open(&d, path, slot);
	daxfs_member_close(d.m);
	return code;
}
