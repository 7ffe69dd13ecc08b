//! Which calls does the plumbing need that no lesson teaches?
//!
//! The only file in `src/` that asks the kernel without a lesson in between. Nothing here
//! makes a container what it is: that is what the lessons are for.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::{set_child_subreaper, set_pdeathsig};
use nix::sys::signal::Signal;
use nix::sys::wait::wait;
use nix::unistd::{Pid, Uid, User, geteuid};
use stage::{Error, Result};

/// Whether we are root.
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// The home folder of user `uid`, if the machine knows that user.
pub fn home_of(uid: u32) -> Option<PathBuf> {
    User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.dir)
}

/// From here on, orphans among our descendants become our children, not PID 1's.
pub fn become_subreaper() -> Result<()> {
    set_child_subreaper(true)
        .map_err(|errno| Error::call("prctl(PR_SET_CHILD_SUBREAPER)", errno))
}

/// Let the process that `command` starts end when we end, however we end.
#[allow(unsafe_code, reason = "code between fork and exec must not touch locks")]
pub fn end_with_us(command: &mut Command) -> &mut Command {
    // SAFETY: prctl(2) is a plain system call, it takes no lock and no memory.
    unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?)) }
}

/// End process `pid` at once. One that has ended meanwhile is not an error.
pub fn kill(pid: i32) -> Result<()> {
    match nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(Error::call(format!("kill({pid}, SIGKILL)"), errno)),
    }
}

/// Wait until one of our children ends. False if there is none to wait for.
pub fn wait_for_any_child() -> bool {
    loop {
        match wait() {
            Ok(_) => return true,
            Err(Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
}

/// Move to a stand-in for the host: the same names and mounts, but copies, and no queues,
/// so that a program that goes wrong cannot harm the machine's own. (Files, processes and
/// the network are the machine's.) All of it goes with its last process.
///
/// As on a usual machine, "/" is shared, wherever we are: a mount that a program forgets
/// to keep to itself shows up here. /dev/shm is empty and ours.
pub fn enter_stand_in() -> Result<()> {
    let kinds =
        CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC;
    unshare(kinds)
        .map_err(|errno| Error::call("unshare(CLONE_NEWNS|NEWUTS|NEWIPC)", errno))?;
    // A slave first: it hears of the machine's mounts, the machine hears nothing of ours.
    for (name, how) in [("SLAVE", MsFlags::MS_SLAVE), ("SHARED", MsFlags::MS_SHARED)] {
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | how, None::<&str>)
            .map_err(|errno| Error::call(format!("mount(\"/\", MS_{name})"), errno))?;
    }
    mount(Some("tmpfs"), "/dev/shm", Some("tmpfs"), MsFlags::empty(), None::<&str>)
        .map_err(|errno| Error::call("mount(\"tmpfs\", \"/dev/shm\")", errno))
}
