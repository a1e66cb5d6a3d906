/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/trust.h"
#include "config/options.h"

#define PEM_BEGIN "-----BEGIN "
#define PEM_END   "-----END "
#define BASE64    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
#define BLANKS    " \t\r"
#define BOM       "\xEF\xBB\xBF"

enum { FILE_SIZE_MAX = 2 * 1024 * 1024, LINE_LENGTH_MAX = 4096 };

/* What cannot be looked at counts as there: opening it then says why. */
static bool exists(const char *path)
{
    return access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

const char *config_file_find(const char *named, const char *const candidates[],
                             const char **ignored)
{
    const char *found = named;

    *ignored = NULL;
    for (; *candidates && !*ignored; candidates++) {
        if ((found && strcmp(*candidates, found) == 0) || !exists(*candidates))
            continue;
        if (found)
            *ignored = *candidates;
        else
            found = *candidates;
    }
    return found;
}

/* Who can write to the file decides where keys go. A descriptor, or -1. */
static int open_file(const struct parse *parse, const char *path)
{
    struct trust trust = {.also = TRUST_NOBODY};
    /* Not to block where path is a pipe. */
    int fd = trust_open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, &trust);

    if (fd >= 0)
        return fd;
    if (errno == EPERM)
        return err_set(parse->err, ERR_CONFIG, path, "%s", trust.why);
    return err_set(parse->err, err_of_errno(errno, ERR_CONFIG), path, "cannot be opened: %s",
                   trust.why);
}

static int check_kind(struct parse *parse, int fd)
{
    struct stat file;

    if (fstat(fd, &file))
        return err_set_errno(parse->err, ERR_CONFIG, parse->place, "cannot be examined");
    return S_ISREG(file.st_mode) ? 0 : parse_refuse(parse, "is not a regular file");
}

static int read_all(struct parse *parse, int fd, char *text, size_t *len)
{
    for (*len = 0; *len <= FILE_SIZE_MAX;) {
        ssize_t got = read(fd, text + *len, FILE_SIZE_MAX + 1 - *len);

        if (got == 0)
            return 0;
        if (got > 0)
            *len += (size_t)got;
        else if (errno != EINTR)
            return err_set_errno(parse->err, ERR_CONFIG, parse->place, "cannot be read");
    }
    return parse_refuse(parse, "is larger than %d bytes", FILE_SIZE_MAX);
}

static char *trim(char *text)
{
    size_t len;

    text += strspn(text, BLANKS);
    len = strlen(text);
    while (len > 0 && strchr(BLANKS, text[len - 1]))
        len--;
    text[len] = '\0';
    return text;
}

static int refuse_line(struct parse *parse, char *line)
{
    char word[QUOTED_MAX];

    if (strncmp(line, PEM_BEGIN, strlen(PEM_BEGIN)) == 0)
        return parse_refuse(parse, "a PEM block stands where no option takes one; those of "
                                   "ca-bundle follow each other without a gap");
    line[strcspn(line, " \t")] = '\0';
    return parse_refuse(parse, "%s is not followed by '='", quoted_name(word, line));
}

static int read_entry(struct parse *parse, char *key)
{
    char *equals = strchr(key, '='), *value;
    const struct option *option;

    if (!equals) /* only the first word is shown: the rest may be anything, a pasted secret too */
        return refuse_line(parse, key);
    *equals = '\0';
    key = trim(key);
    value = trim(equals + 1);
    if (config_is_variable(key))
        return config_variable_set(parse, key, value);
    option = option_named(parse, key);
    if (!option)
        return -1;
    return *value ? option_set(parse, option, value) : 0;
}

/* The option that a line means: by its first word, or one so similar that it may be mistyped. */
static const struct option *line_option(const char *line)
{
    size_t len = strcspn(line, BLANKS "=");
    char name[QUOTED_MAX];
    const struct option *option;

    (void)snprintf(name, sizeof name, "%.*s", (int)(len < sizeof name ? len : sizeof name), line);
    option = option_find(name);
    return option ? option : option_near(name, OPTION_NOT_IN_FILE);
}

static int read_line(struct parse *parse, char *line)
{
    char *key = trim(line);
    const struct option *option = line_option(key);

    if (*key == '\0' || *key == '#' || read_entry(parse, key) == 0)
        return 0;
    return parse_forgives(parse, option) ? 0 : -1;
}

/* The end of a line, where its feed stands or the text ends. */
static char *line_end(char *line, char *end)
{
    char *feed = memchr(line, '\n', (size_t)(end - line));

    return feed ? feed : end;
}

/* Whether a line begins with a word, behind blanks. */
static bool begins(const char *line, const char *end, const char *word)
{
    while (line < end && (*line == ' ' || *line == '\t'))
        line++;
    return (size_t)(end - line) >= strlen(word) && memcmp(line, word, strlen(word)) == 0;
}

/* Whether a line sets an option whose value may be PEM, and begins with it; comments do not. */
static bool opens_pem(const char *line, const char *end)
{
    const char *equals = memchr(line, '=', (size_t)(end - line));
    char name[QUOTED_MAX];
    const struct option *option;

    if (!equals || !begins(equals + 1, end, PEM_BEGIN) || equals - line >= QUOTED_MAX)
        return false;
    memcpy(name, line, (size_t)(equals - line));
    name[equals - line] = '\0';
    option = option_find(trim(name));
    return option && (option->flags & OPTION_PEM);
}

/* Whether a line is one of a block's: base64, or blank. */
static bool is_base64(const char *line, const char *end)
{
    while (line < end && memchr(BLANKS BASE64, *line, sizeof BLANKS BASE64 - 1))
        line++;
    while (line < end && memchr(BLANKS "=", *line, sizeof BLANKS "=" - 1))
        line++;
    return line == end;
}

/*
 * The end of an entry: of its line, or, where its value is PEM, of the last block that follows
 * without a gap. *lines counts those that it has. NULL: a block has no end, which is an error of
 * the line where it begins.
 */
static char *entry_end(struct parse *parse, char *line, char *end, unsigned *lines)
{
    char *at = line_end(line, end);
    bool inside = opens_pem(line, at);
    unsigned began = 0;

    for (*lines = 1; inside && at < end; ++*lines) {
        line = at + 1;
        at = line_end(line, end);
        if (begins(line, at, PEM_END)) {
            began = *lines + 1;
            inside = at < end && begins(at + 1, end, PEM_BEGIN);
        } else if (*lines != began && !is_base64(line, at)) {
            at = end;
        }
    }
    if (!inside)
        return at;
    parse->line += began;
    (void)parse_refuse(parse, "a PEM block begins here, and has no line -----END behind it");
    return NULL;
}

/* alone: no block of PEM. */
static int check_line(struct parse *parse, const char *line, const char *stop, bool alone)
{
    if (alone && stop - line > LINE_LENGTH_MAX)
        return parse_refuse(parse, "is longer than %d bytes", LINE_LENGTH_MAX);
    if (memchr(line, '\0', (size_t)(stop - line)))
        return parse_refuse(parse, "holds a NUL byte");
    if (alone && stop > line && memchr(line, '\r', (size_t)(stop - line - 1)))
        return parse_refuse(parse, "has a carriage return within: save it with line feeds");
    return 0;
}

static int read_lines(struct parse *parse, char *text, size_t len)
{
    char *end = text + len, *line = text, *stop;
    unsigned lines;

    if (len >= 2 && (memcmp(text, "\xFF\xFE", 2) == 0 || memcmp(text, "\xFE\xFF", 2) == 0))
        return parse_refuse(parse, "is UTF-16: save it as UTF-8");
    if (len >= strlen(BOM) && memcmp(text, BOM, strlen(BOM)) == 0)
        line += strlen(BOM);
    parse->line = 1;
    for (; line < end; line = stop + 1, parse->line += lines) {
        stop = entry_end(parse, line, end, &lines);
        if (!stop)
            return -1;
        if (check_line(parse, line, stop, lines == 1) == 0)
            *stop = '\0';
        else if (parse_collects(parse, NULL))
            continue;
        else
            return -1;
        if (read_line(parse, line))
            return -1;
    }
    parse->line = 0;
    return 0;
}

int config_file_read(struct parse *parse)
{
    const char *path = parse->store->config.file;
    char *text = NULL;
    size_t len = 0;
    int fd, rc = -1;

    parse->source = SOURCE_FILE;
    (void)snprintf(parse->place, sizeof parse->place, "%s", path);
    fd = open_file(parse, path);
    if (fd < 0)
        return -1;
    text = malloc(FILE_SIZE_MAX + 2); /* a byte that is too much, and a NUL */
    if (!text)
        (void)parse_starved(parse);
    else if (check_kind(parse, fd) == 0 && read_all(parse, fd, text, &len) == 0)
        rc = read_lines(parse, text, len);
    if (text)
        wipe(text, len); /* somebody may have put a secret there by mistake */
    free(text);
    (void)close(fd);
    return rc;
}
