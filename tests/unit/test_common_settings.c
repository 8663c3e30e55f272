/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_common_settings.c - command lines and config files of a made-up program.
 */
#include "settings_try.h"

#include <limits.h>

struct made {
	char text[8];
	unsigned number;
	bool loud;
	unsigned calls;
};

static int set_text(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct made *m = target;

	m->calls++;
	return settings_text(key, value, m->text, sizeof(m->text), err);
}

static int set_number(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct made *m = target;

	m->calls++;
	return settings_number(key, value, 3, UINT_MAX, &m->number, err);
}

static int set_loud(void *target, const char *key, const char *value, struct daxfs_error *err)
{
	struct made *m = target;

	m->calls++;
	return settings_yes_no(key, value, &m->loud, err);
}

static const struct setting table[] = {
	{ "text", set_text, SETTING_VALUE },  { "text-number", set_number, SETTING_VALUE }, /* begins like another */
	{ "loud", set_loud, SETTING_YES_NO }, { "always", NULL, SETTING_IGNORED },
	{ NULL, NULL, SETTING_VALUE },
};

static struct made made_of(int argc, char **argv)
{
	struct made m = { .loud = true };
	enum settings_action action = SETTINGS_HELP;
	struct daxfs_error err = { "" };

	if (settings_parse(table, argc, argv, &m, &action, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(action, SETTINGS_RUN);
	return m;
}

static void refused(int argc, char **argv, const char *says)
{
	struct made m;
	enum settings_action action = SETTINGS_RUN;
	struct daxfs_error err = { "" };

	try_refused(settings_parse(table, argc, argv, &m, &action, &err), &err, says);
}

static void each_form(void **state)
{
	struct made m = made_of(TRY("--text", "a", "--text-number=7", "--no-loud", "--always"));

	(void)state;
	assert_string_equal(m.text, "a");
	assert_int_equal(m.number, 7);
	assert_false(m.loud);
	assert_int_equal(m.calls, 3);
	m = made_of(TRY("--text=a=b", "--text", "--loud"));
	assert_string_equal(m.text, "--loud"); /* a value, whatever it looks like; the last one counts */
	assert_true(m.loud);
	assert_int_equal(made_of(TRY()).calls, 0);
	assert_int_equal(made_of(TRY("--text-number", "4294967295")).number, UINT_MAX);
}

static void refusals(void **state)
{
	(void)state;
	refused(TRY("--tex", "a"), "--tex is not an option; see --help");
	refused(TRY("--texts", "a"), "--texts is not an option");
	refused(TRY("--loud"), "--loud is not an option");
	refused(TRY("--no-text"), "--no-text is not an option");
	refused(TRY("--"), "-- is not an option");
	refused(TRY("--a\nb"), "--a is not an option");
	refused(TRY("--text"), "--text needs a value");
	refused(TRY("--text", "a", "--config"), "--config needs a value");
	refused(TRY("--no-loud=yes"), "it takes no value");
	refused(TRY("--always=1"), "it takes no value");
	refused(TRY("--help=me"), "it takes no value");
	refused(TRY("stray"), "what is \"stray\"?");
	refused(TRY(""), "what is \"\"?");
	refused(TRY("-t"), "what is \"-t\"?");
	refused(TRY("--text", ""), "text: \"\" is not a value");
	refused(TRY("--text", "12345678"), "text: \"12345678\" is not short enough");
	refused(TRY("--text", "1\n2345678"), "text: \"1\" is not short enough");
	refused(TRY("--text", "1\r23"), "text: \"1\" is not one line of text");
	refused(TRY("--text", "1\03323"), "text: \"1\" is not one line of text");
	refused(TRY("--text-number", "2"), "text-number: \"2\" is not a number from 3 to 4294967295");
	refused(TRY("--text-number", "4294967296"), "is not a number");
	refused(TRY("--text-number", "99999999999999999999"), "is not a number");
	refused(TRY("--text-number", " 4"), "is not a number");
	refused(TRY("--text-number", "4 "), "is not a number");
}

static void questions_change_nothing(void **state)
{
	struct made m = { .calls = 0 };
	enum settings_action action;
	struct daxfs_error err = { "" };

	(void)state;
	assert_int_equal(
		settings_parse(table, TRY("--text", "toolong!!", "--help", "--config", "/nowhere"), &m, &action, &err),
		0);
	assert_int_equal(action, SETTINGS_HELP);
	assert_int_equal(settings_parse(table, TRY("--version"), &m, &action, &err), 0);
	assert_int_equal(action, SETTINGS_VERSION);
	assert_int_equal(m.calls, 0);
	refused(TRY("--help", "--colour"), "--colour is not an option");
}

static void lines(void **state)
{
	static const char *const bad[] = { "loud = maybe", "no-loud = yes",  "always = yes", "config = /f",
					   "help = yes",   "tex = a",        "text",         "text =",
					   "= a",          "text-number = 2" };
	struct made m = { .calls = 0 };
	struct daxfs_error err = { "" };
	char text[2 * PATH_MAX];

	(void)state;
	assert_int_equal(settings_line(table, "", &m, &err), 0);
	assert_int_equal(settings_line(table, " \t\n", &m, &err), 0);
	assert_int_equal(settings_line(table, "  # text = x\n", &m, &err), 0);
	assert_int_equal(m.calls, 0);
	assert_int_equal(settings_line(table, "\ttext=a = b \r\n", &m, &err), 0);
	assert_string_equal(m.text, "a = b");
	assert_int_equal(settings_line(table, "loud = yes", &m, &err), 0);
	assert_true(m.loud);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(settings_line(table, bad[i], &m, &err), -EINVAL);
	assert_string_equal(m.text, "a = b");
	memset(text, ' ', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	try_refused(settings_line(table, text, &m, &err), &err, "too long");
}

static void options_win_over_the_file(void **state)
{
	char path[32];
	struct made m;

	(void)state;
	try_file(path, "# all of it\ntext = file\ntext-number = 4\nloud = no");
	m = made_of(TRY("--text", "mine", "--config", path));
	assert_string_equal(m.text, "mine");
	assert_int_equal(m.number, 4);
	assert_false(m.loud);
	unlink(path);
}

/* A line that does not fit is not taken for two: its second part would be a setting. */
static void long_lines_of_a_file(void **state)
{
	char path[32], *text = calloc(1, PATH_MAX + 256);

	(void)state;
	assert_non_null(text);
	strcpy(text, "loud = no\n# ");
	memset(text + strlen(text), ' ', PATH_MAX + 63 - 2);
	strcat(text, "text = x\n");
	try_file(path, text);
	refused(TRY("--config", path), ":2: line is too long");
	unlink(path);
	free(text);
}

static void files_that_cannot_be_read(void **state)
{
	char path[32];
	struct made m;
	enum settings_action action;
	struct daxfs_error err = { "" };

	(void)state;
	try_file(path, "loud = no\n\ncolour = red\n");
	refused(TRY("--config", path), ":3: colour: no such setting");
	unlink(path);
	assert_int_equal(settings_parse(table, TRY("--config", path), &m, &action, &err), -ENOENT);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(settings_parse(table, TRY("--config", "/tmp"), &m, &action, &err), -EIO);
	assert_non_null(strstr(err.text, "/tmp: cannot be read"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_form),
		cmocka_unit_test(refusals),
		cmocka_unit_test(questions_change_nothing),
		cmocka_unit_test(lines),
		cmocka_unit_test(options_win_over_the_file),
		cmocka_unit_test(long_lines_of_a_file),
		cmocka_unit_test(files_that_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
