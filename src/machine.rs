//! What can this machine do?
//!
//! Everything that some lesson stands on is looked at, and the kernel is asked rather than
//! guessed at, where to ask is harmless: it may load a module, as any use would.

use std::fs;
use std::fs::File;
use std::path::Path;
use std::thread::available_parallelism;

use cgroup::{Hierarchy, Version};
use serde::Serialize;
use stage::{Stage, proc};

use crate::sys;
use crate::sys::probe::{self, NAMESPACES};

mod kind;
pub mod tools;

/// The oldest kernel on which the lessons are written to run.
const OLDEST: (u32, u32) = (5, 10);

/// The controllers that lessons use, by their names in version 1.
const CONTROLLERS: [&str; 7] =
    ["cpu", "cpuset", "memory", "pids", "blkio", "freezer", "devices"];

/// Something that was looked at.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// What it belongs to, such as `namespaces`.
    pub topic: &'static str,
    /// Its name there, such as `uts`.
    pub name: String,
    /// Whether it works; None if it is merely told, or cannot be tried by who we are.
    pub works: Option<bool>,
    /// What was seen.
    pub seen: String,
    /// What to do about it.
    pub advice: Option<String>,
}

impl Finding {
    fn new(topic: &'static str, name: &str, works: bool, seen: impl ToString) -> Finding {
        Finding { works: Some(works), ..Finding::told(topic, name, seen) }
    }

    fn told(topic: &'static str, name: &str, seen: impl ToString) -> Finding {
        Finding {
            topic,
            name: name.into(),
            works: None,
            seen: seen.to_string(),
            advice: None,
        }
    }

    fn advise(mut self, advice: &str) -> Finding {
        if self.works == Some(false) && !advice.is_empty() {
            self.advice = Some(advice.to_string());
        }
        self
    }
}

/// What lessons cannot do without. `student` is the user and group who called sudo.
pub fn needed(student: Option<(u32, u32)>) -> Vec<Finding> {
    let mut all = vec![kernel(), kind::inside(), cores()];
    all.extend(NAMESPACES.map(|(kind, flag)| namespace(kind, flag)));
    all.extend(without_root(student));
    all.extend(CONTROLLERS.map(controller));
    all.extend([filters(), overlay(), loop_devices(), terminals()]);
    all
}

/// What they measure where it is there, and name where it is not.
pub fn wanted() -> Vec<Finding> {
    vec![file_system("xfs"), file_system("btrfs"), device_mapper(), kvm()]
}

fn kernel() -> Finding {
    let release = word("/proc/sys/kernel/osrelease");
    let is_new = proc::version(&release).is_some_and(|version| version >= OLDEST);
    let seen = format!("{release}, {}", std::env::consts::ARCH);
    Finding::new("machine", "kernel", is_new, seen)
        .advise("the lessons need 5.10 or newer: scripts/lab-vm.sh brings one of its own")
}

fn cores() -> Finding {
    let count = available_parallelism().map_or(1, usize::from);
    Finding::new("machine", "cores", count > 1, count)
        .advise("lesson 11 moves a process from one core to another: it takes two")
}

/// Made and left behind by a child. Who is not root has to make a user namespace first.
fn namespace(kind: &str, flag: i32) -> Finding {
    let topic = "namespaces";
    if !Path::new("/proc/self/ns").join(kind).exists() {
        return Finding::new(topic, kind, false, "this kernel was built without it");
    }
    if sys::is_root() {
        return match probe::namespace(flag) {
            Ok(()) => Finding::new(topic, kind, true, "works"),
            Err(errno) => Finding::new(topic, kind, false, format!("refused: {errno}"))
                .advise(kind::advice()),
        };
    }
    let tried = match kind {
        "user" => probe::namespace(flag),
        _ => probe::inside_user_namespace(None, flag),
    };
    match tried {
        Ok(()) => Finding::new(topic, kind, true, "works"),
        Err(_) => Finding::told(topic, kind, "there; `sudo lab doctor` tries it"),
    }
}

/// What somebody who is not root may do, and the switches that decide.
fn without_root(student: Option<(u32, u32)>) -> Vec<Finding> {
    let topic = "without root";
    let tried = match (sys::is_root(), student) {
        (true, None) => Finding::told(topic, "containers", "not tried: we are root"),
        _ => match probe::inside_user_namespace(student, libc_uts()) {
            Ok(()) => Finding::new(topic, "containers", true, "work"),
            Err(errno) => {
                let seen = format!("the kernel refuses: {errno}");
                Finding::new(topic, "containers", false, seen).advise(
                    "with sudo, all lessons that are listed below run all the same",
                )
            }
        },
    };
    let switches = SWITCHES.iter().filter_map(|(name, wrong, advice)| {
        let value = fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?;
        let (value, short) = (value.trim(), name.rsplit('/').next().unwrap_or(name));
        let mut switch = Finding::told(topic, short, value);
        switch.advice = (value == *wrong).then(|| (*advice).to_string());
        Some(switch)
    });
    std::iter::once(tried).chain(switches).collect()
}

/// Files below /proc/sys, the value that is in the way, and how to change it.
const SWITCHES: [(&str, &str, &str); 3] = [
    ("user/max_user_namespaces", "0", "sudo sysctl user.max_user_namespaces=10000"),
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "Ubuntu's AppArmor takes all rights from user namespaces: \
         sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    (
        "kernel/unprivileged_userns_clone",
        "0",
        "sudo sysctl kernel.unprivileged_userns_clone=1",
    ),
];

fn libc_uts() -> i32 {
    NAMESPACES.iter().find(|(kind, _)| *kind == "uts").map_or(0, |(_, flag)| *flag)
}

fn controller(name: &str) -> Finding {
    let topic = "cgroups";
    let hierarchy = match Hierarchy::of(name) {
        Ok(hierarchy) => hierarchy,
        Err(error) => {
            let advice = error.advice().unwrap_or_default().to_string();
            return Finding::new(topic, name, false, error).advise(&advice);
        }
    };
    let at = hierarchy.folder(Path::new("/"));
    let version = hierarchy.version;
    let (own, at_text) = (version.name_of(name), at.to_string_lossy());
    let at_text = at_text.trim_end_matches('/');
    let seen = match version {
        Version::V2 if own != name => format!("version {version} at {at_text}, as {own}"),
        _ => format!("version {version} at {at_text}"),
    };
    if sys::is_root() && !probe::is_writable(&at) {
        return Finding::new(
            topic,
            name,
            false,
            format!("{seen}, which cannot be written to"),
        )
        .advise(kind::advice());
    }
    Finding::new(topic, name, true, seen)
}

fn overlay() -> Finding {
    let (topic, name) = ("files", "overlay");
    if sys::is_root() {
        return match probe::overlay() {
            Ok(()) => Finding::new(topic, name, true, "works"),
            Err(errno) => Finding::new(topic, name, false, format!("refused: {errno}"))
                .advise(
                    "modprobe overlay; on top of two overlays the kernel takes no third",
                ),
        };
    }
    file_system(name)
}

fn loop_devices() -> Finding {
    let path = "/dev/loop-control";
    Finding { name: "loop devices".into(), ..opens("files", path) }
        .advise("lessons 14 and 19 make a disk out of a file: modprobe loop")
}

fn terminals() -> Finding {
    Finding { name: "terminals".into(), ..opens("files", "/dev/ptmx") }
        .advise("lesson 25 makes terminals: mount a devpts on /dev/pts")
}

fn filters() -> Finding {
    let known = fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail");
    let seen = known.as_deref().map_or("this kernel was built without it", str::trim);
    Finding::new("guards", "seccomp", known.is_ok(), seen)
}

/// Whether the kernel knows the file system `kind`, or has a module for it.
fn file_system(kind: &str) -> Finding {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let is_known = known.lines().any(|line| line.split('\t').nth(1) == Some(kind));
    let modules = Path::new("/lib/modules").join(word("/proc/sys/kernel/osrelease"));
    let lists = ["modules.dep", "modules.builtin"].map(|list| modules.join(list));
    let file = format!("/{kind}.ko");
    let has_module = lists
        .iter()
        .any(|list| fs::read_to_string(list).is_ok_and(|text| text.contains(&file)));
    let seen = match (is_known, has_module) {
        (true, _) => "known",
        (_, true) => "there is a module",
        _ => "not known, and no module is found",
    };
    // What lesson 19 cannot measure it names; an overlay is needed.
    match kind {
        "overlay" => Finding::new("files", kind, is_known || has_module, seen),
        _ => Finding::told("files", kind, seen),
    }
}

fn device_mapper() -> Finding {
    let (topic, name) = ("files", "device mapper");
    if !sys::is_root() {
        let is_there = Path::new("/dev/mapper/control").exists();
        return Finding::told(topic, name, if is_there { "there" } else { "not there" });
    }
    let lacks = Stage::of_engine(false).and_then(|stage| cow::mapper::lacks(&stage));
    match lacks {
        Ok(None) => Finding::told(topic, name, "takes snapshots"),
        Ok(Some(why)) => Finding::told(topic, name, why),
        Err(error) => Finding::told(topic, name, error),
    }
}

fn kvm() -> Finding {
    let found = opens("virtual machines", "/dev/kvm");
    let slow = "scripts/lab-vm.sh works without it, and is slower";
    let advice = (found.works == Some(false)).then(|| slow.to_string());
    Finding { works: None, advice, ..found }
}

/// Whether the device at `path` can be opened; who is not root may be told to.
fn opens(topic: &'static str, path: &str) -> Finding {
    match File::options().read(true).write(true).open(path) {
        Ok(_) => Finding::new(topic, path, true, format!("{path} opens")),
        Err(_) if !sys::is_root() && Path::new(path).exists() => {
            Finding::told(topic, path, format!("{path} is there; only root may open it"))
        }
        Err(error) => Finding::new(topic, path, false, format!("{path}: {error}")),
    }
}

/// The only line of a file of the kernel's; nothing if it is not there.
fn word(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_string()
}
