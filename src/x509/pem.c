/* SPDX-License-Identifier: Apache-2.0 */
#include "x509/pem.h"

#include "base/arena.h"
#include "base/base64.h"
#include "base/err.h"
#include "base/slips.h"

static const char BEGIN[] = "-----BEGIN ", END[] = "-----END ", DASHES[] = "-----";

enum { LINE_LENGTH = 64 };

static struct bytes skip(struct bytes text, size_t len)
{
    return bytes_of(text.data + len, text.len - len);
}

static bool starts_with(struct bytes text, const char *start)
{
    return text.len >= strlen(start) && memcmp(text.data, start, strlen(start)) == 0;
}

/* Where part begins in text; text.len: nowhere. */
static size_t find_text(struct bytes text, const char *part)
{
    const uint8_t *at = text.len > 0 ? memmem(text.data, text.len, part, strlen(part)) : NULL;

    return at ? (size_t)(at - text.data) : text.len;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct bytes trim(struct bytes text)
{
    while (text.len > 0 && is_space(text.data[0]))
        text = skip(text, 1);
    while (text.len > 0 && is_space(text.data[text.len - 1]))
        text.len--;
    return text;
}

/* The length of the white space that text begins with, and whether an empty line stands in it. */
static size_t space_length(struct bytes text, bool *empty_line)
{
    size_t n, feeds = 0, returns = 0;

    for (n = 0; n < text.len && is_space(text.data[n]); n++) {
        feeds += text.data[n] == '\n';
        returns += text.data[n] == '\r';
    }
    *empty_line = feeds > 1 || (feeds == 0 && returns > 1);
    return n;
}

/* The length of text up to its first empty line; text.len where it has none. */
static size_t paragraph_length(struct bytes text)
{
    bool empty_line;
    size_t n = 0, space;

    while (n < text.len) {
        space = space_length(skip(text, n), &empty_line);
        if (empty_line)
            return n;
        n += space > 0 ? space : 1;
    }
    return n;
}

/* Reads "LABEL-----" off rest. */
static int read_label(struct bytes *rest, char label[PEM_LABEL_MAX])
{
    size_t len = find_text(*rest, DASHES), i;

    if (len == rest->len || len >= PEM_LABEL_MAX)
        return -1;
    for (i = 0; i < len; i++)
        if (rest->data[i] < ' ' || rest->data[i] > '~')
            return -1;
    memcpy(label, rest->data, len);
    label[len] = '\0';
    *rest = skip(*rest, len + strlen(DASHES));
    return 0;
}

/* Headers (RFC 1421 section 4.4) have colons, which base64 has not; an empty line ends them. */
static enum pem_found decode_body(struct bytes body, struct pem_block *block, struct buf *der)
{
    size_t len = paragraph_length(body = trim(body)), before = der->len;
    struct bytes headers = bytes_of(body.data, len);

    if (find_text(headers, ":") < headers.len) {
        block->encrypted = find_text(headers, "ENCRYPTED") < headers.len;
        body = trim(skip(body, len));
        len = paragraph_length(body);
    }
    if (len == 0 || len < body.len)
        return PEM_DAMAGED;
    if (buf_reserve(der, base64_decoded_max(body.len)) < 0)
        return PEM_NO_ROOM;
    if (base64_decode(der, body, 1) == 0)
        return PEM_BLOCK;
    der->len = before;
    return PEM_DAMAGED;
}

enum pem_found pem_next(struct pem_reader *reader, struct pem_block *block, struct buf *der)
{
    struct bytes text = reader->rest, rest, body;
    size_t begin = find_text(text, BEGIN), end;
    char label[PEM_LABEL_MAX];
    enum pem_found found;

    *block = (struct pem_block){0};
    reader->rest = skip(text, text.len);
    if (find_text(text, END) < begin)
        return PEM_DAMAGED;
    if (begin == text.len)
        return PEM_END;
    text = skip(text, begin);
    rest = skip(text, strlen(BEGIN));
    if (read_label(&rest, block->label) < 0)
        return PEM_DAMAGED;
    end = find_text(rest, DASHES);
    body = bytes_of(rest.data, end);
    rest = skip(rest, end);
    if (!starts_with(rest, END))
        return PEM_DAMAGED;
    rest = skip(rest, strlen(END));
    if (read_label(&rest, label) < 0 || strcmp(label, block->label) != 0)
        return PEM_DAMAGED;
    block->text = bytes_of(text.data, (size_t)(rest.data - text.data));
    found = decode_body(body, block, der);
    if (found == PEM_BLOCK)
        reader->rest = rest;
    return found;
}

int pem_fail(enum pem_found found, const struct pem_block *block, const char *subject,
             struct err *err)
{
    if (found == PEM_NO_ROOM)
        return err_set(err, ERR_MEMORY_FULL, subject, "no memory for a PEM block %s",
                       pem_label_name(block));
    return err_set(err, ERR_PEM_INVALID, subject, "the PEM block %s is damaged",
                   pem_label_name(block));
}

int pem_lacks(const char *wanted, const struct pem_block *other, struct bytes text,
              const char *subject, struct err *err)
{
    enum err_code cause = CAUSE_WRONG_FIELD;
    const char *slip;

    if (!other->label[0] && (cause = slips_find(text, &slip)) != ERR_NONE)
        return err_set(err, cause, subject, "%s", slip);
    if (!other->label[0])
        return err_set(err, ERR_PEM_INVALID, subject, "it holds no PEM block %s", wanted);
    if (strstr(other->label, "CERTIFICATE REQUEST"))
        cause = CAUSE_CERTIFICATE_REQUEST;
    if (strcmp(other->label, "PKCS7") == 0 || strcmp(other->label, "CMS") == 0)
        cause = CAUSE_PKCS7;
    return err_set(err, cause, subject, "it holds no PEM block %s, but %s", wanted,
                   pem_label_name(other));
}

bool pem_is_certificate(const struct pem_block *block)
{
    return strcmp(block->label, "CERTIFICATE") == 0 ||
           strcmp(block->label, "X509 CERTIFICATE") == 0 ||
           strcmp(block->label, "TRUSTED CERTIFICATE") == 0;
}

bool pem_is_private_key(const struct pem_block *block)
{
    static const char end[] = "PRIVATE KEY";
    size_t len = strlen(block->label);

    return len >= sizeof end - 1 && strcmp(block->label + len - (sizeof end - 1), end) == 0;
}

const char *pem_label_name(const struct pem_block *block)
{
    static const char *const known[] = {
        "",
        "CERTIFICATE",
        "TRUSTED CERTIFICATE",
        "X509 CERTIFICATE",
        "CERTIFICATE REQUEST",
        "X509 CRL",
        "PKCS7",
        "PUBLIC KEY",
        "PRIVATE KEY",
        "EC PRIVATE KEY",
        "RSA PRIVATE KEY",
        "DSA PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
        "EC PARAMETERS",
        "DH PARAMETERS",
    };
    size_t i;

    for (i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(block->label, known[i]) == 0)
            return known[i];
    return "unknown";
}

enum pem_found pem_certificates(struct pem_list *list, struct bytes pem, struct buf *der)
{
    struct pem_reader reader = {pem};
    size_t len = der->len, i;
    enum pem_found found;

    list->count = 0;
    list->private_key = false;
    while ((found = pem_next(&reader, &list->bad, der)) == PEM_BLOCK) {
        const bool wanted = pem_is_certificate(&list->bad);

        list->private_key = list->private_key || pem_is_private_key(&list->bad);
        if (wanted && list->count == list->max)
            break;
        if (wanted) {
            list->cert[list->count++].len = der->len - len;
            len = der->len;
        } else {
            list->other = list->bad;
            wipe(der->data + len, der->len - len);
            der->len = len;
        }
    }
    for (i = list->count; i-- > 0;) {
        len -= list->cert[i].len;
        list->cert[i].data = der->data + len;
    }
    return found;
}

/* "-----BEGIN LABEL-----" and LF. */
static int append_line(struct buf *out, const char *kind, const char *label)
{
    if (buf_append_text(out, kind) < 0 || buf_append_text(out, label) < 0 ||
        buf_append_text(out, DASHES) < 0)
        return -1;
    return buf_append(out, "\n", 1);
}

int pem_append(struct buf *out, const char *label, struct bytes der)
{
    if (append_line(out, BEGIN, label) < 0 || base64_encode(out, der, LINE_LENGTH) < 0)
        return -1;
    return append_line(out, END, label);
}
