//! Lesson 13: can a fork bomb be harmless?
//!
//! A program that does nothing but fork takes all the numbers for processes that a machine
//! has, and nobody can start another one to stop it. The controller `pids` counts the tasks
//! of a group and of those below it, and lets fork(2) fail beyond a limit. The file has the
//! same name in both versions: pids.max.
//!
//! Read fork(2) (EAGAIN) and the kernel's admin-guide/cgroup-v2.rst, "PID", then main.rs. What a
//! single process may use, wherever it is, is in rlimits.rs.

use cgroup::Group;
use stage::{Result, Stage};

pub mod rlimits;

/// The controller's name.
pub const CONTROLLER: &str = "pids";

/// Let the group have at most `count` tasks: its processes and their threads. Those that are
/// there already stay, if they are more.
pub fn limit(stage: &Stage, group: &Group, count: u32) -> Result<()> {
    group.set(stage, CONTROLLER, "pids.max", &count.to_string())
}

/// Let it have as many as the groups above it may.
pub fn lift(stage: &Stage, group: &Group) -> Result<()> {
    group.set(stage, CONTROLLER, "pids.max", "max")
}

/// How many tasks the group has.
pub fn current(group: &Group) -> Result<String> {
    group.get(CONTROLLER, "pids.current")
}

/// How often the limit has refused a fork.
pub fn refusals(group: &Group) -> Result<u64> {
    group.count(CONTROLLER, "pids.events", "max")
}
