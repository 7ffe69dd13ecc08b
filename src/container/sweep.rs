//! What becomes of a container that has ended, or whose engine has?

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use stage::{Error, Result};

use super::neighbours::Neighbours;
use super::{State, entries, folder_of, ids, names_of};
use crate::disk::{hold_alone, read_json, sync_folder, write_json};
use crate::spec::Spec;
use crate::store::Store;
use crate::times::moment;
use crate::volumes::Volumes;

/// The exit status of a container whose engine was killed: 128 + SIGKILL.
const KILLED: u8 = 137;

/// Take away what killed engines have left; returns a line for each container. Every command
/// begins with it.
pub fn sweep(store: &Store) -> Result<Vec<String>> {
    let lock = store.lock_containers()?;
    let ids = ids(store)?;
    let (mut alive, mut dead) = (HashSet::new(), Vec::new());
    for id in &ids {
        let folder = folder_of(store, id);
        match hold_alone(&folder) {
            None => drop(alive.insert(id.as_str())),
            Some(_held) => dead.extend(fate(id, &folder).map(|_| (id, folder))),
        }
    }
    // Processes end before their files go. Who holds a container holds the note of its group as
    // well, which is called the same.
    cgroup::sweep_noted(|group| alive.contains(group))?;
    let mut done = Vec::new();
    for (id, folder) in dead {
        if let Some(_held) = hold_alone(&folder) {
            // One that cannot be settled keeps nobody from anything else.
            match settle(store, id, &folder) {
                Ok(settled) => done.extend(settled),
                Err(error) => {
                    stage::warn(error.within(format!("container {}", short(id))))
                }
            }
        }
    }
    sweep_names(store, ids.len().saturating_sub(done.len()))?;
    if !done.is_empty() || Neighbours::are_half_changed(store) {
        Neighbours::anew(store, &lock)?;
    }
    Ok(done)
}

/// What [`sweep`] would say of the store in `root`: nothing is changed.
pub fn left(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("containers");
    let folders = entries(&folder)?.into_iter().map(|id| (folder.join(&id), id));
    let free = folders.filter(|(folder, _)| hold_alone(folder).is_some());
    let fates = free.filter_map(|(folder, id)| Some(fate(&id, &folder)?.told(&id)));
    Ok(fates.collect())
}

/// What becomes of a container whose engine is gone.
enum Fate {
    /// It is kept, as ended.
    Ended,
    /// It goes, with its volumes or without.
    Removed { volumes: bool, name: Option<String> },
}

impl Fate {
    fn told(&self, id: &str) -> String {
        let id = short(id);
        match self {
            Fate::Ended => {
                format!("container {id}: its engine was killed, kept as ended")
            }
            Fate::Removed { .. } => format!("container {id}: removed"),
        }
    }
}

fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

/// None if it stays as it is.
fn fate(id: &str, folder: &Path) -> Option<Fate> {
    let state = match read_json::<State>(&folder.join("state.json")) {
        Ok(state) => state,
        Err(error) => {
            stage::warn(format!("container {} is left alone: {error}", short(id)));
            return None;
        }
    };
    match state {
        Some(State { exit_status: Some(_), throw_away: false, .. }) => None,
        // It waits for its first start.
        Some(State { started, created, exit_status: None, .. })
            if started.is_empty() && !created.is_empty() =>
        {
            None
        }
        Some(State { throw_away: false, started, .. }) if !started.is_empty() => {
            Some(Fate::Ended)
        }
        // Without a state, it has no volumes yet, or keeps them.
        state => Some(Fate::Removed {
            volumes: state.is_some(),
            name: state.and_then(|state| state.name),
        }),
    }
}

/// Settle what becomes of a container whose engine is gone.
fn settle(store: &Store, id: &str, folder: &Path) -> Result<Option<String>> {
    let Some(fate) = fate(id, folder) else { return Ok(None) };
    match &fate {
        Fate::Ended => end(folder, KILLED, false)?,
        Fate::Removed { volumes, name } => {
            remove(store.root(), folder, name.as_deref(), *volumes)?;
        }
    }
    Ok(Some(fate.told(id)))
}

/// Names whose container is gone. Each of the `containers` that are there has one, so that there
/// are none as long as there are not more names.
fn sweep_names(store: &Store, containers: usize) -> Result<()> {
    let folder = names_of(store.root());
    let names = entries(&folder)?;
    if names.len() <= containers {
        return Ok(());
    }
    for name in names {
        let link = folder.join(&name);
        let failed = |error| Error::io(link.display(), &error);
        let id = match fs::read_link(&link) {
            // Its container could not be started, and went just now.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            id => id.map_err(failed)?,
        };
        let folder = store.containers().join(id);
        // Only what is certainly not there: any other failure says nothing about it.
        let is_gone = !folder.try_exists().map_err(failed)?;
        if is_gone || is_called_otherwise(&folder, &name) {
            fs::remove_file(&link).map_err(failed)?;
        }
    }
    Ok(())
}

/// Whether somebody was killed while the container was given another name.
fn is_called_otherwise(folder: &Path, name: &str) -> bool {
    let state: Option<State> = read_json(&folder.join("state.json")).unwrap_or_default();
    let own = state.and_then(|state| state.name);
    own.is_some_and(|own| own != name)
}

/// Note how the container ended.
pub(super) fn end(folder: &Path, exit_status: u8, oom_killed: bool) -> Result<()> {
    let path = folder.join("state.json");
    let state: State = read_json(&path)?.unwrap_or_default();
    let (exit_status, finished) = (Some(exit_status), moment());
    let state =
        State { first: None, address: None, exit_status, oom_killed, finished, ..state };
    write_json(&path, &state)?;
    sync_folder(folder)
}

/// Take it away, with all that it wrote.
pub(super) fn remove(
    root: &Path,
    folder: &Path,
    name: Option<&str>,
    volumes: bool,
) -> Result<()> {
    let spec = if volumes { read_json(&folder.join("config.json"))? } else { None };
    forget(root, folder, name, spec.as_ref())?;
    delete(folder)
}

/// Let it be no container any more, but for its folder.
///
/// Its nameless volumes first, if `spec` is given: nobody would know as whose they were made. Then
/// the state: without it, the next command goes on if we are killed. Then the name: it must never
/// lead to a container that is half gone. It may be another's, if we were killed before we could
/// take it.
pub(super) fn forget(
    root: &Path,
    folder: &Path,
    name: Option<&str>,
    spec: Option<&Spec>,
) -> Result<()> {
    if let (Some(spec), Some(id)) = (spec, folder.file_name()) {
        Volumes::of(root).remove_nameless(&id.to_string_lossy(), spec)?;
    }
    let state = folder.join("state.json");
    match fs::remove_file(&state) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        removed => removed.map_err(|error| Error::io(state.display(), &error))?,
    }
    drop_name(root, folder, name)
}

/// The folder of what is no container any more.
pub(super) fn delete(folder: &Path) -> Result<()> {
    fs::remove_dir_all(folder).map_err(|error| Error::io(folder.display(), &error))
}

pub(super) fn drop_name(root: &Path, folder: &Path, name: Option<&str>) -> Result<()> {
    let link = name.map(|name| names_of(root).join(name));
    let is_ours = |link: &PathBuf| {
        fs::read_link(link).ok().as_deref().map(Path::as_os_str) == folder.file_name()
    };
    if let Some(link) = link.filter(is_ours) {
        fs::remove_file(&link).map_err(|error| Error::io(link.display(), &error))?;
    }
    Ok(())
}
