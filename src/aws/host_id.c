/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/host_id.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "aws/aws.h"
#include "aws/imds.h"
#include "aws/text.h"
#include "aws/url.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "net/http.h"

enum { ANSWER_MAX = 128 * 1024, CONNECT_MS = 1000, TOTAL_MS = 3000 };

/* Takes an identity over, if it is one. */
static bool take(char out[HOST_ID_MAX], struct bytes text)
{
    if (!text_is_graphic(text) || text.len >= HOST_ID_MAX)
        return false;
    memcpy(out, text.data, text.len);
    out[text.len] = '\0';
    return true;
}

static bool read_task(struct bytes answer, char out[HOST_ID_MAX])
{
    char reason[JSON_REASON_MAX];
    struct json *json = json_parse(answer, reason);
    struct buf text = {.tag = ARENA_WORK};
    const bool found = json && json_string(json, json_present(json, 0, "TaskARN"), &text) == 0 &&
                       take(out, buf_bytes(&text));

    json_free(json);
    buf_free(&text);
    return found;
}

static bool ask_task(const struct aws *aws, char out[HOST_ID_MAX])
{
    const char *base = getenv("ECS_CONTAINER_METADATA_URI_V4");
    char text[IMDS_URL_MAX];
    const struct http_request request = {
        .method = "GET",
        .url = text,
        .address_allowed = url_address_is_agent,
        .body_max = ANSWER_MAX,
        .connect_ms = CONNECT_MS,
        .total_ms = TOTAL_MS,
        .deadline = aws->deadline,
    };
    struct http_response response = {0};
    struct http *http = NULL;
    struct url url;
    struct err ignored;
    bool found = false;

    if (base && snprintf(text, sizeof text, "%s/task", base) < (int)sizeof text &&
        url_parse(&url, text) == 0 && !url.tls)
        http = http_new(false, &ignored);
    if (http && http_perform(http, &request, &response, 1, &ignored) == 0)
        found = response.result == HTTP_ANSWERED && response.status == 200 &&
                read_task(buf_bytes(&response.body), out);
    http_response_free(&response);
    http_free(http);
    return found;
}

static bool ask_instance(const struct aws *aws, char out[HOST_ID_MAX])
{
    struct buf text = {.tag = ARENA_WORK};
    struct imds *imds = NULL;
    struct err ignored;
    const bool found = imds_open(&imds, aws, &ignored) == IMDS_FOUND &&
                       imds_get(imds, "instance-id", &text, &ignored) == IMDS_FOUND &&
                       take(out, buf_bytes(&text));

    imds_close(imds);
    buf_free(&text);
    return found;
}

void host_id(const struct aws *aws, char out[HOST_ID_MAX])
{
    struct aws brief = *aws;
    struct utsname name;

    brief.deadline = clock_ms() + TOTAL_MS;
    if (brief.deadline > aws->deadline)
        brief.deadline = aws->deadline;
    if (ask_task(&brief, out) || ask_instance(&brief, out))
        return;
    (void)snprintf(out, HOST_ID_MAX, "%s", uname(&name) == 0 ? name.nodename : "");
}
