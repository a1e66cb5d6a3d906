/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSMN_STATIC
#define JSMN_PARENT_LINKS
#include <jsmn.h>

#include "base/clock.h"
#include "base/err.h"
#include "commands.h"
#include "x509/cert.h"
#include "x509/pem.h"
#include "x509/verify.h"

enum { TEXT_MAX = 64 << 20, CERTIFICATES_MAX = 512, NAME_MAX = 1024 };

/* A suite of x509-limbo, {"version": 1, "testcases": [...]}, on the ordinary heap. */
struct suite {
    char *text;
    size_t len;
    jsmntok_t *tokens;
    int count;
    enum verify_profile profile;
};

/* A case's certificates: der holds them one behind the other. */
struct certificates {
    struct buf der;
    size_t len[CERTIFICATES_MAX];
    size_t count;
};

static bool is_text(const struct suite *suite, int token, const char *text)
{
    const jsmntok_t *t = &suite->tokens[token];

    return t->type == JSMN_STRING && (size_t)(t->end - t->start) == strlen(text) &&
           memcmp(suite->text + t->start, text, strlen(text)) == 0;
}

/* The first token behind all that this one holds. */
static int behind(const struct suite *suite, int token)
{
    int end = suite->tokens[token++].end; /* its own start is that too, where it is empty */

    while (token < suite->count && suite->tokens[token].start < end)
        token++;
    return token;
}

/* A member's value; 0 where there is none, or null. */
static int member(const struct suite *suite, int object, const char *name)
{
    int i = object + 1, left;

    for (left = suite->tokens[object].size; left > 0; left--) {
        const jsmntok_t *value = &suite->tokens[i + 1];

        if (is_text(suite, i, name))
            return value->type == JSMN_PRIMITIVE && suite->text[value->start] == 'n' ? 0 : i + 1;
        i = behind(suite, i + 1);
    }
    return 0;
}

static bool array_has(const struct suite *suite, int array, const char *text)
{
    int i, left = array > 0 ? suite->tokens[array].size : 0;

    for (i = array + 1; left > 0; left--, i++)
        if (is_text(suite, i, text))
            return true;
    return false;
}

/*
 * A string without its escapes; \u escapes, which no certificate has, become "?". NULL: no memory.
 */
static char *decode(const struct suite *suite, int token)
{
    const char *in = suite->text + suite->tokens[token].start;
    const char *end = suite->text + suite->tokens[token].end;
    char *out = malloc((size_t)(end - in) + 1), *to = out;

    for (; out != NULL && in < end; in++) {
        if (*in == '\\' && in + 1 < end) {
            in++;
            *to++ = *in == 'n' ? '\n' : *in == 'u' ? '?' : *in;
            if (*in == 'u')
                in += end - in > 4 ? 4 : 0;
        } else {
            *to++ = *in;
        }
    }
    if (out != NULL)
        *to = '\0';
    return out;
}

/* Reads a string of PEM; -1 where it is none, or there are too many. */
static int add(const struct suite *suite, int token, struct certificates *certificates)
{
    char *text = decode(suite, token);
    struct pem_reader reader = {text ? bytes_of_text(text) : bytes_of(NULL, 0)};
    struct pem_block block;
    size_t before = certificates->der.len;
    int found = -1;

    if (text != NULL && certificates->count < CERTIFICATES_MAX)
        found = pem_next(&reader, &block, &certificates->der);
    free(text);
    if (found <= 0)
        return -1;
    certificates->len[certificates->count++] = certificates->der.len - before;
    return 0;
}

static int add_all(const struct suite *suite, int array, struct certificates *certificates)
{
    int i, left = array > 0 ? suite->tokens[array].size : 0;

    for (i = array + 1; left > 0; left--, i++)
        if (add(suite, i, certificates) < 0)
            return -1;
    return 0;
}

static void views(const struct certificates *certificates, struct bytes *out)
{
    size_t i, at = 0;

    for (i = 0; i < certificates->count; at += certificates->len[i], i++)
        out[i] = bytes_of(certificates->der.data + at, certificates->len[i]);
}

/* An anchor that cannot be read is no anchor; others may still do. */
static struct anchors *make_anchors(const struct certificates *certificates)
{
    static struct bytes view[CERTIFICATES_MAX];
    char reason[CERT_REASON_MAX];
    struct err err = {0};
    struct cert cert;
    size_t count = 0, i;

    views(certificates, view);
    for (i = 0; i < certificates->count; i++)
        if (cert_parse(&cert, view[i], reason) == 0)
            view[count++] = view[i];
        else
            fprintf(stderr, "limbo: an anchor is left out: %s\n", reason);
    return anchors_new(view, count, &err);
}

/*
 * "2024-03-01T00:00:00.999+00:00": every case has UTC, and fractions are cut off. Now where there
 * is none.
 */
static int64_t validation_time(const struct suite *suite, int test)
{
    int token = member(suite, test, "validation_time");
    char text[] = "0000-00-00T00:00:00Z";
    int64_t seconds = clock_wall();

    if (token == 0)
        return seconds;
    memcpy(text, suite->text + suite->tokens[token].start, sizeof text - 2);
    if (suite->tokens[token].end - suite->tokens[token].start < (int)sizeof text - 2 ||
        clock_parse(text, &seconds) < 0)
        fprintf(stderr, "limbo: a validation time cannot be read\n");
    return seconds;
}

static enum verify_status run(const struct suite *suite, int test, struct certificates *chain,
                              struct certificates *trusted, char reason[VERIFY_REASON_MAX])
{
    static struct bytes view[CERTIFICATES_MAX];
    int peer = member(suite, test, "expected_peer_name");
    int depth = member(suite, test, "max_chain_depth");
    struct verify_request request = {.chain = view,
                                     .purpose = VERIFY_SERVER,
                                     .profile = suite->profile,
                                     .now = validation_time(suite, test)};
    enum verify_status status = VERIFY_MALFORMED;
    struct anchors *anchors = NULL;
    char *name = NULL;

    (void)snprintf(reason, VERIFY_REASON_MAX, "the case cannot be read");
    if (peer > 0 && (name = decode(suite, member(suite, peer, "value"))) == NULL)
        return status;
    if (add(suite, member(suite, test, "peer_certificate"), chain) == 0 &&
        add_all(suite, member(suite, test, "untrusted_intermediates"), chain) == 0 &&
        add_all(suite, member(suite, test, "trusted_certs"), trusted) == 0 &&
        (anchors = make_anchors(trusted)) != NULL) {
        views(chain, view);
        request.chain_count = chain->count;
        request.anchors = anchors;
        request.name = name;
        if (depth > 0) /* counts what stands between leaf and anchor */
            request.path_max = 2 + strtoul(suite->text + suite->tokens[depth].start, NULL, 10);
        status = verify(&request, reason);
    }
    anchors_free(anchors);
    free(name);
    return status;
}

static const char *skipped(const struct suite *suite, int test)
{
    if (array_has(suite, member(suite, test, "features"), "has-crl"))
        return "no revocation lists";
    if (!is_text(suite, member(suite, test, "validation_kind"), "SERVER"))
        return "no clients' certificates";
    return NULL;
}

static void print_result(const struct suite *suite, int test, const char *result,
                         const char *context)
{
    const jsmntok_t *id = &suite->tokens[member(suite, test, "id")];

    printf("{\"id\":\"%.*s\",\"actual_result\":\"%s\",\"context\":", id->end - id->start,
           suite->text + id->start, result);
    if (context == NULL) {
        printf("null}");
        return;
    }
    for (printf("\""); *context != '\0'; context++)
        printf(*context == '"' || *context == '\\' ? "\\%c" : "%c", *context);
    printf("\"}");
}

static void run_case(const struct suite *suite, int test)
{
    struct certificates chain = {.der = {.tag = ARENA_WORK}},
                        trusted = {.der = {.tag = ARENA_WORK}};
    char reason[VERIFY_REASON_MAX], context[VERIFY_REASON_MAX + 32];
    const char *why = skipped(suite, test);
    enum verify_status status;

    if (why != NULL) {
        print_result(suite, test, "SKIPPED", why);
        return;
    }
    status = run(suite, test, &chain, &trusted, reason);
    (void)snprintf(context, sizeof context, "%s: %s", verify_status_name(status), reason);
    print_result(suite, test, status == VERIFY_OK ? "SUCCESS" : "FAILURE",
                 status == VERIFY_OK ? NULL : context);
    buf_free(&chain.der);
    buf_free(&trusted.der);
}

static int read_file(const char *path, struct suite *suite)
{
    FILE *file = fopen(path, "rb");

    if (file == NULL || (suite->text = malloc(TEXT_MAX)) == NULL) {
        fprintf(stderr, "limbo: %s: %s\n", path, strerror(errno));
        if (file != NULL)
            (void)fclose(file);
        return -1;
    }
    suite->len = fread(suite->text, 1, TEXT_MAX, file);
    if (ferror(file) || (suite->len == TEXT_MAX && fgetc(file) != EOF)) {
        fprintf(stderr, "limbo: %s: cannot be read, or has more than 64 MiB\n", path);
        (void)fclose(file);
        return -1;
    }
    return fclose(file);
}

/* Twice: to count the tokens, then to keep them. */
static int tokenize(struct suite *suite)
{
    jsmn_parser parser;

    jsmn_init(&parser);
    suite->count = jsmn_parse(&parser, suite->text, suite->len, NULL, 0);
    if (suite->count <= 0)
        return -1;
    suite->tokens = calloc((size_t)suite->count, sizeof *suite->tokens);
    if (suite->tokens == NULL)
        return -1;
    jsmn_init(&parser);
    suite->count =
        jsmn_parse(&parser, suite->text, suite->len, suite->tokens, (unsigned)suite->count);
    return suite->count > 0 && suite->tokens[0].type == JSMN_OBJECT ? 0 : -1;
}

static int run_suite(const struct suite *suite)
{
    int cases = member(suite, 0, "testcases"), test, left;

    if (cases == 0 || suite->tokens[cases].type != JSMN_ARRAY)
        return -1;
    printf("{\"version\":1,\"harness\":\"mtls-agent\",\"results\":[\n");
    test = cases + 1;
    for (left = suite->tokens[cases].size; left > 0; left--) {
        run_case(suite, test);
        printf(left > 1 ? ",\n" : "\n");
        test = behind(suite, test);
    }
    printf("]}\n");
    return 0;
}

int conformance_limbo(int argc, char **argv)
{
    struct suite suite = {.profile = VERIFY_STRICT};
    int result = 1;

    if (argc < 2 || argc > 3 || (argc == 3 && strcmp(argv[2], "private") != 0)) {
        fprintf(stderr, "usage: conformance limbo FILE [private]\n");
        return CONFORMANCE_USAGE;
    }
    if (argc == 3)
        suite.profile = VERIFY_PRIVATE;
    if (read_file(argv[1], &suite) == 0) {
        if (tokenize(&suite) < 0 || run_suite(&suite) < 0)
            fprintf(stderr, "limbo: %s is no suite of x509-limbo\n", argv[1]);
        else
            result = 0;
    }
    free(suite.tokens);
    free(suite.text);
    return result;
}
