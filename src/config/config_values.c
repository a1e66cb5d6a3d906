/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config_values.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/decimal.h"
#include "base/fs.h"

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define ALNUM  LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS

/* root, dir, and a set's and a file's name together stay below PATH_MAX. */
enum { PATH_LENGTH_MAX = 1023, SECRET_NAME_MAX = 512, ROLE_NAME_MAX = 576, EXPECTED_MAX = 512 };

const char *value_bool(const char *text, bool *value)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"true", true},   {"yes", true}, {"on", true},   {"1", true},
                 {"false", false}, {"no", false}, {"off", false}, {"0", false}};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(text, words[i].word) == 0) {
            *value = words[i].value;
            return NULL;
        }
    }
    return "is not one of true, yes, on, 1, false, no, off, 0";
}

const char *value_number(const char *text, int64_t *number)
{
    *number = decimal_number(text, 999999999);
    return *number < 0 ? "is not a number" : NULL;
}

/* Milliseconds of a duration's unit; 0: it is none. */
static int64_t unit_ms(const char *unit)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};

    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(unit, units[i].unit) == 0)
            return units[i].ms;
    return 0;
}

const char *value_duration(const char *text, int64_t *ms)
{
    const size_t digits = decimal_read(bytes_of_text(text), ms);
    const int64_t unit = unit_ms(text + digits);

    if (digits == 0)
        return "is not a duration, such as 500ms, 90s, 5m, 1h or 2d";
    if (unit == 0)
        return "does not end with one of the units ms, s, m, h, d";
    return *ms < 0 || __builtin_mul_overflow(*ms, unit, ms) ? "is too large" : NULL;
}

const char *value_mode(const char *text, mode_t *mode)
{
    size_t len = strlen(text);

    if (len < 3 || len > 4 || strspn(text, "01234567") != len)
        return "is not a mode of three or four octal digits";
    *mode = (mode_t)strtoul(text, NULL, 8);
    return NULL;
}

static bool is_number(const char *text)
{
    return *text && text[strspn(text, DIGITS)] == '\0';
}

/* A user's or group's number. The largest one means "leave as it is" to chown(2). */
static const char *read_id(const char *text, uint32_t *id)
{
    const int64_t value = decimal_number(text, UINT32_MAX - 1);

    *id = (uint32_t)value;
    return value >= 0 ? NULL : "has too large a number";
}

/*
 * The number behind a name of passwd(5) or group(5), the third field of both. libc would ask a
 * daemon as well, by a socket that the sandbox does not give.
 */
static bool find_id(const char *file, const char *name, uint32_t *id)
{
    struct buf text = {.public = true};
    const size_t len = strlen(name);
    char *line, *rest = NULL, *number = NULL;

    if (fs_read(AT_FDCWD, file, &text) == 0 && text.len > 0)
        for (line = strtok_r((char *)text.data, "\n", &rest); line && !number;
             line = strtok_r(NULL, "\n", &rest))
            if (strncmp(line, name, len) == 0 && line[len] == ':')
                number = strchr(line + len + 1, ':');
    if (number)
        number[1 + strcspn(number + 1, ":")] = '\0';
    if (number && (!is_number(number + 1) || read_id(number + 1, id)))
        number = NULL;
    buf_free(&text);
    return number != NULL;
}

/* Of a user or a group, by its number or its name. */
static const char *read_owner(const char *text, const char *file, const char *unknown, uint32_t *id)
{
    if (is_number(text))
        return read_id(text, id);
    return find_id(file, text, id) ? NULL : unknown;
}

const char *value_owner(const char *text, struct value_owner *value)
{
    size_t len = strcspn(text, ":");
    const char *why;
    char user[64];

    if (len >= sizeof user)
        return "is too long";
    memcpy(user, text, len);
    user[len] = '\0';
    why = read_owner(user, "/etc/passwd",
                     "names a user that is neither a number nor in /etc/passwd", &value->owner);
    value->group = getegid();
    value->group_named = text[len] == ':';
    if (!why && value->group_named)
        why = read_owner(text + len + 1, "/etc/group",
                         "names a group that is neither a number nor in /etc/group", &value->group);
    return why;
}

/* Goes over an ARN's field, least to most bytes of one kind, and the ':' behind it. */
static bool skip_field(const char **at, const char *kind, size_t least, size_t most)
{
    size_t len = strspn(*at, kind);

    *at += len;
    return len >= least && len <= most && *(*at)++ == ':';
}

static bool skip_word(const char **at, const char *word)
{
    size_t len = strlen(word);

    if (strncmp(*at, word, len) != 0)
        return false;
    *at += len;
    return true;
}

static bool is_secret_name(const char *text, size_t most)
{
    size_t len = strlen(text);

    return len >= 1 && len <= most && strspn(text, ALNUM "/_+=.@-") == len;
}

/* Why it is no secret's ARN, or NULL. Behind the name AWS puts "-" and six characters. */
static const char *check_arn(const char *text)
{
    const char *name = text;
    size_t len;

    for (unsigned i = 0; i < 6; i++)
        name += strcspn(name, ":") + (name[strcspn(name, ":")] == ':');
    len = strcspn(name, ":");
    if (name[len] == ':' && strstr(text, ":secret:"))
        return "has a ':' behind the secret's name: leave that and all behind it off, which ECS "
               "takes for a field of the document or a version (there is version-stage)";
    if (skip_word(&text, "arn:") && skip_field(&text, LOWER DIGITS "-", 1, 32) &&
        skip_word(&text, "secretsmanager:") && skip_field(&text, LOWER DIGITS "-", 1, 63) &&
        skip_field(&text, DIGITS, 12, 12) && skip_word(&text, "secret:") &&
        is_secret_name(text, SECRET_NAME_MAX + 7))
        return NULL;
    return "is not a secret's ARN, arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME";
}

const char *value_secret(const char *text, char sub[static CONFIG_SUB_MAX], const char **id)
{
    bool arn = strncmp(text, "arn:", 4) == 0;
    const char *split = arn ? NULL : strstr(text, "=arn:"); /* a name may hold '=', but no ':' */
    size_t len = split ? (size_t)(split - text) : 0;

    if (split &&
        (len < 1 || len >= CONFIG_SUB_MAX || text[0] == '.' || strspn(text, ALNUM "._-") < len))
        return "has before '=' no subdirectory: 1 to 63 letters, digits, '.', '_' and '-', the "
               "first no '.'";
    memcpy(sub, text, len);
    sub[len] = '\0';
    *id = split ? split + 1 : text;
    if (arn || split)
        return check_arn(*id);
    if (!is_secret_name(text, SECRET_NAME_MAX))
        return "is not a secret's name, 1 to 512 letters, digits and any of /_+=.@-";
    return NULL;
}

static bool has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

const char *value_path(const char *text)
{
    if (text[0] != '/')
        return "is not an absolute path";
    if (strlen(text) > PATH_LENGTH_MAX)
        return "is too long for a path";
    if (has_control(text))
        return "has a control byte";
    for (const char *at = text; (at = strstr(at, "/..")) != NULL; at += 3)
        if (at[3] == '/' || at[3] == '\0')
            return "has a '..' in it";
    return NULL;
}

const char *value_root(const char *text)
{
    return *text ? value_path(text) : NULL;
}

const char *value_expected(const char *text)
{
    size_t len = strlen(text);

    if (len == 0 || len > EXPECTED_MAX)
        return "is not of 1 to 512 characters";
    for (; *text; text++)
        if (*text < 0x20 || *text > 0x7e)
            return "has other characters than those of ASCII; write bytes as \\C3\\A4";
    return NULL;
}

const char *value_fingerprint(char *text)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *in = text, *digit;
    size_t count = 0;

    for (; *in && (digit = strchr(digits, *in)); in++) {
        text[count++] = digits[(digit - digits) % 16];
        if (count % 2 == 0 && in[1] == ':' && in[2] != '\0')
            in++;
    }
    if (*in || count != 64)
        return "is no SHA-256 of 64 hexadecimal digits, with or without colons";
    text[count] = '\0';
    return NULL;
}

const char *value_region(const char *text)
{
    size_t len = strlen(text);

    if (len == 0 || len > 63 || strspn(text, LOWER DIGITS "-") != len || text[0] == '-' ||
        text[len - 1] == '-')
        return "is not an AWS region, such as eu-central-1";
    /* "eu-central-1a": a region's number, and a letter behind it. */
    if (len > 3 && strchr(LOWER, text[len - 1]) && strchr(DIGITS, text[len - 2]) &&
        text[len - 3] == '-')
        return "is an availability zone: its region is the same without the last letter";
    return NULL;
}

const char *value_profile(const char *text)
{
    if (*text == '\0' || strspn(text, ALNUM "_-/.%@:+") != strlen(text))
        return "is not a profile's name: letters, digits and any of _-/.%@:+";
    return NULL;
}

const char *value_role_arn(const char *text)
{
    size_t len;

    if (!skip_word(&text, "arn:") || !skip_field(&text, LOWER DIGITS "-", 1, 32) ||
        !skip_word(&text, "iam::") || !skip_field(&text, DIGITS, 12, 12) ||
        !skip_word(&text, "role/"))
        return "is not a role's ARN, arn:PARTITION:iam::ACCOUNT:role/NAME";
    len = strlen(text);
    if (len < 1 || len > ROLE_NAME_MAX || strspn(text, ALNUM "_+=,.@/-") != len)
        return "has no role's name behind role/";
    return NULL;
}

const char *value_role_session_name(const char *text)
{
    size_t len = strlen(text);

    if (len < 2 || len > 64 || strspn(text, ALNUM "_+=,.@-") != len)
        return "is not a session's name: 2 to 64 letters, digits and any of _+=,.@-";
    return NULL;
}

const char *value_role_external_id(const char *text)
{
    size_t len = strlen(text);

    if (len < 2 || len > 1224 || strspn(text, ALNUM "_+=,.@:/-") != len)
        return "is not an external ID: 2 to 1224 letters, digits and any of _+=,.@:/-";
    return NULL;
}

const char *value_version_stage(const char *text)
{
    size_t len = strlen(text);

    return len >= 1 && len <= 256 && strspn(text, ALNUM "/_+=.@-:") == len
               ? NULL
               : "is not a staging label, 1 to 256 letters, digits and any of /_+=.@-:";
}

const char *value_version_id(const char *text)
{
    size_t len = strlen(text);

    return len >= 32 && len <= 64 && strspn(text, ALNUM "-_") == len
               ? NULL
               : "is not a version's id of 32 to 64 letters, digits, '-' and '_'";
}

const char *value_ca_bundle(const char *text)
{
    if (strncmp(text, "-----BEGIN ", 11) != 0)
        return value_path(text);
    if (strstr(text, "PRIVATE KEY"))
        return "holds a private key";
    return strstr(text, "-----END CERTIFICATE-----") ? NULL : "holds no whole certificate";
}
