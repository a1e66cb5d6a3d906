/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/client.h"

#include <stdbool.h>
#include <string.h>

#include "aws/aws.h"
#include "aws/credentials.h"
#include "aws/endpoint.h"
#include "aws/imds.h"
#include "aws/kept.h"
#include "aws/post.h"
#include "aws/profile.h"
#include "aws/proxy.h"
#include "aws/retry.h"
#include "aws/shortage.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/decimal.h"
#include "base/err.h"
#include "base/log.h"
#include "base/secrecy.h"
#include "net/http.h"

enum {
    ANSWER_MAX = 512 * 1024,
    KEPT_ANSWER_MAX = 128 * 1024, /* twice the largest secret; a longer one is asked for alone */
    MAX_ATTEMPTS = 3,
    /* Credentials are asked for again where they have less life left than this, or than this share
       of what they had. */
    RENEW_S = 15 * 60,
    RENEW_SHARE = 4,
    SPENT_S = 30, /* what has less than this is of no use any more */
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

struct client {
    const struct aws *aws;
    struct http *http;
    struct prefetched *prefetched;
    unsigned batches;                /* so many */
    size_t at_once;                  /* calls side by side, */
    size_t fits;                     /* and how many answers there is memory for */
    char mute[REGION_MAX];           /* the region that did not answer last */
    size_t connections;              /* that were needed so far */
    struct credentials *credentials; /* NULL before the first request */
    struct proxy proxy;
    struct retry_quota quota;
    unsigned max_attempts;
    struct aws_clock clock;
    bool welcome; /* AWS has taken the credentials */
    bool refused; /* it wants others */
};

/* What is mended once in a call. */
struct mended {
    bool credentials;
};

int client_attempts(const struct aws *aws, unsigned *attempts, struct err *err)
{
    const char *mode = profile_setting(aws, "AWS_RETRY_MODE", "retry_mode");
    const char *text = profile_setting(aws, "AWS_MAX_ATTEMPTS", "max_attempts");
    const int64_t number = text ? decimal_number(text, 999999) : MAX_ATTEMPTS;
    char shown[SECRECY_QUOTED_MAX];

    if (mode && strcmp(mode, "standard") != 0 && strcmp(mode, "adaptive") != 0 &&
        strcmp(mode, "legacy") != 0)
        return err_set(err, ERR_CONFIG, "AWS_RETRY_MODE",
                       "%s is none of standard, adaptive and legacy", secrecy_quoted(shown, mode));
    *attempts = (unsigned)number;
    if (number < 1)
        return err_set(err, ERR_CONFIG, "AWS_MAX_ATTEMPTS", "%s is no number from 1 on",
                       secrecy_quoted(shown, text));
    return 0;
}

/* Each is looked at, whether it is of use this time or not. */
static int check_switches(const struct aws *aws, struct err *err)
{
    struct endpoint_params params = {.region = NULL};
    bool on;

    return endpoint_switches(aws, &params, &on, err) < 0 ? -1 : imds_disabled(aws, &on, err);
}

struct client *client_new(const struct aws *aws, struct err *err)
{
    struct client *client = arena_alloc(sizeof *client, ARENA_WORK);

    if (!client) {
        (void)err_set(err, ERR_MEMORY_FULL, NULL, "no room for a conversation with AWS");
        return NULL;
    }
    client->aws = aws;
    client->at_once = client->fits = CLIENT_PREFETCH;
    client->connections = 1;
    client->clock.skew_s = aws->kept ? aws->kept->skew_s : 0;
    if (check_switches(aws, err) == 0 && client_attempts(aws, &client->max_attempts, err) == 0 &&
        proxy_read(&client->proxy, aws, err) == 0)
        client->http = http_new(true, err);
    if (client->http)
        return client;
    client_free(client);
    return NULL;
}

/* How long credentials live yet, by AWS's clock. Those without an end count as spent: they may
 * change at their source. */
static int64_t life_of(const struct client *client, const struct credentials *credentials)
{
    return credentials->expires - clock_wall() - client->clock.skew_s;
}

static bool is_to_renew(const struct client *client, const struct credentials *credentials)
{
    const int64_t share = (credentials->expires - credentials->since) / RENEW_SHARE;

    return life_of(client, credentials) <= (share < RENEW_S ? share : RENEW_S);
}

/* Credentials that live on go on to the next conversation, whatever became of this one, unless AWS
 * wants others. */
static void keep_credentials(struct client *client)
{
    struct aws_kept *kept = client->aws->kept;

    if (!kept || !client->credentials || client->refused ||
        life_of(client, client->credentials) <= SPENT_S)
        return;
    credentials_free(kept->credentials);
    kept->credentials = client->credentials;
    client->credentials = NULL;
}

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

void client_free(struct client *client)
{
    if (!client)
        return;
    drop_prefetched(&client->prefetched);
    http_free(client->http);
    keep_credentials(client);
    credentials_free(client->credentials);
    arena_free(client);
}

void client_renew(struct client *client)
{
    credentials_free(client->credentials);
    client->credentials = NULL;
    client->welcome = false;
    drop_prefetched(&client->prefetched);
}

/*
 * Those that the last conversation left; new ones where those come to their end, and while there
 * are none, the old ones as long as they live.
 */
static int find_credentials(struct client *client, struct err *err)
{
    struct aws_kept *kept = client->aws->kept;
    struct credentials *old = kept ? kept->credentials : NULL;
    struct aws aws = *client->aws;

    if (old && !is_to_renew(client, old)) {
        client->credentials = old;
        kept->credentials = NULL;
        return 0;
    }
    if (old && life_of(client, old) > SPENT_S) /* time is left to use them */
        aws.deadline -= clock_left(aws.deadline) / 2;
    if (credentials_resolve(&aws, &client->credentials, err) < 0) {
        if (!old || life_of(client, old) <= SPENT_S)
            return -1;
        log_event(LOG_LEVEL_WARNING, "credentials_not_renewed",
                  log_n("left_s", life_of(client, old)), log_s("code", err_info(err->code)->name),
                  log_s("reason", err->reason));
        client->credentials = old;
        kept->credentials = NULL;
    }
    return 0;
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

static struct post request_of(const struct client *client, const struct client_call *call)
{
    return (struct post){
        .aws = client->aws,
        .http = client->http,
        .proxy = &client->proxy,
        .endpoint = call->endpoint,
        .service = "secretsmanager",
        .content_type = "application/x-amz-json-1.1",
        .target = call->target,
        .credentials = client->credentials,
        .skew_s = client->clock.skew_s,
        .body = call->body,
        .answer_max = ANSWER_MAX,
        .object = call->object,
    };
}

static int try_once(const struct client *client, const struct client_call *call,
                    struct http_response *response, struct err *err)
{
    const struct post request = request_of(client, call);
    struct prefetched **place = find_prefetched(client, call);
    const bool came = *place && (*place)->batch;

    if (came) {
        *response = (*place)->response;
        (*place)->response.body = (struct buf){.tag = ARENA_DOCUMENT};
    }
    if (*place)
        drop_one(place);
    return came ? 0 : post(&request, response, 1, err);
}

/* Keeps of an answer that it has to be asked for in its turn. */
static void spoil(struct prefetched *prefetched)
{
    http_response_free(&prefetched->response);
    prefetched->response.status = 0;
    prefetched->batch = 0;
}

/* Where no answer came, that tells something of the region. */
static void note_missing(struct client *client, const struct client_call *call,
                         enum http_result result)
{
    client->at_once -= client->at_once / 2;
    if (result != HTTP_ANSWERED)
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

const struct http_response *client_prefetched(const struct client *client,
                                              const struct client_call *call)
{
    struct prefetched *prefetched = *find_prefetched(client, call);

    return prefetched ? &prefetched->response : NULL;
}

unsigned client_batch(const struct client *client, const struct client_call *call)
{
    const struct prefetched *prefetched = *find_prefetched(client, call);

    return prefetched ? prefetched->batch : 0;
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

    for (i = 0; i < CLIENT_PREFETCH && *place; i++)
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

/* Whether a call is left out: its answer waits, or its region is silent and its turn has not come.
 */
static bool is_left_out(const struct client *client, const struct client_call *call, bool has_turn)
{
    return *find_prefetched(client, call) ||
           (!has_turn && strcmp(call->endpoint->region, client->mute) == 0);
}

struct batch {
    const struct client_call *calls[CLIENT_PREFETCH];
    struct post posts[CLIENT_PREFETCH];
    struct http_response responses[CLIENT_PREFETCH];
};

void client_prefetch(struct client *client, const struct client_call *calls, size_t count)
{
    struct batch *batch = arena_alloc(sizeof *batch, ARENA_WORK);
    struct err ignored; /* each is asked for again */
    size_t i, before, asked = 0;

    forget_old(client);
    for (i = 0; batch && i < count && asked < client->at_once; i++) {
        if (is_left_out(client, &calls[i], i == 0))
            continue;
        batch->calls[asked] = &calls[i];
        batch->posts[asked] = request_of(client, &calls[i]);
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

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Whether the source has other credentials by now. */
static bool refresh_credentials(struct client *client)
{
    struct credentials *old = client->credentials, *fresh = NULL;
    struct profiles *profiles = NULL; /* the files as they are now */
    struct aws aws = *client->aws;
    struct err ignored; /* AWS's refusal of the old ones tells more */
    bool changed;
    int result = profiles_load(aws.config, &profiles, &ignored);

    aws.profiles = profiles;
    if (result == 0)
        result = credentials_resolve(&aws, &fresh, &ignored);
    profiles_free(profiles);
    if (result < 0 || !fresh)
        return false;
    changed = !same_text(old->access_key_id, fresh->access_key_id) ||
              !same_text(old->session_token, fresh->session_token);
    client->credentials = fresh;
    credentials_free(old);
    return changed;
}

/* Who asks but once may hear no refusal. */
static void note_clock(struct client *client, const char *date)
{
    int64_t theirs;

    if (client->aws->once && clock_parse_http(date, &theirs) == 0)
        client->clock.skew_s = theirs - clock_wall();
}

/* Whether the cause of a refusal could be removed, so that another try is worth it. */
static bool mend(struct client *client, const struct aws_error *error, struct mended *mended)
{
    bool expired = error->means == ERR_CREDENTIALS_EXPIRED;

    if (aws_clock_learn(&client->clock, error))
        return true;
    if (!client->aws->kept && aws_clock_wait(error, client->aws->deadline))
        return true; /* run has another cycle for that */
    if (!client->aws->once && (expired || error->means == ERR_CREDENTIALS_UNKNOWN) &&
        !mended->credentials) {
        mended->credentials = true;
        log_event(LOG_LEVEL_WARNING, "credentials_refused", log_s("cause", error->text));
        return refresh_credentials(client);
    }
    return false;
}

/* Whether AWS wants other credentials: these are not known, or may do nothing that is asked. */
static void judge_credentials(struct client *client, enum err_code means)
{
    switch (means) {
    case ERR_CREDENTIALS_EXPIRED:
    case ERR_CREDENTIALS_UNKNOWN:
    case ERR_SIGNATURE_WRONG: client->refused = true; break;
    case ERR_AWS_DENIED:
    case ERR_AWS_DENIED_EXPLICITLY: client->refused |= !client->welcome; break;
    default: break;
    }
}

static int perform(struct client *client, const struct client_call *call,
                   struct http_response *response, struct client_refusal *refusal, struct err *err)
{
    struct retry retry = {.step = call->step,
                          .object = call->object,
                          .deadline = client->aws->deadline,
                          .once = client->aws->once,
                          .max_attempts = client->max_attempts,
                          .quota = &client->quota};
    struct mended mended = {0};
    enum retry_class class;
    bool again;

    do {
        retry_begin(&retry);
        if (try_once(client, call, response, err) < 0)
            return -1;
        if (response->result == HTTP_ANSWERED && response->status == 200) {
            retry_succeeded(&retry);
            client->at_once += client->at_once < client->fits;
            if (strcmp(call->endpoint->region, client->mute) == 0)
                client->mute[0] = '\0';
            note_clock(client, response->date);
            return 0;
        }
        aws_error_read(&refusal->error, response);
        class = retry_classify(response, refusal->error.code);
        if (class & RETRY_THROTTLED)
            client->at_once -= client->at_once / 2;
        again = mend(client, &refusal->error, &mended) && !client->aws->once;
        if (again) {
            retry.attempt++;
            drop_prefetched(&client->prefetched); /* what was asked as wrongly */
        } else {
            again = retry_wait(&retry, class, response, refusal->error.text);
        }
    } while (again);
    refusal->credentials = client->credentials->source;
    refusal->tries = retry.attempt;
    refusal->down = class & (RETRY_TRANSIENT | RETRY_ROUND);
    return 1;
}

int client_perform(struct client *client, const struct client_call *call,
                   struct http_response *response, struct client_refusal *refusal, struct err *err)
{
    const struct aws *aws = client->aws;

    int result;

    if (!client->credentials && find_credentials(client, err) < 0)
        return -1;
    if (clock_left(aws->deadline) == 0)
        return err_set(err, ERR_DEADLINE, call->object, "no time was left to ask AWS for it");
    client->clock.learned = 0;
    result = perform(client, call, response, refusal, err);
    if (aws->kept)
        aws->kept->skew_s = client->clock.skew_s;
    if (result == 0) {
        client->welcome = true;
        client->refused = false;
    } else if (result > 0) {
        judge_credentials(client, refusal->error.means);
    }
    return result;
}
