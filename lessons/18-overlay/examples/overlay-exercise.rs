//! Lesson 18, the exercise: let a shell write without changing what it writes to.
//!
//! Fill in the two functions, with nix and nothing else. Read filesystems/overlayfs.rst
//! in the kernel's documentation and mount(2); https://docs.rs/nix has the Rust names.
//! Then run
//!
//!     sudo target/debug/lab check overlay

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
    // A mount namespace that keeps its mounts to itself (lesson 4).
    unshare(CloneFlags::CLONE_NEWNS)?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
    // `lab check` puts the folders lower, upper, work and merged there.
    let lab = std::env::var("LAB").unwrap_or(".".to_string());
    show(&layers(&lab), &format!("{lab}/merged"))?;
    // Become a shell that reads standard input. exec returns only when it fails.
    Err(Command::new("/bin/sh").exec().into())
}

/// The options that make an overlay of the folders lower, upper and work in `lab`.
fn layers(lab: &str) -> String {
    todo!("describe the layers in {lab}")
}

/// Show the overlay that `options` describe at the folder `merged`.
fn show(options: &str, merged: &str) -> nix::Result<()> {
    todo!("mount an overlay on {merged}")
}
