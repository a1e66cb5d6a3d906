/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>

#include "aws/credentials.h"
#include "aws/credentials/sources.h"
#include "aws/error_meaning.h"
#include "aws/said.h"
#include "aws/text.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/secrecy.h"

int source_set(char **field, struct bytes text, const char *source, const char *name,
               struct err *err)
{
    if (!text_is_graphic(text))
        return err_set(err, ERR_CREDENTIALS_FAILED, source,
                       "%s is empty, or holds a space, a line end or another byte that no "
                       "credential has",
                       name);
    if (secrecy_holds_key(text))
        return err_set(err, ERR_CREDENTIALS_FAILED, source, "%s holds a private key", name);
    *field = arena_alloc(text.len + 1, ARENA_CREDENTIALS);
    if (!*field)
        return err_set(err, ERR_MEMORY_FULL, source, "no room for %s", name);
    memcpy(*field, text.data, text.len);
    return 0;
}

/* The answer being read. */
struct answer {
    const struct json *json;
    const char *source;
    struct err *err;
};

/* Appends a member's string. 1: it is there; 0: it is not; -1: it is something else, or there
 * twice. */
static int read_member(const struct answer *answer, const char *name, struct buf *text)
{
    const int result = json_text(answer->json, 0, JSON_NAMES(name), text);

    if (result < 0)
        (void)err_set(answer->err, ERR_CREDENTIALS_FAILED, answer->source,
                      "the answer's %s is not one string", name);
    return result;
}

static int read_secret(const struct answer *answer, const char *name, bool required, char **field)
{
    struct buf text = {.tag = ARENA_CREDENTIALS};
    int r = read_member(answer, name, &text);

    if (r == 0 && required)
        r = err_set(answer->err, ERR_CREDENTIALS_FAILED, answer->source, "the answer has no %s",
                    name);
    else if (r == 1)
        r = source_set(field, buf_bytes(&text), answer->source, name, answer->err);
    buf_free(&text);
    return r;
}

static int read_expiration(const struct answer *answer, int64_t *expires)
{
    struct buf text = {.tag = ARENA_WORK};
    int r = read_member(answer, "Expiration", &text);

    if (r == 1)
        r = clock_parse((const char *)text.data, expires);
    if (r < 0)
        r = err_set(answer->err, ERR_CREDENTIALS_FAILED, answer->source,
                    "the answer's Expiration is no UTC time");
    buf_free(&text);
    return r;
}

static int check_code(const struct answer *answer)
{
    struct buf text = {.tag = ARENA_WORK}, message = {.tag = ARENA_WORK};
    char shown[64], said[201] = "";
    int r = read_member(answer, "Code", &text);

    if (r == 1 && !bytes_equal_text(buf_bytes(&text), "Success")) {
        redact(shown, sizeof shown, buf_bytes(&text));
        if (read_member(answer, "Message", &message) == 1)
            redact(said, sizeof said, buf_bytes(&message));
        r = err_set(answer->err, ERR_CREDENTIALS_FAILED, answer->source,
                    "the answer's Code is %s%s%s", shown, *said ? ": " : "", said);
        answer->err->young = answer_is_young(shown, "");
    }
    buf_free(&message);
    buf_free(&text);
    return r < 0 ? -1 : 0;
}

int source_read(struct credentials *credentials, struct bytes answer_text, const char *source,
                struct err *err)
{
    char reason[JSON_REASON_MAX], title[SAID_TITLE_MAX];
    struct json *json = json_parse(answer_text, reason);
    struct answer answer = {json, source, err};
    int r = -1;

    if (!json)
        return err_set(err, ERR_CREDENTIALS_FAILED, source, "the answer is not JSON: %s%s", reason,
                       said_title(answer_text, title));
    if (json_type(json, 0) != JSON_OBJECT)
        (void)err_set(err, ERR_CREDENTIALS_FAILED, source, "the answer is no JSON object");
    else if (check_code(&answer) == 0 &&
             read_secret(&answer, "AccessKeyId", true, &credentials->access_key_id) == 0 &&
             read_secret(&answer, "SecretAccessKey", true, &credentials->secret_access_key) == 0 &&
             read_secret(&answer, "Token", false, &credentials->session_token) == 0)
        r = read_expiration(&answer, &credentials->expires);
    json_free(json);
    return r;
}
