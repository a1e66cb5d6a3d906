/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_EXCHANGE_H
#define NET_EXCHANGE_H

#include <curl/curl.h>

#include "net/http.h"

/*
 * Inside net/: one request in flight, between http.c (who runs it), exchange.c (what libcurl is
 * told) and outcome.c (what came of it).
 */
struct exchange {
    CURL *easy;
    const struct http_request *request;
    struct http_response *response;
    struct tls_session *session; /* kept by the http */
    struct curl_slist *headers;
    struct curl_slist *connect_to;
    bool address_denied;
    bool too_large;
    char error[CURL_ERROR_SIZE];
};

/*
 * Tells libcurl all about a request whose easy handle and session are there: 0, or -1 and nothing
 * may be sent.
 */
int exchange_configure(struct exchange *exchange, bool reuse);

/*
 * Fills the response from what libcurl and the TLS session know once the transfer has ended with
 * code.
 */
void exchange_conclude(struct exchange *exchange, CURLcode code);

#endif
