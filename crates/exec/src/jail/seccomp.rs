//! Which system calls a jailed process may make: an allow-list with a group for each purpose.
//!
//! Four filters lie over each other, and a call passes when all of them let it pass. Two look at
//! arguments: flags of clone, ioctl, prctl and personality and the modes of files, then families of
//! sockets. One answers EPERM for what programs expect to exist and may not do. The last is the list:
//! what it does not know does not exist (ENOSYS), so that libraries fall back as on an older kernel.
//! Pointers cannot be looked into, so `clone3` and `openat2`, whose flags lie behind one, do not exist.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Width, SeccompCmpOp as Is, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter,
};

use super::Family;

/// Filters in the order in which they are installed: the list is the last, because under it no
/// further one can be.
pub(crate) struct Filters(Vec<BpfProgram>);

/// Compiled before the fork, because after it as little as possible should happen.
pub(crate) fn filters(family: Family) -> io::Result<Filters> {
    let always = |calls: &[i64]| calls.iter().map(|call| (*call, vec![])).collect();
    let mut known: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for group in groups(family).into_iter().chain([REFUSED]) {
        known.extend(group.iter().map(|call| (*call, vec![])));
    }
    let errno = |number: i32| SeccompAction::Errno(number.unsigned_abs());
    let pass = SeccompAction::Allow;
    Ok(Filters(vec![
        compile(arguments_denied()?, pass.clone(), errno(libc::EPERM))?,
        compile(sockets_denied()?, pass.clone(), errno(libc::EAFNOSUPPORT))?,
        compile(always(REFUSED), pass.clone(), errno(libc::EPERM))?,
        compile(known, errno(libc::ENOSYS), pass)?,
    ]))
}

impl Filters {
    /// For this process and what it becomes, for ever. Needs no_new_privs.
    pub(crate) fn apply(&self) -> io::Result<()> {
        self.0.iter().try_for_each(|filter| apply_filter(filter).map_err(io::Error::other))
    }
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn compile(rules: Rules, other: SeccompAction, named: SeccompAction) -> io::Result<BpfProgram> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(io::Error::other)?;
    let filter = SeccompFilter::new(rules, other, named, arch).map_err(io::Error::other)?;
    filter.try_into().map_err(io::Error::other)
}

fn when(argument: u8, is: Is, value: u64) -> io::Result<SeccompCondition> {
    SeccompCondition::new(argument, Width::Dword, is, value).map_err(io::Error::other)
}

fn all(conditions: Vec<SeccompCondition>) -> io::Result<SeccompRule> {
    SeccompRule::new(conditions).map_err(io::Error::other)
}

/// Streams of the internet and anything between processes of the jail; the rest is an address
/// family that this kernel does not have.
fn sockets_denied() -> io::Result<Rules> {
    let [unix, inet, inet6] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6].map(number);
    let stream = number(libc::SOCK_STREAM);
    let not_unix = || when(0, Is::Ne, unix);
    let mut refused =
        vec![all(vec![not_unix()?, when(0, Is::Ne, inet)?, when(0, Is::Ne, inet6)?])?];
    for kind in (0..16).filter(|kind| *kind != stream) {
        refused.push(all(vec![not_unix()?, when(1, Is::MaskedEq(SOCKET_KIND), kind)?])?);
    }
    let [any, tcp] = [0, number(libc::IPPROTO_TCP)];
    refused.push(all(vec![not_unix()?, when(2, Is::Ne, any)?, when(2, Is::Ne, tcp)?])?);
    let pairs = vec![all(vec![not_unix()?])?];
    Ok(Rules::from([(libc::SYS_socket, refused), (libc::SYS_socketpair, pairs)]))
}

/// The low bits of a socket's type; the others are flags.
const SOCKET_KIND: u64 = 0xf;

/// Requests of ioctl; their types differ between C libraries.
const TIOCSTI: u64 = 0x5412;
const TIOCLINUX: u64 = 0x541c;

fn arguments_denied() -> io::Result<Rules> {
    let mut new_namespace = vec![];
    for flag in NAMESPACES {
        let flag = number(*flag);
        new_namespace.push(all(vec![when(0, Is::MaskedEq(flag), flag)?])?);
    }
    // Typing into the terminal of whoever started the server.
    let terminal = [TIOCSTI, TIOCLINUX]
        .into_iter()
        .map(|request| all(vec![when(1, Is::Eq, request)?]))
        .collect::<io::Result<Vec<_>>>()?;
    let mut other_options = vec![];
    for option in PRCTL {
        other_options.push(when(0, Is::Ne, number(*option))?);
    }
    let query = 0xffff_ffff;
    let personality = all(vec![when(0, Is::Ne, 0)?, when(0, Is::Ne, query)?])?;
    let mut denied = set_id_denied()?;
    denied.extend([
        (libc::SYS_clone, new_namespace),
        (libc::SYS_ioctl, terminal),
        (libc::SYS_prctl, vec![all(other_options)?]),
        (libc::SYS_personality, vec![personality]),
    ]);
    Ok(denied)
}

/// A set-user-ID program in a shared folder would be one on the host, where its mount does not say
/// that this counts for nothing. The calls that set a mode are those that systemd's RestrictSUIDSGID
/// looks at.
fn set_id_denied() -> io::Result<Rules> {
    let mut denied = Rules::new();
    for bit in [libc::S_ISUID, libc::S_ISGID].map(u64::from) {
        let set = |mode: u8| when(mode, Is::MaskedEq(bit), bit);
        for (call, mode) in SETS_MODE {
            denied.entry(*call).or_default().push(all(vec![set(*mode)?])?);
        }
        for (call, flags) in OPENS {
            for making in [libc::O_CREAT, UNNAMED].map(number) {
                let made = when(*flags, Is::MaskedEq(making), making)?;
                denied.entry(*call).or_default().push(all(vec![made, set(*flags + 1)?])?);
            }
        }
    }
    Ok(denied)
}

/// The bit of O_TMPFILE that is not O_DIRECTORY's.
const UNNAMED: i32 = libc::O_TMPFILE & !libc::O_DIRECTORY;

/// Calls with a mode, and which argument it is.
const SETS_MODE: &[(i64, u8)] = &[
    (libc::SYS_fchmod, 1),
    (libc::SYS_fchmodat, 2),
    (libc::SYS_mkdirat, 2),
    (libc::SYS_mknodat, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_creat, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mkdir, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mknod, 1),
];

/// Calls with a mode that counts if the flags, the argument before, ask for a new file.
const OPENS: &[(i64, u8)] = &[
    (libc::SYS_openat, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 1),
];

fn number(constant: i32) -> u64 {
    u64::from(constant.cast_unsigned())
}

const NAMESPACES: &[i32] = &[
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWUTS,
];

/// Options of prctl that concern nothing but the process itself.
const PRCTL: &[i32] = &[
    libc::PR_CAPBSET_READ,
    libc::PR_GET_CHILD_SUBREAPER,
    libc::PR_GET_DUMPABLE,
    libc::PR_GET_KEEPCAPS,
    libc::PR_GET_NAME,
    libc::PR_GET_NO_NEW_PRIVS,
    libc::PR_GET_PDEATHSIG,
    libc::PR_GET_SECCOMP,
    libc::PR_GET_SECUREBITS,
    libc::PR_GET_THP_DISABLE,
    libc::PR_GET_TIMERSLACK,
    libc::PR_MCE_KILL,
    libc::PR_SET_CHILD_SUBREAPER,
    libc::PR_SET_DUMPABLE,
    libc::PR_SET_NAME,
    libc::PR_SET_NO_NEW_PRIVS,
    libc::PR_SET_PDEATHSIG,
    libc::PR_SET_THP_DISABLE,
    libc::PR_SET_TIMERSLACK,
    libc::PR_SET_VMA,
];

fn groups(family: Family) -> Vec<&'static [i64]> {
    let mut groups =
        vec![FILES, MEMORY, PROCESSES, SIGNALS, WAITING, SOCKETS, TIME, IDENTITY, MACHINE, OLD];
    groups.extend(match family {
        Family::Python => [].as_slice(),
        // V8 marks its code pages with protection keys.
        Family::Node => [PROTECTION_KEYS].as_slice(),
        // A program of somebody's own may be of either kind.
        Family::Provided => [PROTECTION_KEYS].as_slice(),
    });
    groups
}

/// Reading, writing, naming; all of it within what the mounts show.
const FILES: &[i64] = &[
    libc::SYS_chdir,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_copy_file_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fadvise64,
    libc::SYS_fallocate,
    libc::SYS_fchdir,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_fcntl,
    libc::SYS_fdatasync,
    libc::SYS_fgetxattr,
    libc::SYS_flistxattr,
    libc::SYS_flock,
    libc::SYS_fremovexattr,
    libc::SYS_fsetxattr,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_getxattr,
    libc::SYS_inotify_add_watch,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_rm_watch,
    libc::SYS_ioctl,
    libc::SYS_lgetxattr,
    libc::SYS_linkat,
    libc::SYS_listxattr,
    libc::SYS_llistxattr,
    libc::SYS_lremovexattr,
    libc::SYS_lseek,
    libc::SYS_lsetxattr,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_pipe2,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_read,
    libc::SYS_readahead,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_removexattr,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_sendfile,
    libc::SYS_setxattr,
    libc::SYS_splice,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_symlinkat,
    libc::SYS_sync,
    libc::SYS_sync_file_range,
    libc::SYS_syncfs,
    libc::SYS_tee,
    libc::SYS_truncate,
    libc::SYS_umask,
    libc::SYS_unlinkat,
    libc::SYS_utimensat,
    libc::SYS_vmsplice,
    libc::SYS_write,
    libc::SYS_writev,
];

const MEMORY: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_get_mempolicy,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mincore,
    libc::SYS_mlock,
    libc::SYS_mlock2,
    libc::SYS_mlockall,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_msync,
    libc::SYS_munlock,
    libc::SYS_munlockall,
    libc::SYS_munmap,
];

const PROTECTION_KEYS: &[i64] =
    &[libc::SYS_pkey_alloc, libc::SYS_pkey_free, libc::SYS_pkey_mprotect];

/// Processes and threads of the jail, and what they share: POSIX message queues, which have a limit.
/// System V's memory, semaphores and messages, like files of `memfd_create`, are memory that belongs
/// to no process, where neither a limit nor the server's watch counts it; they do not exist. Nor does
/// the kernel's older asynchronous I/O, whose contexts are a number for the whole machine.
const PROCESSES: &[i64] = &[
    libc::SYS_clone,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_futex_waitv,
    libc::SYS_get_robust_list,
    libc::SYS_getpgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getpriority,
    libc::SYS_getrlimit,
    libc::SYS_getrusage,
    libc::SYS_getsid,
    libc::SYS_gettid,
    libc::SYS_ioprio_get,
    libc::SYS_ioprio_set,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_prctl,
    libc::SYS_prlimit64,
    libc::SYS_rseq,
    libc::SYS_sched_get_priority_max,
    libc::SYS_sched_get_priority_min,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getattr,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_rr_get_interval,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setattr,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_setpgid,
    libc::SYS_setpriority,
    libc::SYS_setrlimit,
    libc::SYS_setsid,
    libc::SYS_wait4,
    libc::SYS_waitid,
];

const SIGNALS: &[i64] = &[
    libc::SYS_kill,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_sigaltstack,
    libc::SYS_signalfd4,
    libc::SYS_tgkill,
    libc::SYS_tkill,
];

const WAITING: &[i64] = &[
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_gettime,
    libc::SYS_timerfd_settime,
];

const SOCKETS: &[i64] = &[
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_listen,
    libc::SYS_recvfrom,
    libc::SYS_recvmmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    libc::SYS_socket,
    libc::SYS_socketpair,
];

const TIME: &[i64] = &[
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_getitimer,
    libc::SYS_gettimeofday,
    libc::SYS_nanosleep,
    libc::SYS_setitimer,
    libc::SYS_timer_create,
    libc::SYS_timer_delete,
    libc::SYS_timer_getoverrun,
    libc::SYS_timer_gettime,
    libc::SYS_timer_settime,
    libc::SYS_times,
];

/// Without capabilities nothing can be changed by these; programs ask, and some try.
const IDENTITY: &[i64] = &[
    libc::SYS_capget,
    libc::SYS_capset,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getgroups,
    libc::SYS_getresgid,
    libc::SYS_getresuid,
    libc::SYS_getuid,
    libc::SYS_setfsgid,
    libc::SYS_setfsuid,
    libc::SYS_setgid,
    libc::SYS_setgroups,
    libc::SYS_setregid,
    libc::SYS_setresgid,
    libc::SYS_setresuid,
    libc::SYS_setreuid,
    libc::SYS_setuid,
];

const MACHINE: &[i64] = &[
    libc::SYS_getcpu,
    libc::SYS_getrandom,
    libc::SYS_personality,
    libc::SYS_sysinfo,
    libc::SYS_uname,
];

/// Calls that newer architectures left out because newer calls do the same.
#[cfg(target_arch = "x86_64")]
const OLD: &[i64] = &[
    libc::SYS_access,
    libc::SYS_alarm,
    libc::SYS_arch_prctl,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_creat,
    libc::SYS_dup2,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd,
    libc::SYS_fork,
    libc::SYS_futimesat,
    libc::SYS_getdents,
    libc::SYS_getpgrp,
    libc::SYS_inotify_init,
    libc::SYS_lchown,
    libc::SYS_link,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_mknod,
    libc::SYS_open,
    libc::SYS_pause,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_rmdir,
    libc::SYS_select,
    libc::SYS_signalfd,
    libc::SYS_stat,
    libc::SYS_symlink,
    libc::SYS_time,
    libc::SYS_unlink,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_vfork,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[i64] = &[];

/// What exists and is nobody's business in a jail. The first filter lets these pass so that the
/// second can say EPERM; anything that neither names does not exist.
const REFUSED: &[i64] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_mbind,
    libc::SYS_migrate_pages,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_move_pages,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_madvise,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_set_mempolicy,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_call_is_both_allowed_and_refused_and_none_stands_twice() {
        let mut all: Vec<i64> = groups(Family::Node).concat();
        all.extend(REFUSED);
        let once: BTreeSet<i64> = all.iter().copied().collect();
        assert_eq!(once.len(), all.len());
        assert!(!once.contains(&libc::SYS_clone3), "its flags cannot be seen");
    }

    #[test]
    fn the_filters_of_every_family_compile() {
        for family in [Family::Python, Family::Node, Family::Provided] {
            assert_eq!(filters(family).unwrap().0.len(), 4);
        }
    }
}
