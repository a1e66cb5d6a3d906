/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls.h"

#include <stddef.h>

/* OpenSSL's names, which people know from s_client and nginx. */
const char *tls_cipher_name(uint16_t cipher_suite)
{
    static const struct {
        uint16_t number;
        const char *name;
    } names[] = {
        {0xC02B, "ECDHE-ECDSA-AES128-GCM-SHA256"}, {0xC02C, "ECDHE-ECDSA-AES256-GCM-SHA384"},
        {0xC02F, "ECDHE-RSA-AES128-GCM-SHA256"},   {0xC030, "ECDHE-RSA-AES256-GCM-SHA384"},
        {0xCCA8, "ECDHE-RSA-CHACHA20-POLY1305"},   {0xCCA9, "ECDHE-ECDSA-CHACHA20-POLY1305"},
    };
    size_t i;

    for (i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].number == cipher_suite)
            return names[i].name;
    return "unknown";
}

const char *tls_alert_name(int alert)
{
    static const struct {
        int number;
        const char *name;
    } names[] = {
        {0, "close_notify"},
        {10, "unexpected_message"},
        {20, "bad_record_mac"},
        {22, "record_overflow"},
        {40, "handshake_failure"},
        {41, "no_certificate"},
        {42, "bad_certificate"},
        {43, "unsupported_certificate"},
        {44, "certificate_revoked"},
        {45, "certificate_expired"},
        {46, "certificate_unknown"},
        {47, "illegal_parameter"},
        {48, "unknown_ca"},
        {49, "access_denied"},
        {50, "decode_error"},
        {51, "decrypt_error"},
        {70, "protocol_version"},
        {71, "insufficient_security"},
        {80, "internal_error"},
        {86, "inappropriate_fallback"},
        {90, "user_canceled"},
        {100, "no_renegotiation"},
        {109, "missing_extension"},
        {110, "unsupported_extension"},
        {112, "unrecognized_name"},
        {113, "bad_certificate_status_response"},
        {115, "unknown_psk_identity"},
        {116, "certificate_required"},
        {120, "no_application_protocol"},
    };
    size_t i;

    for (i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].number == alert)
            return names[i].name;
    return "alert";
}
