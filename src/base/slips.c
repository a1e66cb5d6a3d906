/* SPDX-License-Identifier: Apache-2.0 */
#include "base/slips.h"

#include <string.h>

#include "base/base64.h"

enum { LOOKED_AT = 64 }; /* bytes of base64 tell enough */

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct bytes skip_space(struct bytes text)
{
    while (text.len > 0 && is_space(*text.data))
        text = bytes_of(text.data + 1, text.len - 1);
    return text;
}

static bool begins(struct bytes text, const char *start)
{
    return text.len >= strlen(start) && memcmp(text.data, start, strlen(start)) == 0;
}

/* A byte order mark, or letters of ASCII with a zero beside each. */
static bool is_utf16(struct bytes text)
{
    return begins(text, "\xFF\xFE") || begins(text, "\xFE\xFF") ||
           (text.len >= 4 && !text.data[0] == !text.data[2] && !text.data[1] == !text.data[3] &&
            !text.data[0] != !text.data[1]);
}

/* A SEQUENCE of more than 127 bytes: DER, also of PKCS#12. */
static bool is_binary(struct bytes text)
{
    return text.len > 2 && text.data[0] == 0x30 && text.data[1] > 0x80 && text.data[1] < 0x85;
}

/* The beginning of a text of base64, decoded. */
static void decode_start(struct bytes text, struct buf *out)
{
    uint8_t letters[LOOKED_AT];
    size_t count = 0, i;

    for (i = 0; i < text.len && count < sizeof letters; i++)
        if (!is_space(text.data[i]))
            letters[count++] = text.data[i];
    (void)base64_decode(out, bytes_of(letters, count / 4 * 4), 0);
    wipe(letters, sizeof letters);
}

static enum err_code find_base64(struct bytes text, const char **what)
{
    struct buf decoded = {.tag = ARENA_KEY};
    enum err_code cause = CAUSE_BASE64;
    struct bytes start;

    if (buf_reserve(&decoded, base64_decoded_max(LOOKED_AT)) < 0) {
        *what = "no memory to read it";
        return ERR_MEMORY_FULL;
    }
    decode_start(text, &decoded);
    start = skip_space(buf_bytes(&decoded));
    if (is_binary(start)) {
        *what = "it is base64 of DER or PKCS#12";
        cause = CAUSE_BINARY;
    } else if (begins(start, "-----BEGIN ")) {
        *what = "it is base64 of PEM";
    } else if (begins(start, "{")) {
        *what = "it is base64 of JSON";
    } else {
        cause = ERR_NONE;
    }
    buf_free(&decoded);
    return cause;
}

enum err_code slips_find(struct bytes text, const char **what)
{
    if (is_binary(text)) {
        *what = "it is DER or PKCS#12, which is no text";
        return CAUSE_BINARY;
    }
    if (is_utf16(text)) {
        *what = "it is UTF-16";
        return CAUSE_UTF16;
    }
    text = skip_space(text);
    if (begins(text, "\"")) {
        *what = "it is a JSON string, in which the object stands";
        return CAUSE_ENCODED_TWICE;
    }
    if (begins(text, "{") && begins(skip_space(bytes_of(text.data + 1, text.len - 1)), "\\")) {
        *what = "its quotation marks are escaped";
        return CAUSE_ENCODED_TWICE;
    }
    return find_base64(text, what);
}
