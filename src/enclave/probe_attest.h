/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENCLAVE_PROBE_ATTEST_H
#define ENCLAVE_PROBE_ATTEST_H

#include "enclave/attestation.h"

struct http_response;

/*
 * The part of a probe that is about attestation. Each connection is judged by its own key: several
 * enclaves may answer to one name.
 */
struct probe_attest {
    const struct probe_request *request;
    size_t index; /* of the endpoint */
    struct probe *probe;
    uint8_t key[HASH_SIZE];           /* SHA-256 of the server's SPKI; zeros: none came */
    const struct attested_key *known; /* what it said of late; NULL: nothing */
    bool asked;                       /* for its attestation, in place of the health path */
    struct attestation_question question;
};

bool probe_attest_wanted(const struct probe_request *request);

/*
 * The handshake is over, and that is the server's certificate: the path by which it is asked for
 * its attestation; NULL: its key is known, or it has refused to be asked.
 */
const char *probe_attest_path(struct probe_attest *attest, struct bytes leaf);

/*
 * Judges the answer of one that accepted, and says so in probe. True: no attestation came, and the
 * health path is to tell whether it accepts.
 */
bool probe_attest_take(struct probe_attest *attest, const struct http_response *response,
                       struct attestation *out);

#endif
