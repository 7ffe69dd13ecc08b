//! Lesson 18: where do a container's writes go?
//!
//! An overlay shows several folders (layers) as one. Reading finds the topmost layer that
//! has a file; writing only ever touches the upper layer. So a hundred containers share one
//! image as their lower layers, and each has an upper of its own.
//!
//! Read filesystems/overlayfs.rst in the kernel's documentation, then this file, main.rs
//! and rules.rs. How layers are described to the kernel is in options.rs.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::MsFlags;
use nix::unistd::{chdir, fchdir};
use stage::{Error, Ledger, Result, Stage, descriptor, proc};

pub mod attribute;
pub mod cache;
mod options;
pub mod release;

/// The folders that an overlay is made of, and the one where it appears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layers {
    /// Only read, the topmost first.
    pub lower: Vec<PathBuf>,
    /// Takes all writes.
    pub upper: PathBuf,
    /// The kernel's workshop: empty, and on the same file system as `upper`.
    pub work: PathBuf,
}

/// Show `layers` as one file system at `merged`.
pub fn stack(stage: &Stage, layers: &Layers, merged: &Path) -> Result<()> {
    stack_with(stage, layers, merged, &options::plain())
}

/// The same, with more of overlayfs's options, such as `metacopy=on`.
pub fn stack_with(
    stage: &Stage,
    layers: &Layers,
    merged: &Path,
    more: &str,
) -> Result<()> {
    // Root of a user namespace may not set trusted.* attributes: overlayfs takes user.* then.
    let own = if proc::is_in_user_namespace() { "userxattr" } else { "" };
    let options = layers.options(&[more, own])?;
    match layers.seen_from_their_folder() {
        // Where they all are in one folder, their names are enough, as seen from there.
        Some((folder, layers)) if options::check(&options).is_err() => {
            let options = layers.options(&[more, own])?;
            seen_from(stage, folder, || mount(stage, &options, merged))
        }
        _ => mount(stage, &options, merged),
    }
}

/// Do `action` with `folder` as the working directory, and come back.
fn seen_from(
    stage: &Stage,
    folder: &Path,
    action: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let failed = |error| Error::io("open(\".\")", &error);
    let before = std::fs::File::open(".").map_err(failed)?;
    stage.ask(format!("chdir({folder:?})"), || chdir(folder))?;
    let done = action();
    let back = format!("fchdir({})", descriptor(&before));
    stage.ask(back, || fchdir(&before)).and(done)
}

fn mount(stage: &Stage, options: &str, merged: &Path) -> Result<()> {
    options::check(options)?;
    // A device node in a layer stays a file: devices come from /dev (lesson 4), not images.
    let call =
        format!("mount(\"overlay\", {merged:?}, \"overlay\", MS_NODEV, {options:?})");
    let kind = Some("overlay");
    stage.ask(call, || {
        nix::mount::mount(kind, merged, kind, MsFlags::MS_NODEV, Some(options))
    })
}

/// The same on any file system: where that of the upper layer cannot carry one (the kernel
/// answers EINVAL, as for vfat or NFS), a tmpfs is mounted over the folder `room` that holds
/// upper and work. Returns whether that was needed: writes then live in memory.
pub fn stack_anywhere(
    stage: &Stage,
    layers: &Layers,
    merged: &Path,
    room: &Path,
) -> Result<bool> {
    match stack(stage, layers, merged) {
        Err(error) if error.errno() == Some(Errno::EINVAL) => {}
        other => return other.map(|()| false),
    }
    mount::tmpfs(stage, room)?;
    for folder in [&layers.upper, &layers.work] {
        std::fs::create_dir(folder)
            .map_err(|error| Error::io(folder.display(), &error))?;
    }
    let stacked = stack(stage, layers, merged).map(|()| true);
    stacked.map_err(|error| match error.errno() {
        // What is mounted below a layer must stay covered for whoever cannot unmount it.
        Some(Errno::EINVAL) if proc::is_in_user_namespace() => {
            error.hint("in a user namespace, nothing may be mounted below a layer")
        }
        _ => error,
    })
}

/// Whether `path`, in an upper layer, stands for "deleted": a device with number 0, 0.
pub fn is_whiteout(path: &Path) -> bool {
    let about = std::fs::symlink_metadata(path);
    about.is_ok_and(|file| file.file_type().is_char_device() && file.rdev() == 0)
}

/// Whether the folder `path`, in an upper layer, hides all that is below it.
pub fn is_opaque(path: &Path) -> bool {
    let marks = ["trusted.overlay.opaque", "user.overlay.opaque"];
    marks.iter().any(|mark| attribute::get(path, mark).as_deref() == Some("y"))
}

/// Where the demonstration keeps files on a disk; a number follows.
pub const ON_DISK: &str = "/var/tmp/fakedocker-overlay-";

/// The folders that a killed demonstration has left: nothing is changed.
pub fn left() -> Result<Vec<String>> {
    let notes = Ledger::left("overlay")?;
    let folders = notes.iter().flat_map(|note| note.lines());
    Ok(folders.filter(|it| it.starts_with(ON_DISK)).map(String::from).collect())
}

/// Remove the folders that a killed demonstration has left; returns them.
pub fn sweep() -> Result<Vec<String>> {
    Ledger::abandoned("overlay", |folder| {
        folder.starts_with(ON_DISK)
            && (!Path::new(folder).exists() || std::fs::remove_dir_all(folder).is_ok())
    })
}
