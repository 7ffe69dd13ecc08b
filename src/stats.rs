//! What do running containers use at this moment?
//!
//! What the kernel has counted for their groups: read twice, because a share of a processor
//! is the difference of two counts by the time between them. Version 1 counts what goes to and
//! comes from a disk only where a limit is written for it, or was once.

use std::fs;
use std::io::{IsTerminal, stdout};
use std::time::{Duration, Instant};

use block_io::Traffic;
use cgroup::Group;
use serde_json::{Value, json};
use stage::{Error, Pid, Result};

use crate::container::{self, Known};
use crate::format::Format;
use crate::limits;
use crate::limits::units::{in_decimals, in_words};
use crate::listing::short;
use crate::store::Store;
use crate::sys;

/// How long is looked between two counts.
const WINDOW: Duration = Duration::from_secs(1);

/// The fields of a line, and what they are called in a table.
const TITLES: [(&str, &str); 9] = [
    ("Container", "CONTAINER"),
    ("ID", "CONTAINER ID"),
    ("Name", "NAME"),
    ("CPUPerc", "CPU %"),
    ("MemUsage", "MEM USAGE / LIMIT"),
    ("MemPerc", "MEM %"),
    ("NetIO", "NET I/O"),
    ("BlockIO", "BLOCK I/O"),
    ("PIDs", "PIDS"),
];

const USUAL: &str = "table {{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t\
                     {{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}";

/// What is to be shown.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// These containers, by name or ID; else all that run.
    pub containers: Vec<String>,
    /// Also those that do not run.
    pub all: bool,
    /// Once, and not again and again.
    pub once: bool,
    /// Whole IDs.
    pub no_trunc: bool,
    /// A template.
    pub format: Option<String>,
}

/// A container that is shown, and what was counted of it, if it runs.
#[derive(Debug, Clone)]
struct Seen {
    /// As it was asked for.
    asked: String,
    id: String,
    name: String,
    sample: Option<Sample>,
}

/// What was counted of one container.
#[derive(Debug, Clone)]
struct Sample {
    at: Instant,
    /// Processor time in microseconds; None of what this machine does not count.
    cpu: Option<u64>,
    memory: Option<u64>,
    limit: Option<u64>,
    network: Option<(u64, u64)>,
    disk: Option<Traffic>,
    tasks: Option<u64>,
}

/// Show the containers that are asked for: once, or again and again. Of those that are asked for
/// by name, until the last has ended.
pub fn show(store: &Store, options: &Options) -> Result<()> {
    let format = Format::read(options.format.as_deref(), USUAL)?;
    let mut before = look(store, options, None)?;
    loop {
        sys::let_pass(WINDOW)?;
        let now = look(store, options, Some(&before))?;
        show_once(options, &format, &before, &now)?;
        let goes_on =
            options.containers.is_empty() || now.iter().any(|it| it.sample.is_some());
        if options.once || !goes_on {
            return Ok(());
        }
        before = now;
    }
}

fn show_once(
    options: &Options,
    format: &Format,
    before: &[Seen],
    now: &[Seen],
) -> Result<()> {
    let row = |seen: &Seen| {
        let before = before.iter().find(|it| it.id == seen.id);
        seen.row(before.and_then(|it| it.sample.as_ref()), options.no_trunc)
    };
    let lines = format.lines(&TITLES, &now.iter().map(row).collect::<Vec<_>>())?;
    // On a terminal in the same place: from its upper left corner, and nothing behind.
    let place = match !options.once && stdout().is_terminal() {
        true => "\x1b[H\x1b[J",
        false => "",
    };
    match lines.is_empty() {
        true => Ok(()),
        false => stage::tell(format!("{place}{}", lines.join("\n"))),
    }
}

/// One of each that is to be shown, in order. Who is asked for by name must be there at first, and
/// may go later.
fn look(store: &Store, options: &Options, before: Option<&[Seen]>) -> Result<Vec<Seen>> {
    let are_named = !options.containers.is_empty();
    let mut wanted = options.containers.clone();
    if !are_named {
        wanted = container::ids(store)?;
        wanted.sort();
    }
    let mut all = Vec::new();
    for asked in wanted {
        let is_it = |seen: &&Seen| seen.asked == asked;
        match (see(store, &asked), before) {
            (Ok(seen), _) => {
                let is_shown = seen.sample.is_some() || options.all || are_named;
                all.extend(is_shown.then_some(seen));
            }
            (Err(error), None) if are_named => return Err(error),
            (Err(_), Some(before)) if are_named => {
                let gone = before.iter().find(is_it).cloned();
                all.extend(gone.map(|seen| Seen { sample: None, ..seen }));
            }
            // It has just gone.
            (Err(_), _) => {}
        }
    }
    Ok(all)
}

fn see(store: &Store, which: &str) -> Result<Seen> {
    let known = container::known(store, which, &store.lock_containers()?)?;
    let sample = match sample(&known) {
        // It has ended meanwhile.
        Err(_) if known.first().is_none() => None,
        sample => sample?,
    };
    let name = known.state.name.unwrap_or_default();
    Ok(Seen { asked: which.into(), id: known.id, name, sample })
}

fn sample(container: &Known) -> Result<Option<Sample>> {
    let Some(first) = container.first() else { return Ok(None) };
    let group = limits::group_of(&container.spec, first)?;
    let counted = |controller: &str| group.as_ref().filter(|group| group.has(controller));
    Ok(Some(Sample {
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

/// What is not counted, or of nobody.
const UNKNOWN: &str = "--";

impl Seen {
    fn row(&self, before: Option<&Sample>, no_trunc: bool) -> Value {
        let cells = self.sample.as_ref().map(|sample| sample.cells(before));
        let [cpu, memory, part, network, disk, tasks] =
            cells.unwrap_or_else(|| [UNKNOWN; 6].map(String::from));
        let name = if self.name.is_empty() { UNKNOWN } else { &self.name };
        json!({
            "Container": self.asked,
            "ID": if no_trunc { self.id.clone() } else { short(&self.id) },
            "Name": name,
            "CPUPerc": cpu,
            "MemUsage": memory,
            "MemPerc": part,
            "NetIO": network,
            "BlockIO": disk,
            "PIDs": tasks,
        })
    }
}

impl Sample {
    fn cells(&self, before: Option<&Sample>) -> [String; 6] {
        let unknown = || UNKNOWN.to_string();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_difference_by_the_time() {
        let at = Instant::now();
        let before = Sample {
            at,
            cpu: Some(1_000_000),
            memory: Some(32 << 20),
            limit: Some(64 << 20),
            network: Some((0, 1500)),
            disk: None,
            tasks: Some(2),
        };
        let at = at + Duration::from_secs(2);
        let sample = Some(Sample { at, cpu: Some(1_400_000), ..before.clone() });
        let id = "0123456789abcdef".to_string();
        let seen = Seen { asked: "box".into(), id, name: "box".into(), sample };
        let format = Format::read(None, USUAL).unwrap();
        let lines = format.lines(&TITLES, &[seen.row(Some(&before), false)]).unwrap();
        let [titles, line] = &lines[..] else { panic!("{lines:?}") };
        let cells: Vec<&str> = line.split("   ").map(str::trim).collect();
        let cells: Vec<&str> = cells.into_iter().filter(|it| !it.is_empty()).collect();
        assert_eq!(
            cells,
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
        assert_eq!(titles.find("CPU %"), line.find("20.00%"));
    }
}
