/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFORMANCE_REPLAY_H
#define CONFORMANCE_REPLAY_H

#include "base/buf.h"

/*
 * Stands in for the network and for the file system: the program is linked with
 * --wrap=http_perform, access and trust_read. Requests get the recorded answers, in their order,
 * where method, URL and action are those recorded; files are read below root. 0, or -1 where the
 * traffic is no recording.
 */
int replay_start(const struct buf *traffic, const char *root);

/* Recorded requests that were not made. */
size_t replay_left(void);

#endif
