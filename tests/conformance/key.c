/* SPDX-License-Identifier: Apache-2.0 */
#include "x509/key.h"

#include <stdio.h>

#include "base/err.h"
#include "commands.h"

int conformance_key(int argc, char **argv)
{
    struct buf text = {0};
    struct err err = {0};
    struct key *key;
    char kind[16];

    if (conformance_read(argc, argv, &text) < 0)
        return CONFORMANCE_USAGE;
    key = key_read(buf_bytes(&text), argv[1], &err);
    if (key) {
        key_text(key, kind);
        puts(kind);
    } else {
        fprintf(stderr, "%s: %s: %s\n", err_info(err.code)->name, err.subject, err.reason);
    }
    key_free(key);
    buf_free(&text);
    return key ? 0 : 1;
}
