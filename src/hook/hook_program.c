/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/trust.h"
#include "hook/hook_internal.h"

enum { CANNOT_EXECUTE = 127, SIGNAL_STATUS = 128 };

/* Of a script's first line; scripts that interpret one another: what Linux follows. */
enum { INTERPRETER_MAX = 256, SCRIPTS_MAX = 6 };

/* What the process group gets at the deadline, and after each grace. */
static const int kills[] = {SIGTERM, SIGKILL};
enum { KILLS = sizeof kills / sizeof *kills };

struct run {
    pid_t pid;
    int *failure; /* shared with the child until it executes: 0, or why it cannot */
    int64_t deadline;
    size_t killed; /* how many of kills it got */
    bool given_up;
    bool alone; /* the agent is gone */
    struct hook_output *output;
};

static void reset_signals(void)
{
    sigset_t none;
    int number;

    for (number = 1; number < _NSIG; number++)
        (void)signal(number, SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The child's part. All its other descriptors are close-on-exec. */
_Noreturn static void execute(const struct hook_program *program, int output, int *failure)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    reset_signals();
    (void)umask(S_IWGRP | S_IWOTH);
    if (null >= 0 && setsid() >= 0 && chdir("/") == 0 && dup2(null, STDIN_FILENO) >= 0 &&
        dup2(output, STDOUT_FILENO) >= 0 && dup2(output, STDERR_FILENO) >= 0)
        (void)execve(program->argv[0], program->argv, program->environment);
    *failure = errno;
    _exit(CANNOT_EXECUTE);
}

/* 0, or -1 with errno. */
static int start(struct run *run, const struct hook_program *program)
{
    int ends[2], saved;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    run->output->fd = ends[0];
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0)
        run->pid = fork();
    if (run->pid == 0)
        execute(program, ends[1], run->failure);
    saved = errno;
    close(ends[1]);
    if (run->pid < 0) {
        close(ends[0]);
        run->output->fd = -1;
    }
    errno = saved;
    return run->pid < 0 ? -1 : 0;
}

/* The group; or the child alone, where it has not become the leader of one yet. */
static void signal_group(const struct run *run, int number)
{
    if (kill(-run->pid, number) < 0)
        (void)kill(run->pid, number);
}

/* It is not reaped here: as long as it is not, its number names no other group. */
static bool has_ended(const struct run *run)
{
    siginfo_t info = {.si_pid = 0};

    return waitid(P_PID, (id_t)run->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
           info.si_pid != 0;
}

/*
 * What a program leaves running is let live; but where its time was over, the rest of the group has
 * its grace too. It is gone for sure only if nobody holds the pipe.
 */
static bool is_over(const struct run *run)
{
    const bool rest_has_grace = run->killed == 1 && run->output->fd >= 0;

    return run->given_up || (has_ended(run) && !rest_has_grace);
}

static void on_deadline(struct run *run)
{
    if (run->killed < KILLS)
        signal_group(run, kills[run->killed++]);
    else
        run->given_up = true; /* it sleeps in the kernel; who reaps it later is hook_runner() */
    run->deadline = clock_ms() + HOOK_GRACE_MS;
}

/* Waits for something to happen. Without the agent the time is over. */
static void program_step(struct run *run, const struct hook_program *program)
{
    /* Not POLLIN: only the end of the agent's side, not a request that waits there. */
    struct pollfd fds[] = {{run->alone ? -1 : program->agent, POLLRDHUP, 0},
                           {program->children, POLLIN, 0},
                           {run->output->fd, POLLIN, 0}};
    int64_t left = clock_left(run->deadline);
    struct signalfd_siginfo info;

    (void)poll(fds, sizeof fds / sizeof *fds, left < INT_MAX ? (int)left : INT_MAX);
    if (fds[0].revents) {
        run->alone = true;
        if (run->killed == 0)
            run->deadline = clock_ms();
    }
    if (fds[1].revents)
        (void)!read(program->children, &info, sizeof info);
    if (fds[2].revents)
        hook_output_read(run->output);
    if (clock_left(run->deadline) == 0 && !is_over(run))
        on_deadline(run);
}

static void judge_exit(const struct run *run, const struct hook_program *program,
                       struct hook_result *result)
{
    const char *name = program->argv[0];
    int status = 0;

    if (waitpid(run->pid, &status, WNOHANG) == run->pid)
        result->status = WIFEXITED(status) ? WEXITSTATUS(status) : SIGNAL_STATUS + WTERMSIG(status);
    if (run->killed > 0)
        hook_fail(result, HOOK_TIMEOUT, "%.200s did not end within %lld ms", name,
                  (long long)program->limit_ms);
    else if (*run->failure != 0)
        hook_fail(result, HOOK_FAILED, "%.200s cannot be executed: %s", name,
                  strerror(*run->failure));
    else if (WIFSIGNALED(status))
        hook_fail(result, HOOK_FAILED, "%.200s was ended by signal %d", name, WTERMSIG(status));
    else if (result->status != 0)
        hook_fail(result, HOOK_FAILED, "%.200s ended with status %d", name, result->status);
}

/* The interpreter that a script's first line names, as Linux reads it. False: it is no script. */
static bool read_interpreter(int fd, char out[INTERPRETER_MAX])
{
    char line[INTERPRETER_MAX];
    const ssize_t n = read(fd, line, sizeof line - 1);
    const char *name = line + 2;

    if (n < 3 || line[0] != '#' || line[1] != '!')
        return false;
    line[n] = '\0';
    name += strspn(name, " \t");
    /* a relative one begins where programs are begun, in "/" */
    return snprintf(out, INTERPRETER_MAX, "%s%.*s", *name == '/' ? "" : "/",
                    (int)strcspn(name, " \t\n"), name) < INTERPRETER_MAX;
}

/*
 * Whoever could write the program, or what interprets it, would run as the agent's user. What
 * cannot be found or opened is told of by who executes it; what cannot be read is no script.
 */
static bool is_trusted(const struct hook_program *program, struct hook_result *result)
{
    static const int flags[] = {O_PATH | O_CLOEXEC, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY};
    struct trust trust = {.also = TRUST_NOBODY};
    char interpreter[INTERPRETER_MAX];
    const char *path = program->argv[0];
    int fd, step;

    for (step = 0; step < 2 * SCRIPTS_MAX; step++) {
        fd = trust_open(path, flags[step % 2], &trust);
        if (fd < 0 && errno == EPERM) {
            hook_fail(result, HOOK_FAILED, "%.100s is not run: %s", program->argv[0], trust.why);
            return false;
        }
        if (fd < 0)
            return true;
        if (step % 2 && !read_interpreter(fd, interpreter))
            path = NULL;
        else if (step % 2)
            path = interpreter;
        close(fd);
        if (!path)
            return true;
    }
    return true;
}

static int run_to_end(struct run *run, const struct hook_program *program,
                      struct hook_result *result)
{
    if (!is_trusted(program, result))
        return 0;
    if (start(run, program) < 0) {
        hook_fail(result, HOOK_FAILED, "%.200s cannot be started: %s", program->argv[0],
                  strerror(errno));
        return 0;
    }
    while (!is_over(run))
        program_step(run, program);
    if (run->killed > 0)
        signal_group(run, SIGKILL);
    hook_output_end(run->output);
    judge_exit(run, program, result);
    return run->alone ? -1 : 0;
}

int hook_program_run(const struct hook_program *program, struct hook_result *result)
{
    struct run run = {
        .pid = -1, .deadline = clock_ms() + program->limit_ms, .output = program->output};
    void *shared =
        mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int outcome;

    if (shared == MAP_FAILED) {
        hook_fail(result, HOOK_FAILED, "%.200s cannot be started: %s", program->argv[0],
                  strerror(errno));
        return 0;
    }
    run.failure = shared;
    outcome = run_to_end(&run, program, result);
    (void)munmap(shared, sizeof(int));
    return outcome;
}
