//! Lesson 5, the solution: become root, without being root.
//!
//! Read user_namespaces(7) and unshare(2).
//! It is checked by
//!
//!     sudo target/debug/lab check user -- target/debug/examples/user-solution

use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid, write};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Afterwards it is too late to ask: we will be nobody.
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    leave_namespace()?;
    become_root(uid, gid)?;
    // Become a shell that reads standard input. exec returns only when it fails.
    Err(Command::new("/bin/sh").exec().into())
}

/// Give this process a user namespace of its own.
fn leave_namespace() -> nix::Result<()> {
    unshare(CloneFlags::CLONE_NEWUSER)
}

/// Let 0 inside be `uid` and `gid` outside. Three files of /proc/self are written, each
/// with one `put`. Think about their order.
fn become_root(uid: u32, gid: u32) -> std::io::Result<()> {
    put("setgroups", "deny")?;
    put("uid_map", &format!("0 {uid} 1"))?;
    put("gid_map", &format!("0 {gid} 1"))
}

/// Write `text` to /proc/self/`name`, in one write(2).
fn put(name: &str, text: &str) -> std::io::Result<()> {
    let file = OpenOptions::new().write(true).open(format!("/proc/self/{name}"))?;
    write(&file, text.as_bytes())?;
    Ok(())
}
