//! Where is a blob before one knows its name?
//!
//! Its name is the sum of its contents, which is known at its end.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use image::Digest;
use image::digest::Summing;
use stage::{Error, Result};

use crate::disk::random_id;
use crate::store::Store;

/// A blob that is being written. Dropped before it is kept, it is gone.
pub struct Aside {
    path: PathBuf,
    file: Writer,
}

/// Writes to it, from another thread if need be.
#[derive(Clone)]
pub struct Writer(Arc<Mutex<Summing<File>>>);

impl Writer {
    fn file(&self) -> MutexGuard<'_, Summing<File>> {
        // Who panicked has written nothing that would not be seen in the sum.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Aside {
    /// Begin one.
    pub fn make(store: &Store) -> Result<Aside> {
        let path = store.incoming().join(random_id(8)?);
        let file = File::create_new(&path);
        let file = file.map_err(|error| Error::io(path.display(), &error))?;
        Ok(Aside { path, file: Writer(Arc::new(Mutex::new(Summing::new(file)))) })
    }

    /// To write to it.
    pub fn writer(&self) -> Writer {
        self.file.clone()
    }

    /// To write to it what is summed up elsewhere.
    pub fn unsummed(&self) -> Result<File> {
        let file = File::options().write(true).open(&self.path);
        file.map_err(|error| Error::io(self.path.display(), &error))
    }

    /// The name of what has been written, and how many bytes it is.
    pub fn sum(&self) -> (Digest, u64) {
        self.file.file().so_far()
    }

    /// Let it be a blob of the store.
    pub fn keep(&self, store: &Store) -> Result<()> {
        self.keep_as(store, &self.sum().0).map(drop)
    }

    /// The same, where somebody else has summed it up; how many bytes it is.
    pub fn keep_as(&self, store: &Store, digest: &Digest) -> Result<u64> {
        let size = fs::metadata(&self.path).map(|about| about.len());
        let size = size.map_err(|error| Error::io(self.path.display(), &error))?;
        store.layout().adopt(&self.path, digest)?;
        Ok(size)
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file().flush()
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // It is not there any more if it was kept.
        fs::remove_file(&self.path).ok();
    }
}
