/* SPDX-License-Identifier: Apache-2.0 */
/* script.c - see script.h: scripts taken apart, prepared and run. The verbs are in verbs.c. */
#include "script/script.h"

#include <stdlib.h>

long script_call(void *arg)
{
	struct command_call *call = arg;

	call->result[0] = '\0';
	seam_command(); /* each command by a thread of its own */
	script_verbs[call->command->verb].run(call);
	seam_command_done();
	return 0;
}

static _Noreturn void bad(const char *text, const char *what)
{
	fprintf(stderr, "daxfs-sim: script \"%s\": %s\n", text, what);
	exit(2);
}

struct resolve {
	unsigned host;
	const char *path;
	daxfs_ino parent, ino;
	char name[DAXFS_NAME_MAX + 2];
};

/* Walk all but the last component, and the last one too if it is there. */
static long call_resolve(void *arg)
{
	struct resolve *r = arg;
	const char *at = r->path;
	struct daxfs_attr attr = { .ino = DAXFS_ROOT };
	int rc = 0;

	r->parent = r->ino = DAXFS_ROOT;
	if (*at == '$') {
		attr.ino = world.note[at[1] - '0'];
		at += at[2] ? 3 : 2;
	}
	for (r->name[0] = '\0'; *at; at += *at == '/') {
		size_t len = strcspn(at, "/");

		if (rc)
			return rc;
		memcpy(r->name, at, len);
		r->name[len] = '\0';
		r->parent = attr.ino;
		at += len;
		rc = daxfs_lookup(world.fs[r->host], r->parent, r->name, &attr);
	}
	r->ino = attr.ino;
	return rc;
}

static void take_path(struct command *c, const char *token, char kind, unsigned host)
{
	struct resolve r = { .host = host, .path = token };
	long rc = 0;

	if (run_all(host, call_resolve, &r, &rc, NULL) != RUN_RETURNED || (kind == 'i' && rc))
		bad(c->text, token);
	if (kind == 'i') {
		c->ino = r.ino;
		return;
	}
	c->parent[kind == 'P'] = r.parent;
	memcpy(c->name[kind == 'P'], r.name, sizeof(r.name));
}

static void prepare(struct command *c, unsigned host)
{
	char copy[sizeof(c->text)], *save, *token;
	unsigned numbers = 0;

	memcpy(copy, c->text, sizeof(copy));
	strtok_r(copy, " ", &save);
	for (const char *takes = script_verbs[c->verb].takes; *takes; takes++) {
		token = strtok_r(NULL, " ", &save);
		if (!token)
			bad(c->text, "something is missing");
		if (*takes == 'n')
			c->n[numbers++] = strtoull(token, NULL, 0);
		else if (*takes == 'w')
			snprintf(c->word, sizeof(c->word), "%s", token);
		else
			take_path(c, token, *takes, host);
	}
	if (strtok_r(NULL, " ", &save))
		bad(c->text, "too many words");
}

static void parse_command(struct command *c, const char *text, size_t len)
{
	size_t word = strcspn(text, " ;");

	*c = (struct command){ .verb = 0 };
	if (len >= sizeof(c->text))
		bad(text, "too long");
	memcpy(c->text, text, len);
	for (unsigned i = 0; i < script_n_verbs; i++)
		if (strlen(script_verbs[i].name) == word && !memcmp(script_verbs[i].name, text, word)) {
			c->verb = i;
			return;
		}
	bad(text, "no such verb");
}

void script_parse(struct script *script, const char *text)
{
	script->n = 0;
	while (text && *(text += strspn(text, "; "))) {
		size_t len = strcspn(text, ";");

		if (script->n == SCRIPT_MAX)
			bad(text, "too many commands");
		parse_command(&script->command[script->n++], text, len);
		text += len;
	}
}

void script_prepare(struct script *script, unsigned host)
{
	for (unsigned i = 0; i < script->n; i++)
		prepare(&script->command[i], host);
}

/* Host 0 sets up; "1:" before a verb makes it host 1. */
/* A rule that is broken here is a violation, too; what fails otherwise is a mistake in the scenario. */
static void run_setup(struct command_call *call, const char *text)
{
	char err[160] = "";
	enum run_end end = run_all(call->host, script_call, call, NULL, err);

	if (end == RUN_BROKEN) {
		printf("VIOLATION in the setup \"%s\": %s\n", text, err);
		exit(1);
	}
	if (end != RUN_RETURNED || call->result[0] == '-')
		bad(text, call->result);
}

void script_setup(const char *text)
{
	struct script script;

	while (text && *(text += strspn(text, "; "))) {
		struct command_call call = { .host = 0 };
		size_t len = strcspn(text, ";");
		bool other = text[0] >= '0' && text[0] < '0' + (int)HOSTS && text[1] == ':';
		char one[128];

		if (other)
			call.host = (unsigned)(text[0] - '0');
		snprintf(one, sizeof(one), "%.*s", (int)(other ? len - 2 : len), text + (other ? 2 : 0));
		script_parse(&script, one);
		script_prepare(&script, call.host);
		call.command = &script.command[0];
		run_setup(&call, one);
		text += len;
	}
	memory_quiesce();
}
