//! Who tells a container of the others at its bridge?
//!
//! Whoever starts or ends one of them. `ROOT/neighbours` has a line for each, so that nobody has to
//! read the states of all for that: who comes adds a line to it and to the hosts files of the
//! others, who goes removes it. While files are changed, a second name says so; whoever finds that,
//! because somebody was killed at it, makes all of them anew from the states.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use stage::{Error, Result};

use super::{State, folder_of, ids};
use crate::disk::read_json;
use crate::network::names::{self, Neighbour};
use crate::store::Store;

/// Those who can be found, in the order in which they came. Nobody else changes that as long as we
/// have the lock on all containers.
pub(super) struct Neighbours<'s> {
    store: &'s Store,
    list: Vec<Neighbour>,
}

/// The list, and its name while files are changed.
fn paths(store: &Store) -> (PathBuf, PathBuf) {
    let path = |name: &str| store.root().join(name);
    (path("neighbours"), path("neighbours.half"))
}

/// Let nobody see an error where a file is not there.
fn if_there<T: Default>(path: &Path, result: std::io::Result<T>) -> Result<T> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(T::default()),
        result => result.map_err(|error| Error::io(path.display(), &error)),
    }
}

impl<'s> Neighbours<'s> {
    /// All that are known.
    pub fn of(store: &'s Store, lock: &File) -> Result<Neighbours<'s>> {
        if Neighbours::are_half_changed(store) {
            return Neighbours::anew(store, lock);
        }
        let (path, _) = paths(store);
        let text = if_there(&path, fs::read_to_string(&path))?;
        let list = text.lines().filter_map(read).collect();
        Ok(Neighbours { store, list })
    }

    /// Whether somebody was killed while changing them, or is at it.
    pub fn are_half_changed(store: &Store) -> bool {
        paths(store).1.exists()
    }

    /// As the states of all containers have them; and let each of them know all others.
    pub fn anew(store: &'s Store, _lock: &File) -> Result<Neighbours<'s>> {
        let mut all = Neighbours { store, list: Vec::new() };
        for id in ids(store)? {
            // One that cannot be read is left alone, and told of, by the sweep.
            let state = read_json(&folder_of(store, &id).join("state.json"));
            let state: Option<State> = state.unwrap_or_default();
            let Some(State { address: Some(address), name, .. }) = state else {
                continue;
            };
            all.list.push(Neighbour { id, name, address });
        }
        all.list.sort_unstable_by_key(|one| one.address);
        all.change(|all| {
            for one in &all.list {
                let others = all.list.iter().filter(|it| it.id != one.id);
                or_warn(names::introduce(&all.hosts(one), &others.collect::<Vec<_>>()));
            }
            Ok(())
        })?;
        Ok(all)
    }

    /// The lines for one that is none of them yet.
    pub fn lines(&self) -> String {
        self.list.iter().map(Neighbour::line).collect()
    }

    /// One more is there.
    pub fn come(mut self, id: &str, name: Option<&str>, address: Ipv4Addr) -> Result<()> {
        let new = Neighbour { id: id.into(), name: name.map(String::from), address };
        self.change(|all| {
            let line = new.line();
            all.list.iter().for_each(|one| or_warn(names::add(&all.hosts(one), &line)));
            // Others may have come since it was made.
            let others: Vec<_> = all.list.iter().collect();
            or_warn(names::introduce(&all.hosts(&new), &others));
            all.list.push(new);
            Ok(())
        })
    }

    /// One has gone; perhaps it was none of them.
    pub fn go(&mut self, id: &str) -> Result<()> {
        let Some(at) = self.list.iter().position(|one| one.id == id) else {
            return Ok(());
        };
        self.change(|all| {
            let gone = all.list.remove(at);
            all.list.iter().for_each(|it| or_warn(names::remove(&all.hosts(it), &gone)));
            Ok(())
        })
    }

    fn hosts(&self, one: &Neighbour) -> PathBuf {
        folder_of(self.store, &one.id).join("hosts")
    }

    /// Change files, and keep the list as it is then.
    fn change(&mut self, change: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let (path, changing) = paths(self.store);
        let failed = |error| Error::io(path.display(), &error);
        if_there(&path, fs::rename(&path, &changing))?;
        let mut list = File::create(&changing).map_err(failed)?;
        change(self)?;
        if self.list.is_empty() {
            return fs::remove_file(&changing).map_err(failed);
        }
        let line = |one: &Neighbour| format!("{} {}", one.id, one.line());
        let lines: String = self.list.iter().map(line).collect();
        list.write_all(lines.as_bytes()).map_err(failed)?;
        fs::rename(&changing, &path).map_err(failed)
    }
}

/// A file that a container can change, and spoil, keeps nobody else from being told.
fn or_warn(told: Result<()>) {
    told.unwrap_or_else(stage::warn);
}

/// A line of the list: an ID, and a line of a hosts file.
fn read(line: &str) -> Option<Neighbour> {
    let (id, line) = line.split_once(' ')?;
    let mut fields = line.split('\t');
    let (address, names) = (fields.next()?.parse().ok()?, fields.next()?);
    // The last one is its ID.
    let name = names.rsplit_once(' ').map(|(name, _)| name.to_string());
    Some(Neighbour { id: id.into(), name, address })
}
