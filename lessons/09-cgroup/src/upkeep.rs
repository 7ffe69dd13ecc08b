//! How does a group go that still has processes?
//!
//! It does not: rmdir(2) is refused with EBUSY. So they are ended first, again and again,
//! because a process may have children while we count. Version 2 has a file for that,
//! cgroup.kill, since Linux 5.14. A process that has ended is in its group until its parent
//! has waited for it, so that we may have to wait, too.
//!
//! Read cgroups(7), "Removing cgroups", and the kernel's admin-guide/cgroup-v2.rst.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use stage::{Error, Ledger, Result};

use crate::base::Base;
use crate::{Hierarchy, PARENT, Version};

/// How long the parent of an ended process may take to wait for it. PID 1 is slow on some
/// machines.
const PATIENCE: Duration = Duration::from_secs(10);

/// End all processes in the group at `folder` and in those below, and wait until it is empty.
pub fn end_all(folder: &Path) -> Result<()> {
    let start = Instant::now();
    while !is_empty(folder)? {
        if fs::write(folder.join("cgroup.kill"), "1").is_err() {
            end_each(folder)?;
        }
        if start.elapsed() > PATIENCE {
            let left = Error::input(format!("{} is still busy", folder.display()));
            return Err(left.hint("a process in it does not end: see cgroup.procs there"));
        }
        await_change(folder)?;
    }
    Ok(())
}

fn end_each(folder: &Path) -> Result<()> {
    for pid in processes(folder)? {
        thaw(folder, pid);
        match kill(pid, Signal::SIGKILL) {
            // One that has ended meanwhile is what we want.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => {
                return Err(Error::call(format!("kill({pid}, SIGKILL)"), errno));
            }
        }
    }
    Ok(())
}

/// In version 1 a frozen process gets no signal before it is thawed, and that is done in
/// another hierarchy: in the group of the same name, if it is in that. One that has ended, or
/// a machine where nothing can be frozen, needs none of it.
fn thaw(folder: &Path, pid: Pid) {
    let Ok(freezer) = Hierarchy::of("freezer") else { return };
    let Ok(group) = freezer.group_of(&pid.to_string()) else { return };
    if group.file_name() == folder.file_name() {
        fs::write(freezer.folder(&group).join("freezer.state"), "THAWED").ok();
    }
}

fn processes(folder: &Path) -> Result<Vec<Pid>> {
    let path = folder.join("cgroup.procs");
    let text =
        fs::read_to_string(&path).map_err(|error| Error::io(path.display(), &error))?;
    Ok(text.lines().filter_map(|line| line.parse().ok()).map(Pid::from_raw).collect())
}

/// Whether nobody is in the group any more, ended but not waited for included.
fn is_empty(folder: &Path) -> Result<bool> {
    match fs::read_to_string(folder.join("cgroup.events")) {
        Ok(text) => Ok(text.lines().any(|line| line == "populated 0")),
        Err(_) => Ok(processes(folder)?.is_empty()),
    }
}

/// Version 2 tells of a change by poll(2); version 1 has to be asked again.
fn await_change(folder: &Path) -> Result<()> {
    let again = PollTimeout::from(20u8); // milliseconds
    let events = fs::File::open(folder.join("cgroup.events"));
    let polled = match &events {
        Ok(file) => poll(&mut [PollFd::new(file.as_fd(), PollFlags::POLLPRI)], again),
        Err(_) => poll(&mut [], again),
    };
    match polled {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(Error::call("poll", errno)),
    }
}

/// End all in the group at `folder` and remove it, and, with the last one, what was changed
/// above. True if nothing is left to do. The `version` is looked up if it is not known.
pub fn take_away(folder: &Path, version: Option<Version>) -> bool {
    remove(folder) && Base::of(folder, version).is_none_or(|base| base.tidy())
}

fn remove(folder: &Path) -> bool {
    if !folder.is_dir() {
        return true;
    }
    let start = Instant::now();
    loop {
        // A zombie of version 1 is in no list, and still in the way.
        if end_all(folder).is_ok() && fs::remove_dir(folder).is_ok() {
            return true;
        }
        if start.elapsed() > PATIENCE || await_change(folder).is_err() {
            return !folder.is_dir();
        }
    }
}

/// The groups of killed runs, as [`sweep`] says them: nothing is changed.
pub fn left() -> Result<Vec<String>> {
    let notes = Ledger::left("cgroup")?;
    let folders = notes.iter().flat_map(|note| note.lines());
    let ours = folders.filter(|folder| folder.contains(&format!("/{PARENT}/")));
    Ok(ours.map(|folder| format!("group {folder}")).collect())
}

/// Take away the groups of killed runs, say what they were, and tidy up where we have ever made
/// groups, also where somebody else's has kept ours.
pub fn sweep() -> Result<Vec<String>> {
    let groups = sweep_noted(|_| false)?;
    for base in Base::all().iter().filter(|base| base.is_used()) {
        base.tidy();
    }
    Ok(groups)
}

/// Take away the groups of killed runs, and say what they were: all that there is to do, unless
/// others have put groups into ours. Where nothing is noted, it costs nothing; a group whose maker
/// is known to live, by the group's name, costs next to nothing.
pub fn sweep_noted(lives: impl Fn(&str) -> bool) -> Result<Vec<String>> {
    let ours = format!("/{PARENT}/");
    let mut changed = Vec::new();
    let left = Ledger::abandoned_but("cgroup", lives, |folder| {
        if !folder.contains(&ours) {
            return true;
        }
        let (folder, base) = (Path::new(folder), Base::of(Path::new(folder), None));
        if !remove(folder) {
            return false;
        }
        match base {
            // What was let through there is noted, too, and notes are locked now.
            Some(base) if base.has_notes() => changed.push(base),
            Some(base) => return base.tidy(),
            None => {}
        }
        true
    })?;
    if changed.is_empty() && Base::left_notes()? {
        // Somebody was killed here.
        changed = Base::all();
    }
    for base in changed {
        base.tidy();
    }
    let groups = left.into_iter().filter(|folder| folder.contains(&ours));
    Ok(groups.map(|folder| format!("group {folder}")).collect())
}
