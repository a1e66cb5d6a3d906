/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "identity/bundle.h"

enum { NAMES_MAX = 6, SHOWN_MAX = 32 };

/* names: ours, the words people use, SPIRE's (its aws_secretsmanager store), Kubernetes'. */
static const struct {
    const char *file;
    const char *names[NAMES_MAX + 1];
} fields[BUNDLE_FIELDS] = {
    [BUNDLE_CLIENT_CERT] = {"client.crt",
                            {"client_cert", "client_certificate", "cert", "certificate", "x509Svid",
                             "tls.crt"}},
    [BUNDLE_CLIENT_KEY] = {"client.key",
                           {"client_key", "client_private_key", "key", "private_key", "x509SvidKey",
                            "tls.key"}},
    [BUNDLE_CA_CERT] = {"ca.crt", {"ca_cert", "ca_certificate", "ca", "bundle", "ca.crt"}},
    [BUNDLE_SERVER_CERT] = {"server.crt", {"server_cert", "server_certificate"}},
    [BUNDLE_SERVER_KEY] = {"server.key", {"server_key", "server_private_key"}},
};

/* What ACM, Vault and others call who issued the client's certificate. The enclave need not be of
 * that CA, so that it is never trusted for its name. */
static const char *const issuers[] = {
    "certificate_chain", "cert_chain", "chain",        "ca_chain",
    "issuing_ca",        "issuer",     "intermediate", "intermediates",
};

const char *bundle_field_name(enum bundle_field field)
{
    return fields[field].names[0];
}

const char *bundle_field_file(enum bundle_field field)
{
    return fields[field].file;
}

void bundle_field_names(enum bundle_field field, char *out, size_t size)
{
    size_t len = 0;
    int i;

    for (i = 0; fields[field].names[i] && len < size; i++)
        len +=
            (size_t)snprintf(out + len, size - len, "%s%s", i ? ", " : "", fields[field].names[i]);
}

/* The next letter of a name as it counts: 0 at the end. */
static int next_letter(struct bytes *name)
{
    int c = 0;

    while (name->len > 0 &&
           (c = *name->data, *name = bytes_of(name->data + 1, name->len - 1), c == '_' || c == '-'))
        c = 0;
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

/* "client_cert" is also "CLIENT_CERT", "clientCert", "client-cert". */
static bool is_name(struct bytes text, const char *name)
{
    struct bytes other = bytes_of_text(name);
    int c;

    do {
        c = next_letter(&text);
        if (c != next_letter(&other))
            return false;
    } while (c);
    return true;
}

const char *bundle_find_name(struct bytes text, enum bundle_field *field)
{
    int i, k;

    for (i = 0; i < BUNDLE_FIELDS; i++)
        for (k = 0; fields[i].names[k]; k++)
            if (is_name(text, fields[i].names[k])) {
                *field = (enum bundle_field)i;
                return fields[i].names[k];
            }
    return NULL;
}

static void note(char *list, size_t size, struct bytes name)
{
    const size_t len = strlen(list);

    (void)snprintf(list + len, size - len, "%s%.*s", len ? ", " : "", (int)name.len,
                   (const char *)name.data);
}

void bundle_note_strange(struct bundle *bundle, struct bytes name)
{
    size_t i;

    for (i = 0; i < name.len; i++)
        if (name.data[i] != '.' && name.data[i] != '_' && name.data[i] != '-' &&
            !((name.data[i] | 0x20) >= 'a' && (name.data[i] | 0x20) <= 'z') &&
            !(name.data[i] >= '0' && name.data[i] <= '9'))
            return;
    if (name.len == 0 || name.len > SHOWN_MAX)
        return;
    if (strlen(bundle->strange) + name.len + 3 <= sizeof bundle->strange)
        note(bundle->strange, sizeof bundle->strange, name);
    for (i = 0; i < sizeof issuers / sizeof *issuers && !bundle->issuers[0]; i++)
        if (is_name(name, issuers[i]))
            note(bundle->issuers, sizeof bundle->issuers, name);
}
