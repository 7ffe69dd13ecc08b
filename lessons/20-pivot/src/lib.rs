//! Lesson 20: why is chroot not enough?
//!
//! chroot(2) moves where "/" leads for one process, and the whole tree stays mounted: root
//! gets out with four calls. pivot_root(2) exchanges the root of the mount namespace, and
//! then the old one can be unmounted. What is not there cannot be reached.
//!
//! Read pivot_root(2), chroot(2) and umount2(2), then this file, escape.rs and main.rs.

use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chdir, pivot_root};
use stage::{Result, Stage};

pub mod escape;

/// Make `root` the root of our mount namespace, and the old root unreachable. `root` must
/// be a mount point (an overlay is one), and no mount involved may be shared.
pub fn enter(stage: &Stage, root: &Path) -> Result<()> {
    stage.ask(format!("chdir({root:?})"), || chdir(root))?;
    // The old root is put on top of the new one, at the same place: no folder for it is
    // needed. "." then means the old root, until it is unmounted.
    stage.ask("pivot_root(\".\", \".\")", || pivot_root(".", "."))?;
    // Lazily, because we ourselves and others may still use it.
    stage.ask("umount2(\".\", MNT_DETACH)", || umount2(".", MntFlags::MNT_DETACH))?;
    stage.ask("chdir(\"/\")", || chdir("/"))
}

/// Make the folder `root` a mount point, by binding it to itself.
pub fn make_mount_point(stage: &Stage, root: &Path) -> Result<()> {
    mount::bind(stage, root, root)
}

/// Make the root file system at `path` read-only. What is mounted below is not concerned.
pub fn read_only(stage: &Stage, path: &Path) -> Result<()> {
    let none: Option<&str> = None;
    let call = format!(
        "mount(NULL, {path:?}, NULL, MS_RDONLY|MS_NODEV|MS_REMOUNT|MS_BIND, NULL)"
    );
    // MS_BIND: the mount becomes read-only, the file system may be writable elsewhere.
    // MS_NODEV was on it (lesson 18), and would be taken off if it was not given again.
    let mount_only = MsFlags::MS_REMOUNT | MsFlags::MS_BIND;
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NODEV | mount_only;
    stage.ask(call, || mount(none, path, none, flags, none))
}
