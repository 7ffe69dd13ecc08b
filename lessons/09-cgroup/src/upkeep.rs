//! How does a group go that still has processes?
//!
//! It does not: rmdir(2) is refused with EBUSY. So they are ended first, again and again,
//! because a process may have children while we count. Version 2 has a file for that,
//! cgroup.kill, since Linux 5.14. A process that has ended is in its group until its parent
//! has waited for it, so that we may have to wait, too.
//!
//! Read cgroups(7), "Removing cgroups", and the kernel's admin-guide/cgroup-v2.rst.

use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io};

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

/// End all processes in the group at `folder` and in those below, wait until all are empty, and
/// remove those below.
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
    // One that a zombie is still in is met again by whoever removes `folder`.
    below(folder).iter().for_each(|group| drop(fs::remove_dir(group)));
    Ok(())
}

/// The groups below `folder`, the deepest first: a container that sees its own may make some,
/// as a container engine in a container does, or systemd.
fn below(folder: &Path) -> Vec<PathBuf> {
    // Each folder has a link from above, its own `.`, and a `..` from each one below.
    if fs::metadata(folder).is_ok_and(|about| about.nlink() == 2) {
        return Vec::new();
    }
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|it| it.file_type().is_ok_and(|kind| kind.is_dir()));
    let with_theirs = |path: PathBuf| below(&path).into_iter().chain([path]);
    folders.map(|entry| entry.path()).flat_map(with_theirs).collect()
}

/// The group at `folder`, and those below.
fn with_below(folder: &Path) -> impl Iterator<Item = PathBuf> {
    below(folder).into_iter().chain([folder.to_path_buf()])
}

fn end_each(folder: &Path) -> Result<()> {
    for group in with_below(folder) {
        for pid in processes(&group)? {
            thaw(folder, pid);
            match kill(pid, Signal::SIGKILL) {
                // One that has ended meanwhile is what we want.
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(errno) => {
                    return Err(Error::call(format!("kill({pid}, SIGKILL)"), errno));
                }
            }
        }
    }
    Ok(())
}

/// In version 1 a frozen process gets no signal before it is thawed, and that is done in
/// another hierarchy: in the group of the same name, if it is in that or below. One that has
/// ended, or a machine where nothing can be frozen, needs none of it.
fn thaw(folder: &Path, pid: Pid) {
    let Ok(freezer) = Hierarchy::of("freezer") else { return };
    let Ok(group) = freezer.group_of(&pid.to_string()) else { return };
    let is_ours = |group: &&Path| group.file_name() == folder.file_name();
    let Some(ours) = group.ancestors().find(is_ours) else { return };
    for group in group.ancestors().take_while(|group| group.starts_with(ours)) {
        fs::write(freezer.folder(group).join("freezer.state"), "THAWED").ok();
    }
}

fn processes(folder: &Path) -> Result<Vec<Pid>> {
    let path = folder.join("cgroup.procs");
    let text = match fs::read_to_string(&path) {
        // One below, which its own processes have just removed.
        Err(error) if is_gone(&error) => String::new(),
        text => text.map_err(|error| Error::io(path.display(), &error))?,
    };
    Ok(text.lines().filter_map(|line| line.parse().ok()).map(Pid::from_raw).collect())
}

fn is_gone(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::ENOENT | Errno::ENODEV))
}

/// Whether nobody is in the group any more, nor in those below, ended but not waited for
/// included.
fn is_empty(folder: &Path) -> Result<bool> {
    if let Ok(text) = fs::read_to_string(folder.join("cgroup.events")) {
        return Ok(text.lines().any(|line| line == "populated 0"));
    }
    for group in with_below(folder) {
        if !processes(&group)?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
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
