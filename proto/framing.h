/* SPDX-License-Identifier: Apache-2.0 */
/*
 * framing.h - protobuf messages on a unix stream socket.
 *
 *   0        4                 4 + length
 *   | length | message ...     |
 *
 * length is little-endian and at most FABRIC_MESSAGE_MAX. Wire bytes are input:
 * a length beyond the limit, a message that does not parse, and an end in the
 * middle of one are errors of the connection, never of the process. Memory
 * grows with the bytes received, not with the length announced.
 *
 * Nothing here is shared: a decoder belongs to one connection of one thread.
 */
#ifndef PROTO_FRAMING_H
#define PROTO_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daxfs/daxfs.h"
#include "fabric.pb-c.h"

#define FABRIC_HEADER_BYTES 4u
#define FABRIC_MESSAGE_MAX (1u << 20)
#define FABRIC_CALL_MS 5000

struct fabric_decoder {
	uint8_t header[FABRIC_HEADER_BYTES];
	size_t header_have;
	uint8_t *body;
	size_t body_len; /* announced; valid when the header is complete */
	size_t body_have, body_room;
};

void fabric_decoder_init(struct fabric_decoder *d);
void fabric_decoder_fini(struct fabric_decoder *d);
/*
 * Take bytes up to the end of one message; *used says how many. -EMSGSIZE: the
 * length is beyond the limit; -ENOMEM. After an error the connection has lost
 * its framing and must be closed.
 */
int fabric_decoder_feed(struct fabric_decoder *d, const void *bytes, size_t len, size_t *used);
/* A whole message is in body[0 .. body_len). */
bool fabric_decoder_ready(const struct fabric_decoder *d);
/* In the middle of a message: an end of the stream here is an error. */
bool fabric_decoder_partial(const struct fabric_decoder *d);
/* Begin the next message; keeps the buffer. */
void fabric_decoder_next(struct fabric_decoder *d);

/* Length and message in one malloc()ed buffer. -EMSGSIZE, -ENOMEM. */
int fabric_encode(const ProtobufCMessage *message, uint8_t **out, size_t *len);

/*
 * Send one request to the fabricd at socket_path and wait for the answer, no
 * longer than FABRIC_CALL_MS in all. An answer that says error is returned as
 * -errno with its text in *err. *out is freed by fabric__response__free_unpacked.
 * -ENOENT, -ECONNREFUSED: nobody is there; -ETIMEDOUT; -EPROTO: not an answer.
 */
int fabric_call(const char *socket_path, const Fabric__Request *request, Fabric__Response **out,
		struct daxfs_error *err);

#endif
