/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/target.h"
#include "base/clock.h"
#include "base/json.h"
#include "doctor/doctor.h"
#include "enclave/probe.h"
#include "enclave/rehearse.h"
#include "identity/identity.h"
#include "install/install_run_lock.h"
#include "install/installed.h"
#include "net/http.h"
#include "run/status.h"
#include "run/target_state.h"
#include "x509/cert.h"
#include "x509/verify.h"

enum {
    DAY_S = 24 * 60 * 60,
    SOON_S = 14 * DAY_S,
    LIFE_SHARE = 4,
    PARALLEL = 16,
    BODY_MAX = 4096,
    PLAIN_MS = 3000,
    PLAIN_MAX = 3, /* one after the other, while all others wait */
    KNOCKS = 8,
    BAD_REQUEST = 400,
    SKEW_S = 60
};

/* ---- identity */

/* Soon: within two weeks, but of a short life its last quarter. */
static void look_at_end(struct doctor *doctor, const char *subject, const char *whose,
                        int64_t not_before, int64_t not_after)
{
    const int64_t asked = doctor->config->expires_within_ms / 1000;
    const int64_t share = (not_after - not_before) / LIFE_SHARE;
    const int64_t soon = asked ? asked : share < SOON_S ? share : SOON_S;
    const int64_t left = not_after - clock_wall();
    char date[CLOCK_TEXT_MAX];
    struct err err;

    if (not_after == 0 || left >= soon || left < 0)
        return;
    clock_format(date, not_after);
    (void)err_set(&err, ERR_CERTIFICATE_ENDS, subject, "%s ends at %s, in %" PRId64 " hours", whose,
                  date, left / 3600);
    doctor_find(doctor, DOCTOR_WARNING, &err);
}

static void look_at_ends(struct doctor *doctor, const char *subject,
                         const struct identity *identity)
{
    char name[128], whose[160];
    size_t i;

    look_at_end(doctor, subject, "the certificate", identity->not_before, identity->not_after);
    for (i = 0; identity->anchors && i < anchors_count(identity->anchors); i++) {
        const struct cert *anchor = anchors_at(identity->anchors, i);

        cert_subject_text(anchor->subject, name, sizeof name);
        (void)snprintf(whose, sizeof whose, "the CA %s", name);
        look_at_end(doctor, subject, whose, anchor->not_before, anchor->not_after);
    }
}

/* Which of the two is there where nothing is configured: no set's. */
static void look_at_installed(struct doctor *doctor, size_t i)
{
    const struct config *config = doctor->config;
    const struct config_set *set = config->set_count > 0 ? &config->sets[i] : NULL;
    const struct identity *secret = doctor->secret[i];
    const struct install_target target =
        agent_target(config, set ? set->sub : "", doctor->deadline);
    char where[INSTALL_WHERE_MAX];
    struct target_state state;

    (void)install_where(&target, where);
    target_state_read(&target, set, &state);
    doctor->installed[i] = state.err.code == ERR_NONE;
    /* What was found keeps this very set from being installed. */
    if (state.err.code == ERR_NO_IDENTITY &&
        (doctor_found(doctor, ERR_NONE, doctor->secret[i] ? where : NULL) ||
         doctor_found(doctor, ERR_CONFIG, NULL))) {
        doctor_say(doctor, "nothing is installed: see the findings above");
    } else if (state.err.code != ERR_NONE) {
        if (state.err.code != doctor->flaw[i] &&
            !doctor_found(doctor, state.err.code, state.err.subject))
            doctor_find(doctor, DOCTOR_PROBLEM, &state.err);
    } else {
        doctor_say(doctor, "%s, %s, %.16s", state.subject, state.key_text, state.fingerprint);
        if (!secret) {
            look_at_end(doctor, where, "the certificate", state.not_before, state.not_after);
            look_at_end(doctor, where, "a CA", 0, state.ca_not_after);
        } else if (strcmp(secret->fingerprint, state.fingerprint) != 0) {
            doctor_say(doctor, "the secret holds another one by now, %.16s", secret->fingerprint);
        }
    }
}

void doctor_identity(struct doctor *doctor)
{
    const struct config *config = doctor->config;
    size_t i, count = config->set_count ? config->set_count : 1;

    for (i = 0; i < count; i++) {
        look_at_installed(doctor, i);
        if (doctor->secret[i])
            look_at_ends(doctor, config->sets[i].secrets[0], doctor->secret[i]);
    }
}

/* ---- enclave */

struct asked {
    struct doctor *doctor;
    size_t accepted, plainly;
};

/* What HTTP without TLS comes to there; whether it is answered, as no server of TLS does but by
 * 400.
 */
static bool ask_plainly(const struct doctor *doctor, const struct endpoint *endpoint,
                        struct http_response *response)
{
    const bool v6 = strchr(endpoint->address, ':');
    char url[640];
    const struct http_request request = {
        .method = "GET",
        .url = url,
        .body_max = BODY_MAX,
        .connect_ms = PLAIN_MS,
        .total_ms = PLAIN_MS,
        .deadline = doctor->deadline,
    };
    struct err err;
    struct http *http = http_new(false, &err);

    (void)snprintf(url, sizeof url, v6 ? "http://[%s]:%u%s" : "http://%s:%u%s", endpoint->address,
                   endpoint->port, *endpoint->path ? endpoint->path : doctor->config->health_path);
    *response = (struct http_response){.result = HTTP_FAILED};
    if (http)
        (void)http_perform(http, &request, response, 1, &err);
    http_response_free(response);
    http_free(http);
    return response->status > 0 && response->status != BAD_REQUEST;
}

static void find_plaintext(struct doctor *doctor, const struct endpoint *endpoint)
{
    struct err err;

    (void)err_set(&err, CAUSE_ENCLAVE_PLAIN, endpoint->text,
                  "it answered HTTP without TLS: it asks nobody for a certificate, and anybody in "
                  "between can read the traffic");
    doctor_find(doctor, DOCTOR_PROBLEM, &err);
}

/* One that was not come to, or gave no answer. */
static void find_unreachable(struct doctor *doctor, const struct endpoint *endpoint, bool connected,
                             const struct err *err)
{
    if (!connected && strstr(err->reason, "timed out"))
        doctor_advise(doctor, DOCTOR_PROBLEM, err,
                      "Let the host in: aws ec2 authorize-security-group-ingress --group-id "
                      "ENCLAVE-SG --protocol tcp --port %u --source-group HOST-SG; then look at "
                      "the host's egress and the network ACLs.",
                      endpoint->port);
    else if (!connected)
        doctor_advise(doctor, DOCTOR_PROBLEM, err,
                      "On the enclave's instance see who listens on port %u (ss -ltn), whether its "
                      "forwarder runs, and nitro-cli describe-enclaves.",
                      endpoint->port);
    else
        doctor_advise(doctor, DOCTOR_PROBLEM, err,
                      "See nitro-cli describe-enclaves on its instance, and try: openssl s_client "
                      "-connect %s:%u -servername %s </dev/null",
                      endpoint->address, endpoint->port, endpoint->name);
}

static void blame(struct asked *asked, const struct endpoint *endpoint, const struct probe *probe)
{
    struct doctor *doctor = asked->doctor;
    const bool connected = probe->tcp_ms >= 0;
    struct http_response response = {0};
    struct err err;

    (void)probe_blame(endpoint, probe, &err);
    if (probe->verdict == PROBE_UNTRUSTED) {
        doctor_advise(doctor, DOCTOR_PROBLEM, &err,
                      "%s%s See it: openssl s_client -connect %s:%u -servername %s -showcerts "
                      "</dev/null",
                      err_remedy(&err),
                      err.cause == CAUSE_ENCLAVE_CA ? " A load balancer has to pass TLS through."
                                                    : "",
                      endpoint->address, endpoint->port, endpoint->name);
        return;
    }
    if (probe->verdict != PROBE_UNREACHABLE) {
        doctor_find(doctor, probe->verdict == PROBE_ACCEPTED ? DOCTOR_WARNING : DOCTOR_PROBLEM,
                    &err);
        return;
    }
    if (doctor_found(doctor, ERR_DNS_FAILED, endpoint->address))
        return;
    if (connected && !probe->version && probe->alert < 0 && asked->plainly++ < PLAIN_MAX &&
        ask_plainly(doctor, endpoint, &response))
        find_plaintext(doctor, endpoint);
    else
        find_unreachable(doctor, endpoint, connected, &err);
}

/* Of a peer that was verified; no more than a hint, where AWS's clock is not known. */
static void look_at_date(struct doctor *doctor, const struct endpoint *endpoint, const char *date)
{
    int64_t theirs, ahead;
    struct err err;

    if (clock_parse_http(date, &theirs) < 0)
        return;
    ahead = theirs - clock_wall();
    if (llabs(ahead) < SKEW_S || doctor_found(doctor, ERR_CLOCK_SKEW, NULL))
        return;
    (void)err_set(&err, ERR_CLOCK_SKEW, endpoint->text,
                  "its clock is %" PRId64 " s %s this host's: one of the two is wrong",
                  (int64_t)llabs(ahead), ahead < 0 ? "behind" : "ahead of");
    doctor_find(doctor, DOCTOR_WARNING, &err);
}

static void told(void *user, const struct endpoint *endpoint, const struct probe *probe,
                 const struct probe_answer *answer)
{
    struct asked *asked = user;

    if (probe->verdict == PROBE_ACCEPTED) {
        if (asked->accepted++ < 3)
            doctor_say(asked->doctor, "%s accepts: TLS %s, HTTP %d", endpoint->text, probe->version,
                       probe->status);
        look_at_date(asked->doctor, endpoint, answer->date);
    }
    if (probe->verdict != PROBE_ACCEPTED || probe->attested.code != ERR_NONE)
        blame(asked, endpoint, probe);
}

static void ask_with(struct doctor *doctor, const struct identity *identity)
{
    struct asked asked = {.doctor = doctor};
    const struct config *config = doctor->config;
    const struct probe_request request = {
        .config = config,
        .endpoints = config->endpoints,
        .count = config->endpoint_count,
        .identity = identity,
        .parallel = PARALLEL,
        .body_max = BODY_MAX,
        .deadline = doctor->deadline - clock_left(doctor->deadline) / LIFE_SHARE,
        .told = told,
        .user = &asked,
    };
    struct probe *probes = calloc(request.count, sizeof *probes);
    struct err err;

    if (!probes)
        (void)err_set(&err, ERR_MEMORY_FULL, NULL, "no room to ask %zu endpoints", request.count);
    if (!probes || probe_endpoints(&request, probes, &err) < 0)
        doctor_find(doctor, DOCTOR_PROBLEM, &err);
    doctor_say(doctor, "%zu of %zu accept", asked.accepted, request.count);
    free(probes);
}

/* Without an identity: who is there at all. */
static void knock(struct doctor *doctor, const struct endpoint *endpoint)
{
    struct http_response response;
    char reason[ERR_REASON_MAX];
    struct err err;

    if (doctor_found(doctor, ERR_DNS_FAILED, endpoint->address))
        return;
    if (ask_plainly(doctor, endpoint, &response)) {
        find_plaintext(doctor, endpoint);
    } else if (response.stage <= HTTP_STAGE_TCP) {
        http_reason(&response, reason, sizeof reason);
        (void)err_set(&err, ERR_ENCLAVE_UNREACHABLE, endpoint->text, "%s", reason);
        find_unreachable(doctor, endpoint, false, &err);
    } else {
        doctor_say(doctor, "%s takes connections; it was not asked, since there is no identity",
                   endpoint->text);
    }
}

static void look_at_set(struct doctor *doctor, size_t i)
{
    const struct config *config = doctor->config;
    const struct install_target target =
        agent_target(config, config->set_count ? config->sets[i].sub : "", doctor->deadline);
    struct identity *installed = NULL;
    const struct identity *identity = doctor->secret[i];
    struct err err;
    size_t k;

    if (!identity && doctor->installed[i])
        identity = installed = installed_identity(&target, &err);
    for (k = 0; !identity && k < config->endpoint_count && k < KNOCKS; k++)
        knock(doctor, &config->endpoints[k]);
    if (identity && identity->client.chain_count > 0)
        ask_with(doctor, identity);
    identity_free(installed);
}

void doctor_enclave(struct doctor *doctor)
{
    const struct config *config = doctor->config;
    size_t i, count = config->set_count ? config->set_count : 1;

    for (i = 0; i < count; i++) {
        if (config->endpoint_count > 0)
            look_at_set(doctor, i);
        identity_free(doctor->secret[i]);
        doctor->secret[i] = NULL;
    }
    if (config->endpoint_count == 0)
        doctor_say(doctor, "no endpoint is configured: none is asked");
}

/* ---- run */

static void look_at_hook(struct doctor *doctor, const struct status *status)
{
    json_value set, sets = json_member(status->json, 0, "sets");
    char text[STATUS_TEXT_MAX];
    struct err err;
    int at = 0;

    while (sets >= 0 && json_item(status->json, sets, &at, &set)) {
        status_text(status, json_member(status->json, set, "on_change_error"), "reason", text);
        if (!text[0])
            continue;
        (void)err_set(&err, ERR_HOOK_FAILED, status->path, "%.700s", text);
        doctor_find(doctor, DOCTOR_PROBLEM, &err);
    }
}

void doctor_run(struct doctor *doctor)
{
    const struct install_target target = agent_target(doctor->config, "", doctor->deadline);
    struct status status;
    char reason[ERR_REASON_MAX] = "";
    struct err err;
    const bool ran = status_open(&status, doctor->config, &err) == 0;

    if (!ran && err.code != ERR_NO_STATUS) {
        doctor_find(doctor, DOCTOR_PROBLEM, &err);
    } else if (!ran) {
        doctor_say(doctor, "mtls-agent run has left no status: it is not in use here");
    } else if (install_run_lock_holder(&target) == INSTALL_LOCK_UNKNOWN) {
        doctor_say(doctor, "only root can tell whether mtls-agent run is alive");
    } else if (!doctor->runs(doctor->config, doctor->deadline, reason, sizeof reason)) {
        (void)err_set(&err, ERR_RUN_UNHEALTHY, status.path, "%s", reason);
        doctor_find(doctor, DOCTOR_PROBLEM, &err);
    } else {
        doctor_say(doctor, "mtls-agent run is alive");
    }
    if (ran)
        look_at_hook(doctor, &status);
    status_close(&status);
}
