/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/post.h"

#include "aws/aws.h"
#include "aws/credentials.h"
#include "aws/endpoint.h"
#include "aws/proxy.h"
#include "aws/sigv4.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "net/http.h"

enum { CONNECT_MS = 5000, TOTAL_MS = 15000, HEADERS_MAX = 7 };

static int sign(const struct post *post, struct sigv4_result *signature, struct err *err)
{
    const struct url *url = &post->endpoint->url;
    const struct sigv4_header headers[] = {
        {bytes_of_text("Host"), bytes_of_text(url->host)},
        {bytes_of_text("Content-Type"), bytes_of_text(post->content_type)},
        {bytes_of_text("X-Amz-Target"), bytes_of_text(post->target ? post->target : "")},
    };
    const struct sigv4_request request = {
        .method = bytes_of_text("POST"),
        .path = bytes_of_text(*url->path ? url->path : "/"),
        .headers = headers,
        .header_count = post->target ? 3 : 2,
        .body = post->body,
    };
    const struct sigv4_scope scope = {.region = post->endpoint->region,
                                      .service = post->service,
                                      .time = clock_wall() + post->skew_s};

    if (sigv4_sign(signature, &request, post->credentials, &scope) < 0)
        return err_set(err, ERR_MEMORY_FULL, post->object, "no room for the signature");
    return 0;
}

/* What a request points to. */
struct posted {
    struct sigv4_result signature;
    struct http_header headers[HEADERS_MAX];
    struct tls_policy tls;
};

static void write_request(struct http_request *request, struct posted *posted,
                          const struct post *post)
{
    const struct url *url = &post->endpoint->url;
    const struct http_header all[HEADERS_MAX] = {
        {"Host", url->host},
        {"Content-Type", post->content_type},
        {"X-Amz-Target", post->target},
        {"Accept", post->accept},
        {"X-Amz-Date", post->credentials ? posted->signature.date : NULL},
        {"Authorization", (const char *)posted->signature.authorization.data},
        {"X-Amz-Security-Token", post->credentials ? post->credentials->session_token : NULL},
    };
    size_t i;

    posted->tls = (struct tls_policy){
        .name = url->name, .anchors = post->aws->anchors, .profile = post->aws->profile};
    *request = (struct http_request){
        .method = "POST",
        .url = post->endpoint->text,
        .headers = posted->headers,
        .body = post->body,
        .tls = url->tls ? &posted->tls : NULL,
        .proxy = proxy_for(post->proxy, url),
        .address_allowed = url->tls ? NULL : url_address_is_loopback,
        .body_max = post->answer_max,
        .spare = post->spare,
        .connect_ms = CONNECT_MS,
        .total_ms = TOTAL_MS,
        .deadline = post->aws->deadline,
    };
    for (i = 0; i < HEADERS_MAX; i++)
        if (all[i].value)
            posted->headers[request->header_count++] = all[i];
}

int post(const struct post *posts, struct http_response *responses, size_t count, struct err *err)
{
    struct http_request *requests;
    struct posted *posted = arena_alloc(count * (sizeof *posted + sizeof *requests), ARENA_WORK);
    size_t i;
    int r = 0;

    if (!posted)
        return err_set(err, ERR_MEMORY_FULL, posts->object, "no room for the request");
    requests = (void *)(posted + count);
    for (i = 0; i < count && r == 0; i++) {
        if (posts[i].credentials)
            r = sign(&posts[i], &posted[i].signature, err);
        write_request(&requests[i], &posted[i], &posts[i]);
    }
    if (r == 0)
        r = http_perform(posts->http, requests, responses, count, err);
    for (i = 0; i < count; i++)
        sigv4_free(&posted[i].signature);
    arena_free(posted);
    return r;
}
