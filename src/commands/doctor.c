/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor/doctor.h"

#include <pthread.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "commands/commands.h"
#include "commands/output.h"
#include "config/config.h"
#include "process/confine.h"
#include "process/supervise.h"

enum { LEFT_FOR_THE_END_MS = 2000 }; /* of what hangs: as supervise() has it */

static struct doctor doctor; /* what was found is told at the deadline, too, by whoever is left */

/* Once: who comes later, at the very deadline, waits for the end of the process. */
static int print(void)
{
    static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
    struct buf out = {.public = true};
    bool good;

    pthread_mutex_lock(&once);
    good = doctor_write(&doctor, output_json, &out);
    output_write(buf_bytes(&out));
    buf_free(&out);
    return output_status(!good);
}

static int examine(const struct work *work)
{
    char absent[CONFINE_ABSENT_MAX];

    confine_absent(absent);
    doctor.room = DOCTOR_HOST;
    doctor_say(&doctor, "sandbox: %s%s",
               work->config->sandbox_off ? "off"
               : absent[0]               ? "without "
                                         : "all of it",
               absent);
    doctor.environment = work->environment;
    doctor.deadline = work->deadline;
    doctor_examine(&doctor, false);
    return 0;
}

int doctor_fail(const struct err *err)
{
    struct err found = *err;

    if (!doctor.config)
        (void)snprintf(found.subject, sizeof found.subject, "configuration");
    doctor_find(&doctor, DOCTOR_PROBLEM, &found);
    return print();
}

/* Where no memory can be locked, what needs no secret is looked at all the same. */
int command_doctor(const struct config *config, unsigned needs)
{
    struct config rest = *config;
    int64_t left;
    int status;

    doctor.config = config;
    doctor.runs = healthcheck_runs;
    doctor.deadline = clock_ms() + config->deadline_ms;
    doctor_examine(&doctor, true);
    rest.memory_lock_preferred |= !doctor.locks;
    if (!doctor.locks)
        needs &= ~(unsigned)NEED_AWS; /* shared files hold keys: they are read into locked memory */
    left = clock_left(doctor.deadline);
    rest.deadline_ms = left - (left / 4 < LEFT_FOR_THE_END_MS ? left / 4 : LEFT_FOR_THE_END_MS);
    status = supervise(&rest, needs, examine, NULL);
    return status ? status : print(); /* who fails has printed */
}

int command_check_config(const struct config *config, unsigned needs)
{
    (void)needs;
    doctor.config = config;
    doctor_check_config(&doctor);
    return print();
}
