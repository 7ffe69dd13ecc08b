//! How do files get from one tree into another, when neither is to be trusted?
//!
//! Each is held by a descriptor, and a name is only ever looked up in a folder that is held, never
//! followed when it is a symbolic link: whoever swaps one for another meanwhile can make the copy
//! a wrong one, but lead it nowhere else. CVE-2018-15664 was an engine that used paths.

use std::ffi::OsStr;
use std::fs::{File, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use image::files::{self, Node};
use image::{shown, whiteout};
use stage::{Error, Result};

/// Folders within folders, at most: a descriptor is held for each.
const DEEPEST: usize = 256;

/// How to copy.
pub struct Copier<'c> {
    /// Who gets a file that belongs to these two; None for whoever copies, who gets no devices
    /// and whose rights do not speak for it (setuid, setgid, capabilities).
    pub owner: &'c dyn Fn(u32, u32) -> Option<(u32, u32)>,
    /// The permissions of all, if not those that they have.
    pub mode: Option<u32>,
    /// Which of the files below the source are wanted, by their paths from it.
    pub wanted: &'c dyn Fn(&Path) -> bool,
}

/// Something to be copied.
pub struct Source {
    /// It is held.
    pub held: File,
    /// What is known of it.
    pub about: Metadata,
}

impl Source {
    /// What `held` holds.
    pub fn of(held: File) -> io::Result<Source> {
        Ok(Source { about: held.metadata()?, held })
    }

    /// What `name` in `folder` is.
    pub fn at(folder: &impl AsFd, name: &OsStr) -> io::Result<Source> {
        Source::of(files::look(folder, name)?)
    }

    /// The same, open to be read: it is a file or a folder.
    pub fn open(&self) -> io::Result<File> {
        files::open_looked_at(&self.held)
    }
}

/// Copies `source` to `name` in `folder`. What is there is replaced; folders are merged.
pub fn copy(
    copier: &Copier,
    source: &Source,
    (folder, name): (&OwnedFd, &OsStr),
) -> Result<()> {
    let mut copying = Copying { copier, path: PathBuf::new(), depth: 0 };
    let copied = copying.entry(source, folder, name);
    copied.map_err(|error| copying.failed(name, &error))
}

/// Copies what is in the folder `source` into `folder`.
pub fn copy_contents(copier: &Copier, source: &Source, folder: &OwnedFd) -> Result<()> {
    let mut copying = Copying { copier, path: PathBuf::new(), depth: 0 };
    let copied = copying.contents(source, folder);
    copied.map_err(|error| copying.failed(OsStr::new("."), &error))
}

/// A copy on its way.
struct Copying<'c> {
    copier: &'c Copier<'c>,
    /// Where we are, from the source on; after a failure, where it was.
    path: PathBuf,
    depth: usize,
}

impl Copying<'_> {
    fn entry(&mut self, source: &Source, to: &OwnedFd, name: &OsStr) -> io::Result<()> {
        let kind = source.about.file_type();
        if kind.is_dir() {
            return self.folder(source, to, name);
        }
        match Source::at(to, name) {
            Ok(there) if there.about.is_dir() => {
                return Err(io::Error::other("a folder has this name already"));
            }
            Ok(there) if !there.about.is_file() && !there.about.is_symlink() => {
                return Err(io::Error::other("a device or a pipe has this name"));
            }
            Ok(_) => files::remove(to, name)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        if kind.is_file() {
            return self.file(source, to, name);
        }
        if kind.is_symlink() {
            files::make_symlink(to, name, &files::target(&source.held)?)?;
        } else if let Some(node) =
            node(&source.about).filter(|_| self.owner(source).is_some())
        {
            files::make_node(to, name, node)?;
        } else {
            // A socket is nothing without the process behind it, and a device is the machine's.
            let path = shown(self.path.as_os_str().as_bytes());
            stage::warn(format!("{:?} {path}: a device or a socket is not copied", name));
            return Ok(());
        }
        self.dress_name(source, to, name)
    }

    fn folder(&mut self, source: &Source, to: &OwnedFd, name: &OsStr) -> io::Result<()> {
        match files::make_folder(to, name) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => made?,
        }
        let folder = files::open_folder(to, name).map_err(|error| {
            match files::is_no_folder(&error) {
                true => io::Error::other("something else than a folder has this name"),
                false => error,
            }
        })?;
        self.contents(source, &folder)?;
        // Its time last: it changes with all that is put into it.
        self.dress(source, &folder.into())
    }

    fn contents(&mut self, source: &Source, to: &OwnedFd) -> io::Result<()> {
        if self.depth == DEEPEST {
            return Err(io::Error::other("more than 256 folders within each other"));
        }
        let folder = source.open()?;
        self.depth += 1;
        for name in files::names(&folder)? {
            self.path.push(&name);
            if (self.copier.wanted)(&self.path) {
                match Source::at(&folder, &name) {
                    // It has gone meanwhile.
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    entry => self.entry(&entry?, to, &name)?,
                }
            }
            self.path.pop();
        }
        self.depth -= 1;
        Ok(())
    }

    fn file(&mut self, source: &Source, to: &OwnedFd, name: &OsStr) -> io::Result<()> {
        let mut file = files::make_file(to, name, 0o600)?;
        io::copy(&mut source.open()?, &mut file)?;
        self.dress(source, &file)
    }

    /// Owner first: to change it takes setuid and capabilities away (chown(2)).
    fn dress(&self, source: &Source, file: &File) -> io::Result<()> {
        if let Some((user, group)) = self.owner(source) {
            fchown(file, Some(user), Some(group))?;
        }
        file.set_permissions(Permissions::from_mode(self.mode(source)))?;
        if self.owner(source).is_some() {
            copy_xattrs(source, file)?;
        }
        files::set_open_modified(file, modified(&source.about))
    }

    fn dress_name(&self, source: &Source, to: &OwnedFd, name: &OsStr) -> io::Result<()> {
        if let Some((user, group)) = self.owner(source) {
            files::set_owner(to, name, user, group)?;
        }
        if !source.about.is_symlink() {
            files::set_mode(to, name, self.mode(source))?;
        }
        files::set_modified(to, name, modified(&source.about))
    }

    fn owner(&self, source: &Source) -> Option<(u32, u32)> {
        (self.copier.owner)(source.about.uid(), source.about.gid())
    }

    fn mode(&self, source: &Source) -> u32 {
        let mask = if self.owner(source).is_some() { 0o7777 } else { 0o777 };
        self.copier.mode.unwrap_or(source.about.mode() & mask)
    }

    fn failed(&self, name: &OsStr, error: &io::Error) -> Error {
        let path = Path::new(name).join(&self.path);
        Error::io(format!("`{}`", shown(path.as_os_str().as_bytes())), error)
    }
}

/// Extended attributes, among them capabilities, where they can be had.
fn copy_xattrs(source: &Source, file: &File) -> io::Result<()> {
    for (name, value) in files::xattrs(&source.open()?)? {
        let is_overlays = whiteout::is_to_overlay(name.as_bytes());
        let set = (!is_overlays).then(|| files::set_xattr(file, &name, &value));
        match set {
            Some(Err(error)) if !files::is_not_for_us(&error) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn node(about: &Metadata) -> Option<Node> {
    let (kind, (major, minor)) = (about.file_type(), numbers(about.rdev()));
    match () {
        () if kind.is_fifo() => Some(Node::Fifo),
        () if kind.is_char_device() => Some(Node::Character(major, minor)),
        () if kind.is_block_device() => Some(Node::Block(major, minor)),
        () => None,
    }
}

fn numbers(device: u64) -> (u32, u32) {
    let (major, minor) = files::device(device);
    let number = |number: u64| u32::try_from(number).unwrap_or_default();
    (number(major), number(minor))
}

fn modified(about: &Metadata) -> (i64, u32) {
    (about.mtime(), u32::try_from(about.mtime_nsec()).unwrap_or_default())
}
