/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Path validation of a hostile chain: two bytes of choices, then certificates, leaf first. Since no
 * fuzzer makes a signature, one choice lets all of them be good. What passes must be what was asked
 * for, and must not pass a moment after its end, or without an anchor.
 */
#include "fuzz.h"
#include "x509/cert.h"
#include "x509/der.h"
#include "x509/name.h"
#include "x509/verify.h"

enum { CERTS_MAX = VERIFY_CHAIN_MAX + 2 };

static bool all_signatures_good;
static struct anchors *roots, *nobody;

bool __real_cert_signed_by(const struct cert *cert, const struct cert *issuer);
bool __wrap_cert_signed_by(const struct cert *cert, const struct cert *issuer);

bool __wrap_cert_signed_by(const struct cert *cert, const struct cert *issuer)
{
    return all_signatures_good || __real_cert_signed_by(cert, issuer);
}

void fuzz_begin(void)
{
    static const char *const names[] = {"root.der", "other-root.der", "root-rsa.der",
                                        "root-p521.der", "root-v1.der"};
    enum { NAMES = sizeof names / sizeof *names };
    struct bytes der[NAMES];
    struct err err;
    size_t i;

    for (i = 0; i < NAMES; i++)
        der[i] = fuzz_sample(names[i]);
    roots = anchors_new(der, NAMES, &err);
    nobody = anchors_new(der, 0, &err);
    FUZZ_CHECK(roots && nobody);
}

static size_t cut(struct bytes rest, struct bytes chain[CERTS_MAX])
{
    struct der element;
    size_t count = 0;

    while (count < CERTS_MAX && rest.len > 0) {
        chain[count++] = der_any(&rest, &element) ? element.whole : rest;
        if (chain[count - 1].data == rest.data)
            break;
    }
    return count;
}

static enum verify_status check_status(const struct verify_request *request)
{
    char reason[VERIFY_REASON_MAX] = "";
    enum verify_status status = verify(request, reason);

    FUZZ_CHECK(verify_status_name(status));
    FUZZ_CHECK(status == VERIFY_OK || (reason[0] && memchr(reason, '\0', sizeof reason)));
    return status;
}

static void check_accepted(const struct verify_request *request)
{
    struct verify_request other = *request;
    char reason[VERIFY_REASON_MAX];
    struct cert leaf;

    FUZZ_CHECK(cert_parse(&leaf, request->chain[0], reason) == 0);
    FUZZ_CHECK(leaf.not_before <= request->now);
    FUZZ_CHECK(leaf.not_after >= request->now && !leaf.refused_critical.data);
    FUZZ_CHECK(!request->name ||
               name_verify(&leaf, request->name, request->allow_cn, reason) == VERIFY_OK);
    other.now = leaf.not_after + 1;
    FUZZ_CHECK(check_status(&other) != VERIFY_OK);
    other = *request;
    other.anchors = nobody;
    FUZZ_CHECK(check_status(&other) != VERIFY_OK || fuzz_starved());
}

void fuzz(struct bytes input)
{
    static const char *const names[] = {
        NULL, "enclave.example", "host.wild.example", "10.1.2.3", "2001:db8::1", "localhost", "1.2",
        ""};
    const unsigned how = fuzz_byte(&input), more = fuzz_byte(&input);
    struct bytes chain[CERTS_MAX];
    struct verify_request request = {
        .chain = chain,
        .chain_count = cut(input, chain),
        .anchors = roots,
        .purpose = how & 1 ? VERIFY_CLIENT : VERIFY_SERVER,
        .profile = how & 2 ? VERIFY_STRICT : VERIFY_PRIVATE,
        .allow_cn = how & 4,
        .allow_v1_leaf = how & 8,
        .path_max = how & 16 ? 3 : 0,
        .name = names[more % 8],
        .now = FUZZ_NOW,
    };
    struct anchors *own = NULL;
    struct err err;

    all_signatures_good = how & 64;
    if (how & 128 && request.chain_count > 1) { /* the last one is the anchor */
        own = anchors_new(&chain[--request.chain_count], 1, &err);
        request.anchors = own ? own : nobody;
    }
    if (check_status(&request) == VERIFY_OK && !fuzz_starved())
        check_accepted(&request);
    anchors_free(own);
}
