/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/percent.h"

#include <stdbool.h>

static bool is_unreserved(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

int percent_encode(struct buf *out, struct bytes text, int kept)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t i;

    for (i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        char triplet[3] = {'%', digits[c >> 4], digits[c & 15]};
        int r =
            is_unreserved(c) || c == kept ? buf_append(out, &c, 1) : buf_append(out, triplet, 3);

        if (r < 0)
            return -1;
    }
    return 0;
}
