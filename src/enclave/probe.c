/* SPDX-License-Identifier: Apache-2.0 */
#include "enclave/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "config/config.h"
#include "enclave/probe_attest.h"
#include "enclave/probe_memory.h"
#include "enclave/probe_verdict.h"
#include "identity/identity.h"
#include "net/http.h"

enum { PAUSE_MS = 400 }; /* between closes */

struct batch {
    const struct probe_request *request;
    struct probe *probes;
    struct probe_attest_memory *attests; /* NULL: nobody is asked for an attestation */
    size_t next;                         /* from the first on */
    size_t asked, starved; /* how many there were, and for how many there was no room */
    enum http_result lack; /* and of what */
    int lack_error;
    bool again; /* some have to be asked once more */
};

/* One endpoint's request with the text that it points to. */
struct question {
    struct probe_attest attest;
    char url[640];
    char connect_to[288];
    struct tls_policy policy;
};

static bool is_ipv6(const char *host)
{
    return strchr(host, ':') != NULL;
}

static const char *path_of(const struct config *config, const struct endpoint *endpoint)
{
    if (config->request)
        return config->request;
    return endpoint->path[0] ? endpoint->path : config->health_path;
}

static enum tls_versions versions_of(const struct config *config)
{
    switch (config->tls_versions) {
    case TLS_CHOICE_13: return TLS_13;
    case TLS_CHOICE_12: return TLS_12;
    case TLS_CHOICE_BOTH: break;
    }
    return TLS_12_OR_13;
}

static const char *attest_path(void *note, struct bytes leaf, size_t *body_max)
{
    const char *path = probe_attest_path(&((struct question *)note)->attest, leaf);

    if (path)
        *body_max = ATTESTATION_TEXT_MAX;
    return path;
}

static void take_attestation(void *note, const struct http_response *response)
{
    struct attestation attestation = {0};

    probe_attest_judge(&((struct question *)note)->attest, response, &attestation);
    attestation_free(&attestation);
}

static void ask_endpoint(const struct probe_request *request, const struct endpoint *endpoint,
                         struct question *question, struct http_request *http)
{
    const struct probe_attest_memory *attests = question->attest.memory;
    const int64_t waited_ms = attests ? attests->waited_ms : 0;

    question->policy = (struct tls_policy){
        .name = endpoint->name,
        .anchors = request->identity->anchors,
        .profile = VERIFY_PRIVATE,
        .allow_cn = request->config->allow_cn,
        .compatible = request->config->compatible_suites,
        .versions = versions_of(request->config),
        .identity = request->identity,
    };
    (void)snprintf(question->url, sizeof question->url,
                   is_ipv6(endpoint->name) ? "https://[%s]:%u%s" : "https://%s:%u%s",
                   endpoint->name, endpoint->port, path_of(request->config, endpoint));
    (void)snprintf(question->connect_to, sizeof question->connect_to,
                   is_ipv6(endpoint->address) ? "[%s]:%u" : "%s:%u", endpoint->address,
                   endpoint->port);
    *http = (struct http_request){
        .method = "GET",
        .url = question->url,
        .tls = &question->policy,
        .sessions = attests ? NULL : request->sessions,
        .connect_to = question->connect_to,
        .path = attests ? attest_path : NULL,
        .between = request->attests ? NULL : take_attestation,
        .body_max = request->body_max,
        .connect_ms = PROBE_CONNECT_MS,
        .total_ms = waited_ms < PROBE_TOTAL_MS ? PROBE_TOTAL_MS - waited_ms : 1,
        .deadline = request->deadline,
    };
}

static void report(const struct probe_request *request, size_t index,
                   const struct http_response *response, const struct probe *probe)
{
    const struct endpoint *endpoint = &request->endpoints[index];
    const struct probe_attested *attested = &probe->attested;
    const char *word =
        attested->asked ? attestation_word(request->config, attested->code, attested->other_root[0])
                        : NULL;
    const bool news =
        !request->memory || probe_memory_take(request->memory, index, response, probe, word);
    const bool good = probe->verdict == PROBE_ACCEPTED && attested->code == ERR_NONE;

    log_event(news ? good ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG, "handshake",
              log_s("endpoint", endpoint->text), log_s("peer", response->peer),
              log_s("result", probe_verdict_name(probe->verdict)), log_s("tls", probe->version),
              log_s("cipher", probe->cipher), log_s("group", probe->group),
              log_s("handshake", probe->handshake), log_n("signatures", probe->signatures),
              log_s("alert", response->alert >= 0 ? tls_alert_name(response->alert) : NULL),
              log_n("status", probe->status ? probe->status : INT64_MIN),
              log_n("dns_ms", probe->dns_ms), log_n("tcp_ms", probe->tcp_ms),
              log_n("tls_ms", probe->tls_ms), log_n("first_byte_ms", probe->first_byte_ms),
              log_s("attestation", word),
              log_s("root", attested->other_root[0] ? attested->other_root : NULL),
              log_s("reason", probe->reason[0] ? probe->reason : NULL));
}

static size_t index_of(const struct probe_request *request, size_t number)
{
    return (request->first + number) % request->count;
}

static bool next(void *user, struct http_request *http, void *note)
{
    struct batch *batch = user;
    const struct probe_request *request = batch->request;
    struct question *question = note;
    size_t index;

    while (batch->next < request->count &&
           batch->probes[index_of(request, batch->next)].verdict != PROBE_UNASKED)
        batch->next++;
    if (batch->next == request->count || clock_left(request->deadline) == 0)
        return false;
    index = index_of(request, batch->next++);
    question->attest = (struct probe_attest){
        .request = request,
        .memory = batch->attests ? &batch->attests[index] : NULL,
        .index = index,
        .probe = &batch->probes[index],
    };
    ask_endpoint(request, &request->endpoints[index], question, http);
    if (request->memory && probe_memory_full_only(request->memory, index))
        http->sessions = NULL;
    http->renew = request->memory && request->memory->endpoints[index].renew;
    return true;
}

/* It is to be asked once more, and what the last answer said counts no more. */
static void ask_again(struct batch *batch, struct probe *probe)
{
    probe->verdict = PROBE_UNASKED;
    probe->reason[0] = '\0';
    probe->handshake = NULL;
    probe->resumed = false;
    batch->again = true;
}

/*
 * A network can close a connection as well as a server can: it takes some in a row, each on a new
 * connection, before that says something of the identity. Until then the probe is open again.
 */
static bool is_to_be_confirmed(const struct probe_request *request,
                               const struct http_response *response, struct probe *probe)
{
    if (response->result != HTTP_CLOSED ||
        (probe->verdict != PROBE_REFUSED && probe->verdict != PROBE_DOUBTED)) {
        probe->closes = 0;
        return false;
    }
    if (++probe->closes == PROBE_CLOSES)
        return false;
    if (clock_left(request->deadline) > PAUSE_MS)
        return true;
    probe->verdict = PROBE_UNREACHABLE;
    http_reason(response, probe->reason, sizeof probe->reason);
    return false;
}

/* Nothing is known of it, and it is nobody's fault. */
static void leave_unasked(struct probe *probe, const char *reason)
{
    *probe = (struct probe){
        .verdict = PROBE_UNASKED, .dns_ms = -1, .tcp_ms = -1, .tls_ms = -1, .first_byte_ms = -1};
    (void)snprintf(probe->reason, sizeof probe->reason, "%s", reason);
}

static void done(void *user, struct http_response *response, void *note)
{
    struct batch *batch = user;
    const struct probe_request *request = batch->request;
    struct probe_attest *attest = &((struct question *)note)->attest;
    struct probe *probe = attest->probe;
    struct attestation attestation = {0};
    struct probe_answer answer = {
        .chain = response->chain,
        .chain_count = response->chain_count,
        .body = buf_bytes(&response->body),
        .date = response->date,
        .cut = response->result == HTTP_TOO_LARGE || response->result == HTTP_BROKEN,
    };

    batch->asked++;
    if (response->result == HTTP_NO_MEMORY || response->result == HTTP_NO_DESCRIPTORS ||
        response->result == HTTP_NO_THREADS) {
        batch->starved++;
        batch->lack = response->result;
        batch->lack_error = response->os_error;
        leave_unasked(probe, http_result_text(response->result));
        return;
    }
    if (response->cut) {
        leave_unasked(probe, "the time was up before it had answered");
        return;
    }
    probe_judge(request->config, response, probe);
    if (probe->resumed && (probe->verdict == PROBE_REFUSED || probe->verdict == PROBE_DOUBTED)) {
        if (request->memory)
            probe_memory_refused(request->memory, attest->index);
        ask_again(batch, probe); /* the session is forgotten */
        return;
    }
    if ((!attest->judged && is_to_be_confirmed(request, response, probe)) ||
        probe_attest_take(attest, response, &attestation)) {
        ask_again(batch, probe);
        attestation_free(&attestation);
        return;
    }
    if (request->attests &&
        (probe->verdict == PROBE_ACCEPTED || probe->verdict == PROBE_UNATTESTED))
        answer.attestation = &attestation;
    report(request, attest->index, response, probe);
    if (request->told)
        request->told(request->user, &request->endpoints[attest->index], probe, &answer);
    attestation_free(&attestation);
}

static size_t count_unasked(const struct probe_request *request, const struct probe *probes)
{
    size_t i, count = 0;

    for (i = 0; i < request->count; i++)
        count += probes[i].verdict == PROBE_UNASKED;
    return count;
}

/* Whose turn did not come, or not for long enough. */
static void log_unasked(const struct probe_request *request, struct probe *probes)
{
    static const struct probe_answer none = {.date = ""};
    const size_t count = count_unasked(request, probes);
    size_t i;

    if (count == 0)
        return;
    for (i = 0; i < request->count; i++) {
        if (probes[i].verdict != PROBE_UNASKED)
            continue;
        if (!probes[i].reason[0])
            leave_unasked(&probes[i], "the time was up before it was asked");
        if (request->told)
            request->told(request->user, &request->endpoints[i], &probes[i], &none);
    }
    log_event(LOG_LEVEL_WARNING, "unasked", log_n("endpoints", (int64_t)count),
              log_n("of", (int64_t)request->count),
              log_n("left_ms", clock_left(request->deadline)));
}

static int lacks_room(struct err *err)
{
    return err_set(err, ERR_MEMORY_FULL, NULL, "no room to ask an endpoint");
}

/* Else it would look as if no enclave could be reached, which lets an identity pass. */
static int lacks_all(const struct batch *batch, struct err *err)
{
    if (batch->lack == HTTP_NO_MEMORY)
        return lacks_room(err);
    if (batch->lack == HTTP_NO_THREADS)
        return err_set(err, ERR_THREADS_FULL, NULL, "none to look an endpoint's name up");
    return err_set(err, ERR_DESCRIPTORS_FULL, "socket", "%s", strerror(batch->lack_error));
}

int probe_endpoints(const struct probe_request *request, struct probe *probes, struct err *err)
{
    struct batch batch = {.request = request, .probes = probes};
    struct http_batch run = {
        .next = next,
        .done = done,
        .user = &batch,
        .note_size = sizeof(struct question),
        .parallel = request->parallel,
        .count = count_unasked(request, probes),
    };
    struct http *http;
    int result;

    if (probe_attest_wanted(request)) {
        batch.attests = calloc(request->count + 1, sizeof *batch.attests);
        if (!batch.attests)
            return lacks_room(err);
    }
    http = http_new(false, err);
    result = http ? http_run(http, &run, err) : -1;
    while (result == 0 && batch.again) {
        batch.again = false;
        batch.next = 0;
        run.count = count_unasked(request, probes);
        clock_sleep(PAUSE_MS, request->deadline);
        result = http_run(http, &run, err);
    }
    http_free(http);
    free(batch.attests);
    if (result == 0 && batch.asked > 0 && batch.starved == batch.asked)
        return lacks_all(&batch, err);
    if (result == 0)
        log_unasked(request, probes);
    return result;
}
