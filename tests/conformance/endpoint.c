/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "commands.h"

int conformance_endpoint(int argc, char **argv)
{
    (void)argc;
    fprintf(stderr, "%s: not built yet\n", argv[0]);
    return CONFORMANCE_USAGE;
}
