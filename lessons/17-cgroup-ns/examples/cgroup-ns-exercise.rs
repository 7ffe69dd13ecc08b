//! Lesson 17, the exercise: let a shell believe that its group is the topmost one.
//!
//! Fill in the two functions, and call them where they belong. Read cgroup_namespaces(7).
//! Then run
//!
//!     sudo target/debug/lab check cgroup-ns

#![allow(
    clippy::todo,
    dead_code,
    unused_imports,
    unused_variables,
    reason = "the exercise is yours to finish"
)]

use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::{fs, io, thread};

use nix::sched::{CloneFlags, unshare};

const GROUP: &str = "fakedocker-cgroup-ns-exercise";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let top = find_hierarchy()?;
    let group = top.join(GROUP);
    fs::create_dir(&group)?;
    // A namespace is a thread's own, and its children's. Who has to go back stays outside.
    let contained = thread::spawn(|| run("/bin/sh"));
    let status = contained.join().map_err(|_| "the thread has ended")??;
    enter_group(&top)?;
    fs::remove_dir(&group)?;
    std::process::exit(status.code().unwrap_or(1))
}

/// Where groups can be made: in version 1 in the hierarchy of pids, in version 2 in the one
/// for all.
fn find_hierarchy() -> io::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let at = |line: &str| line.split(' ').nth(1).map(PathBuf::from);
    let is_v1 = |line: &&str| line.contains(" cgroup ") && line.contains(",pids");
    let is_v2 = |line: &&str| line.contains(" cgroup2 ");
    let v1 = mounts.lines().find(is_v1).and_then(at);
    let found = v1.or_else(|| mounts.lines().find(is_v2).and_then(at));
    found.ok_or_else(|| Error::new(ErrorKind::NotFound, "no hierarchy is mounted"))
}

/// Put ourselves into the group: write 0, which means whoever writes, to its cgroup.procs.
fn enter_group(group: &Path) -> io::Result<()> {
    todo!("write to its file")
}

/// Give this thread a cgroup namespace of its own.
fn leave_namespace() -> io::Result<()> {
    todo!("unshare it")
}

/// Run `program` on our standard input, and wait for its end.
fn run(program: &str) -> io::Result<ExitStatus> {
    Command::new(program).status()
}
