/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ERR_TABLE_H
#define BASE_ERR_TABLE_H

#include "base/err.h"

/*
 * The tables of err.h, by enum err_code; that of the causes begins with ERR_CODES, which is no
 * cause.
 */
extern const struct err_info err_codes[ERR_CODES];

struct err_cause {
    const char *name; /* stable, as a code's is */
    enum err_code code;
    const char *remedy;
};
extern const struct err_cause err_causes[ERR_CAUSES - ERR_CODES];

#endif
