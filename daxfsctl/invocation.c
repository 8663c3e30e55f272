/* SPDX-License-Identifier: Apache-2.0 */
/* invocation.c - what all commands share: how they read their options, and how they end. See ctl.h. */
#include "daxfsctl/ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "daxfsctl/json.h"

/* -- succeeding --------------------------------------------------------------- */

int ctl_host_done(struct ctl *ctl, unsigned host, const char *state, const char *text)
{
	struct json j;

	if (!ctl->json) {
		fprintf(ctl->out, "%s\n", text);
		return CTL_OK;
	}
	json_begin(&j, ctl->out);
	json_add_number(&j, "host", host);
	if (state)
		json_add_text(&j, "state", state);
	else
		json_add_null(&j, "state");
	json_add_text(&j, "text", text);
	json_finish(&j);
	return CTL_OK;
}

/* -- failing ------------------------------------------------------------------ */

int ctl_fail(struct ctl *ctl, int code, const char *format, ...)
{
	char text[512];
	struct json j;
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	fprintf(ctl->err, "daxfsctl: %s\n", text);
	if (ctl->json) {
		json_begin(&j, ctl->out);
		json_open_object(&j, "error");
		json_add_number(&j, "exit", (uint64_t)code);
		json_add_text(&j, "text", text);
		json_finish(&j);
	}
	return code;
}

int ctl_exit_of(int error)
{
	switch (-error) {
	case EAGAIN:
	case EALREADY:
	case EBUSY:
	case EEXIST:
	case EREMOTE:
	case ESTALE: return CTL_REFUSED;
	default: return CTL_ERROR;
	}
}

int ctl_fail_error(struct ctl *ctl, int error, const struct daxfs_error *err)
{
	return ctl_fail(ctl, ctl_exit_of(error), "%s", err->text[0] ? err->text : strerror(-error));
}

int ctl_fail_value(struct ctl *ctl, int error, const struct daxfs_error *err)
{
	if (error != -EINVAL)
		return ctl_fail_error(ctl, error, err);
	return ctl_fail(ctl, CTL_USAGE, "%s", err->text[0] ? err->text : strerror(-error));
}

/* -- parsing ------------------------------------------------------------------ */

#define COMMON 3u
#define TABLE_MAX 24u

int ctl_parse(struct ctl *ctl, int argc, char **argv, const struct arg *table, unsigned n, unsigned least,
	      unsigned most, const char *usage)
{
	struct arg all[TABLE_MAX] = {
		{ "json", ARG_FLAG, &ctl->json, 0 },
		{ "direct", ARG_FLAG, &ctl->direct, 0 },
		{ "socket", ARG_TEXT, &ctl->socket, 0 },
	};
	struct args args = { .table = all, .n = COMMON + n, .words = ctl->words, .words_max = most };
	struct daxfs_error err = { .text = "" };

	if (n > TABLE_MAX - COMMON)
		return ctl_fail(ctl, CTL_USAGE, "too many options");
	for (unsigned i = 0; i < n; i++)
		all[COMMON + i] = table[i];
	for (int i = 0; i < argc; i++) /* known before anything can fail */
		ctl->json |= strcmp(argv[i], "--json") == 0;
	if (args_parse(&args, argc, argv, &err))
		return ctl_fail(ctl, CTL_USAGE, "%s", err.text);
	ctl->n_words = args.n_words;
	if (args.n_words < least)
		return ctl_fail(ctl, CTL_USAGE, "usage: daxfsctl %s", usage);
	if (ctl->direct && ctl->socket)
		return ctl_fail(ctl, CTL_USAGE, "--direct and --socket exclude each other: the first asks no fabricd");
	return CTL_OK;
}
