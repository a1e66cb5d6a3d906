/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/sandbox.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

static struct sandbox_facts in_force;

/* For people: what an errno of these calls means. */
static const char *why(int error)
{
    switch (error) {
    case ENOSYS: return "this kernel does not have it";
    case EOPNOTSUPP: return "it is switched off in this kernel";
    case EPERM:
    case EACCES: return "it is not allowed here";
    case EINVAL: return "this kernel does not know it";
    default: return strerror(error);
    }
}

int sandbox_prepare(const struct sandbox_options *options)
{
    int abi, rules;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) < 0)
        in_force.no_new_privs_absent = why(errno);
    if (sandbox_drop_capabilities(options->foreign, options->paths, &in_force.capabilities) < 0)
        in_force.capabilities_absent = why(errno);
    rules = sandbox_landlock_rules(options->paths, &abi);
    if (rules < 0)
        in_force.landlock_absent = why(errno);
    else
        in_force.landlock = abi;
    return rules;
}

void sandbox_begin(const struct sandbox_options *options, int rules)
{
    if (rules >= 0 && sandbox_landlock_enter(rules) < 0) {
        in_force.landlock = 0;
        in_force.landlock_absent = why(errno);
    }
    if (sandbox_seccomp(options) < 0)
        in_force.seccomp_absent = why(errno);
    else
        in_force.seccomp = true;
}

void sandbox_look(struct sandbox_facts *facts)
{
    *facts = in_force;
}
