/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_JSON_SCAN_H
#define BASE_JSON_SCAN_H

#include "base/bytes.h"

/*
 * Checks a text by RFC 8259's grammar. NULL where it is JSON; else the fault, at *at. Does not
 * recurse.
 */
const char *json_scan(struct bytes text, size_t *at);

#endif
