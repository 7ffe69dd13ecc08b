//! How are parts of /proc and /sys kept from the container's root?
//!
//! Both are windows into the one kernel that all containers share: writing to some files
//! changes the host, and reading others tells about it. A read-only bind mount over a path
//! stops the writing; an empty thing mounted over it (masking) stops the reading as well.
//!
//! Read proc(5), and the OCI runtime specification (config-linux.md, "Masked Paths").

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::sys::stat::{SFlag, fstat, major, minor};
use stage::{Error, Result, Stage};

use crate::NONE;
use crate::target::{Root, is_folder, path_of};

/// Make each of `paths` read-only; absent ones are skipped.
pub fn read_only(stage: &Stage, root: &Root, paths: &[PathBuf]) -> Result<()> {
    for path in paths {
        let Some(target) = root.existing(stage, path)? else { continue };
        // Only a mount can be read-only, so that the path first becomes one.
        crate::bind(stage, &path_of(&target), &path_of(&target))?;
        let Some(mounted) = root.existing(stage, path)? else { continue };
        remount_read_only(stage, &path_of(&mounted))?;
    }
    Ok(())
}

/// Cover each of `paths`: a file with /dev/null, a folder with an empty read-only tmpfs;
/// absent ones are skipped.
pub fn mask(stage: &Stage, root: &Root, paths: &[PathBuf]) -> Result<()> {
    for path in paths {
        let Some(target) = root.existing(stage, path)? else { continue };
        if is_folder(&target) {
            cover_folder(stage, &path_of(&target))?;
        } else {
            crate::bind(stage, &path_of(&null_device(stage, root)?), &path_of(&target))?;
        }
    }
    Ok(())
}

fn cover_folder(stage: &Stage, target: &Path) -> Result<()> {
    let call = format!("mount(\"tmpfs\", {target:?}, \"tmpfs\", MS_RDONLY, \"size=0\")");
    let size = Some("size=0");
    stage.ask(call, || {
        mount(Some("tmpfs"), target, Some("tmpfs"), MsFlags::MS_RDONLY, size)
    })
}

/// The container's /dev/null, if that is what it is: had the image put something else in
/// its place, masking would show that instead (CVE-2025-31133).
fn null_device(stage: &Stage, root: &Root) -> Result<OwnedFd> {
    let null = root.file(stage, Path::new("/dev/null"))?;
    let about = fstat(&null).map_err(|errno| Error::call("fstat(/dev/null)", errno))?;
    let is_device =
        SFlag::from_bits_truncate(about.st_mode) & SFlag::S_IFMT == SFlag::S_IFCHR;
    if is_device && (major(about.st_rdev), minor(about.st_rdev)) == (1, 3) {
        return Ok(null);
    }
    Err(Error::input(
        "/dev/null in the container is not the null device: not used for masking",
    ))
}

/// Make the mount at `target` read-only, and keep its other restrictions.
pub fn remount_read_only(stage: &Stage, target: &Path) -> Result<()> {
    let names = "MS_RDONLY|MS_NOSUID|MS_NODEV|MS_NOEXEC|MS_REMOUNT|MS_BIND";
    let call = format!("mount(NULL, {target:?}, NULL, {names}, NULL)");
    let keep = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let flags = MsFlags::MS_RDONLY | keep | MsFlags::MS_REMOUNT | MsFlags::MS_BIND;
    stage.ask(call, || mount(NONE, target, NONE, flags, NONE))
}
