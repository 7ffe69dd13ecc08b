//! Lesson 16, the exercise: let a shell open /dev/null, the terminals, and nothing else.
//!
//! Fill in what your machine has: the function for version 1, or the program for version 2.
//! Read the kernel's admin-guide/cgroup-v1/devices.rst (version 1), and src/program.rs of
//! this lesson (version 2).
//! Then run
//!
//!     sudo target/debug/lab check devices

#![allow(clippy::todo, unused_variables, reason = "the exercise is yours to finish")]

use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::{fs, io};

use devices::bpf;
use rbpf::assembler::assemble;
use stage::Stage;

const GROUP: &str = "fakedocker-devices-exercise";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let top = find_hierarchy()?;
    let group = top.join(GROUP);
    fs::create_dir(&group)?;
    match group.join("devices.deny").exists() {
        true => write_rules(&group)?,
        false => {
            let stage = Stage::of_engine(false)?;
            let program = bpf::load(&stage, &assemble(PROGRAM)?)?;
            bpf::attach(&stage, &program, &group)?;
        }
    }
    enter_group(&group)?;
    let status = run("/bin/sh")?;
    enter_group(&top)?;
    fs::remove_dir(&group)?;
    std::process::exit(status.code().unwrap_or(1))
}

/// Where groups decide about devices: in version 1 in a hierarchy called devices, in version 2
/// in the one for all.
fn find_hierarchy() -> io::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let at = |line: &str| line.split(' ').nth(1).map(PathBuf::from);
    let is_v1 = |line: &&str| line.contains(" cgroup ") && line.contains(",devices");
    let is_v2 = |line: &&str| line.contains(" cgroup2 ");
    let v1 = mounts.lines().find(is_v1).and_then(at);
    let found = v1.or_else(|| mounts.lines().find(is_v2).and_then(at));
    found.ok_or_else(|| Error::new(ErrorKind::NotFound, "no hierarchy is mounted"))
}

/// Version 1: forbid everything, then allow character devices 1:3 (null), 5:0 (tty) and 136:*
/// (pts).
fn write_rules(group: &Path) -> io::Result<()> {
    todo!("write to devices.deny, and to devices.allow")
}

/// Version 2: the same as a program. r0 is the answer, 1 is yes.
/// As it stands, that is the answer to all. The kind (1 block, 2 char) is at [r1+0], the
/// numbers are at [r1+4] and [r1+8]: `ldxh r2, [r1+0]` and `ldxw r4, [r1+4]` load them.
const PROGRAM: &str = "
    mov32 r0, 1
    exit
";

/// Put ourselves into the group: 0 means whoever writes.
fn enter_group(group: &Path) -> io::Result<()> {
    fs::write(group.join("cgroup.procs"), "0")
}

/// Run `program` on our standard input, and wait for its end.
fn run(program: &str) -> io::Result<ExitStatus> {
    Command::new(program).status()
}
