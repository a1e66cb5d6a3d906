/* SPDX-License-Identifier: Apache-2.0 */
#include "enclave/probe_attest.h"

#include <stdio.h>

#include "base/clock.h"
#include "config/config.h"
#include "net/http.h"

enum { HTTP_OK = 200 };

bool probe_attest_wanted(const struct probe_request *request)
{
    return request->attests || (request->config->attest != ATTEST_OFF && !request->config->request);
}

static struct attested *known_of(const struct probe_attest *attest)
{
    return attest->request->known ? &attest->request->known[attest->index] : NULL;
}

const char *probe_attest_path(struct probe_attest *attest, struct bytes leaf)
{
    const struct config *config = attest->request->config;
    const struct attested *known = known_of(attest);

    attest->known = NULL;
    attest->asked = false;
    if (attest->probe->attest_refused)
        return NULL;
    if (attestation_key(leaf, attest->key) && known)
        attest->known = attested_find(known, attest->key, clock_ms() - config->attest_interval_ms);
    if (attest->known)
        return NULL;
    attest->asked = true;
    attestation_ask(config, &attest->question);
    return attest->question.path;
}

/* Without a full handshake nothing of it is bound: neither a certificate nor an exporter. */
static void judge_answer(const struct probe_attest *attest, const struct http_response *response,
                         struct attestation *out)
{
    struct attestation_channel channel = {{0}, {0}};

    if (response->chain_count > 0) {
        channel.leaf = response->chain[0];
        if (response->tls.has_exporter)
            channel.exporter = bytes_of(response->tls.exporter, sizeof response->tls.exporter);
    }
    if (!attest->asked && attest->probe->attest_status == 0)
        (void)err_set(&out->err, ERR_ATTEST_MISSING, NULL, "it refuses the request for it");
    else if (!attest->asked || response->status != HTTP_OK)
        (void)err_set(&out->err, ERR_ATTEST_MISSING, NULL, "it answered HTTP %d",
                      attest->asked ? response->status : attest->probe->attest_status);
    else if (response->result != HTTP_ANSWERED)
        (void)err_set(&out->err, ERR_ATTEST_MALFORMED, NULL, "the answer is %s",
                      response->result == HTTP_TOO_LARGE ? "too long" : "not whole");
    else
        (void)attestation_judge(attest->request->config, &attest->question, &channel,
                                buf_bytes(&response->body), out);
}

/*
 * With report what is missing is known for as long as what is proved, so that it costs no more.
 * Who shows a document that does not do is none of those that were attested before.
 */
static void remember(const struct probe_attest *attest, const struct attestation *attestation)
{
    const struct probe_attested *attested = &attest->probe->attested;
    struct attested *known = known_of(attest);

    if (!known)
        return;
    if (attested->code == ERR_NONE || attest->request->config->attest == ATTEST_REPORT)
        attested_add(known, attested, clock_ms());
    else if (attestation->read)
        attested_add(known, attested, 0);
}

static void conclude(const struct probe_attest *attest, const struct attestation *attestation)
{
    struct probe *probe = attest->probe;
    struct probe_attested *attested = &probe->attested;

    attested->asked = true;
    attested->code = attestation->err.code;
    if (!probe->attest_refused)
        memcpy(attested->key, attest->key, sizeof attested->key);
    if (attestation->root.other)
        memcpy(attested->other_root, attestation->root.fingerprint, sizeof attested->other_root);
    remember(attest, attestation);
}

static void say(const struct probe_attest *attest, const char *why)
{
    struct probe *probe = attest->probe;
    const struct probe_request *request = attest->request;

    if (probe->attested.code == ERR_NONE)
        return;
    (void)snprintf(probe->reason, sizeof probe->reason, "%s: %.400s",
                   err_info(probe->attested.code)->name, why);
    if (request->attests || request->config->attest == ATTEST_REQUIRE)
        probe->verdict = PROBE_UNATTESTED;
}

/* Whether the health path has to tell: the answer is no attestation, and may be anybody's. */
static bool is_open(const struct probe_attest *attest, const struct http_response *response)
{
    const enum probe_verdict verdict = attest->probe->verdict;

    return attest->asked &&
           (verdict == PROBE_DOUBTED || (verdict == PROBE_ACCEPTED && response->status != HTTP_OK &&
                                         !attest->request->attests));
}

bool probe_attest_take(struct probe_attest *attest, const struct http_response *response,
                       struct attestation *out)
{
    struct probe *probe = attest->probe;

    if (!probe_attest_wanted(attest->request))
        return false;
    if (is_open(attest, response)) {
        memcpy(probe->attested.key, attest->key, sizeof attest->key);
        probe->attest_refused = true;
        probe->attest_status = probe->verdict == PROBE_ACCEPTED ? response->status : 0;
        probe->closes = 0;
        return true;
    }
    if (probe->verdict != PROBE_ACCEPTED)
        return false;
    if (attest->known) {
        probe->attested = attest->known->said;
        say(attest, err_info(probe->attested.code)->what);
        return false;
    }
    judge_answer(attest, response, out);
    conclude(attest, out);
    say(attest, out->err.reason);
    return false;
}
