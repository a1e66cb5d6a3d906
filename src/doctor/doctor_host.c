/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "agent/target.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/secrecy.h"
#include "doctor/doctor.h"
#include "identity/bundle.h"
#include "install/install.h"
#include "run/status.h"
#include "x509/cert.h"
#include "x509/pem.h"

enum { LOCKED_NEED = 512 * 1024, FILE_MAX = INSTALL_WHERE_MAX + 64, NOT_HE = 100 };

/* ---- config */

static void told(void *user, const char *subject, const char *reason)
{
    struct err err;

    (void)err_set(&err, ERR_CONFIG, subject, "%s", reason);
    doctor_find(user, DOCTOR_WARNING, &err);
}

/* Of a certificate that is installed, as anybody may read it: how long it was made to live. */
static int64_t life_of(const char *path)
{
    struct buf text = {.public = true, .max = (size_t)64 * 1024}, der = {.public = true};
    char reason[CERT_REASON_MAX];
    struct pem_reader reader;
    struct pem_block block;
    struct cert cert;
    int64_t life = 0;

    if (buf_reserve(&text, text.max) == 0 && fs_read(AT_FDCWD, path, &text) == 0 &&
        !secrecy_holds_key(buf_bytes(&text))) {
        reader = (struct pem_reader){buf_bytes(&text)};
        if (pem_next(&reader, &block, &der) == PEM_BLOCK && pem_is_certificate(&block) &&
            cert_parse(&cert, buf_bytes(&der), reason) == 0)
            life = cert.not_after - cert.not_before;
    }
    buf_free(&der);
    if (text.data)
        wipe(text.data, text.len); /* somebody may have put a key there */
    buf_free(&text);
    return life;
}

static void review_life(struct doctor *doctor, size_t set)
{
    static const enum bundle_field fields[] = {BUNDLE_CLIENT_CERT, BUNDLE_SERVER_CERT};
    const char *sub = set < doctor->config->set_count ? doctor->config->sets[set].sub : "";
    const struct install_target target = agent_target(doctor->config, sub, doctor->deadline);
    char directory[INSTALL_WHERE_MAX], path[FILE_MAX], reason[FILE_MAX + 96];
    int64_t life;
    size_t i;

    (void)install_where(&target, directory);
    for (i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", directory, bundle_field_file(fields[i]));
        life = life_of(path);
        (void)snprintf(reason, sizeof reason,
                       "is more than half the life of %s: the next one may come too late", path);
        if (life > 0 && life * 1000 / 2 < doctor->config->interval_ms)
            told(doctor, "interval", reason);
    }
}

void doctor_config(struct doctor *doctor)
{
    const struct config *config = doctor->config;
    char sources[CONFIG_SOURCES_MAX];
    struct err err;
    size_t i;

    for (i = 0; i < config->mistake_count; i++) {
        (void)err_set(&err, ERR_CONFIG, config->mistakes[i].place, "%s",
                      config->mistakes[i].reason);
        doctor_find(doctor, DOCTOR_PROBLEM, &err);
    }
    if (config->mistake_count == 0 && !config->view && config->set_count == 0 &&
        config->endpoint_count == 0) {
        (void)err_set(&err, ERR_CONFIG, "secret", "neither a secret nor an endpoint is named");
        doctor_find(doctor, DOCTOR_PROBLEM, &err);
    }
    config_review(config, told, doctor);
    for (i = 0; i < config->set_count || i == 0; i++)
        review_life(doctor, i);
    config_sources(config, sources);
    doctor_say(doctor, "%s%s%s", config->view ? "for " : "", config->view ? config->view : "",
               config->view ? ""
               : sources[0] ? sources
                            : "nothing is set");
    if (config->view && sources[0])
        doctor_say(doctor, "%s", sources);
}

/* ---- host */

void doctor_memory(struct doctor *doctor)
{
    const bool preferred = doctor->config->memory_lock_preferred;
    void *memory =
        mmap(NULL, LOCKED_NEED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct rlimit limit = {0};
    struct err err;

    doctor->locks = memory != MAP_FAILED && mlock(memory, LOCKED_NEED) == 0;
    if (memory != MAP_FAILED)
        (void)munmap(memory, LOCKED_NEED);
    (void)getrlimit(RLIMIT_MEMLOCK, &limit);
    if (doctor->locks) {
        doctor_say(doctor, "memory can be locked");
        return;
    }
    (void)err_set(
        &err, ERR_MEMORY_LOCK, "memlock", "the limit is %llu KiB, and one secret needs %d KiB%s",
        (unsigned long long)limit.rlim_cur / 1024, LOCKED_NEED / 1024,
        preferred ? "; memory-lock=prefer goes on in memory that may be swapped out" : "");
    /* A configuration may be looked at where it will not be used. */
    if (!preferred || !doctor->config->view)
        doctor_find(doctor, preferred || doctor->config->view ? DOCTOR_WARNING : DOCTOR_PROBLEM,
                    &err);
    doctor->locks = preferred;
}

/* By the scope of each address in /proc/net/if_inet6: 0 is more than a link's or this host's. */
static bool has_ipv6(void)
{
    struct buf text = {.public = true};
    char *lines = doctor_read("/proc/net/if_inet6", &text), *line;
    bool any = false;
    int i;

    while (!any && (line = strsep(&lines, "\n"))) {
        for (i = 0; i < 3; i++) /* address, interface, length of its prefix */
            (void)strsep(&line, " ");
        any = line && strncmp(line, "00 ", 3) == 0;
    }
    buf_free(&text);
    return any;
}

void doctor_host(struct doctor *doctor)
{
    struct utsname system;
    char now[CLOCK_TEXT_MAX];

    doctor_memory(doctor);
    doctor->ipv6 = has_ipv6();
    clock_format(now, clock_wall());
    if (uname(&system) == 0)
        doctor_say(doctor, "Linux %s on %s, %s by its clock, uid %lu", system.release,
                   system.machine, now, (unsigned long)geteuid());
}

/* ---- target */

/* Of whatever a set may consist of: a client's files, a server's, both in one. */
static const char *file_name(int i)
{
    return i < BUNDLE_FIELDS ? bundle_field_file((enum bundle_field)i) : INSTALL_COMBINED;
}

/* In a child that is that user: what the kernel says, whatever it looks at. Which of the files it
 * cannot read; 0: it can; -1: this process may not be that user. */
static int ask_as_reader(const struct config *config, const char *directory, char file[FILE_MAX])
{
    const pid_t child = fork();
    int status = 0, i;

    if (child == 0) {
        const struct rlimit none = {0, 0};

        (void)setrlimit(RLIMIT_CORE, &none);
        if (setgroups(0, NULL) < 0 ||
            setresgid(config->reader_group, config->reader_group, config->reader_group) < 0 ||
            setresuid(config->reader, config->reader, config->reader) < 0)
            _exit(NOT_HE);
        (void)prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L); /* the reader may not look into this one */
        for (i = 0; i <= BUNDLE_FIELDS; i++) {
            (void)snprintf(file, FILE_MAX, "%s/%s", directory, file_name(i));
            if (access(file, R_OK) < 0 && errno != ENOENT)
                _exit(i + 1);
        }
        _exit(0);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (child < 0 || !WIFEXITED(status) || WEXITSTATUS(status) == NOT_HE)
        return -1;
    if (WEXITSTATUS(status) > 0)
        (void)snprintf(file, FILE_MAX, "%s/%s", directory, file_name(WEXITSTATUS(status) - 1));
    return WEXITSTATUS(status);
}

static void look_as_reader(struct doctor *doctor, const char *directory)
{
    const struct config *config = doctor->config;
    char file[FILE_MAX];
    const int refused = ask_as_reader(config, directory, file);
    struct err err;

    if (refused < 0)
        doctor_say(doctor, "only root can tell what uid %lu may read",
                   (unsigned long)config->reader);
    if (refused <= 0)
        return;
    (void)err_set(&err, ERR_READER_DENIED, file, "uid %lu with gid %lu may not read it",
                  (unsigned long)config->reader, (unsigned long)config->reader_group);
    doctor_advise(doctor, DOCTOR_PROBLEM, &err,
                  "Add to the agent's options: --owner 0:%lu --key-mode 0640, and where the "
                  "directory shuts it out --dir-mode 0755.",
                  (unsigned long)config->reader_group);
}

/* "system_u:object_r:TYPE:s0": types that container-selinux and Bottlerocket let containers read.
 */
static bool is_readable_type(const char *label)
{
    static const char *const types[] = {":container_", ":svirt_sandbox_file_t",
                                        ":etc_t:",     ":usr_t:",
                                        ":local_t:",   ":cache_t:",
                                        ":state_t:",   ":data_t:",
                                        ":unlabeled_t"};
    size_t i;

    for (i = 0; i < sizeof types / sizeof *types; i++)
        if (strstr(label, types[i]))
            return true;
    return false;
}

static void look_at_label(struct doctor *doctor, const char *directory)
{
    int fd = open("/sys/fs/selinux/enforce", O_RDONLY | O_CLOEXEC);
    char enforce = '0', label[256] = "";
    struct err err;

    if (fd < 0)
        return;
    if (read(fd, &enforce, 1) != 1)
        enforce = '0';
    (void)close(fd);
    if (getxattr(directory, "security.selinux", label, sizeof label - 1) < 0)
        return;
    doctor_say(doctor, "label %s", label);
    if (enforce != '1' || is_readable_type(label))
        return;
    (void)err_set(&err, ERR_LABEL, directory, "its label is %s, and SELinux is enforcing", label);
    doctor_advise(doctor, DOCTOR_WARNING, &err,
                  "Run: semanage fcontext -a -t container_ro_file_t '%s(/.*)?' && restorecon -Rv "
                  "%s; a tmpfs gets it by its mount: docs/selinux.md.",
                  directory, directory);
}

/* A path's line of /proc/self/mountinfo (proc(5)); NULL where it cannot be told. */
static char *find_mount(const char *path, struct buf *text)
{
    const int fd = open(path, O_PATH | O_CLOEXEC);
    char name[64], *at;

    (void)snprintf(name, sizeof name, "/proc/self/fdinfo/%d", fd);
    at = doctor_read(name, text);
    if (fd >= 0)
        (void)close(fd);
    at = at ? strstr(at, "mnt_id:\t") : NULL;
    if (!at)
        return NULL;
    (void)snprintf(name, sizeof name, "\n%d ", (int)strtol(at + 8, NULL, 10));
    at = doctor_read("/proc/self/mountinfo", text);
    if (at && strncmp(at, name + 1, strlen(name + 1)) == 0)
        return at;
    at = at ? strstr(at, name) : NULL;
    return at ? at + 1 : NULL;
}

/* Whether the links that a set is made of are followed there. */
static void look_at_mount(struct doctor *doctor, const char *directory)
{
    struct buf text = {.public = true};
    char *line = find_mount(directory, &text), *word[6] = {NULL}, *type;
    struct err err;
    size_t i;

    type = line ? strstr(line, " - ") : NULL;
    for (i = 0; i < sizeof word / sizeof *word; i++)
        word[i] = strsep(&line, " ");
    if (type)
        type += 3;
    if (type && strstr(word[5], "nosymfollow")) {
        (void)err_set(&err, ERR_TARGET_INVALID, directory,
                      "%s is mounted with nosymfollow, and a set is read by its links", word[4]);
        doctor_advise(doctor, DOCTOR_PROBLEM, &err, "Run: mount -o remount,bind,symfollow %s",
                      word[4]);
    } else if (type) {
        doctor_say(doctor, "%s is of %.*s, %s", word[4], (int)strcspn(type, " "), type, word[5]);
    }
    buf_free(&text);
}

static void look_at_set(struct doctor *doctor, size_t set)
{
    const struct config *config = doctor->config;
    struct install_target target = agent_target(
        config, set < config->set_count ? config->sets[set].sub : "", doctor->deadline);
    char path[INSTALL_WHERE_MAX], *slash;
    struct err err;
    bool there;

    (void)install_where(&target, path);
    if (install_could(&target, &err) == 0)
        doctor_say(doctor, "a set could be installed in %s", path);
    else
        doctor_find(doctor, DOCTOR_PROBLEM, &err);
    there = access(path, F_OK) == 0;
    if (there && config->reader_set)
        look_as_reader(doctor, path);
    if (there)
        look_at_label(doctor, path);
    while (access(path, F_OK) < 0 && (slash = strrchr(path, '/')) && slash > path)
        *slash = '\0';
    look_at_mount(doctor, path);
}

void doctor_target(struct doctor *doctor)
{
    size_t i;

    for (i = 0; i < doctor->config->set_count || i == 0; i++)
        look_at_set(doctor, i);
}

/* ---- files */

/* By its directory: it is replaced, or made. */
static void look_at_file(struct doctor *doctor, const char *option, const char *file)
{
    char directory[STATUS_PATH_MAX];
    struct err err;
    char *slash;

    if (!file || file[0] != '/')
        return;
    (void)snprintf(directory, sizeof directory, "%s", file);
    slash = strrchr(directory, '/');
    slash[slash == directory] = '\0';
    /* EPERM: it is immutable, or a seccomp filter knows the one call alone. */
    if (faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) == 0 ||
        (errno == EPERM && access(directory, W_OK | X_OK) == 0))
        return;
    (void)err_set_errno(&err, ERR_NOT_WRITABLE, file, "%s: %s", option, directory);
    doctor_find(doctor, DOCTOR_PROBLEM, &err);
}

void doctor_files(struct doctor *doctor)
{
    const struct config *config = doctor->config;

    look_at_file(doctor, "metrics-file", config->metrics_file);
    look_at_file(doctor, "status-file", config->status_file);
    look_at_file(doctor, "attest-pins", config->attest_pins);
    look_at_file(doctor, "log-file",
                 config->log.file && !log_is_stdout(config->log.file) ? config->log.file : NULL);
    doctor_change(doctor);
}
