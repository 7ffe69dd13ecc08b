//! Lesson 15, the solution: let time stop for a process while a shell runs.
//!
//! Read the kernel's admin-guide/cgroup-v1/freezer-subsystem.rst, and cgroup.freeze in
//! admin-guide/cgroup-v2.rst.
//! It is checked by
//!
//!     sudo target/debug/lab check freezer -- target/debug/examples/freezer-solution

use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::{fs, io, thread};

const GROUP: &str = "fakedocker-freezer-exercise";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let group = find_hierarchy()?.join(GROUP);
    fs::create_dir(&group)?;
    let mut sleeper = Command::new("sleep").arg("1000").spawn()?;
    move_into(&group, sleeper.id())?;
    freeze(&group)?;
    let status = run("/bin/sh")?;
    thaw(&group)?;
    sleeper.kill()?;
    sleeper.wait()?;
    fs::remove_dir(&group)?;
    std::process::exit(status.code().unwrap_or(1))
}

/// Where groups can be frozen: in version 1 in a hierarchy called freezer, in version 2 in
/// the one for all.
fn find_hierarchy() -> io::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let at = |line: &str| line.split(' ').nth(1).map(PathBuf::from);
    let is_v1 = |line: &&str| line.contains(" cgroup ") && line.contains(",freezer");
    let is_v2 = |line: &&str| line.contains(" cgroup2 ");
    let v1 = mounts.lines().find(is_v1).and_then(at);
    let found = v1.or_else(|| mounts.lines().find(is_v2).and_then(at));
    found.ok_or_else(|| Error::new(ErrorKind::NotFound, "no hierarchy is mounted"))
}

fn is_v1(group: &Path) -> bool {
    group.join("freezer.state").exists()
}

/// Put process `pid` into the group.
fn move_into(group: &Path, pid: u32) -> io::Result<()> {
    fs::write(group.join("cgroup.procs"), pid.to_string())
}

/// Stop all processes of the group.
fn freeze(group: &Path) -> io::Result<()> {
    if !is_v1(group) {
        return fs::write(group.join("cgroup.freeze"), "1");
    }
    let state = group.join("freezer.state");
    // Who waits for a device at the wrong moment does not hear it the first time.
    for _ in 0..100 {
        fs::write(&state, "FROZEN")?;
        if fs::read_to_string(&state)?.trim() == "FROZEN" {
            break;
        }
        thread::yield_now();
    }
    Ok(())
}

/// Let them go on.
fn thaw(group: &Path) -> io::Result<()> {
    match is_v1(group) {
        true => fs::write(group.join("freezer.state"), "THAWED"),
        false => fs::write(group.join("cgroup.freeze"), "0"),
    }
}

/// Run `program` on our standard input, and wait for its end.
fn run(program: &str) -> io::Result<ExitStatus> {
    Command::new(program).status()
}
