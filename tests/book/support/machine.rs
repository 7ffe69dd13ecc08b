//! What does "the machine is left as it was" mean?
//!
//! [`Machine::look`] writes down all that a lesson could leave behind, [`undisturbed`]
//! looks before and after a test and compares. What cannot outlive its processes, such as
//! a namespace, shows up as a process.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::processes::{self, Process};
use super::wait::within;
use super::{program, turn};

/// What there was on the machine: lines, by the kind of thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine(BTreeMap<&'static str, BTreeSet<String>>);

/// How long the kernel may take to clear away after a process that was killed, on a machine whose
/// disks and processors have much to do.
const PATIENCE: Duration = Duration::from_secs(30);

/// Play `scene` while no other test does; the machine must be the same before and after.
pub fn undisturbed<T>(scene: impl FnOnce() -> T) -> T {
    let _turn = turn();
    let before = Machine::look();
    let result = scene();
    before.assert_unchanged();
    result
}

type Look = fn() -> BTreeSet<String>;

/// What can be left, and how it is found.
const KINDS: [(&str, Look); 12] = [
    ("mounts", || lines_of("/proc/thread-self/mountinfo")),
    ("processes", || processes::ours().iter().map(Process::to_string).collect()),
    ("cgroups", || named_below(Path::new("/sys/fs/cgroup"), 4)),
    ("temporary files", temporary_files),
    ("loop devices", loop_devices),
    ("state", || union([everything_below("/run/fakedocker"), store()])),
    ("System V objects", system_v),
    ("POSIX queues", posix_queues),
    ("shared memory files", || everything_below("/dev/shm")),
    ("names", names),
    ("network", network),
    ("firewall", firewall),
];

impl Machine {
    /// See the machine as it is now.
    pub fn look() -> Machine {
        Machine(KINDS.iter().map(|(kind, look)| (*kind, look())).collect())
    }

    /// Fail with a readable difference unless the machine is, or soon comes to be, what it
    /// was when this was seen.
    pub fn assert_unchanged(&self) {
        self.assert_same(&Machine::kinds());
    }

    /// All kinds of things that are looked for.
    pub fn kinds() -> Vec<&'static str> {
        KINDS.iter().map(|(kind, _)| *kind).collect()
    }

    /// The same for some kinds of things only, such as `mounts`.
    pub fn assert_same(&self, kinds: &[&str]) {
        let changes = self.changes_that_stay(kinds);
        assert!(
            changes.is_empty(),
            "the machine is not as it was:\n{}",
            changes.join("\n")
        );
    }

    /// What has changed since this was seen, and is not about to change back.
    pub fn changes_that_stay(&self, kinds: &[&str]) -> Vec<String> {
        let mut changes = Vec::new();
        within(PATIENCE, || {
            changes = self.changes(kinds);
            changes.is_empty().then_some(())
        });
        changes
    }

    /// What the machine has lost (-) and gained (+) since this was seen.
    fn changes(&self, kinds: &[&str]) -> Vec<String> {
        let mut changes = Vec::new();
        for (kind, look) in KINDS.iter().filter(|(kind, _)| kinds.contains(kind)) {
            let (then, now) = (&self.0[kind], &look());
            changes.extend(then.difference(now).map(|line| format!("- {kind}: {line}")));
            changes.extend(now.difference(then).map(|line| format!("+ {kind}: {line}")));
        }
        changes
    }
}

fn union<const N: usize>(looks: [BTreeSet<String>; N]) -> BTreeSet<String> {
    looks.into_iter().flatten().collect()
}

/// The lines of a file; none if it is not there.
fn lines_of(path: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(String::from).collect()
}

/// The first `count` words of each line: the rest of it changes by mere use.
fn first_words(path: &str, count: usize) -> BTreeSet<String> {
    let shorten = |line: &String| {
        let words: Vec<&str> = line.split_whitespace().take(count).collect();
        format!("{path}: {}", words.join(" "))
    };
    lines_of(path).iter().map(shorten).collect()
}

/// Folders down to `depth` whose name has `fakedocker` in it.
fn named_below(folder: &Path, depth: u32) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if entry.file_name().to_string_lossy().contains("fakedocker") {
            found.insert(entry.path().display().to_string());
        }
        if depth > 1 {
            found.append(&mut named_below(&entry.path(), depth - 1));
        }
    }
    found
}

/// Every path below `folder`, which itself need not be there.
fn everything_below(folder: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path().display().to_string();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.append(&mut everything_below(&path));
        }
        found.insert(path);
    }
    if Path::new(folder).is_dir() {
        found.insert(folder.to_string());
    }
    found
}

/// The engine's containers. Images are there to stay.
fn store() -> BTreeSet<String> {
    let folder = |name: &str| format!("/var/lib/fakedocker/{name}");
    let names = fs::read_dir(folder("containers")).into_iter().flatten().flatten();
    names.map(|entry| entry.path().display().to_string()).collect()
}

fn temporary_files() -> BTreeSet<String> {
    let folders = ["/tmp", "/var/tmp", "/opt"]
        .into_iter()
        .filter_map(|path| fs::read_dir(path).ok());
    let paths =
        folders.flatten().flatten().map(|entry| entry.path().display().to_string());
    // The lab VM shows the host's /opt, where tests may play meanwhile: those are not ours.
    let ours = format!("-{}-", std::process::id());
    let is_ours = |path: &str| !path.starts_with("/opt/") || path.contains(&ours);
    paths.filter(|path| path.contains("fakedocker") && is_ours(path)).collect()
}

/// The files behind those that are in use.
fn loop_devices() -> BTreeSet<String> {
    let devices = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let files = devices.map(|device| device.path().join("loop/backing_file"));
    files.filter_map(|file| fs::read_to_string(file).ok()).collect()
}

fn system_v() -> BTreeSet<String> {
    // Key, id, permissions, and the size or the number of bytes.
    union(
        ["msg", "shm", "sem"]
            .map(|kind| first_words(&format!("/proc/sysvipc/{kind}"), 4)),
    )
}

/// The queues of our IPC namespace, wherever the host mounts them, if it does: in a mount
/// namespace of its own, a helper mounts them over /tmp and looks.
fn posix_queues() -> BTreeSet<String> {
    let script = "mount -t mqueue mqueue /tmp && ls -A /tmp";
    output_of(Command::new("unshare").args(["--mount", "sh", "-c", script]))
}

fn names() -> BTreeSet<String> {
    let kernel = |name: &str| first_words(&format!("/proc/sys/kernel/{name}"), 1);
    union([kernel("hostname"), kernel("domainname")])
}

fn network() -> BTreeSet<String> {
    union([
        first_words("/proc/thread-self/net/dev", 1),
        first_words("/proc/thread-self/net/route", 4),
        first_words("/proc/sys/net/ipv4/ip_forward", 1),
    ])
}

/// The rules, without their counters, where there is a tool that lists them.
fn firewall() -> BTreeSet<String> {
    let rules = output_of(Command::new("nft").args(["--stateless", "list", "ruleset"]));
    let old = output_of(&mut Command::new("iptables-save"));
    let lasting = |line: &String| !line.starts_with('#');
    let old = old.into_iter().filter(lasting).map(|line| {
        let rule = line.split(" [").next().unwrap_or(&line);
        rule.to_string()
    });
    union([rules, old.collect()])
}

fn output_of(command: &mut Command) -> BTreeSet<String> {
    let Ok(output) = command.output() else { return BTreeSet::new() };
    String::from_utf8_lossy(&output.stdout).lines().map(String::from).collect()
}

/// The program `name`, to be run as a student would; its processes can be told from those
/// of anybody else.
pub fn command(name: &str) -> Command {
    let mut command = Command::new(program(name));
    processes::mark(&mut command);
    command
}
