/* SPDX-License-Identifier: Apache-2.0 */
#include "run/target_state.h"

#include <string.h>

#include "base/clock.h"
#include "config/config.h"
#include "identity/identity.h"
#include "install/ca_overlap.h"
#include "install/install_state.h"
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

/* What was made of other secrets is no substitute for what is configured. */
static void check_origin(const struct install_target *target, const struct config_set *set,
                         const char *where, struct target_state *state)
{
    struct install_source sources[CONFIG_SECRETS_MAX];
    char other[INSTALL_OTHER_MAX];
    size_t i;

    for (i = 0; i < set->secret_count; i++)
        sources[i] = (struct install_source){set->secrets[i], ""};
    if (install_origin(target, NULL, sources, set->secret_count, other) == INSTALL_OF_OTHERS)
        (void)err_set(&state->err, ERR_IDENTITY_UNEXPECTED, where, "it was made of %s", other);
}

void target_state_read(const struct install_target *target, const struct config_set *set,
                       struct target_state *state)
{
    struct identity_policy policy = {.now = clock_wall()};
    struct identity *identity = NULL;
    struct install_state noted = {0};
    struct bundle bundle = {0};
    char where[INSTALL_WHERE_MAX];
    struct err none;

    (void)install_where(target, where);
    *state = (struct target_state){0};
    if (install_read(target, &bundle, &state->facts, &state->err) == 0)
        identity = identity_new(&bundle, &policy, where, &state->err);
    bundle_free(&bundle);
    if (identity) {
        state->err.code = ERR_NONE;
        memcpy(state->fingerprint, identity->fingerprint, sizeof state->fingerprint);
        memcpy(state->subject, identity->subject, sizeof state->subject);
        memcpy(state->key_text, identity->key_text, sizeof state->key_text);
        state->not_before = identity->not_before;
        state->not_after = identity->not_after;
        state->ca_not_after = anchors_end(identity->anchors, &state->facts, policy.now);
        if (set)
            check_origin(target, set, where, state);
    } else {
        memcpy(state->fingerprint, state->facts.fingerprint, sizeof state->fingerprint);
        state->not_after = state->facts.not_after;
    }
    identity_free(identity);
    state->told =
        install_state_read(target, &noted, &none) == 0 && strcmp(noted.told, state->facts.set) == 0;
    state->way_back = state->facts.way_back && strcmp(noted.rolled_back, state->facts.version) != 0;
}
