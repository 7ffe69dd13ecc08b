//! Lesson 11, the exercise: bind a shell and its children to the core 0.
//!
//! Fill in the two functions, with std alone. Read cpuset(7).
//! Then run
//!
//!     sudo target/debug/lab check cpuset

#![allow(clippy::todo, unused_variables, reason = "the exercise is yours to finish")]

use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::{fs, io};

const GROUP: &str = "fakedocker-cpuset-exercise";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let top = find_hierarchy()?;
    // Version 2 wants to be told that groups below may limit; version 1 has no such file.
    fs::write(top.join("cgroup.subtree_control"), "+cpuset").ok();
    let group = top.join(GROUP);
    fs::create_dir(&group)?;
    bind(&group)?;
    enter(&group)?;
    let status = run("/bin/sh")?;
    // Without processes, it can be removed.
    enter(&top)?;
    fs::remove_dir(&group)?;
    std::process::exit(status.code().unwrap_or(1))
}

/// Where the controller `cpuset` is: in version 1 it has a hierarchy of its own, in version 2
/// there is one for all.
fn find_hierarchy() -> io::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let at = |line: &str| line.split(' ').nth(1).map(PathBuf::from);
    let is_v1 = |line: &&str| {
        let options = line.split(' ').nth(3).unwrap_or_default();
        line.contains(" cgroup ") && options.split(',').any(|option| option == "cpuset")
    };
    let is_v2 = |line: &&str| line.contains(" cgroup2 ");
    let v1 = mounts.lines().find(is_v1).and_then(at);
    let found = v1.or_else(|| mounts.lines().find(is_v2).and_then(at));
    found.ok_or_else(|| Error::new(ErrorKind::NotFound, "no hierarchy is mounted"))
}

/// Bind the group to the core 0, by cpuset.cpus, and to the memory node 0, by cpuset.mems: in
/// version 1 a new group has neither, and takes no process.
fn bind(group: &Path) -> io::Result<()> {
    todo!("write the core, and in version 1 a memory node first")
}

/// Enter a group, as in lesson 9.
fn enter(group: &Path) -> io::Result<()> {
    todo!("write to its file")
}

/// Run `program` on our standard input, and wait for its end.
fn run(program: &str) -> io::Result<ExitStatus> {
    Command::new(program).status()
}
