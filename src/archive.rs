//! How does an image travel in one file?
//!
//! `save` writes an image layout (lesson 21) as a tar archive, with Docker's older manifest.json in
//! it, so that everybody can read it: `docker load`, `podman load`, `skopeo` as `oci-archive:` and as
//! `docker-archive:`. `load` reads both forms, also those in which a layer is a folder's layer.tar.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use image::layout::{self, LONGEST_TEXT, VERSION};
use image::manifest::{
    CONFIG, Config, DOCKER_INDEX, Descriptor, INDEX, Index, LAYER, MANIFEST, Manifest,
    Platform, REF_NAME,
};
use image::{Digest, shown};
use indicatif::ProgressBar;
use mount::target::Root;
use serde::{Deserialize, Serialize};
use stage::{Error, Result};
use tar::{Builder, EntryType, Header};

use crate::bars::{self, Watched};
use crate::decode::Compression;
use crate::images;
use crate::import;
use crate::store::aside::Aside;
use crate::store::{Image, Making, Name, Store};

/// An image in Docker's manifest.json.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    /// Where its configuration is in the archive.
    config: PathBuf,
    /// Its names.
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    /// Where its layers are, the lowest first.
    layers: Vec<PathBuf>,
}

/// Write the images `which` as one archive, to what `out` opens when all of them are found.
pub fn save<W: Write>(
    store: &Store,
    which: &[String],
    out: impl FnOnce() -> Result<W>,
) -> Result<()> {
    let _work = store.work()?;
    let images = which.iter().map(|which| store.image(which));
    let images = images.collect::<Result<Vec<_>>>()?;
    let mut archive = Builder::new(out()?);
    let (mut index, mut entries) = (Index::default(), Vec::<Entry>::new());
    let mut blobs: Vec<Descriptor> = Vec::new();
    for image in &images {
        let parts = Manifest::parse(&store.layout().read(&image.manifest)?)?;
        index.manifests.push(named(image));
        entries.push(entry(image, &parts));
        let all = parts.layers.iter().chain([&parts.config, &image.manifest]);
        blobs.extend(all.cloned());
    }
    blobs.sort_by(|one, other| one.digest.cmp(&other.digest));
    blobs.dedup_by(|one, other| one.digest == other.digest);
    let bar = bars::bytes("saving", Some(blobs.iter().map(|blob| blob.size).sum()));
    for blob in &blobs {
        let path = store.layout().path(&blob.digest);
        let file =
            File::open(&path).map_err(|error| Error::io(path.display(), &error))?;
        let file = Watched::new(file, &bar);
        append(&mut archive, &place_of(&blob.digest), blob.size, file)?;
    }
    bar.finish_and_clear();
    finish(archive, &index, &entries)?;
    images.iter().for_each(|it| images::tell(store, "save", it, it.name.as_ref()));
    Ok(())
}

/// Deeper than that, indexes in indexes lead to no image.
const DEEPEST: usize = 3;

/// What leads to its blobs, in both forms.
fn finish<W: Write>(
    mut archive: Builder<W>,
    index: &Index,
    entries: &[Entry],
) -> Result<()> {
    for (name, text) in [
        ("index.json", serde_json::to_vec(index).map_err(Error::input)?),
        ("manifest.json", serde_json::to_vec(entries).map_err(Error::input)?),
        ("oci-layout", VERSION.into()),
    ] {
        append(&mut archive, Path::new(name), text.len() as u64, &text[..])?;
    }
    let flushed = archive.into_inner().and_then(|mut out| out.flush());
    flushed.map_err(|error| Error::io("write", &error))
}

/// The image as the archive's index has it: with its name, if that was what was asked for.
fn named(image: &Image) -> Descriptor {
    let mut entry = image.manifest.clone();
    entry.annotations.remove(REF_NAME);
    if let Some(name) = &image.name {
        entry.annotations.insert(REF_NAME.into(), name.full().into());
    }
    entry
}

fn entry(image: &Image, parts: &Manifest) -> Entry {
    let layers = parts.layers.iter().map(|layer| place_of(&layer.digest)).collect();
    let names = image.name.iter().map(|name| name.full().into()).collect();
    Entry { config: place_of(&image.id), repo_tags: Some(names), layers }
}

fn place_of(digest: &Digest) -> PathBuf {
    Path::new("blobs/sha256").join(digest.hex())
}

fn append(
    archive: &mut Builder<impl Write>,
    path: &Path,
    size: u64,
    content: impl Read,
) -> Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    let written = archive.append_data(&mut header, path, content);
    written.map_err(|error| Error::io("write", &error))
}

/// Put all images of the archive `source` (`-` for standard input) into the store.
///
/// `quiet`: without showing how far it is.
pub fn load(store: &Store, source: &Path, quiet: bool) -> Result<Vec<Image>> {
    let (reader, length) = import::open(source)?;
    let work = store.making()?;
    let hidden = ProgressBar::hidden;
    let bar = if quiet { hidden() } else { bars::bytes("loading", length) };
    // What a stranger has packed is unpacked like a layer: no name leads out of the draft.
    let mut draft = store.layers().begin_unnamed()?;
    let unpacked = draft.fill(Box::new(Watched::new(reader, &bar)), &[]);
    bar.finish_and_clear();
    let unpacking = if quiet { hidden() } else { bars::endless("unpacking") };
    let loaded = unpacked.and_then(|_| {
        let root = Root::open(draft.path())?;
        Archive { root, store, work: &work }.load()
    });
    unpacking.finish_and_clear();
    let loaded = loaded.map_err(|error| error.within(import::name_of(source)))?;
    loaded.iter().for_each(|it| images::tell(store, "load", it, it.name.as_ref()));
    Ok(loaded)
}

/// An archive that lies unpacked. A link in it may lead to another place there, and nowhere else.
struct Archive<'a> {
    root: Root,
    store: &'a Store,
    work: &'a Making<'a>,
}

impl Archive<'_> {
    fn load(&self) -> Result<Vec<Image>> {
        if let Some(index) = self.root.read(Path::new("index.json"), LONGEST_TEXT)? {
            return self.load_layout(Index::parse(&index)?);
        }
        match self.root.read(Path::new("manifest.json"), LONGEST_TEXT)? {
            Some(text) => self.load_docker(&text),
            None => Err(Error::input(
                "no image archive: it has neither index.json nor manifest.json",
            )
            .hint("a root file system becomes an image by fakedocker import")),
        }
    }

    /// It is an image layout.
    fn load_layout(&self, index: Index) -> Result<Vec<Image>> {
        let mut loaded = Vec::new();
        for (manifest, name) in self.images_of(index, None, DEEPEST)? {
            let parts = Manifest::parse(&self.text(&manifest)?)?;
            for blob in parts.layers.iter().chain([&parts.config, &manifest]) {
                self.adopt(&place_of(&blob.digest), Some(blob))?;
            }
            // A layout of skopeo's has a tag alone there, or nothing.
            let name = name.as_deref().and_then(|name| Name::parse(name).ok());
            loaded.push(self.store.add(self.work, &manifest, name.as_slice())?);
        }
        Ok(loaded)
    }

    /// The images for this machine that `index` leads to, with their names. At most `deepest`
    /// indexes stand in one another.
    fn images_of(
        &self,
        index: Index,
        name: Option<&str>,
        deepest: usize,
    ) -> Result<Vec<(Descriptor, Option<String>)>> {
        let mut found = Vec::new();
        let for_us = |entry: &Descriptor| {
            entry.platform.as_ref().is_none_or(|it| Platform::here().runs(it))
        };
        for entry in index.manifests.into_iter().filter(for_us) {
            let own = entry.annotations.get(REF_NAME).map(String::as_str).or(name);
            let own = own.map(String::from);
            match [INDEX, DOCKER_INDEX].contains(&entry.media_type.as_str()) {
                true if deepest == 0 => {
                    return Err(Error::input(format!(
                        "{} is an index in an index, and so on: no image after {DEEPEST}",
                        entry.digest
                    )));
                }
                true => {
                    let inner = Index::parse(&self.text(&entry)?)?;
                    found.extend(self.images_of(inner, own.as_deref(), deepest - 1)?);
                }
                false => found.push((entry, own)),
            }
        }
        Ok(found)
    }

    /// It is as Docker's older versions have it.
    fn load_docker(&self, text: &[u8]) -> Result<Vec<Image>> {
        let entries: Vec<Entry> = serde_json::from_slice(text).map_err(|error| {
            Error::input(format!("manifest.json is damaged: {error}"))
        })?;
        let mut loaded = Vec::new();
        for Entry { config, repo_tags, layers } in entries {
            let mut text = Vec::new();
            let read = self.open(&config)?.take(LONGEST_TEXT).read_to_end(&mut text);
            read.map_err(|error| Error::io(config.display(), &error))?;
            Config::parse(&text)?;
            let config = self.store.layout().put(CONFIG, &text)?;
            let layers = layers.iter().map(|path| self.adopt(path, None));
            let manifest = Manifest::new(config, layers.collect::<Result<_>>()?);
            let manifest = self.store.layout().put_json(MANIFEST, &manifest)?;
            let names = repo_tags.unwrap_or_default();
            let names =
                names.iter().map(|name| Name::parse(name)).collect::<Result<Vec<_>>>()?;
            loaded.push(self.store.add(self.work, &manifest, &names)?);
        }
        Ok(loaded)
    }

    /// A small blob, compared with its name.
    fn text(&self, blob: &Descriptor) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        let path = place_of(&blob.digest);
        let read = self.open(&path)?.take(LONGEST_TEXT).read_to_end(&mut text);
        read.map_err(|error| Error::io(path.display(), &error))?;
        layout::check(blob, &Digest::of(&text), text.len() as u64)?;
        Ok(text)
    }

    fn open(&self, path: &Path) -> Result<File> {
        let missing = || {
            Error::input(format!(
                "the archive has no {}",
                shown(path.as_os_str().as_encoded_bytes())
            ))
        };
        self.root.readable(path, u64::MAX)?.ok_or_else(missing)
    }

    /// Let the file `path` be a blob of the store: the one that is `expected`, or else a layer.
    fn adopt(&self, path: &Path, expected: Option<&Descriptor>) -> Result<Descriptor> {
        let aside = Aside::make(self.store)?;
        let copied = std::io::copy(&mut self.open(path)?, &mut aside.writer());
        copied.map_err(|error| Error::io(path.display(), &error))?;
        let (digest, size) = aside.sum();
        let media_type = match expected {
            Some(expected) => {
                layout::check(expected, &digest, size)?;
                expected.media_type.clone()
            }
            None => layer_type(self.open(path)?)?,
        };
        aside.keep(self.store)?;
        Ok(Descriptor::new(&media_type, digest, size))
    }
}

fn layer_type(layer: File) -> Result<String> {
    let (compression, _) = Compression::find(Box::new(layer))?;
    let suffix = compression.suffix().ok_or_else(|| {
        Error::input("a layer that is compressed by xz: images have gzip or zstd")
    })?;
    Ok(format!("{LAYER}{suffix}"))
}
