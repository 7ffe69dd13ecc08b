//! When does a layer hide what lower layers have?
//!
//! When all its members are there: a whiteout hides nothing that its own layer has.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;

use stage::Result;

use super::{Tree, WHITEOUT, refusal};
use crate::files::{self, is_no_folder, joined};
use crate::whiteout;

impl Tree<'_> {
    /// Hide what is hidden below, at the end: a whiteout does not hide what its own layer has,
    /// whichever of the two comes first in the archive.
    pub(super) fn hide(&mut self) -> Result<()> {
        for folder in &std::mem::take(&mut self.opaque) {
            let path = joined(folder, whiteout::OPAQUE);
            let made = match folder.is_empty() {
                true => self.hide_all(),
                false => self.make_opaque(folder),
            };
            made.map_err(|error| refusal(&path, &error))?;
        }
        // In this order, a folder comes before what is in it.
        for (hidden, path) in &std::mem::take(&mut self.hidden) {
            self.whiteout(hidden).map_err(|error| refusal(path, &error))?;
        }
        Ok(())
    }

    /// Overlayfs does not look whether the top is opaque.
    fn hide_all(&mut self) -> io::Result<()> {
        let names = self.below.top_names()?.into_iter();
        self.hidden.extend(names.map(|name| (name.clone(), name)));
        Ok(())
    }

    fn whiteout(&mut self, hidden: &[u8]) -> io::Result<()> {
        let (folder, name) = split(hidden);
        if self.is_covered(folder) {
            return Ok(());
        }
        match files::open_at(&self.top, folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // In a folder that is in no other layer, overlayfs would show the device itself.
        if self.below.folder(folder)?.is_none() {
            return Ok(());
        }
        self.go_to(folder)?;
        let name = OsStr::from_bytes(name);
        match files::make_node(&self.near.1, name, WHITEOUT) {
            // A file hides what is below it. A folder would show it.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                match self.make_opaque(hidden) {
                    Err(error) if is_no_folder(&error) => Ok(()),
                    made => made,
                }
            }
            made => {
                self.covered.insert(hidden.to_vec());
                made
            }
        }
    }

    fn make_opaque(&mut self, folder: &[u8]) -> io::Result<()> {
        self.go_to(folder)?;
        self.covered.insert(folder.to_vec());
        files::set_xattr(&self.near.1, OsStr::new(whiteout::mark()), b"y")
    }

    /// Whether nothing of the folder `path` below is to be seen.
    fn is_covered(&self, path: &[u8]) -> bool {
        let ends = path.iter().enumerate().filter(|&(_, &byte)| byte == b'/');
        let mut ends = ends.map(|(at, _)| at).chain([path.len()]);
        ends.any(|end| self.covered.contains(&path[..end]))
    }
}

/// The folder of `path`, and its name there.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}
