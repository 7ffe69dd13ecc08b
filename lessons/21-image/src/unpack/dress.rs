//! Whose is a file, and what may be done with it?
//!
//! Files get owner, permissions, time and attributes when they are written, folders when all is
//! in them: to fill a folder changes its time, and an archive may forbid us to write to its own.

use std::ffi::OsString;
use std::fs::{File, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};

use stage::Result;

use super::{Tree, refusal};
use crate::files::{self, is_no_folder};
use crate::tarball::Traits;
use crate::{shown, whiteout};

impl Tree<'_> {
    /// What a member can be here. A number that our user namespace does not know is root's:
    /// then nobody else's rights may speak for it (setuid, setgid).
    pub(super) fn possible(&self, traits: Traits) -> Traits {
        let mut possible = traits;
        if !self.numbers.has_user(possible.owner) {
            (possible.owner, possible.mode) = (0, possible.mode & !0o4000);
        }
        if !self.numbers.has_group(possible.group) {
            (possible.group, possible.mode) = (0, possible.mode & !0o2000);
        }
        possible
    }

    /// Owner first: to change it takes setuid and capabilities away (chown(2)).
    pub(super) fn dress(
        &mut self,
        file: &File,
        path: &[u8],
        traits: &Traits,
    ) -> io::Result<()> {
        let now = file.metadata()?;
        // To ask once is cheap: most of an image is root's, and has its permissions already.
        let is_given = (now.uid(), now.gid()) != (traits.owner, traits.group);
        if is_given {
            fchown(file, Some(traits.owner), Some(traits.group))?;
        }
        if is_given || now.mode() & 0o7777 != traits.mode {
            file.set_permissions(Permissions::from_mode(traits.mode))?;
        }
        for (xattr, value) in &traits.xattrs {
            self.xattr(file, path, xattr, value)?;
        }
        files::set_open_modified(file, traits.modified)
    }

    fn xattr(
        &mut self,
        file: &File,
        path: &[u8],
        xattr: &OsString,
        value: &[u8],
    ) -> io::Result<()> {
        let name = xattr.as_bytes();
        let to_overlay = whiteout::is_to_overlay(name);
        let set = if to_overlay { Ok(()) } else { files::set_xattr(file, xattr, value) };
        let refused = set.as_ref().is_err_and(files::is_not_for_us);
        if to_overlay || refused {
            let example = format!("{} of {}", shown(name), shown(path));
            self.leave_out("extended attributes", example);
            return Ok(());
        }
        set
    }

    /// What a folder looks like that only a lower layer describes.
    pub(super) fn dress_as_below(&mut self, path: &[u8]) -> io::Result<()> {
        if let Some(traits) = self.below.folder(path)? {
            let traits = self.possible(traits);
            self.folders.insert(path.to_vec(), traits);
        }
        Ok(())
    }

    pub(super) fn dress_folders(&mut self) -> Result<()> {
        if !self.folders.contains_key(&b""[..]) {
            self.dress_as_below(b"").map_err(|error| refusal(b".", &error))?;
        }
        for (path, mut traits) in std::mem::take(&mut self.folders) {
            if self.numbers.is_single() {
                // It is one user's, who shall be able to remove it without our help.
                traits.mode |= 0o700;
            }
            let refused = |error: io::Error| refusal(&path, &error);
            match files::open_at(&self.top, &path) {
                Ok(folder) => {
                    self.dress(&folder.into(), &path, &traits).map_err(refused)?;
                }
                // A later member of the same name took its place.
                Err(error) if is_no_folder(&error) => {}
                Err(error) => return Err(refused(error)),
            }
        }
        Ok(())
    }
}
