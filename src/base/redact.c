/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/secrecy.h"

/* What is shown of a remote text, and how far one is read for it. */
enum { SHOWN_MAX = 200, READ_MAX = 4096 };

/* Puts a piece whole, or says that there is no room. */
static int put_piece(char *out, size_t size, size_t *len, const char *piece)
{
    size_t piece_len = strlen(piece);

    if (piece_len >= size - *len)
        return -1;
    memcpy(out + *len, piece, piece_len + 1);
    *len += piece_len;
    return 0;
}

void redact(char *out, size_t size, struct bytes remote)
{
    size_t at = 0, len = 0, run;
    char piece[16];

    if (size > SHOWN_MAX + 1)
        size = SHOWN_MAX + 1;
    if (size == 0)
        return;
    out[0] = '\0';
    if (remote.len > READ_MAX)
        remote.len = READ_MAX;
    if (secrecy_holds_key(remote)) {
        (void)snprintf(out, size, "[masked]");
        return;
    }
    for (; at < remote.len && remote.data[at] != '\n' && remote.data[at] != '\r'; at += run) {
        uint8_t c = remote.data[at];

        run = arena_secret_prefix(remote.data + at, remote.len - at);
        if (run > 0)
            (void)snprintf(piece, sizeof piece, "[masked]");
        else if (c < 0x20 || c > 0x7E)
            (void)snprintf(piece, sizeof piece, "\\x%02X", c);
        else
            (void)snprintf(piece, sizeof piece, "%c", c);
        if (run == 0)
            run = 1;
        if (put_piece(out, size, &len, piece) < 0)
            return;
    }
}
