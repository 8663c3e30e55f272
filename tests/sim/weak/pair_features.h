/* SPDX-License-Identifier: Apache-2.0 */
/* pair_features.h - a host of an older version comes, and a feature is switched on that it does not know. */
#ifndef SIM_PAIR_FEATURES_H
#define SIM_PAIR_FEATURES_H

#include <stdbool.h>

bool features_older(void);
long features_come(void *arg);
long features_switch_on(void *arg);

#endif
