//! How is the same asked for thousands of files?
//!
//! Folders are made anew: they have no second name, and share no blocks. What is asked for
//! each file is told for the first one, and then how often it was.

use std::cell::Cell;
use std::fs;
use std::path::Path;

use stage::{Answer, Error, Result, Stage};

/// Make the folders of `image` anew in `container`, and have `make` bring each file there.
/// Links to elsewhere, devices and owners are left out: an engine has to think of them.
pub fn repeat(
    stage: &Stage,
    image: &Path,
    container: &Path,
    mut make: impl FnMut(&Often, &Path, &Path) -> Result<()>,
) -> Result<()> {
    let often = Often { stage, times: Cell::new(0) };
    descend(image, container, &mut |from, to| make(&often, from, to))?;
    stage.note(&format!("and so on: {} times", often.times.get()));
    Ok(())
}

fn descend(
    from: &Path,
    to: &Path,
    make: &mut impl FnMut(&Path, &Path) -> Result<()>,
) -> Result<()> {
    let failed = |error| Error::io(from.display(), &error);
    fs::create_dir(to).map_err(|error| Error::io(to.display(), &error))?;
    let entries = fs::read_dir(from).map_err(failed)?;
    let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            descend(&from, &to, make)?;
        } else if kind.is_file() {
            make(&from, &to)?;
        }
    }
    Ok(())
}

/// A request that is made for each file.
pub struct Often<'s> {
    stage: &'s Stage,
    times: Cell<usize>,
}

impl Often<'_> {
    /// Ask once more: as [`Stage::ask`], but only the first time is told.
    pub fn ask<T: Answer>(
        &self,
        call: impl Fn() -> String,
        request: impl FnOnce() -> nix::Result<T>,
    ) -> Result<T> {
        self.times.set(self.times.get() + 1);
        match self.times.get() {
            1 => self.stage.ask(call(), request),
            _ => request().map_err(|errno| Error::call(call(), errno)),
        }
    }
}
