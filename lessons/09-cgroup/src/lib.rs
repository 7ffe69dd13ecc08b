//! Lesson 9: what is a cgroup, and where is it on this machine?
//!
//! A control group is a folder in a file system of the kernel's. Processes are put into it by
//! writing their PIDs to a file, their children are born into it, and other files say what
//! all of them together may use, and what they have used. Who decides about a resource is
//! its controller.
//!
//! Read cgroups(7), then this file, hierarchy.rs (where is it?) and main.rs.

use std::fs;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{self, AccessFlags, Pid, UnlinkatFlags, access, unlinkat};
use stage::{Error, Ledger, Result, Stage, descriptor};

mod hierarchy;
mod upkeep;

pub use hierarchy::{Hierarchy, Version};
pub use upkeep::sweep;

/// The group that all of ours are in.
pub const PARENT: &str = "fakedocker";

/// A group of ours: a folder in each hierarchy that it takes. Dropped, it is removed, with
/// all processes in it; if we are killed, by the next [`sweep`].
pub struct Group {
    places: Vec<Place>,
    ledger: Option<Ledger>,
}

/// A group's folder in one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    hierarchy: Hierarchy,
    folder: PathBuf,
}

impl Group {
    /// Make a group called `name`, in which these `controllers` (by their names in version 1)
    /// can limit and count.
    pub fn make(stage: &Stage, name: &str, controllers: &[&str]) -> Result<Group> {
        let ledger = Ledger::open("cgroup")?;
        let mut group = Group { places: Vec::new(), ledger: Some(ledger) };
        for controller in controllers {
            let hierarchy = Hierarchy::of(controller)?;
            let base = base_of(&hierarchy, controller)?;
            let parent = base.join(PARENT);
            group.note(&parent)?;
            make_folder(stage, &parent)?;
            if hierarchy.version == Version::V2 {
                // A controller goes down the tree by leave of each level above.
                delegate(stage, &base, controller)?;
                delegate(stage, &parent, controller)?;
            }
            let folder = parent.join(name);
            if *controller == "cpuset" && hierarchy.version == Version::V1 {
                fill(stage, &base, &parent)?;
            }
            if group.places.iter().all(|place| place.folder != folder) {
                group.note(&folder)?;
                make_folder(stage, &folder)?;
                group.places.push(Place { hierarchy, folder: folder.clone() });
            }
            if *controller == "cpuset" && group.version(controller) == Version::V1 {
                fill(stage, &parent, &folder)?;
            }
        }
        Ok(group)
    }

    /// Which interface the files of `controller` have.
    pub fn version(&self, controller: &str) -> Version {
        self.place(controller).map_or(Version::V2, |place| place.hierarchy.version)
    }

    /// The group's folder where `controller` is.
    pub fn folder(&self, controller: &str) -> Result<&Path> {
        self.place(controller).map(|place| place.folder.as_path())
    }

    /// Write `text` to the group's file `name`, which belongs to `controller`.
    pub fn set(
        &self,
        stage: &Stage,
        controller: &str,
        name: &str,
        text: &str,
    ) -> Result<()> {
        write(stage, &self.folder(controller)?.join(name), text)
    }

    /// What is in the group's file `name`, which belongs to `controller`.
    pub fn get(&self, controller: &str, name: &str) -> Result<String> {
        let path = self.folder(controller)?.join(name);
        let text = fs::read_to_string(&path);
        Ok(text.map_err(|error| Error::io(path.display(), &error))?.trim_end().into())
    }

    /// A number in a file such as cpu.stat, which has a line `key number` for each.
    pub fn count(&self, controller: &str, name: &str, key: &str) -> Result<u64> {
        let text = self.get(controller, name)?;
        let value =
            text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        let value = value.and_then(|value| value.parse().ok());
        value.ok_or_else(|| Error::input(format!("{name} has no number {key}")))
    }

    /// Put process `pid` into the group. Its children to come will be in it, too.
    pub fn add(&self, stage: &Stage, pid: Pid) -> Result<()> {
        let text = pid.to_string();
        self.places
            .iter()
            .try_for_each(|place| write(stage, &place.folder.join("cgroup.procs"), &text))
    }

    /// Remove the group, and end the processes in it.
    pub fn remove(mut self, stage: &Stage) -> Result<()> {
        for place in self.places.drain(..) {
            upkeep::end_all(&place.folder)?;
            remove_folder(stage, &place.folder)?;
        }
        Ok(())
    }

    fn place(&self, controller: &str) -> Result<&Place> {
        let place = self.places.iter().find(|place| place.hierarchy.has(controller));
        place.ok_or_else(|| {
            Error::input(format!("this group is not made for {controller}"))
        })
    }

    fn note(&mut self, folder: &Path) -> Result<()> {
        let Some(ledger) = &mut self.ledger else { return Ok(()) };
        ledger.note(folder.display())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let mut folders = self.places.iter().map(|place| &place.folder);
        let gone = folders.all(|folder| upkeep::take_away(folder));
        match self.ledger.take() {
            // What stays is taken away by `sweep`.
            Some(ledger) if !gone => ledger.leave_behind(),
            _ => upkeep::remove_parents(),
        }
    }
}

/// The group below which ours are made: the topmost one for root, and for others one that
/// was given to them (delegation), which must be the one that they are in.
fn base_of(hierarchy: &Hierarchy, controller: &str) -> Result<PathBuf> {
    let own = hierarchy.folder(&hierarchy.group_of("self")?);
    let can_write = |folder: &PathBuf| access(folder, AccessFlags::W_OK).is_ok();
    let base = [hierarchy.at.clone(), own].into_iter().find(can_write);
    base.ok_or_else(|| {
        let refused =
            Error::call(format!("mkdir({:?})", hierarchy.at.join(PARENT)), Errno::EACCES);
        match hierarchy.version {
            Version::V1 => {
                refused.hint(format!("{controller} is on v1: run it with sudo"))
            }
            Version::V2 => refused.hint(
                "run it with sudo, or as `systemd-run --user --scope -p Delegate=yes …`",
            ),
        }
    })
}

/// Let the groups below `folder` have `controller`. In a group with processes of its own that
/// is refused, but for the topmost one: see cgroups(7), "no internal processes".
fn delegate(stage: &Stage, folder: &Path, controller: &str) -> Result<()> {
    let name = Version::V2.name_of(controller);
    let path = folder.join("cgroup.subtree_control");
    let given =
        fs::read_to_string(&path).map_err(|error| Error::io(path.display(), &error))?;
    let available =
        fs::read_to_string(folder.join("cgroup.controllers")).unwrap_or_default();
    if given.split_whitespace().any(|it| it == name)
        || !available.split_whitespace().any(|it| it == name)
    {
        return Ok(());
    }
    write(stage, &path, &format!("+{name}")).map_err(|error| match error.errno() {
        Some(Errno::EBUSY) => {
            error.hint("there are processes in this very group: move them")
        }
        _ => error,
    })
}

/// A new cpuset of version 1 has no cores and no memory, and takes no process: give it those
/// of the group above.
fn fill(stage: &Stage, from: &Path, to: &Path) -> Result<()> {
    for name in ["cpuset.cpus", "cpuset.mems"] {
        let read =
            |folder: &Path| fs::read_to_string(folder.join(name)).unwrap_or_default();
        if read(to).trim().is_empty() {
            write(stage, &to.join(name), read(from).trim())?;
        }
    }
    Ok(())
}

/// One that is there already is not an error: others of ours may be in it.
fn make_folder(stage: &Stage, folder: &Path) -> Result<()> {
    let call = format!("mkdirat(AT_FDCWD, {folder:?}, 0755)");
    let mode = Mode::from_bits_truncate(0o755);
    if folder.is_dir() {
        return Ok(());
    }
    match stage.attempt(&call, || mkdirat(AT_FDCWD, folder, mode))? {
        Err(errno) if errno != Errno::EEXIST => Err(Error::call(call, errno)),
        _ => Ok(()),
    }
}

/// Remove a group. The kernel refuses while a process is in it (EBUSY).
pub fn remove_folder(stage: &Stage, folder: &Path) -> Result<()> {
    let call = format!("unlinkat(AT_FDCWD, {folder:?}, AT_REMOVEDIR)");
    stage.ask(call, || unlinkat(AT_FDCWD, folder, UnlinkatFlags::RemoveDir))
}

/// Write to a file of a group, in one write(2): the kernel takes it as one command.
pub fn write(stage: &Stage, path: &Path, text: &str) -> Result<()> {
    let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let file = openat(AT_FDCWD, path, flags, Mode::empty())
        .map_err(|errno| Error::call(format!("open({path:?})"), errno))?;
    let call = format!("write({}, {text:?}, {})", descriptor(&file), text.len());
    stage.ask(call, || {
        let count = unistd::write(&file, text.as_bytes())?;
        i32::try_from(count).map_err(|_| Errno::EOVERFLOW)
    })?;
    Ok(())
}

/// End process `pid` at once. One that has ended meanwhile is not an error.
pub(crate) fn end(pid: Pid) -> nix::Result<()> {
    match kill(pid, Signal::SIGKILL) {
        Err(Errno::ESRCH) => Ok(()),
        ended => ended,
    }
}
