/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENCLAVE_PROBE_ATTEST_H
#define ENCLAVE_PROBE_ATTEST_H

#include "enclave/attestation.h"

struct http_response;
struct probe;
struct probe_request;

/* The part of a probe that is about attestation. */

/* Whether one endpoint is asked for it now, instead of the health path. */
bool probe_attest_due(const struct probe_request *request, size_t index);

/* An answer: what was asked (NULL: the health path), and what came. */
struct probe_attest {
    const struct probe_request *request;
    size_t index;
    const struct attestation_question *question;
    const struct http_response *response;
};

/*
 * Judges the answer of one that accepted, and says so in probe. True: its key is not one that was
 * attested of late, and it is to be asked for that.
 */
bool probe_attest_take(const struct probe_attest *answer, struct probe *probe,
                       struct attestation *out);

#endif
