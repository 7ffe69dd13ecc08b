//! Lesson 16: why can root not open /dev/sda here?
//!
//! A device node is a name for two numbers, and root may make one wherever it likes: to hide
//! /dev/sda does not help. So the kernel looks at who opens it, and whether all of its groups
//! allow these numbers. Version 1 keeps a list, which two files change. Version 2 has no file
//! for it: a small program of ours is attached to the group, and runs in the kernel.
//!
//! | file | its question |
//! |---|---|
//! | `rule.rs` | how is it said which devices may be used, and for what? |
//! | `program.rs` | how do rules become a program? |
//! | `bpf.rs` | how does a program of ours get into the kernel? |
//!
//! Read the kernel's admin-guide/cgroup-v1/devices.rst, and in admin-guide/cgroup-v2.rst
//! "Device controller"; then this file, rule.rs, main.rs, and the others when you want to
//! know how version 2 does it.

use cgroup::{Group, Version};
use nix::errno::Errno;
use stage::{Result, Stage};

pub mod bpf;
pub mod program;
mod rule;

pub use rule::{Access, DEFAULT, Kind, Rule};

/// The controller's name in version 1. In version 2 every group has it.
pub const CONTROLLER: &str = "devices";

/// Let the processes of the group use what one of `rules` allows, and no other device. What
/// they have open already stays open. Groups above may forbid more, never allow it.
pub fn allow_only(stage: &Stage, group: &Group, rules: &[Rule]) -> Result<()> {
    match group.version(CONTROLLER)? {
        Version::V1 => list(stage, group, rules).map_err(|error| match error.errno() {
            Some(Errno::EPERM) => error.hint(HINT),
            _ => error,
        }),
        Version::V2 => attach(stage, group, rules),
    }
}

/// What to do where devices are refused: no namespace has devices of its own.
pub const HINT: &str = "devices are the host's root's: run it with sudo";

/// Version 1: `a` forbids all and forgets what was allowed. Then a line for each rule.
fn list(stage: &Stage, group: &Group, rules: &[Rule]) -> Result<()> {
    group.set(stage, CONTROLLER, "devices.deny", "a")?;
    let lines: Vec<String> =
        rules.iter().flat_map(Rule::by_kind).map(|rule| rule.to_string()).collect();
    group.set_each(stage, CONTROLLER, "devices.allow", &lines)
}

/// Version 2: the program stays as long as the group, and nobody has to take it off.
fn attach(stage: &Stage, group: &Group, rules: &[Rule]) -> Result<()> {
    let program = bpf::load(stage, &program::assemble(&program::compile(rules))?)?;
    bpf::attach(stage, &program, group.folder(CONTROLLER)?)
}
