/* SPDX-License-Identifier: Apache-2.0 */
#include "net/resolv_conf.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/decimal.h"
#include "base/random.h"
#include "net/dns.h"

enum { PORT = 53 };
#define BLANKS " \t\r\n\f\v"

/* The next line, as much as fits; false: there is no more. */
static bool read_line(FILE *file, char line[RESOLV_CONF_SEARCH_MAX])
{
    int c = 0;

    if (feof(file) || ferror(file) || !fgets(line, RESOLV_CONF_SEARCH_MAX, file))
        return false;
    while (!strchr(line, '\n') && c != EOF && c != '\n')
        c = getc(file);
    return true;
}

/* As if_nametoindex(3), which would make a local socket; the sandbox has none. 0: there is none. */
static unsigned zone_of(const char *name)
{
    struct ifreq request = {0};
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int result = -1;

    if (fd < 0)
        return 0;
    if (snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name) <
        (int)sizeof request.ifr_name)
        result = ioctl(fd, SIOCGIFINDEX, &request);
    close(fd);
    return result == 0 ? (unsigned)request.ifr_ifindex : 0;
}

/* An IPv6 address may have a zone, "fe80::1%eth0". */
static void add_server(struct resolv_conf *conf, const char *text)
{
    struct name_server *server = &conf->servers[conf->count];
    char address[sizeof server->text];
    const char *zone = strchr(text, '%');

    if (conf->count == RESOLV_CONF_SERVERS || strlen(text) >= sizeof server->text)
        return;
    memset(server, 0, sizeof *server);
    (void)snprintf(server->text, sizeof server->text, "%s", text);
    (void)snprintf(address, sizeof address, "%.*s", (int)strcspn(text, "%"), text);
    if (inet_pton(AF_INET, text, &server->address.v4.sin_addr) == 1) {
        server->address.v4.sin_family = AF_INET;
        server->address.v4.sin_port = htons(PORT);
        server->size = sizeof server->address.v4;
    } else if (inet_pton(AF_INET6, address, &server->address.v6.sin6_addr) == 1) {
        server->address.v6.sin6_family = AF_INET6;
        server->address.v6.sin6_port = htons(PORT);
        server->address.v6.sin6_scope_id = zone ? zone_of(zone + 1) : 0;
        server->size = sizeof server->address.v6;
    }
    conf->count += server->size > 0;
}

/* Whether a word is "name:NUMBER"; puts the number, as near as may be, into *value. */
static bool read_number(const char *word, const char *name, unsigned least, unsigned most,
                        unsigned *value)
{
    const size_t len = strlen(name);
    int64_t number;

    if (strncmp(word, name, len) != 0 || word[len] != ':')
        return false;
    (void)decimal_read(bytes_of_text(word + len + 1), &number);
    *value = number < 0 || number > most ? most : number < least ? least : (unsigned)number;
    return true;
}

static void read_option(struct resolv_conf *conf, const char *word)
{
    if (read_number(word, "ndots", 0, 15, &conf->ndots) ||
        read_number(word, "timeout", 1, 30, &conf->timeout_s) ||
        read_number(word, "attempts", 1, 5, &conf->attempts))
        return;
    conf->rotate |= strcmp(word, "rotate") == 0;
    conf->use_tcp |= strcmp(word, "use-vc") == 0;
    conf->no_aaaa |= strcmp(word, "no-aaaa") == 0;
    conf->no_tld_query |= strcmp(word, "no-tld-query") == 0;
}

/* "search" and "domain" take each other's place. */
static void read_search(struct resolv_conf *conf, char *rest, bool one)
{
    char *word = strtok_r(NULL, BLANKS, &rest);
    size_t len = 0;

    conf->search[0] = '\0';
    for (; word; word = one ? NULL : strtok_r(NULL, BLANKS, &rest))
        len += (size_t)snprintf(conf->search + len, sizeof conf->search - len, "%s%s",
                                len ? " " : "", word);
}

static void read_words(struct resolv_conf *conf, char *line)
{
    char *rest, *keyword, *word;

    if (strchr("#;" BLANKS, line[0])) /* which an empty line is, too */
        return;
    keyword = strtok_r(line, BLANKS, &rest);
    if (!keyword)
        return;
    if (strcmp(keyword, "search") == 0 || strcmp(keyword, "domain") == 0) {
        read_search(conf, rest, keyword[0] == 'd');
    } else if (strcmp(keyword, "nameserver") == 0) {
        word = strtok_r(NULL, BLANKS, &rest);
        if (word)
            add_server(conf, word);
    } else if (strcmp(keyword, "options") == 0) {
        while ((word = strtok_r(NULL, BLANKS, &rest)))
            read_option(conf, word);
    }
}

static void rotate(struct resolv_conf *conf)
{
    const struct resolv_conf was = *conf;
    const uint32_t by = random_below((uint32_t)conf->count);
    size_t i;

    for (i = 0; i < conf->count; i++)
        conf->servers[i] = was.servers[(i + by) % conf->count];
}

void resolv_conf_read(struct resolv_conf *conf, const char *path)
{
    FILE *file = fopen(path, "re");
    char line[RESOLV_CONF_SEARCH_MAX];
    struct utsname names;
    const char *dot = uname(&names) == 0 ? strchr(names.nodename, '.') : NULL;

    memset(conf, 0, sizeof *conf);
    conf->ndots = 1;
    conf->timeout_s = 5;
    conf->attempts = 2;
    /* Where no domain is named, it is what stands behind the first dot of the host's own name. */
    (void)snprintf(conf->search, sizeof conf->search, "%s", dot ? dot + 1 : "");
    while (file && read_line(file, line))
        read_words(conf, line);
    if (file)
        (void)fclose(file);
    conf->silent = conf->count == 0;
    if (conf->silent)
        add_server(conf, "127.0.0.1");
    if (conf->rotate)
        rotate(conf);
}

/* Names are compared without case and a final dot. */
static bool same(const char *word, const char *name)
{
    const size_t len = strlen(name), dot = len > 1 && name[len - 1] == '.';

    return strlen(word) == len - dot && strncasecmp(word, name, len - dot) == 0;
}

void hosts_read(const char *path, const char *name, int family, struct dns_addresses *found)
{
    FILE *file = fopen(path, "re");
    char line[RESOLV_CONF_SEARCH_MAX];
    uint8_t bytes[16];

    while (file && read_line(file, line)) {
        char *rest, *address, *word;
        int of;

        line[strcspn(line, "#")] = '\0';
        address = strtok_r(line, BLANKS, &rest);
        if (!address)
            continue;
        of = strchr(address, ':') ? AF_INET6 : AF_INET;
        if ((family != AF_UNSPEC && family != of) || inet_pton(of, address, bytes) != 1)
            continue;
        while ((word = strtok_r(NULL, BLANKS, &rest)))
            if (same(word, name))
                dns_add(found, of, bytes);
    }
    if (file)
        (void)fclose(file);
}
