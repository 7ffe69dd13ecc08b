//! How much of a file is in memory, without reading it?
//!
//! The kernel keeps what was read from a disk in its page cache, by file. mincore(2) tells
//! for a mapped file which of its pages are there; mapping alone reads nothing. Read
//! mincore(2), mmap(2) and posix_fadvise(2).

use std::fs::File;
use std::num::NonZeroUsize;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::unistd::{SysconfVar, sysconf};
use stage::{Error, Result};

/// How many of a file's pages are in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resident {
    /// Pages in memory.
    pub pages: usize,
    /// All pages of the file.
    pub of: usize,
}

/// Ask how much of `path` is in the page cache.
#[allow(unsafe_code, reason = "memory mappings are raw memory; nix has no mincore(2)")]
pub fn resident(path: &Path) -> Result<Resident> {
    let failed = |call: &str| {
        let call = format!("{call} of {path:?}");
        move |errno| Error::call(call, errno)
    };
    let file = File::open(path).map_err(|error| Error::io(path.display(), &error))?;
    let size = file.metadata().map_err(|error| Error::io(path.display(), &error))?.len();
    let Some(length) = usize::try_from(size).ok().and_then(NonZeroUsize::new) else {
        return Ok(Resident { pages: 0, of: 0 });
    };
    let mut pages = vec![0u8; length.get().div_ceil(page_size())];
    // SAFETY: a new mapping, which nobody reads from or writes to.
    let start = unsafe {
        mmap(None, length, ProtFlags::PROT_READ, MapFlags::MAP_SHARED, &file, 0)
    }
    .map_err(failed("mmap"))?;
    // SAFETY: `pages` has a byte for each page of the mapping.
    let answer =
        unsafe { libc::mincore(start.as_ptr(), length.get(), pages.as_mut_ptr()) };
    let answer = Errno::result(answer);
    // SAFETY: the mapping from above, of which nothing is kept.
    unsafe { munmap(start, length.get()) }.map_err(failed("munmap"))?;
    answer.map_err(failed("mincore"))?;
    let in_memory = pages.iter().filter(|page| **page & 1 == 1).count();
    Ok(Resident { pages: in_memory, of: pages.len() })
}

/// Ask the kernel to forget `path`: it does for pages that are on the disk and unused.
pub fn forget(path: &Path) -> Result<()> {
    let file = File::open(path).map_err(|error| Error::io(path.display(), &error))?;
    file.sync_all().map_err(|error| Error::io(path.display(), &error))?;
    posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)
        .map_err(|errno| Error::call(format!("posix_fadvise({path:?})"), errno))
}

fn page_size() -> usize {
    let size = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    size.and_then(|size| usize::try_from(size).ok()).unwrap_or(4096)
}
