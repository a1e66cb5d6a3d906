/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/target.h"
#include "aws/aws.h"
#include "aws/credentials.h"
#include "aws/endpoint.h"
#include "aws/kept.h"
#include "aws/profile.h"
#include "aws/proxy.h"
#include "aws/roots.h"
#include "aws/secretsmanager.h"
#include "base/clock.h"
#include "doctor/doctor.h"
#include "identity/identity.h"
#include "net/resolve.h"

enum { SKEW_S = 30, DAY_S = 24 * 60 * 60, AWS_SHARE = 2, NAMES_MAX = 8, PATIENCE_S = 2 };

/* ---- names */

static bool is_address(const char *name)
{
    uint8_t bytes[16];

    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

/* An answer, if only that there is no such record. */
static bool is_sound(enum dns_said said)
{
    return said == DNS_UNASKED || said == DNS_FOUND || said == DNS_NO_ADDRESS;
}

/* What one server says to a name; by itself, where it is one of several. */
struct asked {
    struct resolv_conf conf;
    struct resolved resolved;
    char said[RESOLVE_TEXT_MAX];
};

static void ask(struct asked *asked, const char *name)
{
    resolve_by(&asked->conf, name, resolve_family(&asked->conf), NULL, &asked->resolved);
    resolve_explain(&asked->resolved, asked->said);
}

/* Each server of a name that has an address. */
static void ask_each(struct doctor *doctor, struct asked *asked, const char *name)
{
    const struct resolv_conf all = asked->conf;
    struct err err;
    size_t i;

    asked->conf.count = asked->conf.attempts = 1;
    for (i = 0; i < all.count; i++) {
        asked->conf.servers[0] = all.servers[i];
        ask(asked, name);
        if (is_sound(asked->resolved.servers[0].said[0]) &&
            (!doctor->ipv6 || is_sound(asked->resolved.servers[0].said[1])))
            continue;
        (void)err_set(&err, ERR_DNS_FAILED, name, "%s", asked->said);
        doctor_advise(doctor, DOCTOR_WARNING, &err,
                      "Ask it: dig @%s %s A %s AAAA. Mend that server, or take it out of "
                      "/etc/resolv.conf.",
                      all.servers[i].text, name, name);
    }
}

static bool look_up(struct doctor *doctor, struct asked *asked, const char *name)
{
    struct err err;

    hosts_read("/etc/hosts", name, AF_UNSPEC, &asked->resolved.found);
    if (asked->resolved.found.count > 0 ||
        clock_left(doctor->deadline) < doctor->config->deadline_ms / AWS_SHARE)
        return true; /* the rest of the time is for who has the name */
    resolv_conf_read(&asked->conf, "/etc/resolv.conf");
    asked->conf.attempts = 2; /* others have to be looked at, too */
    if (asked->conf.timeout_s > PATIENCE_S)
        asked->conf.timeout_s = PATIENCE_S;
    ask(asked, name);
    if (asked->resolved.found.count > 0) {
        ask_each(doctor, asked, name);
        return true;
    }
    (void)err_set(&err, ERR_DNS_FAILED, name,
                  asked->conf.search[0] ? "%s (for %.100s; search %.200s)" : "%s", asked->said,
                  asked->resolved.name, asked->conf.search);
    doctor_find(doctor, DOCTOR_PROBLEM, &err);
    return false;
}

/* As long as half of the time is left. What each name server says against it is a finding. */
static bool has_address(struct doctor *doctor, const char *name)
{
    struct asked *asked = is_address(name) ? NULL : calloc(1, sizeof *asked);
    const bool found = !asked || look_up(doctor, asked, name);

    free(asked);
    return found;
}

void doctor_names(struct doctor *doctor)
{
    const struct config *config = doctor->config;
    size_t i, j, asked = 0, good = 0;

    for (i = 0; i < config->endpoint_count && asked < NAMES_MAX; i++) {
        const char *name = config->endpoints[i].address;

        for (j = 0; j < i && strcmp(config->endpoints[j].address, name) != 0; j++)
            ;
        if (j < i)
            continue;
        asked++;
        good += has_address(doctor, name);
    }
    if (good > 0)
        doctor_say(doctor, "%zu of %zu endpoints' names have addresses", good, asked);
}

/* ---- aws */

struct visit {
    struct doctor *doctor;
    struct aws *aws;
    struct secretsmanager *manager;
    struct proxy proxy;
    size_t set;
    bool own;      /* the secret's own Region can be looked for, or by a proxy; */
    bool fallback; /* one of fallback-region */
    bool lost;     /* for all that is to come: there are no credentials */
};

static void find(struct visit *visit, const struct err *err)
{
    struct err shown = *err;

    if (err->young) /* a minute from now it may be another answer */
        (void)snprintf(shown.reason, sizeof shown.reason,
                       "%.680s (what was made a minute ago may "
                       "not be known everywhere yet)",
                       err->reason);
    doctor_find(visit->doctor, DOCTOR_PROBLEM, &shown);
}

/* Whether there is a way to ask a Region. */
static bool look_at_region(struct visit *visit, const struct aws *aws, const char *region, bool say)
{
    struct aws_endpoint endpoint;
    const struct http_proxy *by;
    struct err err;

    if (endpoint_resolve(&endpoint, aws, ENDPOINT_SECRETSMANAGER, region, &err) < 0) {
        find(visit, &err);
        return false;
    }
    by = proxy_for(&visit->proxy, &endpoint.url);
    if (say)
        doctor_say(visit->doctor, "%s%s%s", endpoint.url.host, by ? " by " : "",
                   by                      ? by->url
                   : visit->proxy.http.url ? ", which no-proxy excepts"
                                           : "");
    return by || has_address(visit->doctor, endpoint.url.name);
}

/* Whether there is a way to ask for it, in its own Region or in another one. */
static bool look_at_way(struct visit *visit, const char *id)
{
    char region[REGION_MAX];
    struct err err;

    if (region_resolve(visit->aws, id, region, &err) < 0) {
        find(visit, &err);
        return false;
    }
    visit->own = look_at_region(visit, visit->aws, region, visit->set == 0);
    return visit->own || visit->fallback;
}

/* What is wrong in its own Region, and in the one that was asked in its place. */
static void find_both(struct visit *visit, const struct err *err)
{
    const struct err *other = secretsmanager_replica_why(visit->manager);

    find(visit, err);
    if (other->code != ERR_NONE)
        find(visit, other);
}

/* Adds the secret to the bundle: 0, or -1. */
static int look_at_secret(struct visit *visit, const char *id, struct bundle *bundle)
{
    struct secret_version version;
    struct secret secret;
    struct err err;
    int described, result;

    if (!look_at_way(visit, id) || visit->lost)
        return -1;
    described = secretsmanager_describe(visit->manager, id, &version, &err);
    visit->doctor->clock_off |=
        llabs(visit->aws->kept->skew_s) >= DAY_S || (described < 0 && err.cause == CAUSE_AWS_DATES);
    if (described < 0) {
        find_both(visit, &err);
        visit->lost = strncmp(err.subject, id, sizeof err.subject - 1) != 0;
        if (err.code != ERR_CLOCK_SKEW)
            return -1;
    }
    result = secretsmanager_get(visit->manager, id, &secret, &err);
    if (result == 0 && secret.version.replica && visit->own)
        find(visit, secretsmanager_why(visit->manager));
    if (result == 0)
        result = bundle_add(bundle, buf_bytes(&secret.document), id, &err);
    if (result < 0)
        find_both(visit, &err);
    else
        doctor_say(visit->doctor, "%.80s: version %.40s%s%s%s", id, secret.version.id,
                   secret.version.replica ? " of " : "",
                   secret.version.replica ? secret.version.region : "",
                   described > 0 ? ", DescribeSecret is denied" : "");
    secret_free(&secret);
    return result;
}

static void look_at_set(struct visit *visit)
{
    struct doctor *doctor = visit->doctor;
    const struct config_set *set = &doctor->config->sets[visit->set];
    const struct expected expected = agent_expected(doctor->config);
    const struct identity_policy policy = {.require_chain = doctor->config->require_client_chain,
                                           .now = clock_wall()};
    struct identity *identity = NULL;
    struct bundle bundle = {0};
    struct err err;
    size_t i;
    int failed = 0;

    for (i = 0; i < set->secret_count; i++)
        failed += look_at_secret(visit, set->secrets[i], &bundle) < 0;
    if (failed == 0) {
        identity = identity_new(&bundle, &policy, set->secrets[0], &err);
        if (!identity || identity_expect(identity, &expected, set->secrets[0], &err) < 0) {
            doctor_find(doctor, DOCTOR_PROBLEM, &err);
            doctor->flaw[visit->set] = err.code;
        }
        doctor->secret[visit->set] = identity;
    }
    bundle_free(&bundle);
}

/* Signed by AWS's clock and not by ours it went well. */
static void look_at_clock(struct doctor *doctor, int64_t skew_s)
{
    struct err err;

    if (llabs(skew_s) < SKEW_S || doctor_found(doctor, ERR_CLOCK_SKEW, NULL))
        return;
    (void)err_set(&err, ERR_CLOCK_SKEW, "clock", "this host's clock is %" PRId64 " s %s AWS's",
                  (int64_t)llabs(skew_s), skew_s < 0 ? "ahead of" : "behind");
    doctor_find(doctor, DOCTOR_PROBLEM, &err);
}

static void ask_aws(struct visit *visit)
{
    struct doctor *doctor = visit->doctor;
    const struct config *config = doctor->config;
    struct aws other = *visit->aws;
    struct err err;
    size_t i;

    if (proxy_read(&visit->proxy, visit->aws, &err) == 0)
        visit->manager = secretsmanager_new(visit->aws, &err);
    if (!visit->manager) {
        doctor_find(doctor, DOCTOR_PROBLEM, &err);
        return;
    }
    for (i = 0; i < config->fallback_region_count; i++) {
        other.region = config->fallback_regions[i];
        visit->fallback |= look_at_region(visit, &other, other.region, true);
    }
    for (visit->set = 0; visit->set < config->set_count; visit->set++)
        look_at_set(visit);
    secretsmanager_free(visit->manager);
}

void doctor_aws(struct doctor *doctor)
{
    char found[ERR_REASON_MAX] = "", region[REGION_MAX] = "";
    struct aws_kept kept = {0};
    struct aws aws = {
        .config = doctor->config,
        .environment = doctor->environment,
        .deadline = clock_share(doctor->deadline, AWS_SHARE),
        .once = true,
        .found = found,
        .kept = &kept,
        .instance_region = region,
    };
    struct visit visit = {.doctor = doctor, .aws = &aws};
    struct profiles *profiles = NULL;
    struct anchors *anchors = NULL;
    struct err err;

    if (doctor->config->set_count == 0) {
        doctor_say(doctor, "no secret is configured: AWS is not asked");
        return;
    }
    if (profiles_load(doctor->config, &profiles, &err) == 0) {
        aws.profiles = profiles;
        aws.anchors = anchors = roots_load(&aws, &err);
        aws.profile = roots_profile(&aws);
    }
    if (anchors)
        ask_aws(&visit);
    else
        doctor_find(doctor, DOCTOR_PROBLEM, &err);
    look_at_clock(doctor, kept.skew_s);
    if (found[0])
        doctor_say(doctor, "credentials of %s", found);
    credentials_free(kept.credentials);
    anchors_free(anchors);
    profiles_free(profiles);
}
