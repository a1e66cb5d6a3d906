/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/secretsmanager.h"

#include <stdio.h>

#include "aws/answer.h"
#include "aws/aws.h"
#include "aws/client.h"
#include "aws/endpoint.h"
#include "aws/refusal.h"
#include "aws/shortage.h"
#include "base/err.h"
#include "base/log.h"
#include "config/config.h"
#include "net/http.h"

struct secretsmanager {
    const struct aws *aws;
    struct client *client;
};

struct operation {
    const char *target, *step;
};

static const struct operation describe_secret = {"secretsmanager.DescribeSecret",
                                                 "describe_secret"};
static const struct operation get_secret_value = {"secretsmanager.GetSecretValue",
                                                  "get_secret_value"};

struct secretsmanager *secretsmanager_new(const struct aws *aws, struct err *err)
{
    struct secretsmanager *manager = arena_alloc(sizeof *manager, ARENA_WORK);

    if (!manager) {
        (void)err_set(err, ERR_MEMORY_FULL, NULL, "no room for a conversation with AWS");
        return NULL;
    }
    manager->aws = aws;
    manager->client = client_new(aws, err);
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

/* Asks AWS for one thing. The response's body is the caller's, whatever comes of it. */
static int ask_aws(struct secretsmanager *manager, const struct operation *operation,
                   const char *secret_id, struct http_response *response, struct err *err)
{
    struct buf body = {.tag = ARENA_WORK};
    struct client_refusal refusal;
    struct aws_endpoint endpoint;
    struct client_call call = {operation->target, operation->step, secret_id, &endpoint, {0}};
    char region[REGION_MAX];
    int r = -1;

    if (region_resolve(manager->aws, secret_id, region, err) < 0 ||
        endpoint_resolve(&endpoint, manager->aws, ENDPOINT_SECRETSMANAGER, region, err) < 0)
        return -1;
    if (append_body(&body, operation, secret_id, manager->aws->config) < 0) {
        (void)err_set(err, ERR_MEMORY_FULL, secret_id, "no room for the request");
    } else {
        call.body = buf_bytes(&body);
        r = client_perform(manager->client, &call, response, &refusal, err);
        if (r > 0)
            r = refusal_explain(err, &call, &refusal);
    }
    buf_free(&body);
    return r;
}

/* Whatever the words: a description is no matter of keys. */
static bool is_denied(const struct err *err)
{
    return err->code == ERR_AWS_DENIED || err->code == ERR_AWS_DENIED_EXPLICITLY ||
           err->code == ERR_KMS_DENIED;
}

int secretsmanager_describe(struct secretsmanager *manager, const char *secret_id,
                            struct secret_version *version, struct err *err)
{
    const struct config *config = manager->aws->config;
    struct http_response response = {0};
    const size_t before = shortage_look();
    int r;

    *version = (struct secret_version){.id = ""};
    r = ask_aws(manager, &describe_secret, secret_id, &response, err);
    if (r == 0)
        r = answer_read_version(version, config, buf_bytes(&response.body), secret_id, err);
    else if (is_denied(err) && shortage_look() == before)
        r = 1;
    if (r > 0)
        log_event(LOG_LEVEL_WARNING, "describe_denied", log_s("secret", secret_id),
                  log_s("reason", err->reason));
    if (r == 0 && version->id[0])
        log_event(LOG_LEVEL_INFO, "version", log_s("secret", version->arn),
                  log_s("version_id", version->id), log_s("stage", config->version_stage));
    http_response_free(&response);
    return r < 0 ? shortage_blame(before, secret_id, err) : r;
}

int secretsmanager_get(struct secretsmanager *manager, const char *secret_id, struct secret *secret,
                       struct err *err)
{
    struct http_response response = {0};
    const size_t before = shortage_look();
    int r;

    *secret = (struct secret){0};
    r = ask_aws(manager, &get_secret_value, secret_id, &response, err);
    if (r == 0)
        r = answer_read(secret, manager->aws->config, buf_bytes(&response.body), secret_id, err);
    if (r < 0)
        secret_free(secret);
    http_response_free(&response);
    return r < 0 ? shortage_blame(before, secret_id, err) : 0;
}

void secret_free(struct secret *secret)
{
    buf_free(&secret->document);
}
