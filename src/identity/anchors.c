/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/err.h"
#include "x509/cert.h"
#include "x509/verify.h"

struct anchors {
    size_t count;
    uint8_t *der; /* of all, one behind the other */
    struct cert cert[];
};

/* Copies one certificate behind the others, where its views stay good. */
static int add_anchor(struct anchors *anchors, struct bytes der, size_t *used, struct err *err)
{
    struct cert *cert = &anchors->cert[anchors->count];
    char reason[CERT_REASON_MAX];

    memcpy(anchors->der + *used, der.data, der.len);
    if (cert_parse(cert, bytes_of(anchors->der + *used, der.len), reason) < 0)
        return err_set(err, ERR_CERTIFICATE_INVALID, NULL, "trust anchor %zu cannot be read: %s",
                       anchors->count + 1, reason);
    *used += der.len;
    anchors->count++;
    return 0;
}

struct anchors *anchors_new(const struct bytes *der, size_t count, struct err *err)
{
    struct anchors *anchors = calloc(1, sizeof *anchors + count * sizeof anchors->cert[0]);
    size_t total = 0, used = 0, i;

    for (i = 0; i < count; i++)
        total += der[i].len;
    if (anchors != NULL)
        anchors->der = malloc(total + 1);
    if (anchors == NULL || anchors->der == NULL) {
        (void)err_set(err, ERR_MEMORY_FULL, NULL, "no memory for %zu trust anchors", count);
        goto fail;
    }
    for (i = 0; i < count; i++)
        if (add_anchor(anchors, der[i], &used, err) < 0)
            goto fail;
    return anchors;
fail:
    anchors_free(anchors);
    return NULL;
}

void anchors_free(struct anchors *anchors)
{
    if (anchors == NULL)
        return;
    free(anchors->der);
    free(anchors);
}

size_t anchors_count(const struct anchors *anchors)
{
    return anchors != NULL ? anchors->count : 0;
}

const struct cert *anchors_at(const struct anchors *anchors, size_t i)
{
    return &anchors->cert[i];
}
