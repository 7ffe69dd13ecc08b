//! Where do blobs lie, and how do they get there whole?
//!
//! ```text
//! ROOT/oci-layout            says that it is one, and of which version
//! ROOT/index.json            the images, each with its manifest's digest
//! ROOT/blobs/sha256/HEX      manifests, configurations and layers, called by their digests
//! ```
//!
//! A blob is written aside, compared with its name, and renamed: a name always leads to the right
//! content, whatever ends us. Read image-layout.md of the specification.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde::Serialize;
use serde::de::DeserializeOwned;
use stage::{Error, Result};

use crate::Digest;
use crate::manifest::{Descriptor, Index};

/// Manifests and configurations are small: the distribution specification lets registries refuse
/// what is larger.
pub const LONGEST_TEXT: u64 = 4 * 1024 * 1024;

/// What the file oci-layout says.
pub const VERSION: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// A folder with images.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout in the folder `root`, which is made one if it is none.
    pub fn open(root: &Path) -> Result<Layout> {
        let layout = Layout { root: root.to_path_buf() };
        let mark = root.join("oci-layout");
        if !mark.exists() {
            let blobs = layout.blobs();
            fs::create_dir_all(&blobs)
                .map_err(|error| Error::io(blobs.display(), &error))?;
            write_whole(&mark, VERSION.as_bytes())?;
        }
        Ok(layout)
    }

    /// The folder that blobs are in.
    pub fn blobs(&self) -> PathBuf {
        self.root.join("blobs/sha256")
    }

    /// Where the blob `digest` is, if it is there.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    /// The images in it.
    pub fn index(&self) -> Result<Index> {
        let path = self.root.join("index.json");
        match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Index::default()),
            Err(error) => Err(Error::io(path.display(), &error)),
            Ok(text) => Index::parse(&text)
                .map_err(|error| Error::input(format!("{}: {error}", path.display()))),
        }
    }

    /// Let it have these images.
    pub fn set_index(&self, index: &Index) -> Result<()> {
        write_whole(&self.root.join("index.json"), &text_of(index)?)
    }

    /// A small blob, compared with its name.
    pub fn read(&self, blob: &Descriptor) -> Result<Vec<u8>> {
        let path = self.path(&blob.digest);
        let failed = |error| Error::io(path.display(), &error);
        let file = File::open(&path).map_err(failed)?;
        // At once, if it is as long as it is said to be.
        let length = blob.size.min(LONGEST_TEXT) + 1;
        let mut text = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        file.take(LONGEST_TEXT + 1).read_to_end(&mut text).map_err(failed)?;
        check_length(&blob.digest, text.len() as u64)?;
        check(blob, &Digest::of(&text), text.len() as u64)?;
        Ok(text)
    }

    /// What a small blob says, as JSON.
    pub fn read_json<T: DeserializeOwned>(&self, blob: &Descriptor) -> Result<T> {
        let text = self.read(blob)?;
        serde_json::from_slice(&text)
            .map_err(|error| Error::input(format!("{}: {error}", blob.digest)))
    }

    /// Keep `content` as a blob.
    pub fn put(&self, media_type: &str, content: &[u8]) -> Result<Descriptor> {
        let digest = Digest::of(content);
        let path = self.path(&digest);
        if !path.exists() {
            write_whole(&path, content)?;
        }
        Ok(Descriptor::new(media_type, digest, content.len() as u64))
    }

    /// Keep `value` as a blob, as JSON.
    pub fn put_json(
        &self,
        media_type: &str,
        value: &impl Serialize,
    ) -> Result<Descriptor> {
        self.put(media_type, &text_of(value)?)
    }

    /// Let the file `path`, of the same file system, be the blob `digest`.
    pub fn adopt(&self, path: &Path, digest: &Digest) -> Result<()> {
        let kept = File::open(path).and_then(|file| {
            file.sync_all()?;
            fs::rename(path, self.path(digest))
        });
        kept.map_err(|error| Error::io(path.display(), &error))
    }
}

/// Refuse content that is not what `expected` says.
pub fn check(expected: &Descriptor, found: &Digest, size: u64) -> Result<()> {
    let Descriptor { digest, size: right, .. } = expected;
    match (found == digest, size == *right) {
        (true, true) => Ok(()),
        (_, false) => {
            Err(Error::input(format!("{digest} has {size} bytes, and not {right}")))
        }
        (false, _) => {
            Err(Error::input(format!("{digest} is damaged: its digest is {found}")))
        }
    }
}

/// Refuse a text that is longer than a manifest or a configuration can be.
pub fn check_length(digest: &Digest, size: u64) -> Result<()> {
    match size {
        0..=LONGEST_TEXT => Ok(()),
        _ => Err(Error::input(format!(
            "{digest} is longer than {LONGEST_TEXT} bytes: no manifest or configuration is"
        ))),
    }
}

/// Put `content` into the file `path`: written aside, synced and renamed, so that a power cut
/// leaves the old or the new. The name itself is on the disk when the folder is synced, too.
pub fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    // A name of our own: somebody else may write the same blob.
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let (we, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let aside = path.with_extension(format!("{we}-{count}.new"));
    let written = File::create(&aside).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&aside, path)
    });
    written.map_err(|error| {
        // What could not be written whole is nobody's; it may not even be there.
        fs::remove_file(&aside).ok();
        Error::io(path.display(), &error)
    })
}

fn text_of(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(Error::input)
}
