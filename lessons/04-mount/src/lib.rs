//! Lesson 4: why does `ps` still show the host?
//!
//! Because ps reads files: those of /proc, and that is still the host's. A mount namespace
//! is a list of mounts of one's own, at first a copy. In it we can mount another /proc,
//! which shows the PID namespace of whoever mounts it, and the host keeps its own.
//!
//! Read mount_namespaces(7) and mount(2), then this file, then main.rs. What the engine
//! needs besides is in target.rs, furnish.rs, attributes.rs, protect.rs, sysctl.rs
//! and idmap.rs.

use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use stage::{Result, Stage};

pub mod attributes;
pub mod furnish;
pub mod idmap;
pub mod protect;
pub mod sysctl;
pub mod target;

const NONE: Option<&str> = None;

/// Give the calling process a mount namespace of its own: a copy that no longer passes
/// anything on to the original, nor takes anything from it.
pub fn isolate(stage: &Stage) -> Result<()> {
    stage.ask("unshare(CLONE_NEWNS)", || unshare(CloneFlags::CLONE_NEWNS))?;
    // "/" is usually shared: without this our next mount would appear on the host, too.
    propagate_all(stage, Path::new("/"), Propagation::Private)
}

/// What a mount passes on to the mounts that it was copied to, and takes from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// Both ways.
    Shared,
    /// It takes, and passes nothing on.
    Slave,
    /// Neither.
    Private,
    /// Neither, and it cannot be bind-mounted either.
    Unbindable,
}

impl Propagation {
    /// The flag of mount(2), and its name.
    pub fn flag(self) -> (MsFlags, &'static str) {
        match self {
            Propagation::Shared => (MsFlags::MS_SHARED, "MS_SHARED"),
            Propagation::Slave => (MsFlags::MS_SLAVE, "MS_SLAVE"),
            Propagation::Private => (MsFlags::MS_PRIVATE, "MS_PRIVATE"),
            Propagation::Unbindable => (MsFlags::MS_UNBINDABLE, "MS_UNBINDABLE"),
        }
    }
}

/// Set the propagation of the mount at `target`.
pub fn propagate(stage: &Stage, target: &Path, how: Propagation) -> Result<()> {
    let (flag, name) = how.flag();
    let call = format!("mount(NULL, {target:?}, NULL, {name}, NULL)");
    stage.ask(call, || mount(NONE, target, NONE, flag, NONE))
}

/// Set the propagation of the mount at `target` and of all below it.
pub fn propagate_all(stage: &Stage, target: &Path, how: Propagation) -> Result<()> {
    let (flag, name) = how.flag();
    let call = format!("mount(NULL, {target:?}, NULL, MS_REC|{name}, NULL)");
    stage.ask(call, || mount(NONE, target, NONE, MsFlags::MS_REC | flag, NONE))
}

/// Mount a /proc that shows the processes of our PID namespace. Programs in it need no
/// device nodes, no setuid bits and nothing to execute.
pub fn proc(stage: &Stage, target: &Path) -> Result<()> {
    let call = format!(
        "mount(\"proc\", {target:?}, \"proc\", MS_NOSUID|MS_NODEV|MS_NOEXEC, NULL)"
    );
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    stage.ask(call, || mount(Some("proc"), target, Some("proc"), flags, NONE))
}

/// Mount an empty file system in memory, which is gone with its last mount.
pub fn tmpfs(stage: &Stage, target: &Path) -> Result<()> {
    let call = format!(
        "mount(\"tmpfs\", {target:?}, \"tmpfs\", MS_NOSUID|MS_NODEV, \"mode=755\")"
    );
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    stage.ask(call, || {
        mount(Some("tmpfs"), target, Some("tmpfs"), flags, Some("mode=755"))
    })
}

/// Make the folder or file `source` visible at `target`, too, with the mounts below it.
pub fn bind(stage: &Stage, source: &Path, target: &Path) -> Result<()> {
    bind_as(stage, source, target, &format!("{target:?}"))
}

/// The same, with the target `shown` in other words.
fn bind_as(stage: &Stage, source: &Path, target: &Path, shown: &str) -> Result<()> {
    let call = format!("mount({source:?}, {shown}, NULL, MS_BIND|MS_REC, NULL)");
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    stage.ask(call, || mount(Some(source), target, NONE, flags, NONE))
}
