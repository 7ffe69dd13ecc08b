//! Lesson 1, the solution: give a shell a hostname of its own.
//!
//! Read unshare(2), sethostname(2) and uts_namespaces(7).
//! It is checked by
//!
//!     sudo target/debug/lab check uts -- target/debug/examples/uts-solution

use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::sethostname;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    leave_namespace()?;
    take_name("container")?;
    // Become a shell that reads standard input. exec returns only when it fails.
    Err(Command::new("/bin/sh").exec().into())
}

/// Give this process a UTS namespace of its own.
fn leave_namespace() -> nix::Result<()> {
    unshare(CloneFlags::CLONE_NEWUTS)
}

/// Name the machine `name`, for everyone in this process's UTS namespace.
fn take_name(name: &str) -> nix::Result<()> {
    sethostname(name)
}
