/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct fake_server {
    const char *replies[FAKE_SERVER_MAX];
    size_t count;
    int endless; /* the last reply is given again and again */
    int stays;   /* a connection has as many replies as it is asked for */
    size_t served;
    int listener;
    char url[64];
    pthread_t thread;
};

static char requests[FAKE_SERVER_MAX][FAKE_SERVER_TEXT_MAX];

/* Whether the head, and as much body as it announces, are there. */
static int is_whole(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "\r\ncontent-length:");

    if (!end)
        return 0;
    return !length || length > end || strlen(end + 4) >= strtoul(length + 17, NULL, 10);
}

static size_t take(int connection, char *request)
{
    size_t len = 0;
    ssize_t n;

    while (!is_whole(request) && len + 1 < FAKE_SERVER_TEXT_MAX &&
           (n = read(connection, request + len, FAKE_SERVER_TEXT_MAX - 1 - len)) > 0)
        request[len += (size_t)n] = '\0';
    return len;
}

/* One reply: whether the connection stays for another. */
static int serve(struct fake_server *server, int connection)
{
    char beyond[FAKE_SERVER_TEXT_MAX] = "";
    const size_t i = server->served, last = server->count - 1;
    const char *reply = server->replies[i < last ? i : last];

    if (take(connection, i < FAKE_SERVER_MAX ? requests[i] : beyond) == 0 && server->stays)
        return 0;
    (void)!write(connection, reply, strlen(reply));
    server->served++;
    return server->stays && *reply && server->served < server->count;
}

static void *run(void *argument)
{
    struct fake_server *server = argument;
    int connection;

    while (server->endless || server->served < server->count) {
        connection = accept(server->listener, NULL, NULL);
        if (connection < 0)
            break; /* shut down */
        while (serve(server, connection))
            continue;
        (void)close(connection);
    }
    (void)shutdown(server->listener, SHUT_RDWR);
    return NULL;
}

static struct fake_server *start(const char *const *replies, size_t count, int endless, int stays)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct fake_server *server = calloc(1, sizeof *server);
    socklen_t size = sizeof address;

    if (!server || count > FAKE_SERVER_MAX)
        abort();
    memset(requests, 0, sizeof requests);
    if (count > 0)
        memcpy(server->replies, replies, count * sizeof *replies);
    server->count = count;
    server->endless = endless;
    server->stays = stays;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server->listener < 0 || bind(server->listener, (void *)&address, size) < 0 ||
        (count > 0 && listen(server->listener, FAKE_SERVER_MAX) < 0) ||
        getsockname(server->listener, (void *)&address, &size) < 0 ||
        pthread_create(&server->thread, NULL, run, server) != 0)
        abort();
    (void)snprintf(server->url, sizeof server->url, "http://127.0.0.1:%u", ntohs(address.sin_port));
    return server;
}

struct fake_server *fake_server_start(const char *const *replies, size_t count)
{
    return start(replies, count, 0, 0);
}

struct fake_server *fake_server_stay(const char *const *replies, size_t count)
{
    return start(replies, count, 0, 1);
}

struct fake_server *fake_server_repeat(const char *reply)
{
    return start(&reply, 1, 1, 0);
}

const char *fake_server_url(const struct fake_server *server)
{
    return server->url;
}

size_t fake_server_stop(struct fake_server *server)
{
    size_t served;

    (void)shutdown(server->listener, SHUT_RDWR);
    (void)pthread_join(server->thread, NULL);
    (void)close(server->listener);
    served = server->served;
    free(server);
    return served;
}

const char *fake_server_request(size_t i)
{
    return i < FAKE_SERVER_MAX ? requests[i] : "";
}

const char *fake_reply(int status, const char *headers, const char *body)
{
    static char texts[16][FAKE_SERVER_TEXT_MAX];
    static size_t next;
    char *text = texts[next++ % 16];

    (void)snprintf(text, FAKE_SERVER_TEXT_MAX,
                   "HTTP/1.1 %d Status\r\n%sContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                   status, headers, strlen(body), body);
    return text;
}
