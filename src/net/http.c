/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http.h"

#include <curl/curl.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "net/exchange.h"

static void *library_alloc(size_t size)
{
    return arena_alloc(size ? size : 1, ARENA_LIBRARY);
}

static void *library_calloc(size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size)
        return NULL;
    return library_alloc(count * size);
}

static void *library_realloc(void *memory, size_t size)
{
    return arena_realloc(memory, size ? size : 1, ARENA_LIBRARY);
}

static char *library_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = library_alloc(size);

    if (copy)
        memcpy(copy, text, size);
    return copy;
}

static int start_library(struct err *err)
{
    static bool started;

    if (!started && curl_global_init_mem(CURL_GLOBAL_DEFAULT, library_alloc, arena_free,
                                         library_realloc, library_strdup, library_calloc))
        return err_set(err, ERR_SYSTEM, "libcurl", "cannot start");
    started = true;
    return 0;
}

struct http *http_new(bool reuse, struct err *err)
{
    struct http *http;

    if (start_library(err) < 0)
        return NULL;
    http = arena_alloc(sizeof *http, ARENA_WORK);
    if (http)
        http->multi = curl_multi_init();
    if (!http || !http->multi ||
        curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS,
                          (long)(reuse ? HTTP_PARALLEL : HTTP_FLYING_MAX)) != CURLM_OK) {
        http_free(http);
        (void)err_set(err, ERR_MEMORY_FULL, NULL, "no room for a connection");
        return NULL;
    }
    http->reuse = reuse;
    return http;
}

void http_free(struct http *http)
{
    if (!http)
        return;
    curl_multi_cleanup(http->multi);
    arena_free(http);
}

/* A batch over an array. */
struct array {
    const struct http_request *requests;
    struct http_response *responses;
    size_t count;
    size_t at;
};

static bool next_of_array(void *user, struct http_request *request, void *note)
{
    struct array *array = user;

    if (array->at == array->count)
        return false;
    *request = array->requests[array->at];
    *(size_t *)note = array->at++;
    return true;
}

static void done_of_array(void *user, struct http_response *response, void *note)
{
    struct array *array = user;

    response->chain = NULL;
    response->chain_count = 0;
    array->responses[*(size_t *)note] = *response;
    response->body = (struct buf){.tag = ARENA_DOCUMENT};
}

int http_perform(struct http *http, const struct http_request *requests,
                 struct http_response *responses, size_t count, struct err *err)
{
    struct array array = {requests, responses, count, 0};
    const struct http_batch batch = {
        .next = next_of_array,
        .done = done_of_array,
        .user = &array,
        .note_size = sizeof(size_t),
        .parallel = HTTP_PARALLEL,
        .count = count,
    };

    memset(responses, 0, count * sizeof *responses);
    return http_run(http, &batch, err);
}

void http_response_free(struct http_response *response)
{
    buf_free(&response->body);
}
