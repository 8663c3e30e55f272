/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_fabricd_options.c - options and the config file, good and bad.
 */
#include "settings_try.h"

#include "fabricd/options.h"
#include "fabricd/timing.h"

static void refused(int argc, char **argv, const char *says)
{
	struct options o;
	enum settings_action action;
	struct daxfs_error err = { "" };

	try_refused(options_parse(argc, argv, &o, &action, &err), &err, says);
}

static void defaults(void **state)
{
	struct options o;
	enum settings_action action;
	struct daxfs_error err;

	(void)state;
	assert_int_equal(options_parse(TRY("--pool", "/dev/shm/p"), &o, &action, &err), 0);
	assert_int_equal(action, SETTINGS_RUN);
	assert_string_equal(o.pool, "/dev/shm/p");
	assert_false(o.pool_uuid.given);
	assert_string_equal(o.socket, "");
	assert_string_equal(o.fence[0].agent, "");
	assert_int_equal(o.fence[0].options, 0);
	assert_int_equal(o.fence_timeout_ms, TIMING_AGENT_MS);
	assert_true(o.realtime);
}

static void everything(void **state)
{
	struct options o;
	enum settings_action action;
	struct daxfs_error err;

	(void)state;
	assert_int_equal(options_parse(TRY("--pool=/p", "--pool-uuid=00010203-0405-0607-0809-0a0b0c0d0e0f", "--socket",
					   "/s", "--fence-agent", "fence_x", "--fence-option", "ip=1", "--fence-option",
					   "a-b=c=d e", "--fence-option", "ip=2", "--fence-timeout-ms", "250",
					   "--no-realtime", "--foreground"),
				       &o, &action, &err),
			 0);
	assert_true(o.pool_uuid.given);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(o.pool_uuid.bytes[i], i);
	assert_string_equal(o.socket, "/s");
	assert_string_equal(o.fence[0].agent, "fence_x");
	assert_int_equal(o.fence[0].options, 2);
	assert_string_equal(o.fence[0].option[0], "ip=2");
	assert_string_equal(o.fence[0].option[1], "a-b=c=d e");
	assert_int_equal(o.fence_timeout_ms, 250);
	assert_false(o.realtime);
}

static void help_and_version_need_no_pool(void **state)
{
	struct options o;
	enum settings_action action;
	struct daxfs_error err;

	(void)state;
	assert_int_equal(options_parse(TRY("--help"), &o, &action, &err), 0);
	assert_int_equal(action, SETTINGS_HELP);
	assert_int_equal(options_parse(TRY("--version"), &o, &action, &err), 0);
	assert_int_equal(action, SETTINGS_VERSION);
	assert_non_null(strstr(options_usage, "--fence-agent"));
}

static void bad_command_lines(void **state)
{

	(void)state;
	refused(TRY(), "--pool");
	refused(TRY("--pool", "/p", "--colour"), "--colour");
	refused(TRY("--pool"), "--pool");
	refused(TRY("--pool", "/p", "more"), "more");
	refused(TRY("--pool", ""), "pool");
	refused(TRY("--pool", "/p", "--pool-uuid", "/dev/dax0.0"), "pool-uuid: \"/dev/dax0.0\" is not a UUID");
	refused(TRY("--pool", "/p", "--fence-option", "action=on"), "action");
	refused(TRY("--pool", "/p", "--fence-option", "plug=me"), "plug");
	refused(TRY("--pool", "/p", "--fence-option", "a=b\nplug=me"), "one line of text");
	refused(TRY("--pool", "/p", "--fence-option", "=b"), "KEY=VALUE");
	refused(TRY("--pool", "/p", "--fence-timeout-ms", "0"), "fence-timeout-ms");
	refused(TRY("--pool", "/p", "--fence-timeout-ms", "10s"), "fence-timeout-ms");
	refused(TRY("--pool", "/p", "--fence-timeout-ms", "-1"), "fence-timeout-ms");
}

static void too_long_is_refused(void **state)
{
	char socket[200] = "/", option[400] = "k=";

	(void)state;
	memset(socket + 1, 's', sizeof(socket) - 2);
	memset(option + 2, 'v', sizeof(option) - 3);
	refused(TRY("--pool", "/p", "--socket", socket), "socket");
	refused(TRY("--pool", "/p", "--fence-option", option), "fence-option");
}

static void too_many_fence_options(void **state)
{
	struct daxfs_error err = { "" };
	struct options o;
	char line[64];

	(void)state;
	options_defaults(&o);
	for (unsigned i = 0; i < FENCE_OPTIONS_MAX; i++) {
		snprintf(line, sizeof(line), "fence-option = k%u=v", i);
		assert_int_equal(options_line(&o, line, &err), 0);
	}
	assert_int_equal(options_line(&o, "fence-option = k3=w", &err), 0); /* replaces */
	assert_int_equal(options_line(&o, "fence-option = more=v", &err), -EINVAL);
	assert_int_equal(o.fence[0].options, FENCE_OPTIONS_MAX);
	assert_string_equal(o.fence[0].option[3], "k3=w");
}

static void options_win_over_the_file(void **state)
{
	char path[32];
	struct options o;
	enum settings_action action;
	struct daxfs_error err;

	(void)state;
	try_file(path, "# comment\n\n  pool = /theirs \nsocket=/run/s\n"
		       "fence-option = ip=1\nfence-option = user=me and you\nrealtime = no\n");
	assert_int_equal(
		options_parse(TRY("--pool", "/mine", "--config", path, "--fence-option", "ip=2"), &o, &action, &err),
		0);
	assert_string_equal(o.pool, "/mine");
	assert_string_equal(o.socket, "/run/s");
	assert_int_equal(o.fence[0].options, 2);
	assert_string_equal(o.fence[0].option[0], "ip=2");
	assert_false(o.realtime);
	unlink(path);
}

static void bad_files_name_the_line(void **state)
{
	char path[32], where[64];
	struct daxfs_error err = { "" };
	struct options o;
	enum settings_action action;

	(void)state;
	try_file(path, "pool = /p\ncolour = red\n");
	snprintf(where, sizeof(where), "%s:2: colour", path);
	refused(TRY("--config", path), where);
	unlink(path);
	try_file(path, "pool\n");
	refused(TRY("--config", path), ":1: \"pool\"");
	unlink(path);
	try_file(path, "pool = /p\nrealtime = maybe\n");
	refused(TRY("--config", path), "realtime");
	unlink(path);
	assert_int_equal(options_parse(TRY("--config", path), &o, &action, &err), -ENOENT);
	assert_non_null(strstr(err.text, path));
}

/* What is installed as an example is accepted as it is. */
static void the_example_is_valid(void **state)
{
	struct options o;
	enum settings_action action;
	struct daxfs_error err = { "" };

	(void)state;
	if (access("deploy/fabricd.conf", R_OK)) {
		print_message("skipped: not run from the top of the tree\n");
		skip();
	}
	assert_int_equal(options_parse(TRY("--config", "deploy/fabricd.conf"), &o, &action, &err), 0);
	assert_string_equal(o.fence[0].agent, ""); /* the operator's choice */
	assert_non_null(strstr(o.pool, "/by-uuid/6b04c766-"));
	assert_true(o.expect_backup);
}

static void levels_and_secrets(void **state)
{
	struct daxfs_error err = { "" };
	struct options o;

	(void)state;
	options_defaults(&o);
	assert_int_equal(options_line(&o, "fence-agent-2 = fence_pdu", &err), 0);
	assert_int_equal(options_line(&o, "fence-option-3 = ip=3", &err), 0);
	assert_int_equal(options_line(&o, "fence-host-2 = host1 plug=7 ip=9", &err), 0);
	assert_int_equal(options_line(&o, "fence-host-2 = host1 plug=8", &err), 0); /* replaces */
	assert_string_equal(o.fence[1].agent, "fence_pdu");
	assert_string_equal(o.fence[2].option[0], "ip=3");
	assert_int_equal(o.fence[1].hosts, 1);
	assert_string_equal(o.fence[1].host[0], "host1 plug=8");
	assert_int_equal(options_line(&o, "fence-host-3 = host1 a=1 p=2", &err), 0); /* not action, not plug */
	assert_int_equal(options_line(&o, "fence-option-3 = p=2", &err), 0);
	assert_int_equal(options_line(&o, "fence-host = host1 plug", &err), -EINVAL);
	assert_int_equal(options_line(&o, "fence-host = host\r1 plug=7", &err), -EINVAL);
	assert_int_equal(options_line(&o, "fence-host = host\v1", &err), -EINVAL);
	assert_int_equal(options_line(&o, "fence-host = host1 action=on", &err), -EINVAL);
	assert_int_equal(options_line(&o, "fence-option = passwd=sesame", &err), -EINVAL);
	assert_non_null(strstr(err.text, "mode 0600"));
	assert_null(strstr(err.text, "sesame"));
	assert_int_equal(options_line(&o, "fence-option = snmp_priv_Passwd=x", &err), -EINVAL);
	assert_int_equal(options_line(&o, "fence-option = passwd_script=/x", &err), 0);
	assert_int_equal(options_line(&o, "fence-secret = passwd=/etc/x", &err), 0);
	assert_int_equal(options_line(&o, "fence-action = cycle", &err), 0);
	assert_int_equal(o.fence_action, FENCE_CYCLE);
	assert_int_equal(options_line(&o, "expect-host = host1", &err), 0);
	assert_int_equal(options_line(&o, "expect-host = host2", &err), 0);
	assert_int_equal(o.n_expected, 2);
	assert_string_equal(o.expected[1], "host2");
	assert_int_equal(options_line(&o, "expect-host = a-name-that-no-host-can-have-for-it-is-long", &err), -EINVAL);
	assert_int_equal(options_line(&o, "fence-action = on", &err), -EINVAL);
	assert_int_equal(options_line(&o, "fence-agent-4 = x", &err), -EINVAL);
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
		cmocka_unit_test(levels_and_secrets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
