/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "aws/aws.h"
#include "aws/credentials.h"
#include "aws/credentials/sources.h"
#include "aws/environment.h"
#include "aws/error.h"
#include "aws/retry.h"
#include "aws/text.h"
#include "aws/token_file.h"
#include "aws/url.h"
#include "base/err.h"
#include "config/config.h"
#include "net/http.h"

static const char source[] = "container";

enum { ANSWER_MAX = 10000, TOKEN_MAX = 16384, CONNECT_MS = 2000, TOTAL_MS = 5000 };

/* A credentials request to the agent of ECS or EKS beside the container. */
struct query {
    struct buf url_text; /* whoever knows it may ask, so it is shown nowhere */
    struct url url;
    struct buf token; /* value of the Authorization header; len 0: none */
};

/* The relative URI goes to the ECS agent, and wins. */
enum source_state source_container_url(const struct config *config, struct buf *text,
                                       struct url *url, struct err *err)
{
    const char *relative = config_variable(config, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = config_variable(config, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    const char *name =
        relative ? "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" : "AWS_CONTAINER_CREDENTIALS_FULL_URI";

    if (!relative && !full) {
        (void)err_set(err, ERR_CREDENTIALS_MISSING, source,
                      "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and _FULL_URI are not set");
        return SOURCE_NOT_CONFIGURED;
    }
    if (buf_append_text(text, relative ? "http://169.254.170.2" : full) < 0 ||
        (relative && buf_append_text(text, relative) < 0)) {
        (void)err_set(err, ERR_MEMORY_FULL, source, "no room for %s", name);
        return SOURCE_FAILED;
    }
    if ((relative && relative[0] != '/') || url_parse(url, (const char *)text->data) < 0) {
        (void)err_set(err, ERR_CREDENTIALS_FAILED, source, "%s is no %s", name,
                      relative ? "path that begins with /" : "http:// or https:// URL");
        return SOURCE_FAILED;
    }
    return SOURCE_FOUND;
}

/* The token's file, read anew each time because it rotates, wins over the variable. */
static int read_token(struct query *query, const struct aws *aws, struct err *err)
{
    const char *file = config_variable(aws->config, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    const char *value = aws->environment->container_token;
    char why[TRUST_WHY_MAX];

    buf_free(&query->token);
    if (file && token_file_read(file, &query->token, why) < 0)
        return err_set(err, err_of_errno(errno, ERR_TOKEN_FILE_MISSING), source,
                       "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: %s: %s", file, why);
    if (!file && value && buf_append_text(&query->token, value) < 0)
        return err_set(err, ERR_MEMORY_FULL, source, "no room for the token");
    text_trim(&query->token);
    if (file && query->token.len == 0)
        return err_set(err, ERR_CREDENTIALS_FAILED, source,
                       "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE %s is empty", file);
    if (query->token.len > 0 &&
        strcspn((const char *)query->token.data, "\r\n") != query->token.len)
        return err_set(err, ERR_CREDENTIALS_FAILED, source,
                       "the authorization token holds a line end or a NUL byte");
    return 0;
}

static int perform(const struct query *query, const struct aws *aws, struct http *http,
                   struct http_response *response, struct err *err)
{
    const struct http_header headers[] = {
        {"Accept", "application/json"},
        {"Authorization", (const char *)query->token.data},
    };
    const struct tls_policy tls = {
        .name = query->url.name, .anchors = aws->anchors, .profile = aws->profile};
    const struct http_request request = {
        .method = "GET",
        .url = (const char *)query->url_text.data,
        .headers = headers,
        .header_count = query->token.len > 0 ? 2 : 1,
        .tls = query->url.tls ? &tls : NULL,
        .address_allowed = query->url.tls ? NULL : url_address_is_agent,
        .body_max = ANSWER_MAX,
        .connect_ms = CONNECT_MS,
        .total_ms = TOTAL_MS,
        .deadline = aws->deadline,
    };

    return http_perform(http, &request, response, 1, err);
}

/* Tries until the agent answers, which may come up later than we do, or refuses for good. */
static int ask_agent(struct query *query, const struct aws *aws, struct http *http,
                     struct credentials *credentials, struct err *err)
{
    struct retry retry = {
        .step = "container_credentials", .deadline = aws->deadline, .once = aws->once};
    struct http_response response;
    struct aws_error error;
    enum retry_class class;
    int r;

    do {
        retry_begin(&retry);
        if (read_token(query, aws, err) < 0 || perform(query, aws, http, &response, err) < 0)
            return -1;
        if (response.result == HTTP_ANSWERED && response.status == 200) {
            r = source_read(credentials, buf_bytes(&response.body), source, err);
            http_response_free(&response);
            return r;
        }
        aws_error_read(&error, &response);
        class = retry_classify(&response, error.code);
    } while (retry_wait(&retry, class, &response, error.text));
    if (response.result == HTTP_ANSWERED && response.status == 503)
        return err_set(err, ERR_CONTAINER_NOT_READY, source, "%s", error.text);
    if (err_info(error.means)->class == ERR_OF_HOST)
        return err_set(err, error.means, source, "%s", error.text);
    (void)err_set(err, class == RETRY_NEVER ? ERR_CREDENTIALS_FAILED : ERR_AWS_UNREACHABLE, source,
                  "%s", error.text);
    err->young = error.young;
    return -1;
}

enum source_state source_container(const struct aws *aws, struct credentials *credentials,
                                   struct err *err)
{
    struct query query = {
        .url_text.tag = ARENA_WORK, .token.tag = ARENA_TOKEN, .token.max = TOKEN_MAX};
    enum source_state state = source_container_url(aws->config, &query.url_text, &query.url, err);
    struct http *http = NULL;

    if (state == SOURCE_FOUND) {
        http = http_new(false, err);
        if (!http || ask_agent(&query, aws, http, credentials, err) < 0)
            state = SOURCE_FAILED;
    }
    http_free(http);
    buf_free(&query.token);
    buf_free(&query.url_text);
    return state;
}
