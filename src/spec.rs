//! How is a container described?
//!
//! By an OCI runtime configuration: the part of `config.json` that we use, field by field
//! as in the specification (config.md and config-linux.md). The command line builds one, the
//! container's folder keeps it, and `contain()` reads nothing else.
//!
//! One thing is ours: mounts of type `overlay`, with each lower layer as an option of its own
//! (topmost first). They are how a root file system comes to be at `root.path`: one on "/",
//! and where the kernel wants more of them, others on folders of it.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use mount::furnish::Mount as Entry;
use overlay::Layers;
use seccomp::Profile;
use serde::{Deserialize, Serialize};
use stage::{Error, Result};
use user::{Line, Maps};

use self::resources::Resources;
use crate::guards::Capabilities;
use crate::network::{NETWORK, Network};
use crate::settings;

pub mod resources;

/// A container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// The version of the specification that this follows.
    pub oci_version: String,
    /// What runs in it.
    pub process: Process,
    /// Where its root file system appears.
    pub root: Root,
    /// Its name in its own UTS namespace, at most 64 bytes.
    pub hostname: String,
    /// What is mounted, in this order.
    pub mounts: Vec<Mount>,
    /// What the specification has for Linux only.
    pub linux: Linux,
    /// What the specification leaves to us: see [`crate::network`], and what is said of the image.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// The container's first process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// Whether it has a terminal of its own (lesson 25).
    #[serde(default)]
    pub terminal: bool,
    /// The program and its arguments.
    pub args: Vec<String>,
    /// Its environment, as `NAME=value`.
    pub env: Vec<String>,
    /// Its working directory, absolute.
    pub cwd: PathBuf,
    /// Who it is, by the container's numbers.
    #[serde(default)]
    pub user: User,
    /// What each of its processes may use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rlimits: Vec<Rlimit>,
    /// What it may do of what root may.
    #[serde(default)]
    pub capabilities: Capabilities,
    /// Whether no program gives it more.
    #[serde(default)]
    pub no_new_privileges: bool,
}

/// A limit of each process (getrlimit(2)); 2^64-1 stands for none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    /// Of what, such as `RLIMIT_NOFILE`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What holds.
    pub soft: u64,
    /// What a process can raise it to.
    pub hard: u64,
}

/// A user and its groups: root and no others, unless said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The groups besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_gids: Vec<u32>,
}

/// The root file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// A folder of the host's.
    pub path: PathBuf,
    /// Whether the container finds it read-only.
    pub readonly: bool,
}

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where, as the container sees it: absolute.
    pub destination: PathBuf,
    /// The file system's type, or `bind`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What is mounted.
    pub source: PathBuf,
    /// Mount options, as in fstab(5).
    #[serde(default)]
    pub options: Vec<String>,
}

/// What the specification has for Linux only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Linux {
    /// The namespaces that the container has for itself.
    pub namespaces: Vec<Namespace>,
    /// With a user namespace: who its users are outside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uid_mappings: Vec<IdMapping>,
    /// And its groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gid_mappings: Vec<IdMapping>,
    /// Its group, as the topmost one sees it: `/fakedocker/ID`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroups_path: Option<PathBuf>,
    /// What it may use.
    #[serde(default)]
    pub resources: Resources,
    /// Switches of its part of the kernel: files below /proc/sys, with dots for slashes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctl: BTreeMap<String, String>,
    /// Paths that nobody in the container can read.
    pub masked_paths: Vec<PathBuf>,
    /// Paths that nobody in the container can write to.
    pub readonly_paths: Vec<PathBuf>,
    /// Which calls it may make; all, if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<Profile>,
}

/// A range of users or groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMapping {
    /// The first number inside.
    #[serde(rename = "containerID")]
    pub container_id: u32,
    /// The first number outside.
    #[serde(rename = "hostID")]
    pub host_id: u32,
    /// How many there are.
    pub size: u32,
}

/// A namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// `pid`, `uts`, `ipc`, `mount`, `network`, `cgroup` or `user`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Somebody else's, to be joined; else one of its own is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
}

/// The annotation that says which image a container was made from: its ID.
pub const IMAGE_ID: &str = "fakedocker.image.id";
/// And what that was called then.
pub const IMAGE_NAME: &str = "fakedocker.image.name";
/// What the annotations begin with that are labels of the user's.
pub const LABEL: &str = "fakedocker.label.";
/// How its command is asked to end, if not by SIGTERM (conversion.md of the image specification).
pub const STOP_SIGNAL: &str = "org.opencontainers.image.stopSignal";
/// The ports that it listens at, as the image says.
pub const EXPOSED_PORTS: &str = "org.opencontainers.image.exposedPorts";

/// The annotation of a container without guards.
pub const PRIVILEGED: &str = "fakedocker.privileged";
/// The annotation that says how many words of the command are its entrypoint.
pub const ENTRYPOINT: &str = "fakedocker.entrypoint";
/// Whether an init is number 1, and the command its child: `true`.
pub const INIT: &str = "fakedocker.init";

/// The namespaces that every container has for itself.
pub const NAMESPACES: [&str; 4] = ["pid", "uts", "ipc", "mount"];

impl Spec {
    /// Refuse what cannot work, before anything is touched.
    pub fn check(&self) -> Result<()> {
        uts::check(&self.hostname)?;
        absolute("the working directory", &self.process.cwd)?;
        absolute("the root file system", &self.root.path)?;
        if self.process.args.is_empty() {
            return Err(Error::input("no command given: name one after the image"));
        }
        for mount in &self.mounts {
            absolute("a mount's destination", &mount.destination)?;
        }
        match NAMESPACES.iter().find(|kind| self.namespace(kind).is_none()) {
            Some(kind) => {
                Err(Error::input(format!("a container needs its own {kind} namespace")))
            }
            None => self.stacks().map(drop),
        }?;
        self.linux.resources.check()?;
        settings::check(self)?;
        self.check_users()
    }

    /// Refuse users that the container cannot have.
    fn check_users(&self) -> Result<()> {
        let Some(maps) = self.users() else { return Ok(()) };
        mount::idmap::check_kernel()?;
        maps.check()?;
        let User { uid, gid, additional_gids } = &self.process.user;
        let mut gids = additional_gids.iter().chain([gid]);
        let user = (maps.user_outside(*uid).is_none()).then_some(("user", uid));
        let group = gids.find(|gid| maps.group_outside(**gid).is_none());
        match user.or(group.map(|gid| ("group", gid))) {
            Some((what, number)) => Err(Error::input(format!(
                "{what} {number} is not one of the container's, whose numbers are mapped"
            ))
            .hint("--userns FIRST:COUNT has the numbers below COUNT")),
            None => Ok(()),
        }
    }

    /// Who its users are outside, if it has a user namespace.
    pub fn users(&self) -> Option<Maps> {
        let lines = |mappings: &[IdMapping]| {
            let lines = mappings.iter().map(|it| Line {
                inside: it.container_id,
                outside: it.host_id,
                count: it.size,
            });
            lines.collect()
        };
        let Linux { uid_mappings, gid_mappings, .. } = &self.linux;
        let maps = Maps { uids: lines(uid_mappings), gids: lines(gid_mappings) };
        self.namespace("user").map(|_| maps)
    }

    /// Who its process is outside.
    pub fn user_outside(&self) -> u32 {
        let uid = self.process.user.uid;
        self.users().and_then(|maps| maps.user_outside(uid)).unwrap_or(uid)
    }

    /// Who has a file inside that these two have outside. Numbers that nobody in there has stay.
    pub fn owner_inside(&self, user: u32, group: u32) -> (u32, u32) {
        let Some(maps) = self.users() else { return (user, group) };
        let (inside, its) = (maps.user_inside(user), maps.group_inside(group));
        (inside.unwrap_or(user), its.unwrap_or(group))
    }

    /// The overlays that the root file system is made of: the one on "/" first, then those
    /// on folders that it has. Each with its place in the container.
    pub fn stacks(&self) -> Result<Vec<(PathBuf, Layers)>> {
        let stacks = self.mounts.iter().filter(|mount| is_overlay(mount));
        let stacks = stacks.map(|mount| Ok((mount.destination.clone(), layers(mount)?)));
        let stacks = stacks.collect::<Result<Vec<_>>>()?;
        match stacks.first() {
            Some((place, _)) if place == Path::new("/") => Ok(stacks),
            _ => Err(Error::input("no overlay is described for \"/\", before others")),
        }
    }

    /// Everything that is mounted inside the root file system.
    pub fn mounts_inside(&self) -> Vec<Entry> {
        let inside = self.mounts.iter().filter(|mount| !is_overlay(mount));
        let entry = |mount: &Mount| Entry {
            destination: mount.destination.clone(),
            kind: mount.kind.clone(),
            source: mount.source.clone(),
            options: mount.options.clone(),
        };
        inside.map(entry).collect()
    }

    /// Whether somebody connects the container's own network while it starts.
    pub fn is_connected(&self) -> bool {
        self.annotations.get(NETWORK).is_some_and(|name| Network::is_connected(name))
    }

    /// Whether it was made without guards.
    pub fn is_privileged(&self) -> bool {
        self.annotations.contains_key(PRIVILEGED)
    }

    /// The user's labels: their keys and values.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        let labels = self.annotations.iter();
        labels.filter_map(|(key, value)| Some((key.strip_prefix(LABEL)?, value.as_str())))
    }

    /// How many words of the command are its entrypoint.
    pub fn entrypoint(&self) -> usize {
        let said = self.annotations.get(ENTRYPOINT).and_then(|count| count.parse().ok());
        said.unwrap_or_default()
    }

    /// Whether an init is its number 1, and its command a child of that.
    pub fn has_init(&self) -> bool {
        self.annotations.get(INIT).is_some_and(|value| value == "true")
    }

    /// What its group is called among ours.
    pub fn group(&self) -> Option<&str> {
        self.linux.cgroups_path.as_ref()?.file_name()?.to_str()
    }

    /// The namespace of this `kind`, if the container does not share the host's.
    pub fn namespace(&self, kind: &str) -> Option<&Namespace> {
        self.linux.namespaces.iter().find(|namespace| namespace.kind == kind)
    }
}

fn is_overlay(mount: &Mount) -> bool {
    mount.kind == "overlay"
}

fn layers(overlay: &Mount) -> Result<Layers> {
    let all = |name: &str| {
        let paths = overlay.options.iter().filter_map(|option| {
            option.strip_prefix(name)?.strip_prefix('=').map(PathBuf::from)
        });
        paths.collect::<Vec<_>>()
    };
    let one = |name: &str| {
        let place = &overlay.destination;
        all(name).pop().ok_or_else(|| {
            Error::input(format!("the overlay on {place:?} needs {name}=DIR"))
        })
    };
    let (upper, work) = (one("upperdir")?, one("workdir")?);
    Ok(Layers { lower: all("lowerdir"), upper, work })
}

/// Refuse a path that is relative, or that climbs.
pub(crate) fn absolute(what: &str, path: &Path) -> Result<()> {
    let climbs = path.components().any(|step| step == Component::ParentDir);
    match path.is_absolute() && !climbs {
        true => Ok(()),
        false => Err(Error::input(format!(
            "{what} is {path:?}: give an absolute path, without `..`"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_names_are_those_of_the_specification()
    -> std::result::Result<(), serde_json::Error> {
        let text = r#"{
            "ociVersion": "1.2.0",
            "process": {"args": ["sh"], "env": [], "cwd": "/"},
            "root": {"path": "/r", "readonly": true},
            "hostname": "box",
            "mounts": [{"destination": "/", "type": "overlay", "source": "overlay",
                "options": ["lowerdir=/a:b", "lowerdir=/c", "upperdir=/u", "workdir=/w"]}],
            "linux": {"namespaces": [{"type": "pid"}, {"type": "uts"}, {"type": "ipc"},
                {"type": "mount"}, {"type": "user"}],
                "uidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}],
                "gidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}],
                "maskedPaths": ["/proc/keys"], "readonlyPaths": []}
        }"#;
        let mut spec: Spec = serde_json::from_str(text)?;
        assert_eq!(spec.check(), Ok(()));
        let lower = spec.stacks().map(|stacks| stacks[0].1.lower.clone());
        assert_eq!(lower, Ok(vec!["/a:b".into(), "/c".into()]));
        assert_eq!(spec.process.user, User::default());
        assert_eq!(spec.user_outside(), 100_000);
        spec.process.user.additional_gids = vec![65535, 65536];
        assert!(spec.check().is_err());
        spec.process.user = serde_json::from_str(r#"{"uid": 33, "gid": 33}"#)?;
        assert_eq!((spec.user_outside(), spec.check()), (100_033, Ok(())));
        spec.process.cwd = "../etc".into();
        assert!(spec.check().is_err());
        Ok(())
    }
}
