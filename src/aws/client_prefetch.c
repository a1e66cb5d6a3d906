/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/client_parts.h"

#include <string.h>

#include "aws/endpoint.h"
#include "aws/shortage.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/log.h"
#include "net/http.h"

enum {
    KEPT_ANSWER_MAX = 128 * 1024, /* twice the largest secret; a longer one is asked for alone */
    /* Of locked memory: a connection more, an ordinary answer, and what else a set needs. */
    ROOM_CONNECTION = 56 * 1024,
    ROOM_ANSWER = 16 * 1024,
    ROOM_REST = 128 * 1024
};

/* An answer that came before its call. */
struct prefetched {
    struct prefetched *next;
    const char *target;
    struct http_response response; /* without a body where there was no room */
    unsigned batch;                /* that it came in; 0: no room; to be asked for in its turn */
    char region[REGION_MAX];
    char object[]; /* these three tell the call */
};

static void drop_one(struct prefetched **place)
{
    struct prefetched *prefetched = *place;

    *place = prefetched->next;
    http_response_free(&prefetched->response);
    arena_free(prefetched);
}

/* From a place in the list on. */
static void drop_prefetched(struct prefetched **place)
{
    while (*place)
        drop_one(place);
}

void client_drop_all(struct client *client)
{
    drop_prefetched(&client->prefetched);
}

/* Where the answer to a call is kept; behind the last one: nowhere. */
static struct prefetched **find_prefetched(const struct client *client,
                                           const struct client_call *call)
{
    struct prefetched *const *place = &client->prefetched;

    while (*place && (strcmp((*place)->target, call->target) != 0 ||
                      strcmp((*place)->object, call->object) != 0 ||
                      strcmp((*place)->region, call->endpoint->region) != 0))
        place = &(*place)->next;
    return (struct prefetched **)place;
}

bool client_take(struct client *client, const struct client_call *call,
                 struct http_response *response)
{
    struct prefetched **place = find_prefetched(client, call);
    const bool came = *place && (*place)->batch;

    if (came) {
        *response = (*place)->response;
        (*place)->response.body = (struct buf){.tag = ARENA_DOCUMENT};
    }
    if (*place)
        drop_one(place);
    return came;
}

/* Keeps of an answer that it has to be asked for in its turn. */
static void spoil(struct prefetched *prefetched)
{
    http_response_free(&prefetched->response);
    prefetched->response.status = 0;
    prefetched->batch = 0;
}

/* Where no answer came, that tells something of the region; not where nothing was asked. */
static void note_missing(struct client *client, const struct client_call *call,
                         enum http_result result)
{
    if (result == HTTP_ANSWERED || result == HTTP_FAILED || result == HTTP_NO_THREADS ||
        result == HTTP_NO_DESCRIPTORS)
        return;
    client->at_once -= client->at_once / 2;
    memcpy(client->mute, call->endpoint->region, sizeof client->mute);
}

/* Keeps an answer, if one came; of one that there was no room for, that. */
static void keep_prefetched(struct client *client, const struct client_call *call,
                            struct http_response *response)
{
    const size_t size = strlen(call->object) + 1;
    const bool came = response->result == HTTP_ANSWERED && response->status;
    struct prefetched *prefetched = NULL;

    if (came || response->result == HTTP_TOO_LARGE || response->result == HTTP_NO_MEMORY)
        prefetched = arena_alloc(sizeof *prefetched + size, ARENA_WORK);
    else
        note_missing(client, call, response->result);
    if (!prefetched) {
        http_response_free(response);
        return;
    }
    prefetched->next = client->prefetched;
    prefetched->target = call->target;
    prefetched->response = *response;
    prefetched->batch = client->batches;
    memcpy(prefetched->region, call->endpoint->region, sizeof prefetched->region);
    memcpy(prefetched->object, call->object, size);
    client->prefetched = prefetched;
    if (!came)
        spoil(prefetched);
}

struct client_prefetched client_prefetched(const struct client *client,
                                           const struct client_call *call)
{
    const struct prefetched *found = *find_prefetched(client, call);

    if (!found)
        return (struct client_prefetched){NULL, 0};
    return (struct client_prefetched){&found->response,
                                      found->response.status == 200 ? found->batch : 0};
}

void client_drop(struct client *client, const struct client_call *call)
{
    struct prefetched **place = find_prefetched(client, call);

    if (*place && (*place)->batch)
        drop_one(place);
}

bool client_may_prefetch(const struct client *client)
{
    return client->welcome && client->at_once > 1;
}

/* Of the answers that are left, the last ones: older ones are of calls that nobody came to. */
static void forget_old(struct client *client)
{
    struct prefetched **place = &client->prefetched;
    size_t i;

    for (i = 0; i < HTTP_PARALLEL && *place; i++)
        place = &(*place)->next;
    drop_prefetched(place);
}

/* For how many of so many calls there is memory, beside all that comes of them. */
static size_t room_for(const struct client *client, size_t count)
{
    size_t more;

    for (; count > 1; count--) {
        more = count > client->connections ? count - client->connections : 0;
        if (arena_has_room(more * ROOM_CONNECTION + count * ROOM_ANSWER + ROOM_REST))
            break;
    }
    return count;
}

/*
 * Where memory was short, or is too short for all that comes of the answers, those to what is
 * farthest ahead go, and fewer are asked for from now on.
 */
static void make_room(struct client *client, size_t asked, bool short_of_memory)
{
    struct prefetched *prefetched;
    size_t came = 0;

    for (prefetched = client->prefetched; prefetched && !arena_has_room(ROOM_REST);
         prefetched = prefetched->next) {
        short_of_memory = true;
        spoil(prefetched);
    }
    for (prefetched = client->prefetched; prefetched; prefetched = prefetched->next)
        came += prefetched->batch == client->batches;
    if (short_of_memory && came < asked)
        client->fits = came > asked / 2 ? came : (asked + 1) / 2;
    if (client->at_once > client->fits)
        client->at_once = client->fits;
}

struct batch {
    const struct client_call *calls[HTTP_PARALLEL];
    struct post posts[HTTP_PARALLEL];
    struct http_response responses[HTTP_PARALLEL];
};

void client_prefetch(struct client *client, const struct client_call *calls, size_t count)
{
    struct batch *batch = arena_alloc(sizeof *batch, ARENA_WORK);
    struct err ignored; /* each is asked for again */
    size_t i, before, asked = 0;

    forget_old(client);
    for (i = 0; batch && i < count && asked < client->at_once; i++) {
        /* Its answer waits, or its region is silent and its turn has not come. */
        if (*find_prefetched(client, &calls[i]) ||
            (i > 0 && strcmp(calls[i].endpoint->region, client->mute) == 0))
            continue;
        batch->calls[asked] = &calls[i];
        batch->posts[asked] = client_request(client, &calls[i]);
        batch->posts[asked].answer_max = KEPT_ANSWER_MAX;
        batch->posts[asked++].spare = true;
    }
    asked = room_for(client, asked);
    if (asked > 1) {
        log_event(LOG_LEVEL_INFO, "side_by_side", log_n("requests", (int64_t)asked));
        client->batches++;
        before = shortage_look();
        (void)post(batch->posts, batch->responses, asked, &ignored);
        for (i = 0; i < asked; i++)
            keep_prefetched(client, batch->calls[i], &batch->responses[i]);
        if (asked > client->connections)
            client->connections = asked;
        make_room(client, asked, shortage_look() != before);
    }
    arena_free(batch);
}
