//! Lesson 3: how can a process be number 1?
//!
//! A PID namespace numbers its processes from 1, and the namespaces around it number them,
//! too: one process, several PIDs. Nobody can change the number of a running process, so
//! that unshare(2) does not move its caller: the namespace is for the children to come, and
//! the first of them is number 1. When number 1 ends, the kernel kills all the others.
//!
//! Read pid_namespaces(7), then this file, then main.rs.

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, Pid};
use stage::{Child, Cue, Result, Stage};

/// The next child of the calling process will be number 1 of a new PID namespace. After
/// that child's end, the caller can have no more children: their fork(2) is refused with
/// ENOMEM, because a namespace without number 1 takes nobody.
pub fn isolate(stage: &Stage) -> Result<()> {
    stage.ask("unshare(CLONE_NEWPID)", || unshare(CloneFlags::CLONE_NEWPID))
}

/// Both in one call: a child that is number 1 of a new PID namespace. The caller's later
/// children are not in it, so that an engine can go on starting programs of its own.
pub fn fork(
    stage: &Stage,
    part: impl FnOnce(&mut Cue) -> Result<u8>,
) -> Result<Child<'_>> {
    stage.fork_by("clone(child_stack=NULL, flags=CLONE_NEWPID|SIGCHLD)", clone, part)
}

#[allow(unsafe_code, reason = "nix has a clone(2) only for functions with a stack")]
fn clone() -> nix::Result<ForkResult> {
    let flags = CloneFlags::CLONE_NEWPID.bits() | Signal::SIGCHLD as i32;
    // SAFETY: as fork(2) with one thread: without a stack of its own, the child copies ours.
    let answer = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    match Errno::result(answer)? {
        0 => Ok(ForkResult::Child),
        pid => {
            let pid = i32::try_from(pid).map_err(|_| Errno::EOVERFLOW)?;
            Ok(ForkResult::Parent { child: Pid::from_raw(pid) })
        }
    }
}
