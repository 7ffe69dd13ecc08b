//! How does a layer take away what the layers below it have?
//!
//! In an archive by names: `.wh.NAME` hides NAME, and `.wh..wh..opq` hides all that lower layers
//! have in its folder (layer.md, "Whiteouts"). On the disk as overlayfs wants it (lesson 18): by
//! a device with number 0, 0, and by an attribute of the folder.

use std::io;
use std::os::fd::AsFd;

use stage::proc;

use crate::files;

/// What the names of whiteouts begin with: no other file of a layer may be called so.
pub const PREFIX: &[u8] = b".wh.";
/// The whiteout of all that lower layers have in its folder.
pub const OPAQUE: &[u8] = b".wh..wh..opq";
/// What the names begin with that aufs, where all this comes from, kept for itself.
const AUFS: &[u8] = b".wh..wh.";

/// What a name in an archive stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign<'n> {
    /// Itself.
    File,
    /// This name is hidden, which is in the same folder.
    Hidden(&'n [u8]),
    /// All names of the folder are hidden.
    Opaque,
    /// Nothing: aufs's own.
    Foreign,
}

impl<'n> Sign<'n> {
    /// Read `name` in the folder `folder`. An error says what is wrong with it.
    pub fn of(folder: &[u8], name: &'n [u8]) -> Result<Sign<'n>, &'static str> {
        for above in folder.split(|&byte| byte == b'/') {
            match Sign::of_name(above)? {
                Sign::File => {}
                Sign::Foreign => return Ok(Sign::Foreign),
                _ => return Err("in a folder that is a whiteout"),
            }
        }
        Sign::of_name(name)
    }

    fn of_name(name: &'n [u8]) -> Result<Sign<'n>, &'static str> {
        match name.strip_prefix(PREFIX) {
            None => Ok(Sign::File),
            Some(b"" | b"." | b"..") => Err("a whiteout of no name: it must not climb"),
            Some(_) if name == OPAQUE => Ok(Sign::Opaque),
            Some(_) if name.starts_with(AUFS) => Ok(Sign::Foreign),
            Some(hidden) => Ok(Sign::Hidden(hidden)),
        }
    }
}

/// The attribute of an opaque folder. In a user namespace nobody may set trusted ones.
pub fn mark() -> &'static str {
    match proc::is_in_user_namespace() {
        true => "user.overlay.opaque",
        false => "trusted.overlay.opaque",
    }
}

/// Whether the open `folder` hides what lower layers have in it.
pub fn is_opaque(folder: &impl AsFd, mark: &str) -> io::Result<bool> {
    Ok(files::xattr(folder, mark.as_ref())?.as_deref() == Some(b"y"))
}

/// Whether overlayfs reads the extended attribute `name`: an image that has it could tell
/// overlayfs to hide files or to move them.
pub fn is_to_overlay(name: &[u8]) -> bool {
    [&b"trusted.overlay."[..], b"user.overlay."].iter().any(|at| name.starts_with(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_is_hidden() {
        let of = |path: &'static str| {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            Sign::of(folder.as_bytes(), name.as_bytes())
        };
        assert_eq!(of("a/.wh"), Ok(Sign::File));
        assert_eq!(of("a/b.wh.c"), Ok(Sign::File));
        assert_eq!(of("a/.wh.b"), Ok(Sign::Hidden(b"b")));
        assert_eq!(of(".wh..b"), Ok(Sign::Hidden(b".b")));
        assert_eq!(of(".wh...."), Ok(Sign::Hidden(b"...")));
        assert_eq!(of("a/.wh..wh..opq"), Ok(Sign::Opaque));
        for foreign in [".wh..wh.plnk/12.34", ".wh..wh.aufs", ".wh..wh..opqx"] {
            assert_eq!(of(foreign), Ok(Sign::Foreign), "{foreign}");
        }
        for wrong in [".wh.", ".wh..", ".wh...", ".wh.a/b", "a/.wh../.wh.b"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
