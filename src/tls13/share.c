/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "tls13/impl.h"

/* BearSSL has TLS's numbers of groups. */
bool share_is_known(const struct tls13 *tls, unsigned group)
{
    return group < 32 && tls->engine->iec->supported_curves >> group & 1;
}

size_t share_make(struct tls13 *tls, unsigned group, uint8_t out[POINT_MAX])
{
    br_ssl_engine_context *engine = tls->engine;
    size_t len = br_ec_keygen(&engine->rng.vtable, engine->iec, NULL, tls->scalar, (int)group);

    tls->group = (uint16_t)group;
    return engine->iec->mulgen(out, tls->scalar, len, (int)group);
}

/* Of X25519, all zeros where the share was of small order (RFC 7748 section 6.1). */
static bool is_zero(const uint8_t *data, size_t len)
{
    uint8_t bits = 0;
    size_t i;

    for (i = 0; i < len; i++)
        bits |= data[i];
    return bits == 0;
}

size_t share_agree(const struct tls13 *tls, struct view share, uint8_t out[POINT_MAX])
{
    const br_ec_impl *ec = tls->engine->iec;
    uint8_t point[POINT_MAX];
    size_t at, len, scalar_len, point_len;

    (void)ec->order(tls->group, &scalar_len);
    (void)ec->generator(tls->group, &point_len);
    if (share.len != point_len)
        return 0;
    memcpy(point, share.data, share.len);
    at = ec->xoff(tls->group, &len);
    if (!ec->mul(point, share.len, tls->scalar, scalar_len, tls->group) ||
        (tls->group == BR_EC_curve25519 && is_zero(point + at, len)))
        len = 0;
    memcpy(out, point + at, len);
    wipe(point, sizeof point);
    return len;
}
