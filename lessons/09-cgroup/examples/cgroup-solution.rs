//! Lesson 9, the solution: give a shell a group of its own.
//!
//! Read cgroups(7).
//! It is checked by
//!
//!     sudo target/debug/lab check cgroup -- target/debug/examples/cgroup-solution

use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::{fs, io};

const GROUP: &str = "fakedocker-cgroup-exercise";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let top = find_hierarchy()?;
    let group = top.join(GROUP);
    make_group(&group)?;
    enter_group(&group)?;
    let status = run("/bin/sh")?;
    enter_group(&top)?;
    remove_group(&group)?;
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

/// Make the group: it is a folder.
fn make_group(group: &Path) -> io::Result<()> {
    fs::create_dir(group)
}

/// Enter the group: write our PID (0 means whoever writes) to its file cgroup.procs.
fn enter_group(group: &Path) -> io::Result<()> {
    fs::write(group.join("cgroup.procs"), "0")
}

/// Remove the group: nobody may be in it.
fn remove_group(group: &Path) -> io::Result<()> {
    fs::remove_dir(group)
}

/// Run `program` on our standard input, and wait for its end.
fn run(program: &str) -> io::Result<ExitStatus> {
    Command::new(program).status()
}
