/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/output.h"

#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"

bool output_json;
static int failed; /* the exit status of that; 0: all was written */

void output_check(int result)
{
    struct err err;

    if (result == 0 || failed)
        return;
    (void)err_set_errno(&err, ERR_OUTPUT, "standard output", "it cannot be written");
    failed = log_error(&err);
}

void output_write(struct bytes text)
{
    output_check(fs_write_all(STDOUT_FILENO, text));
}

int output_status(int status)
{
    return failed ? failed : status;
}
