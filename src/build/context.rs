//! Which files can a build copy?
//!
//! Those of a folder of ours, the context, without what .dockerignore leaves out; or those of
//! another stage. Either is a root that no link leads out of.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use image::digest::Summing;
use image::{Digest, files};
use mount::target::Root;
use stage::{Error, Result};
use std::io::Write;
use std::os::unix::fs::MetadataExt;

use super::ignore::{Ignore, is_match, is_pattern};
use crate::copy::Source;
use crate::cp::Wanted;

/// A Dockerfile or a .dockerignore that is longer is none.
const LONGEST: u64 = 4 * 1024 * 1024;

/// Files to be copied.
pub struct Context {
    root: Root,
    ignore: Ignore,
}

impl Context {
    /// The folder at `path`.
    pub fn open(path: &Path) -> Result<Context> {
        if !path.is_dir() {
            return Err(Error::input(format!("{} is no folder", path.display()))
                .hint("give the folder with the files that are to be copied, or - for a tar archive"));
        }
        let root = Root::open(path)?;
        let ignore = root.read(Path::new(".dockerignore"), LONGEST)?.unwrap_or_default();
        let ignore = Ignore::parse(&String::from_utf8_lossy(&ignore));
        Ok(Context { root, ignore })
    }

    /// All the files of `root`.
    pub fn of(root: Root) -> Context {
        Context { root, ignore: Ignore::default() }
    }

    /// What the small file at `path` says.
    pub fn read(&self, path: &str) -> Result<String> {
        let text = self.root.read(Path::new(path), LONGEST)?;
        let text = text.ok_or_else(|| {
            Error::input(format!("there is no {path} in the context"))
                .hint("-f names another file")
        })?;
        String::from_utf8(text).map_err(|_| Error::input(format!("{path} is not UTF-8")))
    }

    /// Whether `path`, from the top, is there to be copied: itself, or something in it.
    pub fn wants(&self, path: &Path) -> bool {
        !self.ignore.leaves_out(path)
            || (self.ignore.has_exceptions() && self.has_wanted(path))
    }

    fn has_wanted(&self, folder: &Path) -> bool {
        let Ok(found) = Wanted::find(&self.root, &folder.to_string_lossy(), false) else {
            return false;
        };
        let names = found.source.about.is_dir().then(|| found.source.open());
        let names = names.and_then(|open| files::names(&open.ok()?).ok());
        names.is_some_and(|names| names.iter().any(|name| self.wants(&folder.join(name))))
    }

    /// The paths that `pattern` means, from the top; at least one.
    pub fn find(&self, pattern: &str) -> Result<Vec<PathBuf>> {
        let whole = crate::cp::clean(Path::new(pattern));
        let path = whole.strip_prefix("/").unwrap_or(&whole).to_path_buf();
        let mut found = vec![path.clone()];
        if is_pattern(pattern) {
            found = vec![PathBuf::new()];
            let steps = path.components().filter_map(|step| match step {
                Component::Normal(name) => Some(name),
                _ => None,
            });
            for step in steps {
                found = self.step(&found, step)?;
            }
        }
        let is_there = |path: &PathBuf| {
            path.as_os_str().is_empty()
                || (self.wants(path)
                    && self.root.existing(path).is_ok_and(|found| found.is_some()))
        };
        found.retain(is_there);
        match found.is_empty() {
            true => Err(Error::input(format!("there is no {pattern:?} to be copied"))
                .hint("paths are those of the context; see .dockerignore, too")),
            false => Ok(found),
        }
    }

    /// What matches the next step of a pattern in these folders.
    fn step(&self, folders: &[PathBuf], step: &OsStr) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for folder in folders {
            let Some(open) = self.root.existing(folder)? else { continue };
            if !mount::target::is_folder(&open) {
                continue;
            }
            let names = files::names(&open);
            let names = names.map_err(|error| Error::io(folder.display(), &error))?;
            let matches = |name: &&std::ffi::OsString| {
                is_match(Path::new(step), Path::new(name.as_os_str()))
            };
            found.extend(names.iter().filter(matches).map(|name| folder.join(name)));
        }
        Ok(found)
    }

    /// What is at `path`. A link stands for what it leads to.
    pub fn wanted(&self, path: &Path) -> Result<Wanted> {
        Wanted::find(&self.root, &path.to_string_lossy(), true)
    }

    /// A digest of the names, the permissions and the contents of what is at these paths.
    pub fn sum(&self, paths: &[PathBuf]) -> Result<Digest> {
        let mut sum = Summing::new(io::sink());
        for path in paths {
            let source = self.wanted(path)?.source;
            let added = self.add(&mut sum, &source, path);
            added.map_err(|error| Error::io(path.display(), &error))?;
        }
        Ok(sum.finish().0)
    }

    fn add(
        &self,
        sum: &mut Summing<io::Sink>,
        source: &Source,
        path: &Path,
    ) -> io::Result<()> {
        let about = &source.about;
        // With lengths: no two lists of files shall have one sum.
        let name = path.as_os_str().as_bytes();
        write!(sum, "{} {:o} {} ", name.len(), about.mode(), about.len())?;
        sum.write_all(name)?;
        if about.is_symlink() {
            return sum.write_all(files::target(&source.held)?.as_bytes());
        }
        if about.is_file() {
            return io::copy(&mut source.open()?, sum).map(drop);
        }
        if about.is_dir() {
            let folder = source.open()?;
            for name in files::names(&folder)? {
                let path = path.join(&name);
                if self.wants(&path) {
                    self.add(sum, &Source::at(&folder, &name)?, &path)?;
                }
            }
        }
        Ok(())
    }
}
