/* SPDX-License-Identifier: Apache-2.0 */
#include "chains.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/err.h"

const struct verify_request chains_private = {
    .profile = VERIFY_PRIVATE, .name = "enclave.example", .now = SAMPLES_NOW};
const struct verify_request chains_strict = {
    .profile = VERIFY_STRICT, .name = "enclave.example", .now = SAMPLES_NOW};
char chains_reason[VERIFY_REASON_MAX];

struct chains chains_load(const char *names)
{
    struct chains chains = {.count = 0};
    char name[64], path[80];
    int used;

    for (; sscanf(names, "%63s%n", name, &used) == 1; names += used) {
        (void)snprintf(path, sizeof path, "%s%s.pem", strchr(name, '/') ? "" : "chains/", name);
        assert_true(chains.count < CHAINS_MAX);
        chains.der[chains.count] = sample_der(path);
        chains.view[chains.count] = buf_bytes(&chains.der[chains.count]);
        chains.count++;
    }
    return chains;
}

void chains_unload(struct chains *chains)
{
    while (chains->count > 0)
        buf_free(&chains->der[--chains->count]);
}

enum verify_status chains_check(const struct verify_request *how, const char *chain,
                                const char *anchors)
{
    struct chains sent = chains_load(chain), trusted = chains_load(anchors);
    struct verify_request request = *how;
    struct err err = {0};
    struct anchors *set = anchors_new(trusted.view, trusted.count, &err);
    enum verify_status status;

    assert_non_null(set);
    request.chain = sent.view;
    request.chain_count = sent.count;
    request.anchors = set;
    status = verify(&request, chains_reason);
    anchors_free(set);
    chains_unload(&sent);
    chains_unload(&trusted);
    assert_int_equal(status == VERIFY_OK, chains_reason[0] == '\0');
    return status;
}

void chains_assert_reason(const char *part)
{
    if (strstr(chains_reason, part) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", part, chains_reason);
}
