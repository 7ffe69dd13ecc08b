//! Lesson 19: what did Docker use before overlay, and elsewhere?
//!
//! A container begins with the files of an image, and may change them. To copy them all is
//! the plain way. Every other way puts that off until something is changed (copy on write).
//! They differ in who notices a change, and in how much is copied then.
//!
//! | where | who notices a change | what is copied then |
//! |---|---|---|
//! | here, `link` | whoever writes, and must know | the file |
//! | here, `reflink` | the file system, for this file | the blocks that change |
//! | `subvolume.rs` | the file system, for a whole tree | the blocks that change |
//! | `mapper.rs` | the disk, below any file system | the chunks that change |
//! | lesson 18 | a file system above others (overlay) | the file |
//!
//! Read link(2), ioctl_ficlone(2), then this file and the three others.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, copy_file_range, renameat};
use nix::unistd::linkat;
use stage::{Error, Result, Stage, descriptor};

pub mod mapper;
pub mod subvolume;
mod tree;

/// From linux/fs.h.
const FICLONE: libc::Ioctl = 0x4004_9409;

/// Copy the tree `image` to `container`: each byte is there twice.
pub fn copy(stage: &Stage, image: &Path, container: &Path) -> Result<()> {
    tree::repeat(stage, image, container, |often, from, to| {
        let (from, to) = (open(from)?, create(to)?);
        let size = from.metadata().map_err(|error| Error::io("fstat", &error))?.len();
        let mut left = usize::try_from(size).unwrap_or(usize::MAX);
        while left > 0 {
            let (one, other) = (descriptor(&from), descriptor(&to));
            let call =
                || format!("copy_file_range({one}, NULL, {other}, NULL, {left}, 0)");
            match often.ask(call, || copy_file_range(&from, None, &to, None, left))? {
                0 => break, // somebody has made it shorter meanwhile
                count => left -= count,
            }
        }
        Ok(())
    })
}

/// Give each file of the tree `image` a second name in `container`. Both trees have the same
/// files then: who writes to one writes to both, and has to [`replace`] it instead.
pub fn link(stage: &Stage, image: &Path, container: &Path) -> Result<()> {
    tree::repeat(stage, image, container, |often, from, to| {
        let call = || format!("linkat(AT_FDCWD, {from:?}, AT_FDCWD, {to:?}, 0)");
        often.ask(call, || linkat(AT_FDCWD, from, AT_FDCWD, to, AtFlags::empty()))
    })
}

/// Change a file that another tree has as well: a changed copy takes over its name.
pub fn replace(
    stage: &Stage,
    path: &Path,
    change: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let copy = path.with_extension("new");
    fs::copy(path, &copy).map_err(|error| Error::io(copy.display(), &error))?;
    change(&copy)?;
    let call = format!("renameat(AT_FDCWD, {copy:?}, AT_FDCWD, {path:?})");
    stage.ask(call, || renameat(AT_FDCWD, &copy, AT_FDCWD, path))
}

/// Give each file of the tree `image` a clone in `container`, on the same blocks: the file
/// system copies a block when one of both is written to. XFS and btrfs can, ext4 cannot.
pub fn reflink(stage: &Stage, image: &Path, container: &Path) -> Result<()> {
    tree::repeat(stage, image, container, |often, from, to| {
        let (from, to) = (open(from)?, create(to)?);
        let call =
            || format!("ioctl({}, FICLONE, {})", descriptor(&to), from.as_raw_fd());
        often.ask(call, || share_blocks(&from, &to)).map(drop)
    })
}

#[allow(unsafe_code, reason = "nix has no wrapper for this ioctl")]
fn share_blocks(from: &File, to: &File) -> nix::Result<i32> {
    // SAFETY: its argument is a number, that of the other file.
    Errno::result(unsafe { libc::ioctl(to.as_raw_fd(), FICLONE, from.as_raw_fd()) })
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|error| Error::io(path.display(), &error))
}

fn create(path: &Path) -> Result<File> {
    File::create_new(path).map_err(|error| Error::io(path.display(), &error))
}
