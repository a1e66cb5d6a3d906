/* SPDX-License-Identifier: Apache-2.0
 * The identity that mtls-agent has installed: read as one set, and read again after a rotation. */
#ifndef INSTALLED_SET_H
#define INSTALLED_SET_H

#include <stddef.h>

/* Keys and chains are smaller: the agent's secrets have 64 KiB at most. */
enum { INSTALLED_FILE_MAX = 128 * 1024, INSTALLED_NAME_MAX = 256 };

struct installed_file {
    size_t size;
    char bytes[INSTALLED_FILE_MAX]; /* PEM, not terminated */
};

/* A leaf with its chain, its key, and the CA of the enclave: they belong together. Starts as
 * zeroes. */
struct installed_set {
    char name[INSTALLED_NAME_MAX]; /* the target of ..data; "." where files were put by other means
                                    */
    struct installed_file cert, key, ca;
};

/* Reads the set that is installed in directory, unless that is the one that set holds already.
 * Returns 1 where set holds another one now, 0 where it is the same, and -1 with errno where it
 * could not be read: then set is as it was. */
int installed_set_follow(struct installed_set *set, const char *directory);

#endif
