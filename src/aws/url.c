/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/url.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "aws/text.h"
#include "base/decimal.h"

/* Copies the host, out of its brackets if it has any; what follows it, or NULL. */
static const char *read_name(const char *at, char *name, size_t size)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    static const char address[] = "0123456789abcdefABCDEF:.";
    bool bracket = *at == '[';
    size_t len;

    at += bracket;
    len = strspn(at, bracket ? address : letters);
    if (len == 0 || len >= size || (bracket && at[len] != ']'))
        return NULL;
    memcpy(name, at, len);
    name[len] = '\0';
    return at + len + bracket;
}

/* Reads ":port" where there is one; what follows it, or NULL. *port stays where there is none. */
static const char *read_port(const char *at, unsigned *port)
{
    int64_t number;

    if (*at != ':')
        return at;
    at++;
    at += decimal_read(bytes_of_text(at), &number);
    *port = (unsigned)number;
    return number >= 1 && number <= 65535 ? at : NULL;
}

int url_parse(struct url *url, const char *text)
{
    unsigned usual, port;
    const char *start, *end, *at = NULL;
    size_t len, dot; /* the root's, behind the name: the resolver's alone, not TLS's or HTTP's */

    if (!text_is_graphic(bytes_of_text(text)) || strchr(text, '#'))
        return -1;
    url->tls = strncasecmp(text, "https://", 8) == 0;
    if (!url->tls && strncasecmp(text, "http://", 7) != 0)
        return -1;
    start = text + (url->tls ? 8 : 7);
    port = usual = url->tls ? 443 : 80;
    end = read_name(start, url->name, sizeof url->name);
    if (end)
        at = read_port(end, &port);
    if (!at || (*at != '\0' && *at != '/'))
        return -1;
    url->path = at;
    url->port = port;
    at = port == usual ? "" : end;
    len = strlen(url->name);
    dot = len > 1 && url->name[len - 1] == '.';
    url->name[len - dot] = '\0';
    (void)snprintf(url->host, sizeof url->host, "%.*s%.*s", (int)(end - start) - (int)dot, start,
                   (int)strcspn(at, "/"), at);
    return 0;
}

bool url_address_is_loopback(const struct sockaddr *address)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (address->sa_family == AF_INET) {
        memcpy(&v4, address, sizeof v4);
        return ntohl(v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    if (address->sa_family == AF_INET6) {
        memcpy(&v6, address, sizeof v6);
        return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
    }
    return false;
}

bool url_address_is_agent(const struct sockaddr *address)
{
    static const struct in6_addr eks_v6 = {{{0xFD, 0, 0x0E, 0xC2, [15] = 0x23}}};
    static const uint32_t ecs = 0xA9FEAA02, eks = 0xA9FEAA17; /* 169.254.170.2 and .23 */
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (address->sa_family == AF_INET) {
        memcpy(&v4, address, sizeof v4);
        if (v4.sin_addr.s_addr == htonl(ecs) || v4.sin_addr.s_addr == htonl(eks))
            return true;
    } else if (address->sa_family == AF_INET6) {
        memcpy(&v6, address, sizeof v6);
        if (IN6_ARE_ADDR_EQUAL(&v6.sin6_addr, &eks_v6))
            return true;
    }
    return url_address_is_loopback(address);
}
