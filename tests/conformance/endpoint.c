/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/endpoint.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "commands.h"

/* A case of the SDKs' endpoint tests. */
struct endpoint_case {
    struct json *json;
    json_value params; /* JSON_ABSENT: none is given */
    struct buf region, custom;
};

static bool flag(const struct endpoint_case *it, const char *name)
{
    return it->params >= 0 &&
           json_type(it->json, json_member(it->json, it->params, name)) == JSON_TRUE;
}

/* A text of the case; NULL where it has none. */
static const char *text(const struct endpoint_case *it, const char *name, struct buf *out)
{
    json_value value = it->params < 0 ? JSON_ABSENT : json_member(it->json, it->params, name);

    return value >= 0 && json_string(it->json, value, out) == 0 ? (const char *)out->data : NULL;
}

static void print_url(struct endpoint_case *it, enum endpoint_service service)
{
    const struct endpoint_params params = {
        .service = service,
        .region = text(it, "Region", &it->region),
        .custom = text(it, "Endpoint", &it->custom),
        .fips = flag(it, "UseFIPS"),
        .dual_stack = flag(it, "UseDualStack"),
        .global = flag(it, "UseGlobalEndpoint"),
    };
    struct aws_endpoint endpoint;
    struct err err = {0};

    if (endpoint_by_rules(&endpoint, &params, &err) == 0) {
        puts(endpoint.text);
        return;
    }
    fprintf(stderr, "%s: %s\n", err_info(err.code)->name, err.reason);
    puts("error");
}

int conformance_endpoint(int argc, char **argv)
{
    const char *service = argc > 1 ? argv[1] : "secretsmanager";
    bool sts = strcmp(service, "sts") == 0;
    struct endpoint_case it = {.region.tag = ARENA_WORK, .custom.tag = ARENA_WORK};
    struct buf input = {0};
    char reason[JSON_REASON_MAX];

    if (argc > 2 || (!sts && strcmp(service, "secretsmanager") != 0)) {
        fprintf(stderr, "usage: conformance endpoint [secretsmanager|sts] <CASE\n");
        return CONFORMANCE_USAGE;
    }
    if (conformance_input(&input) < 0 || !(it.json = json_parse(buf_bytes(&input), reason))) {
        fprintf(stderr, "endpoint: standard input is no JSON\n");
        buf_free(&input);
        return CONFORMANCE_USAGE;
    }
    it.params = json_member(it.json, 0, "params");
    print_url(&it, sts ? ENDPOINT_STS : ENDPOINT_SECRETSMANAGER);
    json_free(it.json);
    buf_free(&it.region);
    buf_free(&it.custom);
    buf_free(&input);
    return 0;
}
