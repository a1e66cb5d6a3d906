/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes a pair of certificate and key as fast as it goes, or reads it meanwhile and counts what
 * is wrong. PAIRS holds 0.crt, 0.key, 1.crt, 1.key, ... of pairs that belong together.
 *
 *   rotations PAIRS DIR write WAY COUNT
 *     set         the agent's own installer, with client.pem as well
 *     renamed     certificate, then key: each written beside its place, synced, and renamed to it
 *     truncated   certificate, then key: each opened, emptied and written where it is
 *
 *   rotations PAIRS DIR read WAY      until standard input ends
 *     pinned      "..data" is opened once, both files are opened below it
 *     compared    by their names, between two readlink(2) of "..data" that agree
 *     combined    client.pem
 *     plain       client.crt and client.key by their names
 *
 * Whoever reads prints: how often, how many of these were mixed, torn (half a file, or an empty
 * one) and missing, and how often it had to begin anew. A file that is not found while "..data"
 * changes is no missing one: the set was removed on the way to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "install/install.h"

enum { PAIRS_MAX = 16, FILE_MAX = 8192, DAY = 86400, LOOK_EACH = 256, USAGE = 64, BROKEN = 99 };
enum { TORN = -1, MISSING = -2, ANEW = -3 };

struct text {
    char data[FILE_MAX];
    size_t len;
};

static struct text certs[PAIRS_MAX], keys[PAIRS_MAX], combined[PAIRS_MAX];
static int pairs;

_Noreturn static void fail(const char *what)
{
    perror(what);
    exit(BROKEN);
}

/* 0; MISSING where there is no such file. */
static int read_file(int at, const char *name, struct text *text)
{
    int fd = openat(at, name, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    text->len = 0;
    if (fd < 0 && errno == ENOENT)
        return MISSING;
    if (fd < 0)
        fail(name);
    while ((n = read(fd, text->data + text->len, FILE_MAX - text->len)) > 0)
        text->len += (size_t)n;
    close(fd);
    return 0;
}

static void load(const char *directory)
{
    int at = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char name[32];

    for (; pairs < PAIRS_MAX; pairs++) {
        struct text *both = &combined[pairs];

        (void)snprintf(name, sizeof name, "%d.crt", pairs);
        if (read_file(at, name, &certs[pairs]) < 0)
            break;
        (void)snprintf(name, sizeof name, "%d.key", pairs);
        if (read_file(at, name, &keys[pairs]) < 0)
            fail(name);
        both->len = keys[pairs].len + certs[pairs].len;
        if (both->len > FILE_MAX)
            fail("too long");
        memcpy(both->data, keys[pairs].data, keys[pairs].len);
        memcpy(both->data + keys[pairs].len, certs[pairs].data, certs[pairs].len);
    }
    close(at);
    if (pairs < 2)
        fail(directory);
}

/* ---- reading ---- */

/* Which pair's it is; TORN: nobody's. */
static int number_of(const struct text *text, const struct text *known)
{
    for (int i = 0; i < pairs; i++)
        if (text->len == known[i].len && memcmp(text->data, known[i].data, text->len) == 0)
            return i;
    return TORN;
}

/* The numbers of both files in a directory. */
static void read_both(int at, int *cert, int *key)
{
    static struct text text;

    *cert = read_file(at, "client.crt", &text);
    if (*cert == 0)
        *cert = number_of(&text, certs);
    *key = read_file(at, "client.key", &text);
    if (*key == 0)
        *key = number_of(&text, keys);
}

static void read_pinned(int at, int *cert, int *key)
{
    int set = openat(at, "..data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (set < 0) {
        *cert = *key = errno == ENOENT ? MISSING : TORN;
        return;
    }
    read_both(set, cert, key);
    if (*cert == MISSING || *key == MISSING) /* the set was removed meanwhile */
        *cert = *key = ANEW;
    close(set);
}

struct link {
    char name[NAME_MAX];
    ssize_t len;
};

/* Which set is current; there is none where a pair does not lie in sets. */
static struct link current_set(int at)
{
    struct link link;

    link.len = readlinkat(at, "..data", link.name, sizeof link.name);
    return link;
}

static bool has_changed(int at, const struct link *before)
{
    struct link now = current_set(at);

    return now.len != before->len ||
           (now.len > 0 && memcmp(now.name, before->name, (size_t)now.len) != 0);
}

static void read_compared(int at, int *cert, int *key)
{
    struct link before = current_set(at);

    read_both(at, cert, key);
    if (before.len < 0 || has_changed(at, &before))
        *cert = *key = ANEW;
}

static void read_combined(int at, int *cert, int *key)
{
    static struct text text;

    *cert = read_file(at, INSTALL_COMBINED, &text);
    if (*cert == 0)
        *cert = number_of(&text, combined);
    *key = *cert;
}

static const struct {
    const char *name;
    void (*read)(int at, int *cert, int *key);
} readers[] = {{"pinned", read_pinned},
               {"compared", read_compared},
               {"combined", read_combined},
               {"plain", read_both}};

static bool is_over(void)
{
    struct pollfd input = {STDIN_FILENO, POLLIN, 0};

    return poll(&input, 1, 0) != 0;
}

static int read_on(int at, void (*look)(int at, int *cert, int *key))
{
    long reads = 0, mixed = 0, torn = 0, missing = 0, anew = 0;
    int cert, key;

    (void)puts("ready");
    (void)fflush(stdout);
    while ((reads + anew) % LOOK_EACH != 0 || !is_over()) {
        struct link before = current_set(at);

        look(at, &cert, &key);
        if (cert == ANEW || ((cert == MISSING || key == MISSING) && has_changed(at, &before))) {
            anew++;
            continue;
        }
        reads++;
        if (cert == MISSING || key == MISSING)
            missing++;
        else if (cert == TORN || key == TORN)
            torn++;
        else if (cert != key)
            mixed++;
    }
    (void)printf("%ld %ld %ld %ld %ld\n", reads, mixed, torn, missing, anew);
    return 0;
}

/* ---- writing ---- */

static void put_truncated(int at, const char *name, const struct text *text)
{
    int fd = openat(at, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0 || write(fd, text->data, text->len) != (ssize_t)text->len || fsync(fd) < 0 ||
        close(fd) < 0)
        fail(name);
}

static void put_renamed(int at, const char *name, const struct text *text)
{
    put_truncated(at, "new", text);
    if (renameat(at, "new", at, name) < 0)
        fail(name);
}

static void write_set(const char *dir, int version, int number)
{
    const struct install_target target = {
        .root = "",
        .dir = dir,
        .sub = "",
        .key_mode = 0600,
        .cert_mode = 0644,
        .dir_mode = 0755,
        .keep_previous_ms = DAY * 1000,
        .deadline = clock_ms() + DAY * 1000,
        .lock_dir = dir, /* and not the machine's */
    };
    const struct install_file files[] = {
        {"client.crt", bytes_of(certs[number].data, certs[number].len), false},
        {"client.key", bytes_of(keys[number].data, keys[number].len), true},
        {INSTALL_COMBINED, bytes_of(combined[number].data, combined[number].len), true},
    };
    char name[32], fingerprint[65];
    const struct install_source source = {"arn:aws:secretsmanager:eu-west-1:123456789012:secret:a",
                                          name};
    const struct install_set set = {
        .files = files,
        .file_count = sizeof files / sizeof *files,
        .sources = &source,
        .source_count = 1,
        .fingerprint = fingerprint,
        .not_after = clock_wall() + DAY,
    };
    enum install_outcome outcome;
    struct err err = {0};

    (void)snprintf(name, sizeof name, "version-%d", version);
    (void)snprintf(fingerprint, sizeof fingerprint, "%064d", number);
    if (install_set(&target, &set, &outcome, &err) < 0)
        fail(err.reason);
}

static int write_on(int at, const char *dir, const char *way, int count)
{
    struct err err;

    if (arena_open(&(struct arena_options){.lock_preferred = true}, &err) < 0)
        fail("arena");
    for (int i = 0; i < count; i++) {
        const int number = i % pairs;

        if (strcmp(way, "set") == 0) {
            write_set(dir, i, number);
        } else if (strcmp(way, "renamed") == 0) {
            put_renamed(at, "client.crt", &certs[number]);
            put_renamed(at, "client.key", &keys[number]);
        } else if (strcmp(way, "truncated") == 0) {
            put_truncated(at, "client.crt", &certs[number]);
            put_truncated(at, "client.key", &keys[number]);
        } else {
            return USAGE;
        }
    }
    return 0;
}

int main(int argc, char *argv[])
{
    int at = argc > 4 ? open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (at < 0)
        return USAGE;
    load(argv[1]);
    if (strcmp(argv[3], "write") == 0 && argc > 5)
        return write_on(at, argv[2], argv[4], atoi(argv[5]));
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++)
        if (strcmp(argv[4], readers[i].name) == 0)
            return read_on(at, readers[i].read);
    return USAGE;
}
