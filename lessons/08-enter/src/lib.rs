//! Lesson 8: what does `docker exec` do?
//!
//! It joins. A namespace is a file: whoever may open it can enter it, with setns(2), and
//! is then as much in it as who made it. The files are in /proc/PID/ns, for each process
//! those that it is in. There is no container to enter, only its namespaces, one by one or,
//! through a descriptor of a process in them, several at once.
//!
//! Read setns(2), namespaces(7) and pidfd_open(2), then this file, then main.rs.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open as open_file};
use nix::mount::{MntFlags, umount2};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use stage::{Result, Stage, descriptor};

/// A kind of namespace. The order is that in which they are joined: first the user
/// namespace, which grants the rest; last the mount namespace, which takes away the /proc
/// that we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "a lesson each")]
pub enum Kind {
    User,
    Uts,
    Ipc,
    Net,
    Cgroup,
    Time,
    Pid,
    Mount,
}

impl Kind {
    /// Its name in /proc/PID/ns, its flag, and the flag's name.
    pub fn names(self) -> (&'static str, CloneFlags, &'static str) {
        match self {
            Kind::User => ("user", CloneFlags::CLONE_NEWUSER, "CLONE_NEWUSER"),
            Kind::Uts => ("uts", CloneFlags::CLONE_NEWUTS, "CLONE_NEWUTS"),
            Kind::Ipc => ("ipc", CloneFlags::CLONE_NEWIPC, "CLONE_NEWIPC"),
            Kind::Net => ("net", CloneFlags::CLONE_NEWNET, "CLONE_NEWNET"),
            Kind::Cgroup => ("cgroup", CloneFlags::CLONE_NEWCGROUP, "CLONE_NEWCGROUP"),
            Kind::Time => ("time", time_ns::CLONE_NEWTIME, "CLONE_NEWTIME"),
            Kind::Pid => ("pid", CloneFlags::CLONE_NEWPID, "CLONE_NEWPID"),
            Kind::Mount => ("mnt", CloneFlags::CLONE_NEWNS, "CLONE_NEWNS"),
        }
    }

    /// The namespace of this kind that process `pid` is in, as a file.
    pub fn of(self, pid: Pid) -> PathBuf {
        format!("/proc/{pid}/ns/{}", self.names().0).into()
    }
}

/// Enter the namespaces of process `pid` that are of these `kinds`. With the PID namespace
/// it is as with unshare: only children to come are moved.
pub fn join(stage: &Stage, pid: Pid, kinds: &[Kind]) -> Result<()> {
    let mut kinds = kinds.to_vec();
    kinds.sort_unstable();
    // All are opened before the first is entered: from inside, `pid` is another number.
    let opened = kinds.into_iter().map(|kind| Ok((kind, open(stage, &kind.of(pid))?)));
    let opened = opened.collect::<Result<Vec<_>>>()?;
    opened.iter().try_for_each(|(kind, namespace)| set(stage, namespace, *kind))
}

/// The same by one call, which enters all of them or none. The descriptor stands for the
/// process itself: nobody else can get its number meanwhile (Linux 5.8).
pub fn join_at_once(stage: &Stage, pid: Pid, kinds: &[Kind]) -> Result<()> {
    let process = stage.ask(format!("pidfd_open({pid}, 0)"), || pidfd_open(pid))?;
    let flags = kinds.iter().map(|kind| kind.names().1).collect::<CloneFlags>();
    let names: Vec<_> = kinds.iter().map(|kind| kind.names().2).collect();
    let call = format!("setns({}, {})", descriptor(&process), names.join("|"));
    stage.ask(call, || setns(&process, flags))
}

/// Open a namespace: what is open stays, even if nobody is in it.
pub fn open(stage: &Stage, file: &Path) -> Result<OwnedFd> {
    let call = format!("openat(AT_FDCWD, {file:?}, O_RDONLY|O_CLOEXEC)");
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    stage.ask(call, || open_file(file, flags, Mode::empty()))
}

/// Enter `namespace`, which is of this `kind`.
pub fn set(stage: &Stage, namespace: &OwnedFd, kind: Kind) -> Result<()> {
    let (_, flag, name) = kind.names();
    let call = format!("setns({}, {name})", descriptor(namespace));
    stage.ask(call, || setns(namespace, flag))
}

/// Keep the namespace of this `kind` that we are in at `file`, which exists: it lives on
/// there when its last process has ended, until [`release`].
pub fn keep(stage: &Stage, kind: Kind, file: &Path) -> Result<()> {
    let own = Path::new("/proc/self/ns").join(kind.names().0);
    mount::bind(stage, &own, file)
}

/// Keep no namespace at `file` any more.
pub fn release(stage: &Stage, file: &Path) -> Result<()> {
    stage.ask(format!("umount2({file:?}, 0)"), || umount2(file, MntFlags::empty()))
}

/// A descriptor that stands for process `pid`; poll(2) tells when it has ended.
#[allow(unsafe_code, reason = "nix has no wrapper for pidfd_open(2)")]
pub fn pidfd_open(pid: Pid) -> nix::Result<OwnedFd> {
    // SAFETY: the call takes two numbers and touches no memory of ours.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    let number = RawFd::try_from(Errno::result(result)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just opened it for us (close-on-exec), and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
