/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a command for which system calls do not exist: deny NUMBER... -- COMMAND ARG...
 *
 * The kernel answers ENOSYS to them, as an older one would: deny 447 takes memfd_secret(2) away.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { NUMBERS_MAX = 16 };

int main(int argc, char *argv[])
{
    struct sock_filter filter[2 * NUMBERS_MAX + 2] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
    struct sock_fprog program = {.len = 1, .filter = filter};
    int i;

    for (i = 1; i < argc && i <= NUMBERS_MAX && strcmp(argv[i], "--") != 0; i++) {
        filter[program.len++] = (struct sock_filter)BPF_JUMP(
            BPF_JMP | BPF_JEQ | BPF_K, (unsigned)strtoul(argv[i], NULL, 10), 0, 1);
        filter[program.len++] =
            (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
    }
    filter[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    if (i + 1 >= argc || strcmp(argv[i], "--") != 0) {
        fputs("deny NUMBER... -- COMMAND ARG...\n", stderr);
        return 64;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) < 0 ||
        prctl(PR_SET_SECCOMP, (long)SECCOMP_MODE_FILTER, &program, 0L, 0L) < 0) {
        perror("deny");
        return 71;
    }
    execvp(argv[i + 1], argv + i + 1);
    perror(argv[i + 1]);
    return 127;
}
