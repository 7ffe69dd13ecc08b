//! Lesson 17: why does /proc/self/cgroup say "/"?
//!
//! Because paths of groups are told from where one stands. A cgroup namespace remembers in
//! which groups its maker was: they are its root, and every path that the kernel tells a
//! process in it begins there. Nobody is moved, and no limit changes.
//!
//! Read cgroup_namespaces(7), then this file, tree.rs for what is mounted, and main.rs.

use nix::sched::{CloneFlags, unshare};
use stage::{Result, Stage};

mod tree;

pub use tree::mount;

/// Give the calling process a cgroup namespace of its own, whose root are the groups that it
/// is in now: so it must have joined them before.
pub fn isolate(stage: &Stage) -> Result<()> {
    stage.ask("unshare(CLONE_NEWCGROUP)", || unshare(CloneFlags::CLONE_NEWCGROUP))
}
