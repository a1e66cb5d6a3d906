/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/answer.h"

#include <string.h>

#include "aws/said.h"
#include "aws/secretsmanager.h"
#include "aws/text.h"
#include "base/base64.h"
#include "base/err.h"
#include "base/json.h"
#include "base/secrecy.h"
#include "config/config.h"

/* A value that must be graphic text and no private key, copied to out. */
static int read_text(const struct json *json, json_value value, char *out, size_t size)
{
    struct buf text = {.tag = ARENA_WORK, .max = size - 1};
    int r = json_string(json, value, &text);

    if (r == 0 && (!text_is_graphic(buf_bytes(&text)) || secrecy_holds_key(buf_bytes(&text))))
        r = -1;
    if (r == 0)
        memcpy(out, text.data, text.len + 1);
    buf_free(&text);
    return r;
}

static int read_name(const struct json *json, const char *name, char *out, size_t size)
{
    return read_text(json, json_present(json, 0, name), out, size);
}

static int decode_binary(const struct json *json, json_value value, struct buf *out)
{
    struct buf text = {.tag = ARENA_DOCUMENT};
    int r = json_string(json, value, &text);

    if (r == 0)
        r = base64_decode(out, buf_bytes(&text), 0);
    buf_free(&text);
    return r;
}

static int read_document(const struct json *json, struct buf *out, const struct config *config,
                         const char *secret_id, struct err *err)
{
    json_value string = json_present(json, 0, "SecretString");
    json_value binary = json_present(json, 0, "SecretBinary");

    if (string == JSON_ABSENT && binary == JSON_ABSENT && config->version_stage &&
        strcmp(config->version_stage, "AWSPENDING") == 0)
        return err_set(err, ERR_VERSION_PENDING, secret_id,
                       "AWSPENDING names a version that nothing was put into yet");
    if ((string == JSON_ABSENT) == (binary == JSON_ABSENT))
        return err_set(err, ERR_AWS_ANSWER, secret_id,
                       "the answer has %s SecretString and SecretBinary",
                       string == JSON_ABSENT ? "neither" : "both");
    if (string != JSON_ABSENT && json_string(json, string, out) < 0)
        return err_set(err, ERR_AWS_ANSWER, secret_id, "the answer's SecretString is no string");
    if (binary != JSON_ABSENT && decode_binary(json, binary, out) < 0)
        return err_set(err, ERR_AWS_ANSWER, secret_id, "the answer's SecretBinary is no base64");
    return 0;
}

int answer_read(struct secret *secret, const struct config *config, struct bytes answer,
                const char *secret_id, struct err *err)
{
    struct secret_version *version = &secret->version;
    char reason[JSON_REASON_MAX], title[SAID_TITLE_MAX];
    struct json *json = json_parse(answer, reason);
    int r;

    secret->document.tag = ARENA_DOCUMENT;
    if (!json)
        return err_set(err, ERR_AWS_ANSWER, secret_id, "the answer is not JSON: %s%s", reason,
                       said_title(answer, title));
    if (read_name(json, "ARN", version->arn, sizeof version->arn) < 0)
        r = err_set(err, ERR_AWS_ANSWER, secret_id, "the answer's ARN is missing or malformed");
    else if (read_name(json, "VersionId", version->id, sizeof version->id) < 0)
        r = err_set(err, ERR_AWS_ANSWER, secret_id,
                    "the answer's VersionId is missing or malformed");
    else
        r = read_document(json, &secret->document, config, secret_id, err);
    json_free(json);
    return r;
}

/* Whether a version, known by its id and its list of stages, is the one that is meant: by both
 * where both are given. */
static bool is_meant(const struct json *json, json_value id, json_value stages,
                     const struct config *config)
{
    char text[257];
    json_value stage;
    int at = 0;

    if (config->version_id &&
        (read_text(json, id, text, sizeof text) < 0 || strcmp(text, config->version_id) != 0))
        return false;
    if (config->version_id && !config->version_stage)
        return true;
    while (json_item(json, stages, &at, &stage))
        if (read_text(json, stage, text, sizeof text) == 0 &&
            strcmp(text, config->version_stage ? config->version_stage : "AWSCURRENT") == 0)
            return true;
    return false;
}

static int find_version(const struct json *json, struct secret_version *version,
                        const struct config *config)
{
    json_value versions = json_member(json, 0, "VersionIdsToStages"), id, stages;
    int at = 0;

    while (json_each(json, versions, &at, &id, &stages))
        if (is_meant(json, id, stages, config))
            return read_text(json, id, version->id, sizeof version->id);
    return 0;
}

int answer_read_version(struct secret_version *version, const struct config *config,
                        struct bytes answer, const char *secret_id, struct err *err)
{
    char reason[JSON_REASON_MAX], title[SAID_TITLE_MAX];
    struct json *json = json_parse(answer, reason);
    int r = 0;

    if (!json)
        return err_set(err, ERR_AWS_ANSWER, secret_id, "the description is not JSON: %s%s", reason,
                       said_title(answer, title));
    /* What is marked for deletion is still described, but no value of it is given out. */
    if (read_name(json, "ARN", version->arn, sizeof version->arn) < 0 ||
        (json_present(json, 0, "DeletedDate") == JSON_ABSENT &&
         find_version(json, version, config) < 0))
        r = err_set(err, ERR_AWS_ANSWER, secret_id,
                    "the description's ARN or version is missing or malformed");
    json_free(json);
    return r;
}
