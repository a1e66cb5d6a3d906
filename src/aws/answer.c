/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/answer.h"

#include <string.h>

#include "aws/secretsmanager.h"
#include "aws/text.h"
#include "base/base64.h"
#include "base/err.h"
#include "base/json.h"

/* A member that must be graphic text, copied to out. */
static int read_name(const struct json *json, const char *name, char *out, size_t size)
{
    struct buf text = {.tag = ARENA_WORK, .max = size - 1};
    int r = json_string(json, json_member(json, 0, name), &text);

    if (r == 0 && !text_is_graphic(buf_bytes(&text)))
        r = -1;
    if (r == 0)
        memcpy(out, text.data, text.len + 1);
    buf_free(&text);
    return r;
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

static int read_document(const struct json *json, struct buf *out, const char *secret_id,
                         struct err *err)
{
    json_value string = json_member(json, 0, "SecretString");
    json_value binary = json_member(json, 0, "SecretBinary");

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

int answer_read(struct secret *secret, struct bytes answer, const char *secret_id, struct err *err)
{
    char reason[JSON_REASON_MAX];
    struct json *json = json_parse(answer, reason);
    int r;

    secret->document.tag = ARENA_DOCUMENT;
    if (!json)
        return err_set(err, ERR_AWS_ANSWER, secret_id, "the answer is not JSON: %s", reason);
    if (read_name(json, "ARN", secret->arn, sizeof secret->arn) < 0)
        r = err_set(err, ERR_AWS_ANSWER, secret_id, "the answer's ARN is missing or malformed");
    else if (read_name(json, "VersionId", secret->version_id, sizeof secret->version_id) < 0)
        r = err_set(err, ERR_AWS_ANSWER, secret_id,
                    "the answer's VersionId is missing or malformed");
    else
        r = read_document(json, &secret->document, secret_id, err);
    json_free(json);
    return r;
}
