//! Which devices does a container get?
//!
//! Docker's few, and those that are asked for. Two things decide: whether there is a node
//! that works, and whether the group may open what the node stands for.

use std::fs;
use std::path::{Path, PathBuf};

use cgroup::Group;
use devices::{Access, CONTROLLER, Kind, Rule};
use stage::{Error, Result, Stage};

use crate::describe::bind;
use crate::spec::resources::DeviceRule;
use crate::spec::{Mount, absolute};
use crate::{rootless, sys};

/// A device of the host's, as the container is to have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its node.
    pub mount: Mount,
    /// What may be done with it.
    pub rule: DeviceRule,
}

impl Device {
    /// Read one value of `--device`: `HOST[:CONTAINER][:rwm]`.
    pub fn read(text: &str) -> Result<Device> {
        let wrong = |why: String| {
            Error::input(format!("--device {text}: {why}")).hint(
                "--device takes HOST[:CONTAINER][:rwm], such as /dev/loop0:/dev/disk:r",
            )
        };
        let parts: Vec<&str> = text.split(':').collect();
        let (host, inside, access) = match parts[..] {
            [host] => (host, host, "rwm"),
            [host, access] if !access.starts_with('/') => (host, host, access),
            [host, inside] => (host, inside, "rwm"),
            [host, inside, access] => (host, inside, access),
            _ => return Err(wrong("it has more than three parts".into())),
        };
        let is_use = |letter: char| "rwm".contains(letter);
        if access.is_empty() || access.len() > 3 || !access.chars().all(is_use) {
            return Err(wrong(format!("{access:?} is not some of r, w and m")));
        }
        let target = Path::new(inside);
        if absolute("", target).is_err() || target == Path::new("/") {
            return Err(wrong(format!("{inside:?} is no place in the container")));
        }
        let Some((kind, major, minor)) = sys::device(Path::new(host)) else {
            return Err(wrong(format!("{host} is no device of this machine")));
        };
        Ok(Device {
            mount: bind(Path::new(host), target, "ro,nosuid,noexec"),
            rule: DeviceRule {
                allow: true,
                kind: kind.into(),
                major: Some(major),
                minor: Some(minor),
                access: access.into(),
            },
        })
    }
}

/// All nodes of the host's, but for those that every container has, and those of its own
/// terminals, shared memory and queues.
pub fn all() -> Vec<Device> {
    const OWN: [&str; 12] = [
        "console", "full", "fd", "mqueue", "null", "ptmx", "pts", "random", "shm", "tty",
        "urandom", "zero",
    ];
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("/dev")];
    while let Some(folder) = folders.pop() {
        // What vanishes meanwhile is not there.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (path, kind) = (entry.path(), entry.file_type());
            let is_own = OWN.iter().any(|own| path == Path::new("/dev").join(own));
            match kind {
                Ok(kind) if is_own || kind.is_symlink() => {}
                Ok(kind) if kind.is_dir() => folders.push(path),
                _ => found.extend(path.to_str().and_then(|it| Device::read(it).ok())),
            }
        }
    }
    found
}

/// What a container is allowed: nothing, but for Docker's list and `devices`. Without root,
/// nobody may forbid devices, and the user's own rights are what is left.
pub fn rules(devices: &[Device]) -> Vec<DeviceRule> {
    if rootless::is_rootless() {
        return Vec::new();
    }
    let rule = |rule: &Rule| DeviceRule {
        allow: true,
        kind: match rule.kind {
            Some(Kind::Block) => "b".into(),
            Some(Kind::Char) => "c".into(),
            None => "a".into(),
        },
        major: rule.major,
        minor: rule.minor,
        access: rule.access.to_string(),
    };
    let none = DeviceRule {
        allow: false,
        kind: "a".into(),
        major: None,
        minor: None,
        access: "rwm".into(),
    };
    let asked = devices.iter().map(|device| device.rule.clone());
    [none].into_iter().chain(devices::DEFAULT.iter().map(rule)).chain(asked).collect()
}

/// Let the group open what `rules` allow, and nothing else. They begin with one that denies
/// all, if there are any.
pub fn allow(stage: &Stage, group: &Group, rules: &[DeviceRule]) -> Result<()> {
    // A machine may have no such controller.
    if rules.is_empty() || !group.has(CONTROLLER) {
        return Ok(());
    }
    let rule = |rule: &DeviceRule| Rule {
        kind: match rule.kind.as_str() {
            "b" => Some(Kind::Block),
            "c" => Some(Kind::Char),
            _ => None,
        },
        major: rule.major,
        minor: rule.minor,
        access: Access {
            read: rule.access.contains('r'),
            write: rule.access.contains('w'),
            mknod: rule.access.contains('m'),
        },
    };
    let allowed: Vec<Rule> = rules.iter().filter(|rule| rule.allow).map(rule).collect();
    devices::allow_only(stage, group, &allowed)
}
