/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/sigv4.h"

#include <stdio.h>

#include "aws/credentials.h"
#include "aws/percent.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/hash.h"

static const char algorithm[] = "AWS4-HMAC-SHA256";

enum { DATE_LEN = 16, DAY_LEN = 8 }; /* "20150830T123600Z", "20150830" */

/* Headers in canonical order. Equal ones stay in the request's order. */
struct sorted_list {
    struct sigv4_header at[SIGV4_LIST_MAX];
    size_t count;
};

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

static int compare_names(struct bytes a, struct bytes b)
{
    size_t i;

    for (i = 0; i < a.len && i < b.len; i++)
        if (lower(a.data[i]) != lower(b.data[i]))
            return lower(a.data[i]) - lower(b.data[i]);
    return (a.len > b.len) - (a.len < b.len);
}

static int insert(struct sorted_list *list, struct bytes name, struct bytes value)
{
    struct sigv4_header header = {name, value};
    size_t i;

    if (list->count == SIGV4_LIST_MAX)
        return -1;
    for (i = list->count++; i > 0 && compare_names(list->at[i - 1].name, name) > 0; i--)
        list->at[i] = list->at[i - 1];
    list->at[i] = header;
    return 0;
}

static int append(struct buf *out, struct bytes bytes)
{
    return buf_append(out, bytes.data, bytes.len);
}

static int append_byte(struct buf *out, uint8_t byte)
{
    return buf_append(out, &byte, 1);
}

/* Dot segments and empty ones go (RFC 3986 5.2.4); a slash stands at the end if it did before. */
static int normalize(struct buf *out, struct bytes path)
{
    bool slash_at_end = path.len > 0 && path.data[path.len - 1] == '/';

    while (path.len > 0) {
        struct bytes segment = bytes_cut(&path, '/');

        if (segment.len == 0 || bytes_equal_text(segment, "."))
            continue;
        if (bytes_equal_text(segment, "..")) {
            while (out->len > 0 && out->data[--out->len] != '/')
                continue;
            continue;
        }
        if (append_byte(out, '/') < 0 || append(out, segment) < 0)
            return -1;
    }
    return out->len == 0 || slash_at_end ? append_byte(out, '/') : 0;
}

static int append_path(struct buf *out, struct bytes path)
{
    struct buf normal = {.tag = ARENA_WORK};
    int r = normalize(&normal, path);

    if (r == 0)
        r = percent_encode(out, buf_bytes(&normal), '/');
    buf_free(&normal);
    return r;
}

/* A header's value without white space at its ends, and with one space for every run of it inside.
 */
static int append_collapsed(struct buf *out, struct bytes value)
{
    size_t start = out->len, i;
    bool space = false;

    for (i = 0; i < value.len; i++) {
        uint8_t c = value.data[i];

        if (c == ' ' || c == '\t') {
            space = out->len > start;
            continue;
        }
        if ((space && append_byte(out, ' ') < 0) || append_byte(out, c) < 0)
            return -1;
        space = false;
    }
    return 0;
}

static int append_lower(struct buf *out, struct bytes text)
{
    size_t i;

    for (i = 0; i < text.len; i++)
        if (append_byte(out, lower(text.data[i])) < 0)
            return -1;
    return 0;
}

static bool is_repeated(const struct sorted_list *headers, size_t i)
{
    const struct sigv4_header *header = &headers->at[i];

    return i > 0 && compare_names(header[-1].name, header->name) == 0;
}

static int append_headers(struct buf *out, const struct sorted_list *headers)
{
    size_t i;

    for (i = 0; i < headers->count; i++) {
        if (is_repeated(headers, i)) {
            out->len--; /* the line goes on */
            if (append_byte(out, ',') < 0)
                return -1;
        } else if (append_lower(out, headers->at[i].name) < 0 || append_byte(out, ':') < 0) {
            return -1;
        }
        if (append_collapsed(out, headers->at[i].value) < 0 || append_byte(out, '\n') < 0)
            return -1;
    }
    return 0;
}

static int append_signed_names(struct buf *out, const struct sorted_list *headers)
{
    size_t i;

    for (i = 0; i < headers->count; i++) {
        if (is_repeated(headers, i))
            continue;
        if ((i > 0 && append_byte(out, ';') < 0) || append_lower(out, headers->at[i].name) < 0)
            return -1;
    }
    return 0;
}

/* The request's headers and those that signing adds. */
static int sort_headers(struct sorted_list *list, const struct sigv4_request *request,
                        const struct credentials *credentials, const struct sigv4_result *result)
{
    const char *token = credentials->session_token;
    int r = insert(list, bytes_of_text("x-amz-date"), bytes_of_text(result->date));
    size_t i;

    if (token)
        r |= insert(list, bytes_of_text("x-amz-security-token"), bytes_of_text(token));
    for (i = 0; i < request->header_count; i++)
        r |= insert(list, request->headers[i].name, request->headers[i].value);
    return r;
}

/* The line of the query is empty: no request of ours has one. */
static int make_canonical_request(struct sigv4_result *result, const struct sigv4_request *request,
                                  const struct sorted_list *headers)
{
    struct buf *out = &result->canonical_request;
    uint8_t hash[HASH_SIZE];
    char hex[HASH_HEX_SIZE];

    if (append(out, request->method) < 0 || append_byte(out, '\n') < 0 ||
        append_path(out, request->path) < 0 || buf_append_text(out, "\n\n") < 0 ||
        append_headers(out, headers) < 0 || append_byte(out, '\n') < 0 ||
        append_signed_names(out, headers) < 0 || append_byte(out, '\n') < 0)
        return -1;
    hash_sha256(hash, request->body);
    hash_hex(hex, hash);
    return buf_append_text(out, hex);
}

static int append_scope(struct buf *out, const char *date, const struct sigv4_scope *scope)
{
    if (buf_append(out, date, DAY_LEN) < 0 || append_byte(out, '/') < 0 ||
        buf_append_text(out, scope->region) < 0 || append_byte(out, '/') < 0 ||
        buf_append_text(out, scope->service) < 0)
        return -1;
    return buf_append_text(out, "/aws4_request");
}

static int make_string_to_sign(struct sigv4_result *result, const struct sigv4_scope *scope)
{
    struct buf *out = &result->string_to_sign;
    uint8_t hash[HASH_SIZE];
    char hex[HASH_HEX_SIZE];

    hash_sha256(hash, buf_bytes(&result->canonical_request));
    hash_hex(hex, hash);
    if (buf_append_text(out, algorithm) < 0 || append_byte(out, '\n') < 0 ||
        buf_append_text(out, result->date) < 0 || append_byte(out, '\n') < 0 ||
        append_scope(out, result->date, scope) < 0 || append_byte(out, '\n') < 0)
        return -1;
    return buf_append_text(out, hex);
}

static int make_signature(struct sigv4_result *result, const char *secret_access_key,
                          const struct sigv4_scope *scope)
{
    struct buf seed = {.tag = ARENA_CREDENTIALS};
    uint8_t key[HASH_SIZE];
    int r = -1;

    if (buf_append_text(&seed, "AWS4") == 0 && buf_append_text(&seed, secret_access_key) == 0) {
        hash_hmac(key, buf_bytes(&seed), bytes_of(result->date, DAY_LEN));
        hash_hmac(key, bytes_of(key, sizeof key), bytes_of_text(scope->region));
        hash_hmac(key, bytes_of(key, sizeof key), bytes_of_text(scope->service));
        hash_hmac(key, bytes_of(key, sizeof key), bytes_of_text("aws4_request"));
        hash_hmac(key, bytes_of(key, sizeof key), buf_bytes(&result->string_to_sign));
        hash_hex(result->signature, key);
        r = 0;
    }
    wipe(key, sizeof key);
    buf_free(&seed);
    return r;
}

static int make_authorization(struct sigv4_result *result, const char *access_key_id,
                              const struct sorted_list *headers, const struct sigv4_scope *scope)
{
    struct buf *out = &result->authorization;

    if (buf_append_text(out, algorithm) < 0 || buf_append_text(out, " Credential=") < 0 ||
        buf_append_text(out, access_key_id) < 0 || append_byte(out, '/') < 0 ||
        append_scope(out, result->date, scope) < 0 ||
        buf_append_text(out, ", SignedHeaders=") < 0 || append_signed_names(out, headers) < 0 ||
        buf_append_text(out, ", Signature=") < 0)
        return -1;
    return buf_append_text(out, result->signature);
}

int sigv4_sign(struct sigv4_result *result, const struct sigv4_request *request,
               const struct credentials *credentials, const struct sigv4_scope *scope)
{
    struct sorted_list headers = {.count = 0};
    struct civil civil;

    result->canonical_request.tag = ARENA_WORK;
    result->string_to_sign.tag = ARENA_WORK;
    result->authorization.tag = ARENA_WORK;
    clock_to_civil(scope->time, &civil);
    (void)snprintf(result->date, sizeof result->date, "%04d%02d%02dT%02d%02d%02dZ", civil.year,
                   civil.month, civil.day, civil.hour, civil.minute, civil.second);
    if (sort_headers(&headers, request, credentials, result) < 0 ||
        make_canonical_request(result, request, &headers) < 0 ||
        make_string_to_sign(result, scope) < 0 ||
        make_signature(result, credentials->secret_access_key, scope) < 0 ||
        make_authorization(result, credentials->access_key_id, &headers, scope) < 0)
        return -1;
    return 0;
}

void sigv4_free(struct sigv4_result *result)
{
    buf_free(&result->canonical_request);
    buf_free(&result->string_to_sign);
    buf_free(&result->authorization);
}
