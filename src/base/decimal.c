/* SPDX-License-Identifier: Apache-2.0 */
#include "base/decimal.h"

size_t decimal_read(struct bytes text, int64_t *value)
{
    size_t i;

    *value = 0;
    for (i = 0; i < text.len && text.data[i] >= '0' && text.data[i] <= '9'; i++)
        if (*value < 0 || __builtin_mul_overflow(*value, 10, value) ||
            __builtin_add_overflow(*value, text.data[i] - '0', value))
            *value = -1;
    return i;
}

int64_t decimal_number(const char *text, int64_t most)
{
    const struct bytes all = bytes_of_text(text);
    int64_t value;

    return decimal_read(all, &value) == all.len && all.len > 0 && value <= most ? value : -1;
}
