/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENCLAVE_PROBE_ATTEST_H
#define ENCLAVE_PROBE_ATTEST_H

#include "enclave/attestation.h"

struct http_response;

/*
 * The part of a probe that is about attestation. Each connection is judged by its own key: several
 * enclaves may answer to one name. It is asked for its attestation first, and then for the health
 * path, which says whether it accepts: over the same connection, or over another one on which the
 * same key answers.
 */

/* Of one endpoint, from one connection to the next. Zero-initialise it. */
struct probe_attest_memory {
    struct attested keys;    /* all that was judged, whatever it came to */
    unsigned asked;          /* how often for an attestation: ATTESTED_KEYS at most */
    int64_t waited_ms;       /* for the peer, on connections that came to no answer */
    uint8_t last[HASH_SIZE]; /* the key that was judged last */
    char why[400];           /* and what it does not prove */
};

/* Of one connection. */
struct probe_attest {
    const struct probe_request *request;
    struct probe_attest_memory *memory; /* NULL: attestation is not wanted */
    size_t index;                       /* of the endpoint */
    struct probe *probe;
    uint8_t key[HASH_SIZE]; /* SHA-256 of the server's SPKI; zeros: none came */
    bool asked;             /* for its attestation, which is still to be judged */
    bool judged;            /* it was, on this connection */
    struct attestation_question question;
};

bool probe_attest_wanted(const struct probe_request *request);

/*
 * The handshake is over, and that is the server's certificate: the path by which it is asked for
 * its attestation; NULL: its key is known, or enough were asked.
 */
const char *probe_attest_path(struct probe_attest *attest, struct bytes leaf);

/* Judges the answer to that path. */
void probe_attest_judge(struct probe_attest *attest, const struct http_response *response,
                        struct attestation *out);

/*
 * Takes the result of the connection, once its verdict is in probe, and notes there what it has not
 * attested. True: another connection must show whether it accepts.
 */
bool probe_attest_take(struct probe_attest *attest, const struct http_response *response,
                       struct attestation *out);

#endif
