/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/json.h"
#include "commands.h"

int conformance_json(int argc, char **argv)
{
    char reason[JSON_REASON_MAX] = "";
    struct buf text = {0};
    struct json *json;

    if (conformance_read(argc, argv, &text) < 0)
        return CONFORMANCE_USAGE;
    json = json_parse(buf_bytes(&text), reason);
    if (!json)
        fprintf(stderr, "refused: %s\n", reason);
    json_free(json);
    buf_free(&text);
    return json ? 0 : 1;
}
