/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What libcurl's resolver threads call in place of the C library's functions of these names, which
 * the linker leaves out for these. A musl that asks for both families fails with either of them.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/decimal.h"
#include "net/resolve.h"

/*
 * Look-ups that failed or wait, by name: libcurl keeps no reason. More names are in flight at no
 * time; the oldest makes room.
 */
enum { FAILURES_MAX = 128 };
static struct failure {
    char name[DNS_NAME_MAX];
    char text[RESOLVE_TEXT_MAX];
} failures[FAILURES_MAX];
static size_t next_failure;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The entry for a name, or NULL. */
static struct failure *find_failure(const char *name)
{
    size_t i;

    for (i = 0; i < FAILURES_MAX; i++)
        if (failures[i].name[0] && strcasecmp(failures[i].name, name) == 0)
            return &failures[i];
    return NULL;
}

/* What is said so far; nothing of a look-up that is well. */
static void note_failure(const char *name, const struct resolved *resolved)
{
    struct failure *failure;

    (void)pthread_mutex_lock(&lock);
    failure = find_failure(name);
    if (!failure && resolved->found.count == 0 && strlen(name) < sizeof failure->name) {
        failure = &failures[next_failure++ % FAILURES_MAX];
        memcpy(failure->name, name, strlen(name) + 1);
    }
    if (failure && resolved->found.count > 0)
        failure->name[0] = '\0';
    else if (failure)
        resolve_explain(resolved, failure->text);
    (void)pthread_mutex_unlock(&lock);
}

void resolve_failure(const char *host, char out[RESOLVE_TEXT_MAX])
{
    const char *scheme = strstr(host, "://");
    const char *start = scheme ? scheme + 3 : host;
    char name[DNS_NAME_MAX] = "";
    const size_t len = strcspn(start, ":/?#");
    const struct failure *failure;

    if (len < sizeof name)
        memcpy(name, start, len);
    (void)pthread_mutex_lock(&lock);
    failure = find_failure(name);
    memcpy(out, failure ? failure->text : "", failure ? sizeof failure->text : 1);
    (void)pthread_mutex_unlock(&lock);
}

/* One address with what points to it; the list is one block, freed by its first. */
struct entry {
    struct addrinfo info;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
};

static void fill(struct entry *entry, const struct dns_address *address, in_port_t port)
{
    entry->info = (struct addrinfo){
        .ai_family = address->family,
        .ai_socktype = SOCK_STREAM,
        .ai_addr = &entry->address.any,
        .ai_addrlen = sizeof entry->address.v6,
    };
    if (address->family == AF_INET) {
        entry->info.ai_addrlen = sizeof entry->address.v4;
        entry->address.v4.sin_family = AF_INET;
        entry->address.v4.sin_port = port;
        memcpy(&entry->address.v4.sin_addr, address->bytes, sizeof entry->address.v4.sin_addr);
    } else {
        entry->address.v6.sin6_family = AF_INET6;
        entry->address.v6.sin6_port = port;
        memcpy(&entry->address.v6.sin6_addr, address->bytes, sizeof entry->address.v6.sin6_addr);
    }
}

/* Whether there is a way to it at all: asked without a packet. */
static bool has_route(const struct entry *entry)
{
    int fd = socket(entry->info.ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool has = fd >= 0 && connect(fd, entry->info.ai_addr, entry->info.ai_addrlen) == 0;

    if (fd >= 0)
        (void)close(fd);
    return has;
}

/* IPv6 first; whereto there is no way last. */
static void put_in_order(struct entry *entries, const struct dns_addresses *found, in_port_t port)
{
    size_t i, count = 0, last = found->count;
    int family;

    for (family = AF_INET6; family; family = family == AF_INET6 ? AF_INET : 0)
        for (i = 0; i < found->count; i++) {
            if (found->list[i].family != family)
                continue;
            fill(&entries[count], &found->list[i], port);
            if (has_route(&entries[count]))
                count++;
            else
                fill(&entries[--last], &found->list[i], port);
        }
    for (i = 0; i < found->count; i++) {
        entries[i].info.ai_addr = &entries[i].address.any;
        entries[i].info.ai_next = i + 1 < found->count ? &entries[i + 1].info : NULL;
    }
}

/* For TCP, by the port's number as libcurl gives it. Its numeric addresses do not come here. */
int getaddrinfo(const char *restrict name, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict result)
{
    struct resolved resolved;
    struct entry *entries;
    char own[DNS_NAME_MAX]; /* the caller's is wiped where the process ends meanwhile */

    if (strlen(name) >= sizeof own)
        return EAI_NONAME;
    memcpy(own, name, strlen(name) + 1);
    resolve(own, hints->ai_family, note_failure, &resolved);
    note_failure(own, &resolved);
    arena_guard(); /* libcurl goes on there with what it finds */
    if (resolved.found.count == 0)
        return EAI_NONAME;
    entries = calloc(resolved.found.count, sizeof *entries);
    if (!entries)
        return EAI_MEMORY;
    put_in_order(entries, &resolved.found, htons((uint16_t)decimal_number(service, UINT16_MAX)));
    *result = (struct addrinfo *)(void *)entries; /* the first member: freeaddrinfo() finds all */
    return 0;
}

void freeaddrinfo(struct addrinfo *result)
{
    free(result);
}
