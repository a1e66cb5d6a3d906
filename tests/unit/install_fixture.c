/* SPDX-License-Identifier: Apache-2.0 */
#include "install_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"

enum { FILES = 5, DESCRIPTORS = 64 };

static const char *const names[FILES] = {"client.crt", "client.key", "ca.crt", "server.crt",
                                         "client.pem"};
static const char *const words[FILES] = {"cert", "key", "ca", "server", "combined"};

static bool is_secret(size_t i)
{
    return i == 1 || i == 4;
}

int fixture_setup(void **state)
{
    struct fixture *fixture =
        mmap(NULL, sizeof *fixture, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (fixture == MAP_FAILED)
        return -1;
    (void)snprintf(fixture->base, sizeof fixture->base, "%s/mtls-agent-test-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm"
                                                 : "/tmp"); /* fsync is slow on disks */
    if (!mkdtemp(fixture->base) || chmod(fixture->base, 0755) < 0)
        return -1;
    (void)snprintf(fixture->dir, sizeof fixture->dir, "%s/target", fixture->base);
    if (mkdir(fixture->dir, 0755) < 0)
        return -1;
    (void)snprintf(fixture->locks, sizeof fixture->locks, "%s/locks", fixture->base);
    if (mkdir(fixture->locks, 0700) < 0)
        return -1;
    fixture->file_count = 3;
    fixture->not_after = clock_wall() + 86400;
    fixture->target = (struct install_target){
        .root = "",
        .dir = fixture->dir,
        .sub = "",
        .key_mode = 0600,
        .cert_mode = 0644,
        .dir_mode = 0755,
        .keep_previous_ms = 3600000,
        .deadline = clock_ms() + 3600000, /* beyond what any machine needs */
        .lock_dir = fixture->locks,
    };
    *state = fixture;
    return 0;
}

static void remove_tree(const char *path)
{
    DIR *dir;
    struct dirent *entry;
    char below[512];

    if (unlink(path) == 0 || (errno != EISDIR && errno != EPERM))
        return;
    dir = opendir(path);
    while (dir && (entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            (void)snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
            remove_tree(below);
        }
    if (dir)
        closedir(dir);
    rmdir(path);
}

int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;

    remove_tree(fixture->base);
    return munmap(fixture, sizeof *fixture);
}

int install_here(struct fixture *fixture, int number)
{
    struct install_file files[FILES];
    char text[FILES][32], version[32], fingerprint[65];
    struct install_source source = {
        fixture->secret ? fixture->secret
                        : "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a-AbCdEf",
        fixture->version_id ? fixture->version_id : version,
    };
    struct install_set set = {
        .files = files,
        .file_count = fixture->file_count,
        .sources = &source,
        .source_count = 1,
        .fingerprint = fingerprint,
        .not_after = fixture->not_after,
        .overlap = fixture->overlap,
        .overlap_count = fixture->overlap_count,
    };
    enum install_outcome outcome;

    (void)snprintf(version, sizeof version, "version-%d", number);
    (void)snprintf(fingerprint, sizeof fingerprint, "%064d", number);
    for (int i = 0; i < FILES; i++) {
        (void)snprintf(text[i], sizeof text[i], "%s %d\n", words[i], number);
        files[i] = (struct install_file){names[i], bytes_of_text(text[i]), is_secret(i)};
    }
    fixture->err = (struct err){0};
    return install_set(&fixture->target, &set, &outcome, &fixture->err) < 0 ? -1 : (int)outcome;
}

void fixture_take(struct fixture *fixture, struct bundle *bundle)
{
    for (int i = 0; i < BUNDLE_FIELDS; i++)
        (void)snprintf(fixture->field[i], sizeof fixture->field[i], "%.*s",
                       (int)bundle->field[i].len, (const char *)bundle->field[i].data);
    bundle_free(bundle);
}

int read_here(struct fixture *fixture)
{
    struct bundle bundle = {0};
    int result;

    fixture->err = (struct err){0};
    result = install_read(&fixture->target, &bundle, &fixture->facts, &fixture->err);
    fixture_take(fixture, &bundle);
    return result;
}

static int read_numberless(struct fixture *fixture, int unused)
{
    (void)unused;
    return read_here(fixture);
}

static int count_open(void)
{
    int fd, count = 0;

    for (fd = 0; fd < DESCRIPTORS; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static int work_counted(struct fixture *fixture, fixture_work *work, int number)
{
    const int before = count_open();
    struct arena_stats stats;
    int result = work(fixture, number);

    arena_stats(&stats);
    if (count_open() != before || stats.in_use != 0)
        abort();
    return result;
}

int fixture_begin(struct fixture *fixture, fixture_work *work, int number)
{
    struct err err;
    char log[80];
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    (void)snprintf(log, sizeof log, "%s/log", fixture->base);
    dup2(open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644), STDERR_FILENO);
    if (arena_open(&(struct arena_options){.lock_preferred = true}, &err) < 0)
        abort();
    if (fixture->prepare)
        fixture->prepare(fixture);
    if (fixture->traced)
        _exit(work(fixture, number) & 0xff);
    _exit(work_counted(fixture, work, number) & 0xff);
}

int fixture_start(struct fixture *fixture, int number)
{
    return fixture_begin(fixture, install_here, number);
}

int fixture_wait(int pid)
{
    int status = 0;

    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status))
        return -2;
    return WEXITSTATUS(status) == 0xff ? -1 : WEXITSTATUS(status);
}

int fixture_run(struct fixture *fixture, fixture_work *work, int number)
{
    return fixture_wait(fixture_begin(fixture, work, number));
}

int fixture_install(struct fixture *fixture, int number)
{
    return fixture_wait(fixture_start(fixture, number));
}

int fixture_start_read(struct fixture *fixture)
{
    return fixture_begin(fixture, read_numberless, 0);
}

int fixture_read(struct fixture *fixture)
{
    return fixture_wait(fixture_start_read(fixture));
}

const char *in_target(const struct fixture *fixture, const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];

    (void)snprintf(path, sizeof paths[0], "%s/%s", fixture->dir, name);
    return path;
}

static int number_at(int at, const char *name)
{
    char text[32] = "", word[16];
    int fd = openat(at, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK), number;
    ssize_t len;

    if (fd < 0)
        return -1;
    len = read(fd, text, sizeof text - 1);
    close(fd);
    return len > 0 && sscanf(text, "%15s %d", word, &number) == 2 ? number : -2;
}

int number_in(const struct fixture *fixture, const char *name)
{
    return number_at(AT_FDCWD, in_target(fixture, name));
}

int pinned_pair(const struct fixture *fixture)
{
    int set = open(in_target(fixture, "..data"), O_PATH | O_DIRECTORY | O_CLOEXEC);
    int cert, key;

    if (set < 0)
        return -1;
    cert = number_at(set, "client.crt");
    key = number_at(set, "client.key");
    close(set);
    if (cert == -1 || key == -1) /* the set was unlinked while it was read */
        return -1;
    return cert == key ? cert : -2;
}

int count_of_prefix(const struct fixture *fixture, const char *prefix)
{
    DIR *dir = opendir(fixture->dir);
    struct dirent *entry;
    int count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)))
        count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    closedir(dir);
    return count;
}

/* Counts the sets, and copies the name of the last one that "..data" does not name. */
static int list_sets(const struct fixture *fixture, char other[64])
{
    DIR *dir = opendir(fixture->dir);
    struct dirent *entry;
    int count = 0;

    assert_non_null(dir);
    other[0] = '\0';
    while ((entry = readdir(dir))) {
        if (strncmp(entry->d_name, "..set-", 6) != 0)
            continue;
        count++;
        if (strcmp(entry->d_name, link_in(fixture, "..data")) != 0)
            (void)snprintf(other, 64, "%.63s", entry->d_name);
    }
    closedir(dir);
    return count;
}

int count_sets(const struct fixture *fixture)
{
    char other[64];

    return list_sets(fixture, other);
}

const char *previous_set(const struct fixture *fixture)
{
    static char other[64];

    (void)list_sets(fixture, other);
    return other;
}

static void assert_owner(const struct fixture *fixture, const struct stat *status)
{
    const struct install_target *target = &fixture->target;

    assert_int_equal(status->st_uid, target->owner_set ? target->owner : geteuid());
    if (target->owner_set)
        assert_int_equal(status->st_gid, target->group);
}

void assert_installed(const struct fixture *fixture, int number)
{
    const struct install_target *target = &fixture->target;
    struct stat status;
    char text[64];

    for (size_t i = 0; i < fixture->file_count; i++) {
        (void)snprintf(text, sizeof text, "..data/%s", names[i]);
        assert_string_equal(link_in(fixture, names[i]), text);
        assert_int_equal(number_in(fixture, names[i]), number);
        assert_int_equal(stat(in_target(fixture, names[i]), &status), 0);
        assert_int_equal(status.st_mode & 07777,
                         is_secret(i) ? target->key_mode : target->cert_mode);
        assert_owner(fixture, &status);
    }
    assert_int_equal(strncmp(link_in(fixture, "..data"), "..set-", 6), 0);
    assert_int_equal(stat(in_target(fixture, "..data"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0755);
    assert_owner(fixture, &status);
    assert_int_equal(pinned_pair(fixture), number);
    assert_int_equal(count_of_prefix(fixture, "..tmp-"), 0);
    assert_true(count_sets(fixture) <= 2);
}

void fixture_put_plain(const struct fixture *fixture, int number)
{
    char text[32];

    (void)snprintf(text, sizeof text, "cert %d\n", number);
    put_file(in_target(fixture, "client.crt"), text);
    (void)snprintf(text, sizeof text, "key %d\n", number);
    put_file(in_target(fixture, "client.key"), text);
    assert_int_equal(chmod(in_target(fixture, "client.key"), 0640), 0);
    if (geteuid() == 0)
        assert_int_equal(chown(in_target(fixture, "client.key"), 1000, 1001), 0);
}

struct stat stat_of(const char *path)
{
    struct stat status;

    assert_int_equal(lstat(path, &status), 0);
    return status;
}

bool is_there(const char *path)
{
    struct stat status;

    return lstat(path, &status) == 0;
}

void age_swap(const struct fixture *fixture, int64_t seconds)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = clock_wall() - seconds}};

    assert_int_equal(utimensat(AT_FDCWD, in_target(fixture, "..data"), times, AT_SYMLINK_NOFOLLOW),
                     0);
}

void need_root(void)
{
    if (geteuid() != 0) {
        print_message("skipped: only root can play a stranger\n");
        skip();
    }
}

void give_to_stranger(const struct fixture *fixture)
{
    assert_int_equal(chown(fixture->dir, STRANGER, STRANGER), 0);
    assert_int_equal(chown(fixture->locks, STRANGER, STRANGER), 0);
}

void become_stranger(struct fixture *fixture)
{
    (void)fixture;
    if (setgid(STRANGER) < 0 || setuid(STRANGER) < 0)
        _exit(99);
}

void put_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

const char *link_in(const struct fixture *fixture, const char *name)
{
    static char text[256];
    ssize_t len = readlink(in_target(fixture, name), text, sizeof text - 1);

    text[len > 0 ? len : 0] = '\0';
    return text;
}

bool was_logged(const struct fixture *fixture, const char *event)
{
    char path[80], text[8192] = "";
    int fd;

    (void)snprintf(path, sizeof path, "%s/log", fixture->base);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(read(fd, text, sizeof text - 1) >= 0);
    close(fd);
    return strstr(text, event) != NULL;
}

void forget_log(const struct fixture *fixture)
{
    char path[80];

    (void)snprintf(path, sizeof path, "%s/log", fixture->base);
    assert_int_equal(truncate(path, 0), 0);
}

int fixture_take_lock(const struct fixture *fixture)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    const struct stat target = stat_of(fixture->dir);
    char path[256];
    int fd;

    (void)snprintf(path, sizeof path, "%s/%llx-%llx.lock", fixture->locks,
                   (unsigned long long)target.st_dev, (unsigned long long)target.st_ino);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_SETLK, &lock), 0); /* which no child inherits */
    return fd;
}
