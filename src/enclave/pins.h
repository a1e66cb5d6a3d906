/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENCLAVE_PINS_H
#define ENCLAVE_PINS_H

struct attested;
struct config;

/*
 * Writes the recently attested keys to attest-pins, where it is configured: a line for each,
 * "sha256//BASE64 ENDPOINT", in the form of curl's --pinnedpubkey, and then the root if that is not
 * AWS's. It writes nothing where the file would not change, where there is no key, or with dry-run.
 * Logs a failure.
 */
void pins_write(const struct config *config, const struct attested *attested);

#endif
