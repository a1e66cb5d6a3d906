/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENCLAVE_PINS_H
#define ENCLAVE_PINS_H

struct attested;
struct config;

/*
 * Writes the keys that were attested of late to attest-pins, where it is configured: a line for
 * each, "sha256//BASE64 ENDPOINT", as curl's --pinnedpubkey has them, and behind it the root where
 * that is not AWS's. A file that says the same,
 * and one in place of which there would be nothing, stay as they are; with dry-run, any. Where it
 * cannot be written the log says so.
 */
void pins_write(const struct config *config, const struct attested *attested);

#endif
