/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/fs.h"
#include "commands.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"json", conformance_json, "FILE: exit 0 where it is JSON, 1 where not"},
    {"pem", conformance_pem, "FILE: exit 0 where its blocks decode and its certificates parse"},
    {"key", conformance_key, "FILE: the private key's kind; exit 1 where it is refused"},
    {"secret", conformance_secret, "FILE: the files that the document installs; exit 65 if none"},
    {"sigv4", conformance_sigv4, "FOLDER: canonical request, string to sign, signature"},
    {"endpoint", conformance_endpoint,
     "[secretsmanager|sts]: the URL of the case on standard input, or error"},
    {"profile", conformance_profile, "the profiles of the case on standard input, or error"},
    {"file-location", conformance_file_location, "where its profiles are, and which one is meant"},
    {"assume-role", conformance_assume_role, "the steps to its profile's credentials, or error"},
    {"imds-endpoint", conformance_imds_endpoint, "where it asks for metadata, or error"},
    {"ecs", conformance_ecs, "where it asks for container credentials, or error"},
    {"chain", conformance_chain, "FOLDER: the credentials of the case, or error"},
    {"retry", conformance_retry,
     "whether the row on standard input is throttling, transient, none"},
    {"error", conformance_error,
     "FILE: AWS's code in an answer; what we make of it goes to stderr"},
    {"limbo", conformance_limbo, "FILE: results of an x509-limbo suite, as JSON"},
    {"primitive", conformance_primitive,
     "pss|private|agree|gcm|chapol|hkdf: what each case on standard input gives"},
    {"nitro", conformance_nitro,
     "FILE: whether an attestation document is AWS's, at its own time; else why not, and exit 1"},
    {"nitro-mutants", conformance_nitro_mutants,
     "FILE: how many of its damaged copies are accepted; exit 1 where there is one"},
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static int usage(void)
{
    size_t i;

    fprintf(stderr, "usage: conformance COMMAND [ARGUMENT]...\n");
    for (i = 0; i < COMMANDS; i++)
        fprintf(stderr, "  %-13s %s\n", commands[i].name, commands[i].help);
    return CONFORMANCE_USAGE;
}

int conformance_read(int argc, char **argv, struct buf *text)
{
    text->tag = ARENA_DOCUMENT;
    if (argc != 2) {
        fprintf(stderr, "usage: conformance %s FILE\n", argv[0]);
        return -1;
    }
    if (fs_read(AT_FDCWD, argv[1], text) < 0) {
        fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
        return -1;
    }
    return 0;
}

int conformance_input(struct buf *text)
{
    ssize_t n;

    text->tag = ARENA_DOCUMENT;
    do {
        if (buf_reserve(text, PIPE_BUF) < 0)
            return -1;
        n = read(STDIN_FILENO, text->data + text->len, PIPE_BUF);
        if (n < 0)
            return -1;
        text->len += (size_t)n;
        text->data[text->len] = '\0';
    } while (n > 0);
    return 0;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    size_t i;

    if (argc < 2)
        return usage();
    if (arena_open(&(struct arena_options){.lock_preferred = true}, &err) < 0) {
        fprintf(stderr, "conformance: %s\n", err.reason);
        return CONFORMANCE_USAGE;
    }
    for (i = 0; i < COMMANDS; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    return usage();
}
