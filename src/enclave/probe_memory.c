/* SPDX-License-Identifier: Apache-2.0 */
#include "enclave/probe_memory.h"

#include <string.h>

#include "base/clock.h"
#include "enclave/attestation.h"
#include "enclave/probe.h"
#include "net/http.h"
#include "net/tls_cache.h"

enum { TAKEN_BACK_MAX = 3 };

void probe_memory_resume(struct probe_memory *memory, unsigned every, size_t memories)
{
    if (every > 1 && !memory->sessions) {
        memory->sessions = tls_cache_new(tls_cache_room(memory->count, memories), every);
    } else if (every <= 1) {
        tls_cache_free(memory->sessions);
        memory->sessions = NULL;
    }
}

void probe_memory_renew(struct probe_memory *memory)
{
    size_t i;

    for (i = 0; i < memory->count; i++)
        memory->endpoints[i].renew = true;
}

void probe_memory_sweep(struct probe_memory *memory)
{
    if (memory->sessions)
        tls_cache_sweep(memory->sessions, clock_ms(), clock_wall());
}

void probe_memory_forget(struct probe_memory *memory)
{
    probe_memory_resume(memory, 1, 1);
    if (memory->count > 0)
        memset(memory->endpoints, 0, memory->count * sizeof *memory->endpoints);
}

/* It refuses who resumes, and accepts who does not. */
bool probe_memory_full_only(const struct probe_memory *memory, size_t endpoint)
{
    return memory->endpoints[endpoint].taken_back >= TAKEN_BACK_MAX;
}

void probe_memory_refused(struct probe_memory *memory, size_t endpoint)
{
    memory->endpoints[endpoint].taken_back++;
}

static uint64_t hash_word(uint64_t hash, const char *word)
{
    return word ? hash_fnv(hash, word, strlen(word) + 1) : hash_fnv(hash, "", 1);
}

static uint64_t hash_without_numbers(uint64_t hash, const char *text)
{
    for (; *text; text++)
        if (*text < '0' || *text > '9')
            hash = hash_fnv(hash, text, 1);
    return hash;
}

/* Whether the server showed another key than before. */
static bool take_key(struct probe_known *known, const struct http_response *response)
{
    static const uint8_t none[HASH_SIZE];
    uint8_t key[HASH_SIZE];
    bool changed;

    if (response->chain_count == 0 || !attestation_key(response->chain[0], key))
        return false;
    changed = memcmp(known->server_key, key, sizeof key) != 0 &&
              memcmp(known->server_key, none, sizeof none) != 0;
    memcpy(known->server_key, key, sizeof key);
    return changed;
}

/*
 * Of a resumed handshake that was accepted the status alone is news: it shows no certificate and no
 * group. The reason of one that is accepted says what the attestation's word says, once at length.
 */
bool probe_memory_take(struct probe_memory *memory, size_t endpoint,
                       const struct http_response *response, const struct probe *probe,
                       const char *attestation)
{
    const char *const words[] = {probe_verdict_name(probe->verdict),
                                 probe->version,
                                 probe->cipher,
                                 probe->group,
                                 attestation,
                                 probe->attested.other_root};
    struct probe_known *known = &memory->endpoints[endpoint];
    const bool accepted = probe->verdict == PROBE_ACCEPTED;
    bool changed, news = probe->status != known->status;
    uint64_t said = HASH_FNV;
    size_t i;

    known->status = probe->status;
    if (probe->resumed && accepted) {
        known->taken_back = 0;
        return news;
    }
    changed = take_key(known, response);
    for (i = 0; i < sizeof words / sizeof *words; i++)
        said = hash_word(said, words[i]);
    if (!accepted)
        said = hash_without_numbers(said, probe->reason);
    news = news || changed || said != known->said;
    known->said = said;
    known->renew = changed || !accepted;
    if (!accepted)
        known->taken_back = 0;
    return news;
}
