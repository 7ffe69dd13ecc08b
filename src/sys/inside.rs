//! How is a file held that somebody else may be moving about?
//!
//! By a descriptor that only names it (O_PATH): what it is, whose it is and what is in it are then
//! asked of one and the same file. Read open(2), O_PATH.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{OFlag, openat, readlinkat};
use nix::sys::stat::{Mode, major, minor};

/// Take hold of `name` in `folder`, whatever it is. A symbolic link is not followed.
pub fn hold(folder: &impl AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(openat(folder, name, flags, Mode::empty())?)
}

/// Where the symbolic link that is held leads to.
pub fn link_target(link: &impl AsFd) -> io::Result<OsString> {
    Ok(readlinkat(link, "")?)
}

/// The major and the minor number of a device.
pub fn numbers(device: u64) -> (u32, u32) {
    let number = |number: u64| u32::try_from(number).unwrap_or_default();
    (number(major(device)), number(minor(device)))
}
