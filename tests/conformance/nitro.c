/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "attest/attest.h"
#include "base/err.h"
#include "commands.h"

/* A change of every so many bytes, and a cut. */
enum { FLIP_EACH = 29, CUT_EACH = 37 };

/* At the document's own time, without leeway, for AWS's root alone; of any image. */
static int judge(struct bytes cose, struct attest_document *document, struct err *err)
{
    struct attest_root root;

    if (attest_document_read(document, cose, err) < 0)
        return -1;
    return attest_genuine(document, &(struct attest_trust){.now = document->timestamp_ms / 1000},
                          &root, err);
}

static int is_live(const struct attest_document *document)
{
    struct err err;

    return attest_image(document, NULL, 0, &err) == 0 || err.code != ERR_ATTEST_DEBUG;
}

int conformance_nitro(int argc, char **argv)
{
    struct attest_document document;
    struct buf text = {0};
    struct err err;

    if (conformance_read(argc, argv, &text) < 0)
        return CONFORMANCE_USAGE;
    if (judge(buf_bytes(&text), &document, &err) < 0) {
        printf("%s: %s\n", err_info(err.code)->name, err.reason);
        return 1;
    }
    printf("OK%s\n", is_live(&document) ? "" : ", debug mode");
    buf_free(&text);
    return 0;
}

int conformance_nitro_mutants(int argc, char **argv)
{
    struct attest_document document;
    struct buf text = {0};
    struct err err;
    size_t i, tried = 0, accepted = 0;

    if (conformance_read(argc, argv, &text) < 0)
        return CONFORMANCE_USAGE;
    for (i = 0; i < text.len; i += FLIP_EACH, tried++) {
        text.data[i] ^= 1;
        accepted += judge(buf_bytes(&text), &document, &err) == 0;
        text.data[i] ^= 1;
    }
    for (i = 0; i < text.len; i += CUT_EACH, tried++)
        accepted += judge(bytes_of(text.data, i), &document, &err) == 0;
    printf("%zu of %zu\n", accepted, tried);
    buf_free(&text);
    return accepted > 0;
}
