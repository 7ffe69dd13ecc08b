//! Where do layers lie unpacked, and how do they get there whole?
//!
//! ```text
//! ROOT/layers/HEX        a layer's files, as overlayfs wants them, read by every container on it
//! ROOT/layers/HEX.json   which layer that is, and how much is in it
//! ROOT/drafts/HEX        the same while it is being unpacked, locked by whoever does that
//! ```
//!
//! A layer is called by the beginning of its ChainID, which stands for it and all below it: what
//! is made of a layer depends on those, for archives leave out folders that are there already. The
//! names are short because mount(2) takes one page of options: 128 of them must fit.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use image::Digest;
use image::unpack::{self, Unpacked};
use serde::{Deserialize, Serialize};
use stage::{Error, Result};
use user::Numbers;

use crate::decode::decode;
use crate::disk::{hold_alone, is_at, lock, random_id, read_json, write_json};
use crate::sys;

/// Hexadecimal digits in a layer's name: nobody finds two layers that agree in so many.
const DIGITS: usize = 24;

/// The folder of all layers, and that of those in the making.
#[derive(Debug, Clone)]
pub struct Layers {
    ready: PathBuf,
    drafts: PathBuf,
}

/// A layer that is ready.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Layer {
    /// Which one.
    pub chain_id: Digest,
    /// The bytes in its files.
    pub size: u64,
}

impl Layers {
    /// Those of the store in `root`.
    pub fn open(root: &Path) -> Result<Layers> {
        let layers = Layers { ready: root.join("layers"), drafts: root.join("drafts") };
        for folder in [&layers.ready, &layers.drafts] {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|error| Error::io(folder.display(), &error))?;
        }
        Ok(layers)
    }

    /// Where the files of a layer are, when it is ready.
    pub fn path(&self, chain_id: &Digest) -> PathBuf {
        self.ready.join(&chain_id.hex()[..DIGITS])
    }

    /// What is known of a layer, if it is ready.
    pub fn find(&self, chain_id: &Digest) -> Result<Option<Layer>> {
        let path = self.path(chain_id);
        if !path.exists() {
            return Ok(None);
        }
        match read_json::<Layer>(&path.with_extension("json"))? {
            Some(layer) if layer.chain_id == *chain_id => Ok(Some(layer)),
            _ => Err(Error::input(format!("{} is not layer {chain_id}", path.display()))
                .hint("nobody but the engine should write there: remove it")),
        }
    }

    /// Begin the layer `chain_id`; None if somebody else was faster.
    pub fn begin(&self, chain_id: &Digest) -> Result<Option<Draft>> {
        let draft = self.draft(&chain_id.hex()[..DIGITS])?;
        Ok(if self.find(chain_id)?.is_some() { None } else { Some(draft) })
    }

    /// Begin a layer whose name is known when it is made.
    pub fn begin_unnamed(&self) -> Result<Draft> {
        self.draft(&random_id(DIGITS / 2)?)
    }

    /// A folder that is rubbish until somebody keeps it: empty, and ours alone.
    fn draft(&self, name: &str) -> Result<Draft> {
        let path = self.drafts.join(name);
        let failed = |error| Error::io(path.display(), &error);
        loop {
            match DirBuilder::new().mode(0o755).create(&path) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(failed(error));
                }
                _ => {}
            }
            let held = match File::open(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                held => held.map_err(failed)?,
            };
            lock(&held, File::lock).map_err(failed)?;
            // Who had it before us may have removed it, or made a layer of it.
            if is_at(&held, &path) {
                empty(&path).map_err(failed)?;
                return Ok(Draft { path, held, unpacked: Unpacked::default() });
            }
        }
    }

    /// Take away what killed engines were unpacking.
    pub fn sweep(&self) -> Result<()> {
        for path in listed(&self.drafts)? {
            let Some(held) = hold_alone(&path).filter(|held| is_at(held, &path)) else {
                continue;
            };
            // What cannot be removed now is rubbish still, for the next one who opens.
            fs::remove_dir_all(&path).ok();
            drop(held);
        }
        Ok(())
    }

    /// Take away the layers that `wanted` does not want. Nobody may be about to use one.
    pub fn retain(&self, wanted: impl Fn(&Path) -> bool) -> Result<()> {
        for path in listed(&self.ready)? {
            if path.extension().is_some() {
                // Written first, and the layer never came: then nobody wants it.
                let layer = path.with_extension("");
                if !layer
                    .try_exists()
                    .map_err(|error| Error::io(layer.display(), &error))?
                {
                    fs::remove_file(&path).ok();
                }
                continue;
            }
            if wanted(&path) {
                continue;
            }
            // Under a name that means nothing: half a layer must not be taken for a whole one.
            let rubbish = self.drafts.join(random_id(DIGITS / 2)?);
            let moved = fs::rename(&path, &rubbish);
            moved.map_err(|error| Error::io(path.display(), &error))?;
            fs::remove_file(path.with_extension("json")).ok();
            fs::remove_dir_all(&rubbish).ok();
        }
        Ok(())
    }

    /// Let `drafts` be layers, all of them on the disk before any has its name.
    pub fn keep(&self, drafts: Vec<(Digest, Draft)>) -> Result<()> {
        let Some((_, first)) = drafts.first() else { return Ok(()) };
        let synced = sys::files::sync_file_system(&first.held);
        synced.map_err(|error| Error::io(first.path.display(), &error))?;
        for (chain_id, draft) in drafts {
            let path = self.path(&chain_id);
            let layer = Layer { chain_id, size: draft.unpacked.size };
            write_json(&path.with_extension("json"), &layer)?;
            match fs::rename(&draft.path, &path) {
                // Somebody else has made it meanwhile, from an archive without a name.
                Err(error) if is_there(&error) => {}
                renamed => renamed.map_err(|error| Error::io(path.display(), &error))?,
            }
        }
        Ok(())
    }
}

/// A layer in the making. Dropped before it is kept, it is gone.
#[derive(Debug)]
pub struct Draft {
    path: PathBuf,
    held: File,
    unpacked: Unpacked,
}

impl Draft {
    /// Where its files are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the archive had nothing in it.
    pub fn is_empty(&self) -> bool {
        self.unpacked.members == 0
    }

    /// Unpack the layer `blob`, compressed or not, above `below` (the lowest first); the digest
    /// of the plain archive.
    pub fn fill(
        &mut self,
        blob: Box<dyn Read + Send>,
        below: &[PathBuf],
    ) -> Result<Digest> {
        let mut archive = decode(blob)?;
        let numbers = Numbers::here()?;
        self.unpacked = unpack::unpack(&mut archive, &self.path, below, &numbers)?;
        for (what, (count, first)) in &self.unpacked.left_out {
            stage::warn(format!("{what} left out: {count}, the first is {first}"));
        }
        let unread = || Error::input("something follows the end of the archive");
        archive.digest().cloned().ok_or_else(unread)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Not if it has become a layer. What stays is rubbish, for the next one who opens.
        if is_at(&self.held, &self.path) {
            fs::remove_dir_all(&self.path).ok();
        }
    }
}

fn is_there(error: &io::Error) -> bool {
    [ErrorKind::DirectoryNotEmpty, ErrorKind::AlreadyExists].contains(&error.kind())
}

fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| Error::io(folder.display(), &error);
    let entries = fs::read_dir(folder).map_err(failed)?;
    entries.map(|entry| Ok(entry.map_err(failed)?.path())).collect()
}
