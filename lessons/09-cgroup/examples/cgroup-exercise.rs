//! Lesson 9, the exercise: give a shell a group of its own.
//!
//! Fill in the three functions, with std alone. Read cgroups(7).
//! Then run
//!
//!     sudo target/debug/lab check cgroup

#![allow(clippy::todo, unused_variables, reason = "the exercise is yours to finish")]

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
    todo!("make the folder")
}

/// Enter the group: write our PID (0 means whoever writes) to its file cgroup.procs.
fn enter_group(group: &Path) -> io::Result<()> {
    todo!("write to its file")
}

/// Remove the group: nobody may be in it.
fn remove_group(group: &Path) -> io::Result<()> {
    todo!("remove the folder")
}

/// Run `program` on our standard input, and wait for its end.
fn run(program: &str) -> io::Result<ExitStatus> {
    Command::new(program).status()
}
