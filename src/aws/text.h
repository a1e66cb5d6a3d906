/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_TEXT_H
#define AWS_TEXT_H

#include <stdbool.h>

#include "base/bytes.h"

/* One or more bytes, all of printable ASCII without spaces: fit for a URL, a header, a log. */
static inline bool text_is_graphic(struct bytes text)
{
    size_t i;

    for (i = 0; i < text.len; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return false;
    return text.len > 0;
}

#endif
