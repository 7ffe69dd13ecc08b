//! Who is the student?
//!
//! Whoever called sudo, or who we are. What lab starts or writes on the student's behalf is
//! the student's: root has no toolchain, and must own nothing in the course.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{PermissionsExt, fchown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use fakedocker::sys;
use stage::{Error, Result};

/// The user and the group of who called sudo, if somebody has.
pub fn caller() -> Option<(u32, u32)> {
    let number = |name| env::var(name).ok()?.parse().ok();
    sys::is_root().then_some((number("SUDO_UID")?, number("SUDO_GID")?))
}

/// A program of the student's own, started as the student.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    let mut home = env::home_dir();
    if let Some((uid, gid)) = caller() {
        home = sys::home_of(uid);
        command.uid(uid).gid(gid).envs(home.as_ref().map(|home| ("HOME", home)));
    }
    command.env("PATH", path(home.map(|home| home.join(".cargo/bin"))));
    command
}

/// Where programs are found, and in the `folder` of rustup's. sudo's own PATH leaves that out,
/// and a student's begins with it: a system's cargo may be an old one.
fn path(folder: Option<PathBuf>) -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    let at = if caller().is_some() { 0 } else { folders.len() };
    folders.splice(at..at, folder);
    env::join_paths(folders).unwrap_or(path)
}

/// What to type in front of a program that needs root.
pub fn sudo() -> &'static str {
    if sys::is_root() && caller().is_none() { "" } else { "sudo " }
}

/// How the student calls us, as from the shell. sudo's own PATH says where it finds us, too.
pub fn lab() -> String {
    let ours = env::current_exe().unwrap_or_default();
    let here = env::current_dir().unwrap_or_default();
    let path = env::var_os("PATH").unwrap_or_default();
    match ours.strip_prefix(&here) {
        Ok(near) => near.display().to_string(),
        Err(_) if env::split_paths(&path).any(|folder| folder.join("lab") == ours) => {
            "lab".into()
        }
        Err(_) => ours.display().to_string(),
    }
}

/// Make `folder` for the student, if it is not there.
pub fn make_folder(folder: &Path) -> Result<File> {
    let failed = |error| Error::io(folder.display(), &error);
    let made = match fs::create_dir(folder) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
        made => made.map(|()| true).map_err(failed)?,
    };
    let held = File::open(folder).map_err(failed)?;
    if made {
        hand_over(&held).map_err(failed)?;
    }
    Ok(held)
}

/// Put `text` into the student's file `name` in `folder`, as a whole or not at all.
pub fn write(folder: &Path, name: impl AsRef<OsStr>, text: &str) -> Result<()> {
    let path = folder.join(name.as_ref());
    let aside = folder.join(format!(".{}", fakedocker::disk::random_id(4)?));
    let written = File::create_new(&aside).and_then(|mut file| {
        if let Ok(old) = fs::metadata(&path) {
            file.set_permissions(fs::Permissions::from_mode(old.permissions().mode()))?;
        }
        hand_over(&file)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&aside, &path)
    });
    written.map_err(|error| {
        fs::remove_file(&aside).ok();
        Error::io(path.display(), &error)
    })
}

fn hand_over(file: &File) -> std::io::Result<()> {
    caller().map_or(Ok(()), |(uid, gid)| fchown(file, Some(uid), Some(gid)))
}
