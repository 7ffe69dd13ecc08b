//! What becomes of a process whose parent has ended?
//!
//! A child of number 1. When it ends, too, its exit status waits there to be asked for:
//! until then it is a zombie, which has nothing left but its number.

use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::pause;
use stage::{Error, Evidence, Pid, Result, Stage, proc};

/// Leave an orphan behind, and wait for its end: its PID. It ends by itself, because a child
/// on this stage asks for SIGKILL when its parent ends.
pub fn leave(stage: &Stage) -> Result<Pid> {
    let mut parent = stage.fork(|cue| {
        let child = stage.fork(|_| {
            loop {
                pause();
            }
        })?;
        let mut told = Evidence::default();
        told.record("child", child.pid());
        cue.report(told)?;
        // Its destructor would end it, and wait for it.
        std::mem::forget(child);
        Ok(0)
    })?;
    let pid = parent.evidence()?["child"].parse();
    let pid = Pid::from_raw(pid.map_err(|_| Error::input("the orphan has no PID"))?);
    // The descriptor stands for this process, also when another has its number.
    let orphan =
        enter::pidfd_open(pid).map_err(|errno| Error::call("pidfd_open", errno))?;
    parent.proceed()?;
    parent.wait()?;
    let mut watched = [PollFd::new(orphan.as_fd(), PollFlags::POLLIN)];
    poll(&mut watched, PollTimeout::NONE).map_err(|errno| Error::call("poll", errno))?;
    Ok(pid)
}

/// What /proc says of a process that has ended.
pub fn state(pid: Pid) -> &'static str {
    match proc::status_line(&pid.to_string(), "State") {
        Ok(state) if state.starts_with('Z') => "zombie",
        Ok(_) => "there",
        Err(_) => "gone",
    }
}
