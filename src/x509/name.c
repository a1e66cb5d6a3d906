/* SPDX-License-Identifier: Apache-2.0 */
#include "x509/name.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <strings.h>

#include "x509/cert.h"
#include "x509/general_name.h"
#include "x509/verify_parts.h"

enum { DNS_MAX = 253, LABEL_MAX = 63, NAMES_SHOWN = 3 };

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* Cuts the first label off *name. */
static struct bytes take_label(struct bytes *name)
{
    const uint8_t *dot = name->len > 0 ? memchr(name->data, '.', name->len) : NULL;
    struct bytes label = bytes_of(name->data, dot ? (size_t)(dot - name->data) : name->len);

    *name = dot ? bytes_of(dot + 1, name->len - label.len - 1) : bytes_of(NULL, 0);
    return label;
}

static bool label_valid(struct bytes label, bool strict)
{
    size_t i;

    if (label.len == 0 || label.len > LABEL_MAX)
        return false;
    if (strict && (label.data[0] == '-' || label.data[label.len - 1] == '-'))
        return false;
    for (i = 0; i < label.len; i++) {
        const uint8_t c = label.data[i], letter = c | 0x20;

        if (!is_digit(c) && (letter < 'a' || letter > 'z') && c != '-' && (strict || c != '_'))
            return false;
    }
    return true;
}

/* As inet_aton(3) reads the last part of an address: decimal, octal or hexadecimal. */
static bool is_number(struct bytes label)
{
    bool hex = label.len >= 2 && label.data[0] == '0' && (label.data[1] | 0x20) == 'x';
    size_t i;

    for (i = hex ? 2 : 0; i < label.len; i++) {
        const uint8_t letter = label.data[i] | 0x20;

        if (!is_digit(label.data[i]) && !(hex && letter >= 'a' && letter <= 'f'))
            return false;
    }
    return true;
}

bool dns_name_valid(struct bytes text, bool strict)
{
    struct bytes rest = text, label = {0};

    if (text.len == 0 || text.len > DNS_MAX || text.data[text.len - 1] == '.')
        return false;
    while (rest.len > 0) {
        label = take_label(&rest);
        if (!label_valid(label, strict))
            return false;
    }
    return !is_number(label);
}

bool host_read(struct host *host, struct bytes text)
{
    char address[INET6_ADDRSTRLEN];

    *host = (struct host){0};
    if (text.len > 0 && text.len < sizeof address && memchr(text.data, '\0', text.len) == NULL) {
        memcpy(address, text.data, text.len);
        address[text.len] = '\0';
        if (inet_pton(AF_INET, address, host->address) == 1)
            host->address_len = 4;
        else if (inet_pton(AF_INET6, address, host->address) == 1)
            host->address_len = 16;
        if (host->address_len > 0)
            return true;
    }
    if (text.len > 1 && text.data[text.len - 1] == '.')
        text.len--;
    host->dns = text;
    return dns_name_valid(text, false);
}

/* RFC 9525 6.3: a wildcard is the whole left-most label, and stands for one label. */
static bool dns_matches(struct bytes presented, struct bytes expected)
{
    if (presented.len > 2 && memcmp(presented.data, "*.", 2) == 0) {
        (void)take_label(&presented);
        (void)take_label(&expected);
    }
    return expected.len > 0 && presented.len == expected.len &&
           strncasecmp((const char *)presented.data, (const char *)expected.data, expected.len) ==
               0;
}

static bool san_matches(struct bytes names, const struct host *host)
{
    struct der name;

    while (der_any(&names, &name)) {
        if (host->dns.data == NULL) {
            if (name.tag == GENERAL_IP &&
                bytes_equal(name.value, bytes_of(host->address, host->address_len)))
                return true;
        } else if (name.tag == GENERAL_DNS && dns_matches(name.value, host->dns)) {
            return true;
        }
    }
    return false;
}

static bool common_name_matches(const char *common_name, const struct host *host)
{
    struct bytes text = bytes_of_text(common_name);
    struct host presented;

    if (host->dns.data != NULL)
        return dns_matches(text, host->dns);
    return host_read(&presented, text) && presented.address_len == host->address_len &&
           memcmp(presented.address, host->address, host->address_len) == 0;
}

/*
 * A dNSName or iPAddress as text; control bytes, which no name has, as "?". An address in a
 * dNSName, where it counts for nothing, is shown as one.
 */
static bool name_text(const struct der *name, char *out, size_t size)
{
    struct host host;
    size_t i, len = 0;

    if (name->tag == GENERAL_IP)
        return inet_ntop(name->value.len == 4 ? AF_INET : AF_INET6, name->value.data, out,
                         (socklen_t)size) != NULL;
    if (name->tag != GENERAL_DNS)
        return false;
    if (host_read(&host, name->value) && host.address_len > 0)
        len = (size_t)snprintf(out, size, "DNS:");
    for (i = 0; i < name->value.len && len < size - 1; i++) {
        uint8_t c = name->value.data[i];

        out[len++] = (char)(c > 0x20 && c < 0x7F ? c : '?');
    }
    out[len] = '\0';
    return true;
}

static enum verify_status refuse_san(struct bytes names, const char *expected,
                                     char reason[VERIFY_REASON_MAX])
{
    char list[NAMES_SHOWN * 44] = "", one[40];
    size_t shown = 0, more = 0, len = 0;
    struct der name;

    while (der_any(&names, &name)) {
        if (shown == NAMES_SHOWN || !name_text(&name, one, sizeof one)) {
            more++;
            continue;
        }
        len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", shown++ ? ", " : "", one);
    }
    if (shown == 0)
        return verify_refuse(reason, VERIFY_NAME_MISMATCH,
                             "its subjectAltName has no DNS name or IP address, let alone %s",
                             expected);
    if (more == 0)
        return verify_refuse(reason, VERIFY_NAME_MISMATCH, "it is for %s, not for %s", list,
                             expected);
    return verify_refuse(reason, VERIFY_NAME_MISMATCH, "it is for %s and %zu more, not for %s",
                         list, more, expected);
}

enum verify_status name_verify(const struct cert *leaf, const char *name, bool allow_cn,
                               char reason[VERIFY_REASON_MAX])
{
    char common_name[DNS_MAX + 1];
    struct host host;

    if (!host_read(&host, bytes_of_text(name)))
        return verify_refuse(reason, VERIFY_NAME_MISMATCH,
                             "%s is neither an IP address nor a DNS name in ASCII", name);
    if (leaf->san.data != NULL)
        return san_matches(leaf->san, &host) ? VERIFY_OK : refuse_san(leaf->san, name, reason);
    if (!cert_common_name(leaf, common_name, sizeof common_name))
        return verify_refuse(reason, VERIFY_NAME_MISMATCH,
                             "it has neither a subjectAltName nor a common name");
    if (!common_name_matches(common_name, &host))
        return verify_refuse(reason, VERIFY_NAME_MISMATCH,
                             "it has no subjectAltName, and its common name is not %s", name);
    if (allow_cn)
        return VERIFY_OK;
    return verify_refuse(reason, VERIFY_COMMON_NAME_ONLY,
                         "only its common name matches, which counts with --allow-cn alone; better "
                         "make it with openssl x509 -req -extfile and subjectAltName=%s:%s",
                         host.dns.data != NULL ? "DNS" : "IP", name);
}
