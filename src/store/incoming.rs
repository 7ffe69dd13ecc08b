//! How does a blob get here, though the connection may break?
//!
//! ```text
//! ROOT/incoming/sha256-HEX   as much of the blob as there is, locked by whoever brings the rest
//! ```
//!
//! A part stays for a later pull to go on with. So do blobs that are whole, until all of their
//! image are: what lies in the layout belongs to images. Two that want the same blob take turns,
//! and the second one finds it there. Nothing is believed that has not been summed up again.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, Write, sink};
use std::path::{Path, PathBuf};

use image::Digest;
use image::digest::Summing;
use image::layout::{Layout, check, check_length};
use image::manifest::Descriptor;
use stage::{Error, Result};

use super::Store;
use crate::disk::{hold_alone, is_at, lock};

/// What names of parts begin with.
const PART: &str = "sha256-";

/// A blob of which we bring the rest. Nobody else writes to it while this lives.
#[derive(Debug)]
pub(crate) struct Incoming<'b> {
    blob: &'b Descriptor,
    path: PathBuf,
    file: File,
    length: u64,
}

/// A blob that is whole, and the right one.
#[derive(Debug)]
pub(crate) struct Whole {
    digest: Digest,
    path: PathBuf,
    file: File,
}

impl<'b> Incoming<'b> {
    /// Begin with `blob`, or go on with it, when nobody else is at it. None if the layout has it.
    pub(crate) fn begin(store: &Store, blob: &'b Descriptor) -> Result<Option<Self>> {
        let path = path(store, &blob.digest);
        let failed = |error| Error::io(path.display(), &error);
        loop {
            if store.layout().path(&blob.digest).exists() {
                return Ok(None);
            }
            let mut open = File::options();
            open.read(true).write(true).create(true).truncate(false);
            let file = open.open(&path).map_err(failed)?;
            lock(&file, File::lock).map_err(failed)?;
            if store.layout().path(&blob.digest).exists() {
                // Whoever held it has just finished it, and we have begun another one.
                fs::remove_file(&path).ok();
                return Ok(None);
            }
            // Whoever held it may have taken it away.
            if is_at(&file, &path) {
                let length = file.metadata().map_err(failed)?.len();
                let incoming = Incoming { blob, path, file, length };
                return incoming.at_its_end().map(Some);
            }
        }
    }

    fn at_its_end(mut self) -> Result<Self> {
        if self.length > self.blob.size {
            self.start_again()?;
        }
        let end = self.file.seek(io::SeekFrom::End(0));
        end.map_err(|error| self.failed(&error))?;
        Ok(self)
    }

    /// The bytes that are here.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The bytes that are not.
    pub(crate) fn missing(&self) -> u64 {
        self.blob.size.saturating_sub(self.length)
    }

    /// Forget what is here.
    pub(crate) fn start_again(&mut self) -> Result<()> {
        let emptied = self.file.set_len(0).and_then(|()| self.file.rewind());
        emptied.map_err(|error| self.failed(&error))?;
        self.length = 0;
        Ok(())
    }

    /// Sum it up. What is not the blob is removed.
    pub(crate) fn finish(mut self) -> Result<Whole> {
        match self.sum_up() {
            Ok(()) => {
                let Incoming { blob, path, file, .. } = self;
                file.unlock().map_err(|error| Error::io(path.display(), &error))?;
                Ok(Whole { digest: blob.digest.clone(), path, file })
            }
            Err(error) => {
                fs::remove_file(&self.path).ok();
                Err(error)
            }
        }
    }

    fn sum_up(&mut self) -> Result<()> {
        self.file.rewind().map_err(|error| self.failed(&error))?;
        let mut summing = Summing::new(BufReader::with_capacity(1 << 17, &self.file));
        io::copy(&mut summing, &mut sink()).map_err(|error| self.failed(&error))?;
        let (digest, length, _) = summing.finish();
        check(self.blob, &digest, length)
    }

    fn failed(&self, error: &io::Error) -> Error {
        Error::io(self.path.display(), error)
    }
}

impl Write for Incoming<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.file.write(bytes)?;
        self.length += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Whole {
    /// A small one, as it is: a configuration.
    pub(crate) fn text(&self) -> Result<Vec<u8>> {
        let failed = |error| Error::io(self.path.display(), &error);
        let mut file = &self.file;
        check_length(&self.digest, file.metadata().map_err(failed)?.len())?;
        let mut text = Vec::new();
        let read = file.rewind().and_then(|()| file.read_to_end(&mut text));
        read.map(|_| text).map_err(failed)
    }

    /// Put it into the layout.
    pub(crate) fn settle(&self, layout: &Layout) -> Result<()> {
        let locked = lock(&self.file, File::lock);
        locked.map_err(|error| Error::io(self.path.display(), &error))?;
        let settled = layout.path(&self.digest).exists();
        // Ours to move or to remove only if it still is what we have summed up.
        match (is_at(&self.file, &self.path), settled) {
            (true, false) => layout.adopt(&self.path, &self.digest)?,
            (true, true) => drop(fs::remove_file(&self.path)),
            (false, true) => {}
            (false, false) => {
                let gone = format!("another pull has taken away {}", self.digest);
                return Err(Error::input(gone).hint("pull it again"));
            }
        }
        let unlocked = self.file.unlock();
        unlocked.map_err(|error| Error::io(self.path.display(), &error))
    }
}

/// Remove what there is of `blob`, unless somebody is at it.
pub(crate) fn forget(store: &Store, blob: &Descriptor) {
    remove(&path(store, &blob.digest));
}

/// Remove all that nobody is at; how many bytes that was.
pub(crate) fn forget_all(store: &Store) -> Result<u64> {
    let folder = store.incoming();
    let failed = |error| Error::io(folder.display(), &error);
    let mut bytes = 0;
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if is_part(&path) {
            bytes += remove(&path);
        }
    }
    Ok(bytes)
}

/// How many bytes that was.
fn remove(path: &Path) -> u64 {
    let Some(held) = hold_alone(path).filter(|held| is_at(held, path)) else { return 0 };
    let length = held.metadata().map_or(0, |about| about.len());
    // What stays is in nobody's way: a later pull sums it up.
    fs::remove_file(path).map_or(0, |()| length)
}

/// Whether a pull may go on with `path`; others write blobs there that have no name yet.
pub(crate) fn is_part(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(PART.as_bytes())
}

fn path(store: &Store, digest: &Digest) -> PathBuf {
    store.incoming().join(format!("{PART}{}", digest.hex()))
}
