//! How does an image get from here to a registry?
//!
//! What it is made of first: each blob that the registry does not have. The manifest comes last,
//! byte for byte as it is here, so that its digest stays what it is; with it, the image is there.

use image::manifest::{Descriptor, Manifest};
use indicatif::ProgressBar;
use stage::{Error, Result};

use crate::images;
use crate::registry::progress::{Audience, Progress};
use crate::registry::several::each_once;
use crate::registry::{self, Access, Registry, Trouble};
use crate::store::{Name, Store};

/// What may be asked for.
#[derive(Debug)]
pub struct Options {
    /// How the registry is talked to.
    pub registry: registry::Options,
    /// Who is told how far it is.
    pub audience: Audience,
}

/// Send the image `name` to the registry that its name says. What is pushed: its manifest.
pub fn push(store: &Store, name: &Name, options: &Options) -> Result<Descriptor> {
    let Some(tag) = name.tag() else {
        return Err(Error::input(format!("{name}: an image is pushed by a tag"))
            .hint(format!("fakedocker push {}:TAG", name.repository())));
    };
    // What we send must not go meanwhile.
    let _work = store.work()?;
    let manifest = store.image(name.full())?.manifest;
    let text = store.layout().read(&manifest)?;
    let parts = Manifest::parse(&text)?;
    let registry = Registry::connect(name, Access::Push, &options.registry)?;
    let (host, path) = (name.registry(), name.path());
    if options.audience == Audience::Reader {
        stage::tell(format!("The push refers to repository [{host}/{path}]"))?;
    }
    send_all(store, &registry, &parts, options.audience)
        .and_then(|()| registry.put_manifest(&manifest.media_type, text, tag))
        .map_err(Trouble::error)?;
    images::tell_of_registry(store, "push", name);
    Ok(manifest)
}

fn send_all(
    store: &Store,
    registry: &Registry,
    parts: &Manifest,
    audience: Audience,
) -> Result<(), Trouble> {
    let progress = Progress::new(audience);
    let layers: Vec<&Descriptor> = parts.layers.iter().collect();
    each_once(&layers, |layer, _| {
        let told = progress.begin(layer);
        let sent = send(store, registry, layer, &told.bar)?;
        Ok(told.end(if sent { "Pushed" } else { "Layer already exists" })?)
    })?;
    send(store, registry, &parts.config, &ProgressBar::hidden()).map(drop)
}

/// Send `blob`, unless it is there. False if it was.
fn send(
    store: &Store,
    registry: &Registry,
    blob: &Descriptor,
    bar: &ProgressBar,
) -> Result<bool, Trouble> {
    let is_there = registry.has(blob)?;
    if !is_there {
        registry.upload(blob, store.layout().path(&blob.digest), bar)?;
    }
    Ok(!is_there)
}
