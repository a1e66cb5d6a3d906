/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_CLIENT_H
#define FUZZ_CLIENT_H

#include <bearssl.h>
#include <stdbool.h>

#include "base/bytes.h"
#include "net/tls.h"
#include "net/tls_cache.h"

/* The name that the samples' servers are certified for. */
#define CLIENT_SERVER "enclave.example"

/* What a byte of an input chooses of a policy. */
enum client_choice {
    CLIENT_KIND = 3, /* of the identity; the highest: none */
    CLIENT_COMPATIBLE = 4,
    CLIENT_OTHER_NAME = 8,
    CLIENT_BELIEVES = 16, /* all signatures of certificates, and those by ECDSA, are good */
    CLIENT_RESUMES = 32,
    CLIENT_ALLOWS_CN = 64,
    CLIENT_STRICT = 128
};
struct tls_policy client_policy(unsigned choices);

/*
 * The TLS client as libcurl sets it up: the hook configures a zeroed context, which is then reset.
 * With --wrap=cert_signed_by, tls_hook and so for libcurl's own.
 */
struct client_tls {
    br_ssl_client_context tls;
    struct tls_session *session;
    bool offers_protocol; /* HTTP/1.1 by ALPN, as libcurl does; set before it is opened */
    bool connected;
    uint8_t buffer[BR_SSL_BUFSIZE_BIDI];
};

/* False where there was no memory. */
bool client_open(struct client_tls *client, const struct tls_policy *policy,
                 struct tls_cache *cache);

/* For a moment: what client_policy() chose of CLIENT_BELIEVES is in force. */
void client_believe(unsigned choices);

/* Takes a server's bytes: how many, before the connection is over. */
size_t client_take(struct client_tls *client, struct bytes data);

/* Looks at what has become of the connection, and ends it. */
void client_close(struct client_tls *client);

#endif
