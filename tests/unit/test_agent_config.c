/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_config.c - options and config file of the node agent.
 */
#include "settings_try.h"

#include <sys/mount.h>

#include "node-agent/config.h"

static void refused(int argc, char **argv, const char *says)
{
	struct config config;
	enum settings_action action;
	struct daxfs_error err = { .text = "" };

	try_refused(config_parse(argc, argv, &config, &action, &err), &err, says);
}

static void test_all_options(void **state)
{
	struct config c;
	enum settings_action action;
	struct daxfs_error err;

	(void)state;
	assert_int_equal(config_parse(TRY("--pool", "/p", "--host", "3", "--mount=/m", "--name", "n", "--threads", "5",
					  "--join-wait", "7", "--attr-timeout", "1.5", "--keep", "attributes",
					  "--options", "noexec,defaults,ro,dev", "--source", "s", "--no-realtime",
					  "--pool-uuid", "6B04c766-0102-0304-0506-0708090a0bFF", "--backing", "a",
					  "--dirty-max-mib", "3", "--backing", "b=/b"),
				      &c, &action, &err),
			 0);
	assert_int_equal(action, SETTINGS_RUN);
	assert_string_equal(c.pool, "/p");
	assert_true(c.pool_uuid.given && c.pool_uuid.bytes[0] == 0x6b && c.pool_uuid.bytes[15] == 0xff);
	assert_int_equal(c.host, 3);
	assert_string_equal(c.mount, "/m");
	assert_string_equal(c.name, "n");
	assert_int_equal(c.threads, 5);
	assert_int_equal(c.join_wait_s, 7);
	assert_true(c.attr_timeout_s > 1.49 && c.attr_timeout_s < 1.51);
	assert_int_equal(c.keeps, KERNEL_KEEPS_ATTRIBUTES);
	assert_true(c.options.flags == (MS_RDONLY | MS_NOSUID));
	assert_string_equal(c.options.source, "s");
	assert_false(c.realtime);
	assert_int_equal(c.dirty_max, 3 << 20);
	assert_int_equal(c.n_backings, 2);
}

static void test_defaults(void **state)
{
	struct config c;
	enum settings_action action;
	struct daxfs_error err;

	(void)state;
	assert_int_equal(config_parse(TRY("--pool", "/p", "--host", "0", "--mount", "/m"), &c, &action, &err), 0);
	assert_string_equal(c.name, "");
	assert_false(c.pool_uuid.given);
	assert_int_equal(c.threads, 0);
	assert_int_equal(c.join_wait_s, 0);
	assert_true(c.attr_timeout_s <= 0);
	assert_true(c.options.flags == (MS_NOSUID | MS_NODEV));
	assert_string_equal(c.options.source, "daxfs");
	assert_true(c.realtime);
}

static void test_questions_need_nothing_else(void **state)
{
	struct config c;
	enum settings_action action;
	struct daxfs_error err;

	(void)state;
	assert_int_equal(config_parse(TRY("--help"), &c, &action, &err), 0);
	assert_int_equal(action, SETTINGS_HELP);
	assert_int_equal(config_parse(TRY("--host", "1", "--version"), &c, &action, &err), 0);
	assert_int_equal(action, SETTINGS_VERSION);
}

static void test_refusals(void **state)
{
	(void)state;
	refused(TRY("--host", "0", "--mount", "/m"), "--pool PATH is missing");
	refused(TRY("--pool", "/p", "--mount", "/m"), "--host ID is missing");
	refused(TRY("--pool", "/p", "--host", "0"), "--mount DIR is missing");
	refused(TRY("--pool", "/p", "--host", "x", "--mount", "/m"), "host: \"x\" is not a number");
	refused(TRY("--pool", "/p", "--host", "-1", "--mount", "/m"), "is not a number");
	refused(TRY("--pool", "/p", "--host", "1x", "--mount", "/m"), "is not a number");
	refused(TRY("--pool", "/p", "--host", "99999999999999999999", "--mount", "/m"), "is not a number");
	refused(TRY("--pool", "/p", "--host", "0", "--mount", "/m", "--threads", "1025"), "from 0 to 1024");
	refused(TRY("--pool", "/p", "--host", "0", "--mount", "/m", "--attr-timeout", "nan"), "seconds");
	refused(TRY("--pool", "/p", "--host", "0", "--mount", "/m", "--keep", "files"),
		"all, names, attributes or nothing");
	refused(TRY("--pool", "/p", "--host", "0", "--mount", "/m", "--attr-timeout", "3601"), "seconds");
	refused(TRY("--pool", "/p", "--host", "0", "--mount", "/m", "--name", "01234567890123456789012345678901"),
		"short enough");
	refused(TRY("--pool", "/p", "--host", "0", "--mount", "/m", "--options", "ro,wo"), "\"wo\" is no mount option");
	refused(TRY("--pool", "/p", "--host", "0", "--mount", "/m", "--backing", "=/x"), "NAME=/PATH");
	refused(TRY("--pool", "/p", "--host", "0", "--mount", "/m", "--backing", "a=x"), "NAME=/PATH");
	refused(TRY("--pool", "/p", "--host", "0", "--mount", "/m", "--backing", "a/b"), "NAME=/PATH");
	refused(TRY("--pool", "/p", "--host", "0", "--mount", "/m", "--bogus"), "--bogus is not an option");
	refused(TRY("--pool", "/p", "--host", "0", "--mount"), "--mount needs a value");
	refused(TRY("--pool", "/p", "--host", "0", "--mount", "/m", "stray"), "what is \"stray\"");
	refused(TRY("--pool", "/p", "--host", "0", "--mount", "/m", "--pool-uuid", "6b04c766"), "is not a UUID");
	refused(TRY("--pool=", "--host", "0", "--mount", "/m"), "a value");
}

static void test_backings(void **state)
{
	struct daxfs_error err;
	struct config c;
	char line[64];

	(void)state;
	config_defaults(&c);
	assert_int_equal(c.n_backings, 0);
	assert_int_equal(config_line(&c, "backing = data", &err), 0);
	assert_int_equal(config_line(&c, "backing = data2=/mnt/with space", &err), 0);
	assert_int_equal(c.n_backings, 2);
	assert_string_equal(c.backing[0].name, "data");
	assert_string_equal(c.backing[0].path, "");
	assert_string_equal(c.backing[1].name, "data2");
	assert_string_equal(c.backing[1].path, "/mnt/with space");
	assert_int_equal(config_line(&c, "backing = data=/other", &err), 0); /* the later one counts */
	assert_int_equal(c.n_backings, 2);
	assert_string_equal(c.backing[0].path, "/other");
	for (unsigned i = 2; i < BACKINGS_MAX; i++) {
		snprintf(line, sizeof(line), "backing = more%u", i);
		assert_int_equal(config_line(&c, line, &err), 0);
	}
	assert_int_equal(config_line(&c, "backing = one-too-many", &err), -EINVAL);
}

static void test_lines(void **state)
{
	struct config c;
	struct daxfs_error err;

	(void)state;
	config_defaults(&c);
	assert_int_equal(config_line(&c, "", &err), 0);
	assert_int_equal(config_line(&c, "  # comment = 1\n", &err), 0);
	assert_int_equal(config_line(&c, "\thost=4 \n", &err), 0);
	assert_int_equal(c.host, 4);
	assert_int_equal(config_line(&c, "mount = /with space\n", &err), 0);
	assert_string_equal(c.mount, "/with space");
	assert_int_equal(config_line(&c, "realtime = no\n", &err), 0);
	assert_false(c.realtime);
	assert_int_equal(config_line(&c, "realtime = maybe\n", &err), -EINVAL);
	assert_int_equal(config_line(&c, "hots = 4\n", &err), -EINVAL);
	assert_int_equal(config_line(&c, "host 4\n", &err), -EINVAL);
	assert_int_equal(config_line(&c, "host =\n", &err), -EINVAL);
}

static void test_file_then_options(void **state)
{
	char path[32];
	struct config c;
	enum settings_action action;
	struct daxfs_error err;

	(void)state;
	try_file(path, "# a host\npool = /file\nhost = 1\nmount = /m\njoin-wait = 9\n");
	assert_int_equal(config_parse(TRY("--host", "2", "--config", path), &c, &action, &err), 0);
	assert_string_equal(c.pool, "/file");
	assert_int_equal(c.host, 2);
	assert_int_equal(c.join_wait_s, 9);
	unlink(path);
}

static void test_bad_file(void **state)
{
	char path[32];
	struct config c;
	enum settings_action action;
	struct daxfs_error err;

	(void)state;
	try_file(path, "pool = /file\n\nhost = many\n");
	assert_int_equal(config_parse(TRY("--config", path), &c, &action, &err), -EINVAL);
	assert_non_null(strstr(err.text, ":3: host: \"many\""));
	unlink(path);
	assert_int_equal(config_parse(TRY("--config", path), &c, &action, &err), -ENOENT);
	assert_non_null(strstr(err.text, path));
}

/* The example that is installed is right: every line, also those left out. */
static void test_example(void **state)
{
	static const char here[] = __FILE__;
	char path[PATH_MAX], line[PATH_MAX];
	struct daxfs_error err;
	struct config c;
	int keys = 0;
	FILE *file;

	(void)state;
	snprintf(path, sizeof(path), "%.*s../../deploy/daxfs-node-agent.conf", (int)(strrchr(here, '/') + 1 - here),
		 here);
	file = fopen(path, "r");
	if (!file)
		fail_msg("%s: %s (tests run in the source tree)", path, strerror(errno));
	config_defaults(&c);
	while (fgets(line, sizeof(line), file)) {
		const char *text = strncmp(line, "# ", 2) == 0 && strchr(line, '=') ? line + 2 : line;

		if (text != line && strcspn(text, " ") + 1 != (size_t)(strchr(text, '=') - text))
			continue; /* prose with an equals sign */
		keys += strchr(text, '=') != NULL && *text != '#';
		if (config_line(&c, text, &err) != 0)
			fail_msg("%s: %s", text, err.text);
	}
	fclose(file);
	assert_int_equal(keys, 14);
	assert_non_null(strstr(c.pool, "/by-uuid/6b04c766-"));
	assert_true(c.pool_uuid.given);
	assert_int_equal(c.host, 0);
	assert_string_equal(c.mount, "/mnt/daxfs");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_options),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_questions_need_nothing_else),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_backings),
		cmocka_unit_test(test_file_then_options),
		cmocka_unit_test(test_bad_file),
		cmocka_unit_test(test_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
