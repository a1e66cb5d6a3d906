/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/retry.h"

#include <stdio.h>
#include <stdlib.h>

#include "case.h"
#include "commands.h"
#include "net/http.h"

int conformance_retry(int argc, char **argv)
{
    struct http_response response = {.result = HTTP_ANSWERED};
    struct json *json = argc == 1 ? case_parse(NULL) : NULL;
    json_value status;
    enum retry_class class;

    if (!json) {
        fprintf(stderr, "usage: conformance %s <ROW\n", argv[0]);
        return CONFORMANCE_USAGE;
    }
    status = json_member(json, 0, "status");
    if (json_type(json, status) == JSON_NUMBER)
        response.status = atoi((const char *)json_raw(json, status).data);
    else
        response.result = HTTP_UNREACHABLE; /* no answer, for whatever reason */
    class = retry_classify(&response, case_text(json, 0, "error"));
    printf("%s%s%s%s\n", class & RETRY_THROTTLED ? "throttling" : "",
           class == RETRY_BOTH ? " " : "", class & RETRY_TRANSIENT ? "transient" : "",
           class == RETRY_NEVER ? "none" : "");
    return 0;
}
