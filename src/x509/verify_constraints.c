/* SPDX-License-Identifier: Apache-2.0 */
#include <strings.h>

#include "x509/dn.h"
#include "x509/general_name.h"
#include "x509/name.h"
#include "x509/verify_parts.h"

/* One nameConstraints extension at work. */
struct constraints {
    struct bytes permitted, excluded; /* GeneralSubtrees' content; data NULL: absent */
    const struct cert *issuer;
    bool strict;
    size_t *budget;
    char *reason;
};

/* Address and mask, the mask's ones first (RFC 4632). */
static bool network_valid(struct bytes network)
{
    size_t i;
    bool ended = false;

    if (network.len != 8 && network.len != 32)
        return false;
    for (i = network.len * 4; i < network.len * 8; i++) {
        bool one = network.data[i / 8] & (0x80u >> i % 8);

        if (one && ended)
            return false;
        ended = !one;
    }
    return true;
}

/*
 * RFC 5280 has no leading dot in a DNS constraint; OpenSSL and Go take one for "subdomains only".
 */
static bool domain_valid(struct bytes domain, bool strict)
{
    if (!strict && domain.len > 1 && domain.data[0] == '.')
        domain = bytes_of(domain.data + 1, domain.len - 1);
    return domain.len == 0 || dns_name_valid(domain, strict);
}

static bool base_valid(const struct der *base, bool strict)
{
    struct bytes in = base->value, directory;

    switch (base->tag) {
    case GENERAL_DNS: return domain_valid(base->value, strict);
    case GENERAL_IP: return network_valid(base->value);
    case GENERAL_DIRECTORY:
        return der_take(&in, DER_SEQUENCE, &directory) && in.len == 0 && dn_valid(directory);
    default: return true;
    }
}

static bool ends_with(struct bytes name, struct bytes end)
{
    return name.len >= end.len && strncasecmp((const char *)name.data + name.len - end.len,
                                              (const char *)end.data, end.len) == 0;
}

static bool domain_matches(struct bytes domain, struct bytes name)
{
    if (domain.len == 0)
        return true;
    if (!ends_with(name, domain))
        return false;
    return domain.data[0] == '.'
               ? name.len > domain.len
               : name.len == domain.len || name.data[name.len - domain.len - 1] == '.';
}

/*
 * Whether the wildcard name stands for domain, among others: "*.example.com" for
 * "host.example.com".
 */
static bool wildcard_covers(struct bytes name, struct bytes domain)
{
    const uint8_t *dot = domain.len > 0 ? memchr(domain.data, '.', domain.len) : NULL;
    size_t label = dot != NULL ? (size_t)(dot - domain.data) : 0;

    return label > 0 && name.len > 2 && name.data[0] == '*' && name.len - 1 == domain.len - label &&
           ends_with(name, bytes_of(dot, domain.len - label));
}

static bool network_matches(struct bytes network, struct bytes address)
{
    size_t i;

    if (network.len != 2 * address.len)
        return false;
    for (i = 0; i < address.len; i++)
        if ((network.data[i] ^ address.data[i]) & network.data[address.len + i])
            return false;
    return true;
}

/* Both of the same form. A form that is not processed matches nothing; see check_name(). */
static bool base_matches(const struct der *base, const struct der *name, bool excluding)
{
    switch (base->tag) {
    case GENERAL_DNS:
        return domain_matches(base->value, name->value) ||
               (excluding && wildcard_covers(name->value, base->value));
    case GENERAL_IP: return network_matches(base->value, name->value);
    case GENERAL_DIRECTORY:
        return dn_within(name->value, base->value) <= (excluding ? DN_UNKNOWN : DN_SAME);
    default: return false;
    }
}

static enum verify_status refuse(const struct constraints *constraints, const char *what)
{
    char title[VERIFY_TITLE_MAX];

    verify_title(constraints->issuer, title);
    return verify_refuse(constraints->reason, VERIFY_CONSTRAINTS, "the name constraints of %s %s",
                         title, what);
}

enum found { FOUND_FORM = 1, FOUND_MATCH = 2 };

/* Looks name up among subtrees: *found tells whether its form, and whether itself, stands there. */
static enum verify_status look_up(const struct constraints *constraints, struct bytes subtrees,
                                  const struct der *name, bool excluding, unsigned *found)
{
    struct bytes subtree;
    struct der base;

    *found = 0;
    while (subtrees.len > 0) {
        if (*constraints->budget == 0)
            return verify_refuse(constraints->reason, VERIFY_LIMIT, "too many name constraints");
        --*constraints->budget;
        /* GeneralSubtree's minimum is 0, which is not written out; its maximum is not used. */
        if (!der_take(&subtrees, DER_SEQUENCE, &subtree) || !der_any(&subtree, &base) ||
            subtree.len != 0 || !base_valid(&base, constraints->strict))
            return refuse(constraints, "are malformed");
        if (base.tag == name->tag)
            *found |= base_matches(&base, name, excluding) ? FOUND_FORM | FOUND_MATCH : FOUND_FORM;
    }
    return VERIFY_OK;
}

static enum verify_status check_name(const struct constraints *constraints, const struct der *name)
{
    unsigned permitted, excluded;
    enum verify_status status;

    if ((status = look_up(constraints, constraints->permitted, name, false, &permitted)) ||
        (status = look_up(constraints, constraints->excluded, name, true, &excluded)))
        return status;
    if (((permitted | excluded) & FOUND_FORM) && name->tag != GENERAL_DNS &&
        name->tag != GENERAL_IP && name->tag != GENERAL_DIRECTORY)
        return refuse(constraints, "are of a form that is not supported");
    if (excluded & FOUND_MATCH)
        return refuse(constraints,
                      "exclude a name of the certificates below it, or one that may be the same");
    if (permitted == FOUND_FORM)
        return refuse(constraints, "do not permit a name of the certificates below it");
    return VERIFY_OK;
}

static enum verify_status check_subject(const struct constraints *constraints,
                                        const struct cert *cert)
{
    struct dn_walk walk = dn_walk(cert->subject);
    struct der name = {.tag = GENERAL_DIRECTORY, .value = cert->subject};
    struct dn_attribute attribute;
    enum verify_status status;

    if (!dn_is_empty(cert->subject) && (status = check_name(constraints, &name)))
        return status;
    while (dn_next(&walk, &attribute)) {
        name = (struct der){.tag = GENERAL_EMAIL, .value = attribute.value.value};
        if (bytes_equal(attribute.type, dn_email_address) &&
            (status = check_name(constraints, &name)))
            return status;
    }
    return VERIFY_OK;
}

/* The common name, where it stands in for a subjectAltName. */
static enum verify_status check_common_name(const struct constraints *constraints,
                                            const struct cert *cert)
{
    char common_name[VERIFY_REASON_MAX];
    struct host host;
    struct der name;

    if (!cert_common_name(cert, common_name, sizeof common_name))
        return VERIFY_OK;
    if (host_read(&host, bytes_of_text(common_name)) && host.dns.data == NULL)
        name = (struct der){.tag = GENERAL_IP, .value = bytes_of(host.address, host.address_len)};
    else
        name = (struct der){.tag = GENERAL_DNS, .value = bytes_of_text(common_name)};
    return check_name(constraints, &name);
}

static enum verify_status check_names(const struct constraints *constraints,
                                      const struct cert *cert, bool use_common_name)
{
    struct bytes names = cert->san;
    enum verify_status status;
    struct der name;

    if ((status = check_subject(constraints, cert)))
        return status;
    if (names.data == NULL && use_common_name)
        return check_common_name(constraints, cert);
    while (der_any(&names, &name))
        if ((status = check_name(constraints, &name)))
            return status;
    return VERIFY_OK;
}

/* Subtrees that are there hold at least one. */
static bool is_empty(struct bytes subtrees)
{
    return subtrees.data != NULL && subtrees.len == 0;
}

enum verify_status verify_constraints(const struct verify_request *request,
                                      const struct verify_path *path, const struct cert *issuer,
                                      size_t *budget, char reason[VERIFY_REASON_MAX])
{
    struct constraints constraints = {.issuer = issuer,
                                      .strict = request->profile == VERIFY_STRICT,
                                      .budget = budget,
                                      .reason = reason};
    struct bytes in = issuer->name_constraints;
    enum verify_status status;
    size_t i;

    if (in.data == NULL)
        return VERIFY_OK;
    if (in.len == 0 ||
        !der_take_optional(&in, DER_CONTEXT_CONSTRUCTED | 0, &constraints.permitted) ||
        !der_take_optional(&in, DER_CONTEXT_CONSTRUCTED | 1, &constraints.excluded) ||
        in.len != 0 || is_empty(constraints.permitted) || is_empty(constraints.excluded))
        return refuse(&constraints, "are malformed");
    for (i = 0; i < path->count; i++) {
        if (i > 0 && verify_self_issued(path->cert[i]))
            continue;
        if ((status = check_names(&constraints, path->cert[i], i == 0 && request->allow_cn)))
            return status;
    }
    return VERIFY_OK;
}
