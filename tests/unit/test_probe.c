/* SPDX-License-Identifier: Apache-2.0 */
/* What an endpoint's answer is taken for, and which are asked when. Answers are a list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bearssl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "config/config.h"
#include "enclave/attestation.h"
#include "enclave/probe.h"
#include "identity/identity.h"
#include "net/http.h"
#include "samples.h"
#include "x509/cert.h"

enum { ENDPOINTS = 3, ASKED_MAX = 16, TIME_MS = 60000, PAUSE_MS = 400 };

/* How far a connection came with the identity. */
enum seen {
    LEFT = 1,
    SENT = 2,
    FINISHED = 4,
    RENEGOTIATED = 8,
    NOT_ASKED = 16,
    CUT = 32,
    STAYS = 64
};

struct reply {
    enum http_result result;
    enum http_stage stage;
    uint16_t version;
    unsigned seen;
    int status, alert;
};

static const struct reply accepts = {
    HTTP_ANSWERED, HTTP_STAGE_ANSWER, TLS_VERSION_13, LEFT | SENT | FINISHED | STAYS, 200, -1};
static const struct reply once = {HTTP_ANSWERED,
                                  HTTP_STAGE_ANSWER,
                                  TLS_VERSION_13,
                                  LEFT | SENT | FINISHED,
                                  200,
                                  -1}; /* and then it closes */
static const struct reply closes = {HTTP_CLOSED, HTTP_STAGE_TLS, TLS_VERSION_12, LEFT | SENT, 0,
                                    -1};

static struct script {
    const struct reply *replies[ENDPOINTS];
    size_t counts[ENDPOINTS]; /* the last one is for good */
    const struct bytes *chain;
    const struct bytes *chains; /* one for each connection, in place of that */
    int64_t cost_ms;            /* what each takes */
    int tls_error;              /* BearSSL's, of each */
    bool fails;
} script;

static struct config config;
static struct endpoint endpoints[ENDPOINTS];
static struct identity identity;
static struct probe_request request;
static struct probe probes[ENDPOINTS];
static struct err err;

/* What was asked. */
static struct {
    size_t endpoint;
    char url[128], connect_to[64];
    struct http_request http;
    struct tls_policy policy;
} asked[ASKED_MAX];
static size_t asked_count, asked_of[ENDPOINTS], told[ENDPOINTS], runs, opened, freed;
static struct probe_answer last_answer;
static bool answer_attested;

struct http *__wrap_http_new(bool reuse, struct err *out);
struct http *__wrap_http_new(bool reuse, struct err *out)
{
    static char handle;

    assert_false(reuse); /* each probe has a connection of its own */
    if (script.fails) {
        (void)err_set(out, ERR_SYSTEM, NULL, "no libcurl");
        return NULL;
    }
    opened++;
    return (struct http *)&handle;
}

void __wrap_http_free(struct http *http);
void __wrap_http_free(struct http *http)
{
    freed += http != NULL;
}

static void fill(const struct reply *reply, struct http_response *out)
{
    *out = (struct http_response){
        .result = reply->result,
        .stage = reply->stage,
        .status = reply->status,
        .alert = reply->alert,
        .cut = reply->seen & CUT,
        .os_error = EMFILE,
        .waited_ms = script.cost_ms,
        .tls_error = script.tls_error,
        .chain = script.chain,
        .chain_count = script.chain != NULL,
        .timing = {.dns = 2000,
                   .tcp = reply->stage > HTTP_STAGE_TCP ? 5000 : 0,
                   .tls = reply->stage > HTTP_STAGE_TLS ? 9000 : 0,
                   .first_byte = reply->status ? 14000 : 0},
        .tls = {.version = reply->version,
                .certificate_requested = !(reply->seen & (NOT_ASKED | RENEGOTIATED)),
                .certificate_left = reply->seen & LEFT,
                .certificate_sent = reply->seen & SENT,
                .authenticated = reply->seen & FINISHED,
                .renegotiation = reply->seen & RENEGOTIATED,
                .signatures = 1,
                .has_exporter = reply->version == TLS_VERSION_13,
                .exporter = {7},
                .curve = 29,
                .cipher_suite = 0x1301},
    };
}

/* The next answer that an endpoint gives to this path, over whatever connection. */
static const struct reply *next_answer(size_t i, const struct http_request *http, const char *path,
                                       struct http_response *response)
{
    const struct reply *reply =
        &script.replies[i][asked_of[i] < script.counts[i] ? asked_of[i] : script.counts[i] - 1];

    assert_in_range(asked_count, 0, ASKED_MAX - 1);
    asked[asked_count].endpoint = i;
    (void)snprintf(asked[asked_count].url, sizeof asked->url, "%s", path ? path : http->url);
    (void)snprintf(asked[asked_count].connect_to, sizeof asked->connect_to, "%s", http->connect_to);
    asked[asked_count].policy = *http->tls;
    asked[asked_count++].http = *http;
    asked_of[i]++;
    fill(reply, response);
    clock_sleep(script.cost_ms, INT64_MAX);
    return reply;
}

/* One connection: the path that is chosen, and the URL's over the same one where it stays. */
static void connect_once(size_t i, struct http_request *http, void *note,
                         struct http_response *response)
{
    const size_t n = asked_of[i] < script.counts[i] ? asked_of[i] : script.counts[i] - 1;
    const struct reply *reply;
    const char *path = NULL;

    if (script.chains)
        script.chain = script.chains++;
    if (http->path && script.replies[i][n].stage == HTTP_STAGE_ANSWER)
        path = http->path(note, script.chain ? *script.chain : (struct bytes){0}, &http->body_max);
    reply = next_answer(i, http, path, response);
    if (path && http->between && (reply->seen & STAYS)) {
        http->between(note, response);
        (void)next_answer(i, http, NULL, response);
    }
}

int __wrap_http_run(struct http *http, const struct http_batch *batch, struct err *out);
int __wrap_http_run(struct http *http, const struct http_batch *batch, struct err *out)
{
    void *note = calloc(1, batch->note_size);
    struct http_request http_request;
    size_t took = 0;

    (void)http;
    (void)out;
    assert_non_null(note);
    runs++;
    assert_int_equal(batch->parallel, request.parallel);
    while (batch->next(batch->user, &http_request, note)) {
        struct http_response response;
        size_t i = 0;

        took++;
        while (strstr(http_request.url, endpoints[i].name) == NULL)
            i++;
        connect_once(i, &http_request, note, &response);
        batch->done(batch->user, &response, note);
    }
    assert_in_range(batch->count, took, ENDPOINTS);
    free(note);
    return 0;
}

static struct judgement {
    enum err_code code;
    bool other_root, exported;
    size_t count;
} judgement;

int __wrap_attestation_judge(const struct config *of, const struct attestation_question *question,
                             const struct attestation_channel *channel, struct bytes text,
                             struct attestation *out);
int __wrap_attestation_judge(const struct config *of, const struct attestation_question *question,
                             const struct attestation_channel *channel, struct bytes text,
                             struct attestation *out)
{
    (void)text;
    assert_ptr_equal(of, &config);
    assert_non_null(question);
    assert_ptr_equal(channel->leaf.data, script.chain ? script.chain->data : NULL);
    judgement.count++;
    judgement.exported =
        channel->exporter.len == TLS_EXPORTER_SIZE && channel->exporter.data[0] == 7;
    out->read = true;
    assert_int_equal(buf_append_text(&out->text, "the document"), 0);
    out->root.other = judgement.other_root;
    (void)snprintf(out->root.fingerprint, sizeof out->root.fingerprint, "root");
    return judgement.code == ERR_NONE ? 0 : err_set(&out->err, judgement.code, NULL, "why not");
}

static void tell(void *user, const struct endpoint *endpoint, const struct probe *probe,
                 const struct probe_answer *answer)
{
    assert_ptr_equal(user, told);
    assert_ptr_equal(probe, &probes[endpoint - endpoints]);
    told[endpoint - endpoints]++;
    last_answer = *answer;
    answer_attested = answer->attestation != NULL;
}

static int setup(void **state)
{
    size_t i;

    (void)state;
    config = (struct config){.health_path = "/health", .attest_interval_ms = 1000};
    script = (struct script){.cost_ms = 1};
    judgement = (struct judgement){.code = ERR_NONE};
    identity = (struct identity){.client.chain_count = 1};
    for (i = 0; i < ENDPOINTS; i++) {
        endpoints[i] = (struct endpoint){.port = 443};
        (void)snprintf(endpoints[i].name, sizeof endpoints[i].name, "e%zu.test", i);
        (void)snprintf(endpoints[i].address, sizeof endpoints[i].address, "192.0.2.%zu", i);
        (void)snprintf(endpoints[i].text, sizeof endpoints[i].text, "e%zu.test:443", i);
        script.replies[i] = &accepts;
        script.counts[i] = 1;
    }
    request = (struct probe_request){
        .config = &config,
        .endpoints = endpoints,
        .count = ENDPOINTS,
        .identity = &identity,
        .parallel = 7,
        .body_max = 4096,
        .deadline = clock_ms() + TIME_MS,
        .told = tell,
        .user = told,
    };
    return 0;
}

static int ask(void)
{
    struct arena_stats before, after;
    int result;

    asked_count = runs = opened = freed = 0;
    memset(asked_of, 0, sizeof asked_of);
    memset(told, 0, sizeof told);
    arena_stats(&before);
    result = probe_endpoints(&request, probes, &err);
    arena_stats(&after);
    assert_int_equal(after.in_use, before.in_use);
    assert_int_equal(freed, opened);
    return result;
}

static void ask_all(void)
{
    memset(probes, 0, sizeof probes);
    assert_int_equal(ask(), 0);
}

/* The one endpoint's probe by these answers. */
static const struct probe *probe_of(const struct reply *replies, size_t count)
{
    request.count = 1;
    script.replies[0] = replies;
    script.counts[0] = count;
    ask_all();
    assert_int_equal(told[0], 1);
    return &probes[0];
}

#define TLS12 TLS_VERSION_12
#define TLS13 TLS_VERSION_13

/* docs/verification.md, row by row. */
static const struct {
    struct reply reply;
    enum probe_verdict verdict;
    bool authenticated;
    const char *says;
} rows[] = {
    /* TLS 1.2: before our certificate has left */
    {{HTTP_ALERT, HTTP_STAGE_TLS, TLS12, 0, 0, 40}, PROBE_UNREACHABLE, false, ""},
    {{HTTP_ALERT, HTTP_STAGE_TLS, 0, NOT_ASKED, 0, 40}, PROBE_UNREACHABLE, false, ""},
    {{HTTP_TIMEOUT, HTTP_STAGE_TLS, TLS12, 0, 0, -1}, PROBE_UNREACHABLE, false, ""},
    {{HTTP_TLS_FAILED, HTTP_STAGE_TLS, TLS12, LEFT, 0, -1}, PROBE_UNREACHABLE, false, ""},
    /* after it */
    {{HTTP_ALERT, HTTP_STAGE_TLS, TLS12, LEFT | SENT, 0, 39}, PROBE_UNREACHABLE, false, ""},
    {{HTTP_ALERT, HTTP_STAGE_TLS, TLS12, LEFT | SENT, 0, 40}, PROBE_REFUSED, false, ""},
    {{HTTP_ALERT, HTTP_STAGE_TLS, TLS12, LEFT | SENT, 0, 42}, PROBE_REFUSED, false, ""},
    {{HTTP_ALERT, HTTP_STAGE_TLS, TLS12, LEFT | SENT, 0, 49}, PROBE_REFUSED, false, ""},
    {{HTTP_ALERT, HTTP_STAGE_TLS, TLS12, LEFT | SENT, 0, 50}, PROBE_REFUSED, false, ""},
    {{HTTP_ALERT, HTTP_STAGE_TLS, TLS12, LEFT | SENT, 0, 51}, PROBE_UNREACHABLE, false, ""},
    {{HTTP_ALERT, HTTP_STAGE_TLS, TLS12, LEFT | SENT, 0, 80}, PROBE_UNREACHABLE, false, ""},
    {{HTTP_ALERT, HTTP_STAGE_TLS, TLS12, LEFT | SENT, 0, 115}, PROBE_UNREACHABLE, false, ""},
    {{HTTP_ALERT, HTTP_STAGE_TLS, TLS12, LEFT | SENT, 0, 116}, PROBE_REFUSED, false, ""},
    {{HTTP_ALERT, HTTP_STAGE_TLS, TLS12, LEFT | SENT, 0, 117}, PROBE_UNREACHABLE, false, ""},
    {{HTTP_TIMEOUT, HTTP_STAGE_TLS, TLS12, LEFT | SENT, 0, -1}, PROBE_SILENT, false, ""},
    {{HTTP_TIMEOUT, HTTP_STAGE_ANSWER, TLS12, LEFT | SENT, 0, -1}, PROBE_UNREACHABLE, false, ""},
    {{HTTP_ALERT, HTTP_STAGE_ANSWER, TLS12, LEFT | SENT, 0, 46}, PROBE_REFUSED, false, ""},
    /* TLS 1.3: under keys that prove the server, and not */
    {{HTTP_ALERT, HTTP_STAGE_ANSWER, TLS13, LEFT | SENT, 0, 46}, PROBE_UNREACHABLE, false, ""},
    {{HTTP_ALERT, HTTP_STAGE_ANSWER, TLS13, LEFT | SENT | FINISHED, 0, 46},
     PROBE_REFUSED,
     true,
     ""},
    {{HTTP_ALERT, HTTP_STAGE_ANSWER, TLS13, LEFT | SENT | FINISHED, 0, 80},
     PROBE_UNREACHABLE,
     false,
     ""},
    /* an answer */
    {{HTTP_ANSWERED, HTTP_STAGE_ANSWER, TLS12, LEFT | SENT, 200, -1}, PROBE_ACCEPTED, false, NULL},
    {{HTTP_ANSWERED, HTTP_STAGE_ANSWER, TLS13, LEFT | SENT, 404, -1}, PROBE_ACCEPTED, false, NULL},
    {{HTTP_ANSWERED, HTTP_STAGE_ANSWER, TLS13, LEFT | SENT, 503, -1}, PROBE_ACCEPTED, false, NULL},
    {{HTTP_BROKEN, HTTP_STAGE_ANSWER, TLS13, LEFT | SENT, 200, -1}, PROBE_ACCEPTED, false, NULL},
    {{HTTP_TOO_LARGE, HTTP_STAGE_ANSWER, TLS13, LEFT | SENT, 200, -1}, PROBE_ACCEPTED, false, NULL},
    {{HTTP_BROKEN, HTTP_STAGE_ANSWER, TLS13, LEFT | SENT, 0, -1}, PROBE_UNREACHABLE, false, ""},
    {{HTTP_ALERT, HTTP_STAGE_ANSWER, TLS12, LEFT | SENT, 200, 46}, PROBE_ACCEPTED, false, NULL},
    {{HTTP_ANSWERED, HTTP_STAGE_ANSWER, TLS12, LEFT | SENT, 400, -1},
     PROBE_DOUBTED,
     true,
     "HTTP 400"},
    {{HTTP_ANSWERED, HTTP_STAGE_ANSWER, TLS12, LEFT | SENT, 401, -1},
     PROBE_DOUBTED,
     true,
     "HTTP 401"},
    {{HTTP_ANSWERED, HTTP_STAGE_ANSWER, TLS12, LEFT | SENT, 402, -1}, PROBE_ACCEPTED, false, NULL},
    {{HTTP_ANSWERED, HTTP_STAGE_ANSWER, TLS12, LEFT | SENT, 403, -1},
     PROBE_DOUBTED,
     true,
     "HTTP 403"},
    {{HTTP_ANSWERED, HTTP_STAGE_ANSWER, TLS12, LEFT | SENT, 494, -1}, PROBE_ACCEPTED, false, NULL},
    {{HTTP_ANSWERED, HTTP_STAGE_ANSWER, TLS12, LEFT | SENT, 495, -1},
     PROBE_DOUBTED,
     true,
     "HTTP 495"},
    {{HTTP_ANSWERED, HTTP_STAGE_ANSWER, TLS12, LEFT | SENT, 496, -1},
     PROBE_DOUBTED,
     true,
     "HTTP 496"},
    {{HTTP_ANSWERED, HTTP_STAGE_ANSWER, TLS12, LEFT | SENT, 497, -1}, PROBE_ACCEPTED, false, NULL},
    /* at any time */
    {{HTTP_ANSWERED, HTTP_STAGE_ANSWER, TLS13, NOT_ASKED, 200, -1},
     PROBE_NOT_MUTUAL,
     false,
     "no client certificate"},
    {{HTTP_ANSWERED, HTTP_STAGE_ANSWER, TLS12, RENEGOTIATED, 200, -1},
     PROBE_NOT_MUTUAL,
     false,
     "by renegotiation"},
    {{HTTP_TIMEOUT, HTTP_STAGE_ANSWER, TLS12, RENEGOTIATED, 0, -1},
     PROBE_NOT_MUTUAL,
     false,
     "by renegotiation"},
    {{HTTP_ANSWERED, HTTP_STAGE_ANSWER, TLS13, 0, 200, -1},
     PROBE_UNREACHABLE,
     false,
     "no SHA-2 signature"},
    {{HTTP_UNTRUSTED, HTTP_STAGE_TLS, TLS12, 0, 0, -1}, PROBE_UNTRUSTED, false, ""},
    {{HTTP_UNRESOLVED, HTTP_STAGE_DNS, 0, NOT_ASKED, 0, -1},
     PROBE_UNREACHABLE,
     false,
     "not resolved"},
    {{HTTP_UNREACHABLE, HTTP_STAGE_TCP, 0, NOT_ASKED, 0, -1}, PROBE_UNREACHABLE, false, ""},
};

static void each_row_of_the_page(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct probe *probe = probe_of(&rows[i].reply, 1);

        if (probe->verdict != rows[i].verdict || probe->authenticated != rows[i].authenticated)
            fail_msg("row %zu: %s, %d", i, probe_verdict_name(probe->verdict),
                     probe->authenticated);
        assert_int_equal(probe->reason[0] != '\0', rows[i].says != NULL);
        if (rows[i].says && !strstr(probe->reason, rows[i].says))
            fail_msg("row %zu says: %s", i, probe->reason);
        assert_int_equal(asked_count, 1);
        assert_int_equal(probe->handshake != NULL, rows[i].reply.stage > HTTP_STAGE_TLS);
        assert_int_equal(probe->tcp_ms, rows[i].reply.stage > HTTP_STAGE_TCP ? 3 : -1);
        assert_int_equal(probe->tls_ms, rows[i].reply.stage > HTTP_STAGE_TLS ? 4 : -1);
        assert_int_equal(probe->first_byte_ms, rows[i].reply.status ? 5 : -1);
    }
}

static void not_mutual_passes_where_it_is_allowed(void **state)
{
    const struct reply reply = {HTTP_ANSWERED, HTTP_STAGE_ANSWER, TLS13, NOT_ASKED, 200, -1};

    (void)state;
    config.allow_not_mutual = true;
    assert_int_equal(probe_of(&reply, 1)->verdict, PROBE_ACCEPTED);
}

/* Three closes in a row, each on a new connection, and 400 ms between them. */
static void closes_count_when_they_repeat_themselves(void **state)
{
    const struct reply thrice[] = {closes, closes, accepts};
    struct reply late = closes, early = closes;
    int64_t begun = clock_ms();

    (void)state;
    assert_int_equal(probe_of(&closes, 1)->verdict, PROBE_REFUSED);
    assert_false(probes[0].authenticated);
    assert_non_null(strstr(probes[0].reason, "within the handshake, each of 3 times"));
    assert_int_equal(asked_count, 3);
    assert_int_equal(clock_ms() - begun, 2 * PAUSE_MS + 3 * script.cost_ms);
    assert_int_equal(probe_of(thrice, 3)->verdict, PROBE_ACCEPTED);
    assert_int_equal(probes[0].closes, 0);
    assert_string_equal(probes[0].reason, "");
    late.stage = HTTP_STAGE_ANSWER;
    assert_int_equal(probe_of(&late, 1)->verdict, PROBE_DOUBTED);
    assert_false(probes[0].authenticated);
    assert_non_null(strstr(probes[0].reason, "without an answer, each of 3 times"));
    early.version = TLS13; /* in 1.3 it has not looked at the certificate yet */
    assert_int_equal(probe_of(&early, 1)->verdict, PROBE_DOUBTED);
    early.seen = 0;
    assert_int_equal(probe_of(&early, 1)->verdict, PROBE_UNREACHABLE);
    assert_int_equal(asked_count, 1);
}

static void what_has_a_remedy_of_its_own_is_told_apart(void **state)
{
    static const struct {
        struct reply reply;
        int tls_error;
        enum err_code cause;
    } causes[] = {
        {{HTTP_TLS_FAILED, HTTP_STAGE_TLS, 0, NOT_ASKED, 0, -1},
         BR_ERR_UNSUPPORTED_VERSION,
         CAUSE_ENCLAVE_PLAIN},
        {{HTTP_TLS_FAILED, HTTP_STAGE_TLS, 0, NOT_ASKED, 0, -1},
         BR_ERR_UNKNOWN_TYPE,
         CAUSE_ENCLAVE_PLAIN},
        {{HTTP_TLS_FAILED, HTTP_STAGE_TLS, 0, NOT_ASKED, 0, -1}, BR_ERR_BAD_MAC, ERR_NONE},
        {{HTTP_UNRESOLVED, HTTP_STAGE_DNS, 0, NOT_ASKED, 0, -1}, 0, CAUSE_ENCLAVE_DNS},
        {{HTTP_UNREACHABLE, HTTP_STAGE_TCP, 0, NOT_ASKED, 0, -1}, 0, ERR_NONE},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof causes / sizeof causes[0]; i++) {
        script.tls_error = causes[i].tls_error;
        assert_int_equal(probe_of(&causes[i].reply, 1)->verdict, PROBE_UNREACHABLE);
        if (probes[0].cause != causes[i].cause)
            fail_msg("row %zu", i);
    }
}

static void closes_that_cannot_be_confirmed_count_for_nothing(void **state)
{
    (void)state;
    request.deadline = clock_ms() + script.cost_ms + PAUSE_MS;
    assert_int_equal(probe_of(&closes, 1)->verdict, PROBE_UNREACHABLE);
    assert_int_equal(asked_count, 1);
    assert_true(probes[0].reason[0]);
    request.deadline = clock_ms() + script.cost_ms + PAUSE_MS + 1;
    (void)probe_of(&closes, 1);
    assert_int_equal(asked_count, 2);
}

static void only_those_that_are_open_are_asked_from_the_first_on(void **state)
{
    (void)state;
    request.first = 2;
    ask_all();
    assert_int_equal(asked_count, ENDPOINTS);
    assert_int_equal(asked[0].endpoint, 2);
    assert_int_equal(asked[1].endpoint, 0);
    assert_int_equal(asked[2].endpoint, 1);
    probes[0].verdict = probes[1].verdict = PROBE_UNASKED;
    probes[2].verdict = PROBE_REFUSED;
    assert_int_equal(ask(), 0);
    assert_int_equal(asked_count, 2);
    assert_int_equal(probes[2].verdict, PROBE_REFUSED);
    assert_int_equal(told[2], 0);
}

static void where_the_time_is_up_a_probe_stays_unasked(void **state)
{
    (void)state;
    script.cost_ms = 10;
    request.deadline = clock_ms() + 20;
    ask_all();
    assert_int_equal(asked_count, 2);
    assert_int_equal(probes[2].verdict, PROBE_UNASKED);
    assert_string_equal(probes[2].reason, "the time was up before it was asked");
    assert_int_equal(probes[2].tls_ms, -1);
    assert_int_equal(told[2], 1);
    assert_int_equal(told[0], 1);
}

static void an_answer_that_was_cut_off_tells_nothing(void **state)
{
    const struct reply cut = {HTTP_TIMEOUT, HTTP_STAGE_TLS, TLS12, LEFT | SENT | CUT, 0, -1};

    (void)state;
    assert_int_equal(probe_of(&cut, 1)->verdict, PROBE_UNASKED);
    assert_string_equal(probes[0].reason, "the time was up before it had answered");
    assert_int_equal(probes[0].dns_ms, -1);
    assert_int_equal(told[0], 1);
}

static void a_shortage_of_all_is_an_error(void **state)
{
    static const struct {
        enum http_result result;
        enum err_code code;
    } cases[] = {{HTTP_NO_MEMORY, ERR_MEMORY_FULL},
                 {HTTP_NO_THREADS, ERR_THREADS_FULL},
                 {HTTP_NO_DESCRIPTORS, ERR_DESCRIPTORS_FULL}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct reply reply = {cases[i].result, HTTP_STAGE_DNS, 0, NOT_ASKED, 0, -1};

        script.replies[0] = script.replies[1] = script.replies[2] = &reply;
        memset(probes, 0, sizeof probes);
        assert_int_equal(ask(), -1);
        assert_int_equal(err.code, cases[i].code);
        script.replies[1] = &accepts; /* of some, it is their turn that did not come */
        ask_all();
        assert_int_equal(probes[0].verdict, PROBE_UNASKED);
        assert_int_equal(probes[1].verdict, PROBE_ACCEPTED);
        assert_true(probes[0].reason[0]);
        assert_int_equal(told[0], 1);
    }
    assert_string_equal(err.reason, strerror(EMFILE));
    script.fails = true;
    memset(probes, 0, sizeof probes);
    assert_int_equal(ask(), -1);
    assert_int_equal(err.code, ERR_SYSTEM);
}

static void nothing_to_ask_is_no_error(void **state)
{
    (void)state;
    request.count = 0;
    ask_all();
    assert_int_equal(asked_count, 0);
}

static void the_request_is_what_is_configured(void **state)
{
    (void)state;
    (void)snprintf(endpoints[1].path, sizeof endpoints[1].path, "/own");
    endpoints[1].port = 8443;
    (void)snprintf(endpoints[2].name, sizeof endpoints[2].name, "2001:db8::1");
    (void)snprintf(endpoints[2].address, sizeof endpoints[2].address, "2001:db8::2");
    config.allow_cn = true;
    config.tls_versions = TLS_CHOICE_12;
    ask_all();
    assert_string_equal(asked[0].url, "https://e0.test:443/health");
    assert_string_equal(asked[0].connect_to, "192.0.2.0:443");
    assert_string_equal(asked[1].url, "https://e1.test:8443/own");
    assert_string_equal(asked[1].connect_to, "192.0.2.1:8443");
    assert_string_equal(asked[2].url, "https://[2001:db8::1]:443/health");
    assert_string_equal(asked[2].connect_to, "[2001:db8::2]:443");
    assert_string_equal(asked[0].http.method, "GET");
    assert_int_equal(asked[0].http.body_max, 4096);
    assert_int_equal(asked[0].http.connect_ms, PROBE_CONNECT_MS);
    assert_int_equal(asked[0].http.total_ms, PROBE_TOTAL_MS);
    assert_int_equal(asked[0].http.deadline, request.deadline);
    assert_ptr_equal(asked[0].policy.name, endpoints[0].name);
    assert_ptr_equal(asked[0].policy.identity, &identity);
    assert_int_equal(asked[0].policy.profile, VERIFY_PRIVATE);
    assert_true(asked[0].policy.allow_cn);
    assert_int_equal(asked[0].policy.versions, TLS_12);
    config.request = "/asked";
    config.tls_versions = TLS_CHOICE_13;
    ask_all();
    assert_string_equal(asked[1].url, "https://e1.test:8443/asked");
    assert_int_equal(asked[0].policy.versions, TLS_13);
    config.tls_versions = TLS_CHOICE_BOTH;
    ask_all();
    assert_int_equal(asked[0].policy.versions, TLS_12_OR_13);
}

static void a_probe_tells_how_it_went(void **state)
{
    const struct reply broken = {HTTP_BROKEN, HTTP_STAGE_ANSWER, TLS13, LEFT | SENT, 200, -1};
    const struct probe *probe = probe_of(&accepts, 1);

    (void)state;
    assert_int_equal(probe->dns_ms, 2);
    assert_int_equal(probe->tcp_ms, 3);
    assert_int_equal(probe->tls_ms, 4);
    assert_int_equal(probe->first_byte_ms, 5);
    assert_int_equal(probe->status, 200);
    assert_int_equal(probe->signatures, 1);
    assert_string_equal(probe->version, "1.3");
    assert_string_equal(probe->group, "X25519");
    assert_string_equal(probe->cipher, "TLS_AES_128_GCM_SHA256");
    assert_string_equal(probe->handshake, "full");
    assert_false(last_answer.cut);
    assert_false(answer_attested);
    (void)probe_of(&broken, 1);
    assert_true(last_answer.cut);
}

static void attest(enum attest_policy policy, struct attested *known)
{
    config.attest = policy;
    config.attest_profile = ATTEST_NITRIDING_DAEMON;
    request.known = known;
}

static void an_attestation_is_asked_for_before_the_health_path(void **state)
{
    static const struct bytes chain = {(const uint8_t *)"a certificate", 13};
    const int64_t began = clock_wall();

    (void)state;
    request.sessions = (struct tls_cache *)&config;
    attest(ATTEST_REPORT, NULL);
    script.chain = &chain;
    assert_int_equal(probe_of(&accepts, 1)->verdict, PROBE_ACCEPTED);
    assert_int_equal(asked_count, 2);
    assert_int_equal(runs, 1);           /* over the same connection */
    assert_null(asked[0].http.sessions); /* in full: what is bound is bound to this handshake */
    assert_non_null(strstr(asked[0].url, "/enclave/attestation?nonce="));
    assert_int_equal(asked[0].http.body_max, ATTESTATION_TEXT_MAX);
    assert_string_equal(asked[1].url, "https://e0.test:443/health");
    assert_true(probes[0].attested.asked);
    assert_int_equal(probes[0].attested.code, ERR_NONE);
    assert_in_range(probes[0].attested.at, began, clock_wall());
    assert_string_equal(probes[0].attested.other_root, "");
    assert_int_equal(judgement.count, 1);
    assert_true(judgement.exported);
    config.request = "/asked"; /* whoever asks for something else wants its answer */
    (void)probe_of(&accepts, 1);
    assert_int_equal(judgement.count, 1);
    assert_ptr_equal(asked[0].http.sessions, request.sessions);
    config.attest = ATTEST_OFF;
    config.request = NULL;
    (void)probe_of(&accepts, 1);
    assert_int_equal(judgement.count, 1);
    assert_false(probes[0].attested.asked);
}

/* Who asks what is attested, and nothing else, gets the document. */
static void an_attestation_by_itself(void **state)
{
    struct reply turns[2] = {once, once};

    (void)state;
    config.request = "/asked";
    request.attests = true;
    assert_int_equal(probe_of(&accepts, 1)->verdict, PROBE_ACCEPTED);
    assert_int_equal(asked_count, 1);
    assert_int_equal(judgement.count, 1);
    assert_true(answer_attested);
    assert_false(judgement.exported); /* no certificate came: nothing can be bound to it */
    judgement.code = ERR_ATTEST_EXPIRED;
    assert_int_equal(probe_of(&accepts, 1)->verdict, PROBE_UNATTESTED);
    assert_true(answer_attested);
    turns[0].status = 403; /* is it the route, or the identity? */
    assert_int_equal(probe_of(turns, 2)->verdict, PROBE_UNATTESTED);
    assert_int_equal(asked_count, 2);
    assert_true(answer_attested);
    assert_non_null(strstr(probes[0].reason, "HTTP 403"));
    turns[1].status = 403;
    assert_int_equal(probe_of(turns, 2)->verdict, PROBE_DOUBTED);
    assert_false(answer_attested);
    turns[0] = (struct reply){HTTP_TIMEOUT, HTTP_STAGE_ANSWER, TLS12, LEFT | SENT, 0, -1};
    assert_int_equal(probe_of(turns, 1)->verdict, PROBE_UNREACHABLE);
    assert_int_equal(asked_count, 1);
    assert_false(answer_attested);
}

static void what_is_not_proved_is_reported_or_refused(void **state)
{
    (void)state;
    judgement.code = ERR_ATTEST_EXPIRED;
    judgement.other_root = true;
    attest(ATTEST_REPORT, NULL);
    assert_int_equal(probe_of(&accepts, 1)->verdict, PROBE_ACCEPTED);
    assert_int_equal(probes[0].attested.code, ERR_ATTEST_EXPIRED);
    assert_string_equal(probes[0].attested.other_root, "root");
    assert_non_null(strstr(probes[0].reason, ": why not"));
    config.attest = ATTEST_REQUIRE;
    assert_int_equal(probe_of(&accepts, 1)->verdict, PROBE_UNATTESTED);
}

/* Whatever came of the attestation, over the same connection or another one. */
static void the_health_path_tells_whether_it_accepts(void **state)
{
    static const struct {
        struct reply first;
        enum err_code code;
        const char *why;
    } firsts[] = {
        {{HTTP_ANSWERED, HTTP_STAGE_ANSWER, TLS13, LEFT | SENT, 200, -1}, ERR_NONE, ""},
        {{HTTP_ANSWERED, HTTP_STAGE_ANSWER, TLS13, LEFT | SENT | STAYS, 200, -1}, ERR_NONE, ""},
        {{HTTP_ANSWERED, HTTP_STAGE_ANSWER, TLS13, LEFT | SENT | STAYS, 403, -1},
         ERR_ATTEST_MISSING,
         "HTTP 403"},
        {{HTTP_ANSWERED, HTTP_STAGE_ANSWER, TLS13, LEFT | SENT, 404, -1},
         ERR_ATTEST_MISSING,
         "HTTP 404"},
        {{HTTP_TOO_LARGE, HTTP_STAGE_ANSWER, TLS13, LEFT | SENT, 200, -1},
         ERR_ATTEST_MALFORMED,
         "too long"},
        {{HTTP_BROKEN, HTTP_STAGE_ANSWER, TLS13, LEFT | SENT, 200, -1},
         ERR_ATTEST_MALFORMED,
         "not whole"},
        {{HTTP_BROKEN, HTTP_STAGE_ANSWER, TLS12, LEFT | SENT, 0, -1},
         ERR_ATTEST_MISSING,
         "no answer came"},
        {{HTTP_TIMEOUT, HTTP_STAGE_ANSWER, TLS13, LEFT | SENT, 0, -1},
         ERR_ATTEST_MISSING,
         "no answer came"},
        {{HTTP_TIMEOUT, HTTP_STAGE_ANSWER, TLS12, LEFT | SENT, 0, -1},
         ERR_ATTEST_MISSING,
         "no answer came"},
    };
    static const struct {
        struct reply second;
        enum probe_verdict verdict;
    } health[] = {
        {{HTTP_ANSWERED, HTTP_STAGE_ANSWER, TLS13, LEFT | SENT, 404, -1}, PROBE_ACCEPTED},
        {{HTTP_ANSWERED, HTTP_STAGE_ANSWER, TLS13, LEFT | SENT, 401, -1}, PROBE_DOUBTED},
        {{HTTP_ALERT, HTTP_STAGE_ANSWER, TLS13, LEFT | SENT | FINISHED, 0, 48}, PROBE_REFUSED},
        {{HTTP_TIMEOUT, HTTP_STAGE_ANSWER, TLS12, LEFT | SENT, 0, -1}, PROBE_UNREACHABLE},
    };
    size_t row, col;

    (void)state;
    for (row = 0; row < sizeof firsts / sizeof *firsts; row++)
        for (col = 0; col < sizeof health / sizeof *health; col++) {
            const struct reply turns[2] = {firsts[row].first, health[col].second};
            const bool accepts_it = health[col].verdict == PROBE_ACCEPTED;
            const bool proved = firsts[row].code == ERR_NONE;

            attest(ATTEST_REPORT, NULL);
            assert_int_equal(probe_of(turns, 2)->verdict, health[col].verdict);
            config.attest = ATTEST_REQUIRE;
            assert_int_equal(probe_of(turns, 2)->verdict,
                             accepts_it && !proved ? PROBE_UNATTESTED : health[col].verdict);
            assert_int_equal(asked_count, 2);
            assert_int_equal(runs, (firsts[row].first.seen & STAYS) ? 1 : 2);
            assert_string_equal(asked[1].url, "https://e0.test:443/health");
            assert_int_equal(probes[0].attested.code, firsts[row].code);
            if (accepts_it)
                assert_non_null(strstr(probes[0].reason, firsts[row].why));
        }
}

/* What ends with the first answer says nothing of the identity; what does so again and again does.
 */
static void a_connection_that_ends_in_between_is_made_again(void **state)
{
    const struct reply ended = {HTTP_CLOSED, HTTP_STAGE_ANSWER, TLS13, LEFT | SENT, 0, -1};
    struct reply turns[] = {accepts, ended, accepts, ended};

    (void)state;
    attest(ATTEST_REQUIRE, NULL);
    assert_int_equal(probe_of(turns, 3)->verdict, PROBE_ACCEPTED);
    assert_int_equal(asked_count, 3);
    assert_int_equal(judgement.count, 1);
    assert_string_equal(asked[2].url, "https://e0.test:443/health");
    assert_int_equal(asked[2].http.total_ms, PROBE_TOTAL_MS - script.cost_ms);
    turns[2] = ended;
    assert_int_equal(probe_of(turns, 3)->verdict, PROBE_DOUBTED);
    assert_int_equal(asked_count, 5); /* three of them in a row */
    assert_int_equal(judgement.count, 2);
}

/* The second connection meets another one, which is judged by itself. */
static void another_key_on_the_second_connection(void **state)
{
    struct buf der[2] = {sample_der("server.pem"), sample_der("client.pem")};
    struct bytes keys[] = {buf_bytes(&der[0]), buf_bytes(&der[1]), buf_bytes(&der[0])};

    (void)state;
    attest(ATTEST_REQUIRE, NULL);
    script.chains = keys;
    assert_int_equal(probe_of(&once, 1)->verdict, PROBE_ACCEPTED);
    assert_int_equal(asked_count, 3); /* the third meets the first one again */
    assert_int_equal(judgement.count, 2);
    assert_string_equal(asked[2].url, "https://e0.test:443/health");
    judgement.code = ERR_ATTEST_IMAGE;
    script.chains = keys;
    assert_int_equal(probe_of(&once, 1)->verdict, PROBE_UNATTESTED);
    assert_int_equal(probes[0].attested.code, ERR_ATTEST_IMAGE);
    buf_free(&der[0]);
    buf_free(&der[1]);
}

/* Each connection meets another one: some are asked, and then one that is not says if it accepts.
 */
static void keys_without_end(void **state)
{
    enum { MANY = ATTESTED_KEYS + 1 };
    struct buf der[MANY];
    struct bytes chains[MANY];
    char reason[CERT_REASON_MAX];
    struct cert cert;
    size_t i, turn;

    (void)state;
    for (i = 0; i < MANY; i++) {
        der[i] = sample_der("server.pem");
        chains[i] = buf_bytes(&der[i]);
        assert_int_equal(cert_parse(&cert, chains[i], reason), 0);
        der[i].data[cert.spki.data - der[i].data + (ptrdiff_t)cert.spki.len / 2] ^= (uint8_t)i;
    }
    for (turn = 0; turn < 2; turn++) {
        attest(turn == 0 ? ATTEST_REQUIRE : ATTEST_REPORT, NULL);
        script.chains = chains;
        assert_int_equal(probe_of(&once, 1)->verdict,
                         turn == 0 ? PROBE_UNATTESTED : PROBE_ACCEPTED);
        assert_int_equal(asked_count, MANY);
        assert_string_equal(asked[MANY - 1].url, "https://e0.test:443/health");
        assert_int_equal(judgement.count, (turn + 1) * ATTESTED_KEYS);
        assert_int_equal(probes[0].attested.code, ERR_ATTEST_MISSING);
        assert_non_null(strstr(probes[0].reason, "another key"));
    }
    for (i = 0; i < MANY; i++)
        buf_free(&der[i]);
}

static void a_key_that_was_attested_of_late_is_known_again(void **state)
{
    struct buf der = sample_der("server.pem"), stranger = sample_der("client.pem");
    struct bytes chain = buf_bytes(&der);
    struct attested known[ENDPOINTS] = {0};
    const int64_t began = clock_wall();
    uint8_t key[HASH_SIZE];

    (void)state;
    attest(ATTEST_REQUIRE, known);
    script.chain = &chain;
    assert_true(attestation_key(chain, key));
    (void)probe_of(&accepts, 1);
    assert_memory_equal(known[0].keys[0].said.key, key, HASH_SIZE);
    assert_memory_equal(probes[0].attested.key, key, HASH_SIZE);
    assert_int_equal(known[0].keys[0].at_ms, clock_ms() - script.cost_ms);
    assert_in_range(known[0].keys[0].said.at, began, clock_wall());
    known[0].keys[0].said.at = 5000;
    assert_int_equal(judgement.count, 1);
    (void)probe_of(&accepts, 1); /* the health path, since its key is known */
    assert_int_equal(judgement.count, 1);
    assert_string_equal(asked[0].url, "https://e0.test:443/health");
    assert_int_equal(probes[0].verdict, PROBE_ACCEPTED);
    assert_true(probes[0].attested.asked);
    assert_int_equal(probes[0].attested.at, 5000); /* nothing was judged since */
    assert_false(answer_attested);
    chain = buf_bytes(&stranger); /* another key answers there: it is asked, on this connection */
    judgement.other_root = true;
    (void)probe_of(&accepts, 1);
    assert_int_equal(judgement.count, 2);
    assert_int_equal(asked_count, 2);
    assert_int_equal(runs, 1);
    assert_string_equal(probes[0].attested.other_root, "root");
    (void)probe_of(&accepts, 1); /* what is known of it is known with its root */
    assert_int_equal(judgement.count, 2);
    assert_string_equal(probes[0].attested.other_root, "root");
    chain = buf_bytes(&der); /* and the first is still known, by its own time */
    (void)probe_of(&accepts, 1);
    assert_int_equal(judgement.count, 2);
    assert_string_equal(probes[0].attested.other_root, "");
    clock_sleep(config.attest_interval_ms + 1, INT64_MAX); /* and all of them anew in the end */
    (void)probe_of(&accepts, 1);
    assert_int_equal(judgement.count, 3);
    assert_int_equal(asked_count, 2);
    buf_free(&der);
    buf_free(&stranger);
}

/* With require it is asked each time, with report no more often than what is proved. */
static void what_is_not_proved_is_remembered_for_a_report_alone(void **state)
{
    struct buf der = sample_der("server.pem");
    struct bytes chain = buf_bytes(&der);
    struct attested known[ENDPOINTS] = {0};
    const struct attested_key *first = &known[0].keys[0];
    struct reply turns[2] = {accepts, accepts};

    (void)state;
    script.chain = &chain;
    attest(ATTEST_REQUIRE, known);
    (void)probe_of(&accepts, 1);
    assert_true(first->at_ms > 0);
    clock_sleep(config.attest_interval_ms + 1, INT64_MAX);
    turns[0].status = 404; /* no document: it may have been busy, and keeps its pin */
    (void)probe_of(turns, 1);
    assert_true(first->at_ms > 0);
    judgement.code = ERR_ATTEST_STALE;
    assert_int_equal(probe_of(&accepts, 1)->verdict, PROBE_UNATTESTED);
    assert_int_equal(first->at_ms, 0);
    assert_int_equal(probe_of(&accepts, 1)->verdict, PROBE_UNATTESTED);
    assert_int_equal(judgement.count, 3);
    attest(ATTEST_REPORT, known);
    (void)probe_of(&accepts, 1);
    assert_int_equal(judgement.count, 4);
    assert_int_equal(probe_of(&accepts, 1)->verdict, PROBE_ACCEPTED);
    assert_int_equal(judgement.count, 4);
    assert_int_equal(probes[0].attested.code, ERR_ATTEST_STALE);
    assert_non_null(strstr(probes[0].reason, err_info(ERR_ATTEST_STALE)->what));
    memset(known, 0, sizeof known);
    turns[0].status = 403; /* so it is of one that refuses to be asked: by its own key */
    (void)probe_of(turns, 2);
    assert_int_equal(asked_count, 2);
    (void)probe_of(&accepts, 1);
    assert_int_equal(asked_count, 1);
    assert_string_equal(asked[0].url, "https://e0.test:443/health");
    assert_int_equal(probes[0].attested.code, ERR_ATTEST_MISSING);
    buf_free(&der);
}

static void verdicts_have_names(void **state)
{
    (void)state;
    assert_string_equal(probe_verdict_name(PROBE_DOUBTED), "refused");
    assert_string_equal(probe_verdict_name(PROBE_SILENT), "unreachable");
    assert_string_equal(probe_verdict_name(PROBE_UNATTESTED), "unattested");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_row_of_the_page, setup),
        cmocka_unit_test_setup(not_mutual_passes_where_it_is_allowed, setup),
        cmocka_unit_test_setup(closes_count_when_they_repeat_themselves, setup),
        cmocka_unit_test_setup(what_has_a_remedy_of_its_own_is_told_apart, setup),
        cmocka_unit_test_setup(closes_that_cannot_be_confirmed_count_for_nothing, setup),
        cmocka_unit_test_setup(only_those_that_are_open_are_asked_from_the_first_on, setup),
        cmocka_unit_test_setup(where_the_time_is_up_a_probe_stays_unasked, setup),
        cmocka_unit_test_setup(an_answer_that_was_cut_off_tells_nothing, setup),
        cmocka_unit_test_setup(a_shortage_of_all_is_an_error, setup),
        cmocka_unit_test_setup(nothing_to_ask_is_no_error, setup),
        cmocka_unit_test_setup(the_request_is_what_is_configured, setup),
        cmocka_unit_test_setup(a_probe_tells_how_it_went, setup),
        cmocka_unit_test_setup(an_attestation_is_asked_for_before_the_health_path, setup),
        cmocka_unit_test_setup(an_attestation_by_itself, setup),
        cmocka_unit_test_setup(what_is_not_proved_is_reported_or_refused, setup),
        cmocka_unit_test_setup(the_health_path_tells_whether_it_accepts, setup),
        cmocka_unit_test_setup(a_connection_that_ends_in_between_is_made_again, setup),
        cmocka_unit_test_setup(another_key_on_the_second_connection, setup),
        cmocka_unit_test_setup(keys_without_end, setup),
        cmocka_unit_test_setup(a_key_that_was_attested_of_late_is_known_again, setup),
        cmocka_unit_test_setup(what_is_not_proved_is_remembered_for_a_report_alone, setup),
        cmocka_unit_test(verdicts_have_names),
    };

    return cmocka_run_group_tests(tests, samples_setup, NULL);
}
