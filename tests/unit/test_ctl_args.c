/* SPDX-License-Identifier: Apache-2.0 */
/* test_ctl_args.c - daxfsctl's command lines, JSON and texts (args.c, json.c, text.c, ctl.c). */
#include "ctl_run.h"
#include "daxfsctl/json.h"
#include "common/pool_uuid.h"
#include "daxfsctl/text.h"

/* -- numbers ------------------------------------------------------------------ */

static void sizes(void **unused)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "0", 0 },
		{ "4096", 4096 },
		{ "1K", 1024 },
		{ "64m", 64u << 20 },
		{ "2G", 2ull << 30 },
		{ "1.5G", 3ull << 29 },
		{ "4TiB", 4ull << 40 },
		{ "7B", 7 },
		{ "3MB", 3u << 20 },
		{ "18446744073709551615", UINT64_MAX },
		{ "0.1K", 102 },
	};
	static const char *const bad[] = {
		"",      "G",   "-1",  "+1",   " 1",        "1 G", "1X",
		"1GG",   "1.G", "1.5", "0x10", "16777216T", "1e3", "18446744073709551616",
		"1.55G",
	};
	uint64_t n;

	(void)unused;
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (args_size(good[i].text, &n) || n != good[i].bytes)
			fail_msg("%s is not %llu", good[i].text, (unsigned long long)n);
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (args_size(bad[i], &n) == 0)
			fail_msg("\"%s\" was taken for %llu", bad[i], (unsigned long long)n);
}

/* -- options ------------------------------------------------------------------ */

struct parsed {
	bool flag;
	const char *text;
	struct arg_number number, size;
	const char *words[2];
	struct args args;
	struct daxfs_error err;
};

static int parse(struct parsed *p, int argc, const char *const *argv)
{
	const struct arg table[] = {
		{ "flag", ARG_FLAG, &p->flag, 0 },
		{ "text", ARG_TEXT, &p->text, 0 },
		{ "number", ARG_NUMBER, &p->number, 100 },
		{ "size", ARG_SIZE, &p->size, 0 },
	};
	char *copy[16], buf[16][64];

	memset(p, 0, sizeof(*p));
	p->args = (struct args){ .table = table, .n = 4, .words = p->words, .words_max = 2 };
	for (int i = 0; i < argc; i++) {
		snprintf(buf[i], sizeof(buf[i]), "%s", argv[i]);
		copy[i] = buf[i];
	}
	return args_parse(&p->args, argc, copy, &p->err);
}

#define PARSE(p, ...)                                                                                                  \
	parse(p, (int)(sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *)), (const char *[]){ __VA_ARGS__ })

static void options(void **unused)
{
	struct parsed p;

	(void)unused;
	assert_int_equal(PARSE(&p, "a", "--flag", "--number", "7", "b"), 0);
	assert_true(p.flag && p.number.given && p.number.value == 7 && p.args.n_words == 2);
	assert_int_equal(PARSE(&p, "--text=x=y", "--size=1K"), 0);
	assert_true(p.size.value == 1024 && !p.number.given);
	assert_int_equal(PARSE(&p, "--", "--flag"), 0);
	assert_true(!p.flag && p.args.n_words == 1);
	assert_int_equal(PARSE(&p, "-"), 0);
	assert_int_equal(p.args.n_words, 1);
}

static void wrong_options(void **unused)
{
	static const struct {
		const char *argv[3];
		int argc;
		const char *err;
	} cases[] = {
		{ { "--nonsense" }, 1, "--nonsense: no such option" },
		{ { "--fla" }, 1, "--fla: no such option" },
		{ { "--flag=1" }, 1, "takes no value" },
		{ { "--number" }, 1, "needs a value" },
		{ { "--number", "x" }, 2, "whole number" },
		{ { "--number", "101" }, 2, "at most 100" },
		{ { "--number=-1" }, 1, "whole number" },
		{ { "--text=" }, 1, "empty" },
		{ { "--size", "1Q" }, 2, "K, M, G or T" },
		{ { "-f" }, 1, "two dashes" },
		{ { "a", "b", "c" }, 3, "c: one word too many" },
	};
	struct parsed p;

	(void)unused;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int rc = parse(&p, cases[i].argc, cases[i].argv);

		if (rc == 0 || !strstr(p.err.text, cases[i].err))
			fail_msg("%s: %d \"%s\", not \"%s\"", cases[i].argv[0], rc, p.err.text, cases[i].err);
	}
}

/* -- JSON --------------------------------------------------------------------- */

static void json_escapes(void **unused)
{
	static const struct {
		const char *text, *json;
	} cases[] = {
		{ "plain", "\"plain\"" },
		{ "a\"b\\c", "\"a\\\"b\\\\c\"" },
		{ "\n\t\x01\x7f", "\"\\n\\t\\u0001\x7f\"" },
		{ "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"" },
		{ "\xff", "\"\xef\xbf\xbd\"" },
		{ "\xc3", "\"\xef\xbf\xbd\"" },
		{ "\xc0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
	};
	struct json j;

	(void)unused;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = NULL;
		size_t size;
		FILE *out = open_memstream(&text, &size);

		json_begin(&j, out);
		json_add_text(&j, "k", cases[i].text);
		json_finish(&j);
		fclose(out);
		if (!json_parses(text) || !strstr(text, cases[i].json))
			fail_msg("case %u: %s", i, text);
		free(text);
	}
}

static void json_nests(void **unused)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	struct json j;

	(void)unused;
	json_begin(&j, out);
	json_open_array(&j, "empty");
	json_close(&j);
	json_open_array(&j, "list");
	json_add_number(&j, NULL, UINT64_MAX);
	json_open_object(&j, NULL);
	json_add_bool(&j, "yes", true);
	json_add_null(&j, "nothing");
	json_add_real(&j, "half", 0.5);
	json_finish(&j);
	fclose(out);
	if (!json_parses(text))
		fail_msg("%s", text);
	assert_non_null(strstr(text, "\"empty\": ["));
	assert_non_null(strstr(text, "18446744073709551615"));
	assert_non_null(strstr(text, "\"half\": 0.500"));
	free(text);
}

/* -- texts -------------------------------------------------------------------- */

static void texts(void **unused)
{
	struct daxfs_recovery r = { .finished = 2, .rolled_back = 1, .objects = 112, .opens = 3, .ns = 812345 };
	uint8_t uuid[16] = { 0x6b, 0x04, 0xc7, 0x66, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0xff };
	char buf[128];

	(void)unused;
	assert_string_equal(text_recovery(&r, buf, sizeof(buf)),
			    "0.8 ms: 2 records finished, 1 rolled back, 112 objects, 3 pins");
	r = (struct daxfs_recovery){ .finished = 1, .objects = 1, .opens = 1, .files = 1, .ns = 8000 };
	assert_string_equal(text_recovery(&r, buf, sizeof(buf)),
			    "0.01 ms: 1 record finished, 0 rolled back, 1 object, 1 pin, 1 file");
	assert_string_equal(pool_uuid_text(uuid, buf, sizeof(buf)), "6b04c766-0102-0304-0506-0708090a0bff");
	assert_string_equal(text_bytes(0, buf, sizeof(buf)), "0 B");
	assert_string_equal(text_bytes(2ull << 30, buf, sizeof(buf)), "2.0 GiB");
	assert_string_equal(text_bytes(UINT64_MAX, buf, sizeof(buf)), "16.0 EiB");
	assert_int_equal(text_percent(0, 10), 0);
	assert_int_equal(text_percent(1, 1000000), 1);
	assert_int_equal(text_percent(10, 10), 100);
	assert_int_equal(text_percent(5, 0), 0);
}

/* -- whole command lines -------------------------------------------------------- */

static void usage_errors(void **unused)
{
	static const struct {
		const char *line, *words;
	} cases[] = {
		{ "", "no command given" },
		{ "nonsense", "nonsense: no such command" },
		{ "--json", "no command given" },
		{ "mkfs", "usage: daxfsctl mkfs" },
		{ "mkfs /dev/shm/x --size", "--size needs a value" },
		{ "mkfs /dev/shm/x --size 1Z", "K, M, G or T" },
		{ "mkfs /dev/shm/x --hosts 0 --size 1G", "0 is no number" },
		{ "mkfs /dev/shm/x --domain none", "gpf" },
		{ "check", "usage: daxfsctl check" },
		{ "check a b", "b: one word too many" },
		{ "dump pool", "usage: daxfsctl dump" },
		{ "status --direct", "--direct needs the POOL" },
		{ "recover --json", "which host?" },
		{ "recover pool --host 1", "fabricd knows its pool: leave pool out, or give --direct" },
		{ "recover --host 64", "at most 63" },
		{ "recover --host 1 --direct", "--direct needs the POOL" },
		{ "recover --host 1 --dry-run", "give POOL" },
		{ "recover --host 1 --as 2", "--as is for --direct" },
		{ "fence p --host 1 --direct", "confirm-dead POOL --direct --host N" },
		{ "fence p --host 1", "p: no host, and fabricd knows its POOL" },
		{ "fence-test p 1", "p: no host, and fabricd knows its POOL" },
		{ "fence-test 1 --direct", "only fabricd" },
		{ "remove 1 --direct", "recover POOL --direct --host N" },
		{ "remove p 1", "p: no host, and fabricd knows its POOL" },
		{ "confirm-dead pool 1", "fabricd knows its pool: leave pool out, or give --direct" },
		{ "nonsense --help", "no such command" },
		{ "help nonsense", "no such command" },
		{ "status x --direct --socket y", "exclude each other" },
		{ "selftest x --processes 0", "nothing to do" },
		{ "heartbeat x --ms 0", "give 5 to 10000" },
		{ "heartbeat x --ms 5 --profile rt", "give that or --ms" },
		{ "heartbeat x --profile fast", "give default or rt" },
		{ "mkfs x --size 16M --profile fast", "give default or rt" },
		{ "mkfs x --size 16M --profile rt --heartbeat-ms 7", "give that or --heartbeat-ms" },
		{ "confirm-dead 1 2 3", "one word too many" },
		{ "version x", "one word too many" },
	};
	struct ctl_run r = { 0 };

	(void)unused;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ctl_run(&r, "%s", cases[i].line);
		ctl_expect(&r, CTL_USAGE, cases[i].words);
		if (strstr(cases[i].line, " --json"))
			ctl_expect_json(&r, "\"exit\": 16");
	}
	ctl_run_end(&r);
}

static void help_and_version(void **unused)
{
	struct ctl_run r = { 0 };
	char version[64];

	(void)unused;
	ctl_run(&r, "help");
	ctl_expect(&r, CTL_OK, "confirm-dead");
	ctl_run(&r, "mkfs --help");
	ctl_expect(&r, CTL_OK, "[--json] mkfs ...\n\n  mkfs PATH --size SIZE");
	assert_null(strstr(r.out, "confirm-dead POOL"));
	ctl_run(&r, "--json help repair");
	ctl_expect(&r, CTL_OK, "  repair POOL --item INODE ");
	assert_null(strstr(r.out, "mkfs"));
	snprintf(version, sizeof(version), "daxfsctl %s\n", daxfs_version());
	ctl_run(&r, "version");
	ctl_expect(&r, CTL_OK, version);
	ctl_run(&r, "--version");
	ctl_expect(&r, CTL_OK, version);
	ctl_run(&r, "--json version");
	ctl_expect(&r, CTL_OK, daxfs_version());
	ctl_expect_json(&r, "\"version\"");
	ctl_run_end(&r);
}

static void no_pool(void **unused)
{
	struct ctl_run r = { 0 };

	(void)unused;
	ctl_run(&r, "status /dev/shm/no/such/pool");
	ctl_expect(&r, CTL_ERROR, "/dev/shm/no/such/pool");
	ctl_run(&r, "--json check /dev/null");
	ctl_expect(&r, CTL_ERROR, "/dev/null");
	ctl_expect_json(&r, "\"exit\": 8");
	ctl_run(&r, "--socket /dev/shm/no.sock status");
	ctl_expect(&r, CTL_ERROR, "no fabricd at /dev/shm/no.sock");
	ctl_run(&r, "fence --host 1 --socket /dev/shm/no.sock --wait 1");
	ctl_expect(&r, CTL_ERROR, "no fabricd at /dev/shm/no.sock");
	ctl_run_end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),        cmocka_unit_test(options),          cmocka_unit_test(wrong_options),
		cmocka_unit_test(json_escapes), cmocka_unit_test(json_nests),       cmocka_unit_test(texts),
		cmocka_unit_test(usage_errors), cmocka_unit_test(help_and_version), cmocka_unit_test(no_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
