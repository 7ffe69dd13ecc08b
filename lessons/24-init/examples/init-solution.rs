//! Lesson 24, the solution: be PID 1 for a shell.
//!
//! Read waitid(2), sigwait(3), kill(2) and pid_namespaces(7).
//! It is checked by
//!
//!     sudo target/debug/lab check init -- target/debug/examples/init-solution

use std::error::Error;
use std::process::{Command, exit};

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

#[allow(unsafe_code, reason = "nix marks fork(2) as unsafe")]
fn main() -> Result<(), Box<dyn Error>> {
    unshare(CloneFlags::CLONE_NEWPID)?;
    // SAFETY: we have one thread.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => exit(status_of(waitpid(child, None)?)),
        ForkResult::Child => be_number_one("/bin/sh"),
    }
}

/// Number 1: start `program`, and do what is our duty until it has ended.
fn be_number_one(program: &str) -> Result<(), Box<dyn Error>> {
    // They wait until they are read. std::process::Command lets them through in the child.
    let signals = SigSet::all();
    signals.thread_block()?;
    let program = Command::new(program).spawn()?;
    let program = Pid::from_raw(program.id().cast_signed());
    loop {
        let signal = signals.wait()?;
        if let Some(status) = reap(program)? {
            exit(status)
        }
        pass_on(signal, program)?;
    }
}

/// Wait for all children that have ended, but for none that has not (WNOHANG): the status of
/// `program`, if it is among them. Use waitid(2).
fn reap(program: Pid) -> nix::Result<Option<i32>> {
    let mut ended = None;
    loop {
        match waitid(Id::All, WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG) {
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(ended),
            Ok(status) if status.pid() == Some(program) => {
                ended = Some(status_of(status));
            }
            Ok(_) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Send `program` a signal that we got, unless it was about our children.
fn pass_on(signal: Signal, program: Pid) -> nix::Result<()> {
    if signal == Signal::SIGCHLD { Ok(()) } else { kill(program, signal) }
}

/// As a shell has it.
fn status_of(status: WaitStatus) -> i32 {
    match status {
        WaitStatus::Exited(_, code) => code,
        WaitStatus::Signaled(_, signal, _) => 128 + signal as i32,
        _ => 1,
    }
}
