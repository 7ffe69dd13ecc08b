//! Lesson 14, the exercise: let a shell write no more than 1 MiB a second to a disk.
//!
//! Fill in the two functions, with std alone. Read cgroups(7), and io.max in the kernel's
//! admin-guide/cgroup-v2.rst.
//! Then run
//!
//!     sudo target/debug/lab check io

#![allow(clippy::todo, unused_variables, reason = "the exercise is yours to finish")]

use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::{fs, io};

const GROUP: &str = "fakedocker-io-exercise";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let top = find_hierarchy()?;
    // Version 2 wants to be told that groups below may limit; version 1 has no such file.
    fs::write(top.join("cgroup.subtree_control"), "+io").ok();
    let group = top.join(GROUP);
    fs::create_dir(&group)?;
    let device = find_numbers("loop0")?;
    limit_group(&group, &device, 1 << 20)?;
    enter_group(&group)?;
    let status = run("/bin/sh")?;
    enter_group(&top)?;
    fs::remove_dir(&group)?;
    std::process::exit(status.code().unwrap_or(1))
}

/// Where the controller is mounted: in version 1 it is called `blkio` and has a hierarchy, in
/// version 2 there is one for all.
fn find_hierarchy() -> io::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let at = |line: &str| line.split(' ').nth(1).map(PathBuf::from);
    let is_v1 = |line: &&str| line.contains(" cgroup ") && line.contains(",blkio");
    let is_v2 = |line: &&str| line.contains(" cgroup2 ");
    let v1 = mounts.lines().find(is_v1).and_then(at);
    let found = v1.or_else(|| mounts.lines().find(is_v2).and_then(at));
    found.ok_or_else(|| Error::new(ErrorKind::NotFound, "no hierarchy is mounted"))
}

/// The two numbers of a disk, such as `7:0`: /sys/block has a folder for each, with a file
/// `dev` in it.
fn find_numbers(disk: &str) -> io::Result<String> {
    todo!("read the file, without the line break at its end")
}

/// Let the group write so many bytes a second to `device`. In version 2 that is a line in
/// io.max; in version 1 there is blkio.throttle.write_bps_device.
fn limit_group(group: &Path, device: &str, bytes: u64) -> io::Result<()> {
    todo!("write the limit")
}

/// Enter the group: write our PID (0 means whoever writes) to its file cgroup.procs.
fn enter_group(group: &Path) -> io::Result<()> {
    fs::write(group.join("cgroup.procs"), "0")
}

/// Run `program` on our standard input, and wait for its end.
fn run(program: &str) -> io::Result<ExitStatus> {
    Command::new(program).status()
}
