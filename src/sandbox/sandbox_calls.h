/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SANDBOX_SANDBOX_CALLS_H
#define SANDBOX_SANDBOX_CALLS_H

#include <sys/syscall.h>

/*
 * The allowed system calls, for x86_64 and aarch64; only for sandbox_seccomp.c. aarch64 lacks the
 * old calls that act on paths without a directory; #ifdef separates them. docs/sandbox.md says why
 * each is there, and a test compares both: a call that no command makes, and that is no fallback
 * there, must not be on a list. sandbox_seccomp.c checks the arguments. -1 ends a list.
 */

/* No program makes these by accident: they end the process. */
static const int calls_deadly[] = {
    SYS_execve,
    SYS_execveat,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_bpf,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_kexec_file_load,
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_setns,
    SYS_unshare,
    -1,
};

static const int calls_always[] = {
    /* files */
    SYS_read,
    SYS_write,
    SYS_close,
    SYS_fstat,
    SYS_readlinkat,
    SYS_fstatfs, /* is the target on this machine, and not read-only? */
    SYS_newfstatat,
#ifdef SYS_open
    SYS_stat,
    SYS_lstat,
    SYS_access,
    SYS_readlink,
#else
    SYS_faccessat,
#endif
/* waiting, clocks */
#ifdef SYS_poll
    SYS_poll,
#else
    SYS_ppoll,
#endif
    SYS_nanosleep,
    SYS_clock_gettime,
    SYS_restart_syscall,
    /* memory */
    SYS_brk,
    SYS_munmap,
    SYS_mremap,
    SYS_mlock,
    SYS_mincore,
    /* threads, the end */
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_wait4,
    SYS_exit,
    SYS_exit_group,
    /* what one is */
    SYS_getpid,
    SYS_geteuid,
    SYS_getegid,
    SYS_getrandom,
    -1,
};

/* bind(2), listen(2) and accept(2) are missing on purpose. */
static const int calls_network[] = {
    SYS_recvfrom,
    SYS_getsockname,
    SYS_eventfd2,
    SYS_uname,
    SYS_lseek,
    /* what the next job may see: Landlock only takes away */
    SYS_statx,
    444,
    445,
    446,
    -1,
};

static const int calls_installing[] = {
    SYS_flock,    SYS_fchown,   SYS_fsync,     SYS_getdents64,
    SYS_unlinkat, SYS_renameat, SYS_symlinkat, SYS_shutdown,
#ifdef SYS_open
    SYS_unlink,   SYS_rename,
#endif
    -1,
};

static const int calls_staying[] = {SYS_timerfd_settime, -1};

/* A library that tries these goes on without. Numbers: musl's headers are older than the calls, or
 * lack them on one of the two. */
static const int calls_unknown[] = {
    SYS_rseq, SYS_io_uring_setup, 435, /* clone3 */
    436,                               /* close_range */
    437,                               /* openat2 */
    452,                               /* fchmodat2 */
    -1,
};

#endif
