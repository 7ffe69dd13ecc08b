//! Whose are an image's files for a container whose root is user 100000?
//!
//! On the disk they belong to 0, who is nobody in the container's user namespace (lesson 5).
//! To give them all to 100000 would take a copy for each container. An idmapped mount shows
//! them by another map: what belongs to 0 on the disk belongs to 100000 where this mount is,
//! and so to root inside. Since Linux 5.12; overlayfs (lesson 18) takes such mounts as lower
//! layers since 5.19.
//!
//! Read mount_setattr(2), "ID-mapped mounts", open_tree(2) and move_mount(2).

use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use nix::NixPath;
use nix::errno::Errno;
use stage::{Error, Result, Stage, descriptor};

use crate::attributes::change;

/// Show the folder `source` at `target`, its owners translated by the maps of the user
/// namespace `users`. What is mounted below `source` is not shown.
pub fn show(stage: &Stage, source: &Path, target: &Path, users: &OwnedFd) -> Result<()> {
    // A copy of the mount that is nowhere yet: only that can get a map, and only once.
    let flags = "OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC";
    let call = format!("open_tree(AT_FDCWD, {source:?}, {flags})");
    let tree = stage.ask(call, || open_tree(source))?;
    translate(stage, &tree, users).map_err(|error| refused(error, source))?;
    let (fd, flags) = (descriptor(&tree), "MOVE_MOUNT_F_EMPTY_PATH");
    let call = format!("move_mount({fd}, \"\", AT_FDCWD, {target:?}, {flags})");
    stage.ask(call, || move_mount(&tree, target))
}

fn translate(stage: &Stage, tree: &OwnedFd, users: &OwnedFd) -> Result<()> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_IDMAP,
        attr_clr: 0,
        propagation: 0,
        userns_fd: users.as_raw_fd().unsigned_abs().into(),
    };
    let fd = descriptor(tree);
    let set = format!("{{attr_set=MOUNT_ATTR_IDMAP, userns_fd={}}}", users.as_raw_fd());
    let call = format!("mount_setattr({fd}, \"\", AT_EMPTY_PATH, {set}, 32)");
    stage.ask(call, || change(tree, libc::AT_EMPTY_PATH, &attributes))
}

fn refused(error: Error, source: &Path) -> Error {
    match error.errno() {
        Some(Errno::EINVAL) => error.hint(format!(
            "the file system of {source:?} cannot show other owners: \
             ext4, xfs and btrfs can"
        )),
        _ => error,
    }
}

/// Refuse a kernel whose overlayfs takes no idmapped mounts.
pub fn check_kernel() -> Result<()> {
    let path = "/proc/sys/kernel/osrelease";
    let release = fs::read_to_string(path).map_err(|error| Error::io(path, &error))?;
    if has_idmapped_layers(&release) {
        return Ok(());
    }
    let release = release.trim();
    Err(Error::input(format!(
        "this is Linux {release}: overlay takes no idmapped layers"
    ))
    .hint("a user namespace for a container needs Linux 5.19 or newer"))
}

fn has_idmapped_layers(release: &str) -> bool {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    let mut next = || numbers.next().and_then(|number| number.parse::<u32>().ok());
    (next(), next()) >= (Some(5), Some(19))
}

#[allow(unsafe_code, reason = "nix has no wrapper for open_tree(2)")]
fn open_tree(source: &Path) -> nix::Result<OwnedFd> {
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    let answer = source.with_nix_path(|path| {
        // SAFETY: the path ends in a zero and lives on; the rest are numbers.
        unsafe {
            libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags)
        }
    })?;
    let number = RawFd::try_from(Errno::result(answer)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just opened it for us (close-on-exec), and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

#[allow(unsafe_code, reason = "nix has no wrapper for move_mount(2)")]
fn move_mount(tree: &OwnedFd, target: &Path) -> nix::Result<()> {
    let (here, flags) = (libc::AT_FDCWD, libc::MOVE_MOUNT_F_EMPTY_PATH);
    let (tree, empty) = (tree.as_raw_fd(), c"".as_ptr());
    let answer = target.with_nix_path(|path| {
        let (call, path) = (libc::SYS_move_mount, path.as_ptr());
        // SAFETY: both paths end in a zero and live on; the rest are numbers.
        unsafe { libc::syscall(call, tree, empty, here, path, flags) }
    })?;
    Errno::result(answer).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_told_apart() {
        for new in ["5.19.0-50-generic\n", "6.1.0-13-amd64", "6.18.44", "10.0"] {
            assert!(has_idmapped_layers(new), "{new}");
        }
        for old in ["5.18.19", "5.10.0-28-amd64", "4.19.0", "5", "", "strange"] {
            assert!(!has_idmapped_layers(old), "{old}");
        }
    }
}
