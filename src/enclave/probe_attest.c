/* SPDX-License-Identifier: Apache-2.0 */
#include "enclave/probe_attest.h"

#include <stdio.h>

#include "base/clock.h"
#include "config/config.h"
#include "enclave/probe.h"
#include "net/http.h"

enum { HTTP_OK = 200 };

static bool is_asked(const struct probe_request *request)
{
    return request->attests || (request->config->attest != ATTEST_OFF && !request->config->request);
}

static int64_t since(const struct probe_request *request)
{
    return clock_ms() - request->config->attest_interval_ms;
}

bool probe_attest_due(const struct probe_request *request, size_t index)
{
    size_t i;

    if (!is_asked(request))
        return false;
    for (i = 0; request->known && i < ATTESTED_KEYS; i++)
        if (request->known[index].keys[i].at_ms > 0 &&
            request->known[index].keys[i].at_ms >= since(request))
            return false;
    return true;
}

static void judge_answer(const struct probe_attest *answer, struct attestation *out)
{
    const struct http_response *response = answer->response;
    struct attestation_channel channel = {{0}, {0}};

    if (response->chain_count > 0)
        channel.leaf = response->chain[0];
    if (response->tls.has_exporter)
        channel.exporter = bytes_of(response->tls.exporter, sizeof response->tls.exporter);

    if (response->status != HTTP_OK)
        (void)err_set(&out->err, ERR_ATTEST_MISSING, NULL, "it answered HTTP %d", response->status);
    else if (response->result != HTTP_ANSWERED)
        (void)err_set(&out->err, ERR_ATTEST_MALFORMED, NULL, "the answer is %s",
                      response->result == HTTP_TOO_LARGE ? "too long" : "not whole");
    else
        (void)attestation_judge(answer->request->config, answer->question, &channel,
                                buf_bytes(&response->body), out);
}

static void remember(const struct probe_attest *answer, const struct attested_key *key)
{
    if (answer->request->known)
        attested_add(&answer->request->known[answer->index], key);
}

static void conclude(const struct probe_attest *answer, struct probe *probe,
                     const struct attestation *attestation)
{
    const struct probe_request *request = answer->request;
    const enum err_code code = attestation->err.code;
    struct attested_key key = {.at_ms = clock_ms(), .other_root = attestation->root.other};

    probe->attested =
        (struct probe_attested){.asked = true, .code = code, .other_root = attestation->root.other};
    memcpy(probe->attested.root, attestation->root.fingerprint, sizeof probe->attested.root);
    if (code == ERR_NONE && answer->response->chain_count > 0 &&
        attestation_key(answer->response->chain[0], key.key)) {
        memcpy(probe->attested.key, key.key, sizeof key.key);
        remember(answer, &key);
    }
    if (code == ERR_NONE)
        return;
    (void)snprintf(probe->reason, sizeof probe->reason, "%s: %.400s", err_info(code)->name,
                   attestation->err.reason);
    if (request->attests || request->config->attest == ATTEST_REQUIRE)
        probe->verdict = PROBE_UNATTESTED;
}

bool probe_attest_take(const struct probe_attest *answer, struct probe *probe,
                       struct attestation *out)
{
    const struct probe_request *request = answer->request;
    const struct http_response *response = answer->response;
    const struct attested_key *known = NULL;
    uint8_t key[HASH_SIZE];

    if (!is_asked(request))
        return false;
    if (answer->question && probe->verdict == PROBE_DOUBTED) {
        probe->attest_refused = true;
        probe->closes = 0;
        return true;
    }
    if (probe->verdict != PROBE_ACCEPTED)
        return false;
    if (probe->attest_refused) {
        (void)err_set(&out->err, ERR_ATTEST_MISSING, NULL, "it refuses to be asked for it");
        conclude(answer, probe, out);
        return false;
    }
    if (answer->question) {
        judge_answer(answer, out);
        conclude(answer, probe, out);
        return false;
    }
    if (request->known && response->chain_count > 0 && attestation_key(response->chain[0], key))
        known = attested_find(&request->known[answer->index], key, since(request));
    if (known)
        probe->attested = (struct probe_attested){.asked = true, .other_root = known->other_root};
    probe->attest_next = !known;
    return !known;
}
