/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/form.h"

#include <errno.h>

#include "attest/document.h"
#include "base/base64.h"
#include "base/err.h"
#include "base/json.h"

/* How a document itself begins: an array of four, one without a length, or tag 18. */
enum { FOUR = 0x84, OPEN = 0x9F, TAGGED = 0xD2 };

static struct bytes trim(struct bytes text)
{
    while (text.len > 0 && text.data[0] <= ' ')
        text = bytes_of(text.data + 1, text.len - 1);
    while (text.len > 0 && text.data[text.len - 1] <= ' ')
        text.len--;
    return text;
}

static int digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 'a' ^ 'A';
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* A text of base64 is none of hexadecimal: that of an array or of the tag begins with other
 * letters.
 */
static bool is_hex(struct bytes text)
{
    size_t i;

    for (i = 0; i < text.len; i++)
        if (digit(text.data[i]) < 0)
            return false;
    return text.len % 2 == 0 && text.len > 0;
}

static int read_hex(struct buf *out, struct bytes text)
{
    size_t i;

    for (i = 0; i < text.len; i += 2) {
        const uint8_t byte = (uint8_t)(digit(text.data[i]) << 4 | digit(text.data[i + 1]));

        if (buf_append(out, &byte, 1) < 0)
            return -1;
    }
    return 0;
}

static int read_text(struct buf *out, struct bytes text)
{
    text = trim(text);
    return is_hex(text) ? read_hex(out, text) : base64_decode(out, text, 1);
}

/* The one member of that name, or of the first known one that is there. */
static json_value find_document(const struct json *json, const char *field)
{
    static const char *const names[] = {"attestation", "attestation_doc", "attestation_document",
                                        "document"};
    json_value value = JSON_ABSENT;
    size_t i;

    if (field)
        return json_member(json, 0, field);
    for (i = 0; i < sizeof names / sizeof *names && value == JSON_ABSENT; i++)
        value = json_member(json, 0, names[i]);
    return value;
}

static int read_json(struct buf *out, struct bytes text, const char *field)
{
    char reason[JSON_REASON_MAX];
    struct buf value = {.public = true};
    struct json *json = json_parse_public(text, reason);
    int result = -1;

    if (json && json_type(json, 0) == JSON_OBJECT &&
        json_string(json, find_document(json, field), &value) == 0)
        result = read_text(out, buf_bytes(&value));
    json_free(json);
    buf_free(&value);
    return result;
}

int attest_form_read(struct buf *out, struct bytes text, const char *field, struct err *err)
{
    const uint8_t first = text.len > 0 ? text.data[0] : 0;
    const struct bytes inner = trim(text);
    int result;

    errno = 0;
    if (first == FOUR || first == OPEN || first == TAGGED)
        result = buf_append(out, text.data, text.len);
    else if (inner.len > 0 && inner.data[0] == '{')
        result = read_json(out, inner, field);
    else
        result = read_text(out, inner);
    if (result == 0 && out->len > 0)
        return 0;
    if (errno == ENOMEM)
        return err_set(err, ERR_MEMORY_FULL, NULL, "no room for an attestation");
    return err_set(err, ERR_ATTEST_MALFORMED, NULL,
                   "it is neither CBOR, hexadecimal, base64, nor JSON with one of these in a "
                   "member that is known");
}
