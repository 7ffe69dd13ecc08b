//! How do files of the context get into an image?
//!
//! The image's layers are stacked with an empty one on top, and the files are copied into that as
//! into a container that has ended: links in the image lead where they lead in the image. What is
//! in the upper layer then is the new layer.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use image::tarball::Tarball;
use image::{files, unpack};
use mount::target::{Root, path_of};
use overlay::Layers;
use stage::{Error, Result, Stage};
use user::Numbers;

use super::context::Context;
use super::dockerfile::Copy;
use crate::copy::{Copier, Source, copy, copy_contents};
use crate::cp::{Target, clean};
use crate::decode::decode;
use crate::layer::lower;
use crate::reach::{self, Reached};
use crate::store::layers::Draft;
use crate::store::{Image, Store};
use crate::users;

/// A folder for an upper layer, which goes with this.
pub struct Room {
    draft: Draft,
}

impl Room {
    /// An empty one.
    pub fn make(store: &Store) -> Result<Room> {
        let room = Room { draft: store.layers().begin_unnamed()? };
        for folder in ["upper", "work", "empty"] {
            let path = room.draft.path().join(folder);
            let made = DirBuilder::new().mode(0o755).create(&path);
            made.map_err(|error| Error::io(path.display(), &error))?;
        }
        Ok(room)
    }

    /// The upper layer.
    pub fn upper(&self) -> PathBuf {
        self.draft.path().join("upper")
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> Result<bool> {
        let upper = self.upper();
        let mut entries =
            fs::read_dir(&upper).map_err(|error| Error::io(upper.display(), &error))?;
        Ok(entries.next().is_none())
    }

    /// The files of `image`, with this as their upper layer.
    pub fn show<'s>(
        &self,
        store: &Store,
        stage: &'s Stage,
        image: &Image,
    ) -> Result<Reached<'s>> {
        let mut layers = Layers {
            lower: lower(image),
            upper: self.upper(),
            work: self.draft.path().join("work"),
        };
        if layers.lower.is_empty() {
            layers.lower.push(self.draft.path().join("empty"));
        }
        let shown =
            reach::stacked(stage, &reach::workshop(store)?, &[("/".into(), layers)]);
        shown.map_err(|error| {
            error.hint("the store's file system has to carry upper layers: ext4, xfs and btrfs can")
        })
    }
}

/// Whose the files are to be, and which permissions they have.
struct Looks {
    owner: (u32, u32),
    mode: Option<u32>,
}

/// Copy the files at `paths` of `context` into `root`, as `what` says, whose words have been
/// understood; `target` is absolute, with a slash at its end if it is to be a folder.
pub fn put(
    what: &Copy,
    context: &Context,
    paths: &[PathBuf],
    root: &Root,
    layers: &[PathBuf],
) -> Result<()> {
    if paths.len() > 1 && !what.target.ends_with('/') {
        return Err(Error::input(format!(
            "several files go into a folder: {:?} needs a / at its end",
            what.target
        )));
    }
    let looks = Looks::read(what, layers)?;
    paths.iter().try_for_each(|path| put_one(what, context, path, root, &looks))
}

fn put_one(
    what: &Copy,
    context: &Context,
    path: &Path,
    root: &Root,
    looks: &Looks,
) -> Result<()> {
    let wanted = context.wanted(path)?;
    let wants = |below: &Path| context.wants(&path.join(below));
    let owner = |_, _| Some(looks.owner);
    let copier = Copier { owner: &owner, mode: looks.mode, wanted: &wants };
    let target = Path::new(&what.target);
    let name = path.file_name().unwrap_or_default();
    if wanted.source.about.is_dir() {
        return copy_contents(&copier, &wanted.source, &looks.folder(root, target)?);
    }
    if what.unpack && is_archive(&wanted.source) {
        return unpack_into(&wanted.source, &looks.folder(root, target)?);
    }
    if what.target.ends_with('/') {
        return copy(&copier, &wanted.source, (&looks.folder(root, target)?, name));
    }
    looks.folder(root, target.parent().unwrap_or(Path::new("/")))?;
    match Target::find(root, &what.target)? {
        Target::Folder(folder) => copy(&copier, &wanted.source, (&folder, name)),
        Target::Other(folder, name) | Target::Nothing(folder, name) => {
            copy(&copier, &wanted.source, (&folder, &name))
        }
    }
}

/// Make the folder `path` in `root`, root's, if it is not there.
pub fn make_folder(root: &Root, path: &Path) -> Result<()> {
    Looks { owner: (0, 0), mode: None }.folder(root, path).map(drop)
}

impl Looks {
    fn read(what: &Copy, layers: &[PathBuf]) -> Result<Looks> {
        let mode = what.mode.as_deref().map(|text| {
            let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
            mode.ok_or_else(|| {
                Error::input(format!("--chmod={text}: give an octal number up to 7777"))
            })
        });
        let owner = match what.owner.as_deref() {
            None => (0, 0),
            Some(asked) => {
                let found = users::in_image(layers, Some(asked))?;
                // As Docker has it: without a group, the user's number.
                (found.uid, if asked.contains(':') { found.gid } else { found.uid })
            }
        };
        let here = Numbers::here()?;
        match here.has_user(owner.0) && here.has_group(owner.1) {
            true => Ok(Looks { owner, mode: mode.transpose()? }),
            false => Err(Error::input(format!(
                "there is no user {}:{} here: numbers set aside for you bring more",
                owner.0, owner.1
            ))
            .hint("lesson 5, \"More than one number\", tells how")),
        }
    }

    /// Open the folder `path`. Those that are missing are made, and belong to the owner.
    fn folder(&self, root: &Root, path: &Path) -> Result<OwnedFd> {
        let mut place = PathBuf::from("/");
        let mut folder = root.folder(&place)?;
        for step in clean(path).components().skip(1) {
            let failed = |error: io::Error| Error::io(place.join(step).display(), &error);
            match files::make_folder(&folder, step.as_os_str()) {
                Ok(()) => {
                    let (user, group) = self.owner;
                    files::set_owner(&folder, step.as_os_str(), user, group)
                        .map_err(failed)?;
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error)),
            }
            place.push(step);
            folder = root.existing(&place)?.ok_or_else(|| {
                Error::input(format!("{} is a link to nothing", place.display()))
            })?;
            if !mount::target::is_folder(&folder) {
                return Err(Error::input(format!("{} is no folder", place.display())));
            }
        }
        Ok(folder)
    }
}

/// Whether a file is a tar archive, plain or compressed.
fn is_archive(source: &Source) -> bool {
    let member = |archive| Tarball::new(archive).next_member();
    let opened = source.about.is_file().then(|| source.open().ok()).flatten();
    let archive = opened.and_then(|file| decode(Box::new(file)).ok());
    archive.is_some_and(|archive| member(archive).is_ok_and(|member| member.is_some()))
}

fn unpack_into(source: &Source, folder: &OwnedFd) -> Result<()> {
    let file = source.open().map_err(|error| Error::io("open", &error))?;
    let archive = decode(Box::new(file))?;
    unpack::unpack(archive, &path_of(folder), &[], &Numbers::here()?).map(drop)
}
