/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/decimal.h"
#include "base/trust.h"
#include "config/config_values.h"
#include "config/options.h"

enum { PCR_DIGITS = 96, PCRS = 32, ROOTS_FILE_MAX = 8192 };

#define HEX "0123456789abcdefABCDEF"

/* NUMBER:HEX at *text, which moves behind it; -1: it is none, -2: it is zero. */
static int read_pcr(const char **text)
{
    int64_t number;
    const size_t digits = decimal_read(bytes_of_text(*text), &number);
    const char *at = *text + digits;

    if (digits == 0 || (digits > 1 && **text == '0') || *at++ != ':' || number < 0 ||
        number >= PCRS || strspn(at, HEX) != PCR_DIGITS)
        return -1;
    *text = at + PCR_DIGITS;
    return strspn(at, "0") == PCR_DIGITS ? -2 : (int)number;
}

const char *value_pcrs(const char *text)
{
    uint32_t seen = 0;

    for (;;) {
        const int number = read_pcr(&text);

        if (number == -2)
            return "has a PCR of zeros, as every enclave in debug mode";
        if (number < 0 || (*text != '\0' && *text != '+'))
            return "is not N:HEX of 96 digits, or several joined by '+'";
        if (seen & UINT32_C(1) << number)
            return "has a PCR twice";
        seen |= UINT32_C(1) << number;
        if (*text++ == '\0')
            break;
    }
    return seen & (1U << 0 | 1U << 8) ? NULL : "has neither PCR0 nor PCR8: any image would do";
}

static int hex_value(char digit)
{
    return digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10;
}

/* The bytes of a line, with or without colons between them. */
static bool read_fingerprint(const char *line, size_t len, uint8_t out[CONFIG_ROOT_SIZE])
{
    const char *end = line + len;
    size_t i;

    for (i = 0; i < CONFIG_ROOT_SIZE; i++, line += 2) {
        if (i > 0 && line < end && *line == ':')
            line++;
        if (end - line < 2 || strspn(line, HEX) < 2)
            return false;
        out[i] = (uint8_t)(hex_value(line[0]) << 4 | hex_value(line[1]));
    }
    return line == end;
}

static const char *read_roots(const char *text, struct config *config)
{
    static const char blank[] = " \t\r";

    while (*text) {
        size_t len = strcspn(text, "\n");
        const char *line = text + strspn(text, blank), *next = text + len + (text[len] == '\n');

        for (len = (size_t)(text + len - line); len > 0 && strchr(blank, line[len - 1]);)
            len--;
        text = next;
        if (line >= next || len == 0 || *line == '#' || *line == '\n')
            continue;
        if (config->attest_root_count == CONFIG_ROOTS_MAX)
            return "holds more than 8";
        if (!read_fingerprint(line, len, config->attest_roots[config->attest_root_count++]))
            return "has a line that is no SHA-256 in hexadecimal";
    }
    return config->attest_root_count > 0 ? NULL : "holds no fingerprint";
}

/* Whoever can write to it decides whose hardware is believed. */
static const char *read_file(int fd, char text[ROOTS_FILE_MAX + 1])
{
    struct stat file;
    size_t len = 0;
    ssize_t got;

    if (fstat(fd, &file) < 0 || !S_ISREG(file.st_mode) || file.st_uid != 0)
        return "is not a regular file of root's";
    while ((got = read(fd, text + len, ROOTS_FILE_MAX + 1 - len)) != 0) {
        if (got < 0 && errno != EINTR)
            return "cannot be read";
        len += got > 0 ? (size_t)got : 0;
        if (len > ROOTS_FILE_MAX)
            return "is too large";
    }
    text[len] = '\0';
    return strlen(text) == len ? NULL : "holds a NUL byte";
}

const char *value_roots(const char *path, struct config *config)
{
    struct trust trust = {.also = TRUST_NOBODY};
    char text[ROOTS_FILE_MAX + 1];
    const char *why = value_path(path);
    int fd;

    config->attest_root = path;
    config->attest_root_count = 0;
    if (why)
        return why;
    fd = trust_open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, &trust);
    if (fd < 0)
        return errno == EPERM ? "could be written by others than root" : "cannot be opened";
    why = read_file(fd, text);
    (void)close(fd);
    return why ? why : read_roots(text, config);
}

/* What only another profile has, or only this one. */
static const char *generic_flaw(const struct parse *parse, const char **option)
{
    static const char *const names[] = {"attest-path", "attest-field", "attest-binding"};
    size_t i;

    for (i = 0; i < sizeof names / sizeof *names; i++) {
        const enum source source = option_source(parse, names[i]);

        if (source == SOURCE_NONE || source == SOURCE_DEFAULT)
            continue;
        *option = names[i];
        return "is for attest-profile generic";
    }
    return NULL;
}

static const char *require_flaw(const struct config *config)
{
    if (config->attest_pcr_count == 0)
        return "would take any image: name those that may answer in attest-pcr";
    if (config->endpoint_count == 0)
        return "needs an endpoint to ask";
    if (config->rehearse == REHEARSE_OFF)
        return "needs rehearse, which is off";
    return NULL;
}

const char *config_attest_flaw(const struct parse *parse, const char **option)
{
    const struct config *config = &parse->store->config;
    const char *why = NULL;

    if (config->attest_profile != ATTEST_GENERIC)
        why = generic_flaw(parse, option);
    if (why)
        return why;
    *option = "attest-pins";
    if (config->attest_pins && verb_of(config->command) & (VERB_FETCH | VERB_RUN) &&
        (config->attest == ATTEST_OFF || config->attest_pcr_count == 0))
        return "would hold no key, or that of anybody's enclave: it needs attest and attest-pcr";
    *option = "attest";
    if (config->attest == ATTEST_REQUIRE)
        why = require_flaw(config);
    if (why)
        return why;
    *option = "endpoint";
    if (config->operand && config->at == CONFIG_NOW && verb_of(config->command) == VERB_ATTEST &&
        option_source(parse, "endpoint") == SOURCE_FLAGS)
        return "is asked, or a document in a file is judged: not both";
    if (config->at == CONFIG_NOW)
        return NULL;
    *option = "at";
    if (!config->operand || !config->command || strcmp(config->command, "attest") != 0 ||
        (config->endpoint_count > 0 && option_source(parse, "endpoint") != SOURCE_FILE))
        return "is for attest and a document in a file";
    return config->attest == ATTEST_REQUIRE ? "lets old documents pass, and attest none" : NULL;
}

void config_attest_log(const struct config *config)
{
    size_t i;

    if (config->attest == ATTEST_OFF && config->attest_pcr_count > 0 &&
        verb_of(config->command) & (VERB_FETCH | VERB_RUN))
        log_event(LOG_LEVEL_WARNING, "attest_off",
                  log_s("reason", "attest-pcr names images, and nobody is asked: set attest"));
    for (i = 0; i < config->attest_pcr_count; i++) {
        const char *set = config->attest_pcrs[i];

        if (strncmp(set, "0:", 2) != 0 && !strstr(set, "+0:"))
            log_event(
                LOG_LEVEL_WARNING, "attest_signer_alone", log_n("set", (int64_t)i + 1),
                log_s("reason", "PCR8 without PCR0: every old image of that signer meets it"));
    }
}
