//! Which containers are there, and which one is meant?

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use image::Digest;
use stage::{Error, Pid, Result};

use super::{First, State, check_name, entries, folder_of, names_of, tell};
use crate::disk::{hold_alone, read_json, write_json};
use crate::spec::{IMAGE_ID, Spec};
use crate::store::Store;

/// A container that is running, to be joined.
pub struct Running {
    /// What it is.
    pub spec: Spec,
    /// Its first process.
    pub first: First,
    /// Its folder.
    pub folder: PathBuf,
}

/// A container, running or not.
pub struct Known {
    /// Its whole ID.
    pub id: String,
    /// What it is.
    pub spec: Spec,
    /// How it is.
    pub state: State,
    /// Whether an engine runs it. It may still be about to start.
    pub is_held: bool,
    pub(super) folder: PathBuf,
}

impl Known {
    /// Its first process, if it runs.
    pub fn first(&self) -> Option<Pid> {
        self.state.first.as_ref().filter(|_| self.is_held)?.pid()
    }

    /// While this lives, nobody starts or removes it. None if an engine runs it.
    pub fn hold(&self, store: &Store) -> Result<Option<File>> {
        // Whoever only looks whether it is held, holds it for that moment.
        let _lock = store.lock_containers()?;
        Ok(hold_alone(&self.folder))
    }

    /// Where all of it is kept.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Tell whoever listens to events what has happened to it.
    pub fn tell(&self, store: &Store, action: &str, more: &[(&str, &str)]) {
        tell(store, action, &self.id, self.state.name.as_deref(), &self.spec, more);
    }

    /// Keep another description of it.
    pub fn describe(&mut self, spec: Spec) -> Result<()> {
        write_json(&self.folder.join("config.json"), &spec)?;
        self.spec = spec;
        Ok(())
    }
}

/// The running container that `which` means.
pub fn running(store: &Store, which: &str) -> Result<Running> {
    let _store = store.lock_containers()?;
    let id = find(store, which)?;
    let folder = folder_of(store, &id);
    let ended = || Error::input(format!("container {which:?} is not running")).status(1);
    // Nobody holds it: its engine is gone, and it with its engine.
    if hold_alone(&folder).is_some() {
        return Err(ended());
    }
    let state: Option<State> = read_json(&folder.join("state.json"))?;
    let first = state.and_then(|state| state.first).ok_or_else(ended)?;
    let spec = read_json(&folder.join("config.json"))?.ok_or_else(ended)?;
    Ok(Running { spec, first, folder })
}

/// The container that `which` means. Nobody else changes it as long as `lock` is held.
pub fn known(store: &Store, which: &str, lock: &File) -> Result<Known> {
    known_if_any(store, which, lock)?.ok_or_else(|| nobody(which))
}

/// The same, if there is one, and it is not just being removed.
pub fn known_if_any(store: &Store, which: &str, _lock: &File) -> Result<Option<Known>> {
    let Some(id) = find_if_any(store, which)? else { return Ok(None) };
    let folder = folder_of(store, &id);
    let is_held = hold_alone(&folder).is_none();
    let state = read_json(&folder.join("state.json"))?;
    let spec = read_json(&folder.join("config.json"))?;
    let both = state.zip(spec);
    Ok(both.map(|(state, spec)| Known { id, spec, state, is_held, folder }))
}

/// There is no such container.
pub fn nobody(which: &str) -> Error {
    Error::input(format!("no container is called {which:?}")).status(1)
}

/// The folders of layers that containers stand on, running or not.
pub fn layers_in_use(store: &Store) -> Result<BTreeSet<PathBuf>> {
    let mut folders = BTreeSet::new();
    for (_, spec) in described(store.root())? {
        let layers = spec.stacks()?.into_iter().flat_map(|(_, layers)| layers.lower);
        folders.extend(layers);
    }
    Ok(folders)
}

/// The IDs of the containers that were made from the image `id`.
pub fn users_of(store: &Store, id: &Digest) -> Result<Vec<String>> {
    let of_it = |spec: &Spec| spec.annotations.get(IMAGE_ID) == Some(&id.to_string());
    let users = described(store.root())?.into_iter().filter(|(_, spec)| of_it(spec));
    Ok(users.map(|(id, _)| id).collect())
}

/// All containers in the store at `root` that have a description, with their IDs.
pub(crate) fn described(root: &Path) -> Result<Vec<(String, Spec)>> {
    let (mut all, containers) = (Vec::new(), root.join("containers"));
    for id in entries(&containers)? {
        let spec = read_json(&containers.join(&id).join("config.json"))?;
        all.extend(spec.map(|spec| (id, spec)));
    }
    Ok(all)
}

/// The IDs of all containers, in no order.
pub fn ids(store: &Store) -> Result<Vec<String>> {
    entries(&store.containers())
}

/// The ID that `which` means: a name, an ID, or the beginning of exactly one.
pub(super) fn find(store: &Store, which: &str) -> Result<String> {
    find_if_any(store, which)?.ok_or_else(|| nobody(which))
}

fn find_if_any(store: &Store, which: &str) -> Result<Option<String>> {
    check_name(which)?;
    // Whoever goes through all has their whole IDs, and no use for a list of all for each.
    if folder_of(store, which).is_dir() {
        return Ok(Some(which.into()));
    }
    let link = names_of(store.root()).join(which);
    match fs::read_link(&link) {
        Ok(id) => return Ok(Some(id.to_string_lossy().into_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        // Not to know is not to know that there is none.
        Err(error) => return Err(Error::io(link.display(), &error)),
    }
    let mut meant = ids(store)?.into_iter().filter(|id| id.starts_with(which));
    match (meant.next(), meant.next()) {
        (_, Some(_)) => {
            Err(Error::input(format!("several containers begin with {which:?}")))
        }
        (found, None) => Ok(found),
    }
}
