//! What will a container be called, and where will it be?

use std::path::{Path, PathBuf};

use stage::Result;

use super::folder_of;
use crate::disk::random_id;
use crate::store::Store;

/// What a container will be called and where it will be: nothing is touched yet.
#[derive(Debug, Clone)]
pub struct Plan {
    /// 64 hexadecimal digits, as Docker has them.
    pub id: String,
    pub(super) root: PathBuf,
    pub(super) folder: PathBuf,
}

impl Plan {
    /// Choose an ID.
    pub fn new(store: &Store) -> Result<Plan> {
        let id = random_id(32)?;
        let folder = folder_of(store, &id);
        Ok(Plan { id, root: store.root().to_path_buf(), folder })
    }

    /// Where its root file system appears.
    pub fn rootfs(&self) -> PathBuf {
        self.root.join("rootfs")
    }

    /// Where all of it is kept.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it writes goes here; a sibling `work` is overlayfs's own.
    pub fn upper(&self) -> PathBuf {
        self.folder.join("layer/upper")
    }

    /// overlayfs's own folder.
    pub fn work(&self) -> PathBuf {
        self.folder.join("layer/work")
    }

    /// The two for an overlay on the folder `path` of the container, in a folder of their
    /// own; those for "/" are `upper` and `work`.
    pub fn layer_of(&self, path: &Path) -> (PathBuf, PathBuf) {
        match path.strip_prefix("/").unwrap_or(path) {
            root if root == Path::new("") => (self.upper(), self.work()),
            below => {
                let room = self.folder.join("layers").join(below);
                (room.join("upper"), room.join("work"))
            }
        }
    }

    /// What stands for "/" where the machine itself is the image, and we are not its root.
    pub fn skeleton(&self) -> PathBuf {
        self.folder.join("skeleton")
    }
}
