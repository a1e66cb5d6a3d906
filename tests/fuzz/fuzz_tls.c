/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TLS client after the hook, given any bytes as the server's: one of choices (client.h), then
 * what the server sends. Nothing in here is random, so that a recorded server can be played back
 * to the end of the handshake, and behind it.
 */
#include "client.h"
#include "fuzz.h"
#include "peer.h"

static struct client_tls client;

void fuzz_begin(void)
{
    unsigned kind;

    for (kind = 0; kind < PEER_KINDS; kind++)
        (void)peer_identity(kind);
}

/* What the client says goes nowhere. */
static size_t listen(void)
{
    size_t len, all = 0;

    while (br_ssl_engine_sendrec_buf(&client.tls.eng, &len)) {
        br_ssl_engine_sendrec_ack(&client.tls.eng, len);
        all += len;
    }
    return all;
}

static void play(struct bytes input)
{
    size_t taken;

    do {
        taken = listen();
        if (input.len > 0) {
            size_t some = client_take(&client, input);

            input = bytes_of(input.data + some, input.len - some);
            taken += some;
        }
    } while (taken > 0);
}

void fuzz(struct bytes input)
{
    const unsigned choices = fuzz_byte(&input);
    const struct tls_policy policy = client_policy(choices);
    struct tls_cache *cache =
        choices & CLIENT_RESUMES ? tls_cache_new(TLS_CACHE_MAX, TLS_CACHE_EVERY) : NULL;
    char label[TLS_LABEL_MAX];

    tls_policy_label(&policy, label);
    if (client_open(&client, &policy, cache)) {
        play(input);
        client_close(&client);
    } else {
        FUZZ_CHECK(fuzz_starved());
    }
    tls_cache_free(cache);
}
