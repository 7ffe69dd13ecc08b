//! Lesson 4, the exercise: give a shell a /proc of its own.
//!
//! Fill in the three functions, with nix and nothing else. Read mount_namespaces(7),
//! mount(2) and proc(5); https://docs.rs/nix has the Rust names.
//! Then run
//!
//!     sudo target/debug/lab check mount

#![allow(
    clippy::todo,
    unused_imports,
    unused_variables,
    reason = "the exercise is yours to finish"
)]

use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Number 1 of a new PID namespace is a child (lesson 3): this program once more.
    if std::env::args().nth(1).is_none() {
        unshare(CloneFlags::CLONE_NEWPID)?;
        let status = Command::new(std::env::current_exe()?).arg("number-1").status()?;
        std::process::exit(status.code().unwrap_or(1));
    }
    leave_namespace()?;
    keep_mounts_private()?;
    mount_proc()?;
    // Become a shell that reads standard input. exec returns only when it fails.
    Err(Command::new("/bin/sh").exec().into())
}

/// Give this process a mount namespace of its own.
fn leave_namespace() -> nix::Result<()> {
    todo!("leave the host's mount namespace")
}

/// Let no mount of ours, on "/" or anywhere below, be passed on to the host.
fn keep_mounts_private() -> nix::Result<()> {
    todo!("make all mounts private")
}

/// Mount a /proc that shows our PID namespace.
fn mount_proc() -> nix::Result<()> {
    todo!("mount proc on /proc")
}
