/* SPDX-License-Identifier: Apache-2.0 */
#include "tls13/impl.h"

struct view view_take(struct view *view, size_t len)
{
    struct view taken = {view->data, len, false};

    if (view->bad || len > view->len) {
        view->bad = true;
        view->len = 0;
        return (struct view){view->data, 0, true};
    }
    view->data += len;
    view->len -= len;
    return taken;
}

uint32_t view_number(struct view *view, size_t bytes)
{
    struct view taken = view_take(view, bytes);
    uint32_t number = 0;
    size_t i;

    for (i = 0; i < taken.len; i++)
        number = number << 8 | taken.data[i];
    return number;
}

struct view view_vector(struct view *view, size_t bytes)
{
    return view_take(view, view_number(view, bytes));
}
