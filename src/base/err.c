/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/err_table.h"

/* Of a failed system call: what errno says besides. */
static const struct {
    enum err_code code;
    int error;
    enum err_code cause;
} telling[] = {
    {ERR_INSTALL_FAILED, ENOSPC, CAUSE_DISK_FULL}, {ERR_INSTALL_FAILED, EDQUOT, CAUSE_DISK_FULL},
    {ERR_INSTALL_FAILED, EROFS, CAUSE_READ_ONLY},  {ERR_INSTALL_FAILED, EACCES, CAUSE_DIR_DENIED},
    {ERR_INSTALL_FAILED, EPERM, CAUSE_DIR_DENIED},
};

/* The row of a cause; NULL: a code has none. */
static const struct err_cause *find_cause(enum err_code code)
{
    return code > ERR_CODES && code < ERR_CAUSES ? &err_causes[code - ERR_CODES] : NULL;
}

static int fill(struct err *err, enum err_code code, const char *subject)
{
    const struct err_cause *cause = find_cause(code);

    err->code = cause ? cause->code : code;
    err->cause = code;
    err->young = err->down = false;
    (void)snprintf(err->subject, sizeof err->subject, "%s", subject ? subject : "");
    return -1;
}

/* A code that was set by itself is its own cause. */
static const struct err_cause *cause_of(const struct err *err)
{
    const struct err_cause *cause = find_cause(err->cause);

    return cause && cause->code == err->code ? cause : NULL;
}

const char *err_remedy(const struct err *err)
{
    const struct err_cause *cause = cause_of(err);

    return cause ? cause->remedy : err_info(err->code)->remedy;
}

const char *err_cause(const struct err *err)
{
    const struct err_cause *cause = cause_of(err);

    return cause ? cause->name : err_info(err->code)->name;
}

int err_set(struct err *err, enum err_code code, const char *subject, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(err->reason, sizeof err->reason, format, arguments);
    va_end(arguments);
    return fill(err, code, subject);
}

enum err_code err_of_errno(int error, enum err_code otherwise)
{
    return error == EMFILE || error == ENFILE ? ERR_DESCRIPTORS_FULL : otherwise;
}

int err_set_errno(struct err *err, enum err_code code, const char *subject, const char *format, ...)
{
    int saved = errno;
    size_t len, i;
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(err->reason, sizeof err->reason, format, arguments);
    va_end(arguments);
    len = strlen(err->reason);
    (void)snprintf(err->reason + len, sizeof err->reason - len, ": %s", strerror(saved));
    for (i = 0; i < sizeof telling / sizeof *telling; i++)
        if (telling[i].code == code && telling[i].error == saved)
            return fill(err, telling[i].cause, subject);
    return fill(err, err_of_errno(saved, code), subject);
}

const struct err_info *err_info(enum err_code code)
{
    const struct err_cause *cause = find_cause(code);

    if (cause)
        code = cause->code;
    return &err_codes[(unsigned)code < ERR_CODES ? code : ERR_SYSTEM];
}
