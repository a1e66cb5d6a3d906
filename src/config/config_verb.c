/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "config/options.h"

static const char *const names[] = {"fetch",       "inspect", "probe",  "run",    "status",
                                    "healthcheck", "purge",   "attest", "doctor", "check-config"};
enum { NAMES = sizeof names / sizeof names[0] };

unsigned verb_of(const char *name)
{
    for (unsigned i = 0; name && i < NAMES; i++)
        if (strcmp(names[i], name) == 0)
            return 1u << i;
    return 0;
}

unsigned verb_takes(unsigned verb)
{
    if (verb == VERB_DOCTOR)
        return verb | VERB_RUN | VERB_PROBE | VERB_STATUS;
    return verb == VERB_CHECK_CONFIG ? ~0U : verb;
}

const char *verbs_text(char out[VERBS_TEXT_MAX], unsigned verbs)
{
    int len = 0;

    out[0] = '\0';
    for (unsigned i = 0; i < NAMES; i++) {
        const char *gap = len == 0 ? "" : verbs >> i == 1 ? " and " : ", ";

        if (verbs & 1u << i)
            len += snprintf(out + len, VERBS_TEXT_MAX - (size_t)len, "%s%s", gap, names[i]);
    }
    return out;
}

const char *value_command(const char *text)
{
    return verb_of(text) ? NULL
                         : "is no command: fetch, inspect, probe, run, status, healthcheck, purge, "
                           "attest, doctor, check-config";
}
