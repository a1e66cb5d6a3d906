/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENCLAVE_ATTESTATION_H
#define ENCLAVE_ATTESTATION_H

#include <stdbool.h>
#include <stdint.h>

#include "attest/attest.h"
#include "base/buf.h"
#include "base/err.h"
#include "enclave/probe.h"

struct config;

/*
 * What an enclave is asked for by the configured profile, and what its answer proves by the
 * configured policy.
 */
#define ATTESTATION_NONCE    20 /* bytes: what every profile takes */
#define ATTESTATION_PATH_MAX 320
#define ATTESTATION_TEXT_MAX                                                                       \
    40960 /* of an answer: the largest document in hexadecimal and JSON                            \
           */

struct attestation_question {
    char path[ATTESTATION_PATH_MAX];
    bool has_nonce; /* a random one, used for this question alone */
    uint8_t nonce[ATTESTATION_NONCE];
};
void attestation_ask(const struct config *config, struct attestation_question *out);

/* An answer, and what it proves. Zero-initialise it. */
struct attestation {
    struct buf text;                 /* public: what document views; attestation_free() frees it */
    struct attest_document document; /* where read is set */
    bool read;                       /* it could be read */
    bool genuine;                    /* AWS's hardware, or a configured other root, signed it */
    bool nonce_is_ours;              /* it echoes the one that was sent; false: or none was */
    struct attest_root root;         /* where read is set */
    enum attest_binding binding;     /* by the profile */
    struct err err;                  /* the first thing that it does not prove, and by which other
                                        root; ERR_NONE: none */
};

/* The connection that an answer came over. data NULL: it has none. */
struct attestation_channel {
    struct bytes leaf; /* the server's certificate, DER */
    struct bytes exporter;
};

/*
 * Judges text, in any form that attest_form_read() takes. question and channel are NULL for a
 * document by itself, which has no freshness but its age, by config->at or the clock, and no
 * binding. 0, or -1 as out->err says.
 */
int attestation_judge(const struct config *config, const struct attestation_question *question,
                      const struct attestation_channel *channel, struct bytes text,
                      struct attestation *out);
void attestation_free(struct attestation *attestation);

/*
 * Stable words for what came of it: an error's code; "attested", where an image was asked for, else
 * "genuine", each with "_other_root" behind it where the root is not AWS's.
 */
const char *attestation_word(const struct config *config, enum err_code code, bool other_root);

/* SHA-256 of a certificate's SubjectPublicKeyInfo: the key by which an enclave is known. */
bool attestation_key(struct bytes leaf, uint8_t out[HASH_SIZE]);

/* What keys of one endpoint have shown of late: several enclaves may answer there. */
#define ATTESTED_KEYS 4
struct attested {
    struct attested_key {
        struct probe_attested said;
        int64_t at_ms; /* on clock_ms(); 0: none */
    } keys[ATTESTED_KEYS];
};
/* Replaces the entry of the same key, else the oldest. at_ms 0: removes the key. */
void attested_add(struct attested *attested, const struct probe_attested *said, int64_t at_ms);
/* What it said at since_ms or later; NULL: nothing. */
const struct attested_key *attested_find(const struct attested *attested,
                                         const uint8_t key[HASH_SIZE], int64_t since_ms);

#endif
