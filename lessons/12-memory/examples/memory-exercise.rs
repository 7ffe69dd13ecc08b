//! Lesson 12, the exercise: let a shell have 32 MiB of memory, and no more.
//!
//! Fill in the three functions, with std alone. Read cgroups(7), and memory.max in the kernel's
//! admin-guide/cgroup-v2.rst.
//! Then run
//!
//!     sudo target/debug/lab check memory

#![allow(
    clippy::todo,
    dead_code,
    unused_variables,
    reason = "the exercise is yours to finish"
)]

use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::{fs, io};

const GROUP: &str = "fakedocker-memory";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let top = find_hierarchy()?;
    // Version 2 wants to be told that groups below may limit; version 1 has no such file.
    fs::write(top.join("cgroup.subtree_control"), "+memory").ok();
    let group = top.join(GROUP);
    fs::create_dir(&group)?;
    limit_memory(&group, 32 << 20)?;
    forbid_swap(&group, 32 << 20)?;
    enter_group(&group)?;
    let status = run("/bin/sh")?;
    enter_group(&top)?;
    fs::remove_dir(&group)?;
    std::process::exit(status.code().unwrap_or(1))
}

/// Where the controller `memory` is mounted: in version 1 it has a hierarchy of its own, in
/// version 2 there is one for all.
fn find_hierarchy() -> io::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let at = |line: &str| line.split(' ').nth(1).map(PathBuf::from);
    let is_v1 = |line: &&str| line.contains(" cgroup ") && line.contains(",memory");
    let is_v2 = |line: &&str| line.contains(" cgroup2 ");
    let v1 = mounts.lines().find(is_v1).and_then(at);
    let found = v1.or_else(|| mounts.lines().find(is_v2).and_then(at));
    found.ok_or_else(|| Error::new(ErrorKind::NotFound, "no hierarchy is mounted"))
}

fn is_v1(group: &Path) -> bool {
    group.join("memory.limit_in_bytes").exists()
}

/// Let the group have at most `bytes` of RAM.
fn limit_memory(group: &Path, bytes: u64) -> io::Result<()> {
    todo!("write the limit")
}

/// Let the group have no swap beside its `bytes` of RAM. In version 1 that is a limit on both
/// together. A kernel that does not count swap has no such file.
fn forbid_swap(group: &Path, bytes: u64) -> io::Result<()> {
    todo!("write that limit, where there is a file for it")
}

/// Enter the group: write our PID (0 means whoever writes) to its file cgroup.procs.
fn enter_group(group: &Path) -> io::Result<()> {
    todo!("write to its file")
}

/// Run `program` on our standard input, and wait for its end.
fn run(program: &str) -> io::Result<ExitStatus> {
    Command::new(program).status()
}
