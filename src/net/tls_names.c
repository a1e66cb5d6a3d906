/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls.h"

#include <bearssl.h>
#include <stddef.h>

/* OpenSSL's names, which people know from s_client and nginx. */
const char *tls_cipher_name(uint16_t cipher_suite)
{
    static const struct {
        uint16_t number;
        const char *name;
    } names[] = {
        {0x1301, "TLS_AES_128_GCM_SHA256"},        {0x1302, "TLS_AES_256_GCM_SHA384"},
        {0x1303, "TLS_CHACHA20_POLY1305_SHA256"},  {0xC02B, "ECDHE-ECDSA-AES128-GCM-SHA256"},
        {0xC02C, "ECDHE-ECDSA-AES256-GCM-SHA384"}, {0xC02F, "ECDHE-RSA-AES128-GCM-SHA256"},
        {0xC030, "ECDHE-RSA-AES256-GCM-SHA384"},   {0xCCA8, "ECDHE-RSA-CHACHA20-POLY1305"},
        {0xCCA9, "ECDHE-ECDSA-CHACHA20-POLY1305"}, {0xC023, "ECDHE-ECDSA-AES128-SHA256"},
        {0xC024, "ECDHE-ECDSA-AES256-SHA384"},     {0xC027, "ECDHE-RSA-AES128-SHA256"},
        {0xC028, "ECDHE-RSA-AES256-SHA384"},       {0xC009, "ECDHE-ECDSA-AES128-SHA"},
        {0xC00A, "ECDHE-ECDSA-AES256-SHA"},        {0xC013, "ECDHE-RSA-AES128-SHA"},
        {0xC014, "ECDHE-RSA-AES256-SHA"},
    };
    size_t i;

    for (i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].number == cipher_suite)
            return names[i].name;
    return "unknown";
}

const char *tls_version_name(uint16_t version)
{
    return version == TLS_VERSION_13 ? "1.3" : version == TLS_VERSION_12 ? "1.2" : NULL;
}

const char *tls_group_name(unsigned group)
{
    switch (group) {
    case BR_EC_curve25519: return "X25519";
    case BR_EC_secp256r1: return "P-256";
    case BR_EC_secp384r1: return "P-384";
    case BR_EC_secp521r1: return "P-521";
    default: return NULL;
    }
}
