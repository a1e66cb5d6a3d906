/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFORMANCE_COMMANDS_H
#define CONFORMANCE_COMMANDS_H

#include "base/buf.h"

/*
 * One command a file: argv[0] is its name, the result its exit status. CONFORMANCE_USAGE only for
 * wrong use, or for what is not built yet.
 */
enum { CONFORMANCE_USAGE = 2 };

int conformance_json(int argc, char **argv);
int conformance_pem(int argc, char **argv);
int conformance_key(int argc, char **argv);
int conformance_secret(int argc, char **argv);
int conformance_sigv4(int argc, char **argv);
int conformance_endpoint(int argc, char **argv);
int conformance_profile(int argc, char **argv);
int conformance_file_location(int argc, char **argv);
int conformance_assume_role(int argc, char **argv);
int conformance_imds_endpoint(int argc, char **argv);
int conformance_ecs(int argc, char **argv);
int conformance_chain(int argc, char **argv);
int conformance_retry(int argc, char **argv);
int conformance_error(int argc, char **argv);
int conformance_limbo(int argc, char **argv);
int conformance_primitive(int argc, char **argv);
int conformance_nitro(int argc, char **argv);
int conformance_nitro_mutants(int argc, char **argv);

/* The file that is the command's one argument: 0, or -1 after a message. Free text with buf_free().
 */
int conformance_read(int argc, char **argv, struct buf *text);

/* All of standard input: 0, or -1. Free text with buf_free(). */
int conformance_input(struct buf *text);

#endif
