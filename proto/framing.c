/* SPDX-License-Identifier: Apache-2.0 */
/*
 * framing.c - length-prefixed messages: decoder and encoder. See framing.h.
 */
#include "proto/framing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BODY_ROOM_MIN 512u

void fabric_decoder_init(struct fabric_decoder *d)
{
	*d = (struct fabric_decoder){ 0 };
}

void fabric_decoder_fini(struct fabric_decoder *d)
{
	free(d->body);
	fabric_decoder_init(d);
}

static bool header_complete(const struct fabric_decoder *d)
{
	return d->header_have == FABRIC_HEADER_BYTES;
}

bool fabric_decoder_ready(const struct fabric_decoder *d)
{
	return header_complete(d) && d->body_have == d->body_len;
}

bool fabric_decoder_partial(const struct fabric_decoder *d)
{
	return d->header_have && !fabric_decoder_ready(d);
}

void fabric_decoder_next(struct fabric_decoder *d)
{
	d->header_have = 0;
	d->body_have = 0;
	d->body_len = 0;
}

static uint32_t read_le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static int take_header(struct fabric_decoder *d, const uint8_t *bytes, size_t len, size_t *used)
{
	size_t n = smaller(len, FABRIC_HEADER_BYTES - d->header_have);
	uint32_t length;

	if (n)
		memcpy(d->header + d->header_have, bytes, n);
	d->header_have += n;
	*used = n;
	if (!header_complete(d))
		return 0;
	length = read_le32(d->header);
	if (length > FABRIC_MESSAGE_MAX)
		return -EMSGSIZE;
	d->body_len = length;
	return 0;
}

/* Doubles, so that bytes are copied O(1) times however they trickle in. */
static int make_room(struct fabric_decoder *d, size_t need)
{
	size_t room = d->body_room ? d->body_room : BODY_ROOM_MIN;
	uint8_t *body;

	if (need <= d->body_room)
		return 0;
	while (room < need)
		room *= 2;
	body = realloc(d->body, room);
	if (!body)
		return -ENOMEM;
	d->body = body;
	d->body_room = room;
	return 0;
}

static int take_body(struct fabric_decoder *d, const uint8_t *bytes, size_t len, size_t *used)
{
	size_t n = smaller(len, d->body_len - d->body_have);
	int rc = make_room(d, d->body_have + n);

	if (rc)
		return rc;
	if (n)
		memcpy(d->body + d->body_have, bytes, n);
	d->body_have += n;
	*used = n;
	return 0;
}

int fabric_decoder_feed(struct fabric_decoder *d, const void *bytes, size_t len, size_t *used)
{
	const uint8_t *p = bytes;
	size_t head = 0, body = 0;
	int rc;

	if (!header_complete(d)) {
		rc = take_header(d, p, len, &head);
		if (rc)
			return rc;
	}
	if (header_complete(d)) {
		rc = take_body(d, p + head, len - head, &body);
		if (rc)
			return rc;
	}
	*used = head + body;
	return 0;
}

int fabric_encode(const ProtobufCMessage *message, uint8_t **out, size_t *len)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	uint8_t *p;

	if (size > FABRIC_MESSAGE_MAX)
		return -EMSGSIZE;
	p = malloc(FABRIC_HEADER_BYTES + size);
	if (!p)
		return -ENOMEM;
	for (unsigned i = 0; i < FABRIC_HEADER_BYTES; i++)
		p[i] = (uint8_t)(size >> (8 * i));
	protobuf_c_message_pack(message, p + FABRIC_HEADER_BYTES);
	*out = p;
	*len = FABRIC_HEADER_BYTES + size;
	return 0;
}
