/* SPDX-License-Identifier: Apache-2.0 */
#include "install_trace.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { NOT_PERMITTED = 77 };

static void stop_for_tracer(struct fixture *fixture)
{
    (void)fixture;
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        _exit(NOT_PERMITTED);
    raise(SIGSTOP);
}

bool trace_to_next_stop(pid_t pid, int *status)
{
    if (ptrace(PTRACE_SYSCALL, pid, NULL, NULL) < 0)
        return false;
    return waitpid(pid, status, 0) == pid && WIFSTOPPED(*status);
}

#ifdef __x86_64__
/* A sanitizer gives up where one of its own calls fails. */
static bool is_sanitizers(pid_t pid)
{
#ifdef __SANITIZE_ADDRESS__
    long call = ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user, regs.orig_rax), NULL);

    return call == SYS_mmap || call == SYS_munmap || call == SYS_sigaltstack;
#else
    (void)pid;
    return false;
#endif
}
#endif

/* Replaces the result of the system call that a traced process is about to enter. */
static bool fail_call(pid_t pid, int error, int *status)
{
#ifdef __x86_64__
    if (is_sanitizers(pid))
        return true;
    return ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, regs.orig_rax), -1L) == 0 &&
           trace_to_next_stop(pid, status) &&
           ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, regs.rax), (long)-error) == 0;
#else
    (void)pid, (void)error, (void)status;
    return false;
#endif
}

pid_t trace_begin(struct fixture *fixture, fixture_work *work, int number)
{
    pid_t pid;
    int status;

    fixture->prepare = stop_for_tracer;
    fixture->traced = true;
    pid = fixture_begin(fixture, work, number);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    fixture->prepare = NULL;
    fixture->traced = false;
    if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_PERMITTED) {
        print_message("skipped: ptrace(2) is not permitted here\n");
        skip();
    }
    assert_true(WIFSTOPPED(status));
    assert_int_equal(
        ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)),
        0);
    return pid;
}

bool trace_disturb(struct fixture *fixture, const struct disturbance *disturbance, int *outcome)
{
    pid_t pid = trace_begin(fixture, disturbance->work, disturbance->number);
    int status;

    for (int stops = 0; stops < 2 * disturbance->call - 1; stops++) /* entry and exit of each */
        if (!trace_to_next_stop(pid, &status))
            goto ended;
    if (disturbance->error == 0) {
        kill(pid, SIGKILL);
    } else if (!fail_call(pid, disturbance->error, &status)) {
        goto ended;
    } else {
        ptrace(PTRACE_DETACH, pid, NULL, NULL);
    }
    *outcome = fixture_wait(pid);
    return true;
ended:
    *outcome = WIFEXITED(status) ? WEXITSTATUS(status) : -2;
    return false;
}

/* What a traced process has changed and not yet synced, by descriptor. */
struct durability {
    bool dirty[64];
    const char *name; /* of what is shown by a rename */
    int swaps;
    int unsynced_at; /* the directory of a swap that is not durable yet; -1: none */
};

/* Whether a path in the traced process is a name of 7 bytes at most. */
static bool is_name(pid_t pid, uint64_t path, const char *name)
{
    long word = ptrace(PTRACE_PEEKDATA, pid, (void *)(uintptr_t)path, NULL);

    return memcmp(&word, name, strlen(name) + 1) == 0;
}

static void watch_call(struct durability *seen, pid_t pid, const struct __ptrace_syscall_info *call)
{
    const uint64_t *args = call->entry.args;
    unsigned fd = args[0] < 64 ? (unsigned)args[0] : 0;

    switch (call->entry.nr) {
    case SYS_write:
    case SYS_fchmod:
    case SYS_fchown:
    case SYS_mkdirat: seen->dirty[fd] = true; break;
    case SYS_fsync:
        seen->dirty[fd] = false;
        if ((int)fd == seen->unsynced_at)
            seen->unsynced_at = -1;
        break;
    case SYS_close: assert_false(seen->dirty[fd]); break;
    case SYS_unlinkat: /* of an old set: the new one must be durable by then */
        assert_true(seen->unsynced_at == -1);
        break;
    case SYS_renameat:
        if (!is_name(pid, args[3], seen->name))
            break;
        for (int i = 0; i < 64; i++)
            assert_false(seen->dirty[i]);
        seen->swaps++;
        seen->unsynced_at = (int)args[2];
        break;
    default: break;
    }
}

int trace_durability(struct fixture *fixture, fixture_work *work, int number, const char *name)
{
    struct durability seen = {.name = name, .unsynced_at = -1};
    struct __ptrace_syscall_info call;
    pid_t pid = trace_begin(fixture, work, number);
    int status;

    while (trace_to_next_stop(pid, &status))
        if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof call, &call) > 0 &&
            call.op == PTRACE_SYSCALL_INFO_ENTRY)
            watch_call(&seen, pid, &call);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 0xff);
    assert_int_equal(seen.unsynced_at, -1);
    return seen.swaps;
}
