/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_coherence.c - daxfsctl selftest --hosts N --host I: is the memory coherent between these hosts?
 *
 * One of these is started on each host at about the same time; they meet in the pool (daxfs_coherence_test) and all say
 * the same. What was found stays in the pool, for status and for agents that join.
 */
#include <inttypes.h>
#include <string.h>

#include "daxfsctl/coherence.h"
#include "daxfsctl/event_log.h"
#include "daxfsctl/text.h"

const char *coherence_text(const struct daxfs_coherence *c, char *buf, size_t size)
{
	char hosts[32], machines[32];
	int n = snprintf(buf, size,
			 "%s on %s, %" PRIu64 " rounds: ", text_count(c->hosts, "host", hosts, sizeof(hosts)),
			 text_count(c->machines, "machine", machines, sizeof(machines)), c->rounds);

	if (n < 0 || (size_t)n >= size)
		return buf;
	if (c->coherent)
		snprintf(buf + n, size - (size_t)n, "coherent");
	else
		snprintf(buf + n, size - (size_t)n,
			 "NOT COHERENT (%" PRIu64 " stale words, %" PRIu64 " stale copies, %" PRIu64
			 " increments lost)",
			 c->stale_words, c->stale_copies, c->lost);
	return buf;
}

void coherence_json(struct json *j, const struct daxfs_coherence *c)
{
	char when[40];

	json_add_bool(j, "coherent", c->coherent);
	json_add_number(j, "hosts", c->hosts);
	json_add_number(j, "machines", c->machines);
	json_add_number(j, "rounds", c->rounds);
	json_add_number(j, "stale_words", c->stale_words);
	json_add_number(j, "stale_copies", c->stale_copies);
	json_add_number(j, "increments_lost", c->lost);
	json_add_text(j, "at", event_time(c->wall_ns, when, sizeof(when)));
}

static void show(struct ctl *ctl, const struct daxfs_coherence *c)
{
	char text[200];
	struct json j;

	if (ctl->json) {
		json_begin(&j, ctl->out);
		json_add_schema(&j, "coherence");
		coherence_json(&j, c);
		json_finish(&j);
		return;
	}
	fprintf(ctl->out, "selftest: %s\n", coherence_text(c, text, sizeof(text)));
	if (!c->coherent)
		fprintf(ctl->out, "selftest: these hosts cannot share a pool on this memory\n");
	else if (c->machines < 2)
		fprintf(ctl->out, "selftest: all on one machine: this says nothing about others\n");
}

int coherence_test(struct ctl *ctl, const char *path, struct daxfs_coherence_options *options)
{
	struct daxfs_error err = { .text = "" };
	struct daxfs_coherence found;
	struct daxfs_identity here;
	struct daxfs *fs;
	int rc = daxfs_open(path, DAXFS_READ_WRITE, &fs, &err);

	if (rc)
		return ctl_fail_error(ctl, rc, &err);
	if (daxfs_identity_here(NULL, NULL, &here, NULL) == 0)
		memcpy(options->machine, here.machine, sizeof(options->machine));
	rc = daxfs_coherence_test(fs, options, &found, &err);
	daxfs_close(fs);
	if (rc)
		return ctl_fail_value(ctl, rc, &err);
	show(ctl, &found);
	return found.coherent ? CTL_OK : CTL_PROBLEMS;
}
