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

use crate::furnish::restrict_inside;
use crate::target::{Root, is_folder, path_of, shown};
use crate::{NONE, bind_as};

/// Make each of `paths` read-only; absent ones are skipped.
pub fn read_only(stage: &Stage, root: &Root, paths: &[PathBuf]) -> Result<()> {
    let keep = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    for path in paths {
        let Some(target) = root.existing(path)? else { continue };
        // Only a mount can be read-only, so that the path first becomes one.
        bind_as(stage, &path_of(&target), &path_of(&target), &shown(&target, path))?;
        restrict_inside(stage, root, path, MsFlags::MS_RDONLY | keep)?;
    }
    Ok(())
}

/// Cover each of `paths`: a file with /dev/null, a folder with an empty read-only tmpfs;
/// absent ones are skipped.
pub fn mask(stage: &Stage, root: &Root, paths: &[PathBuf]) -> Result<()> {
    let null = null_device(root)?;
    for path in paths {
        let Some(target) = root.existing(path)? else { continue };
        let (at, shown) = (path_of(&target), shown(&target, path));
        if is_folder(&target) {
            let call = format!("mount(\"tmpfs\", {shown}, \"tmpfs\", MS_RDONLY, NULL)");
            let empty =
                || mount(Some("tmpfs"), &at, Some("tmpfs"), MsFlags::MS_RDONLY, NONE);
            stage.ask(call, empty)?;
        } else {
            bind_as(stage, &path_of(&null), &at, &shown)?;
        }
    }
    Ok(())
}

/// The container's /dev/null, if that is what it is: had the image put something else in
/// its place, masking would show that instead (CVE-2025-31133).
fn null_device(root: &Root) -> Result<OwnedFd> {
    let null = root.file(Path::new("/dev/null"))?;
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
