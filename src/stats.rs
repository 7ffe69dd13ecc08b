//! What do running containers use at this moment?
//!
//! What the kernel has counted for their groups: read twice, because a share of a processor
//! is the difference of two counts by the time between them. Version 1 counts what goes to and
//! comes from a disk only where a limit is written for it, or was once.

use std::collections::BTreeMap;
use std::fs;
use std::io::{IsTerminal, stdout};
use std::time::{Duration, Instant};

use block_io::Traffic;
use cgroup::Group;
use stage::{Error, Pid, Result};

use crate::container::{self, Known};
use crate::limits;
use crate::limits::units::{in_decimals, in_words};
use crate::store::Store;
use crate::sys;

/// How long is looked between two counts.
const WINDOW: Duration = Duration::from_secs(1);

/// Docker's columns.
const TITLES: [&str; 8] = [
    "CONTAINER ID",
    "NAME",
    "CPU %",
    "MEM USAGE / LIMIT",
    "MEM %",
    "NET I/O",
    "BLOCK I/O",
    "PIDS",
];

/// What was counted of one container.
#[derive(Debug, Clone)]
struct Sample {
    id: String,
    name: String,
    at: Instant,
    /// Processor time in microseconds; None of what this machine does not count.
    cpu: Option<u64>,
    memory: Option<u64>,
    limit: Option<u64>,
    network: Option<(u64, u64)>,
    disk: Option<Traffic>,
    tasks: Option<u64>,
}

/// Show a table of the containers that `names` mean, or of all: once, or again and again.
pub fn show(store: &Store, names: &[String], once: bool) -> Result<()> {
    let mut before = samples(store, names)?;
    loop {
        sys::let_pass(WINDOW)?;
        let now = samples(store, names)?;
        let rows = now.iter().map(|(id, sample)| sample.row(before.get(id)));
        let table = table(&rows.collect::<Vec<_>>());
        // On a terminal in the same place: from its upper left corner, and nothing behind.
        let place = if !once && stdout().is_terminal() { "\x1b[H\x1b[J" } else { "" };
        stage::tell(format!("{place}{table}"))?;
        if once {
            return Ok(());
        }
        before = now;
    }
}

/// One of each, by their IDs. Who is asked for by name must be there.
fn samples(store: &Store, names: &[String]) -> Result<BTreeMap<String, Sample>> {
    let wanted = if names.is_empty() { container::ids(store)? } else { names.to_vec() };
    let mut all = BTreeMap::new();
    for which in &wanted {
        let known = container::known(store, which, &store.lock_containers()?);
        let running = known.and_then(|known| sample(&known));
        match running {
            Ok(Some(sample)) => {
                all.insert(sample.id.clone(), sample);
            }
            Ok(None) if !names.is_empty() => {
                let error = format!("container {which:?} is not running");
                return Err(Error::input(error).status(1));
            }
            Err(error) if !names.is_empty() => return Err(error),
            // It has just ended.
            _ => {}
        }
    }
    Ok(all)
}

fn sample(container: &Known) -> Result<Option<Sample>> {
    let Some(first) = container.first() else { return Ok(None) };
    let group = limits::group_of(&container.spec, first)?;
    let counted = |controller: &str| group.as_ref().filter(|group| group.has(controller));
    let name = container.state.name.clone();
    Ok(Some(Sample {
        id: container.id.clone(),
        name: name.unwrap_or_else(|| "-".into()),
        at: Instant::now(),
        cpu: read(counted("cpuacct"), |it| Ok(cgroup_cpu::usage(it)?.micros)),
        memory: read(counted("memory"), memory::working_set),
        limit: read(counted("memory"), memory_limit),
        network: traffic(first),
        disk: read(counted("blkio"), block_io::traffic),
        tasks: read(counted("pids"), tasks),
    }))
}

/// What a group counts, if it counts it. It may have gone meanwhile.
fn read<T>(group: Option<&Group>, count: impl Fn(&Group) -> Result<T>) -> Option<T> {
    group.and_then(|group| count(group).ok())
}

fn tasks(group: &Group) -> Result<u64> {
    pids::current(group)?.parse().map_err(|_| Error::input("pids.current is no number"))
}

/// The group's limit, or what the machine has, in bytes.
fn memory_limit(group: &Group) -> Result<u64> {
    let path = "/proc/meminfo";
    let text = fs::read_to_string(path).map_err(|error| Error::io(path, &error))?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let total =
        total.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    let total = total.map_or(u64::MAX, |kib| kib * 1024);
    Ok(memory::limit_of(group)?.unwrap_or(u64::MAX).min(total))
}

/// Bytes received and sent in the network namespace of process `pid`, without its loopback:
/// proc_pid_net(5).
fn traffic(pid: Pid) -> Option<(u64, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/net/dev")).ok()?;
    let links = text.lines().filter_map(|line| line.split_once(':'));
    let links = links.filter(|(name, _)| name.trim() != "lo");
    let counts = links.filter_map(|(_, counts)| {
        let mut counts = counts.split_whitespace();
        Some((counts.next()?.parse().ok()?, counts.nth(7)?.parse().ok()?))
    });
    Some(counts.fold((0, 0), |(in1, out1): (u64, u64), (in2, out2): (u64, u64)| {
        (in1 + in2, out1 + out2)
    }))
}

impl Sample {
    fn row(&self, before: Option<&Sample>) -> [String; 8] {
        let unknown = || "--".to_string();
        let pair = |pair: Option<(u64, u64)>| match pair {
            Some((from, to)) => format!("{} / {}", in_decimals(from), in_decimals(to)),
            None => unknown(),
        };
        let share = before.and_then(|before| {
            let window = (self.at - before.at).as_secs_f64() * 1e6;
            Some(self.cpu?.saturating_sub(before.cpu?) as f64 / window)
        });
        let memory = self.memory.zip(self.limit);
        let percent = |share: f64| format!("{:.2}%", share * 100.0);
        [
            self.id.chars().take(12).collect(),
            self.name.clone(),
            share.map_or_else(unknown, percent),
            memory.map_or_else(unknown, |(used, limit)| {
                format!("{} / {}", in_words(used), in_words(limit))
            }),
            memory.map_or_else(unknown, |(used, limit)| {
                percent(used as f64 / limit as f64)
            }),
            pair(self.network),
            pair(self.disk.map(|disk| (disk.read, disk.written))),
            self.tasks.map_or_else(unknown, |tasks| tasks.to_string()),
        ]
    }
}

/// Columns as wide as what is in them, and three blanks between them.
fn table(rows: &[[String; 8]]) -> String {
    let titles = TITLES.map(String::from);
    let lines: Vec<&[String; 8]> = [&titles].into_iter().chain(rows).collect();
    let width =
        |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let shown = lines.iter().map(|line| {
        let cells = line.iter().enumerate();
        let cells = cells.map(|(column, cell)| {
            format!("{cell:<width$}", width = width(column).unwrap_or_default())
        });
        cells.collect::<Vec<_>>().join("   ").trim_end().to_string()
    });
    shown.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_difference_by_the_time() {
        let at = Instant::now();
        let before = Sample {
            id: "0123456789abcdef".into(),
            name: "box".into(),
            at,
            cpu: Some(1_000_000),
            memory: Some(32 << 20),
            limit: Some(64 << 20),
            network: Some((0, 1500)),
            disk: None,
            tasks: Some(2),
        };
        let at = at + Duration::from_secs(2);
        let now = Sample { at, cpu: Some(1_400_000), ..before.clone() };
        let row = now.row(Some(&before));
        assert_eq!(
            row.each_ref().map(String::as_str),
            [
                "0123456789ab",
                "box",
                "20.00%",
                "32MiB / 64MiB",
                "50.00%",
                "0B / 1.5kB",
                "--",
                "2"
            ]
        );
        let table = table(&[row]);
        let [titles, line] = table.lines().collect::<Vec<_>>()[..] else {
            panic!("{table}")
        };
        assert_eq!(titles.find("CPU %"), line.find("20.00%"));
    }
}
