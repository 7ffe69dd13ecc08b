//! Lesson 24, the exercise: be PID 1 for a shell.
//!
//! Fill in the two functions, with nix and nothing else. Read waitid(2), kill(2) and
//! pid_namespaces(7); https://docs.rs/nix has the Rust names. Then run
//!
//!     sudo target/debug/lab check init

#![allow(
    clippy::todo,
    unused_imports,
    unused_variables,
    reason = "the exercise is yours to finish"
)]

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
    todo!("wait for whoever has ended, until nobody is left")
}

/// Send `program` a signal that we got, unless it was about our children.
fn pass_on(signal: Signal, program: Pid) -> nix::Result<()> {
    todo!("send it on")
}

/// As a shell has it.
fn status_of(status: WaitStatus) -> i32 {
    match status {
        WaitStatus::Exited(_, code) => code,
        WaitStatus::Signaled(_, signal, _) => 128 + signal as i32,
        _ => 1,
    }
}
