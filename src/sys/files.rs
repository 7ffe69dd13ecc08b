//! How does an image's file get into a folder, and nowhere else?
//!
//! Names are looked up relative to an open folder, and never through a symbolic link, so
//! that what an image says can't lead out of it (openat2(2), RESOLVE_BENEATH).

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{self, FchmodatFlags, Mode, SFlag, UtimensatFlags, fchmodat};
use nix::sys::time::TimeSpec;
use nix::unistd::{self, Gid, Uid, UnlinkatFlags};

/// Open the folder `path` below `folder`.
pub fn open_folder(folder: &impl AsFd, path: &OsStr) -> io::Result<OwnedFd> {
    below(folder, path, OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty())
}

/// Make the file `name` in `folder`, for writing. It must not be there yet.
pub fn make_file(folder: &impl AsFd, name: &OsStr) -> io::Result<File> {
    let fresh = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
    below(folder, name, fresh, Mode::S_IRUSR | Mode::S_IWUSR).map(File::from)
}

fn below(
    folder: &impl AsFd,
    path: &OsStr,
    flags: OFlag,
    mode: Mode,
) -> io::Result<OwnedFd> {
    let inside = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS;
    let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).mode(mode).resolve(inside);
    Ok(openat2(folder, path, how)?)
}

/// Make the folder `name` in `folder`.
pub fn make_folder(folder: &impl AsFd, name: &OsStr) -> io::Result<()> {
    Ok(stat::mkdirat(folder, name, Mode::from_bits_truncate(0o755))?)
}

/// Make the symbolic link `name` in `folder`; what it points to is only text.
pub fn make_symlink(folder: &impl AsFd, name: &OsStr, target: &OsStr) -> io::Result<()> {
    Ok(unistd::symlinkat(target, folder, name)?)
}

/// Give the file `old` another name; a symbolic link is not followed.
pub fn make_link(
    (old_folder, old): (&impl AsFd, &OsStr),
    (folder, name): (&impl AsFd, &OsStr),
) -> io::Result<()> {
    Ok(unistd::linkat(old_folder, old, folder, name, AtFlags::empty())?)
}

/// A special file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// A named pipe.
    Fifo,
    /// A character device, by major and minor number.
    Character(u32, u32),
    /// A block device, by major and minor number.
    Block(u32, u32),
}

/// Make the special file `name` in `folder`.
pub fn make_node(folder: &impl AsFd, name: &OsStr, node: Node) -> io::Result<()> {
    let (kind, device) = match node {
        Node::Fifo => (SFlag::S_IFIFO, 0),
        Node::Character(major, minor) => (SFlag::S_IFCHR, makedev(major, minor)),
        Node::Block(major, minor) => (SFlag::S_IFBLK, makedev(major, minor)),
    };
    Ok(stat::mknodat(folder, name, kind, Mode::S_IRUSR | Mode::S_IWUSR, device)?)
}

fn makedev(major: u32, minor: u32) -> u64 {
    stat::makedev(major.into(), minor.into())
}

/// Remove `name` from `folder`, whatever it is. A folder must be empty.
pub fn remove(folder: &impl AsFd, name: &OsStr) -> io::Result<()> {
    match unistd::unlinkat(folder, name, UnlinkatFlags::NoRemoveDir) {
        Err(Errno::EISDIR) => {
            Ok(unistd::unlinkat(folder, name, UnlinkatFlags::RemoveDir)?)
        }
        removed => Ok(removed?),
    }
}

/// Give `name` in `folder` to `owner` and `group`; of a symbolic link, the link itself.
pub fn set_owner(
    folder: &impl AsFd,
    name: &OsStr,
    owner: u32,
    group: u32,
) -> io::Result<()> {
    let (owner, group) = (Some(Uid::from_raw(owner)), Some(Gid::from_raw(group)));
    Ok(unistd::fchownat(folder, name, owner, group, AtFlags::AT_SYMLINK_NOFOLLOW)?)
}

/// Set the permissions of the special file `name` in `folder`.
pub fn set_mode(folder: &impl AsFd, name: &OsStr, mode: u32) -> io::Result<()> {
    let mode = Mode::from_bits_truncate(mode);
    // The kernel cannot do this to a link: the caller has just made a special file.
    Ok(fchmodat(folder, name, mode, FchmodatFlags::FollowSymlink)?)
}

/// Set when `name` in `folder` was modified, in seconds and nanoseconds since 1970.
pub fn set_modified(
    folder: &impl AsFd,
    name: &OsStr,
    (seconds, nanoseconds): (i64, u32),
) -> io::Result<()> {
    let time = TimeSpec::new(seconds, nanoseconds.into());
    let itself = UtimensatFlags::NoFollowSymlink;
    Ok(stat::utimensat(folder, name, &TimeSpec::UTIME_OMIT, &time, itself)?)
}

/// Set when the open `file` was modified.
pub fn set_open_modified(
    file: &impl AsFd,
    (seconds, nanoseconds): (i64, u32),
) -> io::Result<()> {
    let time = TimeSpec::new(seconds, nanoseconds.into());
    Ok(stat::futimens(file, &TimeSpec::UTIME_OMIT, &time)?)
}

/// Set an extended attribute of the open `file` (xattr(7)).
pub fn set_xattr(file: &impl AsFd, name: &OsStr, value: &[u8]) -> io::Result<()> {
    let name = CString::new(name.as_bytes())?;
    let file = file.as_fd().as_raw_fd();
    let value_start = value.as_ptr().cast();
    #[allow(unsafe_code, reason = "nix has no fsetxattr")]
    // SAFETY: the name ends in a zero, the value is as long as said, and both live on.
    let set =
        unsafe { libc::fsetxattr(file, name.as_ptr(), value_start, value.len(), 0) };
    Ok(Errno::result(set).map(drop)?)
}

/// Write to the disk all that the file system of `file` has not written yet.
pub fn sync_file_system(file: &impl AsFd) -> io::Result<()> {
    Ok(unistd::syncfs(file)?)
}

/// Did a lookup end at a symbolic link?
pub fn is_symlink_met(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::ELOOP as i32)
}

/// Can this file system, or this user, not have what was asked for at all?
pub fn is_not_for_us(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [Errno::EPERM, Errno::EOPNOTSUPP].iter().any(|&errno| code == Some(errno as i32))
}
