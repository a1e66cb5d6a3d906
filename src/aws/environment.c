/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/environment.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"

/* The value of an entry of the environment block, if name is the variable's. */
static char *value_of(char *entry, const char *name)
{
    size_t len = strlen(name);

    return strncmp(entry, name, len) == 0 && entry[len] == '=' ? entry + len + 1 : NULL;
}

static int keep_as(char **field, const char *value, enum arena_tag tag)
{
    size_t size = strlen(value) + 1;

    if (*field || value[strspn(value, " \t\r\n")] == '\0')
        return 0;
    *field = arena_alloc(size, tag);
    if (!*field)
        return -1;
    memcpy(*field, value, size);
    return 0;
}

/* Moves a variable's first value into *field. Every entry of that name is zeroed and removed,
 * whatever fails. */
static int take_variable(const char *name, char **field, enum arena_tag tag)
{
    char **from = environ, **to = environ, *value;
    int r = 0;

    if (!environ)
        return 0;
    for (; *from; from++) {
        value = value_of(*from, name);
        if (!value) {
            *to++ = *from;
            continue;
        }
        r |= keep_as(field, value, tag);
        wipe(value, strlen(value));
    }
    *to = NULL;
    return r;
}

/*
 * Takes a proxy's URL, "http://user:password@host:port", apart, where it holds a password: others
 * may want to read it too.
 */
static int take_proxy(const char *name, char **proxy, char **password)
{
    const char *value = getenv(name);
    char *url = NULL, *at, *user;
    int r;

    if (!value || !strchr(value, '@'))
        return 0;
    r = take_variable(name, &url, ARENA_CREDENTIALS);
    at = url ? strrchr(url, '@') : NULL;
    if (!at) { /* no room for the first one of that name: another may have no password */
        arena_free(url);
        return r;
    }
    user = strstr(url, "://");
    user = user && user < at ? user + 3 : url;
    *at = '\0';
    if (!*proxy && !*password)
        r |= keep_as(password, user, ARENA_CREDENTIALS);
    memmove(user, at + 1, strlen(at + 1) + 1);
    r |= keep_as(proxy, url, ARENA_WORK); /* a name: not to be masked */
    arena_free(url);
    return r;
}

int environment_take(struct environment *environment, struct err *err)
{
    static const char *const unused[] = {"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"};
    char *proxy = NULL;
    size_t i;
    int r;

    *environment = (struct environment){0};
    r = take_variable("AWS_ACCESS_KEY_ID", &environment->access_key_id, ARENA_CREDENTIALS);
    r |= take_variable("AWS_SECRET_ACCESS_KEY", &environment->secret_access_key, ARENA_CREDENTIALS);
    r |= take_variable("AWS_SESSION_TOKEN", &environment->session_token, ARENA_CREDENTIALS);
    r |= take_variable("AWS_SECURITY_TOKEN", &environment->session_token,
                       ARENA_CREDENTIALS); /* its older name */
    r |= take_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN", &environment->container_token,
                       ARENA_TOKEN);
    r |= take_proxy("https_proxy", &environment->proxy, &environment->proxy_password);
    r |= take_proxy("HTTPS_PROXY", &environment->proxy, &environment->proxy_password);
    /* Those that nothing here uses leave the environment as well. */
    r |= take_variable("AWS_SECRET_KEY", &environment->legacy_key, ARENA_CREDENTIALS);
    for (i = 0; i < sizeof unused / sizeof *unused; i++) {
        r |= take_proxy(unused[i], &proxy, &environment->other_password);
        arena_free(proxy);
        proxy = NULL;
    }
    if (r < 0)
        return err_set(err, ERR_MEMORY_FULL, NULL, "no room for the environment's credentials");
    return 0;
}
