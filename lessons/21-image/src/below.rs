//! What do the layers below have where this one says nothing?
//!
//! Overlayfs shows owner, permissions and time of the topmost layer that has a folder. So a
//! folder that this layer has only because something is in it must look like the one below.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use stage::{Error, Result};

use crate::tarball::Traits;
use crate::{files, whiteout};

/// The unpacked layers below, the topmost first.
pub struct Below {
    trees: Vec<OwnedFd>,
    mark: &'static str,
}

impl Below {
    /// Those in the folders `trees`, the lowest first.
    pub fn open(trees: &[PathBuf]) -> Result<Below> {
        let open = |tree: &PathBuf| match File::open(tree) {
            Ok(tree) => Ok(tree.into()),
            Err(error) => Err(Error::io(tree.display(), &error)),
        };
        let trees: Result<Vec<OwnedFd>> = trees.iter().rev().map(open).collect();
        Ok(Below { trees: trees?, mark: whiteout::mark() })
    }

    /// Whether there is nothing below.
    pub fn is_empty(&self) -> bool {
        self.trees.is_empty()
    }

    /// What the folder `path` looks like below, if it is to be seen there.
    pub fn folder(&self, path: &[u8]) -> io::Result<Option<Traits>> {
        for tree in &self.trees {
            match files::open_at(tree, path) {
                Ok(folder) => return traits(folder.into()).map(Some),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    if self.is_hidden_by(tree, path)? {
                        return Ok(None);
                    }
                }
                // A whiteout, a file or a link is there: it hides what is further below.
                Err(error) if files::is_no_folder(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Whether one of the folders around `path` is opaque in `tree`.
    fn is_hidden_by(&self, tree: &OwnedFd, path: &[u8]) -> io::Result<bool> {
        let ends = path.iter().enumerate().filter(|&(_, &byte)| byte == b'/');
        for (end, _) in ends {
            let folder = match files::open_at(tree, &path[..end]) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
                folder => folder?,
            };
            if whiteout::is_opaque(&folder, self.mark)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// All names that are in the top folders below.
    pub fn top_names(&self) -> io::Result<Vec<Vec<u8>>> {
        let mut all = Vec::new();
        for tree in &self.trees {
            all.extend(
                files::names(tree)?.into_iter().map(|name| name.as_bytes().to_vec()),
            );
        }
        Ok(all)
    }
}

fn traits(folder: File) -> io::Result<Traits> {
    let about = folder.metadata()?;
    let mut xattrs = files::xattrs(&folder.as_fd())?;
    xattrs.retain(|(name, _)| !whiteout::is_to_overlay(name.as_bytes()));
    Ok(Traits {
        owner: about.uid(),
        group: about.gid(),
        mode: about.mode() & 0o7777,
        modified: (about.mtime(), u32::try_from(about.mtime_nsec()).unwrap_or(0)),
        xattrs,
    })
}
