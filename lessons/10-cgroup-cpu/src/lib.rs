//! Lesson 10: how is a busy loop held to 20 % of a core?
//!
//! By a quota: so many microseconds of processor time in each period. Who has used it up
//! waits for the next period, although the processor may be idle (throttling). A weight is the
//! other way: it limits nobody, and says who gets how much when there is not enough for all.
//!
//! Read sched(7), "CFS", and the kernel's scheduler/sched-bwc.rst; then this file, main.rs
//! and weights.rs.

use cgroup::{Group, Version};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use stage::{Error, Result, Stage};

/// What a group needs that is limited and counted here. In version 2, cpu does both.
pub const CONTROLLERS: [&str; 2] = ["cpu", "cpuacct"];

/// How much processor time a group may use, in microseconds: `quota` in each `period`. Of
/// more than one processor, if the quota is more than the period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bandwidth {
    /// From 1000 on.
    pub quota: u64,
    /// From 1000 to 1000000.
    pub period: u64,
}

/// Hold the group to `bandwidth`.
pub fn limit(stage: &Stage, group: &Group, bandwidth: Bandwidth) -> Result<()> {
    let Bandwidth { quota, period } = bandwidth;
    let set = |name: &str, text: String| group.set(stage, "cpu", name, &text);
    match group.version("cpu")? {
        Version::V1 => {
            set("cpu.cfs_period_us", period.to_string())?;
            set("cpu.cfs_quota_us", quota.to_string())
        }
        Version::V2 => set("cpu.max", format!("{quota} {period}")),
    }
}

/// Take the quota away again. What a `period` is stays said, in microseconds.
pub fn lift(stage: &Stage, group: &Group, period: u64) -> Result<()> {
    let set = |name: &str, text: &str| group.set(stage, "cpu", name, text);
    match group.version("cpu")? {
        Version::V1 => {
            set("cpu.cfs_quota_us", "-1")?;
            set("cpu.cfs_period_us", &period.to_string())
        }
        Version::V2 => set("cpu.max", &format!("max {period}")),
    }
}

/// Let the group have `weight` (100 is the usual one, from 1 to 10000) where others want the
/// same processor.
pub fn weigh(stage: &Stage, group: &Group, weight: u64) -> Result<()> {
    share(stage, group, (weight * 1024 + 50) / 100)
}

/// The same as a number of shares: version 1's unit, of which 1024 are the usual number, from
/// 2 to 262144. Docker has kept it.
pub fn share(stage: &Stage, group: &Group, shares: u64) -> Result<()> {
    match group.version("cpu")? {
        Version::V1 => group.set(stage, "cpu", "cpu.shares", &shares.to_string()),
        Version::V2 => {
            let weight = ((shares * 100 + 512) / 1024).clamp(1, 10_000);
            group.set(stage, "cpu", "cpu.weight", &weight.to_string())
        }
    }
}

/// What the kernel has counted for a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Processor time, in microseconds.
    pub micros: u64,
    /// Periods in which somebody wanted to run, while there was a limit.
    pub periods: u64,
    /// Those of them in which the quota was used up.
    pub throttled: u64,
}

/// What the group has used since it was made.
pub fn usage(group: &Group) -> Result<Usage> {
    let micros = match group.version("cpuacct")? {
        Version::V1 => {
            let nanoseconds = group.get("cpuacct", "cpuacct.usage")?;
            let nanoseconds = nanoseconds.parse::<u64>();
            nanoseconds.map_err(|_| Error::input("cpuacct.usage is no number"))? / 1000
        }
        Version::V2 => group.count("cpuacct", "cpu.stat", "usage_usec")?,
    };
    let count = |key: &str| group.count("cpu", "cpu.stat", key);
    Ok(Usage { micros, periods: count("nr_periods")?, throttled: count("nr_throttled")? })
}

/// The processors that we may use.
pub fn cores() -> Result<Vec<usize>> {
    let ours = sched_getaffinity(Pid::from_raw(0))
        .map_err(|errno| Error::call("sched_getaffinity", errno))?;
    Ok((0..CpuSet::count()).filter(|&core| ours.is_set(core) == Ok(true)).collect())
}

/// Stay on the processor `core` from now on.
pub fn pin(stage: &Stage, core: usize) -> Result<()> {
    let call = format!("sched_setaffinity(0, {}, [{core}])", CpuSet::count() / 8);
    let mut only = CpuSet::new();
    only.set(core).map_err(|errno| Error::call(&call, errno))?;
    stage.ask(call, || sched_setaffinity(Pid::from_raw(0), &only))
}
