/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_SANDBOX_CALLS_H
#define HOST_SANDBOX_CALLS_H

#include <sys/syscall.h>

/*
 * Which system calls are let through, for x86_64 and aarch64; for sandbox_seccomp.c alone. The
 * latter lacks the old ones, which act on paths without a directory. Those that a clock's vDSO
 * saves are in, and those of an abort. -1 ends a list.
 */

/* Nobody comes by these by accident: they end the process. */
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
    SYS_readv,
    SYS_writev,
    SYS_pread64,
    SYS_lseek,
    SYS_close,
    SYS_openat,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_readlinkat,
    SYS_getcwd,
    SYS_getdents64,
    SYS_flock,
    SYS_fstatfs, /* is the target on this machine, and not read-only? */
    SYS_fsync,
    SYS_fdatasync,
    SYS_umask,
#ifdef SYS_open
    SYS_open,
    SYS_stat,
    SYS_lstat,
    SYS_access,
    SYS_readlink,
    SYS_poll,
    SYS_select,
    SYS_pipe,
    SYS_time,
#endif
    /* events */
    SYS_ppoll,
    SYS_pselect6,
    SYS_pipe2,
    SYS_eventfd2,
    SYS_timerfd_create,
    SYS_timerfd_settime,
    SYS_timerfd_gettime,
    /* clocks */
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_gettimeofday,
    /* memory */
    SYS_brk,
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    SYS_mlock,
    SYS_munlock,
    /* threads, signals, the end */
    SYS_futex,
    SYS_set_robust_list,
    SYS_get_robust_list,
    SYS_set_tid_address,
    SYS_membarrier,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_rt_sigpending,
    SYS_sigaltstack,
    SYS_restart_syscall,
    SYS_wait4,
    SYS_waitid,
    SYS_exit,
    SYS_exit_group,
    /* what one is */
    SYS_getpid,
    SYS_getppid,
    SYS_gettid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_uname,
    SYS_sysinfo,
    SYS_getrandom,
    /* Landlock: it only takes away */
    444,
    445,
    446,
    -1,
};

/* listen(2) and accept(2) are missing on purpose; musl's resolver binds its socket. */
static const int calls_network[] = {
    SYS_connect,     SYS_bind,       SYS_sendto,     SYS_sendmsg,  SYS_sendmmsg,
    SYS_recvfrom,    SYS_recvmsg,    SYS_recvmmsg,   SYS_shutdown, SYS_getsockname,
    SYS_getpeername, SYS_setsockopt, SYS_getsockopt, -1,
};

static const int calls_writing[] = {
    SYS_mkdirat,  SYS_unlinkat, SYS_renameat2, SYS_symlinkat, SYS_fchmod,
    SYS_fchmodat, SYS_fchown,   SYS_fchownat,  SYS_ftruncate,
#ifdef SYS_renameat
    SYS_renameat,
#endif
#ifdef SYS_open
    SYS_mkdir,    SYS_rmdir,    SYS_unlink,    SYS_rename,    SYS_symlink,
    SYS_chmod,    SYS_chown,    SYS_lchown,
#endif
    -1,
};

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
