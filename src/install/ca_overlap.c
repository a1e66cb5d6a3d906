/* SPDX-License-Identifier: Apache-2.0 */
#include "install/ca_overlap.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "identity/bundle.h"
#include "identity/expect.h"
#include "identity/identity.h"
#include "install/install_internal.h"
#include "x509/cert.h"
#include "x509/pem.h"
#include "x509/verify.h"

/* From the installed ca.crt to the next one. */
struct transition {
    struct installed *facts;
    const struct expected *expected;
    struct identity *next;
    size_t own; /* how many anchors next has of ca_cert */
    int64_t now, length;
    struct ca_overlap *overlap;
    size_t shared, ended, changed; /* of the installed anchors */
};

static bool is_own(const struct transition *transition, struct bytes der)
{
    size_t i;

    for (i = 0; i < transition->own; i++)
        if (bytes_equal(anchors_at(transition->next->anchors, i)->der, der))
            return true;
    return false;
}

static const struct install_overlap *find_overlap(const struct installed *facts, const char *digest)
{
    size_t i;

    for (i = 0; i < facts->overlap_count; i++)
        if (strcmp(facts->overlap[i].digest, digest) == 0)
            return &facts->overlap[i];
    return NULL;
}

/* Whether one more can be told of, read again, and written: base64 in lines takes 1.4 times as
 * much. */
static bool has_room(const struct transition *transition, const struct cert *cert)
{
    enum { BEGIN_AND_END = 64 };
    const size_t used = transition->next->file[BUNDLE_CA_CERT].len;

    return transition->overlap->count < INSTALL_OVERLAP_MAX &&
           anchors_count(transition->next->anchors) < IDENTITY_ANCHORS_MAX &&
           used + cert->der.len * 7 / 5 + BEGIN_AND_END < INSTALL_FILE_MAX;
}

/* An anchor that ca_cert does not hold: kept, or its time is over. */
static int keep(struct transition *transition, const struct cert *cert, struct err *err)
{
    struct ca_overlap *overlap = transition->overlap;
    struct install_overlap entry = {.until = transition->now + transition->length};
    const struct install_overlap *known;
    uint8_t digest[HASH_SIZE];
    struct err unexpected;

    hash_sha256(digest, cert->der);
    hash_hex(entry.digest, digest);
    known = find_overlap(transition->facts, entry.digest);
    if (known && known->until < entry.until) /* later than that only after the clock was set back */
        entry.until = known->until;
    if (cert->not_after < entry.until)
        entry.until = cert->not_after;
    if (known && entry.until <= transition->now) {
        transition->ended++;
        return 0;
    }
    transition->changed += !known;
    if (entry.until <= transition->now)
        return 0;
    if (expect_anchor(transition->expected, cert, NULL, &unexpected) < 0) {
        log_event(LOG_LEVEL_WARNING, "ca_overlap_unexpected", log_s("fingerprint", entry.digest));
        return 0;
    }
    if (!has_room(transition, cert)) {
        log_event(LOG_LEVEL_WARNING, "ca_overlap_full", log_s("fingerprint", entry.digest));
        return 0;
    }
    if (identity_add_anchor(transition->next, cert->der, err) < 0)
        return -1;
    overlap->kept[overlap->count++] = entry;
    return 0;
}

/* What would be kept is not known: those who still need it learn it here first. */
static int lose(const struct ca_overlap_request *request, const char *reason)
{
    log_event(LOG_LEVEL_WARNING, "ca_overlap_lost", log_s("dir", request->target->dir),
              log_s("reason", reason));
    return 0;
}

/* 0; -1; 1 where something in it is no certificate. */
static int walk(struct transition *transition, struct bytes pem, struct err *err)
{
    struct buf der = {.tag = ARENA_DOCUMENT};
    struct pem_reader reader = {pem};
    char reason[CERT_REASON_MAX];
    struct pem_block block;
    enum pem_found found;
    struct cert cert;
    bool damaged = false;
    int result = 0;

    while (result == 0 && (found = pem_next(&reader, &block, &der)) != PEM_END) {
        if (found == PEM_NO_ROOM)
            result = pem_fail(found, &block, "ca.crt", err);
        else if (is_own(transition, buf_bytes(&der)))
            transition->shared++;
        else if (cert_parse(&cert, buf_bytes(&der), reason) == 0)
            result = keep(transition, &cert, err);
        else
            damaged = true;
        buf_free(&der);
    }
    return result < 0 ? -1 : damaged;
}

bool ca_overlap_holds(const struct installed *facts, struct bytes der)
{
    uint8_t digest[HASH_SIZE];
    char hex[HASH_HEX_SIZE];

    hash_sha256(digest, der);
    hash_hex(hex, digest);
    return find_overlap(facts, hex) != NULL;
}

int ca_overlap_strip(const struct installed *facts, struct buf *ca)
{
    struct buf der = {.tag = ARENA_DOCUMENT};
    struct buf own = {.tag = ca->tag, .max = ca->max};
    struct pem_reader reader = {buf_bytes(ca)};
    struct pem_block block;
    enum pem_found found;
    int result = 0;

    while (result == 0 && (found = pem_next(&reader, &block, &der)) != PEM_END) {
        if (found < 0)
            result = -1;
        else if (!ca_overlap_holds(facts, buf_bytes(&der)))
            result = pem_append(&own, "CERTIFICATE", buf_bytes(&der));
        buf_free(&der);
    }
    buf_free(ca);
    *ca = own;
    return result;
}

static int lack_memory(const struct ca_overlap_request *request, struct err *err)
{
    return err_set(err, ERR_MEMORY_FULL, request->target->dir, "no memory for what is installed");
}

static int apply(const struct ca_overlap_request *request, struct transition *transition,
                 struct bundle *bundle, struct err *err)
{
    char other[INSTALL_OTHER_MAX];
    const enum install_origin origin =
        install_origin(request->target, NULL, request->sources, request->source_count, other);
    const bool starved = origin == INSTALL_OF_UNKNOWN && errno == ENOMEM;
    struct installed *facts = transition->facts;
    struct err unread;
    int result;

    if (starved)
        return lack_memory(request, err);
    if (origin == INSTALL_OF_OTHERS)
        return 0;
    if (install_read_ca(request->target, bundle, facts, &unread) < 0) {
        if (unread.code == ERR_MEMORY_FULL)
            return lack_memory(request, err);
        if (unread.code != ERR_NO_IDENTITY)
            return lose(request, unread.reason);
        return origin == INSTALL_OF_UNKNOWN ? 0 : lose(request, "ca.crt is not there");
    }
    if (origin == INSTALL_OF_UNKNOWN)
        return lose(request, "no manifest says of which secrets ca.crt is");
    result = walk(transition, buf_bytes(&bundle->field[BUNDLE_CA_CERT]), err);
    return result > 0 ? lose(request, "a certificate in ca.crt is damaged") : result;
}

int ca_overlap_apply(const struct ca_overlap_request *request, struct identity *next,
                     struct ca_overlap *overlap, struct err *err)
{
    struct bundle bundle = {0};
    struct installed facts;
    struct transition transition = {
        .facts = &facts,
        .expected = request->expected,
        .next = next,
        .own = anchors_count(next->anchors),
        .now = clock_wall(),
        .length = request->length_ms / 1000,
        .overlap = overlap,
    };
    int result;

    *overlap = (struct ca_overlap){0};
    if (request->length_ms == 0 || !next->anchors)
        return 0;
    result = apply(request, &transition, &bundle, err);
    overlap->only_ended =
        transition.ended > 0 && transition.changed == 0 && transition.shared == transition.own;
    bundle_free(&bundle);
    return result;
}
