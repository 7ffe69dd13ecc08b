//! Lesson 3, the exercise: make a shell number 1.
//!
//! Fill in the two functions, with nix and nothing else. Read pid_namespaces(7),
//! unshare(2) and wait(2); https://docs.rs/nix has the Rust names.
//! Then run
//!
//!     sudo target/debug/lab check pid

#![allow(
    clippy::todo,
    unused_imports,
    unused_variables,
    reason = "the exercise is yours to finish"
)]

use std::io;
use std::process::{Command, ExitStatus};

use nix::sched::{CloneFlags, unshare};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    number_children_anew()?;
    let status = run("/bin/sh")?;
    std::process::exit(status.code().unwrap_or(1))
}

/// Let the children to come live in a PID namespace of their own.
fn number_children_anew() -> nix::Result<()> {
    todo!("ask for a PID namespace")
}

/// Run `program` on our standard input, and wait for its end. Think about who is in the
/// new namespace: this process is not. `std::process::Command` is enough.
fn run(program: &str) -> io::Result<ExitStatus> {
    todo!("run {program}")
}
