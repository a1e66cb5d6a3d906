/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent whose key is damaged after it was read and before it signs. FLIP=MEMBER:BYTE:BIT says
 * where: p, q, dp, dq, qinv or x. Without it nothing is damaged.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "x509/key_impl.h"

size_t __real_key_sign(const struct key *key, unsigned scheme, struct bytes hash,
                       uint8_t out[KEY_SIGNATURE_MAX]);

static void flip(const struct key *key, const char *where)
{
    const struct {
        const char *name;
        unsigned char *value;
        size_t len;
    } members[] = {
        {"p", key->rsa.p, key->rsa.plen},      {"q", key->rsa.q, key->rsa.qlen},
        {"dp", key->rsa.dp, key->rsa.dplen},   {"dq", key->rsa.dq, key->rsa.dqlen},
        {"qinv", key->rsa.iq, key->rsa.iqlen}, {"x", key->ec.x, key->ec.xlen},
    };
    unsigned byte = 0, bit = 0;
    char name[8] = "";
    size_t i;

    if (sscanf(where, "%7[a-z]:%u:%u", name, &byte, &bit) != 3)
        abort();
    for (i = 0; i < sizeof members / sizeof *members; i++)
        if (strcmp(members[i].name, name) == 0 && byte < members[i].len) {
            members[i].value[byte] ^= (unsigned char)(1u << bit);
            return;
        }
    abort();
}

size_t __wrap_key_sign(const struct key *key, unsigned scheme, struct bytes hash,
                       uint8_t out[KEY_SIGNATURE_MAX])
{
    static bool flipped;
    const char *where = getenv("FLIP");

    if (where && !flipped)
        flip(key, where);
    flipped = true;
    return __real_key_sign(key, scheme, hash, out);
}
