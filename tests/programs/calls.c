/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a program, and notes which system calls it makes once its sandbox is in force:
 *
 *   calls DIRECTORY PROGRAM ARG...
 *
 * The program keeps the process that it was started as: who traces it is a child of its parent's,
 * which is gone at once. When the program ends, DIRECTORY gets a file "ARG.PID" with a line for
 * each kind of call, "THREAD NUMBER ARGUMENT...": "first" or "other", and those arguments that are
 * listed below, else 0.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINES_MAX = 4096, ARGUMENTS = 6, BROKEN = 99 };

struct line {
    bool first;
    uint64_t call;
    uint64_t arguments[ARGUMENTS]; /* those that are not noted are 0 */
};

static struct line lines[LINES_MAX];
static size_t count;
static pid_t program;
static bool confined;    /* the filter is in force */
static bool confining;   /* the call that brings it is under way */
static char report[512]; /* the file */

_Noreturn static void fail(const char *what)
{
    perror(what);
    _exit(BROKEN);
}

/* Which arguments are noted, a bit each; pointers only as whether there is one. */
static const struct {
    long call;
    unsigned noted, pointers;
} known[] = {
#ifdef SYS_open
    {SYS_open, 6, 0},
    {SYS_mkdir, 2, 0},
#endif
    {SYS_openat, 12, 0},
    {SYS_mkdirat, 4, 0},
    {SYS_fchmod, 2, 0},
    {SYS_fcntl, 2, 0},
    {SYS_ioctl, 2, 0},
    {SYS_prctl, 1, 0},
    {SYS_socket, 7, 0},
    {SYS_setsockopt, 6, 0},
    {SYS_getsockopt, 6, 0},
    {SYS_sendto, 8, 16},
    {SYS_recvfrom, 8, 16},
    {SYS_mmap, 12, 0},
    {SYS_mprotect, 4, 0},
    {SYS_madvise, 4, 0},
    {SYS_mremap, 8, 0},
    {SYS_clone, 1, 0},
    {SYS_prlimit64, 2, 4},
    {SYS_unlinkat, 4, 0},
    {SYS_newfstatat, 8, 0},
    {SYS_clock_gettime, 1, 0},
    {SYS_kill, 2, 0},
    {SYS_rt_sigaction, 1, 0},
    {SYS_futex, 2, 0},
    {SYS_flock, 2, 0},
    {SYS_timerfd_settime, 2, 0},
    {SYS_getrandom, 4, 0},
};

static void note(pid_t thread, const struct __ptrace_syscall_info *call)
{
    struct line line = {.first = thread == program, .call = call->entry.nr};
    size_t i;
    unsigned k;

    for (i = 0; i < sizeof known / sizeof *known; i++)
        for (k = 0; (uint64_t)known[i].call == line.call && k < ARGUMENTS; k++) {
            if (known[i].noted >> k & 1)
                line.arguments[k] = call->entry.args[k];
            if (known[i].pointers >> k & 1)
                line.arguments[k] = call->entry.args[k] != 0;
        }
    for (i = 0; i < count; i++)
        if (memcmp(&lines[i], &line, sizeof line) == 0)
            return;
    if (count < LINES_MAX)
        lines[count++] = line;
}

static void at_call(pid_t thread)
{
    struct __ptrace_syscall_info call;

    if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, (void *)sizeof call, &call) < 0)
        return; /* it was killed meanwhile */
    if (call.op == PTRACE_SYSCALL_INFO_EXIT) {
        confined = confined || (confining && call.exit.rval == 0);
        confining = false;
    } else if (call.op == PTRACE_SYSCALL_INFO_ENTRY && confined) {
        note(thread, &call);
    } else if (call.op == PTRACE_SYSCALL_INFO_ENTRY) {
        confining = call.entry.nr == SYS_prctl && call.entry.args[0] == PR_SET_SECCOMP;
    }
}

static void write_report(void)
{
    FILE *file = fopen(report, "ae");
    size_t i;
    int k;

    if (!file)
        fail(report);
    for (i = 0; i < count; i++) {
        (void)fprintf(file, "%s %llu", lines[i].first ? "first" : "other",
                      (unsigned long long)lines[i].call);
        for (k = 0; k < ARGUMENTS; k++)
            (void)fprintf(file, " %llu", (unsigned long long)lines[i].arguments[k]);
        (void)fputc('\n', file);
    }
    if (fclose(file) != 0)
        fail(report);
}

/* Threads are followed, processes are not: they are the hook runner's. */
static void trace(void)
{
    int status, number, event;
    pid_t thread;

    while ((thread = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
        if (thread < 0 || !WIFSTOPPED(status))
            continue;
        number = WSTOPSIG(status);
        event = status >> 16;
        if (number == (SIGTRAP | 0x80))
            at_call(thread);
        if (event == PTRACE_EVENT_STOP && number != SIGTRAP) {
            ptrace(PTRACE_LISTEN, thread, NULL, NULL); /* as a whole it was stopped */
            continue;
        }
        if (event || number == (SIGTRAP | 0x80))
            number = 0;
        ptrace(PTRACE_SYSCALL, thread, NULL, (void *)(intptr_t)number);
    }
}

/* In a session of its own: who waits for the program's output does not wait for this one. */
_Noreturn static void watch(int ready)
{
    const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

    (void)setsid();
    if (ptrace(PTRACE_SEIZE, program, NULL, (void *)options) < 0 ||
        ptrace(PTRACE_INTERRUPT, program, NULL, NULL) < 0)
        fail("ptrace");
    if (write(ready, "", 1) != 1 || dup2(nothing, STDIN_FILENO) < 0 ||
        dup2(nothing, STDOUT_FILENO) < 0 || dup2(nothing, STDERR_FILENO) < 0)
        fail("ready");
    close(ready);
    trace();
    write_report();
    _exit(0);
}

int main(int argc, char *argv[])
{
    int ends[2];
    char byte;
    pid_t child;

    if (argc < 4) {
        (void)fputs("calls DIRECTORY PROGRAM ARG...\n", stderr);
        return 64;
    }
    program = getpid();
    (void)snprintf(report, sizeof report, "%s/%s.%d", argv[1], argv[3], (int)program);
    (void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0L, 0L, 0L);
    if (pipe2(ends, O_CLOEXEC) < 0)
        fail("pipe");
    child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        if (fork() == 0)
            watch(ends[1]);
        _exit(0);
    }
    close(ends[1]);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        continue;
    if (read(ends[0], &byte, 1) != 1)
        fail("tracer");
    close(ends[0]);
    execv(argv[2], argv + 2);
    fail(argv[2]);
}
