/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a command as on a kernel, or below a container runtime, without Landlock and seccomp:
 *
 *   old-kernel missing|forbidden COMMAND [ARGUMENT]...
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(member)                                                                               \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, member))
#define IS(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define ANSWER(value)      BPF_STMT(BPF_RET | BPF_K, value)

int main(int argc, char *argv[])
{
    const unsigned error = argc > 1 && strcmp(argv[1], "forbidden") == 0 ? EPERM : ENOSYS;
    struct sock_filter code[] = {
        LOAD(nr),
        IS(444, 6, 0), /* landlock_create_ruleset */
        IS(SYS_seccomp, 5, 0),
        IS(SYS_prctl, 0, 2),
        LOAD(args[0]),
        IS(PR_SET_SECCOMP, 1, 0),
        ANSWER(SECCOMP_RET_ALLOW),
        ANSWER(SECCOMP_RET_ERRNO | (error == EPERM ? EPERM : EINVAL)),
        ANSWER(SECCOMP_RET_ERRNO | error),
    };
    const struct sock_fprog program = {sizeof code / sizeof *code, code};

    if (argc < 3 || prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
        perror("old-kernel");
        return 2;
    }
    execvp(argv[2], argv + 2);
    perror(argv[2]);
    return 2;
}
