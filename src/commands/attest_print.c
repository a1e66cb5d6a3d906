/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/attest_print.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/json_write.h"
#include "base/secrecy.h"
#include "config/config.h"
#include "enclave/attestation.h"

/* What the PCRs are of, which mean something of an enclave. */
static const char *const meanings[] = {
    [0] = "image", [1] = "kernel",   [2] = "application",
    [3] = "role",  [4] = "instance", [8] = "signer",
};

/* In the order of enum attest_binding. */
static const char *const bindings[] = {
    "none",        "leaf-sha256", "leaf-sha384", "leaf-sha512", "spki-sha256", "spki-sha384",
    "spki-sha512", "spki",        "public-key",  "exporter",    "nitriding",
};

enum { SHOWN = ATTEST_PCR_SIZE, BYTES_MAX = 1024 };

struct sheet {
    struct json_writer *writer;
    bool json;
};

static void put_row(const struct sheet *sheet, const char *name, const char *value)
{
    char line[1024];

    if (sheet->json) {
        json_put_text(sheet->writer, name, value);
        return;
    }
    (void)snprintf(line, sizeof line, "%-16s %s\n", name, value ? value : "none");
    secrecy_mask(line, sizeof line);
    (void)buf_append_text(sheet->writer->out, line);
}

static void put_flag(const struct sheet *sheet, const char *name, bool value)
{
    if (sheet->json)
        json_put_bool(sheet->writer, name, value);
    else
        put_row(sheet, name, value ? "yes" : "no");
}

static void put_time(const struct sheet *sheet, const char *name, int64_t seconds)
{
    char text[CLOCK_TEXT_MAX];

    clock_format(text, seconds);
    put_row(sheet, name, text);
}

static void put_number(const struct sheet *sheet, const char *name, int64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%lld", (long long)value);
    if (sheet->json)
        json_put_number(sheet->writer, name, value);
    else
        put_row(sheet, name, text);
}

/* For people its beginning; absent is not empty. */
static void put_bytes(const struct sheet *sheet, const char *name, struct bytes data)
{
    const size_t most = sheet->json ? (size_t)BYTES_MAX : (size_t)SHOWN;
    char hex[2 * BYTES_MAX + 4] = "";
    size_t i;

    for (i = 0; i < data.len && i < most; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", data.data[i]);
    put_row(sheet, name, data.data ? hex : NULL);
}

static void put_pcrs(const struct sheet *sheet, const struct attest_document *document)
{
    const size_t count = sizeof meanings / sizeof *meanings;
    char name[32];
    size_t i;

    for (i = 0; i < ATTEST_PCRS; i++) {
        const char *meaning = i < count && !document->instance ? meanings[i] : NULL;

        (void)snprintf(name, sizeof name, meaning && !sheet->json ? "pcr%zu %s" : "pcr%zu", i,
                       meaning);
        if (document->pcr[i].data &&
            (sheet->json || meaning || attest_pcr_set(document, (unsigned)i)))
            put_bytes(sheet, name, document->pcr[i]);
    }
}

static void put_document(const struct sheet *sheet, const struct attestation *attestation,
                         int64_t now)
{
    const struct attest_document *document = &attestation->document;

    put_flag(sheet, "genuine", attestation->genuine);
    put_row(sheet, "root", attestation->root.fingerprint);
    put_flag(sheet, "other_root", attestation->root.other);
    put_row(sheet, "module", document->module);
    put_time(sheet, "made", document->timestamp_ms / 1000);
    put_number(sheet, "age_s", now - document->timestamp_ms / 1000);
    put_pcrs(sheet, document);
    put_flag(sheet, "instance", document->instance);
    put_flag(sheet, "debug",
             !document->instance && !(attest_pcr_set(document, 0) && attest_pcr_set(document, 1) &&
                                      attest_pcr_set(document, 2)));
    put_bytes(sheet, "nonce", document->nonce);
    put_bytes(sheet, "user_data", document->user_data);
    put_bytes(sheet, "public_key", document->public_key);
}

void attest_print(struct json_writer *writer, const struct attested_view *view)
{
    const struct sheet sheet = {writer, view->config->json};
    const struct attestation *attestation = view->attestation;
    const struct err *err = &attestation->err;
    const int64_t now = view->config->at == CONFIG_NOW ? clock_wall() : view->config->at;
    const bool proved = err->code == ERR_NONE;

    if (sheet.json)
        json_open(writer, NULL, '{');
    put_row(&sheet, "source", view->source);
    put_row(&sheet, "result", attestation_word(view->config, err->code, attestation->root.other));
    put_row(&sheet, "reason", proved ? NULL : err->reason);
    if (view->config->at != CONFIG_NOW)
        put_time(&sheet, sheet.json ? "at" : "AS OF (--at)", view->config->at);
    put_flag(&sheet, "image_compared", view->config->attest_pcr_count > 0);
    put_flag(&sheet, "nonce_is_ours", attestation->genuine && attestation->nonce_is_ours);
    put_row(&sheet, "binding", view->online && proved ? bindings[attestation->binding] : NULL);
    if (attestation->read)
        put_document(&sheet, attestation, now);
    if (sheet.json)
        json_close(writer, '}');
}
