/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/sigv4.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "aws/credentials.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "commands.h"

/* A case of the AWS signing test suite: context.json and request.txt of its folder. */
struct signing_case {
    struct buf context, text;
    struct json *json;
    struct buf access_key_id, secret_access_key, token, region, service, timestamp;
    struct sigv4_header headers[SIGV4_LIST_MAX];
    struct sigv4_request request;
    struct credentials credentials;
    struct sigv4_scope scope;
};

static int read_file(const char *folder, const char *name, struct buf *out)
{
    char path[4096];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (fs_read(AT_FDCWD, path, out) == 0)
        return 0;
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    return -1;
}

static int read_context(struct signing_case *it)
{
    char reason[JSON_REASON_MAX] = "";
    json_value credentials;

    it->json = json_parse(buf_bytes(&it->context), reason);
    if (!it->json) {
        fprintf(stderr, "context.json: %s\n", reason);
        return -1;
    }
    credentials = json_member(it->json, 0, "credentials");
    if (json_string(it->json, json_member(it->json, credentials, "access_key_id"),
                    &it->access_key_id) < 0 ||
        json_string(it->json, json_member(it->json, credentials, "secret_access_key"),
                    &it->secret_access_key) < 0 ||
        json_string(it->json, json_member(it->json, 0, "region"), &it->region) < 0 ||
        json_string(it->json, json_member(it->json, 0, "service"), &it->service) < 0 ||
        json_string(it->json, json_member(it->json, 0, "timestamp"), &it->timestamp) < 0 ||
        clock_parse((char *)it->timestamp.data, &it->scope.time) < 0) {
        fprintf(stderr, "context.json: a value is missing or malformed\n");
        return -1;
    }
    (void)json_string(it->json, json_member(it->json, credentials, "token"), &it->token);
    it->credentials = (struct credentials){
        .access_key_id = (char *)it->access_key_id.data,
        .secret_access_key = (char *)it->secret_access_key.data,
        .session_token = it->token.len ? (char *)it->token.data : NULL,
    };
    it->scope.region = (char *)it->region.data;
    it->scope.service = (char *)it->service.data;
    return 0;
}

/* "GET /a path HTTP/1.1": the target is everything between the first and the last space. */
static int read_request_line(struct sigv4_request *request, char *line)
{
    char *target = strchr(line, ' '), *end = strrchr(line, ' ');

    if (!target || target == end) {
        fprintf(stderr, "request.txt: no request line\n");
        return -1;
    }
    *target++ = '\0';
    *end = '\0';
    request->method = bytes_of_text(line);
    request->path = bytes_of_text(target);
    return 0;
}

/* Cuts the first line off text and ends it; a line that begins with a space continues the one
 * before. */
static char *next_line(char **text)
{
    char *line = *text, *end = line;

    while ((end = strchr(end, '\n')) && line != end && (end[1] == ' ' || end[1] == '\t'))
        *end = ' ';
    *text = end ? end + 1 : line + strlen(line);
    if (end)
        *end = '\0';
    return line;
}

static int read_request(struct signing_case *it)
{
    char *text = (char *)it->text.data, *line = next_line(&text), *value;
    struct sigv4_request *request = &it->request;

    if (read_request_line(request, line) < 0)
        return -1;
    request->headers = it->headers;
    while (*(line = next_line(&text))) {
        value = strchr(line, ':');
        if (!value || request->header_count == SIGV4_LIST_MAX) {
            fprintf(stderr, "request.txt: a line is no header, or one too many\n");
            return -1;
        }
        *value++ = '\0';
        it->headers[request->header_count++] =
            (struct sigv4_header){bytes_of_text(line), bytes_of_text(value)};
    }
    request->body = bytes_of_text(text);
    return 0;
}

static void case_free(struct signing_case *it)
{
    json_free(it->json);
    buf_free(&it->context);
    buf_free(&it->text);
    buf_free(&it->access_key_id);
    buf_free(&it->secret_access_key);
    buf_free(&it->token);
    buf_free(&it->region);
    buf_free(&it->service);
    buf_free(&it->timestamp);
}

int conformance_sigv4(int argc, char **argv)
{
    struct sigv4_result result = {0};
    struct signing_case it = {0};
    int r = 1;

    if (argc != 2) {
        fprintf(stderr, "usage: conformance sigv4 FOLDER\n");
        return CONFORMANCE_USAGE;
    }
    if (read_file(argv[1], "context.json", &it.context) == 0 &&
        read_file(argv[1], "request.txt", &it.text) == 0 && read_context(&it) == 0 &&
        read_request(&it) == 0 &&
        sigv4_sign(&result, &it.request, &it.credentials, &it.scope) == 0) {
        printf("%s\n--\n%s\n--\n%s\n", (char *)result.canonical_request.data,
               (char *)result.string_to_sign.data, result.signature);
        r = 0;
    }
    sigv4_free(&result);
    case_free(&it);
    return r;
}
