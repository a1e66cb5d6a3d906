/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trap of connection pool and session cache: libcurl compares neither the TLS hook nor its
 * argument, so that a second identity could be served over the first one's connection or session.
 * This program does what the agent never does, uses one struct http, or one cache of sessions, for
 * two identities, and shows that the label keeps them apart even so.
 *
 *   pool-trap GOOD_DIR ROGUE_DIR HOST:PORT     exit 0: the good one was accepted twice, the rogue
 * one never pool-trap --no-hook GOOD_DIR HOST:PORT     exit 0: a connection without the hook failed
 * closed
 */
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "identity/identity.h"
#include "install/installed.h"
#include "net/exchange.h"
#include "net/tls_cache.h"

enum { LIMIT_MS = 10000 };

static struct identity *load(const char *dir)
{
    struct install_target target = {.root = "", .dir = dir, .sub = ""};
    struct err err;
    struct identity *identity = installed_identity(&target, &err);

    if (!identity)
        fprintf(stderr, "%s: %s\n", dir, err.reason);
    return identity;
}

struct trap {
    struct http *http;
    struct tls_cache *sessions; /* or NULL */
    const char *name, *url;
};

/* Whether the enclave answered this identity with 200. */
static bool accepted(const struct trap *trap, const struct identity *identity)
{
    struct tls_policy policy = {
        .name = trap->name,
        .anchors = identity->anchors,
        .profile = VERIFY_PRIVATE,
        .identity = identity,
    };
    struct http_request request = {
        .method = "GET",
        .url = trap->url,
        .tls = &policy,
        .sessions = trap->sessions,
        .body_max = 65536,
        .connect_ms = LIMIT_MS,
        .total_ms = LIMIT_MS,
        .deadline = clock_ms() + LIMIT_MS,
    };
    struct http_response response;
    struct err err;
    bool yes;

    if (http_perform(trap->http, &request, &response, 1, &err) < 0)
        return false;
    yes = response.result == HTTP_ANSWERED && response.status == 200;
    printf("%s: %s, HTTP %d, %s\n", identity->subject, http_result_text(response.result),
           response.status,
           response.tls.resumed            ? "session resumed"
           : response.tls.certificate_sent ? "certificate sent"
                                           : "no handshake");
    http_response_free(&response);
    return yes;
}

/* The good one is accepted twice, the rogue one never. */
static bool kept_apart(const struct trap *trap, const struct identity *good,
                       const struct identity *rogue)
{
    return accepted(trap, good) && !accepted(trap, rogue) && accepted(trap, good) &&
           !accepted(trap, rogue);
}

/* Over one pool; and over one cache of sessions, each connection closed. */
static int pool_trap(const char *good_dir, const char *rogue_dir, const char *name, const char *url)
{
    struct identity *good = load(good_dir), *rogue = load(rogue_dir);
    struct err err;
    struct trap pool = {http_new(true, &err), NULL, name, url};
    struct trap cache = {http_new(false, &err), tls_cache_new(TLS_CACHE_MAX, TLS_CACHE_EVERY), name,
                         url};
    bool right = false;

    if (good && rogue && pool.http && cache.http && cache.sessions) {
        /* The rogue one trusts the same enclave: only its own certificate may decide. */
        struct anchors *own = rogue->anchors;

        rogue->anchors = good->anchors;
        right = kept_apart(&pool, good, rogue) && kept_apart(&cache, good, rogue);
        rogue->anchors = own;
    }
    http_free(pool.http);
    http_free(cache.http);
    tls_cache_free(cache.sessions);
    identity_free(good);
    identity_free(rogue);
    return right ? 0 : 1;
}

static CURLcode perform(CURL *easy)
{
    CURLM *multi = curl_multi_init();
    CURLcode code = CURLE_FAILED_INIT;
    CURLMsg *message;
    int running = 1, left;

    if (multi && curl_multi_add_handle(multi, easy) == CURLM_OK) {
        while (running && curl_multi_perform(multi, &running) == CURLM_OK &&
               curl_multi_poll(multi, NULL, 0, LIMIT_MS, NULL) == CURLM_OK)
            ;
        message = curl_multi_info_read(multi, &left);
        if (message)
            code = message->data.result;
        (void)curl_multi_remove_handle(multi, easy);
    }
    curl_multi_cleanup(multi);
    return code;
}

/* The same handle that the agent makes, with the hook taken off again. */
static int no_hook(const struct identity *identity, const char *name, const char *url)
{
    struct tls_policy policy = {.name = name, .anchors = identity->anchors, .identity = identity};
    struct http_request request = {
        .method = "GET",
        .url = url,
        .tls = &policy,
        .connect_ms = LIMIT_MS,
        .total_ms = LIMIT_MS,
        .deadline = clock_ms() + LIMIT_MS,
    };
    struct exchange exchange = {.request = request};
    CURLcode code = CURLE_OK;

    exchange.session = tls_session_new(&policy, NULL, url);
    exchange.easy = curl_easy_init();
    if (exchange.session && exchange.easy && exchange_configure(&exchange, false) == 0 &&
        curl_easy_setopt(exchange.easy, CURLOPT_SSL_CTX_FUNCTION, NULL) == CURLE_OK)
        code = perform(exchange.easy);
    printf("without the hook: %s (libcurl's code %d)\n", exchange.error, (int)code);
    curl_easy_cleanup(exchange.easy);
    tls_session_free(exchange.session);
    return code == CURLE_PEER_FAILED_VERIFICATION ? 0 : 1;
}

int main(int argc, char *argv[])
{
    struct arena_options options = {.lock_preferred = true};
    struct identity *identity;
    struct http *library;
    struct err err;
    char name[256], url[512];
    int status = 1;

    if (argc != 4 || arena_open(&options, &err) < 0)
        return 2;
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(argv[3], ":"), argv[3]);
    (void)snprintf(url, sizeof url, "https://%s/health", argv[3]);
    if (strcmp(argv[1], "--no-hook") != 0)
        return pool_trap(argv[1], argv[2], name, url);
    library = http_new(false, &err); /* puts libcurl on the arena */
    identity = load(argv[2]);
    if (library && identity)
        status = no_hook(identity, name, url);
    identity_free(identity);
    http_free(library);
    return status;
}
