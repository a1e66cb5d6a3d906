/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/sandbox.h"

#define BIT(capability) (UINT64_C(1) << (capability))
#define FACCESSAT2      439 /* on every architecture; Linux 5.8 */

enum { LAST = 63 };

struct sets {
    uint64_t effective, permitted;
};

static int get(struct sets *sets)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{0}};

    if (syscall(SYS_capget, &header, data) < 0)
        return -1;
    sets->effective = data[0].effective | (uint64_t)data[1].effective << 32;
    sets->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
    return 0;
}

/* Nothing is inherited by anybody. */
static int set(const struct sets *sets)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    const struct __user_cap_data_struct data[2] = {
        {(uint32_t)sets->effective, (uint32_t)sets->permitted, 0},
        {(uint32_t)(sets->effective >> 32), (uint32_t)(sets->permitted >> 32), 0},
    };

    return (int)syscall(SYS_capset, &header, data);
}

/* By the effective capabilities; plain access(2) looks at others. A kernel that cannot tell: no. */
static bool can(const char *path, int mode)
{
    return syscall(FACCESSAT2, AT_FDCWD, path, mode, AT_EACCESS) == 0 || errno == ENOENT ||
           errno == ENOTDIR || errno == ELOOP || errno == EROFS;
}

/* Whether modes and owners alone let the process do its work. */
static bool suffices(const struct sandbox_paths *paths)
{
    const unsigned writes = SANDBOX_TREE & ~(SANDBOX_READ | SANDBOX_LIST);
    size_t i;

    for (i = 0; i < paths->count; i++) {
        const struct sandbox_path *item = &paths->items[i];

        if (item->rights & writes ? !can(item->path, W_OK | X_OK) || !can(item->wanted, F_OK)
                                  : !can(item->wanted, R_OK))
            return false;
    }
    return true;
}

/* Who may override modes may as well read every file of every user: only where it has to be. */
static uint64_t needed(bool foreign, const struct sandbox_paths *paths, struct sets *sets)
{
    const uint64_t always = BIT(CAP_CHOWN) | BIT(CAP_FOWNER) | BIT(CAP_IPC_LOCK);
    const uint64_t modes = BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH);

    if (foreign)
        return always | modes;
    sets->effective &= ~modes;
    return set(sets) == 0 && suffices(paths) ? always : always | modes;
}

static const char *names_of(uint64_t kept)
{
    static const struct {
        int capability;
        const char *name;
    } known[] = {{CAP_CHOWN, "chown"},
                 {CAP_FOWNER, "fowner"},
                 {CAP_IPC_LOCK, "ipc_lock"},
                 {CAP_DAC_OVERRIDE, "dac_override"},
                 {CAP_DAC_READ_SEARCH, "dac_read_search"}};
    static char text[80];
    size_t i, len = 0;

    for (i = 0; i < sizeof known / sizeof *known; i++) {
        if (kept & BIT(known[i].capability))
            len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", len ? " " : "",
                                    known[i].name);
    }
    return text;
}

/* The bounding set needs a right of its own, and is beside the point where nothing is executed. */
int sandbox_drop_capabilities(bool foreign, const struct sandbox_paths *paths, const char **kept)
{
    struct sets sets;
    uint64_t keep;
    int i;

    if (get(&sets) < 0)
        return -1;
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0L, 0L, 0L);
    for (i = 0; i <= LAST && sets.effective & BIT(CAP_SETPCAP); i++)
        (void)prctl(PR_CAPBSET_DROP, (long)i, 0L, 0L, 0L);
    keep = needed(foreign, paths, &sets) & sets.permitted;
    sets = (struct sets){keep, keep};
    if (set(&sets) < 0)
        return -1;
    *kept = names_of(keep);
    return 0;
}
