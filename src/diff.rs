//! What has a container changed?
//!
//! All that it has written is in its upper layer, and whether that is new is told by a look at the
//! layers below it, which the kernel shows as one. What the engine has made there, to mount
//! something on it, is not the container's.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use image::{files, shown, whiteout};
use stage::{Error, Result, Stage};

use crate::container;
use crate::copy::Source;
use crate::reach;
use crate::spec::Spec;
use crate::store::Store;

/// What has happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It is new.
    Added,
    /// It is another one, or has other attributes.
    Changed,
    /// It is gone.
    Deleted,
}

/// What has changed.
#[derive(Debug, Default)]
pub struct Changes {
    /// Where, and what.
    pub all: Vec<(PathBuf, Kind)>,
    /// What only the engine has made, for mounts.
    pub ours: BTreeSet<PathBuf>,
}

impl Changes {
    /// Whether `path`, without a `/` at its beginning, is only the engine's.
    pub fn is_ours(&self, path: &[u8]) -> bool {
        self.ours.contains(&Path::new("/").join(OsStr::from_bytes(path)))
    }
}

/// The lines of `fakedocker diff`: a letter and a path for each change, in the order of paths.
pub fn diff(store: &Store, which: &str) -> Result<Vec<String>> {
    let known = container::known(store, which, &store.lock_containers()?)?;
    let mut all = changes(store, &known.spec)?.all;
    all.sort();
    let line = |(path, kind): &(PathBuf, Kind)| {
        let letter = match kind {
            Kind::Added => 'A',
            Kind::Changed => 'C',
            Kind::Deleted => 'D',
        };
        format!("{letter} {}", shown(path.as_os_str().as_bytes()))
    };
    Ok(all.iter().map(line).collect())
}

/// What the container that `spec` describes has changed so far.
pub fn changes(store: &Store, spec: &Spec) -> Result<Changes> {
    let stage = Stage::of_engine(false)?;
    let workshop = reach::workshop(store)?;
    let mut changes = Changes::default();
    for (place, layers) in spec.stacks()? {
        let below = reach::lower(&stage, &workshop, &layers.lower)?;
        let below = below.root.folder(Path::new("/"))?;
        let failed = |error| Error::io(layers.upper.display(), &error);
        let upper = File::open(&layers.upper).map_err(failed)?;
        let mut look = Look { spec, changes: &mut changes, path: place };
        look.folder(&upper, Some(&below)).map_err(failed)?;
    }
    Ok(changes)
}

/// A walk through an upper layer.
struct Look<'l> {
    spec: &'l Spec,
    changes: &'l mut Changes,
    /// Where we are, as the container sees it.
    path: PathBuf,
}

impl Look<'_> {
    /// What has changed in the folder `upper`. Returns whether anything has.
    fn folder(&mut self, upper: &impl AsFd, below: Option<&OwnedFd>) -> io::Result<bool> {
        let names = files::names(upper)?;
        let mut changed = false;
        for name in &names {
            self.path.push(name);
            changed |= self.entry(upper, name, below)?;
            self.path.pop();
        }
        if let Some(below) = below
            && whiteout::is_opaque(upper, whiteout::mark())?
        {
            for name in files::names(below)?.iter().filter(|name| !names.contains(name)) {
                self.changes.all.push((self.path.join(name), Kind::Deleted));
                changed = true;
            }
        }
        Ok(changed)
    }

    fn entry(
        &mut self,
        upper: &impl AsFd,
        name: &OsStr,
        below: Option<&OwnedFd>,
    ) -> io::Result<bool> {
        let found = match Source::at(upper, name) {
            // A running container has removed it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            found => found?,
        };
        let before = below.and_then(|below| Source::at(below, name).ok());
        let kind = found.about.file_type();
        if kind.is_char_device() && found.about.rdev() == 0 {
            let gone = before.map(|_| (self.path.clone(), Kind::Deleted));
            self.changes.all.extend(gone.clone());
            return Ok(gone.is_some());
        }
        if kind.is_dir() {
            return self.whole_folder(&found, before.as_ref());
        }
        match before {
            None if self.is_ours(found.about.len() == 0, false) => {
                self.changes.ours.insert(self.path.clone());
                return Ok(false);
            }
            None => self.changes.all.push((self.path.clone(), Kind::Added)),
            Some(_) => self.changes.all.push((self.path.clone(), Kind::Changed)),
        }
        Ok(true)
    }

    fn whole_folder(
        &mut self,
        found: &Source,
        before: Option<&Source>,
    ) -> io::Result<bool> {
        let at = self.changes.all.len();
        let below = before.filter(|before| before.about.is_dir());
        let below_it = below.map(|below| below.open()).transpose()?.map(OwnedFd::from);
        let inside = self.folder(&found.open()?, below_it.as_ref())?;
        let kind = match (before, below) {
            (None, _) if !inside && self.is_ours(true, true) => {
                self.changes.ours.insert(self.path.clone());
                return Ok(false);
            }
            (None, _) => Kind::Added,
            (Some(_), None) => Kind::Changed,
            (_, Some(below)) if inside || self.differs(found, below) => Kind::Changed,
            // It is here because of what was to be changed in it.
            _ => return Ok(false),
        };
        self.changes.all.insert(at, (self.path.clone(), kind));
        Ok(true)
    }

    /// Whether the folder itself is another than the one below.
    fn differs(&self, found: &Source, below: &Source) -> bool {
        let owners = |it: &Source| (it.about.uid(), it.about.gid());
        let (user, group) = owners(found);
        let time = |it: &Source| (it.about.mtime(), it.about.mtime_nsec());
        // Whoever makes something in a folder changes its time: so do we.
        let is_touched =
            self.changes.ours.iter().any(|it| it.parent() == Some(&*self.path));
        self.spec.owner_inside(user, group) != owners(below)
            || found.about.mode() != below.about.mode()
            || (!is_touched && time(found) != time(below))
    }

    /// Whether this was made to be mounted on, or is on the way to such a place.
    fn is_ours(&self, is_empty: bool, is_folder: bool) -> bool {
        let is_target = |mount: &crate::spec::Mount| {
            mount.destination == self.path
                || (is_folder && mount.destination.starts_with(&self.path))
        };
        is_empty && self.spec.mounts.iter().any(is_target)
    }
}
