//! How is the kernel asked for a group, and told about it?
//!
//! With the calls for folders and files, and nothing else: mkdir(2), write(2), rmdir(2).

use std::fs;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{self, UnlinkatFlags, unlinkat};
use stage::{Error, Result, Stage, descriptor};

/// One that is there already is not an error: others of ours may be in it.
pub fn make_shared_folder(stage: &Stage, folder: &Path) -> Result<()> {
    if folder.is_dir() { Ok(()) } else { make_folder(stage, folder) }
}

/// The same without a look before, for one that is not there yet.
pub fn make_folder(stage: &Stage, folder: &Path) -> Result<()> {
    let call = format!("mkdirat(AT_FDCWD, {folder:?}, 0755)");
    let mode = Mode::from_bits_truncate(0o755);
    match stage.attempt(&call, || mkdirat(AT_FDCWD, folder, mode))? {
        Err(errno) if errno != Errno::EEXIST => Err(Error::call(call, errno)),
        _ => Ok(()),
    }
}

/// Remove a group. The kernel refuses while a process is in it (EBUSY).
pub fn remove_folder(stage: &Stage, folder: &Path) -> Result<()> {
    let call = format!("unlinkat(AT_FDCWD, {folder:?}, AT_REMOVEDIR)");
    stage.ask(call, || unlinkat(AT_FDCWD, folder, UnlinkatFlags::RemoveDir))
}

/// Write to a file of a group, in one write(2): the kernel takes it as one command.
pub fn write(stage: &Stage, path: &Path, text: &str) -> Result<()> {
    write_each(stage, path, &[text])
}

/// The same, one command after the other.
pub fn write_each(stage: &Stage, path: &Path, texts: &[impl AsRef<str>]) -> Result<()> {
    let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let file = openat(AT_FDCWD, path, flags, Mode::empty())
        .map_err(|errno| Error::call(format!("openat({path:?})"), errno))?;
    let shown = descriptor(&file);
    texts.iter().map(AsRef::as_ref).try_for_each(|text| {
        let call = format!("write({shown}, {text:?}, {})", text.len());
        let write = || {
            let count = unistd::write(&file, text.as_bytes())?;
            i32::try_from(count).map_err(|_| Errno::EOVERFLOW)
        };
        stage.ask(call, write).map(drop)
    })
}

/// What is in a file of a group, without the line break at its end.
pub fn read(path: &Path) -> Result<String> {
    let text = fs::read_to_string(path);
    Ok(text.map_err(|error| Error::io(path.display(), &error))?.trim_end().into())
}

/// The words in a file such as cgroup.controllers; none if it is not there.
pub fn words(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().map(String::from).collect()
}

/// Whether `name` is one of them.
pub fn lists(path: &Path, name: &str) -> bool {
    words(path).iter().any(|word| word == name)
}
