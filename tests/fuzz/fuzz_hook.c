/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the hook runner reads: a packet of the agent's, which may have fallen into wrong hands, a
 * PID file, a program's output. The runner does not return; here it jumps out of its _exit(2).
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "hook/hook_internal.h"

static jmp_buf over;
static int runner_signals = -1;

_Noreturn void __wrap__exit(int status);
int __wrap_prctl(int option, ...);
void (*__wrap_signal(int number, void (*handler)(int)))(int);
int __wrap_sigprocmask(int how, const sigset_t *set, sigset_t *old);
int __wrap_signalfd(int fd, const sigset_t *set, int flags);

_Noreturn void __wrap__exit(int status)
{
    longjmp(over, status + 1);
}

int __wrap_prctl(int option, ...)
{
    (void)option;
    return 0;
}

void (*__wrap_signal(int number, void (*handler)(int)))(int)
{
    (void)number, (void)handler;
    return SIG_DFL;
}

int __wrap_sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
    (void)how, (void)set, (void)old;
    return 0;
}

/* One that never has anything to say. */
int __wrap_signalfd(int fd, const sigset_t *set, int flags)
{
    (void)fd, (void)set, (void)flags;
    if (runner_signals < 0)
        runner_signals = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return runner_signals;
}

/* Two packets, and the end; each is answered. */
static void serve(struct bytes packet, const struct hook_options *options)
{
    char **before = environ;
    struct hook_result result;
    int ends[2], i;

    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    for (i = 0; i < 2; i++)
        (void)send(ends[0], packet.data, packet.len, MSG_DONTWAIT);
    (void)shutdown(ends[0], SHUT_WR);
    environ = NULL;
    if (setjmp(over) == 0)
        hook_runner(ends[1], options);
    environ = before;
    while (recv(ends[0], &result, sizeof result, MSG_DONTWAIT) == (ssize_t)sizeof result)
        FUZZ_CHECK((unsigned)result.outcome <= HOOK_TIMEOUT &&
                   memchr(result.reason, '\0', sizeof result.reason));
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* The agent's own view of a result that the runner sent. */
static void take(struct bytes packet)
{
    struct hook hook = {.busy = true};
    struct hook_result result;
    int ends[2];

    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    hook.fd = ends[0];
    (void)send(ends[1], packet.data, packet.len, MSG_DONTWAIT);
    if (hook_take(&hook, &result) == 1)
        FUZZ_CHECK(memchr(result.reason, '\0', sizeof result.reason));
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void print(struct bytes output)
{
    struct hook_output lines = {.fd = -1};
    int ends[2];

    FUZZ_CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    (void)write(ends[1], output.data, output.len);
    (void)close(ends[1]);
    lines.fd = ends[0];
    hook_output_read(&lines);
    FUZZ_CHECK(lines.len <= HOOK_LINE_MAX);
    hook_output_end(&lines);
}

void fuzz(struct bytes input)
{
    struct hook_signal signals[] = {{SIGHUP, "HUP", 0, fuzz_file(0, fuzz_part(&input))},
                                    {SIGUSR1, "USR1", 4711, NULL}};
    const struct hook_options options = {.signals = signals, .signal_count = 2, .timeout_ms = 1000};

    print(fuzz_part(&input));
    serve(input, &options);
    take(input);
}
