/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_AMAZON_ROOTS_H
#define AWS_AMAZON_ROOTS_H

#include "base/bytes.h"

/* The certificates of https://www.amazontrust.com/repository/, in DER; see tools/amazon-roots. */
enum { AMAZON_ROOTS = 5 };
extern const struct bytes amazon_roots[AMAZON_ROOTS];

#endif
