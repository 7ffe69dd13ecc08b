//! Where do images live, and who may take them away?
//!
//! ```text
//! ROOT/lock             held while the list is read or changed
//! ROOT/images.json      the list: the name of each image, and the ID of its folder
//! ROOT/images/ID/       locked by whoever makes it (exclusive) or uses it (shared)
//! ROOT/images/ID/rootfs
//! ```
//!
//! A folder that is not on the list and that nobody holds is rubbish: what a killed
//! import left, or an image that was replaced and whose last container is gone. The
//! kernel drops a lock with its last descriptor (flock(2)), however the holder ended, so
//! that the next [`Store::open`] can tell, and removes it.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use stage::{Error, Result};

use crate::disk::{hold_alone, lock, random_id, read_json, sync_folder, write_json};
use crate::sys::files;

mod name;

pub use name::{HOST, Name};

/// Where the store is, unless the user says otherwise.
pub const ROOT: &str = "/var/lib/fakedocker";

/// A store of images.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
}

/// An image: while it lives, its files stay, even when another takes its name.
#[derive(Debug)]
pub struct Image {
    /// What it was called when we looked it up.
    pub name: Name,
    /// What the store calls it: another import under the same name has another ID.
    pub id: String,
    /// Its files.
    pub rootfs: PathBuf,
    /// When it was imported, in seconds since 1970.
    pub imported: u64,
    /// The bytes in its files.
    pub size: u64,
    held: File,
}

impl Image {
    /// A descriptor that keeps the files, for whoever outlives us, as a container does.
    pub fn hold(&self) -> Result<File> {
        let held = self.held.try_clone();
        held.map_err(|error| Error::io(self.rootfs.display(), &error))
    }
}

/// The list of images, as on the disk.
#[derive(Debug, Default, Serialize, Deserialize)]
struct List {
    images: BTreeMap<String, Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    id: String,
    imported: u64,
    size: u64,
}

impl Store {
    /// Open the store in the folder `root`, or make it, and remove the rubbish in it.
    pub fn open(root: &Path) -> Result<Store> {
        // Containers' users may pass through, and see nothing.
        make_folder(root, 0o711)?;
        make_folder(&root.join("images"), 0o700)?;
        let root = root.canonicalize().map_err(|error| unusable(root, &error))?;
        let store = Store { root };
        store.sweep()?;
        Ok(store)
    }

    /// The folder that all of it is in.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of all containers.
    pub fn containers(&self) -> PathBuf {
        self.root.join("containers")
    }

    /// While this is held, nobody else makes a container or removes one.
    pub fn lock_containers(&self) -> Result<File> {
        self.lock(File::lock)
    }

    /// The image called `name`.
    pub fn image(&self, name: &str) -> Result<Image> {
        let name = Name::parse(name)?;
        if name.is_host() {
            return Err(Error::input("`host` is the machine itself: it is in no store"));
        }
        let lock = self.lock(File::lock_shared)?;
        let mut list = self.read()?;
        let Some(entry) = list.images.remove(name.full()) else {
            return Err(unknown(&name, &list));
        };
        self.take(name, entry, &lock)
    }

    /// All images, by name.
    pub fn images(&self) -> Result<Vec<Image>> {
        let lock = self.lock(File::lock_shared)?;
        let images = self.read()?.images.into_iter();
        images.map(|(name, entry)| self.take(Name::parse(&name)?, entry, &lock)).collect()
    }

    /// An image on the list. Nobody removes it before we hold it: they need `_lock`, too.
    fn take(&self, name: Name, entry: Entry, _lock: &File) -> Result<Image> {
        let folder = self.folder(&entry.id);
        let held = File::open(&folder).and_then(|held| {
            lock(&held, File::lock_shared)?;
            Ok(held)
        });
        let held = held.map_err(|error| Error::io(folder.display(), &error))?;
        let Entry { id, imported, size } = entry;
        Ok(Image { name, id, rootfs: folder.join("rootfs"), imported, size, held })
    }

    /// Begin an image: a folder that is rubbish until [`Store::keep`].
    pub(crate) fn begin(&self) -> Result<Draft> {
        let _lock = self.lock(File::lock)?;
        let id = random_id(8)?;
        let folder = self.folder(&id);
        let failed = |error| unusable(&folder, &error);
        DirBuilder::new().mode(0o700).create(&folder).map_err(failed)?;
        let held = File::open(&folder).map_err(failed)?;
        let draft = Draft { id, folder: folder.clone(), held, kept: false };
        lock(&draft.held, File::lock).map_err(failed)?;
        DirBuilder::new().mode(0o755).create(draft.rootfs()).map_err(failed)?;
        Ok(draft)
    }

    /// Put the image on the list. One that had the name is rubbish when nobody holds it.
    pub(crate) fn keep(&self, mut draft: Draft, name: &Name, size: u64) -> Result<Image> {
        // Once for the whole image: the list must not reach the disk before its files do.
        let synced = files::sync_file_system(&draft.held);
        synced.map_err(|error| Error::io(draft.folder.display(), &error))?;
        let store_lock = self.lock(File::lock)?;
        let mut list = self.read()?;
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (id, imported) = (draft.id.clone(), since_1970.as_secs());
        let entry = Entry { id: id.clone(), imported, size };
        list.images.insert(name.full().into(), entry);
        write_json(&self.root.join("images.json"), &list)?;
        draft.kept = true;
        sync_folder(&self.root)?;
        let held = draft.held.try_clone();
        let held = held.map_err(|error| Error::io(draft.folder.display(), &error))?;
        let locked = lock(&held, File::lock_shared);
        locked.map_err(|error| Error::io(draft.folder.display(), &error))?;
        drop(store_lock);
        self.sweep()?;
        Ok(Image { name: name.clone(), id, rootfs: draft.rootfs(), imported, size, held })
    }

    fn sweep(&self) -> Result<()> {
        let store_lock = self.lock(File::lock)?;
        let list = self.read()?;
        let folders = self.root.join("images");
        let failed = |error| Error::io(folders.display(), &error);
        let mut rubbish = Vec::new();
        for entry in fs::read_dir(&folders).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let listed =
                list.images.values().any(|image| *image.id == *entry.file_name());
            let held = (!listed).then(|| hold_alone(&entry.path())).flatten();
            rubbish.extend(held.map(|held| (held, entry.path())));
        }
        // Ours alone and on no list: others need not wait until it is gone.
        drop(store_lock);
        for (_held, folder) in rubbish {
            // What cannot be removed now is rubbish still, for the next one who opens.
            fs::remove_dir_all(folder).ok();
        }
        Ok(())
    }

    fn lock(&self, how: impl Fn(&File) -> io::Result<()>) -> Result<File> {
        let path = self.root.join("lock");
        let file = File::options().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|error| unusable(&self.root, &error))?;
        lock(&file, how).map_err(|error| Error::io(path.display(), &error))?;
        Ok(file)
    }

    fn read(&self) -> Result<List> {
        let list = read_json(&self.root.join("images.json"));
        let list = list.map_err(|error| {
            error.hint("mend it, or remove it and import the images again")
        });
        Ok(list?.unwrap_or_default())
    }

    fn folder(&self, id: &str) -> PathBuf {
        self.root.join("images").join(id)
    }
}

/// An image that is being made. Dropped before it is kept, it is gone.
#[derive(Debug)]
pub(crate) struct Draft {
    id: String,
    folder: PathBuf,
    held: File,
    kept: bool,
}

impl Draft {
    /// Where its files go.
    pub(crate) fn rootfs(&self) -> PathBuf {
        self.folder.join("rootfs")
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            // What stays is rubbish, for the next one who opens the store.
            fs::remove_dir_all(&self.folder).ok();
        }
    }
}

fn make_folder(path: &Path, mode: u32) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(mode).create(path);
    made.map_err(|error| unusable(path, &error))
}

/// Why `path` cannot be the store, or be in it.
fn unusable(path: &Path, error: &io::Error) -> Error {
    let path = path.display();
    let elsewhere = "or put the store elsewhere with --root DIR";
    match error.kind() {
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
            Error::input(format!("{path} cannot be the store: it is not a directory"))
                .hint("--root takes a directory, which is made if it is not there")
        }
        ErrorKind::PermissionDenied => {
            Error::io(path, error).hint(format!("run it with sudo, {elsewhere}"))
        }
        ErrorKind::ReadOnlyFilesystem | ErrorKind::StorageFull => {
            Error::io(path, error).hint(format!("make room there, {elsewhere}"))
        }
        _ => Error::io(path, error),
    }
}

fn unknown(name: &Name, list: &List) -> Error {
    let known = list.images.keys().filter_map(|name| Name::parse(name).ok());
    let known: Vec<String> = known.map(|name| name.to_string()).collect();
    let known = match known.is_empty() {
        true => format!("there is only `{HOST}`, built in"),
        false => format!("known are {} (and `{HOST}`, built in)", known.join(", ")),
    };
    Error::input(format!("no image called \"{name}\": {known}"))
        .hint(format!("fakedocker import TARBALL {name}"))
}
