//! What need not be done once more?
//!
//! A step that was done before on the same image, with the same words and the same files, has made
//! an image that is still there. ROOT/cache.json leads to it by a digest of all that it was made
//! from. `image prune` forgets those that led to no image which is still there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use image::Digest;
use image::manifest::{Config, Descriptor, Manifest};
use stage::Result;

use crate::disk::{read_json, write_json};
use crate::layer::Draft;
use crate::store::Store;

/// The manifests of what was built, each by the digest of what it was made from.
type Known = BTreeMap<Digest, Descriptor>;

/// The manifest of what was made from `key`, if all of it is still there.
pub fn find(store: &Store, key: &Digest) -> Result<Option<Descriptor>> {
    Ok(read(store)?.remove(key).filter(|manifest| is_whole(store, manifest)))
}

/// Remember that the image with this `manifest` was made from `key`.
pub fn remember(store: &Store, key: &Digest, manifest: &Descriptor) -> Result<()> {
    let _lock = store.lock_containers()?;
    let mut known = read(store)?;
    known.insert(key.clone(), manifest.clone());
    write_json(&path(store), &known)
}

/// Forget what no image on the list was built from: the next collection takes it away.
pub fn forget(store: &Store) -> Result<()> {
    let images = store.images()?;
    let leads_somewhere = |manifest: &Descriptor| {
        let history = Draft::of(store, manifest).map(|draft| draft.config.history);
        history.is_ok_and(|history| {
            images.iter().any(|image| image.config.history.starts_with(&history))
        })
    };
    let _lock = store.lock_containers()?;
    let mut known = read(store)?;
    let before = known.len();
    known.retain(|_, manifest| leads_somewhere(manifest));
    match known.len() == before {
        true => Ok(()),
        false => write_json(&path(store), &known),
    }
}

/// The manifests that must not be collected, with all that they lead to.
pub fn roots(store: &Store) -> Result<Vec<Descriptor>> {
    let known = read(store)?.into_values();
    Ok(known.filter(|manifest| is_whole(store, manifest)).collect())
}

/// The layers of each of them, unpacked, and the bytes in each.
pub fn layers(store: &Store) -> Result<Vec<Vec<(PathBuf, u64)>>> {
    let mut all = Vec::new();
    for manifest in roots(store)? {
        let parts = Manifest::parse(&store.layout().read(&manifest)?)?;
        let config = Config::parse(&store.layout().read(&parts.config)?)?;
        let mut layers = Vec::new();
        for id in config.chain_ids() {
            let layer = store.layers().find(&id)?;
            layers.extend(layer.map(|layer| (store.layers().path(&id), layer.size)));
        }
        all.push(layers);
    }
    Ok(all)
}

/// Whether all blobs are there.
fn is_whole(store: &Store, manifest: &Descriptor) -> bool {
    let layout = store.layout();
    let parts = layout.read(manifest).and_then(|text| Manifest::parse(&text));
    parts.is_ok_and(|parts| {
        let mut blobs = parts.layers.iter().chain([&parts.config]);
        blobs.all(|blob| layout.path(&blob.digest).exists())
    })
}

fn read(store: &Store) -> Result<Known> {
    Ok(read_json(&path(store))?.unwrap_or_default())
}

fn path(store: &Store) -> PathBuf {
    store.root().join("cache.json")
}
