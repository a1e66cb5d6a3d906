/* SPDX-License-Identifier: Apache-2.0 */
#ifndef X509_DN_H
#define X509_DN_H

#include "x509/der.h"

/*
 * Distinguished names (RFC 5280 4.1.2.4). A name is the whole Name element, already found valid;
 * only dn_valid() takes the content of one. Valid is DER, but that a SET may be in any order, and
 * has at most 4 attributes: comparing takes the square of that.
 */
bool dn_valid(struct bytes content);
bool dn_is_empty(struct bytes name);

/*
 * Names as RFC 5280 7.1 compares them, for ASCII: letters without case, white space folded,
 * whatever the string type and the order in an RDN. Of what lies beyond ASCII the same characters
 * are the same, and what differs may be another spelling: that is not known.
 */
enum dn_relation { DN_SAME, DN_UNKNOWN, DN_OTHER };
bool dn_equal(struct bytes a, struct bytes b);

/* Whether base's RDNs are the first ones of name (RFC 5280 4.2.1.10). */
enum dn_relation dn_within(struct bytes name, struct bytes base);

/* An attribute of a name. */
struct dn_attribute {
    struct bytes type; /* content of the OID */
    struct der value;
};

/* Walks a name's attributes: rdns and rest are set by dn_walk(), advanced by dn_next(). */
struct dn_walk {
    struct bytes rdns, rest;
};
struct dn_walk dn_walk(struct bytes name);
bool dn_next(struct dn_walk *walk, struct dn_attribute *attribute);

/*
 * Whether a value is text of one byte a character: UTF8String, PrintableString, IA5String,
 * T61String.
 */
bool dn_is_text(const struct der *value);

/* Whether a value holds only what its string type may; false also for types that are hardly read:
 * UniversalString, VisibleString and others. */
bool dn_is_well_formed(const struct der *value);

extern const struct bytes dn_common_name, dn_email_address;

#endif
