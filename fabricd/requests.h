/* SPDX-License-Identifier: Apache-2.0 */
/*
 * requests.h - requests of the control socket, answered from what the last poll
 * saw. Never touches the pool, never blocks.
 */
#ifndef FABRICD_ANSWER_H
#define FABRICD_ANSWER_H

#include "fabricd/monitor.h"
#include "proto/framing.h"

/*
 * The response to a request (NULL: bytes that are none), framed, in malloc()ed memory.
 * A guest may look, and change nothing. -ENOMEM.
 */
int answer(struct watch *w, const Fabric__Request *request, bool guest, uint8_t **out, size_t *len);

#endif
