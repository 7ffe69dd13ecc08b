//! Lesson 15: can time stop for one process?
//!
//! A frozen group is not run any more: its processes stay where they are, in memory, in the
//! middle of whatever they did, and go on as if nothing had been. They are not asked, and
//! cannot tell (SIGSTOP can be seen by the parent, and SIGCONT be sent by anybody). In
//! version 1 a controller does it, in version 2 every group can.
//!
//! Read the kernel's admin-guide/cgroup-v1/freezer-subsystem.rst, cgroup.freeze in
//! admin-guide/cgroup-v2.rst, then main.rs.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use cgroup::{Group, Version};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use stage::{Error, Result, Stage};

/// The controller's name.
pub const CONTROLLER: &str = "freezer";

/// A process in the middle of a system call that nothing may interrupt freezes only after it.
const PATIENCE: Duration = Duration::from_secs(10);

/// After which a group of version 1 is told again. It was seen to stay FREEZING until then, in a
/// VM whose files come from a server (9p), for a reason that we do not know.
const AGAIN: Duration = Duration::from_millis(500);

/// A frozen group. Dropped, it is thawed: in version 1, nobody in it could be ended before.
pub struct Frozen<'g> {
    group: &'g Group,
    /// Whether it is none of our business any more.
    thawed: bool,
}

/// Stop all processes of the group, and wait until they stand.
pub fn freeze<'g>(stage: &Stage, group: &'g Group) -> Result<Frozen<'g>> {
    // First, so that it is thawed also when it does not freeze in time.
    let frozen = Frozen { group, thawed: false };
    match group.version(CONTROLLER)? {
        Version::V1 => group.set(stage, CONTROLLER, "freezer.state", "FROZEN")?,
        Version::V2 => group.set(stage, CONTROLLER, "cgroup.freeze", "1")?,
    }
    await_frozen(stage, group)?;
    Ok(frozen)
}

/// Let all processes of the group go on.
pub fn thaw(stage: &Stage, group: &Group) -> Result<()> {
    let (name, text) = awakening(group)?;
    group.set(stage, CONTROLLER, name, text)
}

/// The same for later, when nobody can be told that it failed: a file of the group is kept open.
pub fn thaw_later(group: &Group) -> Result<impl Fn() + 'static> {
    let (name, text) = awakening(group)?;
    let path = group.folder(CONTROLLER)?.join(name);
    let file = OpenOptions::new().write(true).open(&path);
    let file = file.map_err(|error| Error::io(path.display(), &error))?;
    Ok(move || drop((&file).write_all(text.as_bytes())))
}

fn awakening(group: &Group) -> Result<(&'static str, &'static str)> {
    Ok(match group.version(CONTROLLER)? {
        Version::V1 => ("freezer.state", "THAWED"),
        Version::V2 => ("cgroup.freeze", "0"),
    })
}

impl Frozen<'_> {
    /// Let them go on.
    pub fn thaw(mut self, stage: &Stage) -> Result<()> {
        thaw(stage, self.group)?;
        self.thawed = true;
        Ok(())
    }

    /// Leave them frozen, until somebody calls [`thaw`].
    pub fn leave(mut self) {
        self.thawed = true;
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        if !self.thawed
            && let (Ok((name, text)), Ok(folder)) =
                (awakening(self.group), self.group.folder(CONTROLLER))
        {
            // What stays frozen is thawed when the group is taken away.
            fs::write(folder.join(name), text).ok();
        }
    }
}

/// Whether all of them stand, in the words of version 1.
pub fn state(group: &Group) -> Result<String> {
    match group.version(CONTROLLER)? {
        Version::V1 => group.get(CONTROLLER, "freezer.state"),
        Version::V2 => {
            let wanted = group.get(CONTROLLER, "cgroup.freeze")? == "1";
            let frozen = group.count(CONTROLLER, "cgroup.events", "frozen")? != 0;
            Ok(match (frozen, wanted) {
                (true, _) => "FROZEN",
                (false, true) => "FREEZING",
                (false, false) => "THAWED",
            }
            .to_string())
        }
    }
}

fn await_frozen(stage: &Stage, group: &Group) -> Result<()> {
    let (start, mut told) = (Instant::now(), Instant::now());
    while state(group)? != "FROZEN" {
        if start.elapsed() > PATIENCE {
            let what = "the group does not freeze: a process in it waits for a device";
            return Err(Error::input(what).hint("such a one has state D in `ps`"));
        }
        if group.version(CONTROLLER)? == Version::V1 && told.elapsed() > AGAIN {
            group.set(stage, CONTROLLER, "freezer.state", "FROZEN")?;
            told = Instant::now();
        }
        // Version 2 tells of the change by poll(2), version 1 has to be asked again.
        let again = PollTimeout::from(20u8); // milliseconds
        let events = File::open(group.folder(CONTROLLER)?.join("cgroup.events"));
        let polled = match &events {
            Ok(file) => poll(&mut [PollFd::new(file.as_fd(), PollFlags::POLLPRI)], again),
            Err(_) => poll(&mut [], again),
        };
        match polled {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::call("poll", errno)),
        }
    }
    Ok(())
}
