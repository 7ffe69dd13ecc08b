//! Where do images live, and who may take them away?
//!
//! ```text
//! ROOT/lock              held while the list is read or changed
//! ROOT/using             held, shared, by whoever relies on what is on no list yet
//! ROOT/rubbish           there is something to collect, as soon as nobody does
//! ROOT/oci-layout        and index.json, blobs: an image layout (lesson 21), with each image under
//!                        its full name; one without a name is dangling
//! ROOT/incoming/DIGEST   a blob on its way: a later pull goes on with it
//! ROOT/layers, drafts    layers unpacked (`store/layers.rs`)
//! ```
//!
//! What is wanted is what the list leads to, and the layers that containers stand on
//! (`container.rs`). The rest is collected when somebody removes an image, and when nobody is about
//! to use it. The kernel drops a lock with its last descriptor (flock(2)), however the holder
//! ended.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use image::manifest::{Config, Descriptor, Index, Manifest, REF_NAME};
use image::{Digest, Layout};
use stage::{Error, Result};

use crate::build::cache;
use crate::container;
use crate::disk::{lock, sync_folder};

pub mod aside;
pub(crate) mod incoming;
pub mod layers;
mod name;

use layers::Layers;
pub use name::{HOST, Name};

/// Where the store is, unless the user says otherwise.
pub const ROOT: &str = "/var/lib/fakedocker";

/// A store of images.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    layout: Layout,
    layers: Layers,
}

/// While it lives, nothing is collected.
#[derive(Debug)]
pub struct Work {
    _using: File,
}

/// The same for who puts blobs and layers there. Dropped, what is on no list by then goes; if we
/// are killed, by the next command.
#[derive(Debug)]
pub struct Making<'s> {
    store: &'s Store,
    work: Option<Work>,
}

/// An image on the list.
#[derive(Debug, Clone)]
pub struct Image {
    /// What it is called; None if it is dangling, or was found by its ID.
    pub name: Option<Name>,
    /// Its manifest.
    pub manifest: Descriptor,
    /// The digest of its configuration, by which it is known.
    pub id: Digest,
    /// How to run it.
    pub config: Config,
    /// Its files: each layer's, the lowest first.
    pub layers: Vec<PathBuf>,
    /// The bytes in its files, layer by layer.
    pub sizes: Vec<u64>,
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        drop(self.work.take());
        // What stays is collected by the next command.
        self.store.collect().ok();
    }
}

impl Image {
    /// The bytes in its files.
    pub fn size(&self) -> u64 {
        self.sizes.iter().sum()
    }
}

impl Store {
    /// Open the store in the folder `root`, or make it, and remove the rubbish in it.
    pub fn open(root: &Path) -> Result<Store> {
        // Containers' users may pass through, and see nothing.
        make_folder(root, 0o711)?;
        let root = root.canonicalize().map_err(|error| unusable(root, &error))?;
        make_folder(&root.join("incoming"), 0o700)?;
        let layout = Layout::open(&root)?;
        let layers = Layers::open(&root)?;
        let store = Store { root, layout, layers };
        store.layers.sweep()?;
        if store.rubbish().exists()
            && let Err(error) = store.collect()
        {
            stage::warn(format!("rubbish stays in {}: {error}", store.root.display()));
        }
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

    /// Manifests, configurations and layers as they travel.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Layers unpacked.
    pub fn layers(&self) -> &Layers {
        &self.layers
    }

    /// The folder of blobs on their way.
    pub fn incoming(&self) -> PathBuf {
        self.root.join("incoming")
    }

    /// While this is held, nobody else makes a container or removes one.
    pub fn lock_containers(&self) -> Result<File> {
        self.lock("lock", File::lock)
    }

    /// To be held before a blob or a layer is looked for, and until a list or a container has it.
    pub fn work(&self) -> Result<Work> {
        Ok(Work { _using: self.lock("using", File::lock_shared)? })
    }

    /// To be held by whoever makes blobs or layers, until a list or a container has them.
    pub fn making(&self) -> Result<Making<'_>> {
        let work = Some(self.work()?);
        self.note_rubbish()?;
        Ok(Making { store: self, work })
    }

    /// Whether an image has this name.
    pub fn lists(&self, name: &Name) -> Result<bool> {
        let entries = self.list()?.manifests;
        Ok(entries.iter().any(|entry| name_of(entry).as_ref() == Some(name)))
    }

    /// The image `which`: a name, an ID or the beginning of one.
    pub fn image(&self, which: &str) -> Result<Image> {
        match self.find(which)? {
            Some(image) => Ok(image),
            None => Err(unknown(&Name::parse(which)?, &self.list()?)),
        }
    }

    /// The same, if there is one.
    pub fn find(&self, which: &str) -> Result<Option<Image>> {
        // What the list leads to must not go before we have read it.
        let _work = self.work()?;
        let index = self.list()?;
        let name = Name::parse(which);
        if name.as_ref().is_ok_and(Name::is_host) {
            return Err(Error::input("`host` is the machine itself: it is in no store"));
        }
        let named = name.as_ref().ok().and_then(|name| {
            index.manifests.iter().find(|entry| name_of(entry).as_ref() == Some(name))
        });
        match named {
            Some(entry) => self.read(entry).map(Some),
            None => {
                let image = self.by_id(which, &index)?;
                Ok(image.map(|image| Image { name: None, ..image }))
            }
        }
    }

    /// All images: those with names by these, then those without.
    pub fn images(&self) -> Result<Vec<Image>> {
        let _work = self.work()?;
        let entries = self.list()?.manifests;
        let mut images =
            entries.iter().map(|entry| self.read(entry)).collect::<Result<Vec<_>>>()?;
        images.sort_by(|one, other| {
            let key = |image: &Image| (image.name.is_none(), image.name.clone());
            key(one).cmp(&key(other))
        });
        Ok(images)
    }

    /// Unpack what is not unpacked yet of the image whose blobs are all here, and put it on the
    /// list under these names; without one it is dangling.
    pub fn add(
        &self,
        work: &Making,
        manifest: &Descriptor,
        names: &[Name],
    ) -> Result<Image> {
        self.unlisted(work, manifest)?;
        self.keep(manifest, names)
    }

    /// The same, but on no list: it stays as long as the work, or if the cache knows it.
    pub fn unlisted(&self, _work: &Making, manifest: &Descriptor) -> Result<Image> {
        let text = self.layout.read(manifest)?;
        let parts = Manifest::parse(&text)?;
        let config = Config::parse(&self.layout.read(&parts.config)?)?;
        self.unpack(&parts, &config)?;
        self.read(manifest)
    }

    /// Put an image on the list whose layers are all unpacked.
    pub fn keep(&self, manifest: &Descriptor, names: &[Name]) -> Result<Image> {
        let manifest = Descriptor { annotations: BTreeMap::new(), ..manifest.clone() };
        self.change(|index| {
            for name in names {
                set_name(index, &manifest, name);
            }
            if !index.manifests.iter().any(|entry| entry.digest == manifest.digest) {
                index.manifests.push(manifest.clone());
            }
        })?;
        let image = self.read(&manifest)?;
        Ok(Image { name: names.first().cloned(), ..image })
    }

    /// Change the list.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Index) -> T) -> Result<T> {
        let _lock = self.lock("lock", File::lock)?;
        let mut index = self.read_list()?;
        let before = index.clone();
        let result = change(&mut index);
        if index != before {
            // It is written aside, and that stays if we are killed.
            self.note_rubbish()?;
            self.layout.set_index(&index)?;
            sync_folder(&self.root)?;
        }
        Ok(result)
    }

    /// Take away blobs and layers that nobody wants. If somebody may be about to, a later command
    /// does it.
    pub fn collect(&self) -> Result<()> {
        self.note_rubbish()?;
        let using = self.open_lock("using")?;
        if using.try_lock().is_err() {
            return Ok(());
        }
        let _lock = self.lock("lock", File::lock)?;
        let (blobs, mut folders) = self.wanted()?;
        folders.extend(container::layers_in_use(self)?);
        self.layers.retain(|folder| folders.contains(folder))?;
        let is_wanted =
            |path: &Path| path.file_name().is_some_and(|name| blobs.contains(name));
        remove_all(&self.layout.blobs(), |path| !is_wanted(path))?;
        remove_all(&self.incoming(), |path| !incoming::is_part(path))?;
        remove_all(&self.root, |path| path.extension().is_some_and(|end| end == "new"))?;
        let rubbish = self.rubbish();
        match fs::remove_file(&rubbish) {
            // Somebody else has collected since we noted it.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(|error| Error::io(rubbish.display(), &error)),
        }
    }

    fn note_rubbish(&self) -> Result<()> {
        let rubbish = self.rubbish();
        let noted = File::create(&rubbish).map(drop);
        noted.map_err(|error| Error::io(rubbish.display(), &error))
    }

    /// The names of the blobs and the folders of the layers that the list leads to.
    fn wanted(&self) -> Result<(BTreeSet<OsString>, BTreeSet<PathBuf>)> {
        let (mut blobs, mut folders) = (BTreeSet::new(), BTreeSet::new());
        // What was built (`build/cache.rs`) is wanted, too.
        let built = cache::roots(self)?;
        for entry in self.read_list()?.manifests.iter().chain(&built) {
            let parts = Manifest::parse(&self.layout.read(entry)?)?;
            let config = Config::parse(&self.layout.read(&parts.config)?)?;
            let all = parts.layers.iter().chain([&parts.config, entry]);
            blobs.extend(all.map(|blob| blob.digest.hex().into()));
            folders
                .extend(config.chain_ids().map(|chain_id| self.layers.path(&chain_id)));
        }
        Ok((blobs, folders))
    }

    /// Unpack the layers that are not there yet.
    fn unpack(&self, parts: &Manifest, config: &Config) -> Result<()> {
        let (count, described) = (parts.layers.len(), config.rootfs.diff_ids.len());
        if count != described {
            return Err(Error::input(format!(
                "the manifest has {count} layers, and the configuration {described}"
            )));
        }
        let (mut drafts, mut below) = (Vec::new(), Vec::new());
        let layers =
            parts.layers.iter().zip(&config.rootfs.diff_ids).zip(config.chain_ids());
        for ((blob, diff_id), chain_id) in layers {
            let draft = match self.layers.find(&chain_id)? {
                Some(_) => None,
                None => self.layers.begin(&chain_id)?,
            };
            let Some(mut draft) = draft else {
                below.push(self.layers.path(&chain_id));
                continue;
            };
            let path = self.layout.path(&blob.digest);
            let file =
                File::open(&path).map_err(|error| Error::io(path.display(), &error))?;
            let found = draft.fill(Box::new(file), &below);
            let found = found.map_err(|error| error.within(blob.digest.to_string()))?;
            if found != *diff_id {
                return Err(Error::input(format!(
                    "{}: unpacked it is {found}, and not {diff_id} as the configuration says",
                    blob.digest
                )));
            }
            below.push(draft.path().to_path_buf());
            drafts.push((chain_id, draft));
        }
        self.layers.keep(drafts)
    }

    /// What the entry of the list leads to.
    fn read(&self, entry: &Descriptor) -> Result<Image> {
        let parts = Manifest::parse(&self.layout.read(entry)?)?;
        let config = Config::parse(&self.layout.read(&parts.config)?)?;
        let mut sizes = Vec::new();
        for chain_id in config.chain_ids() {
            let layer = self.layers.find(&chain_id)?.ok_or_else(|| {
                Error::input(format!("layer {chain_id} is not there any more"))
                    .hint("get the image again: fakedocker pull, import or load")
            })?;
            sizes.push(layer.size);
        }
        let layers =
            config.chain_ids().map(|chain_id| self.layers.path(&chain_id)).collect();
        let (name, id) = (name_of(entry), parts.config.digest);
        Ok(Image { name, manifest: entry.clone(), id, config, layers, sizes })
    }

    /// The image whose ID begins with `which`, if there is exactly one.
    fn by_id(&self, which: &str, index: &Index) -> Result<Option<Image>> {
        let digits = which.strip_prefix("sha256:").unwrap_or(which);
        let is_digit =
            |letter: char| letter.is_ascii_hexdigit() && !letter.is_uppercase();
        if digits.is_empty() || !digits.chars().all(is_digit) {
            return Ok(None);
        }
        let mut found: Option<Image> = None;
        for entry in &index.manifests {
            let image = self.read(entry)?;
            match &found {
                _ if !image.id.hex().starts_with(digits) => {}
                Some(other) if other.id != image.id => {
                    return Err(Error::input(format!(
                        "several images begin with {which:?}"
                    ))
                    .hint("give more digits"));
                }
                _ => found = Some(image),
            }
        }
        Ok(found)
    }

    fn list(&self) -> Result<Index> {
        let _lock = self.lock("lock", File::lock_shared)?;
        self.read_list()
    }

    fn read_list(&self) -> Result<Index> {
        let list = self.layout.index();
        list.map_err(|error| error.hint("mend it, or remove it and get the images again"))
    }

    fn lock(&self, name: &str, how: impl Fn(&File) -> io::Result<()>) -> Result<File> {
        let file = self.open_lock(name)?;
        let path = self.root.join(name);
        lock(&file, how).map_err(|error| Error::io(path.display(), &error))?;
        Ok(file)
    }

    fn open_lock(&self, name: &str) -> Result<File> {
        let path = self.root.join(name);
        let file = File::options().write(true).create(true).truncate(false).open(&path);
        file.map_err(|error| unusable(&self.root, &error))
    }

    fn rubbish(&self) -> PathBuf {
        self.root.join("rubbish")
    }
}

/// What an entry of the list is called.
pub(crate) fn name_of(entry: &Descriptor) -> Option<Name> {
    entry.annotations.get(REF_NAME).and_then(|name| Name::parse(name).ok())
}

/// Let `manifest` be called `name`. What was called so is dangling, if it has no other name.
pub(crate) fn set_name(index: &mut Index, manifest: &Descriptor, name: &Name) {
    take_name(index, name);
    let mut entry = manifest.clone();
    entry.annotations.insert(REF_NAME.into(), name.full().into());
    // It has a name now.
    index.manifests.retain(|it| it.digest != entry.digest || name_of(it).is_some());
    index.manifests.push(entry);
}

/// Let nothing be called `name`.
pub(crate) fn take_name(index: &mut Index, name: &Name) {
    let found = index.manifests.iter().position(|it| name_of(it).as_ref() == Some(name));
    let Some(found) = found else { return };
    let mut entry = index.manifests.remove(found);
    if !index.manifests.iter().any(|it| it.digest == entry.digest) {
        entry.annotations.remove(REF_NAME);
        index.manifests.push(entry);
    }
}

fn remove_all(folder: &Path, unwanted: impl Fn(&Path) -> bool) -> Result<()> {
    let failed = |error| Error::io(folder.display(), &error);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if unwanted(&path) {
            fs::remove_file(&path).map_err(|error| Error::io(path.display(), &error))?;
        }
    }
    Ok(())
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

fn unknown(name: &Name, index: &Index) -> Error {
    let known: Vec<String> =
        index.manifests.iter().filter_map(name_of).map(|it| it.to_string()).collect();
    let known = match known.is_empty() {
        true => format!("there is only `{HOST}`, built in"),
        false => format!("known are {} (and `{HOST}`, built in)", known.join(", ")),
    };
    Error::input(format!("no image called \"{name}\": {known}"))
        .hint(format!("fakedocker pull {name}, or fakedocker import TARBALL {name}"))
}
