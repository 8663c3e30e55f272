/* SPDX-License-Identifier: Apache-2.0 */
/* test_ctl_status.c - how daxfsctl shows a pod (show.c, health.c), from made-up snapshots. */
#include <errno.h>

#include "ctl_run.h"
#include "daxfsctl/health.h"
#include "daxfsctl/show.h"

#define PAGES_2G 524288u

/* Two hosts, the second being recovered. */
/* clang-format off */
static void example(struct snapshot *s)
{
	memset(s, 0, sizeof(*s));
	s->geometry = (struct daxfs_geometry){ .name = "demo", .uuid = { 0x6b, 4, 0xc7, 0x66 }, .version = 1,
					      .hosts = 4 };
	strcpy(s->path, "/dev/shm/demo");
	s->manager = (struct daxfs_manager_view){ .epoch = 7, .pid = 811, .reclaim_epoch = 42 };
	s->fabricd = FABRICD_PRIMARY;
	s->answered_by = 811;
	s->deciding = true;
	strcpy(s->fence_agent, "fence_daxfs_dev");
	s->n_hosts = 4;
	for (unsigned i = 0; i < 4; i++)
		s->host[i] = (struct snapshot_host){ .readable = true, .view = { .id = i, .recoverer = -1 } };
	s->host[0].view = (struct daxfs_host_view){ .id = 0, .generation = 1, .state = DAXFS_HOST_ALIVE,
		.recoverer = -1, .lanes = 5, .owned = 96, .reason = DAXFS_REASON_JOINED, .name = "host0" };
	s->host[1].view = (struct daxfs_host_view){ .id = 1, .generation = 2, .state = DAXFS_HOST_RECOVERING,
		.recoverer = 0, .lanes = 5, .records = 2, .owned = 112, .pins = 3, .reason = DAXFS_REASON_BEAT_LOST,
		.reason_ms = 512, .fence_ms = 18, .name = "host1" };
	s->host[0].beat = s->host[1].beat = BEAT_SINCE;
	s->host[0].beat_ms = 4;
	s->host[1].beat_ms = 611;
	s->have_usage = true;
	s->usage.pages = (struct daxfs_usage){ .total = PAGES_2G, .live = 314780, .free = 209508 };
	s->usage.inodes = (struct daxfs_usage){ .total = 1000, .live = 30, .free = 970 };
	s->usage.dirents = (struct daxfs_usage){ .total = 1000, .live = 240, .free = 760 };
	s->last = (struct daxfs_recovery){ .host = 1, .finished = 2, .rolled_back = 1, .objects = 112, .opens = 3,
		.ns = 812000 };
}
/* clang-format on */

static char *shown(const struct snapshot *s, void (*show)(FILE *out, const struct snapshot *s))
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	show(out, s);
	fclose(out);
	ctl_keep_json(text);
	return text;
}

static void status_reads_like_this(void **unused)
{
	struct snapshot *s = malloc(sizeof(*s));
	char *text;

	(void)unused;
	example(s);
	text = shown(s, show_status);
	/* clang-format off */
	assert_string_equal(text,
"pool demo 6b04c766  format 1  gpf  epoch 42   fabricd pid 811 (primary)   DEGRADED: 1 host recovering\n"
"ID HOST   STATE       GEN  BEAT    LANES  RECORDS  OWNED  PINS  REASON\n"
" 0 host0  ALIVE         1  4 ms        5        0     96     0  -\n"
" 1 host1  RECOVERING    2  611 ms      5        2    112     3  heartbeat lost 512 ms; "
"fenced by fence_daxfs_dev 18 ms\n"
"pages 61% (1.2/2.0 GiB)  inodes 3%  dirents 24%  slots 1 of 3 free   last recovery 0.8 ms: 2 records finished, "
"1 rolled back, 112 objects, 3 pins\n");
	/* clang-format on */
	free(text);
	free(s);
}

/* What fabricd and the asker found wrong, since when; who runs where. */
static void conditions_are_told(void **unused)
{
	struct snapshot *s = malloc(sizeof(*s));
	char *text;

	(void)unused;
	example(s);
	s->manager.machine[0] = s->host[0].view.who.machine[0] = 7;
	s->manager.standby_machine[0] = s->host[1].view.who.machine[0] = 8;
	s->host[1].view.state = DAXFS_HOST_SUSPECT;
	s->backup_seen = true;
	s->late_polls = 3;
	s->polls = 1000;
	condition_add(s, "host-absent", -1, 1796000000123456789, "expected host %s is absent", "gamma");
	condition_add(s, "host-suspect", 1, 0, "host 1 (host1) is SUSPECT: heartbeat late 250 ms");
	text = shown(s, show_status);
	assert_non_null(strstr(text, "fabricd pid 811 (primary on host 0 host0, backup on host 1 host1)   "
				     "DEGRADED: 1 host suspect, 1 expected host absent\n"));
	assert_non_null(strstr(text, "degraded: expected host gamma is absent, since 2026-11-30T00:53:20.123456Z\n"
				     "degraded: host 1 (host1) is SUSPECT: heartbeat late 250 ms\n"
				     "fabricd polled late 3 times of 1000\n"));
	free(text);
	s->host[1].view.who.machine[0] = 7; /* a second host, or a daxfsctl, on the machine of the first */
	text = shown(s, show_status);
	assert_non_null(strstr(text, "fabricd pid 811 (primary on the machine of hosts 0, 1, backup) "));
	free(text);
	text = shown(s, show_json);
	assert_non_null(strstr(text, "\"code\": \"host-absent\""));
	assert_non_null(strstr(text, "\"primary\"\n"));
	free(text);
	text = shown(s, show_json_line);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	free(text);
	free(s);
}

/* Columns stay columns with long names and long silences. */
static void columns_align(void **unused)
{
	struct snapshot *s = malloc(sizeof(*s));
	char *text, *line[4], *save = NULL;

	(void)unused;
	example(s);
	strcpy(s->host[0].view.name, "a-host-with-a-rather-long-name");
	s->host[1].beat_ms = 123456789;
	text = shown(s, show_status);
	line[0] = strtok_r(text, "\n", &save);
	for (unsigned i = 1; i < 4; i++)
		line[i] = strtok_r(NULL, "\n", &save);
	assert_ptr_equal(strstr(line[1], "STATE") - line[1], strstr(line[2], "ALIVE") - line[2]);
	assert_int_equal(strstr(line[1], "STATE") - line[1], strstr(line[3], "RECOVERING") - line[3]);
	assert_int_equal(strstr(line[1], "BEAT") - line[1], strstr(line[3], "123456 s") - line[3]);
	assert_int_equal(strstr(line[1], "REASON") - line[1], strstr(line[3], "heartbeat") - line[3]);
	free(text);
	free(s);
}

/* -- health --------------------------------------------------------------------- */

static void set_alive(struct snapshot *s)
{
	s->host[1].view.state = DAXFS_HOST_ALIVE;
	s->host[1].view.reason = DAXFS_REASON_BEAT_RESUMED;
}

static void set_suspects(struct snapshot *s)
{
	s->host[0].view.state = s->host[2].view.state = DAXFS_HOST_SUSPECT;
}

static void set_damaged(struct snapshot *s)
{
	set_alive(s);
	s->host[3].readable = false;
}

static void set_none(struct snapshot *s)
{
	set_alive(s);
	s->fabricd = FABRICD_NONE;
	s->answered_by = 0;
}

static void set_silent(struct snapshot *s)
{
	set_none(s);
	s->fabricd = FABRICD_SILENT;
	s->host[0].beat = BEAT_NOT_WITHIN;
}

static void set_unused(struct snapshot *s)
{
	set_none(s);
	s->host[0].view.state = DAXFS_HOST_FREE;
	s->host[1].view.state = DAXFS_HOST_RECOVERED;
}

static void set_waiting(struct snapshot *s)
{
	set_alive(s);
	s->deciding = false;
	strcpy(s->note, "new primary");
}

static void set_failed_memory(struct snapshot *s)
{
	static const struct daxfs_repair found[] = {
		{ DAXFS_REPAIR_PAGE, 0x1e000, "inodes 16 to 31" },
		{ DAXFS_REPAIR_PAGE, 0x400000, "page 900" },
		{ DAXFS_REPAIR_FILE, 4294967303, "inode 7" },
		{ DAXFS_REPAIR_LANE, 3, "lane 3" },
	};

	s->host[1].view.state = DAXFS_HOST_ALIVE;
	for (unsigned i = 0; i < 4; i++) {
		s->repair[s->n_repairs++] = found[i];
		s->to_repair[found[i].kind]++;
	}
}

static void set_young(struct snapshot *s)
{
	set_alive(s);
	s->host[0].unwritten = 4096;
	s->host[0].unwritten_ms = 59000;
	s->host[1].unwritten_ms = 3600000; /* of nothing */
}

static void set_unwritten(struct snapshot *s)
{
	set_young(s);
	s->host[0].unwritten_ms = 61000;
}

/* An error is told at once, a delay after a minute. */
static void set_failing(struct snapshot *s)
{
	set_young(s);
	s->host[0].write_error = EIO;
}

static void set_backup(struct snapshot *s)
{
	set_waiting(s);
	s->fabricd = FABRICD_BACKUP;
	s->answered_by = 812;
}

static void verdicts(void **unused)
{
	static const struct {
		void (*set)(struct snapshot *s);
		const char *health, *fabricd;
	} cases[] = {
		{ set_alive, "HEALTHY", "fabricd pid 811 (primary)" },
		{ set_suspects, "DEGRADED: 1 host recovering, 2 hosts suspect", "fabricd pid 811 (primary)" },
		{ set_damaged, "DEGRADED: 1 host slot damaged", "fabricd pid 811 (primary)" },
		{ set_none, "DEGRADED: no fabricd has run", "no fabricd" },
		{ set_silent, "DEGRADED: 1 host without heartbeat, fabricd does not beat", "fabricd pid 811 (silent)" },
		{ set_unused, "UNUSED: no fabricd has run", "no fabricd" },
		{ set_waiting, "DEGRADED: fabricd decides nothing (new primary)", "fabricd pid 811 (primary)" },
		{ set_backup, "HEALTHY", "fabricd pid 812 (backup of 811)" },
		{ set_young, "HEALTHY", "fabricd pid 811 (primary)" },
		{ set_unwritten, "DEGRADED: 1 host with bytes that storage does not get", "fabricd pid 811 (primary)" },
		{ set_failing, "DEGRADED: 1 host with bytes that storage does not get", "fabricd pid 811 (primary)" },
		{ set_failed_memory, "DEGRADED: 2 pages of memory failed, 1 removed file to repair, 1 lane to repair",
		  "fabricd pid 811 (primary)" },
	};
	struct snapshot *s = malloc(sizeof(*s));
	char text[256];

	(void)unused;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		example(s);
		cases[i].set(s);
		assert_string_equal(health_text(s, text, sizeof(text)), cases[i].health);
		assert_int_equal(health_good(s), strncmp(cases[i].health, "DEGRADED", 8) != 0);
		assert_string_equal(health_fabricd(s, text, sizeof(text)), cases[i].fabricd);
	}
	free(s);
}

/* -- the rest --------------------------------------------------------------------- */

static void json_tells_the_same(void **unused)
{
	struct snapshot *s = malloc(sizeof(*s));
	static const char *const parts[] = {
		"\"name\": \"demo\"",
		"\"epoch\": 42",
		"\"role\": \"primary\"",
		"\"healthy\": false",
		"\"state\": \"RECOVERING\"",
		"\"recoverer\": 0",
		"\"beat_ms\": 611",
		"\"rolled_back\": 1",
		"\"reason\": \"heartbeat lost 512 ms; fenced by fence_daxfs_dev 18 ms\"",
		"\"usage\": {",
	};
	char *text;

	(void)unused;
	example(s);
	text = shown(s, show_json);
	if (!json_parses(text))
		fail_msg("%s", text);
	for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (!strstr(text, parts[i]))
			fail_msg("%s is not in %s", parts[i], text);
	/* Counters do not tell them from what is free; a number that nobody counted is not shown. */
	assert_null(strstr(text, "\"private\""));
	assert_null(strstr(text, "\"retired\""));
	assert_null(strstr(text, "node_pages"));
	free(text);
	s->usage.pages.free = s->usage.reserved = 256;
	text = shown(s, show_status);
	assert_non_null(strstr(text, "FULL: 1.0 MiB left, for overwrites"));
	free(text);
	s->have_usage = false;
	s->host[1].readable = false;
	s->last.ns = 0;
	text = shown(s, show_json);
	assert_true(json_parses(text));
	assert_non_null(strstr(text, "\"usage\": null"));
	assert_non_null(strstr(text, "\"DAMAGED\""));
	free(text);
	free(s);
}

/* What is to be repaired is listed, the first of it by name; none of it, and nothing is said. */
static void repairs_are_listed(void **unused)
{
	static const char *const parts[] = {
		"\"to_repair\": {",
		"\"pages\": 2",
		"\"files\": 1",
		"\"lanes\": 1",
		"\"kind\": \"file\"",
		"\"subject\": 4294967303",
		"\"what\": \"inodes 16 to 31\"",
	};
	struct snapshot *s = malloc(sizeof(*s));
	char *text;

	(void)unused;
	example(s);
	text = shown(s, show_status);
	assert_null(strstr(text, "to repair"));
	free(text);
	set_failed_memory(s);
	s->to_repair[DAXFS_REPAIR_FILE] += 70;
	text = shown(s, show_status);
	assert_string_equal(strstr(text, "to repair: inodes"),
			    "to repair: inodes 16 to 31 at offset 0x1e000: memory failed\n"
			    "to repair: page 900 at offset 0x400000: memory failed\n"
			    "to repair: inode 7: removed, and could not be finished: daxfsctl repair POOL --item 7\n"
			    "to repair: lane 3: its record cannot be told\n"
			    "to repair: 70 more: daxfsctl check lists all\n");
	free(text);
	s->to_repair[DAXFS_REPAIR_FILE] -= 70;
	text = shown(s, show_json);
	if (!json_parses(text))
		fail_msg("%s", text);
	for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (!strstr(text, parts[i]))
			fail_msg("%s is not in %s", parts[i], text);
	free(text);
	free(s);
}

/* Slots in which nobody ever was are a number. */
static void hosts_lists_the_used(void **unused)
{
	struct snapshot *s = malloc(sizeof(*s));
	char *text;

	(void)unused;
	example(s);
	s->host[1].view.last = s->last;
	s->host[3].readable = false;
	text = shown(s, show_hosts);
	assert_null(strstr(text, "\n 2 "));
	assert_non_null(strstr(text, "\n 3 -      DAMAGED "));
	assert_non_null(strstr(text, "last recovered in 0.8 ms"));
	assert_non_null(strstr(text, "\nslots 1 of 3 free\n"));
	free(text);
	text = shown(s, show_json);
	assert_null(strstr(text, "\"id\": 2"));
	assert_non_null(strstr(text, "\"free_slots\": 1"));
	free(text);
	s->host[2].view.generation = 1;
	text = shown(s, show_hosts);
	assert_non_null(strstr(text, "\n 2 -      FREE "));
	assert_non_null(strstr(text, "\nslots 1 of 3 free\n"));
	free(text);
	s->host[2].view.generation = 0; /* comes again after the last one */
	s->host[2].view.tenancy = 1;
	text = shown(s, show_hosts);
	assert_non_null(strstr(text, "\n 2 -      FREE "));
	free(text);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_reads_like_this),
		cmocka_unit_test(columns_align),
		cmocka_unit_test(verdicts),
		cmocka_unit_test(conditions_are_told),
		cmocka_unit_test(json_tells_the_same),
		cmocka_unit_test(hosts_lists_the_used),
		cmocka_unit_test(repairs_are_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
