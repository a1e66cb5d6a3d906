/* SPDX-License-Identifier: Apache-2.0 */
#include "run/survey.h"

#include <string.h>

#include "base/clock.h"
#include "config/config.h"
#include "identity/identity.h"
#include "install/ca_overlap.h"
#include "install/install_memory.h"
#include "x509/cert.h"
#include "x509/verify.h"

/* The next end of an anchor: one that has ended is no news, unless all have, nor is one that is
 * kept for a while only. */
static int64_t anchors_end(const struct anchors *anchors, const struct installed *facts,
                           int64_t now)
{
    int64_t next = 0, last = 0;
    size_t i;

    for (i = 0; anchors && i < anchors_count(anchors); i++) {
        int64_t end = anchors_at(anchors, i)->not_after;

        if (ca_overlap_holds(facts, anchors_at(anchors, i)->der))
            continue;
        if (end > now && (next == 0 || end < next))
            next = end;
        if (end > last)
            last = end;
    }
    return next ? next : last;
}

static void describe(const struct identity *identity, int64_t now, struct survey *survey)
{
    memcpy(survey->fingerprint, identity->fingerprint, sizeof survey->fingerprint);
    memcpy(survey->subject, identity->subject, sizeof survey->subject);
    memcpy(survey->key_text, identity->key_text, sizeof survey->key_text);
    survey->not_before = identity->not_before;
    survey->not_after = identity->not_after;
    survey->ca_not_after = anchors_end(identity->anchors, &survey->facts, now);
}

/* What was made of other secrets is no substitute for what is configured. */
static void check_origin(const struct install_target *target, const struct config_set *set,
                         struct survey *survey)
{
    struct install_source sources[CONFIG_SECRETS_MAX];
    char other[INSTALL_OTHER_MAX];
    size_t i;

    for (i = 0; i < set->secret_count; i++)
        sources[i] = (struct install_source){set->secrets[i], ""};
    if (install_origin(target, NULL, sources, set->secret_count, other) == INSTALL_OF_OTHERS)
        (void)err_set(&survey->err, ERR_IDENTITY_UNEXPECTED, target->dir, "it was made of %s",
                      other);
}

void survey_target(const struct install_target *target, const struct config_set *set,
                   struct survey *survey)
{
    struct identity_policy policy = {.now = clock_wall()};
    struct identity *identity = NULL;
    struct install_memory memory;
    struct bundle bundle = {0};
    struct err none;

    *survey = (struct survey){0};
    if (install_read(target, &bundle, &survey->facts, &survey->err) == 0)
        identity = identity_new(&bundle, &policy, target->dir, &survey->err);
    bundle_free(&bundle);
    if (identity) {
        survey->err.code = ERR_NONE;
        describe(identity, policy.now, survey);
        if (set)
            check_origin(target, set, survey);
    } else {
        memcpy(survey->fingerprint, survey->facts.fingerprint, sizeof survey->fingerprint);
        survey->not_after = survey->facts.not_after;
    }
    identity_free(identity);
    survey->told = install_memory_read(target, &memory, &none) == 0 &&
                   strcmp(memory.told, survey->facts.set) == 0;
}
