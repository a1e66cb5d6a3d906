/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/client.h"

#include <stdbool.h>
#include <string.h>

#include "aws/aws.h"
#include "aws/client_parts.h"
#include "aws/credentials.h"
#include "aws/endpoint.h"
#include "aws/imds.h"
#include "aws/kept.h"
#include "aws/post.h"
#include "aws/profile.h"
#include "aws/proxy.h"
#include "aws/retry.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/decimal.h"
#include "base/err.h"
#include "base/log.h"
#include "base/secrecy.h"
#include "net/http.h"

enum {
    ANSWER_MAX = 512 * 1024,
    MAX_ATTEMPTS = 3,
    /* Credentials are asked for again where they have less life left than this, or than this share
       of what they had. */
    RENEW_S = 15 * 60,
    RENEW_SHARE = 4,
    SPENT_S = 30 /* what has less than this is of no use any more */
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
    client->at_once = client->fits = HTTP_PARALLEL;
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

void client_free(struct client *client)
{
    if (!client)
        return;
    client_drop_all(client);
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
    client_drop_all(client);
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

struct post client_request(const struct client *client, const struct client_call *call)
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
        const struct post request = client_request(client, call);

        retry_begin(&retry);
        if (!client_take(client, call, response) && post(&request, response, 1, err) < 0)
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
            client_drop_all(client); /* what was asked as wrongly */
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
