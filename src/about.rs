//! What is this engine, and which machine is it on?

use std::collections::BTreeSet;
use std::env::consts::ARCH;
use std::fs;
use std::thread::available_parallelism;

use cgroup::{Hierarchy, Version};
use serde_json::{Value, json};
use stage::Result;

use crate::limits::units::in_words;
use crate::listing;
use crate::rootless;
use crate::status::Status;
use crate::store::Store;

/// The version of all of it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Docker's names for it. There is no daemon: who asks is who answers.
pub fn version() -> Value {
    let engine = json!({
        "Version": VERSION,
        "Os": "linux",
        "Arch": architecture(),
        "KernelVersion": kernel(),
    });
    json!({ "Client": engine, "Server": engine })
}

/// The same for people.
pub fn version_lines() -> Vec<String> {
    vec![
        format!("fakedocker {VERSION}"),
        format!(" OS/Arch:  linux/{}", architecture()),
        format!(" Kernel:   {}", kernel()),
        " Daemon:   none: each container's own engine keeps it".into(),
    ]
}

/// What there is to know of the engine and the machine, by Docker's names.
pub fn info(store: &Store) -> Result<Value> {
    let (containers, unreadable) = listing::all(store)?;
    let count =
        |status: Status| containers.iter().filter(|it| it.status == status).count();
    let running = count(Status::Running) + count(Status::Restarting);
    let paused = count(Status::Paused);
    let total = containers.len() + unreadable.len();
    let (hostname, _) = uts::names()?;
    let images = store.images()?;
    Ok(json!({
        "Containers": total,
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": total - running - paused,
        "Images": images.iter().map(|it| &it.id).collect::<BTreeSet<_>>().len(),
        "ServerVersion": VERSION,
        "Driver": "overlay2",
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": cgroup_version(),
        "Rootless": rootless::is_rootless(),
        "KernelVersion": kernel(),
        "OperatingSystem": system(),
        "OSType": "linux",
        "Architecture": ARCH,
        "NCPU": available_parallelism().map_or(0, usize::from),
        "MemTotal": memory().unwrap_or_default(),
        "Name": hostname,
        "DockerRootDir": store.root(),
    }))
}

/// The same for people.
pub fn info_lines(info: &Value) -> Vec<String> {
    let text = |field: &str| match &info[field] {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    let line = |(title, field): &(&str, &str)| format!("{title}: {}", text(field));
    let mut lines: Vec<String> = LINES.iter().map(line).collect();
    let memory = info["MemTotal"].as_u64().unwrap_or_default();
    lines.push(format!("Total Memory: {}", in_words(memory)));
    lines
}

const LINES: [(&str, &str); 17] = [
    ("Containers", "Containers"),
    (" Running", "ContainersRunning"),
    (" Paused", "ContainersPaused"),
    (" Stopped", "ContainersStopped"),
    ("Images", "Images"),
    ("Server Version", "ServerVersion"),
    ("Storage Driver", "Driver"),
    ("Cgroup Driver", "CgroupDriver"),
    ("Cgroup Version", "CgroupVersion"),
    ("Rootless", "Rootless"),
    ("Root Dir", "DockerRootDir"),
    ("Name", "Name"),
    ("Kernel Version", "KernelVersion"),
    ("Operating System", "OperatingSystem"),
    ("OSType", "OSType"),
    ("Architecture", "Architecture"),
    ("CPUs", "NCPU"),
];

/// Go's names, which are in images, too.
fn architecture() -> &'static str {
    match ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn kernel() -> String {
    first_line("/proc/sys/kernel/osrelease")
}

fn first_line(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_string()
}

/// That of the controller that is asked for most.
fn cgroup_version() -> &'static str {
    match Hierarchy::of(memory::CONTROLLER).map(|it| it.version) {
        Ok(Version::V1) => "1",
        Ok(Version::V2) => "2",
        Err(_) => "",
    }
}

/// The system's name: os-release(5).
fn system() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.unwrap_or("Linux").trim_matches('"').to_string()
}

/// In bytes: proc_meminfo(5).
pub(crate) fn memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total?.trim().trim_end_matches(" kB").parse::<u64>().ok()?;
    Some(kib * 1024)
}
