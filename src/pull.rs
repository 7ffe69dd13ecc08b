//! How does an image get here from a registry?
//!
//! Its manifest first, which says what else there is; then the blobs, several at once, aside
//! (`store/incoming.rs`); and when all of them are the right ones, they become an image.
//!
//! | file | its question |
//! |---|---|
//! | `choose.rs` | which image is meant by a name? |
//! | `fetch.rs` | how does a blob get here whole? |
//! | `need.rs` | when is an image got before it is run? |

use std::sync::atomic::AtomicBool;

use image::Digest;
use image::manifest::{Config, Descriptor, Platform};
use indicatif::ProgressBar;
use stage::{Error, Result};

use crate::images;
pub use crate::registry::progress::Audience;
use crate::registry::progress::Progress;
use crate::registry::several::each_once;
use crate::registry::{self, Access, Registry, Trouble};
use crate::store::incoming::{Whole, forget};
use crate::store::{Image, Making, Name, Store};
use choose::Found;

mod choose;
mod fetch;
mod need;

pub use choose::platform;
pub use need::{When, provide};

/// What the command line asks for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How the registry is asked.
    pub registry: registry::Options,
    /// Machines that the image is to be for [default: this one].
    pub platform: Option<Platform>,
    /// Who is told how far it is.
    pub audience: Audience,
}

/// An image that is here now.
#[derive(Debug)]
pub struct Pulled {
    /// It.
    pub image: Image,
    /// What its name leads to at the registry: its manifest's digest, or an index's.
    pub digest: Digest,
    /// It was not here before.
    pub is_new: bool,
}

/// Get the image `name` from its registry.
///
/// When a connection breaks, what has arrived is kept, for the next pull to go on with. Any other
/// failure leaves the store as it was.
pub fn pull(store: &Store, name: &Name, options: &Options) -> Result<Pulled> {
    let pulled = get(store, name, options)?;
    images::tell_of_registry(store, "pull", name);
    Ok(pulled)
}

fn get(store: &Store, name: &Name, options: &Options) -> Result<Pulled> {
    if name.is_host() {
        return Err(Error::input("`host` is the machine itself: it is in no registry"));
    }
    let work = store.making()?;
    let progress = Progress::new(options.audience);
    let asking = progress.wait("asking the registry");
    let asked = ask(name, options);
    asking.finish_and_clear();
    let (registry, found) = asked?;
    let digest = found.digest.clone();
    if let Some(image) = present(store, name, &found) {
        return Ok(Pulled { image, digest, is_new: false });
    }
    let brought = bring(store, &registry, &found, options, &progress);
    let blobs = brought.map_err(|trouble| give_up(store, &found, trouble))?;
    let unpacking = progress.wait("unpacking");
    let added = add(store, &work, name, &found, &blobs);
    unpacking.finish_and_clear();
    let forget = |_: &Error| found.blobs().for_each(|blob| forget(store, blob));
    let image = added.inspect_err(forget)?;
    Ok(Pulled { image, digest, is_new: true })
}

/// The registry, and what it has under this name.
fn ask(name: &Name, options: &Options) -> Result<(Registry, Found)> {
    let registry = Registry::connect(name, Access::Pull, &options.registry)?;
    let machine = options.platform.clone().unwrap_or_else(Platform::here);
    let found = choose::find(&registry, name, &machine)?;
    Ok((registry, found))
}

impl Pulled {
    /// What Docker says of it.
    pub fn lines(&self, name: &Name) -> [String; 2] {
        let status = match self.is_new {
            true => "Downloaded newer image for",
            false => "Image is up to date for",
        };
        [format!("Digest: {}", self.digest), format!("Status: {status} {}", name.full())]
    }
}

impl Found {
    /// All that its manifest leads to.
    fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        self.parts.layers.iter().chain([&self.parts.config])
    }
}

/// The image that we have under this name, if it is this one.
fn present(store: &Store, name: &Name, found: &Found) -> Option<Image> {
    let image = store.image(name.full()).ok()?;
    let same = image.manifest.digest == found.manifest.digest;
    (same && image.name.as_ref() == Some(name)).then_some(image)
}

/// Bring all blobs that the layout does not have.
fn bring(
    store: &Store,
    registry: &Registry,
    found: &Found,
    options: &Options,
    progress: &Progress,
) -> Result<Vec<Whole>, Trouble> {
    let parts = &found.parts;
    let (bar, stop) = (ProgressBar::hidden(), AtomicBool::new(false));
    let config = fetch::bring(store, registry, &parts.config, &bar, &stop)?;
    let text = match &config {
        Some(whole) => whole.text()?,
        None => store.layout().read(&parts.config)?,
    };
    let asked = options.platform.as_ref();
    choose::check_config(&Config::parse(&text)?, parts.layers.len(), asked)?;
    let layers: Vec<&Descriptor> = parts.layers.iter().collect();
    let brought = each_once(&layers, |layer, stop| {
        fetch::layer(store, registry, layer, progress, stop)
    })?;
    Ok(brought.into_iter().chain([config]).flatten().collect())
}

fn add(
    store: &Store,
    work: &Making,
    name: &Name,
    found: &Found,
    blobs: &[Whole],
) -> Result<Image> {
    let layout = store.layout();
    blobs.iter().try_for_each(|blob| blob.settle(layout))?;
    layout.put(&found.manifest.media_type, &found.text)?;
    store.add(work, &found.manifest, std::slice::from_ref(name))
}

/// After a failure: what may go on stays, what cannot goes.
fn give_up(store: &Store, found: &Found, trouble: Trouble) -> Error {
    match trouble {
        Trouble::Broken(error) => {
            error.hint("what has arrived is kept: the next pull goes on from there")
        }
        Trouble::Refused(error) => {
            found.blobs().for_each(|blob| forget(store, blob));
            error
        }
    }
}
