/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/secretsmanager_parts.h"

#include <string.h>

#include "aws/answer.h"
#include "base/arena.h"
#include "base/clock.h"
#include "net/http.h"

_Static_assert(SECRETS_PREFETCH == HTTP_PARALLEL,
               "what is prefetched goes over the connections that there are");

/*
 * Makes the calls ready for the regions that they are for, but those whose region is not known yet;
 * how many.
 */
static size_t prepare_all(struct secretsmanager *manager, struct prepared *prepared,
                          struct client_call *calls, const struct secret_question *questions,
                          size_t count)
{
    const size_t fallback = manager->fallback;
    struct err ignored; /* who is asked in its turn says it */
    size_t i, made = 0;

    for (i = 0; i < count; i++) {
        const struct operation *operation =
            questions[i].describes ? &describe_secret : &get_secret_value;

        manager->fallback = fallback;
        if (secretsmanager_turn_to(manager, questions[i].secret_id, true, &ignored) < 0) {
            if (i == 0) /* whose turn it is: nothing is prefetched without it */
                break;
            continue;
        }
        if (secretsmanager_prepare(&prepared[made], manager, operation, questions[i].secret_id,
                                   &ignored) < 0)
            break;
        calls[made] = secretsmanager_call(&prepared[made], operation);
        made++;
    }
    manager->fallback = fallback;
    return made;
}

/* What waits for a question; nothing any more, if it is to be dropped. */
static struct client_prefetched look(struct secretsmanager *manager,
                                     const struct secret_question *question, bool drop)
{
    struct client_prefetched waiting = {.response = NULL};
    struct prepared prepared = {.id = ""};
    struct client_call call;

    if (prepare_all(manager, &prepared, &call, question, 1) == 1) {
        if (drop)
            client_drop(manager->client, &call);
        waiting = client_prefetched(manager->client, &call);
    }
    buf_free(&prepared.body);
    return waiting;
}

bool secretsmanager_may_prefetch(struct secretsmanager *manager,
                                 const struct secret_question *question)
{
    return client_may_prefetch(manager->client) && !look(manager, question, false).response;
}

void secretsmanager_drop_mixed(struct secretsmanager *manager, const char *const *secret_ids,
                               size_t count)
{
    struct secret_question question = {secret_ids[0], false};
    const unsigned first = look(manager, &question, false).batch;
    bool mixed = false;
    size_t i;

    for (i = 1; i < count && !mixed; i++) {
        question.secret_id = secret_ids[i];
        mixed = look(manager, &question, false).batch != first;
    }
    for (i = 0; i < count && mixed; i++) {
        question.secret_id = secret_ids[i];
        (void)look(manager, &question, true);
    }
}

void secretsmanager_prefetched_id(struct secretsmanager *manager, const char *secret_id,
                                  char id[SECRET_VERSION_MAX])
{
    const struct secret_question question = {secret_id, true};
    const struct http_response *response =
        manager->fallback ? NULL : look(manager, &question, false).response;
    struct secret_version version = {.id = ""};
    struct err ignored;

    if (response && response->status == 200)
        (void)answer_read_version(&version, manager->aws.config, buf_bytes(&response->body),
                                  secret_id, &ignored);
    memcpy(id, version.id, sizeof version.id);
}

void secretsmanager_prefetch(struct secretsmanager *manager,
                             const struct secret_question *questions, size_t count)
{
    struct prepared *prepared = arena_alloc(SECRETS_PREFETCH * sizeof *prepared, ARENA_WORK);
    struct client_call calls[SECRETS_PREFETCH];
    size_t i;

    if (!prepared)
        return;
    count = prepare_all(manager, prepared, calls, questions, count);
    manager->aws.deadline = clock_share(manager->whole->deadline, 2);
    client_prefetch(manager->client, calls, count);
    for (i = 0; i < SECRETS_PREFETCH; i++)
        buf_free(&prepared[i].body);
    arena_free(prepared);
}
