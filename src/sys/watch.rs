//! How does one hear that something in a folder changes?
//!
//! The kernel tells: inotify(7).

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use stage::{Error, Result};

/// A folder that is watched.
pub struct Watch(Inotify);

impl Watch {
    /// From here on, what is written, made or moved in `folder` is noted.
    pub fn on(folder: &Path) -> Result<Watch> {
        let changes = AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO;
        Watch::begin(folder, changes)
    }

    /// From here on, it is noted when a file in `folder` is there as a whole: whoever wrote to
    /// it has closed it, or has moved it there.
    pub fn on_whole_files(folder: &Path) -> Result<Watch> {
        Watch::begin(folder, AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO)
    }

    fn begin(folder: &Path, changes: AddWatchFlags) -> Result<Watch> {
        let flags = InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK;
        let watch = Inotify::init(flags);
        let watch = watch.map_err(|errno| Error::call("inotify_init1", errno))?;
        watch.add_watch(folder, changes).map_err(|errno| {
            Error::call(format!("inotify_add_watch({})", folder.display()), errno)
        })?;
        Ok(Watch(watch))
    }

    /// Wait until something has changed, but no longer than `patience`.
    pub fn wait(&self, patience: Option<Duration>) -> Result<()> {
        let patience = patience.map_or(PollTimeout::NONE, |time| {
            // A day may be more than fits: who waits longer looks again.
            PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX)
        });
        self.wait_with(None, patience)
    }

    /// Wait until something has changed, or `other` can be read.
    pub fn wait_or(&self, other: BorrowedFd) -> Result<()> {
        self.wait_with(Some(other), PollTimeout::NONE)
    }

    fn wait_with(&self, other: Option<BorrowedFd>, patience: PollTimeout) -> Result<()> {
        let all = [Some(self.0.as_fd()), other].into_iter().flatten();
        let mut all: Vec<_> = all.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match poll(&mut all, patience) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::call("poll", errno)),
        }
        match self.0.read_events() {
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => Ok(()),
            Err(errno) => Err(Error::call("read(inotify)", errno)),
        }
    }
}
