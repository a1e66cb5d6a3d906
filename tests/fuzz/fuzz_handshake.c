/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mutual handshakes with a real server in the same process, whose messages are damaged on their
 * way: bytes of choices for the client (client.h), the server (peer.h) and its key, how many
 * changes, the changes, and what the server says then. A client that resumes comes twice.
 */
#include <fcntl.h>
#include <unistd.h>

#include "base/fs.h"
#include "client.h"
#include "fuzz.h"
#include "peer.h"

static struct client_tls client;
static struct peer peer;
static int record = -1;

/* FUZZ_RECORD names a file for what the server sent in a fuzz_tls's input. */
void fuzz_begin(void)
{
    const char *path = getenv("FUZZ_RECORD");
    unsigned kind;

    for (kind = 0; kind < PEER_KINDS; kind++)
        (void)peer_identity(kind);
    if (path)
        record = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

static size_t client_to_peer(void)
{
    size_t len, taken = 0;
    unsigned char *at = br_ssl_engine_sendrec_buf(&client.tls.eng, &len);

    if (at)
        taken = peer_take(&peer, at, len);
    if (taken > 0)
        br_ssl_engine_sendrec_ack(&client.tls.eng, taken);
    return taken;
}

static size_t peer_to_client(void)
{
    const struct bytes given = peer_give(&peer);
    const size_t taken = client_take(&client, given);

    if (record >= 0)
        FUZZ_CHECK(fs_write_all(record, bytes_of(given.data, taken)) == 0);
    peer_sent(&peer, taken);
    return taken;
}

/* A certificate of ours goes to whom we believe, and to nobody else. */
static void check_sent(void)
{
    const struct tls_record *tls = tls_session_record(client.session);

    FUZZ_CHECK(!tls->certificate_sent || tls->certificate_requested);
    FUZZ_CHECK(peer.cert == 0 || tls->verified);
}

static void shake(const struct tls_policy *policy, struct tls_cache *cache)
{
    if (!client_open(&client, policy, cache)) {
        FUZZ_CHECK(fuzz_starved());
        return;
    }
    while (peer_to_client() + client_to_peer() > 0)
        continue;
    check_sent();
    client_close(&client);
}

void fuzz(struct bytes input)
{
    const unsigned choices = fuzz_byte(&input), server = fuzz_byte(&input);
    const unsigned kind = fuzz_byte(&input), changes = fuzz_byte(&input) % 16 * 5;
    const struct tls_policy policy = client_policy(choices);
    struct bytes how = bytes_of(input.data, changes < input.len ? changes : input.len);
    const struct bytes text = bytes_of(input.data + how.len, input.len - how.len);
    struct tls_cache *cache =
        choices & CLIENT_RESUMES ? tls_cache_new(TLS_CACHE_MAX, TLS_CACHE_EVERY) : NULL;
    const uint8_t first = (uint8_t)choices;

    peer_forget();
    if (record >= 0)
        FUZZ_CHECK(fs_write_all(record, bytes_of(&first, 1)) == 0);
    if (cache) {
        peer_open(&peer, kind, server, bytes_of(NULL, 0), text);
        shake(&policy, cache);
    }
    /* The client's random numbers come first, as in fuzz_tls. */
    peer_open(&peer, kind, server, how, text);
    shake(&policy, cache);
    tls_cache_free(cache);
}
