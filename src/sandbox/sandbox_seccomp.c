/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <ucontext.h>
#include <unistd.h>

#include "sandbox/sandbox.h"
#include "sandbox/sandbox_calls.h"

#ifndef SECCOMP_RET_KILL_PROCESS
#define SECCOMP_RET_KILL_PROCESS 0x80000000U /* Linux 4.14; before, it ends the thread */
#endif

#if defined __x86_64__
#define ARCHITECTURE    AUDIT_ARCH_X86_64
#define RESULT(context) ((context)->uc_mcontext.gregs[REG_RAX])
typedef greg_t result;
#elif defined __aarch64__
#define ARCHITECTURE    AUDIT_ARCH_AARCH64
#define RESULT(context) ((context)->uc_mcontext.regs[0])
typedef unsigned long result;
#else
#error "which system calls are there?"
#endif

#define X32_BIT      0x40000000U /* of x86_64's other ABI */
#define SOCKET_KINDS 0xFU        /* the rest of the type are flags */
#define SPECIAL_BITS 07000U      /* of a mode: set-user-ID, set-group-ID, sticky */
#define UNNAMED_FILE (O_TMPFILE & ~O_DIRECTORY)
#define THREAD_FLAGS                                                                               \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |            \
     CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | CLONE_DETACHED)
#define REFUSED(error) (SECCOMP_RET_TRAP | (error))

enum { PROGRAM_MAX = 512 };

/* Refused by SIGSYS, so that it is counted; the data of the filter's answer are the errno. */
static atomic_size_t refused;
static atomic_int last_refused = -1;

static void on_refusal(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)atomic_fetch_add(&refused, 1);
    atomic_store(&last_refused, info->si_syscall);
    RESULT((ucontext_t *)context) = (result)-info->si_errno;
}

size_t sandbox_refused(int *call)
{
    *call = atomic_load(&last_refused);
    return atomic_load(&refused);
}

struct program {
    struct sock_filter code[PROGRAM_MAX];
    size_t len;
};

static void put_instruction(struct program *program, unsigned code, uint32_t value, unsigned jt,
                            unsigned jf)
{
    if (program->len < PROGRAM_MAX)
        program->code[program->len] =
            (struct sock_filter){(uint16_t)code, (uint8_t)jt, (uint8_t)jf, value};
    program->len++;
}

static void answer(struct program *program, uint32_t value)
{
    put_instruction(program, BPF_RET | BPF_K, value, 0, 0);
}

/* The lower half of an argument, on machines that are little-endian. */
static void load_argument(struct program *program, unsigned index)
{
    put_instruction(program, BPF_LD | BPF_W | BPF_ABS,
                    (uint32_t)(offsetof(struct seccomp_data, args) + index * sizeof(uint64_t)), 0,
                    0);
}

static void load_number(struct program *program)
{
    put_instruction(program, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
}

static void answer_calls(struct program *program, const int *calls, uint32_t value)
{
    for (; *calls >= 0; calls++) {
        put_instruction(program, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)*calls, 0, 1);
        answer(program, value);
    }
}

/* For whom a rule is, of struct sandbox_options. */
enum { ALL = 0, NETWORK = 1, INSTALLING = 2, STAYING = 4 };

/* What a call's argument has to be: one of these values. */
struct demand {
    int call;
    unsigned group, argument;
    uint32_t mask; /* that is looked at; 0: all of it */
    uint32_t values[5];
    size_t count;
    int error; /* where it is something else */
};

/* A block for one call, with a jump over it for all others. */
static void put_demand(struct program *program, const struct demand *demand)
{
    const bool masked = demand->mask != 0;
    const unsigned size = 3 + masked + 2 * (unsigned)demand->count;
    size_t i;

    put_instruction(program, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)demand->call, 0, size - 1);
    load_argument(program, demand->argument);
    if (masked)
        put_instruction(program, BPF_ALU | BPF_AND | BPF_K, demand->mask, 0, 0);
    for (i = 0; i < demand->count; i++) {
        put_instruction(program, BPF_JMP | BPF_JEQ | BPF_K, demand->values[i], 0, 1);
        answer(program, SECCOMP_RET_ALLOW);
    }
    answer(program, REFUSED((uint32_t)demand->error));
}

static const struct demand demands[] = {
    {SYS_mmap, ALL, 2, 0, {PROT_NONE, PROT_READ | PROT_WRITE}, 2, EPERM},
    {SYS_mprotect, ALL, 2, 0, {PROT_READ | PROT_WRITE}, 1, EPERM},
    {SYS_madvise, ALL, 2, 0, {MADV_DONTFORK, MADV_DONTDUMP, MADV_WIPEONFORK}, 3, EPERM},
    {SYS_clone, ALL, 0, 0, {THREAD_FLAGS}, 1, EPERM},
    {SYS_futex,
     ALL,
     1,
     ~(uint32_t)FUTEX_PRIVATE_FLAG,
     {FUTEX_WAIT, FUTEX_WAKE, FUTEX_REQUEUE},
     3,
     EPERM},
    {SYS_fcntl, ALL, 1, 0, {F_SETFD, F_GETFL, F_SETFL, F_OFD_GETLK, F_OFD_SETLK}, 5, EPERM},
    {SYS_ioctl, NETWORK, 1, 0, {SIOCGIFINDEX}, 1, ENOTTY},
    {SYS_mkdirat, INSTALLING, 2, SPECIAL_BITS, {0}, 1, EPERM},
    {SYS_fchmod, INSTALLING, 1, SPECIAL_BITS, {0}, 1, EPERM},
    {SYS_prctl, STAYING, 0, 0, {PR_GET_DUMPABLE, PR_GET_SECCOMP, PR_GET_NO_NEW_PRIVS}, 3, EPERM},
};

/* No file is made that runs with its owner's rights. Where none is made the mode is whatever lies
 * in its register. */
static void put_open(struct program *program, int call, unsigned flags)
{
    put_instruction(program, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 6);
    load_argument(program, flags);
    put_instruction(program, BPF_JMP | BPF_JSET | BPF_K, O_CREAT | UNNAMED_FILE, 0, 2);
    load_argument(program, flags + 1);
    put_instruction(program, BPF_JMP | BPF_JSET | BPF_K, SPECIAL_BITS, 1, 0);
    answer(program, SECCOMP_RET_ALLOW);
    answer(program, REFUSED(EPERM));
}

/* Streams and datagrams of the network. There is no new local socket. */
static void put_socket(struct program *program, bool network)
{
    const uint32_t no = REFUSED(network ? EAFNOSUPPORT : EACCES);

    put_instruction(program, BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, network ? 9 : 1);
    if (!network) {
        answer(program, no);
        return;
    }
    load_argument(program, 1);
    put_instruction(program, BPF_ALU | BPF_AND | BPF_K, SOCKET_KINDS, 0, 0);
    put_instruction(program, BPF_JMP | BPF_JEQ | BPF_K, SOCK_DGRAM, 1, 0);
    put_instruction(program, BPF_JMP | BPF_JEQ | BPF_K, SOCK_STREAM, 0, 4);
    load_argument(program, 0);
    put_instruction(program, BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 1, 0);
    put_instruction(program, BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1);
    answer(program, SECCOMP_RET_ALLOW);
    answer(program, no);
}

/* One option of a socket; others are left to what follows. */
static void put_option(struct program *program, int call, uint32_t level, uint32_t option)
{
    put_instruction(program, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 6);
    load_argument(program, 1);
    put_instruction(program, BPF_JMP | BPF_JEQ | BPF_K, level, 0, 3);
    load_argument(program, 2);
    put_instruction(program, BPF_JMP | BPF_JEQ | BPF_K, option, 0, 1);
    answer(program, SECCOMP_RET_ALLOW);
    load_number(program);
}

/* A pointer that is to be NULL: an address, or a new value. */
static void put_null(struct program *program, int call, unsigned argument)
{
    const uint32_t at =
        (uint32_t)(offsetof(struct seccomp_data, args) + argument * sizeof(uint64_t));

    put_instruction(program, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 6);
    put_instruction(program, BPF_LD | BPF_W | BPF_ABS, at, 0, 0);
    put_instruction(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3);
    put_instruction(program, BPF_LD | BPF_W | BPF_ABS, at + 4, 0, 0);
    put_instruction(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1);
    answer(program, SECCOMP_RET_ALLOW);
    answer(program, REFUSED(EPERM));
}

/* The hook runner may be killed, and nobody else be sent a signal. */
static void put_kill(struct program *program, pid_t runner)
{
    if (runner <= 0)
        return;
    put_instruction(program, BPF_JMP | BPF_JEQ | BPF_K, SYS_kill, 0, 6);
    load_argument(program, 0);
    put_instruction(program, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)runner, 0, 3);
    load_argument(program, 1);
    put_instruction(program, BPF_JMP | BPF_JEQ | BPF_K, SIGKILL, 0, 1);
    answer(program, SECCOMP_RET_ALLOW);
    answer(program, REFUSED(EPERM));
}

/* Sockets lead where they were made to lead, and do as the C library made them. */
static void put_network(struct program *program, const struct sandbox_options *options)
{
    put_socket(program, options->network);
    if (!options->network)
        return;
    answer_calls(program, calls_network, SECCOMP_RET_ALLOW);
    /* Sockets that were there before keep the other end that they have. */
    put_instruction(program, BPF_JMP | BPF_JEQ | BPF_K, SYS_connect, 0, 5);
    load_argument(program, 0);
    put_instruction(program, BPF_JMP | BPF_JGT | BPF_K, STDERR_FILENO, 0, 2);
    put_instruction(program, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)options->notify, 1, 0);
    answer(program, SECCOMP_RET_ALLOW);
    answer(program, REFUSED(EPERM));
    put_null(program, SYS_sendto, 4);
    put_option(program, SYS_setsockopt, IPPROTO_TCP, TCP_NODELAY);
    put_option(program, SYS_getsockopt, SOL_SOCKET, SO_ERROR);
    put_option(program, SYS_getsockopt, IPPROTO_TCP, TCP_INFO);
    put_null(program, SYS_prlimit64, 2);
}

static void write_program(struct program *program, const struct sandbox_options *options)
{
    const unsigned groups = (options->network ? NETWORK : 0U) |
                            (options->installs ? INSTALLING : 0U) | (options->stays ? STAYING : 0U);
    size_t i;

    put_instruction(program, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
    put_instruction(program, BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
    answer(program, SECCOMP_RET_KILL_PROCESS);
    load_number(program);
#if defined __x86_64__
    put_instruction(program, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
    answer(program, SECCOMP_RET_KILL_PROCESS);
#endif
    answer_calls(program, calls_deadly, SECCOMP_RET_KILL_PROCESS);
    answer_calls(program, calls_always, SECCOMP_RET_ALLOW);
    if (options->installs)
        answer_calls(program, calls_installing, SECCOMP_RET_ALLOW);
    if (options->stays)
        answer_calls(program, calls_staying, SECCOMP_RET_ALLOW);
    for (i = 0; i < sizeof demands / sizeof *demands; i++)
        if (demands[i].group == ALL || demands[i].group & groups)
            put_demand(program, &demands[i]);
#ifdef SYS_open
    put_open(program, SYS_open, 1);
#endif
    put_open(program, SYS_openat, 2);
    put_network(program, options);
    put_kill(program, options->runner);
    answer_calls(program, calls_unknown, SECCOMP_RET_ERRNO | ENOSYS);
    answer(program, REFUSED(EPERM));
}

int sandbox_seccomp(const struct sandbox_options *options)
{
    struct sigaction action = {.sa_sigaction = on_refusal, .sa_flags = SA_SIGINFO | SA_NODEFER};
    struct program program = {.len = 0};
    struct sock_fprog filter;

    write_program(&program, options);
    if (program.len > PROGRAM_MAX) {
        errno = E2BIG;
        return -1;
    }
    filter = (struct sock_fprog){(unsigned short)program.len, program.code};
    if (sigaction(SIGSYS, &action, NULL) < 0)
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}
