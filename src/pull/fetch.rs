//! How does a blob get here whole?
//!
//! As far as the connection holds, and then from there on: a few times by itself, with growing
//! pauses, and then when somebody pulls again. Not a byte more is taken than the manifest says.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use image::manifest::Descriptor;
use indicatif::ProgressBar;
use stage::{Error, Result};

use crate::registry::progress::Progress;
use crate::registry::{Registry, Trouble};
use crate::store::Store;
use crate::store::incoming::{Incoming, Whole};
use crate::sys;

/// How long a registry, or the network, is left alone before it is tried again.
const PAUSES: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_millis(750), Duration::from_secs(2)];

/// Bring the layer `blob`, and say so. None if the layout has it.
pub(super) fn layer(
    store: &Store,
    registry: &Registry,
    blob: &Descriptor,
    progress: &Progress,
    stop: &AtomicBool,
) -> Result<Option<Whole>, Trouble> {
    let told = progress.begin(blob);
    let whole = bring(store, registry, blob, &told.bar, stop)?;
    told.end(if whole.is_some() { "Pull complete" } else { "Already exists" })?;
    Ok(whole)
}

/// Bring `blob`, unless the layout has it.
pub(super) fn bring(
    store: &Store,
    registry: &Registry,
    blob: &Descriptor,
    bar: &ProgressBar,
    stop: &AtomicBool,
) -> Result<Option<Whole>, Trouble> {
    let Some(mut incoming) = Incoming::begin(store, blob)? else { return Ok(None) };
    let mut pauses = PAUSES.into_iter();
    while incoming.missing() > 0 {
        match receive(registry, blob, &mut incoming, bar, stop) {
            Err(Trouble::Broken(error)) => match pauses.next() {
                // The network is not ours to wait for in any other way.
                Some(pause) if !stop.load(Ordering::Relaxed) => sys::let_pass(pause)?,
                _ => return Err(Trouble::Broken(error)),
            },
            received => received?,
        }
    }
    Ok(Some(incoming.finish()?))
}

fn receive(
    registry: &Registry,
    blob: &Descriptor,
    incoming: &mut Incoming,
    bar: &ProgressBar,
    stop: &AtomicBool,
) -> Result<(), Trouble> {
    let mut sent = registry.blob(blob, incoming.length())?;
    if sent.from != incoming.length() {
        incoming.start_again()?;
    }
    let mut buffer = vec![0; 1 << 16];
    loop {
        bar.set_position(incoming.length());
        let length =
            sent.reader.read(&mut buffer).map_err(|error| registry.broken(error))?;
        if length as u64 > incoming.missing() {
            return Err(wrong_size(blob, "more").into());
        }
        if length == 0 {
            break;
        }
        let written = incoming.write_all(&buffer[..length]);
        written.map_err(|error| Error::io("the store", &error))?;
        if stop.load(Ordering::Relaxed) {
            return Err(Trouble::Broken(Error::input("another layer failed")));
        }
    }
    match incoming.missing() {
        0 => Ok(()),
        // It has said how much it sends, and sent that.
        _ => Err(wrong_size(blob, "less").into()),
    }
}

fn wrong_size(blob: &Descriptor, how: &str) -> Error {
    let Descriptor { digest, size, .. } = blob;
    Error::input(format!("the registry sends {how} than the {size} bytes of {digest}"))
}
