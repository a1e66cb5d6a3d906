/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/probe_print.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_write.h"
#include "base/log.h"
#include "base/secrecy.h"
#include "commands/output.h"
#include "config/config.h"
#include "enclave/attestation.h"
#include "enclave/probe.h"
#include "x509/cert.h"
#include "x509/general_name.h"

enum { WIDTH_MAX = 48, CIPHER_WIDTH = 29 };

/* A certificate as text: nothing in it but visible ASCII. */
struct described {
    char subject[256], issuer[256], names[512];
    char not_before[CLOCK_TEXT_MAX], not_after[CLOCK_TEXT_MAX];
    char flaw[CERT_REASON_MAX]; /* "", or why it cannot be read */
};

static void describe(struct described *out, struct bytes der)
{
    struct cert cert;

    memset(out, 0, sizeof *out);
    if (cert_parse(&cert, der, out->flaw) < 0)
        return;
    out->flaw[0] = '\0';
    cert_subject_text(cert.subject, out->subject, sizeof out->subject);
    cert_subject_text(cert.issuer, out->issuer, sizeof out->issuer);
    clock_format(out->not_before, cert.not_before);
    clock_format(out->not_after, cert.not_after);
    general_names_text(cert.san, out->names, sizeof out->names);
}

static void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void print(const char *format, ...)
{
    char text[2048];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    secrecy_mask(text, sizeof text);
    output_write(bytes_of_text(text));
}

static void print_certificate(size_t number, const struct described *cert)
{
    if (cert->flaw[0]) {
        print("  %zu unreadable: %s\n", number, cert->flaw);
        return;
    }
    print("  %zu subject: %s\n    issuer:  %s\n    valid:   %s to %s\n    names:   %s\n", number,
          cert->subject, cert->issuer, cert->not_before, cert->not_after,
          cert->names[0] ? cert->names : "none (no subjectAltName)");
}

static const char *attestation(const struct probe_output *output, const struct probe *probe)
{
    const struct probe_attested *attested = &probe->attested;

    if (!attested->asked)
        return NULL;
    return attestation_word(output->config, attested->code, attested->other_root[0]);
}

static void print_row(const struct probe_output *output, const struct endpoint *endpoint,
                      const struct probe *probe, const struct probe_answer *answer)
{
    const char *root = probe->attested.other_root;
    struct described cert;
    size_t i;

    if (probe->verdict == PROBE_ACCEPTED) {
        print("%-11s  %-*s  %4d  %-9s  %-*s %5lld %5lld %5lld %6lld\n",
              probe_verdict_name(probe->verdict), output->width, endpoint->text, probe->status,
              probe->handshake, CIPHER_WIDTH, probe->cipher, (long long)probe->dns_ms,
              (long long)probe->tcp_ms, (long long)probe->tls_ms, (long long)probe->first_byte_ms);
        if (probe->attested.asked)
            print("  attestation: %s%s%s\n",
                  probe->reason[0] ? probe->reason : attestation(output, probe),
                  *root && !probe->reason[0] ? " by the root " : "", probe->reason[0] ? "" : root);
        return;
    }
    print("%-11s  %-*s  %s\n", probe_verdict_name(probe->verdict), output->width, endpoint->text,
          probe->reason);
    if (!output->config->show_chain)
        return;
    for (i = 0; i < answer->chain_count; i++) {
        describe(&cert, answer->chain[i]);
        print_certificate(i, &cert);
    }
    if (answer->chain_count == 0)
        print("  no certificate came\n");
}

static void put_stage(struct json_writer *json, const char *name, int64_t ms)
{
    if (ms >= 0)
        json_put_number(json, name, ms);
}

static void put_chain(struct json_writer *json, const struct probe_answer *answer)
{
    struct described cert;
    size_t i;

    json_open(json, "chain", '[');
    for (i = 0; i < answer->chain_count; i++) {
        describe(&cert, answer->chain[i]);
        json_open(json, NULL, '{');
        if (cert.flaw[0]) {
            json_put_text(json, "unreadable", cert.flaw);
        } else {
            json_put_text(json, "subject", cert.subject);
            json_put_text(json, "issuer", cert.issuer);
            json_put_text(json, "not_before", cert.not_before);
            json_put_text(json, "not_after", cert.not_after);
            json_put_text(json, "names", cert.names);
        }
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void put_probe(struct json_writer *json, const struct probe_output *output,
                      const struct probe *probe)
{
    json_put_text(json, "result", probe_verdict_name(probe->verdict));
    if (probe->reason[0])
        json_put_text(json, "reason", probe->reason);
    if (probe->attested.asked)
        json_put_text(json, "attestation", attestation(output, probe));
    if (probe->attested.other_root[0])
        json_put_text(json, "root", probe->attested.other_root);
    if (probe->status)
        json_put_number(json, "status", probe->status);
    if (probe->version)
        json_put_text(json, "tls", probe->version);
    if (probe->cipher)
        json_put_text(json, "cipher", probe->cipher);
    if (probe->group)
        json_put_text(json, "group", probe->group);
    if (probe->handshake)
        json_put_text(json, "handshake", probe->handshake);
    json_put_number(json, "signatures", probe->signatures);
    put_stage(json, "dns_ms", probe->dns_ms);
    put_stage(json, "tcp_ms", probe->tcp_ms);
    put_stage(json, "tls_ms", probe->tls_ms);
    put_stage(json, "first_byte_ms", probe->first_byte_ms);
}

static void print_json(struct probe_output *output, const struct endpoint *endpoint,
                       const struct probe *probe, const struct probe_answer *answer)
{
    struct buf text = {.public = true};
    struct json_writer json = {.out = &text};

    json_open(&json, NULL, '{');
    if (output->set[0])
        json_put_text(&json, "set", output->set);
    json_put_text(&json, "endpoint", endpoint->text);
    json_put_text(&json, "label", endpoint->label);
    json_put_number(&json, "round", output->round);
    put_probe(&json, output, probe);
    if (output->config->show_chain && probe->verdict != PROBE_ACCEPTED)
        put_chain(&json, answer);
    json_close(&json, '}');
    if (json.failed) {
        output->failed = true;
    } else {
        print("%s", output->begun ? ",\n" : "");
        output_write(buf_bytes(&text));
        output->begun = true;
    }
    buf_free(&text);
}

static void print_body(struct probe_output *output, const struct endpoint *endpoint,
                       const struct probe_answer *answer)
{
    if (secrecy_holds_key(answer->body)) {
        log_event(LOG_LEVEL_ERROR, "answer_withheld", log_s("endpoint", endpoint->text),
                  log_n("bytes", (int64_t)answer->body.len));
        output->failed = true;
        return;
    }
    output_write(answer->body);
    if (!answer->cut)
        return;
    log_event(LOG_LEVEL_ERROR, "answer_cut", log_s("endpoint", endpoint->text),
              log_n("bytes", (int64_t)answer->body.len));
    output->failed = true;
}

void probe_print_begin(struct probe_output *output)
{
    const struct config *config = output->config;
    size_t i, len;

    for (i = 0; i < config->endpoint_count; i++) {
        len = strlen(config->endpoints[i].text);
        if ((int)len > output->width)
            output->width = len < WIDTH_MAX ? (int)len : WIDTH_MAX;
    }
    if (config->request)
        return;
    if (config->json)
        print("[\n");
    else
        print("%-11s  %-*s  %4s  %-9s  %-*s %5s %5s %5s %6s\n", "RESULT", output->width, "ENDPOINT",
              "HTTP", "HANDSHAKE", CIPHER_WIDTH, "CIPHER", "DNS", "TCP", "TLS", "ANSWER");
}

void probe_print(void *output_pointer, const struct endpoint *endpoint, const struct probe *probe,
                 const struct probe_answer *answer)
{
    struct probe_output *output = output_pointer;

    if (probe->verdict != PROBE_ACCEPTED)
        output->failed = true;
    if (output->config->request)
        print_body(output, endpoint, answer);
    else if (output->config->json)
        print_json(output, endpoint, probe, answer);
    else
        print_row(output, endpoint, probe, answer);
}

void probe_print_end(const struct probe_output *output)
{
    if (output->config->json && !output->config->request)
        print("\n]\n");
}
