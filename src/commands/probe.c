/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <unistd.h>

#include "agent.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"
#include "commands/commands.h"
#include "config/config.h"
#include "enclave/probe.h"
#include "host/installed.h"
#include "identity/identity.h"

/* One line an endpoint, for people; the log holds the same for machines. */
static void print(const struct endpoint *endpoint, const struct probe *probe)
{
    char line[1024];
    int len;

    if (probe->verdict == PROBE_ACCEPTED)
        len = snprintf(line, sizeof line,
                       "%-11s %s  HTTP %d  %s  dns %lld ms, tcp %lld ms, tls %lld ms, "
                       "first byte %lld ms\n",
                       probe_verdict_name(probe->verdict), endpoint->text, probe->status,
                       probe->cipher, (long long)probe->dns_ms, (long long)probe->tcp_ms,
                       (long long)probe->tls_ms, (long long)probe->first_byte_ms);
    else
        len = snprintf(line, sizeof line, "%-11s %s  %s\n", probe_verdict_name(probe->verdict),
                       endpoint->text, probe->reason);
    if (len > 0)
        (void)fs_write_all(
            STDOUT_FILENO,
            bytes_of(line, (size_t)len < sizeof line ? (size_t)len : sizeof line - 1));
}

static int probe_with(const struct work *work, const struct identity *identity, bool *accepted,
                      struct err *err)
{
    struct probe_request request = {
        .config = work->config,
        .endpoints = work->config->endpoints,
        .count = work->config->endpoint_count,
        .identity = identity,
        .deadline = work->deadline,
    };
    struct probe *probes = arena_alloc(request.count * sizeof *probes, ARENA_WORK);
    int result = -1;
    size_t i;

    if (probes)
        result = probe_endpoints(&request, probes, err);
    else
        (void)err_set(err, ERR_MEMORY_FULL, NULL, "no room to ask %zu endpoints", request.count);
    for (i = 0; result == 0 && i < request.count; i++) {
        print(&request.endpoints[i], &probes[i]);
        *accepted = *accepted && probes[i].verdict == PROBE_ACCEPTED;
    }
    arena_free(probes);
    return result;
}

static int probe_set(const struct work *work, const char *sub, bool *accepted, struct err *err)
{
    struct install_target target = agent_target(work->config, sub, work->deadline);
    struct identity *identity = installed_identity(&target, err);
    int result = -1;

    if (identity && identity->client.chain_count == 0)
        (void)err_set(err, ERR_NO_IDENTITY, target.dir, "the set is a server's");
    else if (identity)
        result = probe_with(work, identity, accepted, err);
    identity_free(identity);
    return result;
}

/* Every configured set is tried; without any, what stands in the directory itself. */
static int probe(const struct work *work)
{
    const struct config *config = work->config;
    bool accepted = true;
    struct err err;
    size_t i, count = config->set_count ? config->set_count : 1;

    for (i = 0; i < count; i++)
        if (probe_set(work, config->set_count ? config->sets[i].sub : "", &accepted, &err) < 0) {
            log_error(&err);
            accepted = false;
        }
    return accepted ? 0 : err_info(ERR_ENCLAVE_REFUSED)->exit_status;
}

int command_probe(const struct config *config)
{
    struct err err;

    if (config->endpoint_count == 0) {
        (void)err_set(&err, ERR_USAGE, "endpoint", "no endpoint is named");
        log_error(&err);
        return err_info(err.code)->exit_status;
    }
    return command_supervise(config, probe);
}
