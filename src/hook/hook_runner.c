/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "hook/hook_internal.h"

static const char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/* Of the facts, in their order. */
static const char *const names[HOOK_FACTS] = {
    "MTLS_AGENT_CHANGE_EVENT",       "MTLS_AGENT_CHANGE_SET",       "MTLS_AGENT_DIR",
    "MTLS_AGENT_CHANGE_FINGERPRINT", "MTLS_AGENT_CHANGE_NOT_AFTER", "MTLS_AGENT_CHANGE_VERSION_ID",
};
enum { NAME_SIZE = 32 }; /* of the longest, with '=' */

/* What programs have left running may write: of so many, and then to the newest's pipe no more. */
enum { OUTPUTS = 16, DESCRIPTORS = 1024 };

struct runner {
    const struct hook_options *options;
    int agent, children;
    pid_t agent_pid;
    struct hook_output outputs[OUTPUTS];
};

struct request {
    int64_t limit_ms;
    char text[HOOK_FACTS_SIZE];
    const char *facts[HOOK_FACTS];
};

struct environment {
    char text[HOOK_FACTS_SIZE + HOOK_FACTS * NAME_SIZE];
    char *entries[1 + HOOK_FACTS + 1];
};

void hook_fail(struct hook_result *result, enum hook_outcome outcome, const char *format, ...)
{
    va_list arguments;

    if (result->outcome != HOOK_DONE)
        return;
    result->outcome = outcome;
    va_start(arguments, format);
    (void)vsnprintf(result->reason, sizeof result->reason, format, arguments);
    va_end(arguments);
}

/* It may hold AWS secrets, which neither /proc nor a program shall show. */
static void forget_environment(void)
{
    char **entry;

    for (entry = environ; entry && *entry; entry++)
        wipe(*entry, strlen(*entry));
    environ = NULL;
}

/* Signals meant to end the service come to its whole group; when to end is the agent's decision. */
static int settle_runner(struct runner *runner)
{
    static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE};
    sigset_t set;
    size_t i;

    (void)prctl(PR_SET_NAME, "mtls-agent-hook", 0L, 0L, 0L);
    /* What a program leaves behind is reaped here: an agent that is PID 1 has no init to do it. */
    if (prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L) < 0)
        return -1;
    for (i = 0; i < sizeof ignored / sizeof *ignored; i++)
        if (signal(ignored[i], SIG_IGN) == SIG_ERR)
            return -1;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    if (signal(SIGCHLD, SIG_DFL) == SIG_ERR || sigprocmask(SIG_SETMASK, &set, NULL) < 0)
        return -1;
    runner->children = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return runner->children < 0 ? -1 : 0;
}

static void reap(const struct runner *runner)
{
    struct signalfd_siginfo info;

    while (read(runner->children, &info, sizeof info) > 0)
        continue;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        continue;
}

/* Finds the facts in a packet of so many bytes, none of which it has to be: 0, or -1. */
static int parse(struct request *request, ssize_t packet)
{
    const char *at = request->text;
    size_t left, i;

    if (packet < (ssize_t)sizeof request->limit_ms)
        return -1;
    left = (size_t)packet - sizeof request->limit_ms;
    for (i = 0; i < HOOK_FACTS; i++) {
        const char *end = memchr(at, '\0', left);

        if (!end)
            return -1;
        request->facts[i] = at;
        left -= (size_t)(end + 1 - at);
        at = end + 1;
    }
    return left == 0 ? 0 : -1;
}

/* Where all are held, the last one is. */
static struct hook_output *free_output(struct runner *runner)
{
    struct hook_output *output = runner->outputs;

    while (output->fd >= 0 && output < runner->outputs + OUTPUTS - 1)
        output++;
    if (output->fd >= 0)
        close(output->fd);
    *output = (struct hook_output){.fd = -1};
    return output;
}

static int run_program(struct runner *runner, const struct request *request,
                       struct hook_result *result)
{
    const int64_t most = runner->options->timeout_ms;
    struct environment environment;
    struct hook_program program = {
        .argv = runner->options->argv,
        .environment = environment.entries,
        .limit_ms = request->limit_ms < most ? request->limit_ms : most,
        .agent = runner->agent,
        .children = runner->children,
        .output = free_output(runner),
    };
    size_t i, used = 0;

    if (!program.argv)
        return 0;
    environment.entries[0] = (char *)(uintptr_t)path;
    for (i = 0; i < HOOK_FACTS; i++) {
        char *entry = environment.text + used;

        used += (size_t)snprintf(entry, sizeof environment.text - used, "%s=%s", names[i],
                                 request->facts[i]) +
                1;
        environment.entries[1 + i] = entry;
    }
    environment.entries[1 + HOOK_FACTS] = NULL;
    return hook_program_run(&program, result);
}

/* Tells all, whoever of them fails. 0, or -1 where the agent is gone. */
static int notify_all(struct runner *runner, const struct request *request,
                      struct hook_result *result)
{
    const struct hook_options *options = runner->options;
    size_t i;

    if (run_program(runner, request, result) < 0)
        return -1;
    for (i = 0; i < options->signal_count; i++)
        hook_signal_send(&options->signals[i], runner->agent_pid, result);
    return 0;
}

/* Serves one packet: 0, or -1 where the agent is gone. */
static int serve(struct runner *runner)
{
    struct hook_result result = {.outcome = HOOK_DONE};
    const int64_t started = clock_ms();
    struct request request;
    struct iovec parts[] = {{&request.limit_ms, sizeof request.limit_ms},
                            {request.text, sizeof request.text}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t n = recvmsg(runner->agent, &message, 0);

    if (n < 0 && errno == EINTR)
        return 0;
    if (n <= 0)
        return -1;
    if ((message.msg_flags & MSG_TRUNC) || parse(&request, n) < 0)
        hook_fail(&result, HOOK_FAILED, "the agent asked for something else");
    else if (notify_all(runner, &request, &result) < 0)
        return -1;
    result.ms = clock_ms() - started;
    return send(runner->agent, &result, sizeof result, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

/* Where to wait for what: the agent, children, and outputs. */
static void watch(const struct runner *runner, struct pollfd fds[2 + OUTPUTS])
{
    size_t i;

    fds[0] = (struct pollfd){runner->agent, POLLIN, 0};
    fds[1] = (struct pollfd){runner->children, POLLIN, 0};
    for (i = 0; i < OUTPUTS; i++)
        fds[2 + i] = (struct pollfd){runner->outputs[i].fd, POLLIN, 0};
}

static void read_outputs(struct runner *runner, const struct pollfd fds[2 + OUTPUTS])
{
    size_t i;

    for (i = 0; i < OUTPUTS; i++)
        if (fds[2 + i].revents)
            hook_output_read(&runner->outputs[i]);
}

static bool is_held_back(const struct runner *runner)
{
    size_t i = 0;

    while (i < OUTPUTS && runner->outputs[i].fd < 0)
        i++;
    return i < OUTPUTS;
}

/* Lets go of all descriptors but the outputs, so that nobody waits for their end. */
static void let_go(const struct runner *runner)
{
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    size_t i;
    int fd;

    for (fd = 0; fd < DESCRIPTORS; fd++) {
        for (i = 0; i < OUTPUTS && runner->outputs[i].fd != fd;)
            i++;
        if (i == OUTPUTS && fd != null)
            (void)(null < 0 || fd > STDERR_FILENO ? close(fd) : dup2(null, fd));
    }
}

/*
 * The agent has ended. What its programs have left running would die by its next line, so that a
 * process stays until nobody is left who could write one.
 */
_Noreturn static void leave(struct runner *runner)
{
    struct pollfd fds[2 + OUTPUTS];
    size_t i;

    if (!is_held_back(runner) || fork() != 0)
        _exit(0);
    let_go(runner);
    for (i = 0; i < OUTPUTS; i++)
        runner->outputs[i].lines = INT32_MAX; /* none of them is logged */
    runner->agent = runner->children = -1;
    while (is_held_back(runner)) {
        watch(runner, fds);
        if (poll(fds, 2 + OUTPUTS, -1) < 0 && errno != EINTR)
            break;
        read_outputs(runner, fds);
    }
    _exit(0);
}

_Noreturn void hook_runner(int agent, const struct hook_options *options)
{
    struct runner runner = {.options = options, .agent = agent, .agent_pid = getppid()};
    struct pollfd fds[2 + OUTPUTS];
    size_t i;

    for (i = 0; i < OUTPUTS; i++)
        runner.outputs[i].fd = -1;
    forget_environment();
    if (settle_runner(&runner) < 0)
        _exit(1);
    for (;;) {
        reap(&runner); /* also after a program, whose wait may have eaten the signal */
        watch(&runner, fds);
        if (poll(fds, 2 + OUTPUTS, -1) < 0 && errno != EINTR)
            _exit(1);
        read_outputs(&runner, fds);
        if (fds[0].revents && serve(&runner) < 0)
            leave(&runner);
    }
}
