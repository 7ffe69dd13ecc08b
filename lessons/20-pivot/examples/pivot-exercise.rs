//! Lesson 20, the exercise: give a shell another root, with no way back.
//!
//! Fill in the three functions, with nix and nothing else. Read pivot_root(2),
//! especially its notes on pivot_root(".", "."), and mount(2); https://docs.rs/nix has
//! the Rust names.
//! Then run
//!
//!     sudo target/debug/lab check pivot

#![allow(
    clippy::todo,
    unused_imports,
    unused_variables,
    reason = "the exercise is yours to finish"
)]

use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{chdir, pivot_root};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A mount namespace that keeps its mounts to itself (lesson 4).
    unshare(CloneFlags::CLONE_NEWNS)?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
    // `lab check` puts a root file system there.
    let root = std::env::var("LAB").unwrap_or(".".to_string()) + "/root";
    make_mount_point(&root)?;
    swap_root(&root)?;
    leave_old_root()?;
    // Become a shell that reads standard input. exec returns only when it fails.
    Err(Command::new("/bin/sh").exec().into())
}

/// Mount the folder `root`, with all that is mounted below it, onto itself:
/// pivot_root(2) takes mount points only.
fn make_mount_point(root: &str) -> nix::Result<()> {
    todo!("bind {root} to itself")
}

/// Make `root` the root of the namespace; the old root goes on top of it.
fn swap_root(root: &str) -> nix::Result<()> {
    todo!("swap the root for {root}")
}

/// Detach the old root, which lies at ".", and stand in the new one.
fn leave_old_root() -> nix::Result<()> {
    todo!("detach the old root")
}
