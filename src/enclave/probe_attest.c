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

/* What its key has shown, in this look or of late. */
static bool recall(const struct probe_attest *attest, bool has_key)
{
    const int64_t since = clock_ms() - attest->request->config->attest_interval_ms;
    const struct attested *known = known_of(attest);
    const struct attested_key *found = attested_find(&attest->memory->keys, attest->key, 0);

    if (!found && known && has_key)
        found = attested_find(known, attest->key, since);
    if (found)
        attest->probe->attested = found->said;
    return found != NULL;
}

/* What came of it, for the endpoint's next connections and for the event. */
static void keep(const struct probe_attest *attest, enum err_code code, const char *why)
{
    struct probe_attested *attested = &attest->probe->attested;
    struct probe_attest_memory *memory = attest->memory;

    *attested = (struct probe_attested){.asked = true, .code = code, .at = clock_wall()};
    memcpy(attested->key, attest->key, sizeof attested->key);
    memcpy(memory->last, attest->key, sizeof memory->last);
    (void)snprintf(memory->why, sizeof memory->why, "%s", why);
}

const char *probe_attest_path(struct probe_attest *attest, struct bytes leaf)
{
    struct probe_attest_memory *memory = attest->memory;
    bool has_key;

    memset(attest->key, 0, sizeof attest->key);
    has_key = attestation_key(leaf, attest->key);
    attest->asked = attest->judged = false;
    if (recall(attest, has_key))
        return NULL;
    if (memory->asked == ATTESTED_KEYS) {
        keep(attest, ERR_ATTEST_MISSING, "each connection met another key, and took one request");
        return NULL;
    }
    memory->asked++;
    attest->asked = true;
    attestation_ask(attest->request->config, &attest->question);
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
    if (response->status == 0)
        (void)err_set(&out->err, ERR_ATTEST_MISSING, NULL, "no answer came");
    else if (response->status != HTTP_OK)
        (void)err_set(&out->err, ERR_ATTEST_MISSING, NULL, "it answered HTTP %d", response->status);
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

    attested_add(&attest->memory->keys, attested, clock_ms());
    if (!known)
        return;
    if (attested->code == ERR_NONE || attest->request->config->attest == ATTEST_REPORT)
        attested_add(known, attested, clock_ms());
    else if (attestation->read)
        attested_add(known, attested, 0);
}

void probe_attest_judge(struct probe_attest *attest, const struct http_response *response,
                        struct attestation *out)
{
    struct probe_attested *attested = &attest->probe->attested;

    judge_answer(attest, response, out);
    keep(attest, out->err.code, out->err.reason);
    if (out->root.other)
        memcpy(attested->other_root, out->root.fingerprint, sizeof attested->other_root);
    remember(attest, out);
    attest->asked = false;
    attest->judged = true;
}

/* Of one that accepts. */
static void say(const struct probe_attest *attest, struct attestation *out)
{
    struct probe *probe = attest->probe;
    const struct probe_request *request = attest->request;
    const struct probe_attest_memory *memory = attest->memory;
    const enum err_code code = probe->attested.code;
    const bool last = memcmp(memory->last, probe->attested.key, sizeof memory->last) == 0;
    const char *why = last && memory->why[0] ? memory->why : err_info(code)->what;

    if (code == ERR_NONE)
        return;
    (void)snprintf(probe->reason, sizeof probe->reason, "%s: %s", err_info(code)->name, why);
    if (out->err.code == ERR_NONE)
        (void)err_set(&out->err, code, NULL, "%s", why);
    if (request->attests || request->config->attest == ATTEST_REQUIRE)
        probe->verdict = PROBE_UNATTESTED;
}

/* Whether it came to the question, and what came of that says nothing of the identity. */
static bool was_asked(const struct probe_attest *attest, const struct http_response *response)
{
    const enum probe_verdict verdict = attest->probe->verdict;

    if (!attest->asked)
        return false;
    if (verdict == PROBE_ACCEPTED || verdict == PROBE_DOUBTED)
        return true;
    return (verdict == PROBE_SILENT || verdict == PROBE_UNREACHABLE) && !attest->request->attests &&
           response->stage == HTTP_STAGE_ANSWER && response->result != HTTP_CLOSED;
}

bool probe_attest_take(struct probe_attest *attest, const struct http_response *response,
                       struct attestation *out)
{
    struct probe *probe = attest->probe;
    bool again = attest->judged && response->result == HTTP_CLOSED;

    if (!attest->memory)
        return false;
    if (was_asked(attest, response)) {
        probe_attest_judge(attest, response, out);
        again = !attest->request->attests || probe->verdict == PROBE_DOUBTED;
    }
    if (again) {
        attest->memory->waited_ms += response->waited_ms;
        probe->closes = 0;
    } else if (probe->verdict == PROBE_ACCEPTED) {
        say(attest, out);
    }
    return again;
}
