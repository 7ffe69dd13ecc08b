//! How do files reach the disk?

use std::io;
use std::os::fd::AsFd;

/// Write to the disk all that the file system of `file` has not written yet.
pub fn sync_file_system(file: &impl AsFd) -> io::Result<()> {
    Ok(nix::unistd::syncfs(file)?)
}
