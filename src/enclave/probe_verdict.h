/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENCLAVE_PROBE_VERDICT_H
#define ENCLAVE_PROBE_VERDICT_H

struct config;
struct http_response;
struct probe;

enum { PROBE_CLOSES = 3 }; /* how many closes without a word it takes before they count */

/*
 * Fills a probe with what its exchange came to: the verdict of docs/verification.md, the reason
 * where it is no acceptance, and the facts. What an attestation says is not looked at.
 */
void probe_judge(const struct config *config, const struct http_response *response,
                 struct probe *probe);

#endif
