/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>

#include "agent/target.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/secrecy.h"
#include "commands/commands.h"
#include "commands/output.h"
#include "config/config.h"
#include "install/install_run_lock.h"
#include "process/supervise.h"
#include "run/status.h"

enum { NOT_GOOD = 1 };

struct view {
    const struct status *status;
    struct buf out;
};

__attribute__((format(printf, 2, 3))) static void put(struct view *view, const char *format, ...)
{
    char line[3 * STATUS_TEXT_MAX];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    secrecy_mask(line, sizeof line);
    (void)buf_append_text(&view->out, line);
}

/* "  label      text", where there is one. */
static void put_member(struct view *view, int object, const char *name, const char *label)
{
    char text[STATUS_TEXT_MAX];

    status_text(view->status, object, name, text);
    if (text[0])
        put(view, "  %-12s %s\n", label, text);
}

static json_value member(const struct view *view, int object, const char *name)
{
    return json_member(view->status->json, object, name);
}

static void put_error(struct view *view, int object, const char *name, const char *label)
{
    char code[STATUS_TEXT_MAX], reason[STATUS_TEXT_MAX];
    const json_value error = member(view, object, name);

    status_text(view->status, error, "code", code);
    status_text(view->status, error, "reason", reason);
    if (!code[0])
        return;
    put(view, "  %-12s %s: %s\n", label, code, reason);
    put_member(view, error, "remedy", "");
}

static void put_set(struct view *view, int set)
{
    const json_value installed = member(view, set, "installed");
    char name[STATUS_TEXT_MAX];

    status_text(view->status, set, "set", name);
    put(view, "\nset%s%s\n", name[0] ? " " : "", name);
    put_member(view, installed, "subject", "subject");
    put_member(view, installed, "not_after", "valid until");
    put_member(view, installed, "ca_not_after", "CA until");
    put_member(view, installed, "fingerprint", "fingerprint");
    put_error(view, set, "problem", "problem");
    put_member(view, set, "outcome", "last outcome");
    put_member(view, set, "last_fetch", "last fetch");
    put_member(view, set, "last_success", "last success");
    put_member(view, set, "region", "region");
    put_member(view, set, "waits_until", "waits until");
    put_error(view, set, "error", "error");
    put_member(view, set, "on_change", "on change");
    put_error(view, set, "on_change_error", "");
}

static void put_window(struct view *view, int endpoint, const char *name)
{
    const struct status *status = view->status;
    const json_value window = member(view, endpoint, name);
    const long long asked = status_number(status, window, "asked");

    if (asked > 0)
        put(view, "  %-12s %lld of %lld accepted, %lld ms on average, %lld ms at worst\n", name,
            (long long)status_number(status, window, "accepted"), asked,
            (long long)status_number(status, window, "mean_ms"),
            (long long)status_number(status, window, "worst_ms"));
}

static void put_endpoint(struct view *view, int endpoint)
{
    char text[STATUS_TEXT_MAX];

    status_text(view->status, endpoint, "endpoint", text);
    put(view, "\nendpoint %s\n", text);
    put_member(view, endpoint, "last", "last");
    put_member(view, endpoint, "last_at", "at");
    put_member(view, endpoint, "attestation", "attestation");
    put_member(view, endpoint, "root", "by the root");
    put_member(view, endpoint, "attested_at", "attested at");
    put_window(view, endpoint, "1h");
    put_window(view, endpoint, "24h");
    put_member(view, endpoint, "failed_at", "last failure");
    put_member(view, endpoint, "failure", "");
}

static void put_all(struct view *view, bool alive)
{
    const struct json *json = view->status->json;
    const json_value agent = member(view, 0, "agent");
    char version[STATUS_TEXT_MAX], state[STATUS_TEXT_MAX];
    json_value list, item;
    int at = 0;

    status_text(view->status, agent, "version", version);
    status_text(view->status, agent, "state", state);
    put(view, "mtls-agent %s, %s\n", version, alive ? state : "not running");
    put(view, "  %-12s %lld\n", "pid", (long long)status_number(view->status, agent, "pid"));
    put_member(view, agent, "started", "started");
    put_member(view, 0, "written", "as of");
    list = member(view, 0, "sets");
    while (list >= 0 && json_item(json, list, &at, &item))
        put_set(view, item);
    list = member(view, 0, "endpoints");
    for (at = 0; list >= 0 && json_item(json, list, &at, &item);)
        put_endpoint(view, item);
}

static int status(const struct work *work)
{
    const struct install_target target = agent_target(work->config, "", work->deadline);
    const bool alive = install_run_lock_holder(&target) != INSTALL_LOCK_FREE;
    struct status status;
    struct view view = {.status = &status, .out = {.public = true}};
    struct err err;
    int result = NOT_GOOD;

    if (status_open(&status, work->config, &err) < 0) {
        log_error(&err);
    } else {
        if (!work->config->json)
            put_all(&view, alive);
        output_write(buf_bytes(work->config->json ? &status.text : &view.out));
        result = alive ? 0 : NOT_GOOD;
    }
    buf_free(&view.out);
    status_close(&status);
    return output_status(result);
}

int command_status(const struct config *config, unsigned needs)
{
    return supervise(config, needs, status, NULL);
}
