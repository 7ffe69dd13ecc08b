//! Lesson 7, the exercise: let a shell's machine have booted a year ago.
//!
//! Fill in the two functions, with nix and std. Read time_namespaces(7) and unshare(2);
//! https://docs.rs/nix has the Rust names.
//! Then run
//!
//!     sudo target/debug/lab check time

#![allow(
    clippy::todo,
    unused_imports,
    unused_variables,
    reason = "the exercise is yours to finish"
)]

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus};
use std::{fs, io};

use nix::sched::{CloneFlags, unshare};

const YEAR: u32 = 365 * 24 * 60 * 60;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    leave_namespace()?;
    shift_clocks(YEAR)?;
    let status = run("/bin/sh")?;
    std::process::exit(status.code().unwrap_or(1))
}

/// Let the children to come live in a time namespace of their own. nix has no name for the
/// flag: it is 0x80, and `CloneFlags::from_bits_retain` takes any number.
fn leave_namespace() -> nix::Result<()> {
    todo!("ask for a time namespace")
}

/// In that namespace, put both clocks that count from boot forward by `seconds`.
fn shift_clocks(seconds: u32) -> io::Result<()> {
    todo!("write the offsets")
}

/// Run `program` on our standard input, and wait for its end.
///
/// A `Command` alone shares its memory with the child until that is another program, as
/// vfork(2) does. Before Linux 6.3 nobody is born so into another time namespace (EINVAL): clocks
/// are read in that memory. With something to do in between, it is a plain fork(2).
#[allow(unsafe_code, reason = "code between fork and exec must not touch locks")]
fn run(program: &str) -> io::Result<ExitStatus> {
    let mut command = Command::new(program);
    // SAFETY: nothing is done there.
    unsafe { command.pre_exec(|| Ok(())) }.status()
}
