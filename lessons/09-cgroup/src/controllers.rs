//! Which controllers does this machine have, where, and what is each for?

use std::fs;

use cgroup::Hierarchy;
use stage::{Result, Stage};

/// What each controller limits or counts, by its name in version 1.
const PURPOSES: [(&str, &str); 14] = [
    ("cpu", "shares of the processors' time, and limits on it"),
    ("cpuacct", "counts that time; in v2 a part of cpu"),
    ("cpuset", "which processors and memory nodes may be used"),
    ("memory", "limits and counts memory"),
    ("blkio", "limits and weighs block devices; in v2: io"),
    ("pids", "limits the number of processes"),
    ("devices", "which devices may be opened; in v2 a BPF program"),
    ("freezer", "stops and continues all processes; in v2 built in"),
    ("hugetlb", "limits huge pages"),
    ("net_cls", "marks packets by their sender; only v1"),
    ("net_prio", "priority of packets by their sender; only v1"),
    ("perf_event", "measures a group with perf(1)"),
    ("rdma", "limits RDMA devices"),
    ("misc", "limits what there is little of, such as SEV keys"),
];

/// A line for each: where it is, and what it is for.
pub fn show(stage: &Stage) -> Result<()> {
    let all = Hierarchy::all()?;
    let known = fs::read_to_string("/proc/cgroups").unwrap_or_default();
    for (name, purpose) in PURPOSES {
        let place = all.iter().find(|hierarchy| hierarchy.has(name));
        let is_known = known.lines().any(|line| line.split('\t').next() == Some(name));
        let place = match place {
            Some(hierarchy) => hierarchy.to_string(),
            None if is_known => "not mounted".to_string(),
            None => "not in this kernel".to_string(),
        };
        stage.note(&format!("{name:<10} {place:<30} {purpose}"));
    }
    Ok(())
}
