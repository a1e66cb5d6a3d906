/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMANDS_PROBE_PRINT_H
#define COMMANDS_PROBE_PRINT_H

#include <stdbool.h>
#include <stdint.h>

struct config;
struct endpoint;
struct probe;
struct probe_answer;

/*
 * What probe says on standard output, as it comes: with --request the answers' bodies and nothing
 * else, with --json one array, else a table.
 */
struct probe_output {
    const struct config *config;
    const char *set; /* the subdirectory, or "" */
    int64_t round;   /* from 1 */
    int width;       /* of the endpoints' column */
    bool begun;      /* the array has an element */
    bool failed;     /* an endpoint did not accept */
};

void probe_print_begin(struct probe_output *output);
void probe_print(void *output, const struct endpoint *endpoint, const struct probe *probe,
                 const struct probe_answer *answer);
void probe_print_end(const struct probe_output *output);

#endif
