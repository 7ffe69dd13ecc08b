//! How do files reach the disk, and how are they opened without waiting?

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;

use nix::fcntl::OFlag;

/// Whoever opens a file like this is told that somebody has a lease on it, and does not wait for
/// that to end: fcntl(2), F_SETLEASE.
pub fn at_once(options: &mut OpenOptions) -> &mut OpenOptions {
    options.custom_flags(OFlag::O_NONBLOCK.bits())
}

/// Write to the disk all that the file system of `file` has not written yet.
pub fn sync_file_system(file: &impl AsFd) -> io::Result<()> {
    Ok(nix::unistd::syncfs(file)?)
}
