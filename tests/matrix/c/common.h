/* SPDX-License-Identifier: Apache-2.0 */
/* What the enclaves in C share: PROGRAM DIRECTORY PORT [WORD...] */
#include <arpa/inet.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER                                                                                     \
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 15\r\n\r\n{\"server\":\"c\"}\n"

static bool has(char **words, const char *word)
{
    for (; *words; words++)
        if (strcmp(*words, word) == 0)
            return true;
    return false;
}

static void path_of(char *out, size_t size, const char *directory, const char *name)
{
    (void)snprintf(out, size, "%s/%s", directory, name);
}

/* A socket that listens on loopback; ends the program where there is none to be had. */
static int listen_on(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int on = 1;

    (void)signal(SIGPIPE, SIG_IGN);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 32) != 0) {
        perror("listen");
        exit(1);
    }
    return fd;
}
