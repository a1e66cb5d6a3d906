/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/target.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "commands/commands.h"
#include "commands/output.h"
#include "commands/probe_print.h"
#include "config/config.h"
#include "enclave/probe.h"
#include "identity/identity.h"
#include "install/installed.h"
#include "net/tls_cache.h"
#include "process/supervise.h"

enum {
    PARALLEL = 32,             /* handshakes */
    HEALTH_BODY_MAX = 4096,    /* of an answer that nobody reads */
    REQUEST_BODY_MAX = 1 << 20 /* of one that --request prints */
};

/* Round after round, each endpoint once in each. */
static int ask_rounds(struct probe_request *request, struct probe_output *output,
                      struct probe *probes, struct err *err)
{
    int64_t count = request->config->count;

    for (output->round = 1; output->round <= count; output->round++) {
        if (output->round > 1 && clock_left(request->deadline) == 0)
            return err_set(err, ERR_DEADLINE, NULL, "%lld of %lld rounds are done",
                           (long long)output->round - 1, (long long)count);
        memset(probes, 0, request->count * sizeof *probes);
        if (probe_endpoints(request, probes, err) < 0)
            return -1;
    }
    return 0;
}

/* Bodies are printed in the order of the endpoints, so each is asked by itself. */
static int probe_with(const struct identity *identity, int64_t deadline,
                      struct probe_output *output, struct err *err)
{
    const struct config *config = output->config;
    struct probe_request request = {
        .config = config,
        .endpoints = config->endpoints,
        .count = config->endpoint_count,
        .identity = identity,
        .sessions = config->count > 1
                        ? tls_cache_new(tls_cache_room(config->endpoint_count, 1), TLS_CACHE_EVERY)
                        : NULL,
        .parallel = config->request ? 1 : PARALLEL,
        .body_max = config->request ? REQUEST_BODY_MAX : HEALTH_BODY_MAX,
        .deadline = deadline,
        .told = probe_print,
        .user = output,
    };
    struct probe *probes = calloc(request.count, sizeof *probes); /* public, and may be many */
    int result = -1;

    if (probes)
        result = ask_rounds(&request, output, probes, err);
    else
        (void)err_set(err, ERR_MEMORY_FULL, NULL, "no room to ask %zu endpoints", request.count);
    free(probes);
    tls_cache_free(request.sessions);
    return result;
}

static int probe_set(struct probe_output *output, int64_t deadline, struct err *err)
{
    const struct install_target target = agent_target(output->config, output->set, deadline);
    struct identity *identity = installed_identity(&target, err);
    int result = -1;

    if (identity && identity->client.chain_count == 0)
        (void)err_set(err, ERR_NO_IDENTITY, target.dir, "the set is a server's");
    else if (identity)
        result = probe_with(identity, deadline, output, err);
    identity_free(identity);
    return result;
}

/* Every configured set is tried; without any, what stands in the directory itself. Of several the
 * highest status counts. */
static int probe(const struct work *work)
{
    const struct config *config = work->config;
    struct probe_output output = {.config = config};
    const int refused = err_info(ERR_ENCLAVE_REFUSED)->exit_status;
    int status = 0, own;
    struct err err;
    size_t i, count = config->set_count ? config->set_count : 1;

    probe_print_begin(&output);
    for (i = 0; i < count; i++) {
        output.set = config->set_count ? config->sets[i].sub : "";
        if (probe_set(&output, clock_share(work->deadline, count - i), &err) < 0) {
            own = log_error(&err);
            if (err_info(err.code)->class != ERR_OF_HOST) /* else it is no word of an enclave's */
                own = refused;
            status = own > status ? own : status;
        }
    }
    probe_print_end(&output);
    if (output.failed && status < refused)
        status = refused;
    return output_status(status);
}

int command_probe(const struct config *config, unsigned needs)
{
    struct err err;

    if (config->endpoint_count == 0) {
        (void)err_set(&err, ERR_USAGE, "endpoint", "no endpoint is named");
        return log_error(&err);
    }
    return supervise(config, needs, probe, NULL);
}
