/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an attacker would do who has taken over the agent. Begins as the command that its arguments
 * say, sandbox included, and then tries what it must not be able to do:
 *
 *   escape WHAT [OPERAND] -- COMMAND [OPTION]...
 *
 * On the thread that handles secrets, or with "main-" before WHAT on the first one. Prints "done",
 * or why it could not; or is killed. `run` has its hook runner, and its service manager.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "commands/commands.h"
#include "config/config.h"
#include "hook/hook.h"
#include "process/confine.h"
#include "process/process.h"
#include "run/change_hook.h"
#include "run/sd_notify.h"
#include "sandbox/sandbox.h"

static const char *operand;
static pid_t parent;
static struct hook hook = {.fd = -1};
static struct sd_notify notify = {.fd = -1};

static int read_file(void)
{
    return open(operand, O_RDONLY | O_CLOEXEC);
}

static int write_file(void)
{
    return open(operand, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}

static int remove_file(void)
{
    return unlink(operand);
}

static int execute(void)
{
    char *const argv[] = {"true", NULL};

    return execve("/bin/true", argv, NULL);
}

static int execute_at(void)
{
    char *const argv[] = {"true", NULL};

    return (int)syscall(SYS_execveat, AT_FDCWD, "/bin/true", argv, NULL, 0);
}

static int bind_any(int fd)
{
    const struct sockaddr_in any = {.sin_family = AF_INET,
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    return bind(fd, (const struct sockaddr *)&any, sizeof any);
}

static int bind_stream(void)
{
    return bind_any(socket(AF_INET, SOCK_STREAM, 0));
}

static int listen_stream(void)
{
    return listen(socket(AF_INET, SOCK_STREAM, 0), 1);
}

static int make_local(void)
{
    return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int make_raw(void)
{
    return socket(AF_PACKET, SOCK_RAW, 0);
}

static int make_network(void)
{
    return socket(AF_INET, SOCK_STREAM, 0);
}

static int trace(void)
{
    return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static int read_process(void)
{
    char from = 0, to = 0;
    const struct iovec local = {&to, 1}, remote = {&from, 1};

    return (int)process_vm_readv(parent, &local, 1, &remote, 1, 0);
}

static int load_bpf(void)
{
    return (int)syscall(SYS_bpf, 0, NULL, 0);
}

static int load_module(void)
{
    return (int)syscall(SYS_finit_module, -1, "", 0);
}

/* fork(2) blocks SIGSYS meanwhile, and would be killed instead. */
static int make_process(void)
{
    const long child = syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);

    if (child == 0)
        _exit(0);
    if (child > 0)
        (void)waitpid((pid_t)child, NULL, 0);
    return (int)child;
}

static int map_code(void)
{
    /* Not by musl, which takes EPERM for ENOMEM. */
    return syscall(SYS_mmap, NULL, 4096L, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1L,
                   0L) == -1
               ? -1
               : 0;
}

static int make_code(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static int signal_parent(void)
{
    return kill(parent, SIGCONT);
}

static int dump_core(void)
{
    const struct rlimit none = {0, 0};

    return setrlimit(RLIMIT_CORE, &none);
}

static int become_dumpable(void)
{
    return prctl(PR_SET_DUMPABLE, 1L, 0L, 0L, 0L);
}

static int see_network(void)
{
    return unshare(CLONE_NEWNET);
}

#ifdef __x86_64__
static int other_abi(void) /* i386's getpid(2) */
{
    int result;

    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory");
    return result > 0 ? 0 : -1;
}

static int x32_abi(void)
{
    return (int)syscall(0x40000000 + SYS_getpid);
}
#endif

/* Without a vDSO these are system calls. */
static int read_clocks(void)
{
    struct timespec moment = {0};

    return syscall(SYS_clock_gettime, CLOCK_REALTIME, &moment) |
                   syscall(SYS_clock_gettime, CLOCK_BOOTTIME, &moment)
               ? -1
               : 0;
}

static int give_up(void)
{
    abort();
}

/* ---- any call ---- */

static char room[4096]; /* what a pointer may lead to */
static long before;     /* the result of the call before */

/* "@TEXT" is a pointer to the text, "&" one to some memory, a word what it names. */
static long argument_of(char *text)
{
    if (strcmp(text, "RUNNER") == 0)
        return hook.pid;
    if (strcmp(text, "NOTIFY") == 0)
        return notify.fd;
    if (strcmp(text, "BEFORE") == 0)
        return before;
    if (*text == '@')
        return (long)(uintptr_t)(text + 1);
    return *text == '&' ? (long)(uintptr_t)room : strtol(text, NULL, 0);
}

/* "NUMBER:ARGUMENT..."; what is left out is -1. Prints the number, whether the sandbox refused it,
 * and its result. */
static void call(char *text)
{
    long arguments[7] = {-1, -1, -1, -1, -1, -1, -1}, result;
    int count = 0, last;
    size_t refused = sandbox_refused(&last);
    char line[80], *rest = NULL;

    for (char *word = strtok_r(text, ":", &rest); word && count < 7;
         word = strtok_r(NULL, ":", &rest))
        arguments[count++] = argument_of(word);
    result = syscall(arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                     arguments[5], arguments[6]);
    before = result;
    (void)snprintf(line, sizeof line, "%ld %d %ld\n", arguments[0],
                   sandbox_refused(&last) > refused, result < 0 ? -errno : result);
    (void)!write(STDOUT_FILENO, line, strlen(line));
}

static int make_calls(void)
{
    char *text = strdup(operand), *rest = NULL;

    for (char *word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest))
        call(word);
    free(text);
    return 0;
}

static const struct attempt {
    const char *name;
    int (*function)(void);
} attempts[] = {
    {"read", read_file},       {"write", write_file},
    {"remove", remove_file},   {"execve", execute},
    {"execveat", execute_at},  {"bind-stream", bind_stream},
    {"listen", listen_stream}, {"local-stream", make_local},
    {"raw-socket", make_raw},  {"socket", make_network},
    {"ptrace", trace},         {"process-vm", read_process},
    {"bpf", load_bpf},         {"module", load_module},
    {"fork", make_process},    {"map-code", map_code},
    {"make-code", make_code},  {"signal", signal_parent},
    {"setrlimit", dump_core},  {"dumpable", become_dumpable},
    {"unshare", see_network},  {"clocks", read_clocks},
    {"abort", give_up},        {"calls", make_calls},
#ifdef __x86_64__
    {"i386", other_abi},       {"x32", x32_abi},
#endif
};

static int attempt(void *argument)
{
    const struct attempt *which = argument;

    char line[16] = "done\n";

    if (which->function() < 0)
        (void)snprintf(line, sizeof line, "%d\n", errno);
    (void)!write(STDOUT_FILENO, line, strlen(line));
    confine_log_refusals();
    return 0;
}

static const struct attempt *find(const char *name)
{
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++)
        if (strcmp(attempts[i].name, name) == 0)
            return &attempts[i];
    fprintf(stderr, "escape: what is %s?\n", name);
    exit(2);
}

static const struct config *narrow_for;

static int attempt_narrowed(void *argument)
{
    confine_job(narrow_for, strcmp(narrow_for->command, "run") != 0 && !confine_standing());
    return attempt(argument);
}

static int on_job(struct job *job, const struct config *config, struct err *err)
{
    narrow_for = config;
    job->deadline = 0;
    return job_start(job, err) < 0 || job_finish(job, err) < 0 ? -1 : 0;
}

static int open_others(const struct config *config, struct confine_options *options,
                       struct err *err)
{
    options->needs = command_find(config->command)->needs;
    if (!(options->needs & NEED_RELOAD))
        return 0;
    sd_notify_open(&notify);
    if (change_hook_open(&hook, config, err) < 0)
        return -1;
    options->notify = notify.fd;
    options->runner = hook.pid;
    return 0;
}

int main(int argc, char *argv[])
{
    const bool by_main = argc > 1 && strncmp(argv[1], "main-", 5) == 0;
    const struct attempt *which = find(argc > 1 ? argv[1] + 5 * by_main : "");
    const int rest = argc > 2 && strcmp(argv[2], "--") == 0 ? 2 : 3;
    struct confine_options options = {.notify = -1};
    struct process process;
    struct config *config;
    struct job job = {
        .function = attempt_narrowed, .argument = (void *)(uintptr_t)which, .done = -1};
    struct err err;

    process_disown();
    log_start();
    parent = getppid();
    operand = rest == 3 ? argv[2] : NULL;
    if (config_parse(argc - rest, argv + rest, &config, &err) < 0 ||
        open_others(config, &options, &err) < 0 || process_begin(&process, config, &err) < 0 ||
        job_open(&job, &err) < 0) {
        log_error(&err);
        return 2;
    }
    confine(config, &options);
    if (by_main)
        return attempt((void *)(uintptr_t)which);
    if (on_job(&job, config, &err) < 0) {
        log_error(&err);
        return 2;
    }
    return job.status;
}
