/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/decimal.h"
#include "config/config_values.h"
#include "config/no_proxy.h"

#define HOST_MAX  253
#define LABEL_MAX 63
#define HTTPS     "https://"
#define HTTP      "http://"

/* Whether a URL's parts can be cut out of text at all: nothing in it but visible ASCII. */
static bool is_visible(const char *text)
{
    for (; *text; text++)
        if (*text <= 0x20 || *text >= 0x7f)
            return false;
    return true;
}

static const char *check_label(const char *label, size_t len)
{
    if (len == 0)
        return "has an empty label in its host name";
    if (len > LABEL_MAX)
        return "has a label of more than 63 bytes in its host name";
    for (size_t i = 0; i < len; i++) {
        char c = label[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_')) {
            return "has in its host name what is no letter, digit, '-', '_' or '.'";
        }
    }
    return label[0] == '-' || label[len - 1] == '-'
               ? "has a '-' at the edge of a label of its host name"
               : NULL;
}

/* A DNS name, perhaps with the root's dot behind it, or an IPv4 address. What a resolver would take
 * for an address in another form (127.1, 0x7f000001) is neither. */
static const char *check_name(const char *host)
{
    const char *label = host;
    struct in_addr address;

    if (inet_pton(AF_INET, host, &address) == 1)
        return NULL;
    if (strlen(host) > HOST_MAX + (size_t)(host[strlen(host) - 1] == '.'))
        return "has a host name of more than 253 bytes";
    for (;;) {
        size_t len = strcspn(label, ".");
        const char *why = check_label(label, len);

        if (why)
            return why;
        if (label[len] == '\0' || label[len + 1] == '\0')
            break;
        label += len + 1;
    }
    if (inet_aton(host, &address) || strspn(label, "0123456789") == strcspn(label, "."))
        return "has a host that is neither a name nor four decimal numbers of an IPv4 address";
    return NULL;
}

static const char *read_port(const char *text, uint16_t *port)
{
    const int64_t value = decimal_number(text, UINT16_MAX);

    if (value < 1)
        return "has no port from 1 to 65535";
    *port = (uint16_t)value;
    return NULL;
}

/* HOST[:PORT], an IPv6 address in brackets; cuts authority to pieces. *port 0: it has no default.
 */
static const char *read_authority(char *authority, char host[static HOST_MAX + 3], uint16_t *port)
{
    bool bracketed = authority[0] == '[';
    char *name = authority + bracketed;
    char *end = name + strcspn(name, bracketed ? "]" : ":");
    char *rest = end + bracketed;
    const char *why = NULL;
    struct in6_addr address;

    if (bracketed && *end != ']')
        return "has a '[' without a ']'";
    if (!bracketed && *rest == ':' && strchr(rest + 1, ':'))
        return "has more than one ':' (an IPv6 address stands in brackets: [::1]:3000)";
    if (*rest != ':' && *rest != '\0')
        return "has something other than a port behind its ']'";
    if (*rest == '\0' && *port == 0)
        return "has no port (HOST:PORT)";
    if (*rest == ':')
        why = read_port(rest + 1, port);
    *end = '\0';
    if (!why && *name == '\0')
        why = "has no host";
    if (!why && !bracketed)
        why = check_name(name);
    else if (!why && inet_pton(AF_INET6, name, &address) != 1)
        why = "has no IPv6 address in its brackets";
    if (!why)
        memcpy(host, name, strlen(name) + 1);
    return why;
}

/* What stands behind "https://". *path points into rest and is "" where it is only "/". */
static const char *read_url(const char *rest, struct endpoint *endpoint, const char **path)
{
    char authority[sizeof endpoint->text];
    size_t len = strcspn(rest, "/?#");

    if (len >= sizeof authority)
        return "is too long";
    memcpy(authority, rest, len);
    authority[len] = '\0';
    *path = strcmp(rest + len, "/") == 0 ? "" : rest + len;
    if (strchr(authority, '@'))
        return "has user information ('@') in its URL";
    if (**path != '\0' && **path != '/')
        return "has a '?' or '#' where its path should begin";
    return read_authority(authority, endpoint->name, &endpoint->port);
}

/* NAME@ADDRESS:PORT: whom to expect there, and where to connect to. */
static const char *read_named(char *text, char *at, struct endpoint *endpoint)
{
    struct in_addr address;
    const char *why;

    *at = '\0';
    if (at == text)
        return "has no name before its '@'";
    why = check_name(text);
    if (!why) {
        memcpy(endpoint->name, text, strlen(text) + 1);
        why = read_authority(at + 1, endpoint->address, &endpoint->port);
    }
    if (!why && at[1] != '[' && inet_pton(AF_INET, endpoint->address, &address) != 1)
        why = "has no IP address behind its '@'";
    return why;
}

static const char *read_plain(const char *text, struct endpoint *endpoint)
{
    char copy[sizeof endpoint->text];
    char *at;

    memcpy(copy, text, strlen(text) + 1);
    at = strchr(copy, '@');
    return at ? read_named(copy, at, endpoint)
              : read_authority(copy, endpoint->name, &endpoint->port);
}

/* Takes off a final dot, which means nothing but to the resolver. */
static void strip_dot(char *name)
{
    const size_t len = strlen(name);

    if (len > 0 && name[len - 1] == '.')
        name[len - 1] = '\0';
}

/* However it was written: an alarm that watches the one form sees it. */
static void make_label(struct endpoint *endpoint, bool named)
{
    const char *host = named ? endpoint->address : endpoint->name;
    const bool bracketed = strchr(host, ':');
    char *c;

    (void)snprintf(endpoint->label, sizeof endpoint->label, "%s%s%s%s%s:%u",
                   named ? endpoint->name : "", named ? "@" : "", bracketed ? "[" : "", host,
                   bracketed ? "]" : "", (unsigned)endpoint->port);
    for (c = endpoint->label; *c; c++)
        *c = (char)tolower((unsigned char)*c);
}

const char *value_endpoint(const char *text, struct endpoint *endpoint)
{
    const char *path = "", *why;
    bool named;

    memset(endpoint, 0, sizeof *endpoint);
    if (strlen(text) >= sizeof endpoint->text)
        return "is too long";
    if (!is_visible(text))
        return "has a space, a control byte or a byte outside of ASCII";
    memcpy(endpoint->text, text, strlen(text) + 1);
    if (strncasecmp(text, HTTPS, strlen(HTTPS)) == 0) {
        endpoint->port = 443;
        why = read_url(text + strlen(HTTPS), endpoint, &path);
    } else if (strstr(text, "://")) {
        why = "is no https:// URL: without TLS nobody's identity is proved";
    } else if (strchr(text, '/')) {
        why = "has a path, which needs the form https://HOST:PORT/PATH";
    } else {
        why = read_plain(text, endpoint);
    }
    if (!why && *path)
        why = value_request_path(path);
    if (why)
        return why;
    memcpy(endpoint->path, path, strlen(path) + 1);
    named = endpoint->address[0] != '\0';
    if (!named)
        memcpy(endpoint->address, endpoint->name, sizeof endpoint->address);
    strip_dot(endpoint->name);
    make_label(endpoint, named);
    return NULL;
}

const char *value_request_path(const char *text)
{
    if (text[0] != '/')
        return "is not a path that begins with '/'";
    if (strlen(text) >= sizeof((struct endpoint *)NULL)->path)
        return "has a path of more than 255 bytes";
    return is_visible(text) && !strchr(text, '#')
               ? NULL
               : "has a '#', a space, or a byte outside of visible ASCII in its path";
}

static bool is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;

    return strcasecmp(host, "localhost") == 0 ||
           (inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127) ||
           (inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6));
}

const char *value_endpoint_url(const char *text)
{
    bool plaintext = strncasecmp(text, HTTP, strlen(HTTP)) == 0;
    struct endpoint url = {.port = plaintext ? 80 : 443};
    const char *path, *why;

    if (!plaintext && strncasecmp(text, HTTPS, strlen(HTTPS)) != 0)
        return "is no https:// URL";
    if (!is_visible(text))
        return "has a space, a control byte or a byte outside of ASCII";
    why = read_url(text + strlen(plaintext ? HTTP : HTTPS), &url, &path);
    if (why)
        return why;
    if (*path && (strpbrk(path, "?#") || value_request_path(path)))
        return "has a path that is too long, or a '?' or '#'";
    strip_dot(url.name);
    return plaintext && !is_loopback(url.name) ? "is plaintext and leads away from this machine"
                                               : NULL;
}

const char *value_proxy(const char *text)
{
    struct endpoint url = {.port = 80};
    const char *path, *why;

    if (strchr(text, '@'))
        return "has a user or a password, which only the environment's HTTPS_PROXY may have";
    if (strncasecmp(text, HTTPS, strlen(HTTPS)) == 0)
        return "is https://: only plain http proxies are supported; TLS to AWS goes through them "
               "untouched";
    if (strncasecmp(text, HTTP, strlen(HTTP)) == 0)
        text += strlen(HTTP);
    else if (strstr(text, "://"))
        return "is no http:// proxy";
    why = read_url(text, &url, &path);
    return !why && *path ? "has a path" : why;
}

const char *value_no_proxy(const char *text)
{
    size_t len;

    return no_proxy_strange(&text, &len) ? "has an entry that is neither a name nor an address nor "
                                           "a network; commas part them"
                                         : NULL;
}
