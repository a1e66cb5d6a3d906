/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/target.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/json_write.h"
#include "base/log.h"
#include "commands/attest_print.h"
#include "commands/commands.h"
#include "commands/output.h"
#include "config/config.h"
#include "enclave/attestation.h"
#include "enclave/probe.h"
#include "identity/identity.h"
#include "install/installed.h"
#include "process/supervise.h"

enum { PARALLEL = 8, BODY_MAX = 4096 };

/* One run. */
struct attesting {
    const struct config *config;
    struct buf out;
    struct json_writer writer; /* on out */
    int status;
};

static void fail_attest(struct attesting *attesting, const struct err *err)
{
    const int status = log_error(err);

    attesting->status = status > attesting->status ? status : attesting->status;
}

static void show(struct attesting *attesting, const char *source,
                 const struct attestation *attestation, bool online)
{
    const struct attested_view view = {attesting->config, source, attestation, online};

    attest_print(&attesting->writer, &view);
}

static void judge_file(struct attesting *attesting, const char *path)
{
    const bool stream = strcmp(path, "-") == 0;
    const char *source = stream ? "standard input" : path;
    struct buf text = {.public = true, .max = ATTESTATION_TEXT_MAX};
    struct attestation attestation = {0};
    struct err err;

    if ((stream ? fs_read_stream(STDIN_FILENO, &text) : fs_read(AT_FDCWD, path, &text)) < 0) {
        (void)err_set_errno(&err, ERR_ATTEST_MALFORMED, source, "it cannot be read");
        fail_attest(attesting, &err);
    } else {
        (void)attestation_judge(attesting->config, NULL, NULL, buf_bytes(&text), &attestation);
        show(attesting, source, &attestation, false);
        if (attestation.err.code != ERR_NONE) {
            (void)err_set(&err, attestation.err.code, source, "%s", attestation.err.reason);
            fail_attest(attesting, &err);
        }
    }
    attestation_free(&attestation);
    buf_free(&text);
}

static void take_probe(void *user, const struct endpoint *endpoint, const struct probe *probe,
                       const struct probe_answer *answer)
{
    struct attesting *attesting = user;
    const struct attestation *attestation = answer->attestation;
    struct attestation silent = {0};
    struct err err;

    if (!attestation) {
        (void)err_set(&silent.err, ERR_ATTEST_MISSING, NULL, "%s: %s",
                      probe_verdict_name(probe->verdict), probe->reason);
        attestation = &silent;
    }
    show(attesting, endpoint->text, attestation, true);
    if (attestation->err.code == ERR_NONE)
        return;
    (void)err_set(&err, attestation->err.code, endpoint->text, "%s", attestation->err.reason);
    fail_attest(attesting, &err);
}

/* With the identity that is installed: the way there is mutual TLS. */
static void judge_endpoints(struct attesting *attesting, int64_t deadline)
{
    const struct config *config = attesting->config;
    const struct install_target target =
        agent_target(config, config->set_count ? config->sets[0].sub : "", deadline);
    struct err err = {0};
    struct identity *identity = installed_identity(&target, &err);
    const struct probe_request request = {
        .config = config,
        .endpoints = config->endpoints,
        .count = config->endpoint_count,
        .identity = identity,
        .attests = true,
        .body_max = BODY_MAX,
        .parallel = PARALLEL,
        .deadline = deadline,
        .told = take_probe,
        .user = attesting,
    };
    struct probe *probes = calloc(request.count, sizeof *probes); /* public, and may be many */

    if (identity && identity->client.chain_count == 0)
        (void)err_set(&err, ERR_NO_IDENTITY, target.dir, "the set is a server's");
    else if (identity && !probes)
        (void)err_set(&err, ERR_MEMORY_FULL, NULL, "no room to ask %zu endpoints", request.count);
    else if (identity)
        (void)probe_endpoints(&request, probes, &err);
    if (err.code != ERR_NONE)
        fail_attest(attesting, &err);
    free(probes);
    identity_free(identity);
}

static int attest(const struct work *work)
{
    const struct config *config = work->config;
    struct attesting attesting = {
        .config = config, .out = {.public = true}, .writer = {.out = &attesting.out}};
    char at[CLOCK_TEXT_MAX];

    if (config->at != CONFIG_NOW) {
        clock_format(at, config->at);
        log_event(LOG_LEVEL_WARNING, "attest_at", log_s("at", at),
                  log_s("reason", "an old document is judged as of then"));
    }
    if (config->json)
        json_open(&attesting.writer, NULL, '[');
    if (config->operand)
        judge_file(&attesting, config->operand);
    else
        judge_endpoints(&attesting, work->deadline);
    if (config->json) {
        json_close(&attesting.writer, ']');
        (void)buf_append_text(&attesting.out, "\n");
    }
    if (attesting.writer.failed)
        attesting.status = err_info(ERR_SYSTEM)->exit_status;
    output_write(buf_bytes(&attesting.out));
    buf_free(&attesting.out);
    return output_status(attesting.status);
}

int command_attest(const struct config *config, unsigned needs)
{
    struct err err;

    if (config->operand || config->endpoint_count > 0)
        return supervise(config, needs, attest, NULL);
    (void)err_set(&err, ERR_USAGE, "attest", "neither a file nor an endpoint is named");
    log_error(&err);
    return err_info(err.code)->exit_status;
}
