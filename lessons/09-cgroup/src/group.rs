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
use crate::files::{self, make_folder, remove_folder, write};
use crate::{Hierarchy, PARENT, Version, upkeep};

/// A group of ours: a folder in each hierarchy that it takes. Dropped, one that we have made
/// is removed, with all processes in it; if we are killed, by the next [`crate::sweep`].
pub struct Group {
    name: String,
    places: Vec<Place>,
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
        let (name, places) = (name.to_string(), Vec::new());
        let mut group = Group { name, places, ledger: Some(ledger) };
        controllers.iter().try_for_each(|it| group.extend(stage, it))?;
        Ok(group)
    }

    /// The group called `name` that process `member` is in, made by somebody else: it stays
    /// when this is dropped. None if `member` is in no such group.
    pub fn of(name: &str, member: Pid) -> Result<Option<Group>> {
        let ours = Path::new(PARENT).join(name);
        let mut places = Vec::new();
        for hierarchy in Hierarchy::all()? {
            // A hierarchy that is mounted, but without a line there, is another namespace's.
            let Ok(group) = hierarchy.group_of(&member.to_string()) else { continue };
            let folder = hierarchy.folder(&group);
            if group.ends_with(&ours) && folder.is_dir() {
                places.push(Place { hierarchy, folder });
            }
        }
        let (name, is_there) = (name.to_string(), !places.is_empty());
        Ok(is_there.then_some(Group { name, places, ledger: None }))
    }

    /// Let `controller` limit and count in the group, too: make its folder where that is, unless
    /// it has one there.
    pub fn extend(&mut self, stage: &Stage, controller: &str) -> Result<()> {
        let hierarchy = Hierarchy::of(controller)?;
        let base = Base::find(&hierarchy, controller)?;
        let parent = base.parent();
        let folder = parent.join(&self.name);
        let needs_filling = controller == "cpuset" && hierarchy.version == Version::V1;
        let _turn = base.lock()?;
        make_folder(stage, &parent)?;
        base.allow(stage, controller)?;
        if needs_filling {
            fill(stage, &base.folder, &parent)?;
        }
        if self.places.iter().all(|place| place.folder != folder) {
            if let Some(ledger) = &mut self.ledger {
                ledger.note(folder.display())?;
            }
            // Before it is made: it can be there although `make_folder` has failed, because
            // nobody listens any more.
            self.places.push(Place { hierarchy, folder: folder.clone() });
            make_folder(stage, &folder)?;
        }
        if needs_filling {
            fill(stage, &parent, &folder)?;
        }
        Ok(())
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
            let path = place.folder.join("cgroup.procs");
            let file = OpenOptions::new().write(true).open(&path);
            file.map(|file| (path.clone(), file))
                .map_err(|error| Error::io(path.display(), &error))
        };
        self.places.iter().map(open).collect::<Result<_>>().map(Entrance)
    }

    /// Remove the group, and end the processes in it.
    pub fn remove(mut self, stage: &Stage) -> Result<()> {
        while let Some(place) = self.places.last() {
            upkeep::end_all(&place.folder)?;
            remove_folder(stage, &place.folder)?;
            self.places.pop();
        }
        Ok(())
    }

    fn place(&self, controller: &str) -> Result<&Place> {
        let place = self.places.iter().find(|place| place.hierarchy.has(controller));
        place.ok_or_else(|| {
            Error::input(format!("this group is not made for {controller}"))
        })
    }
}

/// The way into a group. The kernel looks at who has opened it, not at who goes through:
/// that may be somebody in a user namespace, or in a mount namespace without cgroups.
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
        if self.ledger.is_none() {
            return;
        }
        let places = self.places.iter();
        let left = places.filter(|place| !upkeep::take_away(&place.folder)).count();
        match self.ledger.take() {
            // What stays is taken away by `sweep`.
            Some(ledger) if left > 0 => ledger.leave_behind(),
            _ => Base::all().iter().for_each(Base::tidy),
        }
    }
}
