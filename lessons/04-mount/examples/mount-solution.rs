//! Lesson 4, the solution: give a shell a /proc of its own.
//!
//! Read mount_namespaces(7), mount(2) and proc(5).
//! It is checked by
//!
//!     sudo target/debug/lab check mount -- target/debug/examples/mount-solution

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
    unshare(CloneFlags::CLONE_NEWNS)
}

/// Let no mount of ours, on "/" or anywhere below, be passed on to the host.
fn keep_mounts_private() -> nix::Result<()> {
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)
}

/// Mount a /proc that shows our PID namespace.
fn mount_proc() -> nix::Result<()> {
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), None::<&str>)
}
