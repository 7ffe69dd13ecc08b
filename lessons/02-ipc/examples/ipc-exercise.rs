//! Lesson 2, the exercise: give a shell queues of its own.
//!
//! Fill in the two functions, with nix and libc. Read ipc_namespaces(7),
//! msgget(2) and sysvipc(7); https://docs.rs/nix has the Rust names.
//! Then run
//!
//!     sudo target/debug/lab check ipc

#![allow(
    clippy::todo,
    unused_imports,
    unused_variables,
    reason = "the exercise is yours to finish"
)]
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
    todo!("leave the host's IPC namespace")
}

/// Make a System V message queue that only its owner may use; its number. nix has no
/// wrapper for msgget(2): call the one in libc, and turn its answer into a result with
/// `Errno::result`.
fn make_queue(key: libc::key_t) -> nix::Result<i32> {
    todo!("make a queue with the key {key}")
}
