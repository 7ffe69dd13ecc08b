//! Below which group may we make ours, and what must that one allow?
//!
//! Root makes them below the topmost one. Others need a part of the tree that was given to
//! them (delegation), which must be the one that they are in. In version 2, a controller goes
//! down the tree only where each level above lets it, and a group that lets it has no
//! processes of its own, the topmost excepted: who competes for a resource are leaves.
//!
//! Read cgroups(7), "Subtree control", "no internal processes" and "delegation".

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access, getpid};
use stage::{Error, Ledger, Result, Stage, ledger};

use crate::files::{lists, make_shared_folder, read, write};
use crate::{Hierarchy, Membership, PARENT, Version};

/// Where we go ourselves, when the group that was given to us must have no processes.
const LEAF: &str = "fakedocker-leaf";

/// The note of what we have let through in groups that are not ours.
const NOTE: &str = "cgroup.subtree_control";

/// How often to try to remove a group that has none in it. One with a process has to stay.
const LOOKS: usize = 100;

/// The group below which ours are made.
pub struct Base {
    pub folder: PathBuf,
    version: Version,
}

impl Base {
    /// The one of `hierarchy`, in which `controller` is wanted, for who is in the groups `own`.
    pub fn find(
        hierarchy: &Hierarchy,
        own: &Membership,
        controller: &str,
    ) -> Result<Base> {
        let version = hierarchy.version;
        let can_write = |folder: &PathBuf| access(folder, AccessFlags::W_OK).is_ok();
        match candidates(hierarchy, own)?.into_iter().find(can_write) {
            Some(folder) => Ok(Base { folder, version }),
            None => Err(refused(hierarchy, controller)),
        }
    }

    /// All that we may have used on this machine.
    pub fn all() -> Vec<Base> {
        let hierarchies = Hierarchy::all().unwrap_or_default();
        let Ok(own) = Membership::of("self") else { return Vec::new() };
        let of = |hierarchy: Hierarchy| {
            let folders = candidates(&hierarchy, &own).unwrap_or_default();
            let version = hierarchy.version;
            folders.into_iter().map(move |folder| Base { folder, version })
        };
        hierarchies.into_iter().flat_map(of).collect()
    }

    /// Whether it is noted what we let through in groups that are not ours.
    pub fn has_notes(&self) -> bool {
        self.version == Version::V2
    }

    /// Whether something is noted, and nobody is there for whom it was let through.
    pub fn left_notes() -> Result<bool> {
        Ok(ledger::recall(NOTE)?.is_some() && Ledger::count("cgroup")? == 0)
    }

    /// Whether there is something of ours to tidy.
    pub fn is_used(&self) -> bool {
        self.parent().is_dir() || self.folder.join(LEAF).is_dir()
    }

    /// The one that `group`, a folder of ours, was made below.
    pub fn of(group: &Path, version: Option<Version>) -> Option<Base> {
        let folder = group.parent().filter(|it| it.ends_with(PARENT))?.parent()?;
        let version = version.unwrap_or_else(|| {
            let is_new = folder.join("cgroup.controllers").exists();
            if is_new { Version::V2 } else { Version::V1 }
        });
        Some(Base { folder: folder.to_path_buf(), version })
    }

    /// The group that all of ours are in.
    pub fn parent(&self) -> PathBuf {
        self.folder.join(PARENT)
    }

    /// Keep others of ours from making or removing the parent, as long as this is held.
    pub fn lock(&self) -> Result<File> {
        let folder = self.folder.display();
        let file =
            File::open(&self.folder).map_err(|error| Error::io(&folder, &error))?;
        file.lock().map_err(|error| Error::io(format!("flock({folder})"), &error))?;
        Ok(file)
    }

    /// Let `controller` through to the groups in our parent.
    pub fn allow(&self, stage: &Stage, controller: &str) -> Result<()> {
        let name = self.version.name_of(controller);
        if self.version == Version::V1 || Hierarchy::is_built_in(controller) {
            return Ok(());
        }
        if !lists(&self.folder.join("cgroup.subtree_control"), name) {
            self.make_room(stage)?;
            self.note(name)?;
            let_through(stage, &self.folder, name)?;
        }
        let_through(stage, &self.parent(), name)
    }

    /// Leave a group that must not have processes: the topmost one, which has no cgroup.type,
    /// may. We move ourselves and nobody else.
    fn make_room(&self, stage: &Stage) -> Result<()> {
        let procs = self.folder.join("cgroup.procs");
        let own = getpid().to_string();
        if !self.folder.join("cgroup.type").exists() || !lists(&procs, &own) {
            return Ok(());
        }
        let leaf = self.folder.join(LEAF);
        make_shared_folder(stage, &leaf)?;
        write(stage, &leaf.join("cgroup.procs"), &own)
    }

    fn note(&self, name: &str) -> Result<()> {
        let noted = ledger::recall(NOTE)?.unwrap_or_default();
        ledger::remember(NOTE, &format!("{noted}{}\t{name}\n", self.folder.display()))
    }

    /// When no group of ours is left: remove the parent, and forbid what we have allowed. True
    /// if nothing is left to do.
    pub fn tidy(&self) -> bool {
        let Ok(_turn) = self.lock() else { return !self.folder.is_dir() };
        let parent = self.parent();
        // Refused as long as there are groups in it: whose is the last one comes here, too. It may
        // have gone while we looked.
        for _ in 0..LOOKS {
            if fs::remove_dir(&parent).is_ok() || !parent.is_dir() {
                return self.version == Version::V1 || self.take_back().is_ok();
            }
            if has_groups(&parent) {
                return true;
            }
        }
        false
    }

    /// Forbid what we have let through, and return from our leaf.
    fn take_back(&self) -> Result<()> {
        let noted = ledger::recall(NOTE)?.unwrap_or_default();
        let own =
            |line: &&str| line.split('\t').next().map(Path::new) == Some(&self.folder);
        let (ours, others): (Vec<&str>, Vec<&str>) = noted.lines().partition(own);
        for name in ours.iter().filter_map(|line| line.split('\t').nth(1)) {
            // Refused if somebody else has come to need it: then it is theirs.
            fs::write(self.folder.join("cgroup.subtree_control"), format!("-{name}"))
                .ok();
        }
        if !ours.is_empty() && others.is_empty() {
            ledger::forget(NOTE)?;
        } else if !ours.is_empty() {
            ledger::remember(NOTE, &format!("{}\n", others.join("\n")))?;
        }
        let leaf = self.folder.join(LEAF);
        if leaf.is_dir() {
            // Others of ours may still be in there.
            fs::write(self.folder.join("cgroup.procs"), getpid().to_string()).ok();
            fs::remove_dir(&leaf).ok();
        }
        Ok(())
    }
}

/// Whether there are groups below `folder`. One that cannot be read may have some.
fn has_groups(folder: &Path) -> bool {
    fs::read_dir(folder)
        .is_ok_and(|mut all| all.any(|it| it.is_ok_and(|it| it.path().is_dir())))
}

/// The topmost group, and our own.
fn candidates(hierarchy: &Hierarchy, own: &Membership) -> Result<Vec<PathBuf>> {
    let own = hierarchy.folder(&own.group(hierarchy)?);
    let own = match own.parent() {
        Some(given) if own.ends_with(LEAF) => given.to_path_buf(),
        _ => own,
    };
    let mut candidates = vec![hierarchy.at.clone()];
    candidates.extend((own != hierarchy.at).then_some(own));
    Ok(candidates)
}

fn refused(hierarchy: &Hierarchy, controller: &str) -> Error {
    let call = format!("mkdirat({:?})", hierarchy.at.join(PARENT));
    let refused = Error::call(call, Errno::EACCES);
    let name = hierarchy.version.name_of(controller);
    match hierarchy.version {
        Version::V1 => refused.hint(format!(
            "{name} is on v1 here, whose groups are the host's root's: run it with sudo"
        )),
        Version::V2 => refused.hint(
            "run it with sudo, or as `systemd-run --user --scope -p Delegate=yes PROGRAM`",
        ),
    }
}

/// Let the groups in `folder` have the controller called `name` in version 2.
fn let_through(stage: &Stage, folder: &Path, name: &str) -> Result<()> {
    let path = folder.join("cgroup.subtree_control");
    if lists(&path, name) {
        return Ok(());
    }
    if !lists(&folder.join("cgroup.controllers"), name) {
        let missing = Error::input(format!("{} was not given {name}", folder.display()));
        return Err(
            missing.hint("root can: see Delegate= in systemd.resource-control(5)")
        );
    }
    write(stage, &path, &format!("+{name}")).map_err(|error| match error.errno() {
        Some(Errno::EBUSY) => error.hint(
            "others are in this very group: start it as `systemd-run --user --scope -p \
             Delegate=yes PROGRAM`",
        ),
        _ => error,
    })
}

/// A new cpuset of version 1 has no processor and no memory, and takes no process: give it
/// those of the group above.
pub fn fill(stage: &Stage, from: &Path, to: &Path) -> Result<()> {
    for name in ["cpuset.cpus", "cpuset.mems"] {
        if read(&to.join(name))?.is_empty() {
            write(stage, &to.join(name), &read(&from.join(name))?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files as a group of version 2 has them; on a disk, they keep what is written.
    struct Tree(PathBuf);

    impl Tree {
        fn plant(name: &str, files: &[(&str, &str)]) -> Tree {
            let name = format!("cgroup-{name}-{}", std::process::id());
            let tree = Tree(std::env::temp_dir().join(name));
            fs::create_dir_all(tree.0.join(LEAF)).unwrap();
            let files = files.iter().chain(&[("fakedocker-leaf/cgroup.procs", "")]);
            files.for_each(|(name, text)| fs::write(tree.0.join(name), text).unwrap());
            tree
        }

        fn base(&self) -> Base {
            Base { folder: self.0.clone(), version: Version::V2 }
        }

        fn has(&self, name: &str) -> String {
            fs::read_to_string(self.0.join(name)).unwrap()
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn a_controller_is_let_through_once() {
        let files =
            [("cgroup.controllers", "cpu pids\n"), ("cgroup.subtree_control", "")];
        let tree = Tree::plant("through", &files);
        let stage = Stage::of_engine(false).unwrap();
        let_through(&stage, &tree.0, "pids").unwrap();
        assert_eq!(tree.has("cgroup.subtree_control"), "+pids");
        fs::write(tree.0.join("cgroup.subtree_control"), "cpu pids\n").unwrap();
        let_through(&stage, &tree.0, "pids").unwrap();
        assert_eq!(tree.has("cgroup.subtree_control"), "cpu pids\n");
        let missing = let_through(&stage, &tree.0, "memory").unwrap_err();
        assert!(missing.to_string().ends_with("was not given memory"), "{missing}");
    }

    #[test]
    fn only_the_topmost_group_keeps_its_processes() {
        let own = format!("1\n{}\n", getpid());
        let tree = Tree::plant("room", &[("cgroup.procs", &own)]);
        let stage = Stage::of_engine(false).unwrap();
        let leaf = "fakedocker-leaf/cgroup.procs";
        tree.base().make_room(&stage).unwrap();
        assert_eq!(tree.has(leaf), "");
        fs::write(tree.0.join("cgroup.type"), "domain\n").unwrap();
        tree.base().make_room(&stage).unwrap();
        assert_eq!(tree.has(leaf), getpid().to_string());
    }
}
