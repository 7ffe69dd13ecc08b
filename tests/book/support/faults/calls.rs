//! Which system calls can fail, and how do we let them?
//!
//! Each with the error that is likely to be met: no space on the disk, no memory, too many open
//! files, a device that does not answer. See the ERRORS of the man pages.

use libc::c_long;
use nix::errno::Errno::{self, *};

/// What becomes of a call that we let fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The kernel does nothing, and says this.
    Is(Errno),
    /// It does what it was asked for, and says this: a descriptor is closed in any case.
    DoneBut(Errno),
    /// We let it be, for this reason.
    Never(&'static str),
}

const RUNTIME: &str = "the runtime's own";
const CANNOT: &str = "cannot fail";

/// The name of the call `number`, and how it can fail.
pub fn call(number: u64) -> (&'static str, Failure) {
    let known = TABLE.iter().find(|(known, ..)| u64::try_from(*known) == Ok(number));
    known.map_or(("unknown", Failure::Never("not in our table")), |row| (row.1, row.2))
}

macro_rules! table {
    ($($failure:expr => $($call:ident)+;)+) => {
        const TABLE: &[(c_long, &str, Failure)] =
            &[$($((libc::$call, stringify!($call).split_at(4).1, $failure)),+),+];
    };
}

table! {
    Failure::Never(RUNTIME) => SYS_brk SYS_mmap SYS_munmap SYS_mprotect SYS_mremap SYS_madvise
        SYS_futex SYS_rt_sigaction SYS_rt_sigprocmask SYS_rt_sigreturn SYS_sigaltstack
        SYS_arch_prctl SYS_set_tid_address SYS_set_robust_list SYS_rseq SYS_sched_getaffinity
        SYS_sched_yield SYS_restart_syscall SYS_membarrier;
    Failure::Never(CANNOT) => SYS_exit SYS_exit_group SYS_getpid SYS_getppid SYS_gettid
        SYS_getuid SYS_geteuid SYS_getgid SYS_getegid SYS_umask SYS_getpgrp SYS_alarm
        SYS_clock_gettime SYS_gettimeofday SYS_time SYS_uname SYS_sysinfo SYS_getcwd;
    Failure::DoneBut(EIO) => SYS_close;
    Failure::Is(EMFILE) => SYS_open SYS_openat SYS_openat2 SYS_pipe SYS_pipe2 SYS_socket
        SYS_socketpair SYS_dup SYS_accept SYS_accept4 SYS_epoll_create1 SYS_eventfd2
        SYS_signalfd4 SYS_timerfd_create SYS_pidfd_open SYS_memfd_create SYS_fsopen
        SYS_open_tree SYS_fsmount SYS_inotify_init1;
    Failure::Is(EIO) => SYS_read SYS_pread64 SYS_readv SYS_getdents64 SYS_stat SYS_lstat
        SYS_fstat SYS_statx SYS_newfstatat SYS_statfs SYS_fstatfs SYS_access SYS_faccessat
        SYS_faccessat2 SYS_readlink SYS_readlinkat SYS_lseek SYS_unlink SYS_unlinkat SYS_rmdir
        SYS_fsync SYS_fdatasync SYS_sync_file_range SYS_syncfs SYS_getxattr SYS_lgetxattr
        SYS_fgetxattr SYS_listxattr SYS_llistxattr SYS_flistxattr SYS_chdir SYS_fchdir
        SYS_utimensat SYS_ioctl SYS_sendfile SYS_copy_file_range SYS_splice;
    Failure::Is(ENOSPC) => SYS_write SYS_writev SYS_pwrite64 SYS_creat SYS_mkdir SYS_mkdirat
        SYS_mknod SYS_mknodat SYS_symlink SYS_symlinkat SYS_link SYS_linkat SYS_rename
        SYS_renameat SYS_renameat2 SYS_truncate SYS_ftruncate SYS_fallocate SYS_setxattr
        SYS_lsetxattr SYS_fsetxattr;
    Failure::Is(EPERM) => SYS_mount SYS_umount2 SYS_mount_setattr SYS_move_mount SYS_fsconfig
        SYS_pivot_root SYS_chroot SYS_unshare SYS_setns SYS_sethostname SYS_setdomainname
        SYS_prctl SYS_setuid SYS_setgid SYS_setresuid SYS_setresgid SYS_setgroups SYS_getgroups
        SYS_setsid SYS_getsid SYS_setpgid SYS_getpgid SYS_chown SYS_lchown SYS_fchown
        SYS_fchownat SYS_chmod SYS_fchmod SYS_fchmodat SYS_capget SYS_capset SYS_seccomp SYS_bpf
        SYS_kill SYS_tgkill SYS_tkill SYS_pidfd_send_signal SYS_prlimit64 SYS_setrlimit
        SYS_getrlimit SYS_setpriority SYS_keyctl SYS_removexattr SYS_lremovexattr;
    Failure::Is(ENOMEM) => SYS_clone SYS_clone3 SYS_fork SYS_vfork SYS_execve SYS_execveat
        SYS_poll SYS_ppoll SYS_select SYS_pselect6 SYS_epoll_wait SYS_epoll_pwait SYS_epoll_ctl
        SYS_recvfrom SYS_recvmsg SYS_recvmmsg SYS_mlock;
    Failure::Is(ENOBUFS) => SYS_sendto SYS_sendmsg SYS_sendmmsg SYS_setsockopt SYS_getsockopt
        SYS_getsockname SYS_getpeername SYS_listen SYS_shutdown;
    Failure::Is(ECONNREFUSED) => SYS_connect;
    Failure::Is(EADDRINUSE) => SYS_bind;
    Failure::Is(EINTR) => SYS_wait4 SYS_waitid SYS_nanosleep SYS_clock_nanosleep;
    Failure::Is(ENOLCK) => SYS_flock;
    Failure::Is(EINVAL) => SYS_fcntl SYS_dup2 SYS_dup3 SYS_close_range;
    Failure::Is(ENOSYS) => SYS_getrandom;
}
