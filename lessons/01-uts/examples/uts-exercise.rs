//! Lesson 1, the exercise: give a shell a hostname of its own.
//!
//! Fill in the two functions, with nix and nothing else. Read unshare(2),
//! sethostname(2) and uts_namespaces(7); https://docs.rs/nix has the Rust names.
//! Then run
//!
//!     sudo target/debug/lab check uts

#![allow(clippy::todo, unused_imports, reason = "the exercise is yours to finish")]

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
    todo!("leave the host's UTS namespace")
}

/// Name the machine `name`, for everyone in this process's UTS namespace.
fn take_name(name: &str) -> nix::Result<()> {
    todo!("take the name {name}")
}
