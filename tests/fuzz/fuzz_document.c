/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secret documents, from their text to a proven identity, and to the report of `inspect`: one or
 * two, then a byte of choices. An identity's own files make the same identity again.
 */
#include "base/json.h"
#include "commands/commands.h"
#include "config/config.h"
#include "fuzz.h"
#include "identity/bundle.h"
#include "identity/expect.h"
#include "identity/identity.h"

static void check_same(const struct identity *identity, const struct identity_policy *policy)
{
    struct bundle bundle = {0};
    struct identity *again;
    struct err err;
    int i;

    for (i = 0; i < BUNDLE_FIELDS; i++)
        if (buf_append(&bundle.field[i], identity->file[i].data, identity->file[i].len) < 0)
            FUZZ_CHECK(fuzz_starved());
    again = identity_new(&bundle, policy, "again", &err);
    FUZZ_CHECK(again || fuzz_starved());
    for (i = 0; again && i < BUNDLE_FIELDS; i++)
        FUZZ_CHECK(fuzz_starved() ||
                   bytes_equal(buf_bytes(&again->file[i]), buf_bytes(&identity->file[i])));
    FUZZ_CHECK(!again || strcmp(again->fingerprint, identity->fingerprint) == 0);
    identity_free(again);
    bundle_free(&bundle);
}

static void check_expected(const struct identity *identity)
{
    static const char *const sans[] = {"web.example", "10.0.0.7", "spiffe://example/web"};
    static const char *const cas[] = {"", "0000"};
    const struct expected all[] = {{.subject = "CN=ECS-Client"},
                                   {.subject = "ECS-Client", .sans = sans, .san_count = 3},
                                   {.sans = sans, .san_count = 1},
                                   {.cas = cas, .ca_count = 2},
                                   {.subject = identity->subject}};
    struct err err;
    size_t i;

    for (i = 0; i < sizeof all / sizeof *all; i++) {
        fuzz_err_open(&err);
        (void)fuzz_result(identity_expect(identity, &all[i], "set", &err), &err);
    }
}

static void check_bundle(const struct bundle *bundle, unsigned how)
{
    const struct identity_policy policy = {.require_chain = how & 1, .now = FUZZ_NOW};
    const bool before = fuzz_starved();
    struct identity *identity;
    struct err err;

    fuzz_err_open(&err);
    identity = identity_new(bundle, &policy, "document", &err);
    if (!identity) {
        fuzz_err_check(&err);
        FUZZ_CHECK(before || !fuzz_out_of_memory() || err.code == ERR_MEMORY_FULL);
        return;
    }
    FUZZ_CHECK(identity->client.chain_count > 0 || identity->server.chain_count > 0);
    FUZZ_CHECK(strlen(identity->fingerprint) == 64);
    check_same(identity, &policy);
    check_expected(identity);
    if (identity->client.chain_count > 0 && identity->anchors)
        (void)identity_add_anchor(identity, identity->client.chain[0], &err);
    identity_free(identity);
}

static void inspect(struct bytes document, unsigned how)
{
    static const char *const sans[] = {"web.example"};
    struct config config = {.operand = fuzz_file(0, document),
                            .dir = "/",
                            .root = "",
                            .json = how & 2,
                            .require_client_chain = how & 1,
                            .expect_subject = how & 4 ? "ECS-Client" : NULL,
                            .expires_within_ms = (int64_t)(how & 8 ? 200 : 0) * 365 * 86400000};

    if (how & 16) {
        config.expect_sans[0] = sans[0];
        config.expect_san_count = 1;
    }
    (void)command_inspect(&config, 0);
}

void fuzz(struct bytes input)
{
    const struct bytes first = fuzz_part(&input), second = fuzz_part(&input);
    const unsigned how = fuzz_byte(&input);
    struct bundle bundle = {0};
    char names[256];
    struct err err;
    int i, result;

    fuzz_err_open(&err);
    result = fuzz_result(bundle_add(&bundle, first, "first", &err), &err);
    if (second.len > 0) {
        fuzz_err_open(&err);
        result &= fuzz_result(bundle_add(&bundle, second, "second", &err), &err);
    }
    for (i = 0; i < BUNDLE_FIELDS; i++) {
        FUZZ_CHECK(result == 0 || bundle.field[i].len == 0);
        bundle_field_names((enum bundle_field)i, names, sizeof names);
    }
    if (result == 0)
        check_bundle(&bundle, how);
    bundle_free(&bundle);
    inspect(first, how);
}
