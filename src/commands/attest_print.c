/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/attest_print.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/json_write.h"
#include "config/config.h"
#include "enclave/attestation.h"

/* The PCRs that mean something of an enclave, and what. */
static const struct {
    unsigned number;
    const char *name;
} pcrs[] = {{0, "PCR0  image"},       {1, "PCR1  kernel"},   {2, "PCR2  application"},
            {3, "PCR3  parent role"}, {4, "PCR4  instance"}, {8, "PCR8  signer"}};

static const char *const bindings[] = {
    [ATTEST_NONE] = "none",
    [ATTEST_LEAF_SHA256] = "leaf-sha256",
    [ATTEST_LEAF_SHA384] = "leaf-sha384",
    [ATTEST_LEAF_SHA512] = "leaf-sha512",
    [ATTEST_SPKI_SHA256] = "spki-sha256",
    [ATTEST_SPKI_SHA384] = "spki-sha384",
    [ATTEST_SPKI_SHA512] = "spki-sha512",
    [ATTEST_SPKI] = "spki",
    [ATTEST_PUBLIC_KEY] = "public-key",
    [ATTEST_EXPORTER] = "exporter",
    [ATTEST_NITRIDING] = "nitriding",
};

enum { HEX_MAX = 2 * 1024 + 1 };

static void to_hex(struct bytes data, char out[HEX_MAX])
{
    size_t i;

    out[0] = '\0';
    for (i = 0; i < data.len && 2 * i + 3 <= HEX_MAX; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", data.data[i]);
}

__attribute__((format(printf, 2, 3))) static void put(struct buf *out, const char *format, ...)
{
    char line[512];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    (void)buf_append_text(out, line);
}

static bool is_debug(const struct attest_document *document)
{
    return !document->instance && !(attest_pcr_set(document, 0) && attest_pcr_set(document, 1) &&
                                    attest_pcr_set(document, 2));
}

static const char *hardware(const struct attestation *attestation)
{
    if (!attestation->genuine)
        return "not shown";
    return attestation->root.other ? "by another root than AWS's" : "AWS's";
}

static void put_free(struct buf *out, const char *name, struct bytes field)
{
    if (field.data)
        put(out, "%-18s %zu bytes\n", name, field.len);
    else
        put(out, "%-18s none\n", name);
}

static void put_document(struct buf *out, const struct attested_view *view)
{
    const struct attestation *attestation = view->attestation;
    const struct attest_document *document = &attestation->document;
    const bool proved = attestation->err.code == ERR_NONE;
    char made[CLOCK_TEXT_MAX], hex[HEX_MAX];
    size_t i;

    clock_format(made, document->timestamp_ms / 1000);
    put(out, "%-18s %s, root %s\n", "hardware", hardware(attestation),
        attestation->root.fingerprint);
    put(out, "%-18s %s\n", "module", document->module);
    put(out, "%-18s %s, %lld s ago\n", "made", made,
        (long long)(clock_wall() - document->timestamp_ms / 1000));
    for (i = 0; i < sizeof pcrs / sizeof *pcrs; i++) {
        to_hex(document->pcr[pcrs[i].number], hex);
        put(out, "%-18s %s\n", pcrs[i].name, hex[0] ? hex : "none");
    }
    put(out, "%-18s %s\n", "debug mode", is_debug(document) ? "YES" : "no");
    put(out, "%-18s %s\n", "image",
        view->config->attest_pcr_count == 0 ? "compared with nothing (attest-pcr)"
        : proved                            ? "meets attest-pcr"
                                            : "see the result");
    if (view->online && proved && document->nonce.data)
        put(out, "%-18s ours\n", "nonce");
    else
        put_free(out, "nonce", document->nonce);
    put_free(out, "user_data", document->user_data);
    put_free(out, "public_key", document->public_key);
    put(out, "%-18s %s\n", "bound to TLS key",
        !view->online ? "not looked at: it is by itself"
        : proved      ? bindings[attestation->binding]
                      : "no, see the result");
}

void attest_print_text(struct buf *out, const struct attested_view *view)
{
    const struct attestation *attestation = view->attestation;
    const struct err *err = &attestation->err;
    char at[CLOCK_TEXT_MAX];

    put(out, "%s\n", view->source);
    put(out, "%-18s %s%s%s\n", "result",
        attestation_word(view->config, err->code, attestation->root.other), err->code ? ": " : "",
        err->code ? err->reason : "");
    if (view->config->at != CONFIG_NOW) {
        clock_format(at, view->config->at);
        put(out, "%-18s AS OF %s, by --at: this says nothing about today\n", "", at);
    }
    if (attestation->read)
        put_document(out, view);
}

static void json_hex(struct json_writer *writer, const char *name, struct bytes data)
{
    char hex[HEX_MAX];

    to_hex(data, hex);
    json_put_text(writer, name, data.data ? hex : NULL);
}

static void json_document(struct json_writer *writer, const struct attested_view *view)
{
    const struct attestation *attestation = view->attestation;
    const struct attest_document *document = &attestation->document;
    char text[CLOCK_TEXT_MAX];
    unsigned i;

    json_put_bool(writer, "genuine", attestation->genuine);
    json_put_text(writer, "root", attestation->root.fingerprint);
    json_put_bool(writer, "other_root", attestation->root.other);
    json_put_text(writer, "module", document->module);
    clock_format(text, document->timestamp_ms / 1000);
    json_put_text(writer, "made", text);
    json_open(writer, document->instance ? "nitrotpm_pcrs" : "pcrs", '{');
    for (i = 0; i < ATTEST_PCRS; i++) {
        (void)snprintf(text, sizeof text, "%u", i);
        if (document->pcr[i].data)
            json_hex(writer, text, document->pcr[i]);
    }
    json_close(writer, '}');
    json_put_bool(writer, "debug", is_debug(document));
    json_hex(writer, "nonce", document->nonce);
    json_hex(writer, "user_data", document->user_data);
    json_hex(writer, "public_key", document->public_key);
}

void attest_print_json(struct json_writer *writer, const struct attested_view *view)
{
    const struct attestation *attestation = view->attestation;
    const struct err *err = &attestation->err;
    char at[CLOCK_TEXT_MAX];

    json_open(writer, NULL, '{');
    json_put_text(writer, "source", view->source);
    json_put_text(writer, "result",
                  attestation_word(view->config, err->code, attestation->root.other));
    json_put_text(writer, "reason", err->code ? err->reason : NULL);
    if (view->config->at != CONFIG_NOW) {
        clock_format(at, view->config->at);
        json_put_text(writer, "at", at);
    }
    json_put_bool(writer, "image_compared", view->config->attest_pcr_count > 0);
    json_put_text(writer, "binding",
                  view->online && err->code == ERR_NONE ? bindings[attestation->binding] : NULL);
    if (attestation->read)
        json_document(writer, view);
    json_close(writer, '}');
}
