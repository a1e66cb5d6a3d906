/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IDENTITY_BUNDLE_H
#define IDENTITY_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct err;

/*
 * What a set consists of, as text: the values of one or more secret documents, put together by
 * field.
 */
enum bundle_field {
    BUNDLE_CLIENT_CERT,
    BUNDLE_CLIENT_KEY,
    BUNDLE_CA_CERT,
    BUNDLE_SERVER_CERT,
    BUNDLE_SERVER_KEY,
    BUNDLE_FIELDS
};

struct bundle {
    struct buf field[BUNDLE_FIELDS]; /* PEM text; len 0: absent */
    char source[BUNDLE_FIELDS][128]; /* the secret that a field came from */
    char strange[128], issuers[40];  /* names of unknown members, and one of a member that holds the
                                        client's issuers; "": none */
    unsigned usage; /* CERT_EKU_*, of a bare bundle's leaf; 0: it has no extendedKeyUsage */
};

/*
 * Adds the fields of one secret document (the secret's own text, at most 64 KiB: a JSON object
 * under any of its key names, whatever their case, "_" and "-"; or a bare PEM bundle). secret names
 * it in errors. Refused: two names of one field, a repeated field, a field that another secret
 * gave, a value that is no string, NUL. null and "" are no value; unknown fields are noted. Nothing
 * is added on failure: ERR_DOCUMENT_INVALID, ERR_DOCUMENT_TOO_LARGE, ERR_FIELD_REPEATED,
 * ERR_FIELD_MISSING (it has none), ERR_MEMORY_FULL; of a bare bundle, which is a client's and whose
 * key tells the leaf from a CA, ERR_PEM_INVALID, ERR_CERTIFICATE_INVALID and key_read()'s too.
 */
int bundle_add(struct bundle *bundle, struct bytes document, const char *secret, struct err *err);

/*
 * Whether a document counts as a JSON object: "{" comes first, after at most a byte order mark and
 * white space. Otherwise it counts as PEM: its first block begins a line, and there may be text
 * around blocks, but nothing that looks like members of an object.
 */
bool bundle_is_object(struct bytes document);

/* Wipes and frees all. */
void bundle_free(struct bundle *bundle);

/* "client_cert", and the file that it is installed as, "client.crt". */
const char *bundle_field_name(enum bundle_field field);
const char *bundle_field_file(enum bundle_field field);

/* The names that a document may give a field, as text: "client_key, key, private_key". */
void bundle_field_names(enum bundle_field field, char *out, size_t size);

/* Inside bundle: the name in our table that text is, and its field; NULL for any other text. */
const char *bundle_find_name(struct bytes text, enum bundle_field *field);

/* Inside bundle: notes a member that is no field's, where it looks like a name, for hints. */
void bundle_note_strange(struct bundle *bundle, struct bytes name);

#endif
