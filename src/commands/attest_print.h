/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMANDS_ATTEST_PRINT_H
#define COMMANDS_ATTEST_PRINT_H

#include <stdbool.h>

struct attestation;
struct buf;
struct config;
struct json_writer;

/* What a document of a file or an endpoint proves, on a screen, or for programs. */
struct attested_view {
    const struct config *config;
    const char *source;
    const struct attestation *attestation;
    bool online; /* it came over a connection, with a nonce of ours where there is one */
};
void attest_print_text(struct buf *out, const struct attested_view *view);
void attest_print_json(struct json_writer *writer, const struct attested_view *view);

#endif
