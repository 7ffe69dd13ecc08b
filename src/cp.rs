//! How do files get into a container and out of it?
//!
//! By the rules of Docker's `cp`, which are those of POSIX: what is to be copied goes into a folder
//! that is there, or is called as said if nothing is there; `FOLDER/.` stands for what is in it.
//! A container's paths are looked up inside it, whatever links it has (`reach.rs`, `copy.rs`).

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use image::files;
use mount::target::Root;
use stage::{Error, Result, Stage};
use user::Numbers;

use crate::copy::{Copier, Source, copy, copy_contents};
use crate::reach;
use crate::spec::Spec;
use crate::store::Store;

mod archive;

/// How to copy.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Owners stay.
    pub archive: bool,
    /// A symbolic link that is to be copied stands for what it leads to.
    pub follow: bool,
}

/// One of the two sides.
#[derive(Debug, PartialEq, Eq)]
enum Side<'t> {
    /// A path of ours.
    Here(&'t str),
    /// A path of a container's.
    There { container: &'t str, path: &'t str },
    /// A tar archive, on standard input or output.
    Stream,
}

/// Copy `from` one side `to` the other: `CONTAINER:PATH`, a path of ours, or `-` for a tar archive.
pub fn cp(store: &Store, from: &str, to: &str, options: Options) -> Result<()> {
    let stage = Stage::of_engine(false)?;
    let numbers = Numbers::here()?;
    match (Side::of(from), Side::of(to)) {
        (Side::There { container, path }, to) if !to.is_there() => {
            let (known, files) = reach::container(store, &stage, container)?;
            let source = Wanted::find(&files.root, path, options.follow)
                .map_err(|error| error.within(container).status(1))?;
            let owner = |user, group| {
                let (user, group) = known.spec.owner_inside(user, group);
                options.archive.then(|| possible(&numbers, user, group))
            };
            reach::apart(&stage, || match to {
                Side::Here(path) => place(&source, &here()?, &absolute(path)?, &owner),
                _ => archive::write(&source, &known.spec),
            })
        }
        (from, Side::There { container, path }) if !from.is_there() => {
            let (known, files) = reach::container(store, &stage, container)?;
            let owner = |user, group| {
                let (user, group) = if options.archive { (user, group) } else { (0, 0) };
                Some(outside(&known.spec, &numbers, user, group))
            };
            let within = |error: Error| error.within(container).status(1);
            reach::apart(&stage, || match from {
                Side::Here(from) => {
                    let from = Wanted::find(&here()?, &absolute(from)?, options.follow)?;
                    place(&from, &files.root, path, &owner).map_err(within)
                }
                _ => archive::read(&files.root, path, &known.spec, &numbers)
                    .map_err(within),
            })
        }
        (Side::There { .. }, _) => Err(Error::input(
            "copying between containers is not supported: copy to a place of yours first",
        )),
        _ => Err(Error::input("one of the two has to be CONTAINER:PATH")
            .hint("a path of yours that has a colon: ./a:b")),
    }
}

impl Side<'_> {
    fn of(text: &str) -> Side<'_> {
        match text.split_once(':') {
            _ if text == "-" => Side::Stream,
            Some((container, path))
                if !container.is_empty() && !text.starts_with(['/', '.']) =>
            {
                Side::There { container, path }
            }
            _ => Side::Here(text),
        }
    }

    fn is_there(&self) -> bool {
        matches!(self, Side::There { .. })
    }
}

/// The machine's own files.
fn here() -> Result<Root> {
    Root::open(Path::new("/"))
}

fn absolute(path: &str) -> Result<String> {
    let cwd = std::env::current_dir().map_err(|error| Error::io("getcwd", &error))?;
    let whole = cwd.join(path).into_os_string().into_string();
    whole.map_err(|path| Error::input(format!("{path:?} is not UTF-8")))
}

/// What is to be copied.
pub(crate) struct Wanted {
    /// It.
    pub source: Source,
    /// Its name; empty for a root.
    pub name: OsString,
    /// What is in it, and not the folder itself.
    pub contents: bool,
}

impl Wanted {
    /// What is at `path` in `root`. What follows links where it leads follows it inside.
    pub fn find(root: &Root, path: &str, follow: bool) -> Result<Wanted> {
        let place = clean(Path::new(path));
        let missing = || Error::input(format!("there is no {path:?}")).status(1);
        let name = place.file_name().unwrap_or_default().to_os_string();
        // A link with a slash behind it is the folder that it leads to.
        let held = match place.parent() {
            Some(folder) if !follow && !is_folder(path) => {
                let folder = root.existing(folder)?.ok_or_else(missing)?;
                files::look(&folder, &name).map_err(|error| failed(path, &error))?
            }
            _ => root.existing(&place)?.ok_or_else(missing)?.into(),
        };
        let source = Source::of(held).map_err(|error| failed(path, &error))?;
        if is_folder(path) && !source.about.is_dir() {
            return Err(Error::input(format!("{path:?} is no folder")).status(1));
        }
        let contents = path.ends_with("/.") || path == "." || name.is_empty();
        Ok(Wanted { source, name, contents })
    }
}

/// Whether a path says that it is a folder's.
fn is_folder(path: &str) -> bool {
    path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..")
}

/// Put what is `wanted` to `path` in `root`.
fn place(
    wanted: &Wanted,
    root: &Root,
    path: &str,
    owner: &dyn Fn(u32, u32) -> Option<(u32, u32)>,
) -> Result<()> {
    let copier = Copier { owner, mode: None, wanted: &|_| true };
    let (folder, name) = match Target::find(root, path)? {
        Target::Folder(folder) if wanted.contents => {
            return copy_contents(&copier, &wanted.source, &folder);
        }
        Target::Folder(folder) => (folder, wanted.name.clone()),
        Target::Other(..) if wanted.source.about.is_dir() => {
            return Err(Error::input(format!(
                "{path:?} is there already, and is no folder"
            ))
            .status(1));
        }
        Target::Nothing(..) if is_folder(path) && !wanted.source.about.is_dir() => {
            return Err(Error::input(format!("there is no folder {path:?}")).status(1));
        }
        Target::Other(folder, name) | Target::Nothing(folder, name) => (folder, name),
    };
    copy(&copier, &wanted.source, (&folder, &name))
}

/// Where something is to go.
pub(crate) enum Target {
    /// Into this folder.
    Folder(OwnedFd),
    /// In the place of this file.
    Other(OwnedFd, OsString),
    /// There is nothing of this name in the folder.
    Nothing(OwnedFd, OsString),
}

/// As many links as the kernel follows: path_resolution(7).
const LINKS: u32 = 40;

impl Target {
    /// What `path` in `root` is as the target of a copy.
    pub fn find(root: &Root, path: &str) -> Result<Target> {
        let mut place = clean(Path::new(path));
        for _ in 0..LINKS {
            let (Some(parent), Some(name)) = (place.parent(), place.file_name()) else {
                return Ok(Target::Folder(root.folder(Path::new("/"))?));
            };
            let (parent, name) = (parent.to_path_buf(), name.to_os_string());
            let missing =
                || Error::input(format!("there is no folder {parent:?}")).status(1);
            let folder = root.existing(&parent)?.ok_or_else(missing)?;
            let there = match Source::at(&folder, &name) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    return Ok(Target::Nothing(folder, name));
                }
                there => there.map_err(|error| failed(path, &error))?,
            };
            if there.about.is_dir() {
                return Ok(Target::Folder(there.held.into()));
            }
            if !there.about.is_symlink() {
                return match is_folder(path) {
                    true => Err(Error::input(format!("{path:?} is no folder")).status(1)),
                    false => Ok(Target::Other(folder, name)),
                };
            }
            let leads_to = files::target(&there.held);
            let leads_to = leads_to.map_err(|error| failed(path, &error))?;
            place = match root.existing(&place)?.map(|found| Source::of(found.into())) {
                Some(Ok(found)) if found.about.is_dir() => {
                    return Ok(Target::Folder(found.held.into()));
                }
                // `..` behind another link climbs from where that leads to: only the kernel
                // could tell. It stays in the root in any case.
                _ => clean(&parent.join(leads_to)),
            };
        }
        Err(Error::input(format!("{path:?}: too many symbolic links")).status(1))
    }
}

/// A path from `/`, without `..`: as the path of a root that nothing is above.
pub(crate) fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for step in path.components() {
        match step {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            _ => {}
        }
    }
    clean
}

/// Who `user` and `group` of a container are outside; root of the container if it has no such.
fn outside(spec: &Spec, here: &Numbers, user: u32, group: u32) -> (u32, u32) {
    let Some(maps) = spec.users() else { return possible(here, user, group) };
    let root = |number: Option<u32>| number.unwrap_or_default();
    (
        maps.user_outside(user).unwrap_or_else(|| root(maps.user_outside(0))),
        maps.group_outside(group).unwrap_or_else(|| root(maps.group_outside(0))),
    )
}

fn possible(here: &Numbers, user: u32, group: u32) -> (u32, u32) {
    let user = if here.has_user(user) { user } else { 0 };
    (user, if here.has_group(group) { group } else { 0 })
}

fn failed(path: impl AsRef<OsStr>, error: &std::io::Error) -> Error {
    let path = image::shown(path.as_ref().as_bytes());
    match error.kind() {
        std::io::ErrorKind::NotFound => Error::input(format!("there is no {path:?}")),
        _ => Error::io(format!("`{path}`"), error),
    }
    .status(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_told_apart() {
        assert_eq!(Side::of("-"), Side::Stream);
        let there = Side::There { container: "box", path: "/a:b" };
        assert_eq!(Side::of("box:/a:b"), there);
        for here in ["a", "./a:b", "/a:b", "../a:b", ":a"] {
            assert_eq!(Side::of(here), Side::Here(here));
        }
    }

    #[test]
    fn nothing_is_above_a_root() {
        for (path, expected) in
            [("", "/"), ("a/../../b/.", "/b"), ("/../a//b/", "/a/b"), ("..", "/")]
        {
            assert_eq!(clean(Path::new(path)), Path::new(expected));
        }
    }
}
