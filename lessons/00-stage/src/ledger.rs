//! How is taken back what does not die with its process?
//!
//! Some things outlive us: a System V queue, a folder, a cgroup. Each is written down
//! before it is made, in a file that we keep locked. The kernel drops the lock when we are
//! gone, however we went (flock(2)); a note that nobody holds is therefore a thing to take
//! back, for the next start of the lesson or for `lab clean`.

use std::collections::HashSet;
use std::fmt::Display;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{AccessFlags, access, geteuid};

use crate::{Error, Result, proc};

/// The notes of one running program. Dropped, they are gone: what they speak of must have
/// been taken back by then.
pub struct Ledger {
    path: PathBuf,
    file: File,
}

impl Ledger {
    /// Begin the notes of `lesson`.
    pub fn open(lesson: &str) -> Result<Ledger> {
        let folder = Folder::lock()?;
        let path = folder.path.join(format!("{lesson}-{}", std::process::id()));
        // A file of this name is a dead namesake's, and `abandoned` was not asked for it.
        let file = OpenOptions::new().append(true).create(true).open(&path);
        let file = file.map_err(|error| Error::io(path.display(), &error))?;
        Ok(Ledger { file: lock(file, &path)?, path })
    }

    /// Begin notes under a name that only one of them can have, such as an address; None
    /// if somebody has it, alive or not: then `abandoned` was not asked yet.
    pub fn claim(lesson: &str, name: &str) -> Result<Option<Ledger>> {
        Folder::lock()?.claim(lesson, name)
    }

    /// The same with the first of `names` that nobody has.
    pub fn claim_first(
        lesson: &str,
        names: impl Iterator<Item = String>,
    ) -> Result<Option<(String, Ledger)>> {
        let folder = Folder::lock()?;
        let taken: HashSet<PathBuf> = folder.notes_of(lesson)?.into_iter().collect();
        let mut free = names.filter(|name| !taken.contains(&folder.note(lesson, name)));
        let Some(name) = free.next() else { return Ok(None) };
        Ok(folder.claim(lesson, &name)?.map(|ledger| (name, ledger)))
    }

    /// How many notes of `lesson` there are, of the living and of the dead.
    pub fn count(lesson: &str) -> Result<usize> {
        match Folder::lock_existing()? {
            Some(folder) => Ok(folder.notes_of(lesson)?.len()),
            None => Ok(0),
        }
    }

    /// End the notes, and leave what they speak of to `abandoned`.
    pub fn leave_behind(self) {
        // The lock stays until we end, the file until it was worked through.
        std::mem::forget(self);
    }

    /// Write down `thing` before it is made.
    pub fn note(&mut self, thing: impl Display) -> Result<()> {
        let noted = self.file.write_all(format!("{thing}\n").as_bytes());
        noted.map_err(|error| Error::io(self.path.display(), &error))
    }

    /// What dead runs of `lesson` have noted, a text each with a thing a line; it stays noted.
    pub fn left(lesson: &str) -> Result<Vec<String>> {
        let Some(folder) = Folder::lock_existing()? else { return Ok(Vec::new()) };
        let mut texts = Vec::new();
        for path in folder.notes_of(lesson)? {
            texts.extend(read_if_abandoned(&path)?.map(|(_held, text)| text));
        }
        Ok(texts)
    }

    /// Hand each thing that a dead run of `lesson` has noted to `undo`, and forget those
    /// that `undo` has taken back. Returns them.
    pub fn abandoned(
        lesson: &str,
        undo: impl FnMut(&str) -> bool,
    ) -> Result<Vec<String>> {
        Ledger::abandoned_but(lesson, |_| false, undo)
    }

    /// The same where it is known of some notes, by their names, that their writer `lives`:
    /// to try a lock takes three calls, and there may be hundreds.
    pub fn abandoned_but(
        lesson: &str,
        lives: impl Fn(&str) -> bool,
        mut undo: impl FnMut(&str) -> bool,
    ) -> Result<Vec<String>> {
        let Some(folder) = Folder::lock_existing()? else { return Ok(Vec::new()) };
        let mut undone = Vec::new();
        for path in folder.notes_of(lesson)? {
            if name_of(&path).is_some_and(&lives) {
                continue;
            }
            let Some((_held, text)) = read_if_abandoned(&path)? else { continue };
            let (gone, left): (Vec<&str>, Vec<&str>) =
                text.lines().partition(|thing| undo(thing));
            undone.extend(gone.into_iter().map(String::from));
            if left.is_empty() {
                fs::remove_file(&path)
                    .map_err(|error| Error::io(path.display(), &error))?;
            }
        }
        Ok(undone)
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        // Under the folder's lock, so that nobody opens a file that is about to go. What
        // fails here is mended by `abandoned`.
        if let Ok(Some(_folder)) = Folder::lock_existing() {
            fs::remove_file(&self.path).ok();
        }
    }
}

/// Write down `text` as the note called `name`, which belongs to no program but to the
/// machine.
pub fn remember(name: &str, text: &str) -> Result<()> {
    let folder = Folder::lock()?;
    let path = folder.path.join(name);
    fs::write(&path, text).map_err(|error| Error::io(path.display(), &error))
}

/// The note called `name`, if there is one.
pub fn recall(name: &str) -> Result<Option<String>> {
    let Some((folder, _)) = Folder::open()? else { return Ok(None) };
    let path = folder.join(name);
    match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        text => text.map(Some).map_err(|error| Error::io(path.display(), &error)),
    }
}

/// What the note called `name` speaks of has been taken back.
pub fn forget(name: &str) -> Result<()> {
    let Some(folder) = Folder::lock_existing()? else { return Ok(()) };
    let path = folder.path.join(name);
    fs::remove_file(&path).map_err(|error| Error::io(path.display(), &error))
}

/// What tells the note at `path` from others of its lesson.
fn name_of(path: &Path) -> Option<&str> {
    Some(path.file_name()?.to_str()?.rsplit_once('-')?.1)
}

fn read_if_abandoned(path: &Path) -> Result<Option<(File, String)>> {
    let file = File::open(path).map_err(|error| Error::io(path.display(), &error))?;
    match file.try_lock() {
        Ok(()) => {
            let text = fs::read_to_string(path);
            Ok(Some((file, text.map_err(|error| Error::io(path.display(), &error))?)))
        }
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(cannot_lock(path, &error)),
    }
}

/// The lock goes with its last descriptor; we wait for it.
fn lock(file: File, path: &Path) -> Result<File> {
    file.lock().map_err(|error| cannot_lock(path, &error))?;
    Ok(file)
}

fn cannot_lock(path: &Path, error: &io::Error) -> Error {
    Error::io(format!("flock({path:?})"), error)
}

/// The folder of all notes, held so that nobody else begins or ends notes meanwhile.
struct Folder {
    path: PathBuf,
    _held: File,
}

impl Folder {
    fn lock() -> Result<Folder> {
        loop {
            let path = folder();
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
            made.map_err(|error| Error::io(path.display(), &error))?;
            if let Some(folder) = Folder::lock_existing()? {
                return Ok(folder);
            }
        }
    }

    /// Where it is. None if it is not there: then there are no notes.
    fn open() -> Result<Option<(PathBuf, File)>> {
        let path = folder();
        let failed = |error| Error::io(path.display(), &error);
        // In /tmp anybody can make it first, and write down what we would then remove.
        let only_folder = (OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW).bits();
        let file = match File::options().read(true).custom_flags(only_folder).open(&path)
        {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.map_err(failed)?,
        };
        let about = file.metadata().map_err(failed)?;
        if about.uid() == geteuid().as_raw() && about.mode() & 0o077 == 0 {
            return Ok(Some((path, file)));
        }
        let theirs =
            format!("{} is not ours alone: others may write there", path.display());
        Err(Error::input(theirs)
            .hint("remove it, or name a folder of your own: XDG_RUNTIME_DIR"))
    }

    /// The same, held.
    fn lock_existing() -> Result<Option<Folder>> {
        let Some((path, file)) = Folder::open()? else { return Ok(None) };
        let held = lock(file, &path)?;
        // Its last user may have removed it while we waited for the lock.
        let failed = |error| Error::io(path.display(), &error);
        let ours = held.metadata().map_err(failed)?;
        let still_there = match fs::metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            now => now.map_err(failed)?.ino() == ours.ino(),
        };
        Ok(still_there.then_some(Folder { path, _held: held }))
    }

    fn note(&self, lesson: &str, name: &str) -> PathBuf {
        self.path.join(format!("{lesson}-{name}"))
    }

    fn claim(&self, lesson: &str, name: &str) -> Result<Option<Ledger>> {
        let path = self.note(lesson, name);
        match OpenOptions::new().append(true).create_new(true).open(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
            file => {
                let file = file.map_err(|error| Error::io(path.display(), &error))?;
                let file = lock(file, &path)?;
                Ok(Some(Ledger { file, path }))
            }
        }
    }

    fn notes_of(&self, lesson: &str) -> Result<Vec<PathBuf>> {
        let failed = |error| Error::io(self.path.display(), &error);
        let mut notes = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.rsplit_once('-').is_some_and(|(whose, _)| whose == lesson) {
                notes.push(entry.path());
            }
        }
        Ok(notes)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Goes when it is empty, and stays otherwise: both are right.
        fs::remove_dir(&self.path).ok();
    }
}

/// The folder of all notes. /run is emptied when the machine restarts, as are the things
/// that we note. Root of a user namespace (lesson 5) may not write there, and is another
/// user outside.
fn folder() -> PathBuf {
    let refusals = [Errno::EACCES, Errno::EPERM, Errno::EROFS, Errno::ENOENT];
    let is_refused = |errno| refusals.contains(&errno);
    if geteuid().is_root() && !access("/run", AccessFlags::W_OK).is_err_and(is_refused) {
        return "/run/fakedocker".into();
    }
    let own = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let own = own.unwrap_or_else(std::env::temp_dir);
    own.join(format!("fakedocker-{}", proc::uid_outside()))
}
