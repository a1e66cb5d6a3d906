/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMANDS_ATTEST_PRINT_H
#define COMMANDS_ATTEST_PRINT_H

#include <stdbool.h>

struct attestation;
struct config;
struct json_writer;

/*
 * What a document of a file or an endpoint proves: on a screen, or, by config->json, an object for
 * programs. Appended to the writer's buffer.
 */
struct attested_view {
    const struct config *config;
    const char *source;
    const struct attestation *attestation;
    bool online; /* it came over a connection, with a nonce of ours where there is one */
};
void attest_print(struct json_writer *writer, const struct attested_view *view);

#endif
