/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_JSON_SCAN_H
#define BASE_JSON_SCAN_H

#include "base/bytes.h"

/*
 * Holds a text to RFC 8259's grammar. NULL where it is JSON; else what is wrong at *at. Does not
 * recurse.
 */
const char *json_scan(struct bytes text, size_t *at);

#endif
