//! How does a disk get files?
//!
//! A program writes an empty file system to it, and mount(2) has the kernel read that. Read
//! mkfs(8) and mount(2).

use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use nix::errno::Errno;
use nix::mount::MsFlags;
use stage::{Error, Result, Stage};

use crate::disk::Disk;

/// Have `program` make an empty file system on `disk`; false if there is no such program.
pub fn make(disk: &Disk, program: &str, options: &[&str]) -> Result<bool> {
    // Tools of root's may have no place in a user's path.
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let mut mkfs = Command::new(program);
    mkfs.env("PATH", path).arg("-q").args(options).arg(&disk.path);
    match mkfs.output() {
        Ok(output) if output.status.success() => Ok(true),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.trim().lines().last().unwrap_or_default();
            Err(Error::input(format!("{program}: {}: {last}", output.status)))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io(program, &error)),
    }
}

/// What may be done with a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading.
    ReadOnly,
    /// Writing as well.
    Full,
}

/// Mount the file system of this `kind` at `at`, for a mount namespace of our own: there it
/// is gone with us. That the kernel has no such kind (ENODEV) is an answer.
pub fn mount(
    stage: &Stage,
    disk: &Path,
    at: &str,
    kind: &str,
    access: Access,
) -> Result<nix::Result<()>> {
    let (flags, told) = match access {
        Access::ReadOnly => (MsFlags::MS_RDONLY, "MS_RDONLY"),
        Access::Full => (MsFlags::empty(), "0"),
    };
    let call = format!("mount({disk:?}, {at:?}, {kind:?}, {told}, NULL)");
    let mounted = stage.attempt(&call, || {
        nix::mount::mount(Some(disk), at, Some(kind), flags, None::<&str>)
    })?;
    match mounted {
        Err(errno) if errno != Errno::ENODEV => Err(Error::call(call, errno)),
        answer => Ok(answer),
    }
}
