/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of name servers, by themselves and to a whole look-up, resolv.conf, hosts: what is read
 * lies within them, no more is taken than there is room for, and no answer prolongs a look-up.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "fuzz.h"
#include "net/dns.h"
#include "net/resolv_conf.h"
#include "net/resolve.h"

static const char name[] = "enclave.test";

/* As it comes, and behind the question that it has to answer; in memory that ends where it does. */
static void check_answer(struct bytes input, int family)
{
    uint8_t query[DNS_QUERY_MAX];
    size_t len = dns_ask(query, 0x1234, name, family), i;
    size_t size = input.len + len < DNS_MESSAGE_MAX ? input.len + len : DNS_MESSAGE_MAX;
    uint8_t *message = malloc(size);
    struct dns_addresses found = {.count = 0};
    enum dns_said said;

    FUZZ_CHECK(len > 0 && (message || fuzz_starved()));
    if (!message)
        return;
    (void)dns_answers(input, bytes_of(query, len));
    memcpy(message, query, len);
    memcpy(message + len, input.data, size - len);
    for (i = 2; i < 12 && i < 2 + input.len; i++) /* flags and counts are the input's */
        message[i] = input.data[i - 2];
    (void)dns_answers(bytes_of(message, size), bytes_of(query, len));
    (void)dns_is_cut(bytes_of(message, size));
    said = dns_read(bytes_of(message, size), family, &found);
    FUZZ_CHECK((said == DNS_FOUND) == (found.count > 0) && found.count <= DNS_ADDRESSES_MAX);
    for (i = 0; i < found.count; i++)
        FUZZ_CHECK(found.list[i].family == family);
    free(message);
}

static void check_files(struct bytes input)
{
    struct resolved resolved = {.found.count = 0};
    char text[RESOLVE_TEXT_MAX];
    struct resolv_conf conf;
    size_t i;

    hosts_read(fuzz_file(0, input), name, AF_UNSPEC, &resolved.found);
    FUZZ_CHECK(resolved.found.count <= DNS_ADDRESSES_MAX);
    resolv_conf_read(&conf, fuzz_file(0, input));
    FUZZ_CHECK(conf.count >= 1 && conf.count <= RESOLV_CONF_SERVERS);
    FUZZ_CHECK(conf.timeout_s >= 1 && conf.timeout_s <= 30 && conf.attempts >= 1 &&
               conf.attempts <= 5 && conf.ndots <= 15);
    FUZZ_CHECK(memchr(conf.search, '\0', sizeof conf.search));
    resolved.server_count = conf.count;
    for (i = 0; i < conf.count; i++) {
        memcpy(resolved.servers[i].text, conf.servers[i].text, sizeof resolved.servers[i].text);
        resolved.servers[i].said[0] = input.len ? input.data[0] % (DNS_RCODE + 16) : 0;
        resolved.servers[i].said[1] = input.len ? input.data[input.len - 1] % (DNS_RCODE + 16) : 0;
    }
    resolve_explain(&resolved, text);
    FUZZ_CHECK(memchr(text, '\0', sizeof text));
}

/* ---- a look-up whose servers say the input's parts, one after the other */

int __wrap_socket(int family, int type, int protocol);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len);
ssize_t __wrap_send(int fd, const void *data, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *out, size_t size, int flags);
int __wrap_poll(struct pollfd *fds, nfds_t count, int ms);

enum { FIRST_FD = 1 << 20, STREAM = 1, SENDS_MAX = 500 };
enum { FITTING = 1, OLDER = 2, LYING = 4 }; /* bits of a part's first byte */

static struct {
    struct bytes rest;
    int fds;
    unsigned sends;
    uint8_t queries[2][DNS_QUERY_MAX]; /* the last two */
    size_t lens[2];
    uint8_t stream[2 + DNS_MESSAGE_MAX];
    size_t said, left;
} net;

int __wrap_socket(int family, int type, int protocol)
{
    (void)family;
    (void)protocol;
    return FIRST_FD + 2 * ++net.fds + (type & SOCK_DGRAM ? 0 : STREAM);
}

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len)
{
    (void)address;
    (void)len;
    errno = net.fds % 7 == 6 ? ENETUNREACH : EINPROGRESS;
    return fd & STREAM || net.fds % 7 == 6 ? -1 : 0;
}

/* The next answer: its length. */
static size_t compose(uint8_t *out, size_t size)
{
    struct bytes part = fuzz_part(&net.rest);
    const unsigned how = fuzz_byte(&part);
    const unsigned query = how & OLDER ? 1 : 0;
    size_t len = how & FITTING ? net.lens[query] : 0, i;

    memcpy(out, net.queries[query], len);
    for (i = 2; i < 12 && i < len && part.len > 0; i++)
        out[i] = (uint8_t)fuzz_byte(&part);
    if (part.len > size - len)
        part.len = size - len;
    memcpy(out + len, part.data, part.len);
    return len + part.len;
}

ssize_t __wrap_send(int fd, const void *data, size_t len, int flags)
{
    const size_t frame = fd & STREAM ? 2 : 0;

    (void)flags;
    FUZZ_CHECK(++net.sends < SENDS_MAX && len - frame <= DNS_QUERY_MAX);
    if (fd < FIRST_FD)
        return -1;
    if (frame) {
        net.said = 0;
        net.left = 2 + compose(net.stream + 2, DNS_MESSAGE_MAX);
        net.stream[0] = (uint8_t)((net.left - 2) >> 8);
        net.stream[1] = (uint8_t)(net.left - 2 + (net.sends & LYING));
        return (ssize_t)len;
    }
    memcpy(net.queries[1], net.queries[0], net.lens[0]);
    net.lens[1] = net.lens[0];
    memcpy(net.queries[0], data, len);
    net.lens[0] = len;
    return (ssize_t)len;
}

ssize_t __wrap_recv(int fd, void *out, size_t size, int flags)
{
    (void)flags;
    if (fd & STREAM) {
        if (size > net.left)
            size = net.left;
        memcpy(out, net.stream + net.said, size);
        net.said += size;
        net.left -= size;
        return (ssize_t)size;
    }
    if (net.rest.len == 0 || net.rest.data[0] == 'R') {
        errno = net.rest.len ? ECONNREFUSED : EAGAIN;
        (void)fuzz_part(&net.rest);
        return -1;
    }
    return (ssize_t)compose(out, size);
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int ms)
{
    int ready = 0;
    nfds_t i;

    for (i = 0; i < count; i++) {
        const bool has = fds[i].fd >= 0 && (net.rest.len > 0 || fds[i].fd & STREAM);

        fds[i].revents = has ? fds[i].events : 0;
        ready += has;
    }
    if (ready == 0)
        clock_sleep(ms, INT64_MAX);
    return ready;
}

static void told(const char *asked, const struct resolved *resolved)
{
    char text[RESOLVE_TEXT_MAX];

    FUZZ_CHECK(*asked && memchr(resolved->name, '\0', sizeof resolved->name));
    resolve_explain(resolved, text);
    FUZZ_CHECK(memchr(text, '\0', sizeof text));
}

static void check_lookup(struct bytes input)
{
    static const char *const names[] = {"enclave", "enclave.test", "enclave.test.", "a..b", "."};
    static const int families[] = {AF_UNSPEC, AF_INET, AF_INET6};
    const unsigned how = fuzz_byte(&input);
    const int64_t begun = clock_ms();
    struct resolved resolved;
    struct resolv_conf conf;

    memset(&net, 0, sizeof net);
    resolv_conf_read(&conf, fuzz_file(0, fuzz_part(&input)));
    net.rest = input;
    resolve_by(&conf, names[how % 5], families[how / 5 % 3], told, &resolved);
    FUZZ_CHECK(resolved.found.count <= DNS_ADDRESSES_MAX);
    FUZZ_CHECK(clock_ms() - begun <= 31000);
    told("x", &resolved);
}

void fuzz(struct bytes input)
{
    check_answer(input, AF_INET);
    check_answer(input, AF_INET6);
    check_files(input);
    check_lookup(input);
}
