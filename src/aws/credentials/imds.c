/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "aws/aws.h"
#include "aws/credentials.h"
#include "aws/credentials/sources.h"
#include "aws/imds.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

static const char source[] = "imds";

#define ROLES "iam/security-credentials/"

enum { ROLE_MAX = 65 };

/* The instance's role: one line, in IAM's alphabet, since it becomes part of a URL. */
static enum source_state read_role(char role[ROLE_MAX], struct bytes list, struct err *err)
{
    static const char alphabet[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+=,.@-";
    const char *text = list.len ? (const char *)list.data : "";
    size_t len = strspn(text, alphabet);

    if (list.len == 0) {
        (void)err_set(err, ERR_ROLE_MISSING, source, "the instance has no IAM role");
        err->young = true;
        return SOURCE_NOT_CONFIGURED;
    }
    if (len == 0 || len >= ROLE_MAX || (len < list.len && text[len] != '\n')) {
        (void)err_set(err, ERR_CREDENTIALS_FAILED, source, "the role's name is none of IAM's");
        return SOURCE_FAILED;
    }
    memcpy(role, text, len);
    role[len] = '\0';
    return SOURCE_FOUND;
}

static enum source_state find_role(struct imds *imds, char role[ROLE_MAX], struct err *err)
{
    struct buf list = {.tag = ARENA_WORK};
    enum source_state state = SOURCE_FAILED;
    enum imds_state answer = imds_get(imds, ROLES, &list, err);

    if (answer == IMDS_FOUND || answer == IMDS_NOT_FOUND) /* which is how IMDS says "none" */
        state = read_role(role, buf_bytes(&list), err);
    buf_free(&list);
    return state;
}

/*
 * While the service that renews them is out of order, it gives out the old ones, and AWS may go on
 * taking them.
 */
static void note_expiry(const struct credentials *credentials)
{
    char expired[CLOCK_TEXT_MAX];

    if (credentials->expires == 0 || credentials->expires > clock_wall())
        return;
    clock_format(expired, credentials->expires);
    log_event(LOG_LEVEL_WARNING, "credentials_expired", log_s("source", source),
              log_s("expired", expired));
}

static enum source_state get_credentials(struct imds *imds, const char *role,
                                         struct credentials *credentials, struct err *err)
{
    struct buf answer = {.tag = ARENA_DOCUMENT};
    char path[sizeof ROLES + ROLE_MAX];
    enum source_state state = SOURCE_FAILED;
    enum imds_state found;

    (void)snprintf(path, sizeof path, ROLES "%s", role);
    found = imds_get(imds, path, &answer, err);
    if (found == IMDS_NOT_FOUND) /* of a role that it has named */
        err->young = true;
    if (found == IMDS_FOUND && source_read(credentials, buf_bytes(&answer), source, err) == 0) {
        note_expiry(credentials);
        state = SOURCE_FOUND;
    }
    buf_free(&answer);
    return state;
}

enum source_state source_imds(const struct aws *aws, struct credentials *credentials,
                              struct err *err)
{
    enum source_state state = SOURCE_FAILED;
    struct imds *imds = NULL;
    char role[ROLE_MAX];

    switch (imds_open(&imds, aws, err)) {
    case IMDS_FOUND: state = find_role(imds, role, err); break;
    case IMDS_ABSENT: return SOURCE_NOT_CONFIGURED;
    default: return SOURCE_FAILED;
    }
    if (state == SOURCE_FOUND)
        state = get_credentials(imds, role, credentials, err);
    imds_close(imds);
    return state;
}
