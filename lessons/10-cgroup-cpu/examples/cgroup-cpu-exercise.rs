//! Lesson 10, the exercise: hold a shell and its children to 20 % of a core.
//!
//! Fill in the two functions, with std alone. Read cgroups(7), and scheduler/sched-bwc.rst of
//! the kernel's documentation. Then run
//!
//!     sudo target/debug/lab check cgroup-cpu

#![allow(clippy::todo, unused_variables, reason = "the exercise is yours to finish")]

use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::{fs, io};

const GROUP: &str = "fakedocker-cgroup-cpu-exercise";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let top = find_hierarchy()?;
    // Version 2 wants to be told that groups below may limit; version 1 has no such file.
    fs::write(top.join("cgroup.subtree_control"), "+cpu").ok();
    let group = top.join(GROUP);
    fs::create_dir(&group)?;
    limit(&group)?;
    enter(&group)?;
    let status = run("/bin/sh")?;
    // Without processes, it can be removed.
    enter(&top)?;
    fs::remove_dir(&group)?;
    std::process::exit(status.code().unwrap_or(1))
}

/// Where the controller `cpu` is: in version 1 it has a hierarchy, often together with
/// cpuacct; in version 2 there is one for all.
fn find_hierarchy() -> io::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let at = |line: &str| line.split(' ').nth(1).map(PathBuf::from);
    let is_v1 = |line: &&str| {
        let options = line.split(' ').nth(3).unwrap_or_default();
        line.contains(" cgroup ") && options.split(',').any(|option| option == "cpu")
    };
    let is_v2 = |line: &&str| line.contains(" cgroup2 ");
    let v1 = mounts.lines().find(is_v1).and_then(at);
    let found = v1.or_else(|| mounts.lines().find(is_v2).and_then(at));
    found.ok_or_else(|| Error::new(ErrorKind::NotFound, "no hierarchy is mounted"))
}

/// Let the group have 20000 microseconds of processor time in each 100000. In version 2 that
/// is one line in cpu.max; in version 1 there are cpu.cfs_quota_us and cpu.cfs_period_us.
fn limit(group: &Path) -> io::Result<()> {
    todo!("write the limit")
}

/// Enter a group, as in lesson 9.
fn enter(group: &Path) -> io::Result<()> {
    todo!("write to its file")
}

/// Run `program` on our standard input, and wait for its end.
fn run(program: &str) -> io::Result<ExitStatus> {
    Command::new(program).status()
}
