/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/sts_answer.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "aws/credentials.h"
#include "aws/credentials/sources.h"
#include "aws/said.h"
#include "aws/xml.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"

enum { ANSWER_PATH_MAX = 128, EXPONENT_MAX = 99 };

static const int64_t SECONDS_MAX = 1000000000000;

/* The answer being read, and where the credentials stand in it. */
struct answer {
    struct bytes text;
    const char *action;
    struct json *json; /* NULL: XML */
    json_value credentials;
};

/* Appends one of the credentials' values: 0, or -1 where it is not there once. */
static int read_value(const struct answer *answer, const char *name, struct buf *out)
{
    char path[ANSWER_PATH_MAX];
    json_value value;
    struct bytes raw;

    if (!answer->json) {
        (void)snprintf(path, sizeof path, "%sResponse/%sResult/Credentials/%s", answer->action,
                       answer->action, name);
        return xml_text(answer->text, path, out) == 1 ? 0 : -1;
    }
    value = json_present(answer->json, answer->credentials, name);
    if (json_type(answer->json, value) != JSON_NUMBER)
        return json_string(answer->json, value, out);
    raw = json_raw(answer->json, value);
    return buf_append(out, raw.data, raw.len);
}

static int read_secret(const struct answer *answer, const char *name, char **field,
                       const char *role, struct err *err)
{
    struct buf text = {.tag = ARENA_CREDENTIALS};
    int r;

    if (read_value(answer, name, &text) < 0)
        r = err_set(err, ERR_CREDENTIALS_FAILED, role, "the answer of %s has not one %s",
                    answer->action, name);
    else
        r = source_set(field, buf_bytes(&text), role, name, err);
    buf_free(&text);
    return r;
}

/* Seconds since 1970 as JSON writes numbers: 1790000000, 1790000000.5, 1.79E9. By hand, since
 * strtod(3) and the long doubles behind it are 10 KB of program on aarch64. */
static int parse_seconds(const char *text, int64_t *seconds)
{
    int64_t value = 0;
    long shift = 0, exponent = 0; /* of the decimal point, to the right */
    bool fraction = false;
    char *end;

    for (; (*text >= '0' && *text <= '9') || (*text == '.' && !fraction); text++) {
        if (*text == '.')
            fraction = true;
        else if (value >= SECONDS_MAX)
            shift += !fraction;
        else {
            value = value * 10 + (*text - '0');
            shift -= fraction;
        }
    }
    if (*text == 'e' || *text == 'E') {
        exponent = strtol(text + 1, &end, 10);
        text = end == text + 1 ? text : end;
    }
    if (*text != '\0' || exponent < -EXPONENT_MAX || exponent > EXPONENT_MAX)
        return -1;
    for (shift += exponent; shift > 0 && value > 0 && value < SECONDS_MAX; shift--)
        value *= 10;
    for (; shift < 0 && value > 0; shift++)
        value /= 10;
    *seconds = value;
    return value > 0 && value < SECONDS_MAX ? 0 : -1;
}

static int read_expiration(const struct answer *answer, int64_t *expires, const char *role,
                           struct err *err)
{
    struct buf text = {.tag = ARENA_WORK};
    int r = read_value(answer, "Expiration", &text);

    if (r == 0 && text.len == 0)
        r = -1;
    if (r == 0 && clock_parse((const char *)text.data, expires) < 0)
        r = parse_seconds((const char *)text.data, expires);
    buf_free(&text);
    if (r < 0)
        return err_set(err, ERR_CREDENTIALS_FAILED, role,
                       "the Expiration of %s's answer is no time", answer->action);
    return 0;
}

/* Finds the credentials of a JSON answer; XML is searched value by value. */
static int open_json(struct answer *answer, const char *role, struct err *err)
{
    static const char *const suffixes[] = {"Response", "Result"};
    char reason[JSON_REASON_MAX], name[ANSWER_PATH_MAX], title[SAID_TITLE_MAX];
    json_value value = 0;
    size_t i;

    answer->json = json_parse(answer->text, reason);
    if (!answer->json)
        return err_set(err, ERR_CREDENTIALS_FAILED, role, "the answer of %s is not JSON: %s%s",
                       answer->action, reason, said_title(answer->text, title));
    for (i = 0; i < sizeof suffixes / sizeof suffixes[0] && value >= 0; i++) {
        (void)snprintf(name, sizeof name, "%s%s", answer->action, suffixes[i]);
        value = json_member(answer->json, value, name);
    }
    if (value >= 0)
        value = json_member(answer->json, value, "Credentials");
    answer->credentials = value;
    if (value < 0)
        return err_set(err, ERR_CREDENTIALS_FAILED, role, "the answer of %s has no Credentials",
                       answer->action);
    return 0;
}

int sts_answer_read(struct credentials *credentials, struct bytes text, const char *action,
                    const char *role, struct err *err)
{
    struct answer answer = {.text = text, .action = action};
    bool xml = text.len > 0 && (text.data[0] == '<' || text.data[0] == '\n');
    int r = xml ? 0 : open_json(&answer, role, err);

    if (r == 0)
        r = read_secret(&answer, "AccessKeyId", &credentials->access_key_id, role, err);
    if (r == 0)
        r = read_secret(&answer, "SecretAccessKey", &credentials->secret_access_key, role, err);
    if (r == 0)
        r = read_secret(&answer, "SessionToken", &credentials->session_token, role, err);
    if (r == 0)
        r = read_expiration(&answer, &credentials->expires, role, err);
    json_free(answer.json);
    return r;
}
