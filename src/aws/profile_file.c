/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/profile_file.h"

#include <stdio.h>
#include <string.h>

enum { LINES_MAX = 16384 };

#define BLANK " \t\r\f\v"

/* A section without its prefix; told from "default" in the text by its address. */
static const char bare_default[] = "default";

struct reader {
    struct profile_file *file;
    unsigned line;
    bool in_section, in_property;
    const char *section;
    bool prefixed_default; /* [profile default] was there */
    bool nested;           /* the property's value is lines "name = value" */
    char *value_end;       /* where a continuation is put */
};

size_t profile_file_count(const struct profile_file *file)
{
    return file->lines.len / sizeof(struct profile_line);
}

static struct profile_line *line_at(const struct profile_file *file, size_t i)
{
    return (struct profile_line *)(void *)file->lines.data + i;
}

const struct profile_line *profile_file_line(const struct profile_file *file, size_t i)
{
    return line_at(file, i);
}

/* Ends text before the blanks at its end, and skips those at its beginning. */
static char *trim(char *text)
{
    size_t len;

    text += strspn(text, BLANK);
    for (len = strlen(text); len > 0 && strchr(BLANK, text[len - 1]); len--)
        continue;
    text[len] = '\0';
    return text;
}

/* What profiles and properties are named by; other names are ignored. */
static bool is_name(const char *text)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-/.%@:+";

    return *text && text[strspn(text, letters)] == '\0';
}

/* Ends line before a comment: anywhere, or only behind a blank. */
static void cut_comment(char *line, bool behind_blank)
{
    char *at = line;

    while ((at = strpbrk(at, "#;")) != NULL) {
        if (!behind_blank || (at > line && strchr(BLANK, at[-1]))) {
            *at = '\0';
            return;
        }
        at++;
    }
}

static const char *add_line(struct reader *reader, const struct profile_line *line)
{
    if (profile_file_count(reader->file) == LINES_MAX)
        return "is one too many";
    return buf_append(&reader->file->lines, line, sizeof *line) < 0 ? "finds no memory" : NULL;
}

/* What stands behind a section's prefix, "profile NAME"; NULL: the prefix is another. */
static char *behind_prefix(char *text, const char *prefix)
{
    size_t len = strlen(prefix);

    if (strncmp(text, prefix, len) != 0 || !strchr(" \t", text[len]))
        return NULL;
    return text[len] ? trim(text + len) : NULL;
}

/* The name under which a section of the config file is kept. */
static const char *config_section(struct reader *reader, char *text)
{
    static const char *const kinds[] = {"services", "sso-session"};
    char *name = behind_prefix(text, "profile");
    size_t i;

    if (strcmp(text, bare_default) == 0)
        return bare_default;
    if (name) {
        reader->prefixed_default |= strcmp(name, bare_default) == 0;
        return is_name(name) ? name : "";
    }
    for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        name = behind_prefix(text, kinds[i]);
        if (!name || !is_name(name))
            continue;
        text[strlen(kinds[i])] = ' ';
        memmove(text + strlen(kinds[i]) + 1, name, strlen(name) + 1);
        return text;
    }
    return "";
}

static const char *read_section(struct reader *reader, char *line)
{
    size_t len;
    char *name;

    cut_comment(line, false);
    name = trim(line);
    len = strlen(name);
    if (name[len - 1] != ']')
        return "is a section that does not end with ]";
    name[len - 1] = '\0';
    name = trim(name + 1);
    if (reader->file->kind == PROFILE_CONFIG)
        reader->section = config_section(reader, name);
    else
        reader->section = is_name(name) ? name : "";
    reader->in_section = true;
    reader->in_property = false;
    return add_line(reader, &(struct profile_line){.section = reader->section});
}

static void to_lower(char *text)
{
    for (; *text; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text - 'A' + 'a');
}

static const char *read_property(struct reader *reader, char *line)
{
    char *value, *name;

    if (!reader->in_section)
        return "stands before the first section";
    cut_comment(line, true);
    value = strchr(line, '=');
    if (!value)
        return "has no =";
    *value++ = '\0';
    name = trim(line);
    value = trim(value);
    if (!*name)
        return "has no name before its =";
    to_lower(name);
    reader->in_property = true;
    reader->nested = !*value;
    reader->value_end = value + strlen(value);
    return add_line(reader,
                    &(struct profile_line){is_name(name) ? reader->section : "", name, value});
}

/* Moves a line up to the end of the value that it continues: there is room, since it was indented.
 */
static const char *read_continuation(struct reader *reader, char *line)
{
    char *text = trim(line);
    size_t len = strlen(text);

    if (!reader->in_section)
        return "stands before the first section";
    if (!reader->in_property)
        return "is indented, but continues no property";
    if (reader->nested && (!strchr(text, '=') || *text == '='))
        return "is no name and value below a property";
    *reader->value_end = '\n';
    memmove(reader->value_end + 1, text, len + 1);
    reader->value_end += 1 + len;
    return NULL;
}

static const char *read_line(struct reader *reader, char *line)
{
    char first = line[strspn(line, BLANK)];

    if (first == '\0' || first == '#' || first == ';')
        return NULL;
    if (strchr(BLANK, *line))
        return read_continuation(reader, line);
    return *line == '[' ? read_section(reader, line) : read_property(reader, line);
}

/* [default] counts for nothing beside [profile default]. */
static void drop_bare_default(struct profile_file *file)
{
    size_t i;

    for (i = 0; i < profile_file_count(file); i++)
        if (line_at(file, i)->section == bare_default)
            line_at(file, i)->section = "";
}

int profile_file_parse(struct profile_file *file, char reason[PROFILE_REASON_MAX])
{
    struct reader reader = {.file = file};
    char *at = (char *)file->text.data, *line;
    const char *why = NULL;

    file->lines.tag = ARENA_WORK;
    if (file->text.len > 0 && strlen(at) != file->text.len) {
        (void)snprintf(reason, PROFILE_REASON_MAX, "it holds a NUL byte");
        return -1;
    }
    if (file->text.len >= 3 && memcmp(at, "\xEF\xBB\xBF", 3) == 0) /* a byte order mark */
        at += 3;
    while (!why && (line = strsep(&at, "\n"))) {
        reader.line++;
        why = read_line(&reader, line);
    }
    if (reader.prefixed_default)
        drop_bare_default(file);
    if (why)
        (void)snprintf(reason, PROFILE_REASON_MAX, "line %u %s", reader.line, why);
    return why ? -1 : 0;
}

bool profile_file_has(const struct profile_file *file, const char *section)
{
    size_t i;

    for (i = 0; i < profile_file_count(file); i++)
        if (*section && strcmp(line_at(file, i)->section, section) == 0)
            return true;
    return false;
}

const char *profile_file_get(const struct profile_file *file, const char *section, const char *name)
{
    size_t i;

    for (i = profile_file_count(file); *section && i-- > 0;) {
        const struct profile_line *line = line_at(file, i);

        if (line->name && strcmp(line->name, name) == 0 && strcmp(line->section, section) == 0)
            return line->value;
    }
    return NULL;
}

void profile_file_free(struct profile_file *file)
{
    buf_free(&file->text);
    buf_free(&file->lines);
}
