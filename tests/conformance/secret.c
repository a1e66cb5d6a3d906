/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <sysexits.h>

#include "base/clock.h"
#include "base/err.h"
#include "commands.h"
#include "identity/bundle.h"
#include "identity/identity.h"

int conformance_secret(int argc, char **argv)
{
    struct identity_policy policy = {.now = clock_wall()};
    struct identity *identity = NULL;
    struct bundle bundle = {0};
    struct buf text = {0};
    struct err err = {0};
    int field;

    if (conformance_read(argc, argv, &text) < 0)
        return CONFORMANCE_USAGE;
    if (bundle_add(&bundle, buf_bytes(&text), argv[1], &err) == 0)
        identity = identity_new(&bundle, &policy, argv[1], &err);
    if (!identity)
        fprintf(stderr, "%s: %s: %s\n", err_info(err.code)->name, err.subject, err.reason);
    for (field = 0; identity && field < BUNDLE_FIELDS; field++)
        if (identity->file[field].len > 0)
            puts(bundle_field_file((enum bundle_field)field));
    bundle_free(&bundle);
    buf_free(&text);
    if (!identity)
        return EX_DATAERR;
    identity_free(identity);
    return 0;
}
