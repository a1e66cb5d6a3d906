/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_PERCENT_H
#define AWS_PERCENT_H

#include "base/buf.h"

/*
 * Appends text percent-encoded, all but unreserved characters (RFC 3986 2.3) and the one that is
 * kept, -1 for none: 0, or -1 where out has no room.
 */
int percent_encode(struct buf *out, struct bytes text, int kept);

#endif
