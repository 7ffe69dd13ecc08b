//! How does one hear that something in a folder changes?
//!
//! The kernel tells: inotify(7).

use std::os::fd::AsFd;
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
        let flags = InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK;
        let watch = Inotify::init(flags);
        let watch = watch.map_err(|errno| Error::call("inotify_init1", errno))?;
        let changes = AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO;
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
        let mut changed = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        match poll(&mut changed, patience) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::call("poll", errno)),
        }
        match self.0.read_events() {
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => Ok(()),
            Err(errno) => Err(Error::call("read(inotify)", errno)),
        }
    }
}
