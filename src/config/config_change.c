/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <string.h>

#include "config/config_values.h"

#define BLANKS " \t"

/* Reads one word, where it stands: what it means is never longer than how it is written. NULL, or
 * why it is none; *at moves behind it. */
static const char *read_word(char **at)
{
    char *in = *at, *out = *at, quote = '\0';

    for (; *in && (quote || !strchr(BLANKS, *in)); in++) {
        if (*in == quote) {
            quote = '\0';
        } else if (!quote && (*in == '"' || *in == '\'')) {
            quote = *in;
        } else {
            if (*in == '\\' && quote != '\'' && *++in == '\0')
                return "ends with a backslash";
            *out++ = *in;
        }
    }
    *at = *in ? in + 1 : in;
    *out = '\0';
    return quote ? "has a quote without its end" : NULL;
}

const char *value_words(char *text, const char *words[static CONFIG_WORDS_MAX + 1])
{
    size_t count = 0;
    const char *why;

    for (text += strspn(text, BLANKS); *text; text += strspn(text, BLANKS)) {
        if (count == CONFIG_WORDS_MAX)
            return "has more than 32 words";
        words[count++] = text;
        why = read_word(&text);
        if (why)
            return why;
    }
    words[count] = NULL;
    return count > 0 && !value_path(words[0]) ? NULL
                                              : "does not begin with a program's absolute path";
}

static const struct {
    const char *name;
    int number;
} names[] = {
    {"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"USR1", SIGUSR1},
    {"USR2", SIGUSR2}, {"TERM", SIGTERM}, {"CONT", SIGCONT}, {"WINCH", SIGWINCH},
};

/* The signal of that name, with or without "SIG". */
static bool find_signal(const char *name, size_t len, struct change_signal *value)
{
    if (len > 3 && strncmp(name, "SIG", 3) == 0) {
        name += 3;
        len -= 3;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strlen(names[i].name) == len && memcmp(names[i].name, name, len) == 0) {
            value->name = names[i].name;
            value->number = names[i].number;
            return true;
        }
    }
    return false;
}

const char *value_signal(const char *text, struct change_signal *value)
{
    const char *colon = strchr(text, ':');
    int64_t pid;

    *value = (struct change_signal){0};
    if (!colon || !find_signal(text, (size_t)(colon - text), value))
        return "does not begin with a signal's name and ':': HUP, INT, QUIT, USR1, USR2, TERM, "
               "CONT, WINCH";
    if (colon[1] == '/') {
        value->pid_file = colon + 1;
        return value_path(value->pid_file);
    }
    if (value_number(colon + 1, &pid) || pid < 1 || pid > 4194304)
        return "has behind its ':' neither a process's number nor a PID file's absolute path";
    value->pid = (pid_t)pid;
    return NULL;
}
