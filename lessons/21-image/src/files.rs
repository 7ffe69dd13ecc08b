//! How does an image's file get into a folder, and nowhere else?
//!
//! Names are looked up relative to an open folder, and never through a symbolic link, so
//! that what an image says can't lead out of it (openat2(2), RESOLVE_BENEATH).

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat2, readlinkat};
use nix::sys::stat::{self, FchmodatFlags, Mode, SFlag, UtimensatFlags, fchmodat};
use nix::sys::time::TimeSpec;
use nix::unistd::{self, Gid, Uid, UnlinkatFlags};

/// Folders within folders, at most: to remove a tree takes a descriptor for each level.
pub const DEEPEST: usize = 256;

/// The path of `name` in the folder `folder`.
pub fn joined(folder: &[u8], name: &[u8]) -> Vec<u8> {
    match folder {
        [] => name.to_vec(),
        _ => [folder, b"/", name].concat(),
    }
}

/// Open the folder `path` below `top`; without a path, `top` once more.
pub fn open_at(top: &OwnedFd, path: &[u8]) -> io::Result<OwnedFd> {
    match path {
        [] => top.try_clone(),
        _ => open_folder(top, OsStr::from_bytes(path)),
    }
}

/// Open the folder `path` below `folder`.
pub fn open_folder(folder: &impl AsFd, path: &OsStr) -> io::Result<OwnedFd> {
    below(folder, path, OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty())
}

/// Make the file `name` in `folder`, for writing, with the permissions `mode` as far as our umask
/// lets it have them. It must not be there yet.
pub fn make_file(folder: &impl AsFd, name: &OsStr, mode: u32) -> io::Result<File> {
    let fresh = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
    below(folder, name, fresh, Mode::from_bits_truncate(mode)).map(File::from)
}

/// Look at `name` in `folder`, whatever it is, without opening it.
pub fn look(folder: &impl AsFd, name: &OsStr) -> io::Result<File> {
    let only_look = OFlag::O_PATH | OFlag::O_NOFOLLOW;
    below(folder, name, only_look, Mode::empty()).map(File::from)
}

/// Open for reading what was looked at: even if something else has its name by now.
pub fn open_looked_at(file: &File) -> io::Result<File> {
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// What the symbolic link that was looked at points to.
pub fn target(link: &impl AsFd) -> io::Result<OsString> {
    Ok(readlinkat(link, "")?)
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

/// The device that a node with this number stands for: major and minor number.
pub fn device(number: u64) -> (u64, u64) {
    (stat::major(number), stat::minor(number))
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

/// The extended attribute `name` of the open `file`, if it has one.
pub fn xattr(file: &impl AsFd, name: &OsStr) -> io::Result<Option<Vec<u8>>> {
    let name = CString::new(name.as_bytes())?;
    let file = file.as_fd().as_raw_fd();
    let value = filled(|start, room| {
        #[allow(unsafe_code, reason = "nix has no fgetxattr")]
        // SAFETY: the name ends in a zero, and the kernel writes at most `room` bytes.
        unsafe {
            libc::fgetxattr(file, name.as_ptr(), start.cast(), room)
        }
    });
    match value {
        Err(error) if error.raw_os_error() == Some(libc::ENODATA) => Ok(None),
        Err(error) if is_not_for_us(&error) => Ok(None),
        value => value.map(Some),
    }
}

/// All extended attributes of the open `file` that we may see, sorted by name.
pub fn xattrs(file: &impl AsFd) -> io::Result<Vec<(OsString, Vec<u8>)>> {
    let open = file.as_fd().as_raw_fd();
    let list = filled(|start, room| {
        #[allow(unsafe_code, reason = "nix has no flistxattr")]
        // SAFETY: the kernel writes at most `room` bytes.
        unsafe {
            libc::flistxattr(open, start.cast(), room)
        }
    });
    let list = match list {
        Err(error) if is_not_for_us(&error) => return Ok(Vec::new()),
        list => list?,
    };
    let mut all = Vec::new();
    for name in list.split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        let name = OsStr::from_bytes(name);
        // It may be gone by now.
        all.extend(xattr(file, name)?.map(|value| (name.to_os_string(), value)));
    }
    all.sort();
    Ok(all)
}

/// What `fill` puts into the memory that it is given. First it is asked how much that is,
/// which may be more by the time that it is asked for it.
fn filled(fill: impl Fn(*mut u8, usize) -> isize) -> io::Result<Vec<u8>> {
    loop {
        let room = Errno::result(fill(std::ptr::null_mut(), 0))?;
        let mut value = vec![0; room.unsigned_abs()];
        if value.is_empty() {
            return Ok(value);
        }
        match Errno::result(fill(value.as_mut_ptr(), value.len())) {
            Err(Errno::ERANGE) => {}
            length => {
                value.truncate(length?.unsigned_abs());
                return Ok(value);
            }
        }
    }
}

/// The names in the open `folder`, sorted.
pub fn names(folder: &impl AsFd) -> io::Result<Vec<OsString>> {
    // Opened once more: whoever reads a folder moves its offset.
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut names = Vec::new();
    for entry in Dir::openat(folder, ".", flags, Mode::empty())?.iter() {
        let name = OsStr::from_bytes(entry?.file_name().to_bytes()).to_os_string();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Is there something other than a folder, or nothing, where a folder was looked for?
pub fn is_no_folder(error: &io::Error) -> bool {
    let gone = [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind());
    gone || is_symlink_met(error)
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
