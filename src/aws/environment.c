/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/environment.h"

#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"

static int is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n")] == '\0';
}

/* The value of an entry of the environment block, if name is the variable's. */
static char *value_of(char *entry, const char *name)
{
    size_t len = strlen(name);

    return strncmp(entry, name, len) == 0 && entry[len] == '=' ? entry + len + 1 : NULL;
}

static int keep(char **field, const char *value)
{
    size_t size = strlen(value) + 1;

    if (*field || is_blank(value))
        return 0;
    *field = arena_alloc(size, ARENA_CREDENTIALS);
    if (!*field)
        return -1;
    memcpy(*field, value, size);
    return 0;
}

/* Moves a variable's first value into *field. Every entry of that name is zeroed and removed,
 * whatever fails. */
static int take(const char *name, char **field)
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
        r |= keep(field, value);
        wipe(value, strlen(value));
    }
    *to = NULL;
    return r;
}

int environment_take(struct environment *environment, struct err *err)
{
    int r;

    *environment = (struct environment){0};
    r = take("AWS_ACCESS_KEY_ID", &environment->access_key_id);
    r |= take("AWS_SECRET_ACCESS_KEY", &environment->secret_access_key);
    r |= take("AWS_SESSION_TOKEN", &environment->session_token);
    r |= take("AWS_SECURITY_TOKEN", &environment->session_token); /* its older name */
    r |= take("AWS_CONTAINER_AUTHORIZATION_TOKEN", &environment->container_token);
    if (r < 0)
        return err_set(err, ERR_MEMORY_FULL, NULL, "no room for the environment's credentials");
    return 0;
}
