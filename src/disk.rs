//! How does state get onto the disk whole, and how do we know that it is somebody's?
//!
//! Written aside, synced and renamed, so that a power cut leaves the old or the new. Held by
//! a lock on a descriptor, which dies with its holder. Read fsync(2), rename(2), flock(2).

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use image::layout::write_whole;
use serde::Serialize;
use serde::de::DeserializeOwned;
use stage::{Error, Result};

/// Put `value` into the file `path`, as JSON. The name itself is on the disk when the folder
/// is synced, too: [`sync_folder`].
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    write_whole(path, &serde_json::to_vec_pretty(value).map_err(Error::input)?)
}

/// What is in the file `path`; None if it is not there.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|error| Error::io(path.display(), &error))?,
    };
    let value = serde_json::from_slice(&text);
    value
        .map(Some)
        .map_err(|error| Error::input(format!("{} is damaged: {error}", path.display())))
}

/// The bytes in all files below `folder`, each counted once, however many names it has.
pub(crate) fn size_below(folder: &Path) -> Result<u64> {
    let failed = |path: &Path, error: &io::Error| Error::io(path.display(), error);
    let (mut bytes, mut seen) = (0, BTreeSet::new());
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            // It has gone meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            entries => entries.map_err(|error| failed(&folder, &error))?,
        };
        for entry in entries {
            let entry = entry.map_err(|error| failed(&folder, &error))?;
            let Ok(about) = entry.metadata() else { continue };
            if about.is_dir() {
                folders.push(entry.path());
            } else if about.nlink() == 1 || seen.insert((about.dev(), about.ino())) {
                bytes += about.len();
            }
        }
    }
    Ok(bytes)
}

/// Let the names in `folder` reach the disk.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| Error::io(folder.display(), &error))
}

/// Wait for a lock; a signal may wake us before we have it.
pub(crate) fn lock(file: &File, how: impl Fn(&File) -> io::Result<()>) -> io::Result<()> {
    loop {
        match how(file) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            locked => return locked,
        }
    }
}

/// The folder, locked, if nobody else holds it.
pub(crate) fn hold_alone(folder: &Path) -> Option<File> {
    File::open(folder).ok().filter(|held| held.try_lock().is_ok())
}

/// Whether `held` is what is at `path` now: who had it before us may have taken it away.
pub(crate) fn is_at(held: &File, path: &Path) -> bool {
    let (held, there) = (held.metadata(), fs::symlink_metadata(path));
    held.ok().zip(there.ok()).is_some_and(|(held, there)| {
        (held.dev(), held.ino()) == (there.dev(), there.ino())
    })
}

/// `bytes` random bytes, as hexadecimal digits.
pub fn random_id(bytes: usize) -> Result<String> {
    let mut random = vec![0; bytes];
    let read =
        File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut random));
    read.map_err(|error| Error::io("/dev/urandom", &error))?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}
