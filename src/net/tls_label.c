/* SPDX-License-Identifier: Apache-2.0 */
#include <bearssl.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "identity/identity.h"
#include "net/tls.h"
#include "x509/cert.h"

/*
 * Adds one part of a label, its length in front, so that no two lists of parts are the same bytes.
 */
static void hash_part(br_sha256_context *hash, const void *data, size_t len)
{
    uint64_t prefix = len;

    br_sha256_update(hash, &prefix, sizeof prefix);
    br_sha256_update(hash, data, len);
}

void tls_policy_label(const struct tls_policy *policy, char out[TLS_LABEL_MAX])
{
    const char *fingerprint = policy->identity ? policy->identity->fingerprint : "";
    const uint8_t modes[] = {(uint8_t)policy->profile, policy->allow_cn, policy->compatible,
                             (uint8_t)policy->versions};
    br_sha256_context hash;
    uint8_t digest[HASH_SIZE];
    char hex[HASH_HEX_SIZE];
    size_t i;

    br_sha256_init(&hash);
    hash_part(&hash, fingerprint, strlen(fingerprint));
    hash_part(&hash, policy->name, strlen(policy->name));
    hash_part(&hash, modes, sizeof modes);
    for (i = 0; i < anchors_count(policy->anchors); i++) {
        struct bytes der = anchors_at(policy->anchors, i)->der;

        hash_part(&hash, der.data, der.len);
    }
    br_sha256_out(&hash, digest);
    hash_hex(hex, digest);
    (void)snprintf(out, TLS_LABEL_MAX, "mtls-agent:%s", hex);
}
