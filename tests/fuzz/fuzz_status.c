/* SPDX-License-Identifier: Apache-2.0 */
/* The status file, as `status` prints it and `healthcheck` judges it beside a set that is good. */
#include "run/status.h"

#include "base/err.h"
#include "commands/commands.h"
#include "config/config.h"
#include "fuzz.h"
#include "install/install_run_lock.h"
#include "run/target_state.h"

void __wrap_target_state_read(const struct install_target *target, const struct config_set *set,
                              struct target_state *state);
enum install_lock_holder __wrap_install_run_lock_holder(const struct install_target *target);

void __wrap_target_state_read(const struct install_target *target, const struct config_set *set,
                              struct target_state *state)
{
    (void)target, (void)set;
    *state = (struct target_state){0};
}

enum install_lock_holder __wrap_install_run_lock_holder(const struct install_target *target)
{
    (void)target;
    return INSTALL_LOCK_HELD;
}

void fuzz(struct bytes input)
{
    const struct config config = {
        .dir = "/",
        .root = "",
        .status_file = input.len == 1 ? NULL : fuzz_file(0, input),
        .json = input.len % 8 == 0,
        .max_fetch_age_ms = input.len % 4 ? 3600000 : 0,
        .min_endpoints = input.len % 3,
    };
    struct status status;
    char text[STATUS_TEXT_MAX];
    struct err err;

    (void)command_status(&config, 0);
    (void)command_healthcheck(&config, 0);
    fuzz_err_open(&err);
    if (fuzz_result(status_open(&status, &config, &err), &err) == 0) {
        status_text(&status, 0, "written", text);
        FUZZ_CHECK(memchr(text, '\0', sizeof text));
        FUZZ_CHECK(status_number(&status, 0, "format") == STATUS_FORMAT);
    }
    status_close(&status);
}
