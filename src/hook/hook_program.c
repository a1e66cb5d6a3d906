/* SPDX-License-Identifier: Apache-2.0 */
#include <elf.h>
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
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/trust.h"
#include "hook/hook_internal.h"

enum { CANNOT_EXECUTE = 127, SIGNAL_STATUS = 128 };

/* Of a script's first line; what interprets one another, a loader at the end: what Linux follows.
 */
enum { INTERPRETER_MAX = 256, PROGRAMS_MAX = 7 };

#ifdef __aarch64__
enum { MACHINE = EM_AARCH64 };
#else
enum { MACHINE = EM_X86_64 };
#endif

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
    if (clock_left(run->deadline) == 0 && !is_over(run)) {
        if (run->killed < KILLS)
            signal_group(run, kills[run->killed++]);
        else
            run->given_up = true; /* it sleeps in the kernel; who reaps it later is hook_runner() */
        run->deadline = clock_ms() + HOOK_GRACE_MS;
    }
}

static void judge_exit(const struct run *run, const struct hook_program *program,
                       struct hook_result *result)
{
    const char *name = program->argv[0];
    char why[HOOK_REASON_MAX];
    int status = 0;

    if (waitpid(run->pid, &status, WNOHANG) == run->pid)
        result->status = WIFEXITED(status) ? WEXITSTATUS(status) : SIGNAL_STATUS + WTERMSIG(status);
    if (run->killed > 0)
        hook_fail(result, HOOK_TIMEOUT, "%.200s did not end within %lld ms", name,
                  (long long)program->limit_ms);
    else if (*run->failure != 0) /* of an interpreter that is not there the kernel names no name */
        hook_fail(result, HOOK_FAILED, "%.200s cannot be executed: %s", name,
                  hook_could(name, why) < 0 ? why : strerror(*run->failure));
    else if (WIFSIGNALED(status))
        hook_fail(result, HOOK_FAILED, "%.200s was ended by signal %d", name, WTERMSIG(status));
    else if (result->status != 0)
        hook_fail(result, HOOK_FAILED, "%.200s ended with status %d", name, result->status);
}

/* The loader that a program in ELF asks for: 1; 0: it needs none; -1: it is of another machine. */
static int read_loader(int fd, const Elf64_Ehdr *elf, char out[INTERPRETER_MAX])
{
    Elf64_Phdr segment = {0};
    size_t i;

    if (elf->e_ident[EI_CLASS] != ELFCLASS64)
        return 0;
    if (elf->e_machine != MACHINE)
        return -1;
    for (i = 0; i < elf->e_phnum && segment.p_type != PT_INTERP; i++)
        if (pread(fd, &segment, sizeof segment, (off_t)(elf->e_phoff + i * sizeof segment)) < 0)
            return 0;
    return segment.p_type == PT_INTERP && segment.p_filesz <= INTERPRETER_MAX &&
           pread(fd, out, segment.p_filesz, (off_t)segment.p_offset) > 0 &&
           memchr(out, '\0', segment.p_filesz);
}

/* What interprets a program, as Linux reads it: the first line of a script names it, or a segment
 * of one that is linked dynamically. 1; 0: nothing does; -1: it is no program. */
static int read_interpreter(int fd, char out[INTERPRETER_MAX])
{
    union {
        char text[INTERPRETER_MAX];
        Elf64_Ehdr elf;
    } head = {.text = ""};
    const ssize_t n = read(fd, head.text, sizeof head.text - 1);
    const char *name = head.text + 2;

    if (n < 0)
        return 0;
    if (memcmp(head.text, ELFMAG, SELFMAG) == 0)
        return read_loader(fd, &head.elf, out);
    if (n < 3 || head.text[0] != '#' || head.text[1] != '!')
        return -1;
    name += strspn(name, " \t");
    /* a relative one begins where programs are begun, in "/" */
    return snprintf(out, INTERPRETER_MAX, "%s%.*s", *name == '/' ? "" : "/",
                    (int)strcspn(name, " \t\n"), name) < INTERPRETER_MAX;
}

/* Whether it is there, nobody's else, and to be executed: an O_PATH descriptor, or -1 with errno.
 */
static int open_program(const char *path, struct trust *trust)
{
    const int fd = trust_open(path, O_PATH | O_CLOEXEC, trust);
    struct statvfs mount;
    struct stat file;
    int error = 0;

    if (fd < 0)
        return -1;
    if (fstatvfs(fd, &mount) == 0 && mount.f_flag & ST_NOEXEC)
        error = ENOTSUP;
    else if (fstat(fd, &file) < 0 || !S_ISREG(file.st_mode) ||
             (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 && errno == EACCES))
        error = EACCES; /* by another error the kernel, or a filter, only does not tell */
    if (!error)
        return fd;
    close(fd);
    errno = error;
    return -1;
}

/* Whoever could write the program, or what interprets it, would run as the agent's user. What
 * cannot be read is no script. */
int hook_could(const char *program, char why[HOOK_REASON_MAX])
{
    struct trust trust = {.also = TRUST_NOBODY};
    char interpreter[INTERPRETER_MAX];
    const char *path = program;
    int fd, step, more = 1, error = 0;

    for (step = 0; more > 0 && step < PROGRAMS_MAX; step++) {
        path = step ? interpreter : program;
        fd = open_program(path, &trust);
        error = fd < 0 ? errno : 0;
        if (fd < 0)
            break;
        close(fd);
        fd = trust_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, &trust);
        more = fd < 0 ? 0 : read_interpreter(fd, interpreter);
        error = more < 0 ? ENOEXEC : 0;
        if (fd >= 0)
            close(fd);
    }
    if (!error)
        return 0;
    if (error == EPERM)
        (void)snprintf(why, HOOK_REASON_MAX, "%.500s", trust.why);
    else
        (void)snprintf(why, HOOK_REASON_MAX, "%s%s%.200s", path == program ? "" : path,
                       path == program ? "" : ", which interprets it: ",
                       error == ENOTSUP ? "its mount has noexec" : strerror(error));
    errno = error;
    return -1;
}

static int run_to_end(struct run *run, const struct hook_program *program,
                      struct hook_result *result)
{
    char why[HOOK_REASON_MAX];

    if (hook_could(program->argv[0], why) < 0 && errno == EPERM) {
        hook_fail(result, HOOK_FAILED, "%.100s is not run: %s", program->argv[0], why);
        return 0;
    }
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
