//! How is a group made, told something, entered and removed?
//!
//! It is a folder in each hierarchy that has one of its controllers, so that most is done
//! once for each. It is written down before it is made: a folder does not end with us.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use nix::unistd;
use stage::{Error, Ledger, Pid, Result, Stage};

use crate::base::{Base, fill};
use crate::files::{self, make_folder, make_shared_folder, remove_folder, write};
use crate::{Hierarchy, Membership, PARENT, Version, upkeep};

/// A group of ours: a folder in each hierarchy that it takes. Dropped, one that we have made
/// is removed, with all processes in it; if we are killed, by the next [`crate::sweep`].
pub struct Group {
    name: String,
    places: Vec<Place>,
    /// What there is on this machine, and where in it we are, who make it, or its member.
    all: Vec<Hierarchy>,
    own: Membership,
    /// None if somebody else has made it, and keeps it.
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
        // In a note's name, the dash stands before what tells it from others.
        let ledger = Ledger::claim("cgroup", &name.replace('-', "."))?;
        let ledger = ledger.ok_or_else(|| {
            Error::input(format!("there is a group {name} already"))
                .hint("`lab clean` removes what killed lessons have left")
        })?;
        let (all, own) = (Hierarchy::all()?, Membership::of("self")?);
        let (name, places) = (name.to_string(), Vec::new());
        let mut group = Group { name, places, all, own, ledger: Some(ledger) };
        controllers.iter().try_for_each(|it| group.extend(stage, it))?;
        Ok(group)
    }

    /// The group called `name` that process `member` is in, made by somebody else: it stays
    /// when this is dropped. None if `member` is in no such group.
    pub fn of(name: &str, member: Pid) -> Result<Option<Group>> {
        let ours = Path::new(PARENT).join(name);
        let mut places = Vec::new();
        let (all, own) = (Hierarchy::all()?, Membership::of(&member.to_string())?);
        for hierarchy in &all {
            // A hierarchy that is mounted, but without a line there, is another namespace's.
            let Ok(group) = own.group(hierarchy) else { continue };
            let folder = hierarchy.folder(&group);
            if group.ends_with(&ours) && folder.is_dir() {
                places.push(Place { hierarchy: hierarchy.clone(), folder });
            }
        }
        let (name, is_there) = (name.to_string(), !places.is_empty());
        Ok(is_there.then_some(Group { name, places, all, own, ledger: None }))
    }

    /// Let `controller` limit and count in the group, too: make its folder where that is, unless
    /// it has one there.
    pub fn extend(&mut self, stage: &Stage, controller: &str) -> Result<()> {
        let hierarchy = Hierarchy::among(&self.all, controller)?.clone();
        let base = Base::find(&hierarchy, &self.own, controller)?;
        let parent = base.parent();
        let folder = parent.join(&self.name);
        let needs_filling = controller == "cpuset" && hierarchy.version == Version::V1;
        let _turn = base.lock()?;
        let is_new = self.places.iter().all(|place| place.folder != folder);
        if is_new {
            if let Some(ledger) = &mut self.ledger {
                ledger.note(folder.display())?;
            }
            // Before it is made: it can be there although `make_folder` has failed, because
            // nobody listens any more.
            self.places.push(Place { hierarchy, folder: folder.clone() });
        }
        make_shared_folder(stage, &parent)?;
        base.allow(stage, controller)?;
        if needs_filling {
            fill(stage, &base.folder, &parent)?;
        }
        if is_new {
            make_folder(stage, &folder)?;
        }
        if needs_filling {
            fill(stage, &parent, &folder)?;
        }
        Ok(())
    }

    /// Whether this machine has `controller`, so that it can be made for it.
    pub fn can_have(&self, controller: &str) -> bool {
        Hierarchy::among(&self.all, controller).is_ok()
    }

    /// Whether it is made for `controller`.
    pub fn has(&self, controller: &str) -> bool {
        self.place(controller).is_ok()
    }

    /// Which interface the files of `controller` have.
    pub fn version(&self, controller: &str) -> Result<Version> {
        Ok(self.place(controller)?.hierarchy.version)
    }

    /// The group's folder where `controller` is.
    pub fn folder(&self, controller: &str) -> Result<&Path> {
        Ok(&self.place(controller)?.folder)
    }

    /// The hierarchies that it has a folder in.
    pub fn hierarchies(&self) -> Vec<Hierarchy> {
        self.places.iter().map(|place| place.hierarchy.clone()).collect()
    }

    /// Each controller that it has, and the group's folder there.
    pub fn folders(&self) -> Vec<(String, PathBuf)> {
        let of = |place: &Place| {
            let own = match place.hierarchy.version {
                Version::V1 => place.hierarchy.controllers.clone(),
                // Not all that there are at the top are let through.
                Version::V2 => files::words(&place.folder.join("cgroup.controllers")),
            };
            own.into_iter().map(|name| (name, place.folder.clone())).collect::<Vec<_>>()
        };
        self.places.iter().flat_map(of).collect()
    }

    /// What /proc/PID/cgroup calls the group where `controller` is.
    pub fn path(&self, controller: &str) -> Result<PathBuf> {
        let place = self.place(controller)?;
        Ok(place.hierarchy.group(&place.folder))
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

    /// The same with each of `texts`, in their order, for a file that takes one at a time.
    pub fn set_each(
        &self,
        stage: &Stage,
        controller: &str,
        name: &str,
        texts: &[String],
    ) -> Result<()> {
        files::write_each(stage, &self.folder(controller)?.join(name), texts)
    }

    /// What is in the group's file `name`, which belongs to `controller`.
    pub fn get(&self, controller: &str, name: &str) -> Result<String> {
        files::read(&self.folder(controller)?.join(name))
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

    /// Open the way in, for somebody who will not see the group any more.
    pub fn open(&self) -> Result<Entrance> {
        let open = |place: &Place| {
            // Before a whole process can move, the kernel holds up all that fork or end, and may
            // wait 8 ms for that. Version 1 also has a file for single tasks: who is one, and moves
            // itself, waits for nobody (cgroup_procs_write_start in kernel/cgroup/cgroup.c).
            let path = place.folder.join(match place.hierarchy.version {
                Version::V1 => "tasks",
                Version::V2 => "cgroup.procs",
            });
            let file = OpenOptions::new().write(true).open(&path);
            file.map(|file| (path.clone(), file))
                .map_err(|error| Error::io(path.display(), &error))
        };
        self.places.iter().map(open).collect::<Result<_>>().map(Entrance)
    }

    /// Remove the group, and end the processes in it.
    pub fn remove(self, stage: &Stage) -> Result<()> {
        self.places.iter().rev().try_for_each(|place| {
            upkeep::end_all(&place.folder)?;
            remove_folder(stage, &place.folder)
        })
    }

    fn place(&self, controller: &str) -> Result<&Place> {
        let place = self.places.iter().find(|place| place.hierarchy.has(controller));
        place.ok_or_else(|| {
            Error::input(format!("this group is not made for {controller}"))
        })
    }
}

/// The way into a group, for a process of one task. The kernel looks at who has opened it, not at
/// who goes through: that may be somebody in a user namespace, or in a mount namespace without
/// cgroups.
pub struct Entrance(Vec<(PathBuf, File)>);

impl Entrance {
    /// Enter: whoever writes 0 means itself.
    pub fn enter(&self, stage: &Stage) -> Result<()> {
        self.0.iter().try_for_each(|(path, file)| {
            let call =
                format!("write({}<{}>, \"0\", 1)", file.as_raw_fd(), path.display());
            stage.ask(call, || Ok(i32::from(unistd::write(file, b"0")? == 1))).map(drop)
        })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some(ledger) = self.ledger.take() else { return };
        let go = |place: &&Place| {
            upkeep::take_away(&place.folder, Some(place.hierarchy.version))
        };
        let left = self.places.iter().filter(|place| !go(place)).count();
        if left > 0 {
            // What stays is taken away by `sweep`.
            ledger.leave_behind();
        }
    }
}
