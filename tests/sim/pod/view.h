/* SPDX-License-Identifier: Apache-2.0 */
/* view.h - views and drafts: work on pages in place, for long. */
#ifndef SIM_POD_VIEW_H
#define SIM_POD_VIEW_H

#include "pod/oracle.h"

/* Where to look: mostly where there is something. */
void view_choose(struct rng *r, struct op *op);
/* Look at a file through a view, some pages, again and again, and at rest in between. */
void view_work(struct actor *a, const struct op *op, struct rng *r);
/* One operation from the beginning of the draft to its commit, or to nothing. */
void draft_perform(struct actor *a, const struct op *op, struct rng *r, uint8_t *buf, struct outcome *out);

#endif
