//! Where do cgroups live on this machine?
//!
//! In file systems of the kernel's, which somebody has mounted: of version 1 one for each
//! controller (or for some together), of version 2 one for all. A controller is in one of
//! them at a time, so that a machine can have both: that is called hybrid. So each is looked
//! up, and no path is taken for granted.
//!
//! Read cgroups(7), and /proc/PID/mountinfo in proc(5).

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use stage::{Error, Result, proc};

/// The two versions of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// A hierarchy for each controller.
    V1,
    /// The unified hierarchy, since Linux 4.5.
    V2,
}

/// A tree of groups, as it is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Which interface its files have.
    pub version: Version,
    /// Where its topmost group is that we can see.
    pub at: PathBuf,
    /// What that group is called: "/", unless only a part of the tree is mounted here.
    pub root: PathBuf,
    /// The controllers that it has, by their names in this version.
    pub controllers: Vec<String>,
}

/// Which groups a process is in: /proc/PID/cgroup, with a line for each hierarchy.
pub struct Membership {
    path: String,
    text: String,
}

/// Controllers that have another name in version 2.
const RENAMED: [(&str, &str); 2] = [("blkio", "io"), ("cpuacct", "cpu")];

/// What every group of version 2 can do, so that it is no controller there.
const BUILT_IN: [&str; 2] = ["freezer", "devices"];

impl Hierarchy {
    /// All that are mounted, each once.
    pub fn all() -> Result<Vec<Hierarchy>> {
        let text = proc::read("/proc/self/mountinfo")?;
        let mut found: Vec<Hierarchy> = Vec::new();
        for hierarchy in text.lines().filter_map(read_mount) {
            let is_same = |other: &Hierarchy| {
                other.version == hierarchy.version
                    && other.controllers == hierarchy.controllers
            };
            if !found.iter().any(is_same) {
                found.push(hierarchy);
            }
        }
        Ok(found)
    }

    /// The one that has `controller`, by its name in version 1.
    pub fn of(controller: &str) -> Result<Hierarchy> {
        Hierarchy::among(&Hierarchy::all()?, controller).cloned()
    }

    /// The one of `all` that has `controller`.
    pub fn among<'a>(all: &'a [Hierarchy], controller: &str) -> Result<&'a Hierarchy> {
        let found = all.iter().find(|hierarchy| hierarchy.has(controller));
        found.ok_or_else(|| {
            let known = "/proc/cgroups";
            let is_known = fs::read_to_string(known).is_ok_and(|text| {
                text.lines().any(|line| line.split('\t').next() == Some(controller))
            });
            let error = Error::input(format!("no hierarchy here has {controller}"));
            match is_known {
                true => error.hint("the kernel has it: see cgroups(7), \"mount\""),
                false => error.hint("this kernel was built or started without it"),
            }
        })
    }

    /// Whether every group of version 2 can do what `controller` does in version 1.
    pub fn is_built_in(controller: &str) -> bool {
        BUILT_IN.contains(&controller)
    }

    /// Whether it has `controller`, by its name in version 1.
    pub fn has(&self, controller: &str) -> bool {
        match self.version {
            Version::V1 => self.controllers.iter().any(|own| own == controller),
            Version::V2 => {
                let name = self.version.name_of(controller);
                Hierarchy::is_built_in(controller)
                    || self.controllers.iter().any(|own| own == name)
            }
        }
    }

    /// The group that `process` (a PID or `self`) is in.
    pub fn group_of(&self, process: &str) -> Result<PathBuf> {
        Membership::of(process)?.group(self)
    }

    /// The folder of the group that /proc/PID/cgroup calls `group`.
    pub fn folder(&self, group: &Path) -> PathBuf {
        let below = group.strip_prefix(&self.root).or_else(|_| group.strip_prefix("/"));
        self.at.join(below.unwrap_or(group))
    }

    /// What /proc/PID/cgroup calls the group at `folder`.
    pub fn group(&self, folder: &Path) -> PathBuf {
        self.root.join(folder.strip_prefix(&self.at).unwrap_or(folder))
    }
}

impl Membership {
    /// That of `process`, a PID or `self`.
    pub fn of(process: &str) -> Result<Membership> {
        let path = format!("/proc/{process}/cgroup");
        let text = proc::read(&path)?;
        Ok(Membership { path, text })
    }

    /// Its group in `hierarchy`.
    pub fn group(&self, hierarchy: &Hierarchy) -> Result<PathBuf> {
        let group = self.text.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (controllers, group) = (fields.next()?, fields.next()?);
            let mut own = controllers.split(',');
            let is_ours = match hierarchy.version {
                Version::V2 => controllers.is_empty(),
                Version::V1 => {
                    own.any(|name| hierarchy.controllers.iter().any(|it| it == name))
                }
            };
            is_ours.then(|| PathBuf::from(group))
        });
        let path = &self.path;
        group.ok_or_else(|| Error::input(format!("{path} has no line for {hierarchy}")))
    }
}

impl Version {
    /// What `controller`, by its name in version 1, is called here.
    pub fn name_of(self, controller: &str) -> &str {
        let renamed = RENAMED.iter().find(|(old, _)| *old == controller);
        match (self, renamed) {
            (Version::V2, Some((_, new))) => new,
            _ => controller,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Version::V1 => "v1",
            Version::V2 => "v2",
        })
    }
}

impl fmt::Display for Hierarchy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.version, self.at.display())
    }
}

/// A line of mountinfo, if it is of a cgroup file system: `ID PARENT DEV ROOT AT OPTIONS … -
/// TYPE SOURCE SUPER`.
fn read_mount(line: &str) -> Option<Hierarchy> {
    let (mount, kind) = line.split_once(" - ")?;
    let mut paths = mount.split(' ').skip(3).map(|path| PathBuf::from(unescape(path)));
    let (root, at) = (paths.next()?, paths.next()?);
    let mut kind = kind.split(' ');
    let (name, options) = (kind.next()?, kind.nth(1)?);
    let (version, controllers) = match name {
        "cgroup" => (Version::V1, options.split(',').map(String::from).collect()),
        "cgroup2" => {
            let list = fs::read_to_string(at.join("cgroup.controllers"));
            let list = list.unwrap_or_default();
            (Version::V2, list.split_whitespace().map(String::from).collect())
        }
        _ => return None,
    };
    // Beside the controllers there are options such as "rw" and "release_agent=/path".
    let mut controllers: Vec<String> = controllers;
    controllers.retain(|name| match name.split_once('=') {
        Some((key, _)) => key == "name",
        None => !["rw", "ro", "xattr", "noprefix", "clone_children"].contains(&&**name),
    });
    Some(Hierarchy { version, at, root, controllers })
}

/// In mountinfo a space is `\040`.
fn unescape(path: &str) -> String {
    path.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_told_apart() {
        let line = "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup \
            cgroup rw,cpu,cpuacct";
        let found = read_mount(line).map(|it| (it.version, it.controllers));
        assert_eq!(found, Some((Version::V1, vec!["cpu".into(), "cpuacct".into()])));
        assert_eq!(read_mount("31 23 0:28 / /sys rw - tmpfs tmpfs rw"), None);
    }

    #[test]
    fn controllers_have_two_names() {
        let (at, root) = (PathBuf::from("/c"), PathBuf::from("/"));
        let controllers = vec!["io".into()];
        let unified = Hierarchy { version: Version::V2, at, root, controllers };
        assert!(unified.has("blkio") && unified.has("freezer") && !unified.has("cpu"));
        assert_eq!(unified.folder(Path::new("/a/b")), Path::new("/c/a/b"));
        assert_eq!(unified.group(Path::new("/c/a/b")), Path::new("/a/b"));
    }

    /// As Docker does with v1: a container sees its own group only, and the path from the top.
    #[test]
    fn a_part_of_a_tree_can_be_mounted() {
        let line = "33 31 0:30 /docker/1 /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids";
        let part = read_mount(line).unwrap();
        let folder = Path::new("/sys/fs/cgroup/pids/mine");
        assert_eq!(part.folder(Path::new("/docker/1/mine")), folder);
        assert_eq!(part.group(folder), Path::new("/docker/1/mine"));
    }
}
