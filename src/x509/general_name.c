/* SPDX-License-Identifier: Apache-2.0 */
#include "x509/general_name.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "x509/cert.h"

enum { NAME_SHOWN = 256, COUNT_ROOM = sizeof ", and 123456 more" };

static const char *kind_of(unsigned tag)
{
    switch (tag) {
    case GENERAL_EMAIL: return "email";
    case GENERAL_DNS: return "DNS";
    case GENERAL_DIRECTORY: return "directory";
    case GENERAL_URI: return "URI";
    case GENERAL_IP: return "IP";
    default: return "other";
    }
}

/* Bytes that no such name has become "?". */
static void copy_visible(struct bytes text, char *out, size_t size)
{
    size_t i;

    for (i = 0; i < text.len && i < size - 1; i++)
        out[i] = (char)(text.data[i] > 0x20 && text.data[i] < 0x7F ? text.data[i] : '?');
    out[i] = '\0';
}

void general_name_text(const struct der *name, char *out, size_t size)
{
    char value[NAME_SHOWN] = "";

    switch (name->tag) {
    case GENERAL_IP:
        (void)inet_ntop(name->value.len == 4 ? AF_INET : AF_INET6, name->value.data, value,
                        sizeof value);
        break;
    case GENERAL_DIRECTORY: cert_subject_text(name->value, value, sizeof value); break;
    case GENERAL_EMAIL:
    case GENERAL_DNS:
    case GENERAL_URI: copy_visible(name->value, value, sizeof value); break;
    default: break;
    }
    (void)snprintf(out, size, "%s%s%s", kind_of(name->tag), value[0] ? ":" : "", value);
}

void general_names_text(struct bytes san, char *out, size_t size)
{
    char one[NAME_SHOWN + 16];
    size_t len = 0, more = 0;
    struct der name;

    out[0] = '\0';
    while (der_any(&san, &name)) {
        general_name_text(&name, one, sizeof one);
        if (more > 0 || len + strlen(one) + COUNT_ROOM + 2 > size)
            more++;
        else
            len += (size_t)snprintf(out + len, size - len, "%s%s", len ? ", " : "", one);
    }
    if (more > 0)
        (void)snprintf(out + len, size - len, "%s%zu more", len ? ", and " : "", more);
}
