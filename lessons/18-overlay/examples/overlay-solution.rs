//! Lesson 18, the solution: let a shell write without changing what it writes to.
//!
//! Read filesystems/overlayfs.rst in the kernel's documentation and mount(2).
//! It is checked by
//!
//!     sudo target/debug/lab check overlay -- target/debug/examples/overlay-solution

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
    format!("lowerdir={lab}/lower,upperdir={lab}/upper,workdir={lab}/work")
}

/// Show the overlay that `options` describe at the folder `merged`.
fn show(options: &str, merged: &str) -> nix::Result<()> {
    mount(Some("overlay"), merged, Some("overlay"), MsFlags::empty(), Some(options))
}
