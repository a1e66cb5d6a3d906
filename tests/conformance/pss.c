/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "x509/rsa_pss.h"

enum { FIELD_MAX = 1024 };

struct field {
    unsigned char data[FIELD_MAX];
    size_t len;
};

/* "00ff", or "-" for nothing; false where it is neither, or too long. */
static bool read_hex(const char *text, struct field *out)
{
    unsigned byte;

    out->len = 0;
    if (strcmp(text, "-") == 0)
        return true;
    for (; text[0] && out->len < FIELD_MAX; text += 2) {
        if (!text[1] || sscanf(text, "%2x", &byte) != 1)
            return false;
        out->data[out->len++] = (unsigned char)byte;
    }
    return !text[0];
}

static const br_hash_class *hash_of(size_t len)
{
    return len == 32 ? &br_sha256_vtable : len == 48 ? &br_sha384_vtable : &br_sha512_vtable;
}

/* A line a case: n, e, digest, signature. */
int conformance_pss(int argc, char **argv)
{
    static char text[4][2 * FIELD_MAX + 1];
    static struct field field[4];
    size_t i;

    (void)argv;
    if (argc != 1)
        return CONFORMANCE_USAGE;
    while (scanf("%2048s %2048s %2048s %2048s", text[0], text[1], text[2], text[3]) == 4) {
        br_rsa_public_key key = {field[0].data, 0, field[1].data, 0};

        for (i = 0; i < 4; i++)
            if (!read_hex(text[i], &field[i]))
                return 1;
        key.nlen = field[0].len;
        key.elen = field[1].len;
        puts(rsa_pss_verify(field[3].data, field[3].len, hash_of(field[2].len), field[2].data, &key)
                 ? "valid"
                 : "invalid");
    }
    return 0;
}
