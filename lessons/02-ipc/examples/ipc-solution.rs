//! Lesson 2, the solution: give a shell queues of its own.
//!
//! Read ipc_namespaces(7), msgget(2) and sysvipc(7).
//! It is checked by
//!
//!     sudo target/debug/lab check ipc -- target/debug/examples/ipc-solution

#![allow(unsafe_code, reason = "nix has no wrapper for msgget(2)")]

use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    leave_namespace()?;
    make_queue(4711)?;
    // Become a shell that reads standard input. exec returns only when it fails.
    Err(Command::new("/bin/sh").exec().into())
}

/// Give this process an IPC namespace of its own.
fn leave_namespace() -> nix::Result<()> {
    unshare(CloneFlags::CLONE_NEWIPC)
}

/// Make a System V message queue that only its owner may use; its number. nix has no
/// wrapper for msgget(2): call the one in libc, and turn its answer into a result with
/// `Errno::result`.
fn make_queue(key: libc::key_t) -> nix::Result<i32> {
    // SAFETY: msgget(2) takes no pointers.
    Errno::result(unsafe { libc::msgget(key, libc::IPC_CREAT | 0o600) })
}
