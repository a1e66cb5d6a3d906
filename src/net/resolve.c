/* SPDX-License-Identifier: Apache-2.0 */
#include "net/resolve.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/lookup.h"

enum {
    PATIENCE_MS = 3000, /* how long a silent server's word may outweigh a later one's denial */
    LOOKUP_MS = 30000   /* most time for all of it */
};

/* Whether some server said, to some question, what lies from one to the other. */
static bool has_said(const struct resolved *resolved, int from, int to)
{
    size_t i, j;

    for (i = 0; i < resolved->server_count; i++)
        for (j = 0; j < LOOKUP_FAMILIES; j++)
            if ((int)resolved->servers[i].said[j] >= from &&
                (int)resolved->servers[i].said[j] <= to)
                return true;
    return false;
}

/* Whether a failed name got anything but denials, which tells more than they do. */
static bool is_unclear(const struct resolved *resolved)
{
    return has_said(resolved, DNS_SILENT, DNS_UNREACHABLE) ||
           has_said(resolved, DNS_REFERRED, DNS_NO_NAME - 1) ||
           has_said(resolved, DNS_NO_NAME + 1, DNS_RCODE_LAST);
}

/* The names that a name may stand for, in their order. */
struct search {
    struct lookup lookup;
    int family;
    bool asked; /* the last name was one that can be asked */
    int64_t until;
    struct resolved kept; /* of the name whose answers are told if all fail */
};

/* Tries one of them: whether it has an address. own: it is the name itself. */
static bool try_name(struct search *search, const char *name, bool own, int64_t ms)
{
    struct resolved *resolved = search->lookup.resolved;
    const int64_t left = clock_left(search->until);

    search->asked = lookup_ask(&search->lookup, name, search->family, ms < left ? ms : left);
    if (!search->asked)
        return false;
    if (resolved->found.count > 0)
        return true;
    if (!is_unclear(&search->kept) &&
        (own || search->kept.server_count == 0 || is_unclear(resolved)))
        search->kept = *resolved;
    return false;
}

/* With each domain behind it, until one has an address, or a name meets with silence alone. */
static bool try_domains(struct search *search, const char *name)
{
    const char *domain = search->lookup.conf->search;
    char whole[DNS_NAME_MAX];

    while (*domain) {
        const size_t len = strcspn(domain, " ");
        const int size = snprintf(whole, sizeof whole, "%s.%.*s", name, (int)len, domain);

        search->asked = false; /* nobody has "bad..domain" */
        if (size < (int)sizeof whole && try_name(search, whole, false, search->lookup.patience))
            return true;
        if (search->asked && !has_said(search->lookup.resolved, DNS_FOUND, DNS_RCODE_LAST))
            return false;
        domain += len + (domain[len] == ' ');
    }
    return false;
}

static size_t count_dots(const char *name)
{
    size_t count = 0;

    for (; *name; name++)
        count += *name == '.';
    return count;
}

static bool try_all(struct search *search, const char *name)
{
    const struct resolv_conf *conf = search->lookup.conf;
    const int64_t whole = (int64_t)conf->attempts * conf->timeout_s * 1000 * (int64_t)conf->count;
    const size_t dots = count_dots(name);
    const bool absolute = dots > 0 && name[strlen(name) - 1] == '.';
    const bool first = absolute || dots >= conf->ndots;

    if (first && try_name(search, name, true, whole))
        return true;
    if (!absolute && try_domains(search, name))
        return true;
    return !first && (dots > 0 || !conf->no_tld_query) && try_name(search, name, true, whole);
}

void resolve_by(const struct resolv_conf *conf, const char *name, int family, resolve_told *told,
                struct resolved *resolved)
{
    const int64_t timeout = (int64_t)conf->timeout_s * 1000;
    struct search search = {
        .lookup = {.conf = conf,
                   .resolved = resolved,
                   .patience = timeout < PATIENCE_MS ? timeout : PATIENCE_MS,
                   .name = name,
                   .told = told},
        .family = family,
        .until = clock_ms() + LOOKUP_MS,
    };

    memset(resolved, 0, sizeof *resolved);
    if (!try_all(&search, name))
        *resolved = search.kept;
}

/* Where IPv6 is switched off its addresses lead nowhere, and need not be asked for. */
int resolve_family(const struct resolv_conf *conf)
{
    struct name_server here = {
        .address.v6 = {.sin6_family = AF_INET6, .sin6_port = 1, .sin6_addr = IN6ADDR_LOOPBACK_INIT},
        .size = sizeof here.address.v6};
    const int fd = conf->no_aaaa ? -1 : lookup_socket(&here, SOCK_DGRAM);

    if (fd >= 0)
        (void)close(fd);
    return fd >= 0 ? AF_UNSPEC : AF_INET;
}

void resolve(const char *name, int family, resolve_told *told, struct resolved *resolved)
{
    struct resolv_conf conf;

    memset(resolved, 0, sizeof *resolved);
    hosts_read("/etc/hosts", name, family, &resolved->found);
    if (resolved->found.count > 0)
        return;
    resolv_conf_read(&conf, "/etc/resolv.conf");
    if (family == AF_UNSPEC)
        family = resolve_family(&conf);
    resolve_by(&conf, name, family, told, resolved);
}

/* "NXDOMAIN", or the number where it has no name. */
static const char *said_text(enum dns_said said, char number[static 24])
{
    static const char *const texts[] = {
        [DNS_UNASKED] = "nothing",
        [DNS_SILENT] = "nothing",
        [DNS_UNREACHABLE] = "nothing (it cannot be reached)",
        [DNS_FOUND] = "an address",
        [DNS_NO_ADDRESS] = "no address",
        [DNS_REFERRED] = "a referral",
        [DNS_BROKEN] = "a malformed message",
        [DNS_CUT] = "a truncated message (and nothing over TCP)",
        [DNS_RCODE + 1] = "FORMERR",
        [DNS_RCODE + 2] = "SERVFAIL",
        [DNS_NO_NAME] = "NXDOMAIN",
        [DNS_RCODE + 4] = "NOTIMP",
        [DNS_RCODE + 5] = "REFUSED",
    };

    if (said < sizeof texts / sizeof *texts && texts[said])
        return texts[said];
    (void)snprintf(number, 24, "RCODE %d", (int)said - DNS_RCODE);
    return number;
}

void resolve_explain(const struct resolved *resolved, char out[RESOLVE_TEXT_MAX])
{
    size_t i, len = 0;

    out[0] = '\0';
    for (i = 0; i < resolved->server_count && len < RESOLVE_TEXT_MAX; i++) {
        const enum dns_said a = resolved->servers[i].said[0], aaaa = resolved->servers[i].said[1];
        char number_a[24], number_aaaa[24];
        const char *text_a = said_text(a, number_a), *text_aaaa = said_text(aaaa, number_aaaa);
        const char *one = aaaa == DNS_UNASKED || strcmp(text_a, text_aaaa) == 0 ? text_a
                          : a == DNS_UNASKED                                    ? text_aaaa
                                                                                : NULL;

        if (a == DNS_UNASKED && aaaa == DNS_UNASKED)
            continue;
        len += (size_t)snprintf(out + len, RESOLVE_TEXT_MAX - len,
                                one ? "%s%s answered %s" : "%s%s answered %s for A and %s for AAAA",
                                len ? "; " : "", resolved->servers[i].text, one ? one : text_a,
                                text_aaaa);
    }
    if (resolved->by_default && len < RESOLVE_TEXT_MAX)
        (void)snprintf(out + len, RESOLVE_TEXT_MAX - len, "; /etc/resolv.conf names no server");
}
