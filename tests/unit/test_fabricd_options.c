/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_fabricd_options.c - options and the config file, good and bad.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fabricd/options.h"
#include "fabricd/timing.h"

#define ARGS_MAX 40

static int parse(const char *const *args, struct options *o, enum options_action *action, struct daxfs_why *why)
{
	char *argv[ARGS_MAX + 1] = { NULL };
	int argc = 0, rc;

	argv[argc++] = strdup("fabricd");
	while (args[argc - 1] && argc < ARGS_MAX) {
		argv[argc] = strdup(args[argc - 1]);
		argc++;
	}
	rc = options_parse(argc, argv, o, action, why);
	for (int i = 0; i < argc; i++)
		free(argv[i]);
	return rc;
}

static void refused(const char *const *args, const char *says)
{
	struct options o;
	enum options_action action;
	struct daxfs_why why = { "" };

	assert_int_equal(parse(args, &o, &action, &why), -EINVAL);
	if (!strstr(why.text, says))
		print_error("\"%s\" does not say \"%s\"\n", why.text, says);
	assert_non_null(strstr(why.text, says));
	assert_null(strchr(why.text, '\n'));
}

static void defaults(void **state)
{
	static const char *const args[] = { "--pool", "/dev/shm/p", NULL };
	struct options o;
	enum options_action action;
	struct daxfs_why why;

	(void)state;
	assert_int_equal(parse(args, &o, &action, &why), 0);
	assert_int_equal(action, OPTIONS_RUN);
	assert_string_equal(o.pool, "/dev/shm/p");
	assert_string_equal(o.socket, "");
	assert_string_equal(o.fence_agent, "");
	assert_int_equal(o.fence_options, 0);
	assert_int_equal(o.fence_timeout_ms, TIMING_AGENT_MS);
	assert_true(o.realtime);
}

static void everything(void **state)
{
	static const char *const args[] = { "--pool=/p", "--socket", "/s", "--fence-agent", "fence_x", "--fence-option",
					    "ip=1", "--fence-option", "a-b=c=d e", "--fence-option", "ip=2",
					    "--fence-timeout-ms", "250", "--no-realtime", "--foreground", NULL };
	struct options o;
	enum options_action action;
	struct daxfs_why why;

	(void)state;
	assert_int_equal(parse(args, &o, &action, &why), 0);
	assert_string_equal(o.socket, "/s");
	assert_string_equal(o.fence_agent, "fence_x");
	assert_int_equal(o.fence_options, 2);
	assert_string_equal(o.fence_option[0], "ip=2");
	assert_string_equal(o.fence_option[1], "a-b=c=d e");
	assert_int_equal(o.fence_timeout_ms, 250);
	assert_false(o.realtime);
}

static void help_and_version_need_no_pool(void **state)
{
	static const char *const help[] = { "--help", NULL }, *const version[] = { "--version", NULL };
	struct options o;
	enum options_action action;
	struct daxfs_why why;

	(void)state;
	assert_int_equal(parse(help, &o, &action, &why), 0);
	assert_int_equal(action, OPTIONS_HELP);
	assert_int_equal(parse(version, &o, &action, &why), 0);
	assert_int_equal(action, OPTIONS_VERSION);
	assert_non_null(strstr(options_usage, "--fence-agent"));
}

static void bad_command_lines(void **state)
{
	static const char *const none[] = { NULL };
	static const char *const unknown[] = { "--pool", "/p", "--colour", NULL };
	static const char *const missing[] = { "--pool", NULL };
	static const char *const stray[] = { "--pool", "/p", "more", NULL };
	static const char *const empty[] = { "--pool", "", NULL };
	static const char *const action[] = { "--pool", "/p", "--fence-option", "action=on", NULL };
	static const char *const plug[] = { "--pool", "/p", "--fence-option", "plug=me", NULL };
	static const char *const lines[] = { "--pool", "/p", "--fence-option", "a=b\nplug=me", NULL };
	static const char *const no_key[] = { "--pool", "/p", "--fence-option", "=b", NULL };
	static const char *const zero[] = { "--pool", "/p", "--fence-timeout-ms", "0", NULL };
	static const char *const unit[] = { "--pool", "/p", "--fence-timeout-ms", "10s", NULL };
	static const char *const minus[] = { "--pool", "/p", "--fence-timeout-ms", "-1", NULL };

	(void)state;
	refused(none, "--pool");
	refused(unknown, "--colour");
	refused(missing, "--pool");
	refused(stray, "more");
	refused(empty, "pool");
	refused(action, "action");
	refused(plug, "plug");
	refused(lines, "KEY=VALUE");
	refused(no_key, "KEY=VALUE");
	refused(zero, "fence-timeout-ms");
	refused(unit, "fence-timeout-ms");
	refused(minus, "fence-timeout-ms");
}

static void too_long_is_refused(void **state)
{
	char socket[200] = "/", option[400] = "k=";
	const char *const a[] = { "--pool", "/p", "--socket", socket, NULL };
	const char *const b[] = { "--pool", "/p", "--fence-option", option, NULL };

	(void)state;
	memset(socket + 1, 's', sizeof(socket) - 2);
	memset(option + 2, 'v', sizeof(option) - 3);
	refused(a, "socket");
	refused(b, "fence-option");
}

static void too_many_fence_options(void **state)
{
	struct daxfs_why why = { "" };
	struct options o;
	char line[64];

	(void)state;
	options_defaults(&o);
	for (unsigned i = 0; i < OPTIONS_FENCE_MAX; i++) {
		snprintf(line, sizeof(line), "fence-option = k%u=v", i);
		assert_int_equal(options_line(&o, line, &why), 0);
	}
	assert_int_equal(options_line(&o, "fence-option = k3=w", &why), 0); /* replaces */
	assert_int_equal(options_line(&o, "fence-option = more=v", &why), -EINVAL);
	assert_int_equal(o.fence_options, OPTIONS_FENCE_MAX);
	assert_string_equal(o.fence_option[3], "k3=w");
}

static void write_file(char *path, const char *text)
{
	int fd;

	strcpy(path, "/tmp/daxfs-test-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void options_win_over_the_file(void **state)
{
	char path[32];
	const char *const args[] = { "--pool", "/mine", "--config", path, "--fence-option", "ip=2", NULL };
	struct options o;
	enum options_action action;
	struct daxfs_why why;

	(void)state;
	write_file(path, "# comment\n\n  pool = /theirs \nsocket=/run/s\n"
			 "fence-option = ip=1\nfence-option = user=me and you\nrealtime = no\n");
	assert_int_equal(parse(args, &o, &action, &why), 0);
	assert_string_equal(o.pool, "/mine");
	assert_string_equal(o.socket, "/run/s");
	assert_int_equal(o.fence_options, 2);
	assert_string_equal(o.fence_option[0], "ip=2");
	assert_false(o.realtime);
	unlink(path);
}

static void bad_files_name_the_line(void **state)
{
	char path[32], where[64];
	const char *const args[] = { "--config", path, NULL };
	struct daxfs_why why = { "" };
	struct options o;
	enum options_action action;

	(void)state;
	write_file(path, "pool = /p\ncolour = red\n");
	snprintf(where, sizeof(where), "%s:2: colour", path);
	refused(args, where);
	unlink(path);
	write_file(path, "pool\n");
	refused(args, ":1: \"pool\"");
	unlink(path);
	write_file(path, "pool = /p\nrealtime = maybe\n");
	refused(args, "realtime");
	unlink(path);
	assert_int_equal(parse(args, &o, &action, &why), -ENOENT);
	assert_non_null(strstr(why.text, path));
}

/* What is installed as an example is accepted as it is. */
static void the_example_is_valid(void **state)
{
	static const char *const args[] = { "--config", "deploy/fabricd.conf", NULL };
	struct options o;
	enum options_action action;
	struct daxfs_why why = { "" };

	(void)state;
	if (access("deploy/fabricd.conf", R_OK)) {
		print_message("skipped: not run from the top of the tree\n");
		skip();
	}
	assert_int_equal(parse(args, &o, &action, &why), 0);
	assert_string_equal(o.fence_agent, "fence_daxfs_dev");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(everything),
		cmocka_unit_test(help_and_version_need_no_pool),
		cmocka_unit_test(bad_command_lines),
		cmocka_unit_test(too_long_is_refused),
		cmocka_unit_test(too_many_fence_options),
		cmocka_unit_test(options_win_over_the_file),
		cmocka_unit_test(bad_files_name_the_line),
		cmocka_unit_test(the_example_is_valid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
