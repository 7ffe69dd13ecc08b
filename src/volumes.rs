//! What of a container is not the image's business?
//!
//! What it writes to a volume: that is in no layer, so that it is neither slowed by copying up nor
//! committed. A volume is a folder of ours that has a name, and outlives the containers that it is
//! mounted in. One that nobody has given a name goes with its container, by `--rm` or `rm -v`.
//!
//! ```text
//! ROOT/volumes                   locked while a volume is made or removed
//! ROOT/volumes/NAME/_data        what is mounted
//! ROOT/volumes/NAME/volume.json  what it is, in Docker's words
//! ROOT/volumes/NAME/new          it has not begun yet (`volumes/fill.rs`)
//! ROOT/volumes/.NAME             half made, or half gone: rubbish
//! ```
//!
//! A container's description is on the disk before its volumes are made, and says which of them
//! have no name: whoever is killed leaves none of those behind. Whoever makes a container locks
//! all containers first, and then the volumes; nobody does it the other way round.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stage::{Error, Result};

use crate::container::{self, entries, make_folder};
use crate::disk::{lock, random_id, read_json, size_below, sync_folder, write_json};
use crate::events;
use crate::spec::{Mount, Spec};
use crate::times;

pub mod asked;
mod fill;
pub mod list;

pub use fill::fill;

/// The annotation that says which of a container's volumes have no name of the user's: they go
/// with it. Their names, with commas between them.
pub const NAMELESS: &str = "fakedocker.volumes.nameless";
/// Docker's label of such a volume.
const LABEL: &str = "com.docker.volume.anonymous";

/// What is mounted of a volume.
const DATA: &str = "_data";
/// What says that there is a volume.
const ABOUT: &str = "volume.json";
/// What says that it has not begun yet.
const NEW: &str = "new";

/// A volume, in Docker's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Volume {
    /// When it was made (RFC 3339).
    pub created_at: String,
    /// Always `local`.
    pub driver: String,
    /// What somebody wanted to be known.
    pub labels: BTreeMap<String, String>,
    /// The folder that is mounted.
    pub mountpoint: PathBuf,
    /// What it is called; 64 hexadecimal digits, if nobody has given it a name.
    pub name: String,
    /// None so far.
    pub options: BTreeMap<String, String>,
    /// Always `local`.
    pub scope: String,
}

impl Volume {
    /// Whether nobody has given it a name.
    pub fn is_nameless(&self) -> bool {
        self.labels.contains_key(LABEL)
    }

    /// The bytes in its files.
    pub fn size(&self) -> Result<u64> {
        size_below(&self.mountpoint)
    }
}

/// The volumes of a store.
#[derive(Debug)]
pub struct Volumes {
    root: PathBuf,
    folder: PathBuf,
}

impl Volumes {
    /// Those of the store in the folder `root`.
    pub fn of(root: &Path) -> Volumes {
        Volumes { root: root.into(), folder: root.join("volumes") }
    }

    /// Those of the store that the container is in.
    pub fn beside(spec: &Spec) -> Volumes {
        // Where its root file system appears is in the store, too.
        Volumes::of(spec.root.path.parent().unwrap_or(Path::new("/")))
    }

    /// What is mounted of the volume `name`.
    pub fn mountpoint(&self, name: &str) -> PathBuf {
        self.folder.join(name).join(DATA)
    }

    /// The volume that `mount` shows, if it shows one.
    pub fn name_of<'m>(&self, mount: &'m Mount) -> Option<&'m str> {
        let folder = mount.source.parent()?;
        let is_volume =
            mount.source.file_name()? == DATA && folder.parent()? == self.folder;
        folder.file_name()?.to_str().filter(|_| is_volume)
    }

    /// Make a volume, if there is none of this name.
    pub fn create(
        &self,
        name: Option<&str>,
        labels: BTreeMap<String, String>,
    ) -> Result<Volume> {
        name.map_or(Ok(()), check_name)?;
        let lock = self.lock()?;
        match name {
            Some(name) => self.make(name, labels, &lock),
            None => self.make(&new_name()?, labels_of_nameless(labels), &lock),
        }
    }

    /// Make those of the container's that are not there yet.
    pub fn make_for(&self, spec: &Spec) -> Result<()> {
        let names = self.names(spec);
        if names.is_empty() {
            return Ok(());
        }
        let lock = self.lock()?;
        names.into_iter().try_for_each(|name| {
            let labels = match nameless(spec).any(|it| it == name) {
                true => labels_of_nameless(BTreeMap::new()),
                false => BTreeMap::new(),
            };
            self.make(name, labels, &lock).map(drop)
        })
    }

    /// The names of the container's volumes.
    fn names<'s>(&self, spec: &'s Spec) -> BTreeSet<&'s str> {
        spec.mounts.iter().filter_map(|mount| self.name_of(mount)).collect()
    }

    fn make(
        &self,
        name: &str,
        labels: BTreeMap<String, String>,
        _lock: &File,
    ) -> Result<Volume> {
        if let Some(volume) = self.read(name)? {
            return Ok(volume);
        }
        let (half, folder) = (self.half(name), self.folder.join(name));
        let failed = |error| Error::io(folder.display(), &error);
        remove_half(&half).map_err(failed)?;
        let data = half.join(DATA);
        make_folder(&data, 0o755)?;
        // Whatever our umask is: it is for the container's users.
        fs::set_permissions(&data, Permissions::from_mode(0o755)).map_err(failed)?;
        File::create(half.join(NEW)).map_err(failed)?;
        let volume = Volume {
            created_at: times::now(),
            driver: "local".into(),
            labels,
            mountpoint: self.mountpoint(name),
            name: name.into(),
            options: BTreeMap::new(),
            scope: "local".into(),
        };
        write_json(&half.join(ABOUT), &volume)?;
        sync_folder(&half)?;
        fs::rename(&half, &folder).map_err(failed)?;
        sync_folder(&self.folder)?;
        self.tell("create", name, &[]);
        Ok(volume)
    }

    /// Tell whoever listens to events what has happened to a volume.
    fn tell(&self, action: &str, name: &str, more: &[(&str, &str)]) {
        let all = [&[("driver", "local")], more].concat();
        events::tell(&self.root, "volume", action, name, &all);
    }

    /// The container's volumes are mounted in it.
    pub fn tell_of_mounts(&self, container: &str, spec: &Spec) {
        for mount in &spec.mounts {
            let Some(name) = self.name_of(mount) else { continue };
            let place = mount.destination.display().to_string();
            let is_fixed = mount.options.iter().any(|option| option == "ro");
            let about = [
                ("container", container),
                ("destination", &place),
                ("propagation", ""),
                ("read/write", if is_fixed { "false" } else { "true" }),
            ];
            self.tell("mount", name, &about);
        }
    }

    /// They are not any more.
    pub fn tell_of_end(&self, container: &str, spec: &Spec) {
        for name in self.names(spec) {
            self.tell("unmount", name, &[("container", container)]);
        }
    }

    /// The volume `name`.
    pub fn find(&self, name: &str) -> Result<Volume> {
        check_name(name)?;
        let unknown = || Error::input(format!("no volume is called {name:?}"));
        self.read(name)?.ok_or_else(unknown)
    }

    /// All of them, by their names.
    pub fn all(&self) -> Result<Vec<Volume>> {
        let mut names = entries(&self.folder)?;
        names.sort();
        let volumes =
            names.iter().map(|name| self.read(name)).collect::<Result<Vec<_>>>();
        Ok(volumes?.into_iter().flatten().collect())
    }

    fn read(&self, name: &str) -> Result<Option<Volume>> {
        let about: Option<Volume> = read_json(&self.folder.join(name).join(ABOUT))?;
        // The store may have been moved.
        Ok(about.map(|it| Volume { mountpoint: self.mountpoint(name), ..it }))
    }

    /// The containers that have each volume, running or not.
    pub fn users(&self) -> Result<BTreeMap<String, BTreeSet<String>>> {
        let mut users: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (id, spec) in container::described(&self.root)? {
            for name in self.names(&spec) {
                users.entry(name.into()).or_default().insert(id.clone());
            }
        }
        Ok(users)
    }

    /// Remove the volume `name`, which no container has. `force`: there may be none.
    pub fn remove(&self, name: &str, force: bool) -> Result<()> {
        check_name(name)?;
        let _lock = self.lock()?;
        if self.read(name)?.is_none() && force {
            return Ok(());
        }
        self.find(name)?;
        let users = self.users()?.remove(name).unwrap_or_default();
        let users: Vec<&str> =
            users.iter().map(|id| id.get(..12).unwrap_or(id)).collect();
        match users[..] {
            [] => self.take_away(name),
            [first, ..] => Err(Error::input(format!(
                "volume {name:?} is in use by container {}",
                users.join(", ")
            ))
            .hint(format!("remove the container first: fakedocker rm {first}"))),
        }
    }

    /// Remove all that no container has, and that `wants` wants; their names, and the bytes that
    /// were in their files.
    pub fn prune(&self, wants: impl Fn(&Volume) -> bool) -> Result<(Vec<String>, u64)> {
        let _lock = self.lock()?;
        let users = self.users()?;
        let (mut gone, mut freed) = (Vec::new(), 0);
        for volume in self.all()? {
            if wants(&volume) && !users.contains_key(&volume.name) {
                freed += volume.size()?;
                self.take_away(&volume.name)?;
                gone.push(volume.name);
            }
        }
        Ok((gone, freed))
    }

    /// Remove those that nobody has given a name, and that only the container `id` has.
    pub fn remove_nameless(&self, id: &str, spec: &Spec) -> Result<()> {
        let own: Vec<&str> = nameless(spec).collect();
        if own.is_empty() {
            return Ok(());
        }
        let _lock = self.lock()?;
        let users = self.users()?;
        let names = self.names(spec);
        let only_it =
            |name: &str| users.get(name).is_none_or(|it| it.iter().all(|it| it == id));
        let mut gone =
            own.into_iter().filter(|name| names.contains(name) && only_it(name));
        gone.try_for_each(|name| self.take_away(name))
    }

    /// Take away what is half made or half gone, unless somebody is about to.
    pub fn sweep(&self) -> Result<()> {
        let held = File::open(&self.folder);
        let Some(_lock) = held.ok().filter(|held| held.try_lock().is_ok()) else {
            return Ok(());
        };
        let names = entries(&self.folder)?.into_iter();
        let halves = names.filter(|name| name.starts_with('.'));
        for half in halves.map(|name| self.folder.join(name)) {
            if let Err(error) = remove_half(&half) {
                stage::warn(Error::io(half.display(), &error));
            }
        }
        Ok(())
    }

    fn lock(&self) -> Result<File> {
        make_folder(&self.folder, 0o700)?;
        let failed = |error| Error::io(self.folder.display(), &error);
        let held = File::open(&self.folder).map_err(failed)?;
        lock(&held, File::lock).map_err(failed)?;
        Ok(held)
    }

    /// At first in name only: half a volume is none.
    fn take_away(&self, name: &str) -> Result<()> {
        let (folder, half) = (self.folder.join(name), self.half(name));
        let gone = remove_half(&half)
            .and_then(|()| fs::rename(&folder, &half).or_else(if_there))
            .and_then(|()| remove_half(&half));
        gone.map_err(|error| Error::io(folder.display(), &error))?;
        self.tell("destroy", name, &[]);
        Ok(())
    }

    fn half(&self, name: &str) -> PathBuf {
        self.folder.join(format!(".{name}"))
    }
}

fn remove_half(half: &Path) -> std::io::Result<()> {
    fs::remove_dir_all(half).or_else(if_there)
}

fn if_there(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// The volumes that are to go with the container.
fn nameless(spec: &Spec) -> impl Iterator<Item = &str> {
    let names = spec.annotations.get(NAMELESS).map_or("", String::as_str);
    names.split(',').filter(|name| !name.is_empty())
}

/// A name for a volume that nobody has given one: as long as a container's ID.
fn new_name() -> Result<String> {
    random_id(32)
}

fn labels_of_nameless(mut labels: BTreeMap<String, String>) -> BTreeMap<String, String> {
    labels.insert(LABEL.into(), String::new());
    labels
}

/// Docker's rule is the same as for containers.
fn check_name(name: &str) -> Result<()> {
    container::check_name(name).map_err(|error| error.within("volume"))
}
