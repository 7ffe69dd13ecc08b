//! How does what was written become a layer, and layers an image?
//!
//! The upper layer of an overlay is packed (lesson 21), compressed, and kept under its digest. The
//! configuration names it by the digest that it has uncompressed, which does not depend on who
//! compresses it, and says by which step it was made.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use image::digest::Summing;
use image::manifest::{
    CONFIG, Config, Descriptor, LAYER, MANIFEST, Manifest, Platform, Rootfs, Settings,
    Step,
};
use image::{Digest, files, pack};
use stage::{Error, Result};

use crate::copy::Source;
use crate::store::aside::Aside;
use crate::store::{Image, Store};
use crate::times;

/// What Docker calls a layer that is compressed by gzip.
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// Which files of an upper layer become part of a layer, and whose they are.
pub struct Contents<'c> {
    /// Who has a file in the image that these two have on the disk.
    pub owner: &'c dyn Fn(u32, u32) -> (u32, u32),
    /// The paths that are left out, without a `/` at their beginning.
    pub left_out: &'c dyn Fn(&[u8]) -> bool,
}

impl<'c> Contents<'c> {
    /// All of it, as it is.
    pub fn all() -> Contents<'c> {
        Contents { owner: &|user, group| (user, group), left_out: &|_| false }
    }
}

/// An image in the making.
#[derive(Debug, Clone)]
pub struct Draft {
    /// How it is to be run, what its layers are, and how it was made.
    pub config: Config,
    /// Its layers, the lowest first.
    layers: Vec<Descriptor>,
}

impl Draft {
    /// Nothing.
    pub fn empty() -> Draft {
        let config = Config {
            created: None,
            platform: Platform::here(),
            config: Settings::default(),
            rootfs: Rootfs { kind: "layers".into(), diff_ids: Vec::new() },
            history: Vec::new(),
        };
        Draft { config, layers: Vec::new() }
    }

    /// What the image with this `manifest` is.
    pub fn of(store: &Store, manifest: &Descriptor) -> Result<Draft> {
        let layout = store.layout();
        let parts = Manifest::parse(&layout.read(manifest)?)?;
        let config = Config::parse(&layout.read(&parts.config)?)?;
        let mut layers = parts.layers;
        for layer in &mut layers {
            // The same bytes: in our manifest they have our name.
            if layer.media_type == DOCKER_LAYER {
                layer.media_type = format!("{LAYER}+gzip");
            }
        }
        Ok(Draft { config, layers })
    }

    /// Let what was written to `upper` be its topmost layer.
    pub fn grow(
        &mut self,
        store: &Store,
        upper: &Path,
        contents: &Contents,
    ) -> Result<()> {
        let (layer, diff_id) = keep(store, upper, contents)?;
        self.add(layer, diff_id);
        Ok(())
    }

    /// Let the blob `layer`, whose plain archive has the digest `diff_id`, be its topmost layer.
    pub fn add(&mut self, layer: Descriptor, diff_id: Digest) {
        self.layers.push(layer);
        self.config.rootfs.diff_ids.push(diff_id);
    }

    /// The same for a build, whose layers are nobody else's: with SOURCE_DATE_EPOCH, nothing in
    /// them is newer than that (reproducible-builds.org, "SOURCE_DATE_EPOCH").
    pub fn grow_in_build(
        &mut self,
        store: &Store,
        upper: &Path,
        contents: &Contents,
    ) -> Result<()> {
        if let Some(latest) = times::epoch() {
            let top = File::open(upper).and_then(|top| {
                age(&top, latest)?;
                files::set_open_modified(&top, (latest, 0))
            });
            top.map_err(|error| Error::io(upper.display(), &error))?;
        }
        self.grow(store, upper, contents)
    }

    /// It was made by this `step`, now.
    pub fn note(&mut self, step: Step) {
        let created = Some(times::now());
        self.config.created.clone_from(&created);
        self.config.history.push(Step { created, ..step });
    }

    /// Keep its manifest and its configuration.
    pub fn keep(&self, store: &Store) -> Result<Descriptor> {
        let layout = store.layout();
        let config = layout.put_json(CONFIG, &self.config)?;
        layout.put_json(MANIFEST, &Manifest::new(config, self.layers.clone()))
    }
}

/// The layers of an image as an overlay wants them: the topmost first.
pub fn lower(image: &Image) -> Vec<PathBuf> {
    image.layers.iter().rev().cloned().collect()
}

/// Pack, compress and keep what is in `upper`: the blob, and the plain archive's digest.
pub fn keep(
    store: &Store,
    upper: &Path,
    contents: &Contents,
) -> Result<(Descriptor, Digest)> {
    let aside = Aside::make(store)?;
    // Neither a time nor a name: the same files are to make the same blob.
    let gzip: GzEncoder<_> =
        GzBuilder::new().mtime(0).write(aside.writer(), Compression::default());
    let mut plain = Summing::new(gzip);
    pack::pack_without(upper, &mut plain, contents.owner, contents.left_out)?;
    let (diff_id, _, gzip) = plain.finish();
    gzip.finish().map_err(|error| Error::io("write", &error))?;
    let (digest, size) = aside.sum();
    aside.keep(store)?;
    Ok((Descriptor::new(&format!("{LAYER}+gzip"), digest, size), diff_id))
}

/// Let nothing in `folder` be newer than `latest`, in seconds since 1970.
fn age(folder: &impl AsFd, latest: i64) -> io::Result<()> {
    for name in files::names(folder)? {
        let found = Source::at(folder, &name)?;
        if found.about.is_dir() {
            age(&found.open()?, latest)?;
        }
        // Whiteouts have no time in an archive, and may be the same file in many places.
        if found.about.mtime() >= latest && found.about.rdev() == 0 {
            files::set_modified(folder, &name, (latest, 0))?;
        }
    }
    Ok(())
}
