/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "x509/dn.h"
#include "x509/verify_parts.h"

enum { CONSTRAINTS_MAX = 65536 };

/*
 * How telling a failure is: one of a certificate that really signed tells more than one of a
 * namesake.
 */
enum rank { RANK_NONE, RANK_NO_ISSUER, RANK_BAD_SIGNATURE, RANK_ISSUER, RANK_LIMIT };

/*
 * A depth-first search. At each place of the path, every certificate is tried as issuer of the one
 * below it: anchors first, then the chain; in a second round those whose key identifier
 * contradicts the one that was asked for, for a CA may have changed its way to make them.
 */
struct search {
    const struct verify_request *request;
    const struct cert *chain;
    size_t chain_count;
    struct verify_path *path;
    size_t next[VERIFY_CHAIN_MAX + 1]; /* the candidate to try next, by place */
    unsigned signatures;
    size_t constraints;
    enum rank rank; /* of status, blamed and reason: the most telling failure so far */
    enum verify_status status;
    enum verify_role blamed;
    char *reason;
};

static void search_fail(struct search *search, enum rank rank, enum verify_role blamed,
                        enum verify_status status, const char *reason)
{
    if (rank <= search->rank)
        return;
    search->rank = rank;
    search->status = status;
    search->blamed = blamed;
    (void)snprintf(search->reason, VERIFY_REASON_MAX, "%s", reason);
}

static void fail_no_issuer(struct search *search, const struct cert *cert)
{
    char title[VERIFY_TITLE_MAX], issuer[VERIFY_TITLE_MAX], reason[VERIFY_REASON_MAX];

    verify_title(cert, title);
    cert_subject_text(cert->issuer, issuer, sizeof issuer);
    if (verify_self_issued(cert))
        (void)verify_refuse(reason, VERIFY_NO_ISSUER, "%s is self-signed and no trust anchor",
                            title);
    else
        (void)verify_refuse(reason, VERIFY_NO_ISSUER,
                            "the issuer of %s, \"%s\", is neither sent nor a trust anchor", title,
                            issuer);
    search_fail(search, RANK_NO_ISSUER, VERIFY_LEAF, VERIFY_NO_ISSUER, reason);
}

static bool is_anchor(const struct search *search, const struct cert *cert)
{
    size_t i;

    for (i = 0; i < anchors_count(search->request->anchors); i++)
        if (bytes_equal(cert->der, anchors_at(search->request->anchors, i)->der))
            return true;
    return false;
}

/* The same name and key once more leads nowhere new. */
static bool in_path(const struct verify_path *path, const struct cert *cert)
{
    size_t i;

    for (i = 0; i < path->count; i++)
        if (bytes_equal(path->cert[i]->spki, cert->spki) &&
            dn_equal(path->cert[i]->subject, cert->subject))
            return true;
    return false;
}

static bool key_id_contradicts(const struct cert *cert, const struct cert *issuer)
{
    return cert->authority_key_id.data != NULL && issuer->subject_key_id.data != NULL &&
           !bytes_equal(cert->authority_key_id, issuer->subject_key_id);
}

/* Whether issuer, of that role, signed the path's last certificate. */
static bool signature_good(struct search *search, const struct cert *issuer, enum verify_role role)
{
    const struct cert *cert = search->path->cert[search->path->count - 1];
    const enum verify_role signed_role =
        search->path->count > 1 ? VERIFY_INTERMEDIATE : VERIFY_LEAF;
    char reason[VERIFY_REASON_MAX], title[VERIFY_TITLE_MAX], issuer_title[VERIFY_TITLE_MAX];
    enum verify_status status;

    verify_title(cert, title);
    verify_title(issuer, issuer_title);
    if (cert->signature_key == 0 || cert->signature_hash == br_sha1_ID) {
        status = verify_refuse(reason, VERIFY_WEAK, "%s is signed by %s, which is not accepted",
                               title, cert->signature_name);
        search_fail(search, RANK_ISSUER, signed_role, status, reason);
    } else if ((status = verify_key(issuer, reason))) {
        search_fail(search, RANK_ISSUER, role, status, reason);
    } else if (search->signatures == VERIFY_SIGNATURES_MAX) {
        search_fail(search, RANK_LIMIT, signed_role, VERIFY_LIMIT, "too many signatures to check");
    } else {
        search->signatures++;
        if (cert_signed_by(cert, issuer))
            return true;
        status = verify_refuse(reason, VERIFY_BAD_SIGNATURE, "%s was not signed by the key of %s",
                               title, issuer_title);
        search_fail(search, RANK_BAD_SIGNATURE, signed_role, status, reason);
    }
    return false;
}

/* Whether issuer was renewed, and stands in the chain anew: then its own dates tell nothing. */
static bool has_valid_twin(const struct search *search, const struct cert *issuer)
{
    char reason[VERIFY_REASON_MAX];
    size_t i;

    for (i = 1; i < search->chain_count; i++)
        if (bytes_equal(search->chain[i].spki, issuer->spki) &&
            dn_equal(search->chain[i].subject, issuer->subject) &&
            dn_equal(search->chain[i].issuer, issuer->issuer) &&
            verify_dates(&search->chain[i], search->request->now, search->request->leeway,
                         reason) == VERIFY_OK)
            return true;
    return false;
}

/* Puts issuer on top of the path if it belongs there. */
static bool extend(struct search *search, const struct cert *issuer, bool anchor, bool second_round)
{
    struct verify_path *path = search->path;
    const struct cert *cert = path->cert[path->count - 1];
    const enum verify_role role = anchor ? VERIFY_ANCHOR : VERIFY_INTERMEDIATE;
    char reason[VERIFY_REASON_MAX];
    enum verify_status status;

    if (!dn_equal(cert->issuer, issuer->subject) ||
        key_id_contradicts(cert, issuer) != second_round || (!anchor && in_path(path, issuer)) ||
        !signature_good(search, issuer, role))
        return false;
    if ((status = verify_issuer(search->request, path, issuer, anchor, reason)) ||
        (status =
             verify_constraints(search->request, path, issuer, &search->constraints, reason))) {
        if (anchor || (status != VERIFY_EXPIRED && status != VERIFY_NOT_YET_VALID) ||
            !has_valid_twin(search, issuer))
            search_fail(search, search->constraints == 0 ? RANK_LIMIT : RANK_ISSUER, role, status,
                        reason);
        return false;
    }
    search->next[path->count] = 0;
    path->cert[path->count++] = issuer;
    return true;
}

/* Tries the next candidate for the top of the path; true once the path is whole. */
static bool search_step(struct search *search)
{
    size_t anchors = anchors_count(search->request->anchors);
    size_t candidates = anchors + search->chain_count - 1; /* all but the leaf */
    size_t *next = &search->next[search->path->count - 1];
    bool second_round = *next >= candidates;
    size_t candidate;

    if (*next == 2 * candidates) {
        fail_no_issuer(search, search->path->cert[--search->path->count]);
        return false;
    }
    candidate = (*next)++ % candidates;
    if (candidate < anchors)
        return extend(search, anchors_at(search->request->anchors, candidate), true, second_round);
    (void)extend(search, &search->chain[1 + candidate - anchors], false, second_round);
    return false;
}

enum verify_status verify_find_path(const struct verify_request *request, const struct cert *chain,
                                    size_t chain_count, struct verify_path *path,
                                    char reason[VERIFY_REASON_MAX])
{
    struct search search = {.request = request,
                            .chain = chain,
                            .chain_count = chain_count,
                            .path = path,
                            .constraints = CONSTRAINTS_MAX,
                            .reason = reason};

    *path = (struct verify_path){.cert = {chain}, .count = 1};
    if (is_anchor(&search, chain))
        return VERIFY_OK;
    while (path->count > 0 && search.rank < RANK_LIMIT)
        if (search_step(&search))
            return VERIFY_OK;
    if (request->blamed != NULL)
        *request->blamed = search.blamed;
    return search.status;
}
