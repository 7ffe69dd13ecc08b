//! How does btrfs copy a whole tree at once?
//!
//! A subvolume is a tree of files with a root of its own, in a file system of many. All that
//! it consists of, names and blocks alike, hangs from that root: a second root that begins
//! with the same pointers is a snapshot. What is written goes to new blocks, and so does
//! each node above it, up to the root. So the two trees part where they differ.
//!
//! Read btrfs-subvolume(8) and linux/btrfs.h.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::errno::Errno;
use stage::{Error, Result, Stage, descriptor};

/// From linux/btrfs.h, as the structure below.
const BTRFS_IOC_SNAP_CREATE: libc::Ioctl = 0x5000_9401;
const BTRFS_IOC_SUBVOL_CREATE: libc::Ioctl = 0x5000_940E;

/// `struct btrfs_ioctl_vol_args`.
#[repr(C)]
struct Arguments {
    /// What a snapshot is taken of.
    fd: i64,
    /// What the new subvolume is called, with a zero byte at its end.
    name: [u8; 4088],
}

/// Make an empty subvolume called `name` in `folder`. It looks like a folder.
pub fn make(stage: &Stage, folder: &Path, name: &str) -> Result<()> {
    let folder = open(folder)?;
    let call = format!(
        "ioctl({}, BTRFS_IOC_SUBVOL_CREATE, {{name={name:?}}})",
        descriptor(&folder)
    );
    let arguments = arguments(0, name)?;
    stage.ask(call, || request(&folder, BTRFS_IOC_SUBVOL_CREATE, &arguments)).map(drop)
}

/// Make a subvolume called `name` in `folder`, with all that `of`, a subvolume, has now.
pub fn snapshot(stage: &Stage, of: &Path, folder: &Path, name: &str) -> Result<()> {
    let (of, folder) = (open(of)?, open(folder)?);
    let call = format!(
        "ioctl({}, BTRFS_IOC_SNAP_CREATE, {{fd={}, name={name:?}}})",
        descriptor(&folder),
        of.as_raw_fd()
    );
    let arguments = arguments(of.as_raw_fd().into(), name)?;
    stage.ask(call, || request(&folder, BTRFS_IOC_SNAP_CREATE, &arguments)).map(drop)
}

fn arguments(fd: i64, name: &str) -> Result<Arguments> {
    let text = CString::new(name).map_err(|_| Error::input("a name has no zero byte"))?;
    let mut arguments = Arguments { fd, name: [0; 4088] };
    let room = arguments.name.get_mut(..text.as_bytes_with_nul().len());
    let room = room.ok_or_else(|| Error::input(format!("{name:?} is too long")))?;
    room.copy_from_slice(text.as_bytes_with_nul());
    Ok(arguments)
}

#[allow(unsafe_code, reason = "nix has no wrapper for the ioctls of btrfs")]
fn request(folder: &File, what: libc::Ioctl, arguments: &Arguments) -> nix::Result<i32> {
    // SAFETY: the kernel reads a `struct btrfs_ioctl_vol_args`, and keeps no pointer to it.
    let done = unsafe { libc::ioctl(folder.as_raw_fd(), what, &raw const *arguments) };
    Errno::result(done)
}

fn open(folder: &Path) -> Result<File> {
    File::open(folder).map_err(|error| Error::io(folder.display(), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size is a part of the ioctl's number, in bits 16 to 29.
    #[test]
    fn the_structure_is_the_kernels() {
        assert_eq!(size_of::<Arguments>(), 4096);
        let size = |ioctl: libc::Ioctl| ioctl >> 16 & 0x3FFF;
        assert_eq!(
            [size(BTRFS_IOC_SNAP_CREATE), size(BTRFS_IOC_SUBVOL_CREATE)],
            [4096; 2]
        );
    }

    #[test]
    fn names_have_an_end() {
        assert!(arguments(0, "a\0b").is_err());
        assert!(arguments(0, &"a".repeat(4088)).is_err());
        assert!(arguments(0, &"a".repeat(4087)).is_ok());
    }
}
