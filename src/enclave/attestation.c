/* SPDX-License-Identifier: Apache-2.0 */
#include "enclave/attestation.h"

#include <stdio.h>

#include "attest/form.h"
#include "base/clock.h"
#include "base/random.h"
#include "config/config.h"
#include "x509/cert.h"

#define NONCE "{nonce}"

/* A convention over HTTP. */
struct profile {
    const char *path, *field;
    enum attest_binding binding;
};

/* docs/attestation.md says of each what it can prove. */
static const struct profile profiles[] = {
    [ATTEST_NAUTILUS] = {"/get_attestation", NULL, ATTEST_NONE},
    [ATTEST_NITRIDING_DAEMON] = {"/enclave/attestation?nonce=" NONCE, NULL, ATTEST_NITRIDING},
    [ATTEST_EVERVAULT] = {"/.well-known/attestation", NULL, ATTEST_SPKI},
    [ATTEST_OPENSECRET] = {"/attestation/" NONCE, NULL, ATTEST_NONE},
    [ATTEST_MARLIN] = {"/attestation/raw", NULL, ATTEST_NONE},
};

static struct profile profile_of(const struct config *config)
{
    if (config->attest_profile != ATTEST_GENERIC)
        return profiles[config->attest_profile];
    return (struct profile){config->attest_path, config->attest_field,
                            (enum attest_binding)config->attest_binding};
}

void attestation_ask(const struct config *config, struct attestation_question *out)
{
    const char *path = profile_of(config).path, *at = strstr(path, NONCE);
    char hex[2 * ATTESTATION_NONCE + 1];
    size_t i;

    *out = (struct attestation_question){.has_nonce = at != NULL};
    if (!at) {
        (void)snprintf(out->path, sizeof out->path, "%s", path);
        return;
    }
    random_bytes(out->nonce, sizeof out->nonce);
    for (i = 0; i < sizeof out->nonce; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", out->nonce[i]);
    (void)snprintf(out->path, sizeof out->path, "%.*s%s%s", (int)(at - path), path, hex,
                   at + strlen(NONCE));
}

static int judge_document(const struct config *config, const struct attestation_question *question,
                          const struct attestation_channel *channel, struct attestation *out)
{
    const struct attest_document *document = &out->document;
    struct attest_peer peer = {.binding = out->binding};
    struct attest_trust trust = {
        .roots = config->attest_roots,
        .root_count = config->attest_root_count,
        .now = config->at == CONFIG_NOW || question ? clock_wall() : config->at,
        .leeway = config->attest_leeway_ms / 1000,
    };

    if (question && question->has_nonce)
        peer.nonce = bytes_of(question->nonce, sizeof question->nonce);
    if (channel) {
        peer.leaf = channel->leaf;
        peer.exporter = channel->exporter;
    }
    out->nonce_is_ours = attest_echoes(document, peer.nonce);
    trust.fresh = out->nonce_is_ours || (peer.binding == ATTEST_EXPORTER && peer.exporter.data &&
                                         bytes_equal(document->user_data, peer.exporter));
    if (attest_genuine(document, &trust, &out->root, &out->err) < 0)
        return -1;
    out->genuine = true;
    if (attest_image(document, config->attest_pcrs, config->attest_pcr_count, &out->err) < 0)
        return -1;
    return question ? attest_peer(document, &peer, &out->err)
                    : attest_age(document, trust.now, config->attest_max_age_ms, &out->err);
}

/* A reason stands in logs by itself. */
static int name_root(struct attestation *out)
{
    char *reason = out->err.reason;
    const size_t len = strlen(reason);

    if (out->root.other && !strstr(reason, out->root.fingerprint))
        (void)snprintf(reason + len, sizeof out->err.reason - len, "; by the root %s, not AWS's",
                       out->root.fingerprint);
    return -1;
}

int attestation_judge(const struct config *config, const struct attestation_question *question,
                      const struct attestation_channel *channel, struct bytes text,
                      struct attestation *out)
{
    const struct profile profile = profile_of(config);
    int result;

    *out = (struct attestation){.binding = profile.binding,
                                .text = {.public = true, .max = ATTESTATION_TEXT_MAX}};
    result = attest_form_read(&out->text, text, profile.field, &out->err);
    if (result == 0)
        result = attest_document_read(&out->document, buf_bytes(&out->text), &out->err);
    if (result < 0)
        return -1;
    out->read = true;
    return judge_document(config, question, channel, out) < 0 ? name_root(out) : 0;
}

void attestation_free(struct attestation *attestation)
{
    buf_free(&attestation->text);
    attestation->read = false;
}

const char *attestation_word(const struct config *config, enum err_code code, bool other_root)
{
    if (code != ERR_NONE)
        return err_info(code)->name;
    if (config->attest_pcr_count == 0)
        return other_root ? "genuine_other_root" : "genuine";
    return other_root ? "attested_other_root" : "attested";
}

bool attestation_key(struct bytes leaf, uint8_t out[HASH_SIZE])
{
    char reason[CERT_REASON_MAX];
    struct cert cert;

    if (!leaf.data || cert_parse(&cert, leaf, reason) < 0)
        return false;
    hash_sha256(out, cert.spki);
    return true;
}

void attested_add(struct attested *attested, const struct probe_attested *said, int64_t at_ms)
{
    struct attested_key *place = attested->keys, *key = place;
    bool same = false;

    for (; key < attested->keys + ATTESTED_KEYS && !same; key++) {
        same = memcmp(key->said.key, said->key, HASH_SIZE) == 0;
        if (same || key->at_ms < place->at_ms)
            place = key;
    }
    if (same || at_ms > 0)
        *place = (struct attested_key){*said, at_ms};
}

const struct attested_key *attested_find(const struct attested *attested,
                                         const uint8_t key[HASH_SIZE], int64_t since_ms)
{
    size_t i;

    for (i = 0; i < ATTESTED_KEYS; i++)
        if (attested->keys[i].at_ms > 0 && attested->keys[i].at_ms >= since_ms &&
            memcmp(attested->keys[i].said.key, key, HASH_SIZE) == 0)
            return &attested->keys[i];
    return NULL;
}
