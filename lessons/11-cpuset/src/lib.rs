//! Lesson 11: which core am I on?
//!
//! On any that the scheduler likes, unless we say otherwise: a process may choose some for
//! itself (sched_setaffinity(2)). A cpuset is a choice that others have made for it, for all
//! of a group, and which it cannot leave. It names memory nodes as well.
//!
//! Read cpuset(7) and sched_setaffinity(2), then this file, then main.rs.

use std::fs;

use cgroup::Group;
use stage::{Error, Result, Stage, proc};

/// The group's processes may run on these `cores` only, such as `0-2,5`. Who runs elsewhere
/// is moved at once.
pub fn bind(stage: &Stage, group: &Group, cores: &str) -> Result<()> {
    let bound = group.set(stage, "cpuset", "cpuset.cpus", cores);
    bound.map_err(|error| match error.errno() {
        Some(_) => error.hint(format!("this machine has the cores {}", online())),
        None => error,
    })
}

/// The group's memory may come from these `nodes` only. A machine with one socket has one.
pub fn bind_memory(stage: &Stage, group: &Group, nodes: &str) -> Result<()> {
    group.set(stage, "cpuset", "cpuset.mems", nodes)
}

/// The core that `process` runs on at this moment, or ran on last: the field `processor` of
/// /proc/PID/stat.
pub fn current_core(process: &str) -> Result<usize> {
    let path = format!("/proc/{process}/stat");
    let stat = fs::read_to_string(&path).map_err(|error| Error::io(&path, &error))?;
    // The second field is our name, in brackets, and may hold anything. The 39th is wanted.
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let field = after_name.split(' ').nth(39 - 3).and_then(|field| field.parse().ok());
    field.ok_or_else(|| Error::input(format!("{path} has no processor")))
}

/// The cores that `process` may run on: a list such as `0-3`.
pub fn allowed(process: &str) -> Result<String> {
    proc::status_line(process, "Cpus_allowed_list")
}

/// The nodes that its memory may come from.
pub fn nodes(process: &str) -> Result<String> {
    proc::status_line(process, "Mems_allowed_list")
}

fn online() -> String {
    let path = "/sys/devices/system/cpu/online";
    fs::read_to_string(path).unwrap_or_default().trim().to_string()
}
