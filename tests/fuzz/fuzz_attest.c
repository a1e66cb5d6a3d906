/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an enclave answers when it is asked for its attestation: in any form, read, and judged at
 * its own time with its own root believed. What is accepted is signed, and views lie within the
 * document.
 */
#include "attest/attest.h"

#include "attest/form.h"
#include "base/buf.h"
#include "fuzz.h"

static struct bytes whole;

static void check_within(struct bytes view)
{
    FUZZ_CHECK(!view.data ||
               (view.data >= whole.data && view.data + view.len <= whole.data + whole.len));
}

static void check_views(const struct attest_document *document)
{
    size_t i;

    check_within(document->header);
    check_within(document->payload);
    check_within(document->signature);
    check_within(document->certificate);
    check_within(document->public_key);
    check_within(document->user_data);
    check_within(document->nonce);
    FUZZ_CHECK(document->signature.len == 96 && document->bundle_count > 0);
    for (i = 0; i < document->bundle_count; i++)
        check_within(document->bundle[i]);
    for (i = 0; i < ATTEST_PCRS; i++) {
        check_within(document->pcr[i]);
        FUZZ_CHECK(!document->pcr[i].data || document->pcr[i].len == ATTEST_PCR_SIZE);
        FUZZ_CHECK(document->pcr[i].data || !attest_pcr_set(document, (unsigned)i));
    }
    FUZZ_CHECK(document->module[0] && memchr(document->module, '\0', sizeof document->module));
}

static void judge_image(const struct attest_document *document)
{
    static const char *const sets[] = {"3:"
                                       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                       "0:"
                                       "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0"
                                       "a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a+"
                                       "8:"
                                       "8A8A8A8A8A8A8A8A8A8A8A8A8A8A8A8A8A8A8A8A8A8A8A8A8A8A8A8A8A8"
                                       "A8A8A8A8A8A8A8A8A8A8A8A8A8A8A8A8A8A8A"};
    struct err err;

    fuzz_err_open(&err);
    if (fuzz_result(attest_image(document, sets, 2, &err), &err) == 0)
        FUZZ_CHECK(!document->instance && attest_pcr_set(document, 0) &&
                   attest_pcr_set(document, 1) && attest_pcr_set(document, 2));
}

static void judge_peer(const struct attest_document *document)
{
    struct attest_peer peer = {
        .nonce = document->nonce, .leaf = document->certificate, .exporter = document->public_key};
    struct err err;
    int binding;

    for (binding = ATTEST_NONE; binding <= ATTEST_NITRIDING; binding++) {
        peer.binding = (enum attest_binding)binding;
        fuzz_err_open(&err);
        if (fuzz_result(attest_peer(document, &peer, &err), &err) == 0)
            FUZZ_CHECK(binding != ATTEST_NONE);
    }
}

static void judge(const struct attest_document *document)
{
    struct attest_trust trust = {.now = document->timestamp_ms / 1000};
    struct attest_root root;
    uint8_t own[1][HASH_SIZE];
    struct err err;

    fuzz_err_open(&err);
    if (fuzz_result(attest_genuine(document, &trust, &root, &err), &err) == 0)
        FUZZ_CHECK(!root.other);
    hash_sha256(own[0], document->bundle[0]);
    trust.roots = own;
    trust.root_count = 1;
    fuzz_err_open(&err);
    (void)fuzz_result(attest_genuine(document, &trust, &root, &err), &err);
    fuzz_err_open(&err);
    (void)fuzz_result(attest_age(document, trust.now, 0, &err), &err);
    judge_image(document);
    judge_peer(document);
}

void fuzz(struct bytes input)
{
    struct buf text = {.public = true, .max = ATTEST_DOCUMENT_MAX};
    struct attest_document document;
    struct err err;

    fuzz_err_open(&err);
    if (fuzz_result(attest_form_read(&text, input, NULL, &err), &err) == 0) {
        whole = buf_bytes(&text);
        fuzz_err_open(&err);
        if (fuzz_result(attest_document_read(&document, whole, &err), &err) == 0) {
            check_views(&document);
            judge(&document);
        }
    }
    buf_free(&text);
}
