//! How does an archive from a stranger become files?
//!
//! The archive decides names, so no name is trusted: it must be relative, without `..`,
//! and the kernel refuses every way that leads through a symbolic link, wherever the link
//! came from (openat2(2), in `files.rs`). Nothing is ever looked up by a path from `/`, so
//! that there is no place outside the folder that a name could reach. The tar crate's own
//! unpack_in compares paths before it uses them, which takes more calls for a weaker
//! promise, and it knows no devices and sets folders' times too early.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use stage::{Error, Result};
use user::Numbers;

use crate::below::Below;
use crate::files::{self, DEEPEST, Node, joined};
use crate::shown;
use crate::tarball::{Contents, Kind, Member, Tarball, Traits};
use crate::whiteout::Sign;

mod dress;
mod hide;

/// Runs of zeros at least this long become holes.
const HOLE: usize = 64 * 1024;
/// What we remember until the end, of folders and whiteouts: a small archive can hold many, with
/// large attributes. Everything else of an archive takes disk or time, and no memory.
const MOST: usize = 256 * 1024 * 1024;
/// What it takes to remember something, besides its name.
const EACH: usize = 128;
/// What overlayfs takes for "deleted".
const WHITEOUT: Node = Node::Character(0, 0);

/// What came of an archive.
#[derive(Debug, Default)]
pub struct Unpacked {
    /// How many entries it had.
    pub members: u64,
    /// The bytes in its files.
    pub size: u64,
    /// What could not be made here, how often, and the first: it matters to few images.
    pub left_out: BTreeMap<&'static str, (u64, String)>,
}

/// Make the members of `archive`, plain tar, in the empty folder `tree`: a layer as overlayfs
/// wants it. `below` are the trees of the layers below it, the lowest first.
pub fn unpack(
    archive: impl BufRead,
    tree: &Path,
    below: &[PathBuf],
    numbers: &Numbers,
) -> Result<Unpacked> {
    let top = File::open(tree).map_err(|error| Error::io(tree.display(), &error))?;
    let mut tree = Tree::new(top.into(), Below::open(below)?, numbers)?;
    let mut archive = Tarball::new(archive);
    while let Some(member) = archive.next_member()? {
        tree.add(member, &mut archive)?;
        tree.unpacked.members += 1;
    }
    tree.hide()?;
    tree.dress_folders()?;
    Ok(tree.unpacked)
}

/// The files so far.
struct Tree<'n> {
    top: OwnedFd,
    /// The folder of the last member: the next one's, more often than not.
    near: (Vec<u8>, OwnedFd),
    /// What folders shall look like when all is in them: to fill a folder changes its
    /// time, and an archive may forbid us to write to its folders.
    folders: BTreeMap<Vec<u8>, Traits>,
    /// What is hidden, with the names that say so.
    hidden: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The folders that are opaque.
    opaque: BTreeSet<Vec<u8>>,
    /// What is hidden already.
    covered: BTreeSet<Vec<u8>>,
    below: Below,
    /// Who can own a file here.
    numbers: &'n Numbers,
    unpacked: Unpacked,
    /// How many bytes are remembered.
    remembered: usize,
}

/// Where a member goes: the folder, and the name in it; both are empty for the top.
struct Place {
    folder: Vec<u8>,
    name: Vec<u8>,
}

impl<'n> Tree<'n> {
    fn new(top: OwnedFd, below: Below, numbers: &'n Numbers) -> Result<Tree<'n>> {
        let near = top.try_clone().map_err(|error| Error::io("dup", &error))?;
        let near = (Vec::new(), near);
        let (folders, hidden, opaque, covered) = Default::default();
        let unpacked = Unpacked::default();
        Ok(Tree {
            top,
            near,
            folders,
            hidden,
            opaque,
            covered,
            below,
            numbers,
            unpacked,
            remembered: 0,
        })
    }

    fn add(&mut self, member: Member, archive: &mut Tarball<impl BufRead>) -> Result<()> {
        let place = Place::of(&member.path)?;
        let sign = Sign::of(&place.folder, &place.name);
        match sign.map_err(|what| wrong(&member.path, what))? {
            Sign::File => return self.make(place, member, archive),
            Sign::Foreign => {}
            Sign::Hidden(_) | Sign::Opaque if self.below.is_empty() => {
                self.leave_out("whiteouts of the lowest layer", shown(&member.path));
            }
            Sign::Opaque => {
                self.remember(&member.path, 0)?;
                self.opaque.insert(place.folder);
            }
            Sign::Hidden(name) => {
                self.remember(&member.path, member.path.len())?;
                self.hidden.insert(joined(&place.folder, name), member.path);
            }
        }
        Ok(())
    }

    fn remember(&mut self, path: &[u8], more: usize) -> Result<()> {
        self.remembered += EACH + path.len() + more;
        match self.remembered <= MOST {
            true => Ok(()),
            false => {
                Err(wrong(path, "too many folders or whiteouts: over 256 MiB of them"))
            }
        }
    }

    fn make(
        &mut self,
        place: Place,
        member: Member,
        archive: &mut Tarball<impl BufRead>,
    ) -> Result<()> {
        let Member { path, kind, traits } = member;
        let traits = self.possible(traits);
        let refused = |error: io::Error| refusal(&path, &error);
        if place.name.is_empty() && !matches!(kind, Kind::Folder) {
            return Err(wrong(&path, "only a folder can be the top of the tree"));
        }
        self.go_to(&place.folder).map_err(refused)?;
        let name = OsStr::from_bytes(&place.name);
        match kind {
            Kind::Folder => {
                let size = |(name, value): &(OsString, Vec<u8>)| name.len() + value.len();
                self.remember(&path, traits.xattrs.iter().map(size).sum())?;
                self.folder(&place, name).map_err(refused)?;
                self.folders.insert(joined(&place.folder, &place.name), traits);
            }
            Kind::File(contents) => {
                self.file(name, &path, &contents, &traits, archive)?
            }
            Kind::Symlink(target) => {
                self.symlink(name, &target, &traits).map_err(refused)?;
            }
            Kind::Link(target) => self.link(name, &path, &target)?,
            Kind::Node(node) => self.node(name, &path, node, &traits).map_err(refused)?,
        }
        Ok(())
    }

    /// Make `path` the near folder. Some archives leave folders out: they are made.
    fn go_to(&mut self, path: &[u8]) -> io::Result<()> {
        if self.near.0 == path {
            return Ok(());
        }
        let folder = match files::open_at(&self.top, path) {
            Err(error) if error.kind() == ErrorKind::NotFound => self.make_all(path)?,
            folder => folder?,
        };
        self.near = (path.to_vec(), folder);
        Ok(())
    }

    /// Overlayfs shows what these folders look like here, not what they look like below.
    fn make_all(&mut self, path: &[u8]) -> io::Result<OwnedFd> {
        let mut folder = self.top.try_clone()?;
        let ends = path.iter().enumerate().filter(|&(_, &byte)| byte == b'/');
        let (mut start, ends) = (0, ends.map(|(at, _)| at).chain([path.len()]));
        for end in ends {
            let name = OsStr::from_bytes(&path[start..end]);
            match files::make_folder(&folder, name) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                made => {
                    made?;
                    // Whatever our umask is.
                    files::set_mode(&folder, name, 0o755)?;
                    self.dress_as_below(&path[..end])?;
                }
            }
            folder = files::open_folder(&folder, name)?;
            start = end + 1;
        }
        Ok(folder)
    }

    fn folder(&self, place: &Place, name: &OsStr) -> io::Result<()> {
        let near = &self.near.1;
        // The top is there, and a folder may be named twice: the first stays.
        if place.name.is_empty() {
            return Ok(());
        }
        match files::make_folder(near, name) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if files::open_folder(near, name).is_ok() {
                    return Ok(());
                }
                files::remove(near, name)?;
                files::make_folder(near, name)
            }
            made => made,
        }
    }

    fn file(
        &mut self,
        name: &OsStr,
        path: &[u8],
        contents: &Contents,
        traits: &Traits,
        archive: &mut Tarball<impl BufRead>,
    ) -> Result<()> {
        let refused = |error: io::Error| refusal(path, &error);
        // Most files have their permissions so, without another call for each.
        let mode = traits.mode & 0o777;
        let make = |folder: &OwnedFd| files::make_file(folder, name, mode);
        let file = anew(&self.near.1, name, make).map_err(refused)?;
        let mut written = 0;
        archive.contents(contents, |offset, bytes| {
            if is_hole(bytes) {
                return Ok(());
            }
            written = offset + bytes.len() as u64;
            file.write_all_at(bytes, offset)
        })?;
        if written < contents.size {
            file.set_len(contents.size).map_err(refused)?;
        }
        self.unpacked.size = self.unpacked.size.saturating_add(contents.size);
        self.dress(&file, path, traits).map_err(refused)
    }

    fn symlink(&self, name: &OsStr, target: &[u8], traits: &Traits) -> io::Result<()> {
        let (near, target) = (&self.near.1, OsStr::from_bytes(target));
        anew(near, name, |folder| files::make_symlink(folder, name, target))?;
        files::set_owner(near, name, traits.owner, traits.group)?;
        files::set_modified(near, name, traits.modified)
    }

    fn link(&mut self, name: &OsStr, path: &[u8], target: &[u8]) -> Result<()> {
        let to = |what: &str| format!("a hard link to `{}`{what}", shown(target));
        let target =
            Place::of(target).map_err(|_| wrong(path, to(": that is outside")))?;
        let refused = |error: io::Error| match error.kind() {
            ErrorKind::NotFound => wrong(path, to(": that is not there")),
            _ => refusal(path, &error),
        };
        let folder = files::open_at(&self.top, &target.folder).map_err(refused)?;
        let old = (&folder, OsStr::from_bytes(&target.name));
        let link = |folder: &OwnedFd| files::make_link(old, (folder, name));
        anew(&self.near.1, name, link).map_err(refused)
    }

    fn node(
        &mut self,
        name: &OsStr,
        path: &[u8],
        node: Node,
        traits: &Traits,
    ) -> io::Result<()> {
        if node == WHITEOUT {
            self.leave_out("device nodes that would be whiteouts", shown(path));
            return Ok(());
        }
        // A device node does no harm here: images are mounted without devices (nodev).
        let near = &self.near.1;
        match anew(near, name, |folder| files::make_node(folder, name, node)) {
            Err(error) if files::is_not_for_us(&error) => {
                self.leave_out("device nodes", shown(path));
                return Ok(());
            }
            made => made?,
        }
        files::set_owner(near, name, traits.owner, traits.group)?;
        files::set_mode(near, name, traits.mode)?;
        files::set_modified(near, name, traits.modified)
    }

    fn leave_out(&mut self, what: &'static str, example: String) {
        self.unpacked.left_out.entry(what).or_insert((0, example)).0 += 1;
    }
}

impl Place {
    /// Where the name `path` leads, if it is one that may lead somewhere.
    fn of(path: &[u8]) -> Result<Place> {
        if path.is_empty() {
            return Err(Error::input("an entry without a name"));
        }
        if path.starts_with(b"/") {
            return Err(wrong(path, "a name from `/`: it must be relative"));
        }
        let names = path.split(|&byte| byte == b'/');
        let mut names: Vec<&[u8]> =
            names.filter(|name| !name.is_empty() && *name != b".").collect();
        if names.contains(&&b".."[..]) {
            return Err(wrong(path, "a name with `..`: it must not climb"));
        }
        if names.len() > DEEPEST {
            let what = format!("more than {DEEPEST} folders within each other");
            return Err(wrong(path, what));
        }
        let name = names.pop().unwrap_or_default().to_vec();
        Ok(Place { folder: names.join(&b'/'), name })
    }
}

/// Make `name` in `folder`, in place of what an earlier member of that name has left.
fn anew<T>(
    folder: &OwnedFd,
    name: &OsStr,
    make: impl Fn(&OwnedFd) -> io::Result<T>,
) -> io::Result<T> {
    match make(folder) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            files::remove(&folder.as_fd(), name)?;
            make(folder)
        }
        made => made,
    }
}

fn is_hole(bytes: &[u8]) -> bool {
    // All are zero when the first is and each is like the next, says memcmp.
    bytes.len() >= HOLE && bytes[0] == 0 && bytes[1..] == bytes[..bytes.len() - 1]
}

/// The kernel refused something about the member `path`.
fn refusal(path: &[u8], error: &io::Error) -> Error {
    match error.kind() {
        _ if files::is_symlink_met(error) => {
            wrong(path, "the way there leads through a symbolic link")
        }
        ErrorKind::NotADirectory => wrong(path, "the way there leads through a file"),
        ErrorKind::DirectoryNotEmpty => wrong(path, "a folder with files has this name"),
        ErrorKind::InvalidFilename => wrong(path, "the name is too long"),
        _ => Error::io(format!("`{}`", shown(path)), error),
    }
}

fn wrong(path: &[u8], what: impl std::fmt::Display) -> Error {
    Error::input(format!("`{}`: {what}", shown(path)))
}
