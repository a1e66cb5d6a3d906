/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/secretsmanager_parts.h"

#include <stdio.h>
#include <string.h>

#include "aws/answer.h"
#include "aws/aws.h"
#include "aws/client.h"
#include "aws/endpoint.h"
#include "aws/refusal.h"
#include "aws/shortage.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "config/config.h"
#include "net/http.h"

enum { LAST_TRY_MS = 1000 }; /* with less than that left no call is tried again */

/* One question, and who answered it. */
struct question {
    const struct operation *operation;
    const char *secret_id;        /* as it is configured */
    struct http_response *answer; /* the body is the caller's, whatever comes of it */
    bool down;                    /* the region cannot be reached, or fails */
};

const struct operation describe_secret = {"secretsmanager.DescribeSecret", "describe_secret"};
const struct operation get_secret_value = {"secretsmanager.GetSecretValue", "get_secret_value"};

struct secretsmanager *secretsmanager_new(const struct aws *aws, struct err *err)
{
    struct secretsmanager *manager = arena_alloc(sizeof *manager, ARENA_WORK);

    if (!manager) {
        (void)err_set(err, ERR_MEMORY_FULL, NULL, "no room for a conversation with AWS");
        return NULL;
    }
    manager->whole = aws;
    manager->aws = *aws;
    manager->client = client_new(&manager->aws, err);
    if (!manager->client) {
        arena_free(manager);
        return NULL;
    }
    return manager;
}

void secretsmanager_free(struct secretsmanager *manager)
{
    if (!manager)
        return;
    client_free(manager->client);
    arena_free(manager);
}

const struct err *secretsmanager_why(const struct secretsmanager *manager)
{
    return &manager->why;
}

const struct err *secretsmanager_replica_why(const struct secretsmanager *manager)
{
    return &manager->replica;
}

void secretsmanager_renew(struct secretsmanager *manager)
{
    client_renew(manager->client);
}

/* Appends "name":"text" behind before. */
static int append_member(struct buf *out, const char *before, const char *name, const char *text)
{
    char escape[8];
    int r = buf_append_text(out, before);

    if (r == 0)
        r = buf_append_text(out, name);
    if (r == 0)
        r = buf_append_text(out, ":\"");
    for (; r == 0 && *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c >= ' ' && c != '"' && c != '\\') {
            r = buf_append(out, text, 1);
        } else {
            (void)snprintf(escape, sizeof escape, "\\u%04X", c);
            r = buf_append_text(out, escape);
        }
    }
    return r < 0 ? -1 : buf_append_text(out, "\"");
}

static int append_body(struct buf *body, const struct operation *operation, const char *secret_id,
                       const struct config *config)
{
    int r = append_member(body, "{", "\"SecretId\"", secret_id);

    if (operation == &get_secret_value) {
        if (r == 0 && config->version_id)
            r = append_member(body, ",", "\"VersionId\"", config->version_id);
        if (r == 0 && config->version_stage)
            r = append_member(body, ",", "\"VersionStage\"", config->version_stage);
    }
    return r < 0 ? -1 : buf_append_text(body, "}");
}

/* What is missing of a secret that is there, whatever AWS calls it. */
static enum err_code missing(const struct config *config)
{
    const char *stage = config->version_stage ? config->version_stage : "AWSCURRENT";

    if (strcmp(stage, "AWSPENDING") == 0)
        return ERR_VERSION_PENDING;
    return config->version_id || strcmp(stage, "AWSCURRENT") != 0 ? ERR_VERSION_UNKNOWN
                                                                  : ERR_VERSION_MISSING;
}

static void say_which(struct err *err, const struct config *config)
{
    const size_t len = strlen(err->reason);

    (void)snprintf(err->reason + len, sizeof err->reason - len,
                   "; the secret is there, but no version %s of it",
                   config->version_id      ? config->version_id
                   : config->version_stage ? config->version_stage
                                           : "AWSCURRENT");
}

int secretsmanager_prepare(struct prepared *prepared, const struct secretsmanager *manager,
                           const struct operation *operation, const char *secret_id,
                           struct err *err)
{
    const struct aws *aws = &manager->aws;
    const char *region = aws->region ? aws->region : manager->own;

    prepared->body = (struct buf){.tag = ARENA_WORK};
    region_move(prepared->id, sizeof prepared->id, secret_id, region);
    if (endpoint_resolve(&prepared->endpoint, aws, ENDPOINT_SECRETSMANAGER, region, err) < 0)
        return -1;
    if (append_body(&prepared->body, operation, prepared->id, aws->config) < 0)
        return err_set(err, ERR_MEMORY_FULL, secret_id, "no room for the request");
    return 0;
}

struct client_call secretsmanager_call(const struct prepared *prepared,
                                       const struct operation *operation)
{
    return (struct client_call){operation->target, operation->step, prepared->id,
                                &prepared->endpoint, buf_bytes(&prepared->body)};
}

/* Asks one region, until its share of the time is over. */
static int ask_region(struct secretsmanager *manager, struct question *question, struct err *err)
{
    struct client_refusal refusal;
    struct prepared prepared;
    struct client_call call;
    const struct config *config = manager->aws.config;
    bool absent;
    int r =
        secretsmanager_prepare(&prepared, manager, question->operation, question->secret_id, err);

    if (r == 0) {
        call = secretsmanager_call(&prepared, question->operation);
        r = client_perform(manager->client, &call, question->answer, &refusal, err);
        question->down = r > 0 && refusal.down;
        absent = r > 0 && refusal.error.means == ERR_SECRET_NOT_FOUND &&
                 manager->described == question->secret_id;
        if (absent)
            refusal.error.means = missing(config);
        if (r > 0)
            r = refusal_explain(err, &call, &refusal);
        else if (r < 0)
            question->down = err->down;
        if (absent)
            say_which(err, config);
    }
    buf_free(&prepared.body);
    return r;
}

/* The fallback behind the region that is asked; 0: there is none. */
static size_t next_fallback(const struct secretsmanager *manager)
{
    const struct config *config = manager->aws.config;
    size_t at = manager->fallback;

    while (at < config->fallback_region_count)
        if (strcmp(config->fallback_regions[at++], manager->own) != 0)
            return at;
    return 0;
}

static void name_region(struct secretsmanager *manager)
{
    const size_t fallback = manager->fallback;

    manager->aws.region = fallback ? manager->aws.config->fallback_regions[fallback - 1] : NULL;
}

static void log_failure(const struct secretsmanager *manager, size_t next, const struct err *err)
{
    const char *const *regions = manager->aws.config->fallback_regions;

    log_event(LOG_LEVEL_WARNING, "region_failed",
              log_s("region", manager->aws.region ? manager->aws.region : manager->own),
              log_s("next", next ? regions[next - 1] : NULL),
              log_s("code", err_info(err->code)->name), log_s("subject", err->subject),
              log_s("reason", err->reason));
}

/*
 * Asks region by region: each has half of what is left of the time, as long as there is another
 * one, and all of it where it is not the region that fails.
 */
static int ask_regions(struct secretsmanager *manager, struct question *question, struct err *err)
{
    const int64_t deadline = manager->whole->deadline;
    bool rest = false;
    size_t next;

    for (;;) {
        next = rest ? 0 : next_fallback(manager);
        name_region(manager);
        manager->aws.deadline = next ? deadline - clock_left(deadline) / 2 : deadline;
        if (ask_region(manager, question, err) == 0)
            return 0;
        rest = next && !question->down && clock_left(manager->aws.deadline) <= LAST_TRY_MS;
        if (rest)
            continue;
        if (!question->down)
            next = 0;
        if (manager->fallback || next)
            log_failure(manager, next, err);
        if (!next)
            return -1;
        if (!manager->fallback) {
            manager->why = *err;
            memcpy(manager->down, manager->own, sizeof manager->down);
        }
        manager->fallback = next;
    }
}

/* Whatever the words: a description is no matter of keys. */
static bool is_denied(const struct err *err)
{
    return err->code == ERR_AWS_DENIED || err->code == ERR_AWS_DENIED_EXPLICITLY ||
           err->code == ERR_KMS_DENIED;
}

int secretsmanager_turn_to(struct secretsmanager *manager, const char *secret_id, bool offline,
                           struct err *err)
{
    manager->aws = *manager->whole;
    manager->aws.offline = offline;
    if (region_resolve(&manager->aws, secret_id, manager->own, err) < 0)
        return -1;
    if (strcmp(manager->down, manager->own) != 0)
        manager->fallback = 0;
    name_region(manager);
    return 0;
}

/* Asks AWS for one thing. What is wrong with a fallback speaks against nothing that is installed;
 * only, one can do without a description. */
static int ask_aws(struct secretsmanager *manager, struct question *question, struct err *err)
{
    manager->replica.code = ERR_NONE;
    if (secretsmanager_turn_to(manager, question->secret_id, false, err) < 0)
        return -1;
    if (ask_regions(manager, question, err) == 0)
        return 0;
    if (manager->fallback && !(question->operation == &describe_secret && is_denied(err))) {
        manager->replica = *err;
        *err = manager->why;
    }
    return -1;
}

/* Notes who has answered. A replica is the same secret: it gets the name that its own region has
 * for it. */
static void note_origin(const struct secretsmanager *manager, struct secret_version *version)
{
    char arn[SECRET_ARN_MAX];

    version->replica = manager->aws.region;
    (void)snprintf(version->region, sizeof version->region, "%s",
                   version->replica ? manager->aws.region : manager->own);
    if (!version->replica)
        return;
    region_move(arn, sizeof arn, version->arn, manager->own);
    memcpy(version->arn, arn, sizeof arn);
}

int secretsmanager_describe(struct secretsmanager *manager, const char *secret_id,
                            struct secret_version *version, struct err *err)
{
    const struct config *config = manager->aws.config;
    struct http_response response = {0};
    struct question question = {&describe_secret, secret_id, &response, false};
    const size_t before = shortage_look();
    int r;

    *version = (struct secret_version){.id = ""};
    manager->described = NULL;
    r = ask_aws(manager, &question, err);
    if (r == 0)
        manager->described = secret_id;
    if (r == 0)
        r = answer_read_version(version, config, buf_bytes(&response.body), secret_id, err);
    else if (is_denied(err) && shortage_look() == before)
        r = 1;
    if (r == 0)
        note_origin(manager, version);
    http_response_free(&response);
    return r < 0 ? shortage_blame(before, secret_id, err) : r;
}

int secretsmanager_get(struct secretsmanager *manager, const char *secret_id, struct secret *secret,
                       struct err *err)
{
    struct http_response response = {0};
    struct question question = {&get_secret_value, secret_id, &response, false};
    const size_t before = shortage_look();
    int r;

    *secret = (struct secret){0};
    r = ask_aws(manager, &question, err);
    if (r == 0)
        r = answer_read(secret, manager->aws.config, buf_bytes(&response.body), secret_id, err);
    if (r == 0)
        note_origin(manager, &secret->version);
    else
        secret_free(secret);
    http_response_free(&response);
    return r < 0 ? shortage_blame(before, secret_id, err) : 0;
}

void secret_free(struct secret *secret)
{
    buf_free(&secret->document);
}
