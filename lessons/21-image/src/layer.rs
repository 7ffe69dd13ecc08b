//! How does a layer get into a layout, and out of it again?
//!
//! It has two names. Its DiffID is the digest of the tar archive: what it *is*, whoever has
//! compressed it and however. Its digest is that of the blob: what is stored and sent. Read
//! config.md of the specification, "Layer DiffID".

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use stage::{Error, Result};
use user::Numbers;

use crate::digest::Summing;
use crate::manifest::{Descriptor, LAYER};
use crate::unpack::{Unpacked, unpack};
use crate::{Digest, Layout, layout, pack};

/// A layer that is in a layout.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The blob: a compressed tar archive.
    pub blob: Descriptor,
    /// The digest of the tar archive.
    pub diff_id: Digest,
    /// How long the tar archive is.
    pub length: u64,
}

/// Keep what is in the folder `tree`, an upper layer, as a blob of `layout`. It is written to the
/// file `aside` first, on the same file system.
pub fn keep(layout: &Layout, tree: &Path, aside: &Path) -> Result<Layer> {
    let failed = |error: io::Error| Error::io(aside.display(), &error);
    let file = Summing::new(File::create(aside).map_err(failed)?);
    let mut plain = Summing::new(GzEncoder::new(file, Compression::default()));
    pack::pack(tree, &mut plain, |owner, group| (owner, group))?;
    let (diff_id, length, compressed) = plain.finish();
    let (digest, size, _) = compressed.finish().map_err(failed)?.finish();
    layout.adopt(aside, &digest)?;
    let blob = Descriptor::new(&format!("{LAYER}+gzip"), digest, size);
    Ok(Layer { blob, diff_id, length })
}

/// Unpack the layer `blob` of `layout` into the empty folder `tree`, on the trees `below`. Both
/// names are compared: files of a blob that is not the right one must not be used.
pub fn unpack_blob(
    layout: &Layout,
    blob: &Descriptor,
    diff_id: &Digest,
    tree: &Path,
    below: &[PathBuf],
) -> Result<Unpacked> {
    let stored = Summing::new(open(layout, blob)?);
    let mut plain = Summing::new(MultiGzDecoder::new(BufReader::new(stored)));
    let unpacked = unpack(BufReader::new(&mut plain), tree, below, &Numbers::here()?)?;
    let (found, _, decoder) = plain.finish();
    let (digest, size) = rest_of(blob, decoder.into_inner().into_inner())?;
    layout::check(blob, &digest, size)?;
    match found == *diff_id {
        true => Ok(unpacked),
        false => Err(Error::input(format!(
            "{} is not the layer {diff_id}: its DiffID is {found}",
            blob.digest
        ))),
    }
}

/// Refuse a layer that is not what its name says.
pub fn check(layout: &Layout, blob: &Descriptor) -> Result<()> {
    let (digest, size) = rest_of(blob, Summing::new(open(layout, blob)?))?;
    layout::check(blob, &digest, size)
}

fn open(layout: &Layout, blob: &Descriptor) -> Result<File> {
    let path = layout.path(&blob.digest);
    File::open(&path).map_err(|error| Error::io(path.display(), &error))
}

/// The sum over what was read of the blob, and over what was not.
fn rest_of(blob: &Descriptor, mut stored: Summing<impl Read>) -> Result<(Digest, u64)> {
    let read = io::copy(&mut stored, &mut io::sink());
    read.map_err(|error| Error::io(&blob.digest, &error))?;
    let (digest, size, _) = stored.finish();
    Ok((digest, size))
}
