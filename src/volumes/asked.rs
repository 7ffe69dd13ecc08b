//! What does one want to be mounted in a container?
//!
//! Docker's three ways to say it: `-v NAME:PATH`, `--mount type=volume,source=NAME,target=PATH`,
//! `--tmpfs PATH`. What they mean is the same list of mounts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use stage::{Error, Result};

use super::fill::EMPTY;
use super::{NAMELESS, Volumes, new_name};
use crate::container::check_name;
use crate::spec::{Mount, absolute};

mod lent;
mod mount;
mod tmpfs;

pub use lent::lent;

/// What the command line says.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// `[NAME:|HOST:]PATH[:OPTIONS]`
    pub volumes: Vec<String>,
    /// `type=TYPE,source=SOURCE,target=PATH,...`
    pub mounts: Vec<String>,
    /// `PATH[:OPTIONS]`
    pub tmpfs: Vec<String>,
    /// `CONTAINER[:ro]`
    pub lenders: Vec<String>,
}

/// What is mounted, and what is to be known of the volumes among it.
#[derive(Debug, Default)]
pub struct Asked {
    /// What lies deeper comes later.
    pub mounts: Vec<Mount>,
    nameless: Vec<String>,
    empty: Vec<String>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wish {
    source: Source,
    target: PathBuf,
    /// As in a description.
    options: Vec<String>,
    /// A new volume shall not begin with what the image has.
    is_empty: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    /// A folder or file of the host's.
    Host(PathBuf),
    /// A volume of this name.
    Volume(String),
    /// A new volume, which goes with the container, by `--rm` or `rm -v`.
    Nameless,
    /// None: a file system in memory.
    Memory,
}

impl Request {
    /// All that is asked for, and folders that the image says are volumes (config.md, "Volumes"),
    /// but for those that have something else on them: `taken`. So is what others have `lent`.
    pub fn read(
        &self,
        volumes: &Volumes,
        lent: Vec<Mount>,
        of_image: impl Iterator<Item = PathBuf>,
        taken: &[Mount],
    ) -> Result<Asked> {
        let mut wishes = Vec::new();
        for text in &self.volumes {
            wishes.push(read_volume(text)?);
        }
        for text in &self.mounts {
            wishes.push(mount::read(text)?);
        }
        for text in &self.tmpfs {
            wishes.push(tmpfs::read(text)?);
        }
        check_twice(&wishes)?;
        for Mount { destination, source, options, .. } in lent {
            // Of two who have something there, the last one is asked.
            if !is_in(&wishes, &destination) {
                let wish = Wish::of(Source::Host(source), destination);
                wishes.push(Wish { options, ..wish });
            }
        }
        for target in of_image {
            let target = check_target("a volume of the image's", target)?;
            let is_taken = taken.iter().any(|mount| mount.destination == target);
            if !is_taken && !is_in(&wishes, &target) {
                wishes.push(Wish::of(Source::Nameless, target));
            }
        }
        // What is mounted on "/a" would hide what is on "/a/b" already.
        wishes.sort_by_key(|wish| wish.target.components().count());
        let mut asked = Asked::default();
        wishes.into_iter().try_for_each(|wish| asked.add(wish, volumes))?;
        Ok(asked)
    }
}

impl Asked {
    fn add(&mut self, wish: Wish, volumes: &Volumes) -> Result<()> {
        let (kind, source) = match wish.source {
            Source::Memory => ("tmpfs", "tmpfs".into()),
            Source::Host(path) => ("bind", path),
            Source::Volume(name) => {
                let source = volumes.mountpoint(&name);
                self.empty.extend(wish.is_empty.then_some(name));
                ("bind", source)
            }
            Source::Nameless => {
                let name = new_name()?;
                let source = volumes.mountpoint(&name);
                self.empty.extend(wish.is_empty.then(|| name.clone()));
                self.nameless.push(name);
                ("bind", source)
            }
        };
        let (destination, options) = (wish.target, wish.options);
        self.mounts.push(Mount { destination, kind: kind.into(), source, options });
        Ok(())
    }

    /// What the container's description is to say besides.
    pub fn annotations(&self) -> BTreeMap<String, String> {
        let lists = [(NAMELESS, &self.nameless), (EMPTY, &self.empty)];
        let said = lists.into_iter().filter(|(_, names)| !names.is_empty());
        said.map(|(key, names)| (key.to_string(), names.join(","))).collect()
    }
}

impl Wish {
    fn of(source: Source, target: PathBuf) -> Wish {
        Wish { source, target, options: Vec::new(), is_empty: false }
    }

    fn is_volume(&self) -> bool {
        matches!(self.source, Source::Volume(_) | Source::Nameless)
    }
}

/// `PATH`, `NAME:PATH` or `HOST:PATH`, these two with options.
fn read_volume(text: &str) -> Result<Wish> {
    let wrong = |why: String| {
        Error::input(format!("volume {text:?}: {why}")).hint(
            "-v takes NAME:PATH, HOST:PATH or PATH, the first two with :ro if you like; \
             PATH is absolute, and HOST is, or begins with a dot",
        )
    };
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, modes) = match parts[..] {
        [target] => (Source::Nameless, target, ""),
        [source, target] => (read_source(source).map_err(wrong)?, target, ""),
        [source, target, modes] => (read_source(source).map_err(wrong)?, target, modes),
        _ => return Err(wrong("it has too many parts".into())),
    };
    let target = check_target("the place", target.into());
    let mut wish = Wish::of(source, target.map_err(|error| wrong(error.to_string()))?);
    for mode in modes.split(',').filter(|_| parts.len() == 3) {
        set_mode(&mut wish, mode).map_err(wrong)?;
    }
    Ok(wish)
}

/// A folder or file of the host's, or a volume's name.
fn read_source(text: &str) -> Result<Source, String> {
    if is_path(text) {
        return check_source(text).map(Source::Host);
    }
    match check_name(text) {
        Ok(()) => Ok(Source::Volume(text.into())),
        Err(_) if text.contains('/') => {
            Err(format!("{text:?} is no name; a path begins with / or ./"))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// What is no path is a name: one begins with a slash or, from where we are, with a dot.
fn is_path(text: &str) -> bool {
    text.starts_with(['/', '.'])
}

/// Docker makes a folder where there is none: so a slip of the pen would change the host.
fn check_source(text: &str) -> Result<PathBuf, String> {
    let found = match text.starts_with('.') {
        true => fs::canonicalize(text).ok(),
        false => Some(text.into()).filter(|path: &PathBuf| path.exists()),
    };
    found.ok_or_else(|| format!("{text:?} is not on this machine, and is not made"))
}

/// What `-v` has behind the second colon.
fn set_mode(wish: &mut Wish, mode: &str) -> Result<(), String> {
    match mode {
        "ro" => wish.options.push("ro".into()),
        "nocopy" if wish.is_volume() => wish.is_empty = true,
        // A volume is writable, unless it is said, and mounts never go further than they do here.
        "rw" | "private" | "rprivate" => {}
        // SELinux's labels, and what Docker's virtual machines for other systems make of it.
        "z" | "Z" | "consistent" | "cached" | "delegated" => {}
        "shared" | "rshared" | "slave" | "rslave" => {
            return Err(format!(
                "{mode}: no mount gets into a container that is running"
            ));
        }
        _ => return Err(format!("{mode:?} is none of ro, rw, nocopy, z, Z, private")),
    }
    Ok(())
}

/// A place for a mount. As paths, so that "//" and "/." are the root, too.
fn check_target(what: &str, target: PathBuf) -> Result<PathBuf> {
    absolute(what, &target)?;
    match target == Path::new("/") {
        true => Err(Error::input(format!("{what} is {target:?}: that is all of it"))),
        false => Ok(target),
    }
}

fn is_in(wishes: &[Wish], target: &Path) -> bool {
    wishes.iter().any(|wish| wish.target == target)
}

fn check_twice(wishes: &[Wish]) -> Result<()> {
    for (number, wish) in wishes.iter().enumerate() {
        if wishes[..number].iter().any(|other| other.target == wish.target) {
            return Err(Error::input(format!(
                "two mounts on {:?}: give each a place of its own",
                wish.target
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(text: &str) -> Option<(Source, Vec<String>)> {
        read_volume(text).ok().map(|wish| (wish.source, wish.options))
    }

    #[test]
    fn volumes_are_read() {
        let named = Source::Volume("my.data-1_x".into());
        assert_eq!(volume("my.data-1_x:/d"), Some((named.clone(), vec![])));
        assert_eq!(volume("my.data-1_x:/d:nocopy,ro"), Some((named, vec!["ro".into()])));
        assert_eq!(volume("/d"), Some((Source::Nameless, vec![])));
        assert_eq!(volume("/:/d:Z"), Some((Source::Host("/".into()), vec![])));
        let here = std::env::current_dir().unwrap();
        assert_eq!(volume(".:/d"), Some((Source::Host(here.clone()), vec![])));
        assert_eq!(volume("./src:/d"), Some((Source::Host(here.join("src")), vec![])));
        for wrong in [
            "",
            ":",
            "x",
            "x:/d",
            "./x:/d",
            "../up:/d",
            "-ab:/d",
            ".ab:/d",
            "ab/c:/d",
            "ab:d",
            "ab:/",
            "ab:/.",
            "ab:/d/../e",
            "ab:/d:",
            "ab:/d:rx",
            "ab:/d:ro:ro",
            "/:/d:nocopy",
            "ab:/d:shared",
            "/d:ro",
            "/not/here:/d",
            "ä1:/d",
        ] {
            assert_eq!(volume(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn what_lies_deeper_comes_later() -> Result<()> {
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        let request = Request {
            volumes: texts(&["two:/a/b/c", "one:/a:nocopy"]),
            mounts: texts(&["type=tmpfs,target=/a/b"]),
            tmpfs: texts(&["/z"]),
            lenders: Vec::new(),
        };
        let volumes = Volumes::of(Path::new("/store"));
        let of_image = ["/img", "/z"].map(PathBuf::from).into_iter();
        let asked = request.read(&volumes, Vec::new(), of_image, &[])?;
        let places = asked.mounts.iter().map(|it| it.destination.display().to_string());
        assert_eq!(places.collect::<Vec<_>>(), ["/a", "/z", "/img", "/a/b", "/a/b/c"]);
        let said = asked.annotations();
        assert_eq!(said[EMPTY], "one");
        assert_eq!(volumes.name_of(&asked.mounts[2]), Some(&*said[NAMELESS]));
        let twice = Request { tmpfs: texts(&["/d", "/d/"]), ..Request::default() };
        assert!(twice.read(&volumes, Vec::new(), std::iter::empty(), &[]).is_err());
        Ok(())
    }
}
