//! Lesson 3, the solution: make a shell number 1.
//!
//! Read pid_namespaces(7), unshare(2) and wait(2).
//! It is checked by
//!
//!     sudo target/debug/lab check pid -- target/debug/examples/pid-solution

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
    unshare(CloneFlags::CLONE_NEWPID)
}

/// Run `program` on our standard input, and wait for its end. Think about who is in the
/// new namespace: this process is not. `std::process::Command` is enough.
fn run(program: &str) -> io::Result<ExitStatus> {
    Command::new(program).status()
}
