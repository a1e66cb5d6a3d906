/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "x509/cert.h"
#include "x509/pem.h"

/* NULL where at least one block decodes and every certificate parses, else what is wrong. */
static const char *check(struct bytes text, char reason[CERT_REASON_MAX])
{
    struct pem_reader reader = {text};
    struct pem_block block;
    struct buf der = {.tag = ARENA_KEY};
    struct cert cert;
    int blocks = 0, found;

    while ((found = pem_next(&reader, &block, &der)) > 0) {
        blocks++;
        if (strcmp(block.label, "CERTIFICATE") == 0 &&
            cert_parse(&cert, buf_bytes(&der), reason) < 0)
            break;
        buf_free(&der);
    }
    buf_free(&der);
    if (found > 0)
        return reason;
    if (found < 0)
        return "a damaged block";
    return blocks > 0 ? NULL : "no block";
}

int conformance_pem(int argc, char **argv)
{
    char reason[CERT_REASON_MAX] = "";
    struct buf text = {0};
    const char *wrong;

    if (conformance_read(argc, argv, &text) < 0)
        return CONFORMANCE_USAGE;
    wrong = check(buf_bytes(&text), reason);
    if (wrong)
        fprintf(stderr, "refused: %s\n", wrong);
    buf_free(&text);
    return wrong ? 1 : 0;
}
