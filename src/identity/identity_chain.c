/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/identity.h"
#include "identity/identity_parts.h"
#include "x509/cert.h"
#include "x509/dn.h"
#include "x509/key.h"
#include "x509/verify_parts.h"

enum verify_status leaf_check(const struct cert *leaf, enum verify_purpose purpose, int64_t now,
                              char reason[VERIFY_REASON_MAX])
{
    enum verify_status status = verify_dates(leaf, now, 0, reason);

    return status ? status : verify_usage(leaf, purpose, VERIFY_PRIVATE, reason);
}

unsigned leaf_rank(const struct cert *cert, enum verify_purpose purpose, int64_t now)
{
    char reason[VERIFY_REASON_MAX];

    return (cert->is_ca ? 0u : 4u) +
           (leaf_check(cert, purpose, now, reason) == VERIFY_OK ? 2u : 0u) +
           (verify_self_issued(cert) ? 0u : 1u);
}

/* Reads what was read before. */
static void parse_again(struct cert *cert, struct bytes der)
{
    char reason[CERT_REASON_MAX];

    (void)cert_parse(cert, der, reason);
}

static void move_up(struct bytes *list, size_t from, size_t to)
{
    struct bytes item = list[from];

    memmove(list + to + 1, list + to, (from - to) * sizeof *list);
    list[to] = item;
}

bool chain_find_leaf(struct credential *credential, enum verify_purpose purpose, int64_t now,
                     struct cert *leaf)
{
    unsigned rank, best = 0;
    size_t i, place = 0;
    struct cert cert;
    bool found = false;

    for (i = 0; i < credential->chain_count; i++) {
        parse_again(&cert, credential->chain[i]);
        rank = leaf_rank(&cert, purpose, now);
        if (!key_matches(credential->key, &cert) || (found && rank <= best))
            continue;
        *leaf = cert;
        best = rank;
        place = i;
        found = true;
    }
    if (found)
        move_up(credential->chain, place, 0);
    return found;
}

/* How much item is to be wanted as the issuer of cert; 0: it is not. */
static int issuer_rank(const struct cert *cert, struct bytes item,
                       const struct verify_path_taken *taken, int64_t now)
{
    char reason[VERIFY_REASON_MAX];
    struct cert issuer;
    size_t i;

    for (i = 1; i < taken->count; i++)
        if (bytes_equal(taken->der[i - 1], cert->der) && bytes_equal(taken->der[i], item))
            return 3;
    parse_again(&issuer, item);
    if (!dn_equal(cert->issuer, issuer.subject) || !cert_signed_by(cert, &issuer))
        return 0;
    return verify_dates(&issuer, now, 0, reason) == VERIFY_OK ? 2 : 1;
}

void chain_order(struct credential *credential, const struct verify_path_taken *taken, int64_t now)
{
    size_t place, i, at = 0;
    struct cert cert;
    int rank, best;

    for (place = 1; place < credential->chain_count; place++) {
        parse_again(&cert, credential->chain[place - 1]);
        for (best = 0, i = place; i < credential->chain_count; i++) {
            rank = issuer_rank(&cert, credential->chain[i], taken, now);
            if (rank > best) {
                best = rank;
                at = i;
            }
        }
        if (best == 0)
            return;
        move_up(credential->chain, at, place);
    }
}

/* Whether issuer is the one that cert names, by its key too, and has not signed it. */
static bool denies(const struct cert *issuer, const struct cert *cert)
{
    return dn_equal(cert->issuer, issuer->subject) && cert->authority_key_id.data &&
           issuer->subject_key_id.data &&
           bytes_equal(cert->authority_key_id, issuer->subject_key_id) &&
           !cert_signed_by(cert, issuer);
}

/*
 * Whether a signature that does not verify was made by an issuer that is here, and not by another
 * CA of its name: the key identifiers say that it was.
 */
static bool is_damaged(const struct verify_request *request)
{
    struct cert cert, issuer;
    size_t i, k;

    for (i = 0; i < request->chain_count; i++) {
        parse_again(&cert, request->chain[i]);
        for (k = 0; k < anchors_count(request->anchors); k++)
            if (denies(anchors_at(request->anchors, k), &cert))
                return true;
        for (k = 0; k < request->chain_count; k++) {
            parse_again(&issuer, request->chain[k]);
            if (denies(&issuer, &cert))
                return true;
        }
    }
    return false;
}

enum verify_status chain_verify(struct verify_request *request, char reason[VERIFY_REASON_MAX])
{
    enum verify_status status;

    request->profile = VERIFY_PRIVATE;
    request->allow_v1_leaf = true;
    status = verify(request, reason);
    return status == VERIFY_BAD_SIGNATURE && !is_damaged(request) ? VERIFY_NO_ISSUER : status;
}
