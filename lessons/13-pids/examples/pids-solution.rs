//! Lesson 13, the solution: let a shell have ten processes, and no more.
//!
//! Read cgroups(7), and pids.max in the kernel's admin-guide/cgroup-v2.rst.
//! It is checked by
//!
//!     sudo target/debug/lab check pids -- target/debug/examples/pids-solution

use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::{fs, io};

const GROUP: &str = "fakedocker-pids-exercise";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let top = find_hierarchy()?;
    // Version 2 wants to be told that groups below may limit; version 1 has no such file.
    fs::write(top.join("cgroup.subtree_control"), "+pids").ok();
    let group = top.join(GROUP);
    fs::create_dir(&group)?;
    limit_group(&group, 10)?;
    enter_group(&group)?;
    let status = run("/bin/sh")?;
    enter_group(&top)?;
    fs::remove_dir(&group)?;
    std::process::exit(status.code().unwrap_or(1))
}

/// Where the controller `pids` is mounted: in version 1 it has a hierarchy of its own, in
/// version 2 there is one for all.
fn find_hierarchy() -> io::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let at = |line: &str| line.split(' ').nth(1).map(PathBuf::from);
    let is_v1 = |line: &&str| line.contains(" cgroup ") && line.contains(",pids");
    let is_v2 = |line: &&str| line.contains(" cgroup2 ");
    let v1 = mounts.lines().find(is_v1).and_then(at);
    let found = v1.or_else(|| mounts.lines().find(is_v2).and_then(at));
    found.ok_or_else(|| Error::new(ErrorKind::NotFound, "no hierarchy is mounted"))
}

/// Let the group have at most `count` processes.
fn limit_group(group: &Path, count: u32) -> io::Result<()> {
    fs::write(group.join("pids.max"), count.to_string())
}

/// Enter the group: write our PID (0 means whoever writes) to its file cgroup.procs.
fn enter_group(group: &Path) -> io::Result<()> {
    fs::write(group.join("cgroup.procs"), "0")
}

/// Run `program` on our standard input, and wait for its end.
fn run(program: &str) -> io::Result<ExitStatus> {
    Command::new(program).status()
}
