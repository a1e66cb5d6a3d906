/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/sandbox.h"

/*
 * The kernel's interface, as of its ABI 7: headers on build machines are older. What a kernel does
 * not know yet is left out, by the ABI that it tells.
 */
#define CREATE_RULESET 444 /* the same numbers on every architecture */
#define ADD_RULE       445
#define RESTRICT_SELF  446
#define VERSION_FLAG   1U
#define RULE_PATH      1
#define FS_WRITE_FILE  (UINT64_C(1) << 1)
#define FS_READ_FILE   (UINT64_C(1) << 2)
#define FS_READ_DIR    (UINT64_C(1) << 3)
#define FS_REMOVE_DIR  (UINT64_C(1) << 4)
#define FS_REMOVE_FILE (UINT64_C(1) << 5)
#define FS_MAKE_DIR    (UINT64_C(1) << 7)
#define FS_MAKE_REG    (UINT64_C(1) << 8)
#define FS_MAKE_SYM    (UINT64_C(1) << 12)
#define FS_ABI_1       ((UINT64_C(1) << 13) - 1)
#define FS_REFER       (UINT64_C(1) << 13) /* ABI 2 */
#define FS_TRUNCATE    (UINT64_C(1) << 14) /* ABI 3 */
#define FS_IOCTL_DEV   (UINT64_C(1) << 15) /* ABI 5 */
#define FS_OF_FILES    (FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE)
#define NET_BIND_TCP   UINT64_C(1) /* ABI 4 */
#define SCOPE_ABSTRACT UINT64_C(1) /* ABI 6 */
#define SCOPE_SIGNAL   UINT64_C(2)

struct ruleset {
    uint64_t fs, net, scoped;
};

struct path_rule {
    uint64_t allowed;
    int32_t fd;
} __attribute__((packed));

static uint64_t rights_of(unsigned rights)
{
    static const uint64_t each[] = {
        FS_READ_FILE,
        FS_READ_DIR,
        FS_WRITE_FILE | FS_MAKE_REG,
        FS_WRITE_FILE | FS_MAKE_REG | FS_REMOVE_FILE,
        FS_REMOVE_DIR | FS_MAKE_DIR | FS_MAKE_SYM | FS_TRUNCATE,
    };
    uint64_t sum = 0;
    size_t i;

    for (i = 0; i < sizeof each / sizeof *each; i++)
        if (rights >> i & 1U)
            sum |= each[i];
    return sum;
}

/* A path that went away meanwhile has no rule. -1 where one that is needed cannot be made. */
static int add_rule(int ruleset, uint64_t handled, const struct sandbox_path *item)
{
    struct path_rule rule = {.allowed = rights_of(item->rights) & handled};
    struct stat status;
    long result;

    rule.fd = open(item->path, O_PATH | O_CLOEXEC);
    if (rule.fd < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : -1;
    result = fstat(rule.fd, &status);
    if (result == 0 && !S_ISDIR(status.st_mode))
        rule.allowed &= FS_OF_FILES;
    if (result == 0)
        result = syscall(ADD_RULE, ruleset, RULE_PATH, &rule, 0U);
    if (result < 0 && errno == ENOMSG) /* it allows nothing */
        result = 0;
    close(rule.fd);
    return (int)result;
}

/* Structures of later ABIs are longer: the kernel takes those that end in zeroes only. */
static int make(const struct sandbox_paths *paths, uint64_t scopes, int *abi)
{
    struct ruleset attributes = {.fs = FS_ABI_1};
    size_t i;
    int fd;

    *abi = (int)syscall(CREATE_RULESET, NULL, (size_t)0, VERSION_FLAG);
    if (*abi < 1)
        return -1;
    if (paths->lost) { /* what is left would be in our own way */
        errno = ENOMEM;
        return -1;
    }
    if (*abi >= 2)
        attributes.fs |= FS_REFER;
    if (*abi >= 3)
        attributes.fs |= FS_TRUNCATE;
    if (*abi >= 4)
        attributes.net = NET_BIND_TCP;
    if (*abi >= 5)
        attributes.fs |= FS_IOCTL_DEV;
    if (*abi >= 6)
        attributes.scoped = scopes;
    fd = (int)syscall(CREATE_RULESET, &attributes, sizeof attributes, 0U);
    for (i = 0; fd >= 0 && i < paths->count; i++)
        if (add_rule(fd, attributes.fs, &paths->items[i]) < 0) {
            close(fd);
            fd = -1;
        }
    return fd;
}

int sandbox_landlock_enter(int rules)
{
    int result = (int)syscall(RESTRICT_SELF, rules, 0U), saved = errno;

    close(rules);
    errno = saved;
    return result;
}

/* Main ends its hook runner, and the manager's socket may be an abstract one. */
int sandbox_landlock_rules(const struct sandbox_paths *paths, int *abi)
{
    return make(paths, 0, abi);
}

void sandbox_narrow(const struct sandbox_paths *paths)
{
    struct sandbox_facts facts;
    int abi, rules;

    sandbox_look(&facts);
    rules = facts.landlock ? make(paths, SCOPE_ABSTRACT | SCOPE_SIGNAL, &abi) : -1;
    if (rules >= 0)
        (void)sandbox_landlock_enter(rules);
}
