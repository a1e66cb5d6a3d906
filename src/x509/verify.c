/* SPDX-License-Identifier: Apache-2.0 */
#include "x509/verify.h"

#include <stdarg.h>
#include <stdio.h>

#include "x509/verify_parts.h"

enum verify_status verify_refuse(char reason[VERIFY_REASON_MAX], enum verify_status status,
                                 const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(reason, VERIFY_REASON_MAX, format, arguments);
    va_end(arguments);
    return status;
}

void verify_title(const struct cert *cert, char out[VERIFY_TITLE_MAX])
{
    char text[VERIFY_TITLE_MAX - 2];

    cert_subject_text(cert->subject, text, sizeof text);
    if (text[0] == '\0')
        (void)snprintf(text, sizeof text, "(no subject)");
    (void)snprintf(out, VERIFY_TITLE_MAX, "\"%s\"", text);
}

static enum verify_status check_limits(const struct verify_request *request,
                                       char reason[VERIFY_REASON_MAX])
{
    size_t bytes = 0, i;

    if (request->chain_count == 0)
        return verify_refuse(reason, VERIFY_MALFORMED, "there is no certificate");
    if (request->chain_count > VERIFY_CHAIN_MAX)
        return verify_refuse(reason, VERIFY_LIMIT, "the chain has more than %d certificates",
                             VERIFY_CHAIN_MAX);
    for (i = 0; i < request->chain_count; i++) {
        if (request->chain[i].len > VERIFY_BYTES_MAX - bytes)
            return verify_refuse(reason, VERIFY_LIMIT, "the chain has more than %d bytes",
                                 VERIFY_BYTES_MAX);
        bytes += request->chain[i].len;
    }
    return VERIFY_OK;
}

/* A stranger in the chain that cannot be read is left out; why stands in stranger. */
static enum verify_status read_chain(const struct verify_request *request, struct cert *chain,
                                     size_t *count, char stranger[CERT_REASON_MAX],
                                     char reason[VERIFY_REASON_MAX])
{
    size_t i;

    if (cert_parse(&chain[0], request->chain[0], stranger) < 0)
        return verify_refuse(reason, VERIFY_MALFORMED, "the certificate cannot be read: %s",
                             stranger);
    *count = 1;
    for (i = 1; i < request->chain_count; i++)
        if (cert_parse(&chain[*count], request->chain[i], stranger) == 0)
            ++*count;
    return VERIFY_OK;
}

static enum verify_status verify_chain(const struct verify_request *request,
                                       char reason[VERIFY_REASON_MAX])
{
    struct cert chain[VERIFY_CHAIN_MAX];
    char stranger[CERT_REASON_MAX] = "";
    enum verify_status status;
    struct verify_path path;
    size_t count = 0, i;

    if ((status = read_chain(request, chain, &count, stranger, reason)))
        return status;
    status = verify_find_path(request, chain, count, &path, reason);
    if (status == VERIFY_NO_ISSUER && stranger[0] != '\0')
        return verify_refuse(reason, VERIFY_MALFORMED, "a certificate sent cannot be read: %s",
                             stranger);
    if (status != VERIFY_OK)
        return status;
    if (request->taken != NULL) {
        request->taken->count = path.count;
        for (i = 0; i < path.count; i++)
            request->taken->der[i] = path.cert[i]->der;
    }
    return verify_leaf(request, &path, reason);
}

enum verify_status verify(const struct verify_request *request, char reason[VERIFY_REASON_MAX])
{
    enum verify_status status = check_limits(request, reason);

    if (request->blamed != NULL)
        *request->blamed = VERIFY_LEAF;
    if (status == VERIFY_OK)
        status = verify_chain(request, reason);
    if (status == VERIFY_OK)
        reason[0] = '\0'; /* what was against other paths */
    return status;
}

const char *verify_status_name(enum verify_status status)
{
    static const char *const names[] = {
        [VERIFY_OK] = "ok",
        [VERIFY_MALFORMED] = "malformed",
        [VERIFY_NO_ISSUER] = "no_issuer",
        [VERIFY_BAD_SIGNATURE] = "bad_signature",
        [VERIFY_EXPIRED] = "expired",
        [VERIFY_NOT_YET_VALID] = "not_yet_valid",
        [VERIFY_NAME_MISMATCH] = "name_mismatch",
        [VERIFY_COMMON_NAME_ONLY] = "common_name_only",
        [VERIFY_USAGE] = "usage",
        [VERIFY_CA_USAGE] = "usage",
        [VERIFY_NOT_CA] = "usage",
        [VERIFY_PATH_LENGTH] = "usage",
        [VERIFY_CONSTRAINTS] = "usage",
        [VERIFY_WEAK] = "weak",
        [VERIFY_WEAK_KEY] = "weak",
        [VERIFY_CRITICAL] = "critical_extension",
        [VERIFY_LIMIT] = "limit",
    };

    _Static_assert(sizeof names / sizeof names[0] == VERIFY_LIMIT + 1, "a name for each status");
    return names[status];
}
