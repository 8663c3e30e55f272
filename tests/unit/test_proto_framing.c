/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_proto_framing.c - the decoder against partial, oversized and garbage
 * input, and the blocking call against servers that misbehave.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "proto/framing.h"

static void make_status(Fabric__Request *request, Fabric__Status *status)
{
	fabric__request__init(request);
	fabric__status__init(status);
	request->verb_case = FABRIC__REQUEST__VERB_STATUS;
	request->status = status;
}

/* Two messages, cut at every position: both come out, whatever the cut. */
static void decodes_at_every_cut(void **state)
{
	Fabric__Response response;
	char text[] = "a text of some length";
	uint8_t *one = NULL, both[256];
	size_t len = 0;

	(void)state;
	fabric__response__init(&response);
	response.error = 42;
	response.text = text;
	assert_int_equal(fabric_encode(&response.base, &one, &len), 0);
	assert_true(2 * len <= sizeof(both));
	memcpy(both, one, len);
	memcpy(both + len, one, len);
	for (size_t cut = 0; cut <= 2 * len; cut++) {
		struct fabric_decoder d;
		unsigned messages = 0;
		size_t at = 0;

		fabric_decoder_init(&d);
		while (at < 2 * len) {
			size_t end = at < cut ? cut : 2 * len, used = 0;

			assert_int_equal(fabric_decoder_feed(&d, both + at, end - at, &used), 0);
			assert_true(used > 0);
			at += used;
			if (!fabric_decoder_ready(&d))
				continue;
			Fabric__Response *got = fabric__response__unpack(NULL, d.body_len, d.body);

			assert_non_null(got);
			assert_int_equal(got->error, 42);
			assert_string_equal(got->text, text);
			fabric__response__free_unpacked(got, NULL);
			messages++;
			fabric_decoder_next(&d);
		}
		assert_int_equal(messages, 2);
		assert_false(fabric_decoder_partial(&d));
		fabric_decoder_fini(&d);
	}
	free(one);
}

static void empty_message_is_a_message(void **state)
{
	const uint8_t header[4] = { 0 };
	struct fabric_decoder d;
	size_t used = 0;

	(void)state;
	fabric_decoder_init(&d);
	assert_int_equal(fabric_decoder_feed(&d, header, 3, &used), 0);
	assert_true(fabric_decoder_partial(&d));
	assert_false(fabric_decoder_ready(&d));
	assert_int_equal(fabric_decoder_feed(&d, header + 3, 1, &used), 0);
	assert_true(fabric_decoder_ready(&d));
	assert_false(fabric_decoder_partial(&d));
	fabric_decoder_fini(&d);
}

static void refuses_one_byte_too_many(void **state)
{
	const uint8_t most[4] = { 0, 0, 16, 0 }, more[4] = { 1, 0, 16, 0 };
	struct fabric_decoder d;
	size_t used = 0;

	(void)state;
	assert_int_equal(FABRIC_MESSAGE_MAX, 16u << 16);
	fabric_decoder_init(&d);
	assert_int_equal(fabric_decoder_feed(&d, most, sizeof(most), &used), 0);
	fabric_decoder_fini(&d);
	assert_int_equal(fabric_decoder_feed(&d, more, sizeof(more), &used), -EMSGSIZE);
	fabric_decoder_fini(&d);
}

/* A peer that announces a megabyte and sends ten bytes costs ten bytes. */
static void memory_follows_bytes_received(void **state)
{
	const uint8_t bytes[14] = { 0, 0, 16, 0 };
	struct fabric_decoder d;
	size_t used = 0;

	(void)state;
	fabric_decoder_init(&d);
	assert_int_equal(fabric_decoder_feed(&d, bytes, sizeof(bytes), &used), 0);
	assert_int_equal(used, sizeof(bytes));
	assert_true(d.body_room < 4096);
	fabric_decoder_fini(&d);
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* Random bytes in random pieces: always an error, a request, or a wait. */
static void survives_garbage(void **state)
{
	const char *given = getenv("DAXFS_SEED");
	uint32_t seed = given ? (uint32_t)strtoul(given, NULL, 0) : 1;
	unsigned parsed = 0, refused = 0;

	(void)state;
	print_message("seed %u\n", seed);
	for (unsigned round = 0; round < 20000; round++) {
		struct fabric_decoder d;
		uint8_t bytes[64];
		size_t at = 0, used = 0;

		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)next_random(&seed);
		bytes[0] %= 48; /* mostly plausible lengths */
		bytes[1] = bytes[2] = 0;
		bytes[3] = next_random(&seed) % 16 == 0;
		fabric_decoder_init(&d);
		while (at < sizeof(bytes) && !fabric_decoder_ready(&d)) {
			size_t n = 1 + next_random(&seed) % (sizeof(bytes) - at);

			if (fabric_decoder_feed(&d, bytes + at, n, &used))
				break;
			at += used;
		}
		if (fabric_decoder_ready(&d)) {
			Fabric__Request *request = fabric__request__unpack(NULL, d.body_len, d.body);

			parsed += request != NULL;
			refused += request == NULL;
			if (request)
				fabric__request__free_unpacked(request, NULL);
		}
		fabric_decoder_fini(&d);
	}
	assert_true(parsed > 0);
	assert_true(refused > 0);
}

static void encode_has_a_limit(void **state)
{
	Fabric__Response response;
	char *text = malloc(FABRIC_MESSAGE_MAX + 1);
	uint8_t *bytes = NULL;
	size_t len = 0;

	(void)state;
	fabric__response__init(&response);
	assert_non_null(text);
	memset(text, 'x', FABRIC_MESSAGE_MAX);
	text[FABRIC_MESSAGE_MAX] = 0;
	response.text = text;
	assert_int_equal(fabric_encode(&response.base, &bytes, &len), -EMSGSIZE);
	assert_null(bytes);
	free(text);
}

/* -- the call -------------------------------------------------------------- */

/* answers one connection with fixed bytes, then closes it */
struct server {
	char dir[64], path[96];
	int fd;
	const uint8_t *answer;
	size_t len;
	bool linger; /* keep silent until the client has gone */
	pthread_t thread;
};

static void *serve(void *arg)
{
	struct server *s = arg;
	int fd = accept(s->fd, NULL, NULL);
	char bytes[256];

	if (fd < 0)
		return NULL;
	if (recv(fd, bytes, sizeof(bytes), 0) > 0 && s->len)
		(void)!send(fd, s->answer, s->len, MSG_NOSIGNAL);
	while (s->linger && recv(fd, bytes, sizeof(bytes), 0) > 0)
		;
	close(fd);
	return NULL;
}

static void server_start(struct server *s, const uint8_t *answer, size_t len)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	*s = (struct server){ .answer = answer, .len = len };
	strcpy(s->dir, "/tmp/daxfs-test-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->path, sizeof(s->path), "%s/s", s->dir);
	strcpy(address.sun_path, s->path);
	s->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_true(s->fd >= 0);
	assert_int_equal(bind(s->fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(s->fd, 1), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_stop(struct server *s)
{
	pthread_join(s->thread, NULL);
	close(s->fd);
	unlink(s->path);
	rmdir(s->dir);
}

static int call_status(const char *path, Fabric__Response **out, struct daxfs_error *err)
{
	Fabric__Request request;
	Fabric__Status status;

	make_status(&request, &status);
	return fabric_call(path, &request, out, err);
}

static void call_returns_an_answer(void **state)
{
	Fabric__Response response, *got = NULL;
	char text[] = "well";
	struct daxfs_error err = { "" };
	struct server server;
	uint8_t *bytes;
	size_t len;

	(void)state;
	fabric__response__init(&response);
	response.text = text;
	assert_int_equal(fabric_encode(&response.base, &bytes, &len), 0);
	server_start(&server, bytes, len);
	assert_int_equal(call_status(server.path, &got, &err), 0);
	assert_string_equal(got->text, "well");
	fabric__response__free_unpacked(got, NULL);
	server_stop(&server);
	free(bytes);
}

static void call_returns_the_error_of_an_answer(void **state)
{
	Fabric__Response response, *got = NULL;
	char text[] = "host 9 does not exist";
	struct daxfs_error err = { "" };
	struct server server;
	uint8_t *bytes;
	size_t len;

	(void)state;
	fabric__response__init(&response);
	response.error = EINVAL;
	response.text = text;
	assert_int_equal(fabric_encode(&response.base, &bytes, &len), 0);
	server_start(&server, bytes, len);
	assert_int_equal(call_status(server.path, &got, &err), -EINVAL);
	assert_string_equal(err.text, text);
	assert_null(got);
	server_stop(&server);
	free(bytes);
}

static void call_judges_bad_answers(void **state)
{
	static const uint8_t too_long[4] = { 255, 255, 255, 255 };
	static const uint8_t half[6] = { 200, 0, 0, 0, 1, 2 };
	static const uint8_t garbage[8] = { 4, 0, 0, 0, 255, 255, 255, 255 };
	static const uint8_t twice[8] = { 0 };
	static const struct {
		const uint8_t *bytes;
		size_t len;
	} bad[] = { { too_long, 4 }, { half, 6 }, { garbage, 8 }, { twice, 8 }, { NULL, 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct daxfs_error err = { "" };
		Fabric__Response *got = NULL;
		struct server server;

		server_start(&server, bad[i].bytes, bad[i].len);
		assert_int_equal(call_status(server.path, &got, &err), -EPROTO);
		assert_null(got);
		assert_true(strlen(err.text) > 0);
		server_stop(&server);
	}
}

static void call_does_not_wait_for_ever(void **state)
{
	struct daxfs_error err = { "" };
	Fabric__Response *got = NULL;
	struct timespec a, b;
	struct server server;

	(void)state;
	server_start(&server, NULL, 0);
	server.linger = true;
	clock_gettime(CLOCK_MONOTONIC, &a);
	assert_int_equal(call_status(server.path, &got, &err), -ETIMEDOUT);
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_true(b.tv_sec - a.tv_sec >= FABRIC_CALL_MS / 1000 - 1);
	assert_true(b.tv_sec - a.tv_sec <= FABRIC_CALL_MS / 1000 + 5);
	server_stop(&server);
}

static void call_says_that_nobody_is_there(void **state)
{
	char path[200];
	struct daxfs_error err = { "" };
	Fabric__Response *got = NULL;

	(void)state;
	assert_int_equal(call_status("/nonexistent/fabricd.sock", &got, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nonexistent/fabricd.sock"));
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = 0;
	assert_int_equal(call_status(path, &got, &err), -ENAMETOOLONG);
	assert_null(got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes_at_every_cut),
		cmocka_unit_test(empty_message_is_a_message),
		cmocka_unit_test(refuses_one_byte_too_many),
		cmocka_unit_test(memory_follows_bytes_received),
		cmocka_unit_test(survives_garbage),
		cmocka_unit_test(encode_has_a_limit),
		cmocka_unit_test(call_returns_an_answer),
		cmocka_unit_test(call_returns_the_error_of_an_answer),
		cmocka_unit_test(call_judges_bad_answers),
		cmocka_unit_test(call_does_not_wait_for_ever),
		cmocka_unit_test(call_says_that_nobody_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
