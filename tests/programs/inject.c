/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a program and disturbs one of its system calls:
 *
 *   inject REPORT SECONDS ACTION CALL NUMBER PROGRAM ARG...
 *
 * Calls are counted kind by kind, in all threads, from the first on that opens "/": there the agent
 * sets out for its target. At the NUMBERth CALL (as the kernel numbers kinds) this is done:
 *
 *   none          nothing
 *   kill          SIGKILL, before the kernel sees the call
 *   fail=ERRNO    it fails, if it can
 *   short         it reads or writes one byte
 *   swap=DIR:TO   DIR becomes DIR.moved, and a stranger's link to TO stands in its place
 *
 * REPORT gets "call KIND TIMES" for each kind, "done FD" (the call's first argument), and "hung"
 * where SECONDS were not enough. Ends as the program does.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KINDS = 1024, STRANGER = 65534, SIGNAL_STATUS = 128, USAGE = 64, BROKEN = 99 };

struct run {
    FILE *report;
    const char *action;
    long call, number;
    bool counting;
    long counts[KINDS];
    pid_t failing; /* whose call is to return an error; 0: nobody's */
    int error;
    int status;
};

static pid_t program; /* for the signal handlers */
static volatile sig_atomic_t hung;

static void give_up(int number)
{
    (void)number;
    hung = 1;
    kill(program, SIGKILL);
}

static void pass_on(int number)
{
    kill(program, number);
}

_Noreturn static void fail(const char *what)
{
    perror(what);
    exit(BROKEN);
}

/* ---- registers ---- */

#ifdef __x86_64__
#define RESULT(registers) ((registers)->rax)
#define THIRD(registers)  ((registers)->rdx)
#else
#define RESULT(registers) ((registers)->regs[0])
#define THIRD(registers)  ((registers)->regs[2])
#endif

static void move_registers(pid_t thread, int request, struct user_regs_struct *registers)
{
    struct iovec all = {registers, sizeof *registers};

    if (ptrace(request, thread, (void *)NT_PRSTATUS, &all) < 0)
        fail("registers");
}

/* Into one that does nothing, and that the sandbox lets through. */
static void make_harmless(pid_t thread)
{
#ifdef __x86_64__
    struct user_regs_struct registers;

    move_registers(thread, PTRACE_GETREGSET, &registers);
    registers.orig_rax = SYS_getpid;
    move_registers(thread, PTRACE_SETREGSET, &registers);
#else
    int call = SYS_getpid;
    struct iovec all = {&call, sizeof call};

    if (ptrace(PTRACE_SETREGSET, thread, (void *)0x404 /* NT_ARM_SYSTEM_CALL */, &all) < 0)
        fail("system call");
#endif
}

static void cut_short(pid_t thread)
{
    struct user_regs_struct registers;

    move_registers(thread, PTRACE_GETREGSET, &registers);
    if (THIRD(&registers) > 1)
        THIRD(&registers) = 1;
    move_registers(thread, PTRACE_SETREGSET, &registers);
}

static void set_result(pid_t thread, long result)
{
    struct user_regs_struct registers;

    move_registers(thread, PTRACE_GETREGSET, &registers);
    RESULT(&registers) = (unsigned long)result;
    move_registers(thread, PTRACE_SETREGSET, &registers);
}

/* ---- what is done ---- */

static void swap(const char *where)
{
    char path[512], moved[512];
    const char *to = strchr(where, ':');

    if (!to)
        fail("swap");
    (void)snprintf(path, sizeof path, "%.*s", (int)(to - where), where);
    (void)snprintf(moved, sizeof moved, "%.*s.moved", (int)(to - where), where);
    if ((rename(path, moved) < 0 && errno != ENOENT) || symlink(to + 1, path) < 0 ||
        (lchown(path, STRANGER, STRANGER) < 0 && errno != EPERM))
        fail("swap");
}

/* Waking another thread, and counting events for one, cannot fail. */
static bool cannot_fail(pid_t thread, const struct __ptrace_syscall_info *call)
{
    char link[64], kind[64] = "";

    if (call->entry.nr == SYS_futex)
        return (call->entry.args[1] & FUTEX_CMD_MASK) != FUTEX_WAIT;
    if (call->entry.nr != SYS_read && call->entry.nr != SYS_write)
        return false;
    (void)snprintf(link, sizeof link, "/proc/%d/fd/%d", (int)thread, (int)call->entry.args[0]);
    return readlink(link, kind, sizeof kind - 1) > 0 && strncmp(kind, "anon_inode:", 11) == 0;
}

static void disturb(struct run *run, pid_t thread, const struct __ptrace_syscall_info *call)
{
    const char *value = strchr(run->action, '=');

    if (strncmp(run->action, "kill", 4) != 0 && cannot_fail(thread, call))
        return;
    (void)fprintf(run->report, "done %d\n", (int)call->entry.args[0]);
    if (strcmp(run->action, "kill") == 0) {
        kill(program, SIGKILL);
    } else if (strcmp(run->action, "short") == 0) {
        cut_short(thread);
    } else if (value && strncmp(run->action, "swap", 4) == 0) {
        swap(value + 1);
    } else if (value) {
        run->failing = thread;
        run->error = atoi(value + 1);
        if (call->entry.nr != SYS_close) /* which closes whatever it returns */
            make_harmless(thread);
    }
}

/* Whether the call opens "/", by a text that lies in the program and not in secret memory. */
static bool sets_out(pid_t thread, const struct __ptrace_syscall_info *call)
{
    uint64_t path = call->entry.args[1];
    long word;

#ifdef SYS_open
    if (call->entry.nr == SYS_open)
        path = call->entry.args[0];
    else
#endif
        if (call->entry.nr != SYS_openat)
        return false;
    errno = 0;
    word = ptrace(PTRACE_PEEKDATA, thread, (void *)(uintptr_t)path, NULL);
    return errno == 0 && memcmp(&word, "/", 2) == 0;
}

static void enter(struct run *run, pid_t thread, const struct __ptrace_syscall_info *call)
{
    run->counting = run->counting || sets_out(thread, call);
    if (!run->counting || call->entry.nr >= KINDS)
        return;
    if (++run->counts[call->entry.nr] == run->number && (long)call->entry.nr == run->call)
        disturb(run, thread, call);
}

static void at_call(struct run *run, pid_t thread)
{
    struct __ptrace_syscall_info call;

    if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, (void *)sizeof call, &call) < 0)
        return; /* it was killed meanwhile */
    if (call.op == PTRACE_SYSCALL_INFO_ENTRY) {
        enter(run, thread, &call);
    } else if (run->failing == thread) {
        set_result(thread, -run->error);
        run->failing = 0;
    }
}

static void ended(struct run *run, pid_t thread, int status)
{
    if (thread == program)
        run->status = WIFEXITED(status) ? WEXITSTATUS(status) : SIGNAL_STATUS + WTERMSIG(status);
}

static void trace(struct run *run)
{
    int status, number;
    pid_t thread;

    while ((thread = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
        if (thread < 0)
            continue;
        if (!WIFSTOPPED(status)) {
            ended(run, thread, status);
            continue;
        }
        number = WSTOPSIG(status);
        if (number == (SIGTRAP | 0x80))
            at_call(run, thread);
        /* Nobody sends these two: they are ptrace's own. */
        if ((number & 0x7f) == SIGTRAP || number == SIGSTOP)
            number = 0;
        ptrace(PTRACE_SYSCALL, thread, NULL, (void *)(intptr_t)number);
    }
}

static void start(char *argv[])
{
    const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE |
                         PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;
    int status;

    program = fork();
    if (program < 0)
        fail("fork");
    if (program == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0)
            execvp(argv[0], argv);
        fail(argv[0]);
    }
    if (waitpid(program, &status, 0) < 0 || !WIFSTOPPED(status) ||
        ptrace(PTRACE_SETOPTIONS, program, NULL, (void *)options) < 0 ||
        ptrace(PTRACE_SYSCALL, program, NULL, NULL) < 0)
        fail("ptrace");
}

int main(int argc, char *argv[])
{
    static struct run run;
    const struct sigaction alarmed = {.sa_handler = give_up}, told = {.sa_handler = pass_on};

    if (argc < 7) {
        (void)fputs("inject REPORT SECONDS ACTION CALL NUMBER PROGRAM ARG...\n", stderr);
        return USAGE;
    }
    run.report = fopen(argv[1], "we");
    if (!run.report)
        fail(argv[1]);
    run.action = argv[3];
    run.call = atol(argv[4]);
    run.number = atol(argv[5]);
    start(argv + 6);
    sigaction(SIGALRM, &alarmed, NULL);
    sigaction(SIGTERM, &told, NULL);
    alarm((unsigned)atol(argv[2]));
    trace(&run);
    for (int i = 0; i < KINDS; i++)
        if (run.counts[i])
            (void)fprintf(run.report, "call %d %ld\n", i, run.counts[i]);
    if (hung)
        (void)fputs("hung\n", run.report);
    (void)fclose(run.report);
    return run.status;
}
