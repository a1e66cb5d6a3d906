/* SPDX-License-Identifier: Apache-2.0 */
#include "install/install_hold.h"

#include "base/clock.h"
#include "base/err.h"
#include "install/install_internal.h"

int install_hold(const struct install_target *target, int *fd, int *directory, struct err *err)
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

int install_claim(const struct install_target *target, int *fd, struct err *err)
{
    struct place place;
    int result = -1;

    *fd = -1;
    if (place_open(&place, target, false, err) == 0)
        result = lock_take(&place, LOCK_TELL, target->deadline, fd, err);
    place_close(&place);
    return result;
}

enum install_held install_held(const struct install_target *target)
{
    enum install_held held;
    struct place place;
    struct err err;

    if (place_open(&place, target, false, &err) < 0)
        return err.code == ERR_NO_IDENTITY ? INSTALL_HELD_NO : INSTALL_HELD_UNKNOWN;
    held = lock_look(&place, LOCK_RUN);
    place_close(&place);
    return held;
}
