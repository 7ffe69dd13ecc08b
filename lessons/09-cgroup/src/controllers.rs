//! Which controllers does this machine have, where, and what is each for?

use std::fs;

use cgroup::Hierarchy;
use stage::{Result, Stage};

/// What each controller limits or counts, by its name in version 1.
const PURPOSES: [(&str, &str); 14] = [
    ("cpu", "time on the processors"),
    ("cpuacct", "counts it (v2: part of cpu)"),
    ("cpuset", "which processors, which memory"),
    ("memory", "memory, counted and limited"),
    ("blkio", "block devices (v2: io)"),
    ("pids", "the number of processes"),
    ("devices", "which may be opened (v2: BPF)"),
    ("freezer", "time stands still (v2: built in)"),
    ("hugetlb", "huge pages"),
    ("net_cls", "marks packets (v1 only)"),
    ("net_prio", "ranks packets (v1 only)"),
    ("perf_event", "measured by perf(1)"),
    ("rdma", "RDMA devices"),
    ("misc", "what is scarce, as SEV keys"),
];

/// A table: where each is, and what it is for.
pub fn show(stage: &Stage) -> Result<()> {
    let all = Hierarchy::all()?;
    let known = fs::read_to_string("/proc/cgroups").unwrap_or_default();
    let mut machine = stage.look("machine");
    for (name, purpose) in PURPOSES {
        let place = all.iter().find(|hierarchy| hierarchy.has(name));
        let is_known = known.lines().any(|line| line.split('\t').next() == Some(name));
        let place = match place {
            Some(hierarchy) => hierarchy.to_string(),
            None if is_known => "not mounted".to_string(),
            None => "not in this kernel".to_string(),
        };
        machine = machine.fact(name, format!("{place:<27} {purpose}"));
    }
    machine.end();
    Ok(())
}
