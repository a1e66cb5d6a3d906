/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "config/options.h"

enum { COLUMN = 30, WIDTH = 80 };

/* Writes text in lines between COLUMN, where the first one begins already, and WIDTH. */
static int write_wrapped(int fd, const char *text)
{
    const char *gap = "";
    size_t at = COLUMN;

    while (*text) {
        size_t len = strcspn(text, " ");

        if (at + strlen(gap) + len > WIDTH) {
            dprintf(fd, "\n%*s", COLUMN, "");
            at = COLUMN;
            gap = "";
        }
        dprintf(fd, "%s%.*s", gap, (int)len, text);
        at += strlen(gap) + len;
        gap = " ";
        text += len;
        text += strspn(text, " ");
    }
    return dprintf(fd, "\n");
}

/* Where an option has no place. */
static const char *exception(unsigned flags)
{
    if (!(flags & OPTION_NOT_IN_ENVIRONMENT))
        return flags & OPTION_NOT_IN_FILE ? " (not in the file)" : "";
    return flags & OPTION_NOT_IN_FILE ? " (not in the file or environment)"
                                      : " (not in the environment)";
}

static int write_row(int fd, const struct option *option)
{
    char head[96], text[512];
    bool shown = option->metavar && option->fallback && *option->fallback;

    (void)snprintf(head, sizeof head, "  --%s%s%s", option->name, option->metavar ? " " : "",
                   option->metavar ? option->metavar : "");
    (void)snprintf(text, sizeof text, "%s%s%s%s%s%s", option->help,
                   option->flags & OPTION_LIST ? " (repeatable, or a comma list)" : "",
                   shown ? " (default: " : "", shown ? option->fallback : "", shown ? ")" : "",
                   exception(option->flags));
    if (strlen(head) + 2 > COLUMN)
        dprintf(fd, "%s\n", head);
    dprintf(fd, "%-*s", COLUMN, strlen(head) + 2 > COLUMN ? "" : head);
    return write_wrapped(fd, text);
}

int config_help(int fd, const char *command)
{
    const unsigned verb = verb_takes(verb_of(command));

    for (size_t i = 0; i < option_count; i++) {
        const struct option *option = &options[i];

        if (option->flags & OPTION_FILE_ONLY || (verb && option->verbs && !(option->verbs & verb)))
            continue;
        if (write_row(fd, option) < 0)
            return -1;
    }
    return 0;
}
