/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `measure PROGRAM ARGUMENT...` runs it and prints, on standard output, its exit status,
 * microseconds of wall and of processor time, and KiB of memory at the most. Small itself: the
 * kernel counts in a child's peak what its parent had when it was made. What the program prints
 * goes to standard error.
 */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long us(struct timeval time)
{
    return time.tv_sec * 1000000LL + time.tv_usec;
}

int main(int argc, char **argv)
{
    struct timespec began, ended;
    struct rusage usage;
    int status;
    pid_t child;

    if (argc < 2)
        return 64;
    clock_gettime(CLOCK_MONOTONIC, &began);
    child = fork();
    if (child == 0) {
        dup2(2, 1);
        execvp(argv[1], argv + 1);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &usage) != child)
        return 71;
    clock_gettime(CLOCK_MONOTONIC, &ended);
    printf("%d %lld %lld %ld\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
           (ended.tv_sec - began.tv_sec) * 1000000LL + (ended.tv_nsec - began.tv_nsec) / 1000,
           us(usage.ru_utime) + us(usage.ru_stime), usage.ru_maxrss);
    return 0;
}
