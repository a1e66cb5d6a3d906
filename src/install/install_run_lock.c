/* SPDX-License-Identifier: Apache-2.0 */
#include "install/install_run_lock.h"

#include "base/clock.h"
#include "base/err.h"
#include "install/install_internal.h"

int install_run_lock(const struct install_target *target, int *fd, int *directory, struct err *err)
{
    struct place place;
    int result = -1;

    *fd = *directory = -1;
    if (place_open(&place, target, true, err) == 0)
        result = lock_take(&place, LOCK_RUN, clock_ms(), fd, err);
    if (result == 0) {
        *directory = place.fd;
        place.fd = -1;
    }
    place_close(&place);
    return result;
}

int install_hook_lock(const struct install_target *target, int *fd, struct err *err)
{
    struct place place;
    int result = -1;

    *fd = -1;
    if (place_open(&place, target, false, err) == 0)
        result = lock_take(&place, LOCK_TELL, target->deadline, fd, err);
    place_close(&place);
    return result;
}

enum install_lock_holder install_run_lock_holder(const struct install_target *target)
{
    enum install_lock_holder held;
    struct place place;
    struct err err;

    if (place_open(&place, target, false, &err) < 0)
        return err.code == ERR_NO_IDENTITY ? INSTALL_LOCK_FREE : INSTALL_LOCK_UNKNOWN;
    held = lock_look(&place, LOCK_RUN);
    place_close(&place);
    return held;
}
