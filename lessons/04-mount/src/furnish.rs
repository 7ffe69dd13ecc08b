//! What does a container find mounted, and how does it get there?
//!
//! A list, worked through from top to bottom, in the words of fstab(5) and of the OCI
//! runtime specification (config.md, "Mounts"). Then the few devices that every program
//! expects. Read mount(2), tmpfs(5) and pts(4).

use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::unistd::symlinkat;
use stage::{Error, Result, Stage};

use crate::attributes::restrict;
use crate::bind_as;
use crate::target::{Root, path_of, shown};

/// One mount of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where, as the container sees it.
    pub destination: PathBuf,
    /// The file system's type; `bind` for a folder or file of the host.
    pub kind: String,
    /// What is mounted: a path for a bind mount, else a name for the mount list.
    pub source: PathBuf,
    /// `ro`, `nosuid`, `nodev`, `noexec`, or the file system's own options.
    pub options: Vec<String>,
}

/// Mount the whole list inside `root`.
pub fn furnish(stage: &Stage, root: &Root, mounts: &[Mount]) -> Result<()> {
    mounts.iter().try_for_each(|entry| match entry.kind.as_str() {
        "bind" => bind_inside(stage, root, entry),
        _ => mount_inside(stage, root, entry),
    })
}

fn mount_inside(stage: &Stage, root: &Root, entry: &Mount) -> Result<()> {
    let target = root.folder(&entry.destination)?;
    let (flags, names, data) = read_options(&entry.options);
    let (source, kind, data) = (&entry.source, entry.kind.as_str(), data.as_deref());
    let where_to = shown(&target, &entry.destination);
    let options = data.map_or("NULL".into(), |data| format!("{data:?}"));
    let call = format!("mount({source:?}, {where_to}, {kind:?}, {names}, {options})");
    stage.ask(call, || mount(Some(source), &path_of(&target), Some(kind), flags, data))
}

fn bind_inside(stage: &Stage, root: &Root, entry: &Mount) -> Result<()> {
    let destination = &entry.destination;
    let target = match entry.source.is_dir() {
        true => root.folder(destination)?,
        false => root.file(destination)?,
    };
    bind_as(stage, &entry.source, &path_of(&target), &shown(&target, destination))?;
    let (flags, ..) = read_options(&entry.options);
    match flags.is_empty() {
        true => Ok(()),
        false => restrict_inside(stage, root, destination, flags),
    }
}

/// A bind mount is restricted in a second call. It wants a new look at the path, for the
/// descriptor that was mounted on is of what is covered now.
pub(crate) fn restrict_inside(
    stage: &Stage,
    root: &Root,
    destination: &Path,
    flags: MsFlags,
) -> Result<()> {
    let target = root.existing(destination)?;
    let target =
        target.ok_or_else(|| Error::input("a mount vanished under our hands"))?;
    restrict(stage, &target, destination, flags)
}

/// Options as flags, their names as strace has them, and the rest for the file system.
fn read_options(options: &[String]) -> (MsFlags, String, Option<String>) {
    let known = [
        ("ro", MsFlags::MS_RDONLY, "MS_RDONLY"),
        ("nosuid", MsFlags::MS_NOSUID, "MS_NOSUID"),
        ("nodev", MsFlags::MS_NODEV, "MS_NODEV"),
        ("noexec", MsFlags::MS_NOEXEC, "MS_NOEXEC"),
    ];
    let (mut flags, mut names, mut data) = (MsFlags::empty(), Vec::new(), Vec::new());
    for option in options {
        match known.iter().find(|(name, ..)| name == option) {
            Some((_, flag, name)) => {
                flags |= *flag;
                names.push(*name);
            }
            None => data.push(option.as_str()),
        }
    }
    let names = if names.is_empty() { "0".to_string() } else { names.join("|") };
    (flags, names, (!data.is_empty()).then(|| data.join(",")))
}

/// The devices that the OCI runtime specification promises to every Linux container.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// The links that programs expect in /dev.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Fill the tmpfs on /dev. Nodes are bind mounts of the host's: the tmpfs itself can thus
/// refuse all devices (nodev), and no privilege to make nodes is needed. They are read-only,
/// which concerns the node (chmod), not the device behind it.
pub fn devices(stage: &Stage, root: &Root) -> Result<()> {
    for name in DEVICES {
        let path = Path::new("/dev").join(name);
        let target = root.file(&path)?;
        bind_as(stage, &path, &path_of(&target), &shown(&target, &path))?;
        let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
        restrict_inside(stage, root, &path, flags)?;
    }
    let dev = root.folder(Path::new("/dev"))?;
    for (name, leads_to) in LINKS {
        symlinkat(leads_to, &dev, name).map_err(|errno| {
            Error::call(format!("symlinkat({leads_to:?}, /dev, {name:?})"), errno)
        })?;
    }
    Ok(())
}
